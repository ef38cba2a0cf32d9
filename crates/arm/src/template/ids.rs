//! Ids of resources, put together from types and names.

use uuid::Uuid;
use wharf_model::ResourceId;

/// A type and the names along it: `Microsoft.ContainerRegistry/registries/tokens` and `reg`, `t`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeAndNames<'a> {
    pub(crate) resource_type: &'a str,
    pub(crate) names: Vec<&'a str>,
}

impl<'a> TypeAndNames<'a> {
    /// A type with a name whose parts are separated by slashes, as resources in a template have them.
    pub(crate) fn of(resource_type: &'a str, name: &'a str) -> Result<Self, String> {
        Self::new(resource_type, name.split('/').collect())
    }

    /// # Errors
    /// When there is not one name for each word of the type after the namespace.
    pub(crate) fn new(resource_type: &'a str, names: Vec<&'a str>) -> Result<Self, String> {
        let resource_type = resource_type.trim_end_matches('/');
        let words = resource_type.split('/').count();
        if words < 2 || resource_type.split('/').any(str::is_empty) {
            return Err(format!("'{resource_type}' is no resource type; one reads 'Namespace/type'"));
        }
        if names.len() != words - 1 {
            return Err(format!(
                "the type '{resource_type}' needs {} and there {} {}",
                plural(words - 1, "name"),
                if names.len() == 1 { "is" } else { "are" },
                names.len()
            ));
        }
        if names.iter().any(|name| name.is_empty()) {
            return Err(format!("a name of the resource of type '{resource_type}' is empty"));
        }
        Ok(Self { resource_type, names })
    }

    /// The id of this in a scope, which is given without a slash at its end; the root is empty.
    ///
    /// Resource groups and subscriptions have ids of their own form, whichever function asks for them.
    pub(crate) fn within(&self, scope: &str) -> String {
        if self.resource_type.eq_ignore_ascii_case(GROUPS) {
            let subscription = scope.split('/').take(3).collect::<Vec<_>>().join("/");
            return format!("{subscription}/resourceGroups/{}", self.names[0]);
        }
        if self.resource_type.eq_ignore_ascii_case(SUBSCRIPTIONS) {
            return format!("/subscriptions/{}", self.names[0]);
        }
        let mut words = self.resource_type.split('/');
        let mut id = format!("{scope}/providers/{}", words.next().unwrap_or_default());
        for (word, name) in words.zip(&self.names) {
            id.push('/');
            id.push_str(word);
            id.push('/');
            id.push_str(name);
        }
        id
    }
}

/// `resourceId([subscription], [group], type, names…)` for a deployment to `scope`, a resource group or a subscription.
pub(crate) fn resource_id(scope: &ResourceId, arguments: &[&str]) -> Result<String, String> {
    let (before, wanted) = split(arguments)?;
    let own = format!("/subscriptions/{}", scope.subscription_id().unwrap_or_default());
    let at = match *before {
        [] => scope.as_str().trim_end_matches('/').to_owned(),
        [subscription] if is_uuid(subscription) && scope.resource_group_name().is_none() => {
            format!("/subscriptions/{subscription}")
        }
        [group] => format!("{own}/resourceGroups/{group}"),
        [subscription, group] => format!("/subscriptions/{subscription}/resourceGroups/{group}"),
        _ => return Err("expects at most a subscription and a resource group before the type".to_owned()),
    };
    Ok(wanted.within(&at))
}

/// `subscriptionResourceId([subscription], type, names…)`.
pub(crate) fn subscription_resource_id(scope: &ResourceId, arguments: &[&str]) -> Result<String, String> {
    let (before, wanted) = split(arguments)?;
    match *before {
        [] => Ok(wanted.within(&format!("/subscriptions/{}", scope.subscription_id().unwrap_or_default()))),
        [subscription] => Ok(wanted.within(&format!("/subscriptions/{subscription}"))),
        _ => Err("expects at most a subscription before the type".to_owned()),
    }
}

/// `tenantResourceId(type, names…)`.
pub(crate) fn tenant_resource_id(arguments: &[&str]) -> Result<String, String> {
    match split(arguments)? {
        ([], wanted) => Ok(wanted.within("")),
        _ => Err("expects a resource type first".to_owned()),
    }
}

/// `extensionResourceId(id, type, names…)`.
pub(crate) fn extension_resource_id(arguments: &[&str]) -> Result<String, String> {
    let [base, arguments @ ..] = arguments else { return Err("expects the id of a resource first".to_owned()) };
    match split(arguments)? {
        ([], wanted) => Ok(wanted.within(base.trim_end_matches('/'))),
        _ => Err("expects a resource type after the id".to_owned()),
    }
}

