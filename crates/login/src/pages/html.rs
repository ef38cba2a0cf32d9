//! The pages as HTML. What is put in is escaped by the templates.

use askama::Template;

/// The form with user name and password, and the issuers that people can sign in by.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignIn<'a> {
    pub(super) flow: &'a str,
    /// What it is for, as a sentence.
    pub(super) purpose: Option<String>,
    pub(super) problem: Option<&'a str>,
    pub(super) user_name: &'a str,
    pub(super) issuers: Vec<IssuerLink>,
}

/// An issuer on the page.
pub(super) struct IssuerLink {
    pub(super) name: String,
    pub(super) href: String,
}

/// Somebody is signed in: them, or somebody else?
#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct Account<'a> {
    pub(super) flow: &'a str,
    pub(super) purpose: Option<String>,
    pub(super) user_name: &'a str,
}

/// Whether an application may have a code.
#[derive(Template)]
#[template(path = "consent.html")]
pub(super) struct Consent<'a> {
    pub(super) flow: &'a str,
    pub(super) client: &'a str,
    pub(super) client_id: &'a str,
    /// Where the browser is sent.
    pub(super) host: &'a str,
    pub(super) resource: &'a str,
    /// Whether it wants to go on when nobody is there.
    pub(super) is_lasting: bool,
    pub(super) user_name: &'a str,
}

/// The form with which somebody replaces a password that they were given.
#[derive(Template)]
#[template(path = "change_password.html")]
pub(super) struct ChangePassword<'a> {
    pub(super) flow: &'a str,
    pub(super) user_name: &'a str,
    pub(super) problem: Option<&'a str>,
}

/// The form for a user code.
#[derive(Template)]
#[template(path = "device.html")]
pub(super) struct Device<'a> {
    pub(super) flow: &'a str,
    pub(super) user_code: &'a str,
    pub(super) problem: Option<&'a str>,
}

/// Whether a device may sign in.
#[derive(Template)]
#[template(path = "device_confirm.html")]
pub(super) struct DeviceConfirm<'a> {
    pub(super) flow: &'a str,
    pub(super) client: &'a str,
    /// The id of one that was registered here.
    pub(super) client_id: Option<&'a str>,
    pub(super) resource: &'a str,
    pub(super) user_code: &'a str,
    pub(super) address: &'a str,
    pub(super) user_name: &'a str,
}

/// The way back to a program that wants its answer in a form.
#[derive(Template)]
#[template(path = "form_post.html")]
pub(super) struct FormPost<'a> {
    pub(super) heading: &'a str,
    pub(super) client: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) parameters: Vec<(&'static str, &'a str)>,
}

/// A page that only says something.
#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    heading: &'a str,
    message: &'a str,
    detail: Option<&'a str>,
}

/// A page that only says something.
pub(super) fn message(heading: &str, message: &str, detail: Option<&str>) -> String {
    render(&Message { heading, message, detail })
}

/// Fills a template in.
pub(super) fn render(page: &impl Template) -> String {
    page.render().expect("a page of texts is always written into memory")
}
