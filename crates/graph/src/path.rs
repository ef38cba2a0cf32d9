//! Which path leads where.
//!
//! ```text
//! /graph/v1.0/<collection>                                    list, create
//! /graph/v1.0/<collection>/<key>                              get, change, delete
//! /graph/v1.0/<collection>/<key>/<link>[/$ref][/<id>/$ref]    what an object is linked to: owners, members, groups
//! /graph/v1.0/<collection>/<key>/<action>                     addPassword and others
//! ```
//!
//! A key stands behind a slash or in brackets, `users('anna@example.com')`; in brackets also by another name,
//! `applications(appId='…')`. `/me` is the caller's own entry among the users. `/beta` is answered as `/v1.0` is.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::error::{Code, GraphError};

/// Objects of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collection {
    Applications,
    ServicePrincipals,
    Users,
    Groups,
    /// Objects of every kind.
    DirectoryObjects,
}

/// What an object is named by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Its object id, or a user's principal name.
    Id(String),
    /// Its application (client) id.
    AppId(String),
    /// The caller.
    Me,
}

/// How objects are linked to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Who owns it.
    Owners,
    /// Who is in it.
    Members,
    /// Who is in it, or in what is in it.
    AllMembers,
    /// What it is in.
    Groups,
    /// What it is in, or what that is in.
    AllGroups,
    /// What it owns.
    Owned,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    List(Collection),
    Count(Collection),
    Create(Collection),
    Get(Collection, Key),
    Update(Collection, Key),
    Delete(Collection, Key),
    /// `only`: of the linked objects those of a kind. `ids_only`: their addresses instead of the objects.
    ListLinked {
        of: Collection,
        key: Key,
        link: Link,
        only: Option<Collection>,
        ids_only: bool,
    },
    AddLinked {
        of: Collection,
        key: Key,
        link: Link,
    },
    RemoveLinked {
        of: Collection,
        key: Key,
        link: Link,
        id: String,
    },
    AddPassword(Collection, Key),
    RemovePassword(Collection, Key),
    /// The ids of the groups that an object is in, all of them.
    GetMemberGroups(Collection, Key),
    /// Those of some groups that an object is in.
    CheckMemberGroups(Collection, Key),
    GetByIds,
    ChangePassword(Key),
}

impl Collection {
    fn from_word(word: &str) -> Option<Self> {
        EVERY.into_iter().find(|collection| collection.word().eq_ignore_ascii_case(word))
    }

    /// The word in paths.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Applications => "applications",
            Self::ServicePrincipals => "servicePrincipals",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::DirectoryObjects => "directoryObjects",
        }
    }

    /// The name of one object's type, as in `@odata.type`.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Applications => "microsoft.graph.application",
            Self::ServicePrincipals => "microsoft.graph.servicePrincipal",
            Self::Users => "microsoft.graph.user",
            Self::Groups => "microsoft.graph.group",
            Self::DirectoryObjects => "microsoft.graph.directoryObject",
        }
    }

    /// The collection of a type, written `user`, `microsoft.graph.user` or `#microsoft.graph.user`.
    pub(crate) fn from_type(name: &str) -> Option<Self> {
        let name = name.trim_start_matches('#');
        EVERY.into_iter().find(|collection| {
            let full = collection.type_name();
            full.eq_ignore_ascii_case(name) || full.rsplit('.').next().is_some_and(|own| own.eq_ignore_ascii_case(name))
        })
    }
}