/// The type is the first argument with a slash in it.
fn split<'a, 'b>(arguments: &'b [&'a str]) -> Result<(&'b [&'a str], TypeAndNames<'a>), String> {
    let at = arguments.iter().position(|argument| argument.contains('/'));
    let at = at.ok_or("expects a resource type such as 'Microsoft.ContainerRegistry/registries'")?;
    let (before, rest) = arguments.split_at(at);
    Ok((before, TypeAndNames::new(rest[0], rest[1..].to_vec())?))
}

/// The id that a template means by `text`: a full one, or one below `scope`.
pub(crate) fn absolute(scope: &ResourceId, text: &str) -> Option<ResourceId> {
    if text.starts_with('/') {
        return normal(text).parse().ok();
    }
    let (namespace, rest) = text.split_once('/')?;
    let at = scope.as_str().trim_end_matches('/');
    namespace.contains('.').then(|| format!("{at}/providers/{namespace}/{rest}").parse().ok()).flatten()
}

/// Resource groups as `…/providers/Microsoft.Resources/resourceGroups/g` become `…/resourceGroups/g`.
fn normal(id: &str) -> String {
    const INFIX: &str = "/providers/microsoft.resources/resourcegroups/";
    match id.to_ascii_lowercase().find(INFIX) {
        Some(at) => format!("{}/resourceGroups/{}", &id[..at], &id[at + INFIX.len()..]),
        None => id.to_owned(),
    }
}

fn is_uuid(text: &str) -> bool {
    text.parse::<Uuid>().is_ok()
}

fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

pub(crate) const GROUPS: &str = "Microsoft.Resources/resourceGroups";
const SUBSCRIPTIONS: &str = "Microsoft.Resources/subscriptions";

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "/subscriptions/7a1f0a52-0000-4000-8000-000000000001";
    const REGISTRY: &str = "Microsoft.ContainerRegistry/registries";

    fn group() -> ResourceId {
        format!("{SUB}/resourceGroups/g").parse().unwrap()
    }

    #[test]
    fn ids_are_put_together_as_azure_does() {
        let tokens = format!("{REGISTRY}/tokens");
        assert_eq!(
            resource_id(&group(), &[&tokens, "reg", "t"]).unwrap(),
            format!("{SUB}/resourceGroups/g/providers/{REGISTRY}/reg/tokens/t")
        );
        assert_eq!(
            resource_id(&group(), &["other", REGISTRY, "reg"]).unwrap(),
            format!("{SUB}/resourceGroups/other/providers/{REGISTRY}/reg")
        );
        let subscription: ResourceId = SUB.parse().unwrap();
        let role = "Microsoft.Authorization/roleDefinitions";
        assert_eq!(resource_id(&subscription, &[role, "x"]).unwrap(), format!("{SUB}/providers/{role}/x"));
        let groups = "Microsoft.Resources/resourceGroups/";
        assert_eq!(resource_id(&subscription, &[groups, "x"]).unwrap(), format!("{SUB}/resourceGroups/x"));
        assert_eq!(subscription_resource_id(&group(), &[role, "x"]).unwrap(), format!("{SUB}/providers/{role}/x"));
        assert_eq!(tenant_resource_id(&[role, "x"]).unwrap(), format!("/providers/{role}/x"));
        assert_eq!(extension_resource_id(&["/a/b", role, "x"]).unwrap(), format!("/a/b/providers/{role}/x"));
        assert_eq!(
            TypeAndNames::of(&format!("{REGISTRY}/providers/roleAssignments"), "r/Microsoft.Authorization/x")
                .unwrap()
                .within("/s"),
            format!("/s/providers/{REGISTRY}/r/providers/Microsoft.Authorization/roleAssignments/x")
        );
    }

    #[test]
    fn names_that_do_not_fit_the_type_are_refused() {
        let error = resource_id(&group(), &[REGISTRY, "a", "b"]).unwrap_err();
        assert_eq!(error, "the type 'Microsoft.ContainerRegistry/registries' needs 1 name and there are 2");
        assert!(resource_id(&group(), &["x"]).is_err());
        assert!(resource_id(&group(), &["a", "b", "c", REGISTRY, "d"]).is_err());
        assert!(TypeAndNames::of("Microsoft.ContainerRegistry", "").is_err());
    }

    #[test]
    fn texts_that_mean_resources_are_understood() {
        let scope = group();
        let full = format!("{SUB}/resourceGroups/g/providers/{REGISTRY}/reg");
        assert_eq!(absolute(&scope, &full).unwrap().as_str(), full);
        assert_eq!(absolute(&scope, &format!("{REGISTRY}/reg")).unwrap().as_str(), full);
        let odd = format!("{SUB}/providers/Microsoft.Resources/resourceGroups/x");
        assert_eq!(absolute(&scope, &odd).unwrap().as_str(), format!("{SUB}/resourceGroups/x"));
        assert_eq!(absolute(&scope, "reg"), None);
    }
}
