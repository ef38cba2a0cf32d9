//! What names and other values of the directory may be.

use uuid::Uuid;
use wharf_metadata::directory::Properties;

use super::error::DirectoryError;

/// Checks what people call an object.
pub(crate) fn check_display_name(name: &str) -> Result<(), DirectoryError> {
    let is_fine = !name.trim().is_empty()
        && name.chars().count() <= LONGEST_DISPLAY_NAME
        && !name.chars().any(|c| c.is_control() || c == '\u{10FFFF}');
    if is_fine {
        return Ok(());
    }
    let reason = format!("has 1 to {LONGEST_DISPLAY_NAME} characters, none of them a control character");
    Err(DirectoryError::invalid("displayName", reason))
}

/// Checks a user principal name: `local@domain`.
pub(crate) fn check_user_name(name: &str) -> Result<(), DirectoryError> {
    let is_fine = name.rsplit_once('@').is_some_and(|(local, domain)| {
        let is_local = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@".contains(c);
        let is_domain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
        !local.is_empty()
            && local.chars().all(is_local)
            && !domain.is_empty()
            && domain.chars().all(is_domain)
            && domain.starts_with(char::is_alphanumeric)
            && domain.ends_with(char::is_alphanumeric)
    });
    if is_fine && name.len() <= super::users::LONGEST_USER_NAME {
        return Ok(());
    }
    Err(DirectoryError::invalid("userPrincipalName", "is written as name@domain, without spaces"))
}

/// Checks the URIs that stand for an application.
pub(crate) fn check_identifier_uris(uris: &[String]) -> Result<(), DirectoryError> {
    if uris.len() > MOST_URIS {
        return Err(DirectoryError::TooMany { what: "identifierUris", most: MOST_URIS });
    }
    for uri in uris {
        let is_fine = url::Url::parse(uri).is_ok() && uri.len() <= LONGEST_URI && !uri.chars().any(char::is_whitespace);
        if !is_fine {
            let reason = format!("are URIs, such as api://{}; {uri:?} is none", Uuid::nil());
            return Err(DirectoryError::invalid("identifierUris", reason));
        }
    }
    Ok(())
}

/// Checks that what is kept of an object beside its columns stays small.
pub(crate) fn check_properties(properties: &Properties) -> Result<(), DirectoryError> {
    let size = serde_json::to_vec(properties).map_or(usize::MAX, |json| json.len());
    if size <= MOST_PROPERTY_BYTES {
        return Ok(());
    }
    Err(DirectoryError::invalid("object", format!("is larger than {} KiB", MOST_PROPERTY_BYTES / 1024)))
}

/// Characters of the longest name that people give.
const LONGEST_DISPLAY_NAME: usize = 256;
const MOST_URIS: usize = 50;
const LONGEST_URI: usize = 1024;
const MOST_PROPERTY_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_name_at_domain() {
        for good in
            ["anna@example.com", "anna.b+c@wharf.localhost", "anna_gmail.com#EXT#@contoso.com", "änna@exämple.de"]
        {
            assert!(check_user_name(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(300));
        for bad in
            ["", "anna", "@example.com", "anna@", "an na@example.com", "anna@exa mple", "anna@.com", "a\n@b", &long]
        {
            assert!(check_user_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn display_names_are_for_people() {
        assert!(check_display_name("Anna Müller (Ops)").is_ok());
        for bad in ["", "  ", "a\u{0}b", "a\nb", &"a".repeat(257)] {
            assert!(check_display_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn identifier_uris_are_uris() {
        let check = |uri: &str| check_identifier_uris(&[uri.to_owned()]);
        assert!(check("api://my-app").is_ok() && check("https://contoso.example.com/app").is_ok());
        assert!(check("my app").is_err() && check("").is_err() && check("api://a b").is_err());
    }
}