impl Route {
    /// Finds out where a path leads. It begins at the host, with or without `/graph`.
    ///
    /// # Errors
    /// When it leads nowhere, or what it leads to does not take the method.
    pub(crate) fn parse(method: &Method, path: &str) -> Result<Self, GraphError> {
        let path = path.strip_prefix("/graph").filter(|rest| rest.starts_with('/')).unwrap_or(path);
        let decode = |segment: &str| percent_decode_str(segment).decode_utf8().map(|text| text.into_owned());
        let segments: Result<Vec<String>, _> = path.trim_matches('/').split('/').map(decode).collect();
        let segments = segments.map_err(|_| GraphError::new(Code::BadRequest, "The path is not UTF-8 text."))?;
        let mut segments = segments.iter().map(String::as_str);
        let version = segments.next().unwrap_or_default();
        if !VERSIONS.iter().any(|known| known.eq_ignore_ascii_case(version)) {
            return Err(GraphError::new(Code::BadRequest, format!("Invalid version: {version}")));
        }
        let first = segments.next().unwrap_or_default();
        let mut rest: Vec<&str> = segments.collect();
        if first.eq_ignore_ascii_case("me") {
            return of_object(method, Collection::Users, Key::Me, &rest);
        }
        let (word, in_brackets) = match first.split_once('(') {
            Some((word, key)) => (word, Some(key)),
            None => (first, None),
        };
        let collection = Collection::from_word(word).ok_or_else(|| unknown_segment(word))?;
        let key = match in_brackets {
            Some(key) => Some(key_in_brackets(key).ok_or_else(|| unknown_segment(first))?),
            None => None,
        };
        let key = match key {
            Some(key) => key,
            None if rest.is_empty() => return of_collection(method, collection),
            None if rest == ["$count"] => return only(method, &Method::GET, Self::Count(collection)),
            None if rest.len() == 1 && is_word(rest[0], "getByIds") && collection == Collection::DirectoryObjects => {
                return only(method, &Method::POST, Self::GetByIds);
            }
            None => Key::Id(rest.remove(0).to_owned()),
        };
        of_object(method, collection, key, &rest)
    }

    /// The name in logs and metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "graph.list",
            Self::Count(_) => "graph.count",
            Self::Create(_) => "graph.create",
            Self::Get(..) => "graph.get",
            Self::Update(..) => "graph.update",
            Self::Delete(..) => "graph.delete",
            Self::ListLinked { .. } => "graph.links.list",
            Self::AddLinked { .. } => "graph.links.add",
            Self::RemoveLinked { .. } => "graph.links.remove",
            Self::AddPassword(..) => "graph.addPassword",
            Self::RemovePassword(..) => "graph.removePassword",
            Self::GetMemberGroups(..) => "graph.getMemberGroups",
            Self::CheckMemberGroups(..) => "graph.checkMemberGroups",
            Self::GetByIds => "graph.getByIds",
            Self::ChangePassword(_) => "graph.changePassword",
        }
    }
}

fn of_collection(method: &Method, collection: Collection) -> Result<Route, GraphError> {
    if collection == Collection::DirectoryObjects {
        return Err(GraphError::new(Code::BadRequest, "Objects of every kind are not listed; ask for their ids."));
    }
    match *method {
        Method::GET => Ok(Route::List(collection)),
        Method::POST => Ok(Route::Create(collection)),
        _ => Err(not_allowed(method)),
    }
}

fn of_object(method: &Method, of: Collection, key: Key, rest: &[&str]) -> Result<Route, GraphError> {
    let Some((&word, rest)) = rest.split_first() else {
        return match *method {
            Method::GET => Ok(Route::Get(of, key)),
            Method::PATCH => Ok(Route::Update(of, key)),
            Method::DELETE if key != Key::Me => Ok(Route::Delete(of, key)),
            _ => Err(not_allowed(method)),
        };
    };
    if let Some(link) = link(of, word) {
        return of_link(method, of, key, link, rest);
    }
    let has_credentials = matches!(of, Collection::Applications | Collection::ServicePrincipals);
    let word = word.strip_prefix("microsoft.graph.").unwrap_or(word);
    let route = match () {
        () if !rest.is_empty() => None,
        () if has_credentials && is_word(word, "addPassword") => Some(Route::AddPassword(of, key)),
        () if has_credentials && is_word(word, "removePassword") => Some(Route::RemovePassword(of, key)),
        () if is_word(word, "getMemberGroups") || is_word(word, "getMemberObjects") => {
            Some(Route::GetMemberGroups(of, key))
        }
        () if is_word(word, "checkMemberGroups") || is_word(word, "checkMemberObjects") => {
            Some(Route::CheckMemberGroups(of, key))
        }
        () if of == Collection::Users && is_word(word, "changePassword") => Some(Route::ChangePassword(key)),
        () => None,
    };
    only(method, &Method::POST, route.ok_or_else(|| unknown_segment(word))?)
}

/// What a word behind an object of this kind leads to.
fn link(of: Collection, word: &str) -> Option<Link> {
    use Collection::{Applications, DirectoryObjects, Groups, ServicePrincipals, Users};
    let (link, has) = match word.to_ascii_lowercase().as_str() {
        "owners" => (Link::Owners, matches!(of, Applications | ServicePrincipals | Groups)),
        "members" => (Link::Members, of == Groups),
        "transitivemembers" => (Link::AllMembers, of == Groups),
        "memberof" => (Link::Groups, matches!(of, Users | Groups | ServicePrincipals | DirectoryObjects)),
        "transitivememberof" => (Link::AllGroups, matches!(of, Users | Groups | ServicePrincipals | DirectoryObjects)),
        "ownedobjects" => (Link::Owned, matches!(of, Users | ServicePrincipals)),
        _ => return None,
    };
    has.then_some(link)
}

fn of_link(method: &Method, of: Collection, key: Key, link: Link, rest: &[&str]) -> Result<Route, GraphError> {
    let changes = matches!(link, Link::Owners | Link::Members);
    match *rest {
        [] => only(method, &Method::GET, Route::ListLinked { of, key, link, only: None, ids_only: false }),
        ["$ref"] if *method == Method::POST && changes => Ok(Route::AddLinked { of, key, link }),
        ["$ref"] => only(method, &Method::GET, Route::ListLinked { of, key, link, only: None, ids_only: true }),
        [id, "$ref"] if changes => {
            only(method, &Method::DELETE, Route::RemoveLinked { of, key, link, id: id.to_owned() })
        }
        [kind] if kind.to_ascii_lowercase().starts_with("microsoft.graph.") => {
            let kind = Collection::from_type(kind).ok_or_else(|| unknown_segment(kind))?;
            let kind = Some(kind).filter(|&kind| kind != Collection::DirectoryObjects);
            only(method, &Method::GET, Route::ListLinked { of, key, link, only: kind, ids_only: false })
        }
        _ => Err(unknown_segment(rest[0])),
    }
}

/// The key in `users('anna@example.com')` or `applications(appId='…')`, without the opening bracket.
fn key_in_brackets(text: &str) -> Option<Key> {
    let text = text.strip_suffix(')')?;
    let quoted = |text: &str| Some(text.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'"));
    match text.split_once('=') {
        Some((name, value)) if is_word(name.trim(), "appId") => Some(Key::AppId(quoted(value.trim())?)),
        Some((name, value)) if is_word(name.trim(), "id") => Some(Key::Id(quoted(value.trim())?)),
        _ => Some(Key::Id(quoted(text).unwrap_or_else(|| text.to_owned()))),
    }
}

fn is_word(text: &str, word: &str) -> bool {
    text.eq_ignore_ascii_case(word)
}

fn only(method: &Method, allowed: &Method, route: Route) -> Result<Route, GraphError> {
    if method == allowed { Ok(route) } else { Err(not_allowed(method)) }
}

fn not_allowed(method: &Method) -> GraphError {
    GraphError::new(
        Code::MethodNotAllowed,
        format!("Specified HTTP method {method} is not allowed for the request target."),
    )
}

fn unknown_segment(word: &str) -> GraphError {
    GraphError::new(Code::BadRequest, format!("Resource not found for the segment '{word}'."))
}

const EVERY: [Collection; 5] = [
    Collection::Applications,
    Collection::ServicePrincipals,
    Collection::Users,
    Collection::Groups,
    Collection::DirectoryObjects,
];
const VERSIONS: [&str; 2] = ["v1.0", "beta"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(path: &str) -> Result<Route, Code> {
        Route::parse(&Method::GET, path).map_err(|error| error.code())
    }

    fn id(text: &str) -> Key {
        Key::Id(text.to_owned())
    }

    #[test]
    fn paths_lead_to_their_routes() {
        use Collection::*;
        assert_eq!(get("/graph/v1.0/users"), Ok(Route::List(Users)));
        assert_eq!(get("/v1.0/ServicePrincipals/"), Ok(Route::List(ServicePrincipals)));
        assert_eq!(get("/beta/groups/$count"), Ok(Route::Count(Groups)));
        assert_eq!(get("/graph/v1.0/me"), Ok(Route::Get(Users, Key::Me)));
        assert_eq!(get("/graph/v1.0/users/anna%40example.com"), Ok(Route::Get(Users, id("anna@example.com"))));
        assert_eq!(get("/graph/v1.0/users('$o''hara@b.c')"), Ok(Route::Get(Users, id("$o'hara@b.c"))));
        assert_eq!(get("/graph/v1.0/applications(appId='x')"), Ok(Route::Get(Applications, Key::AppId("x".into()))));
        let linked = |of, key, link| Route::ListLinked { of, key, link, only: None, ids_only: false };
        assert_eq!(get("/v1.0/groups/g/members"), Ok(linked(Groups, id("g"), Link::Members)));
        assert_eq!(get("/v1.0/me/ownedObjects"), Ok(linked(Users, Key::Me, Link::Owned)));
        assert_eq!(
            get("/v1.0/groups/g/members/microsoft.graph.user"),
            Ok(Route::ListLinked { of: Groups, key: id("g"), link: Link::Members, only: Some(Users), ids_only: false })
        );
        let of = |method: Method, path| Route::parse(&method, path).map_err(|error| error.code());
        assert_eq!(of(Method::POST, "/v1.0/directoryObjects/getByIds"), Ok(Route::GetByIds));
        assert_eq!(of(Method::POST, "/v1.0/applications/a/addPassword"), Ok(Route::AddPassword(Applications, id("a"))));
        let link = Link::Owners;
        assert_eq!(
            of(Method::POST, "/v1.0/applications/a/owners/$ref"),
            Ok(Route::AddLinked { of: Applications, key: id("a"), link })
        );
        assert_eq!(
            of(Method::DELETE, "/v1.0/applications/a/owners/o/$ref"),
            Ok(Route::RemoveLinked { of: Applications, key: id("a"), link, id: "o".into() })
        );
    }

    #[test]
    fn paths_that_lead_nowhere_are_refused() {
        for path in [
            "/",
            "/graph",
            "/graph/v2.0/users",
            "/graph/v1.0",
            "/graph/v1.0/planets",
            "/graph/v1.0/users('a'",
            "/graph/v1.0/directoryObjects",
            "/graph/v1.0/users/a/owners",
            "/graph/v1.0/users/a/addPassword",
            "/graph/v1.0/groups/g/members/m",
            "/graph/v1.0/%ff",
        ] {
            assert_eq!(get(path), Err(Code::BadRequest), "{path}");
        }
        for (method, path) in [
            (Method::DELETE, "/v1.0/me"),
            (Method::PUT, "/v1.0/users/a"),
            (Method::GET, "/v1.0/applications/a/addPassword"),
            (Method::DELETE, "/v1.0/groups"),
        ] {
            assert_eq!(Route::parse(&method, path).unwrap_err().code(), Code::MethodNotAllowed, "{method} {path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(path in "/graph/v1.0/(users|groups|me|applications)[/(')$a-z=%0-9]{0,40}") {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::PATCH] {
                let _ = Route::parse(&method, &path);
            }
        }
    }
}
