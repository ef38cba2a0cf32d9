//! What there is: kinds and services, found by their types.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use wharf_arm::versions::Versions;
use wharf_model::ResourceId;

use crate::kind::{About, Action, ActionAt, Kind, Place};
use crate::service::{Service, ServiceType};

/// All kinds and services.
#[derive(Debug)]
pub(crate) struct Catalogue {
    kinds: Vec<Arc<Entry>>,
    by_type: HashMap<String, usize>,
    services: Vec<Arc<ServiceEntry>>,
    namespaces: BTreeSet<&'static str>,
}

/// A kind, with what is worked out from it once.
pub(crate) struct Entry {
    pub(crate) kind: Arc<dyn Kind>,
    pub(crate) about: &'static About,
    /// `Microsoft.ContainerRegistry/registries/tokens`.
    pub(crate) type_name: String,
    pub(crate) read: String,
    pub(crate) write: String,
    pub(crate) delete: String,
    /// Whether clients look for `properties.provisioningState`.
    pub(crate) has_state: bool,
}

/// A type that a service answers.
#[derive(Debug)]
pub(crate) struct ServiceEntry {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) about: &'static ServiceType,
    route: &'static str,
}

impl Catalogue {
    /// Puts the tables together.
    pub(crate) fn new(kinds: Vec<Arc<dyn Kind>>, services: Vec<Arc<dyn Service>>) -> Self {
        let kinds: Vec<Arc<Entry>> = kinds.into_iter().map(|kind| Arc::new(Entry::new(kind))).collect();
        let by_type = kinds.iter().enumerate().map(|(at, entry)| (entry.type_name.to_ascii_lowercase(), at)).collect();
        let mut types = Vec::new();
        for service in services {
            for about in service.types() {
                let route = intern(format!("management.{}", about.word));
                types.push(Arc::new(ServiceEntry { service: service.clone(), about, route }));
            }
        }
        let services = types;
        let namespaces = kinds.iter().map(|entry| entry.about.namespace);
        let namespaces = namespaces.chain(services.iter().map(|entry| entry.service.namespace())).collect();
        Self { kinds, by_type, services, namespaces }
    }

    /// Every kind.
    pub(crate) fn kinds(&self) -> &[Arc<Entry>] {
        &self.kinds
    }

    /// Every type of a service.
    pub(crate) fn services(&self) -> &[Arc<ServiceEntry>] {
        &self.services
    }

    /// Every namespace, in the documented spelling.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &'static str> {
        self.namespaces.iter().copied()
    }

    /// The namespace in the documented spelling.
    pub(crate) fn find_namespace(&self, namespace: &str) -> Option<&'static str> {
        self.namespaces().find(|known| known.eq_ignore_ascii_case(namespace))
    }

    /// The kind of a type, in any casing.
    pub(crate) fn find_kind(&self, type_name: &str) -> Option<&Arc<Entry>> {
        self.by_type.get(&type_name.to_ascii_lowercase()).map(|&at| &self.kinds[at])
    }

    /// The service that answers a type, in any casing.
    pub(crate) fn find_service(&self, namespace: &str, word: &str) -> Option<&Arc<ServiceEntry>> {
        self.services.iter().find(|entry| {
            entry.service.namespace().eq_ignore_ascii_case(namespace) && entry.about.word.eq_ignore_ascii_case(word)
        })
    }

    /// An action at the namespace in a subscription, with the kind whose it is.
    pub(crate) fn find_subscription_action(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<(&Arc<Entry>, &'static Action)> {
        let of = self.kinds.iter().filter(|entry| entry.about.namespace.eq_ignore_ascii_case(namespace));
        of.filter_map(|entry| Some((entry, entry.find_action(ActionAt::Subscription, name)?))).next()
    }
}

impl Entry {
    fn new(kind: Arc<dyn Kind>) -> Self {
        let about = kind.about();
        let operation = |verb: &str| format!("{}/{verb}", about.operations);
        Self {
            about,
            type_name: about.type_name(),
            read: operation("read"),
            write: operation("write"),
            delete: operation("delete"),
            has_state: about.properties.iter().any(|property| property.path == "provisioningState"),
            kind,
        }
    }

    /// One of its actions, by its word in any casing.
    pub(crate) fn find_action(&self, at: ActionAt, name: &str) -> Option<&'static Action> {
        self.about.actions.iter().find(|action| action.at == at && action.name.eq_ignore_ascii_case(name))
    }

    /// Whether resources of the kind stand in the generic lists.
    pub(crate) fn is_listed(&self) -> bool {
        self.about.is_tracked && self.about.place != Place::Subscription
    }

    /// The id of a resource of this kind, its words in the documented spelling.
    pub(crate) fn spell(&self, id: &ResourceId) -> ResourceId {
        if self.about.place == Place::Subscription {
            return id.clone();
        }
        let text = id.as_str();
        let Some(at) = text.rfind(PROVIDERS) else { return id.clone() };
        let names = text[at + PROVIDERS.len()..].split('/').skip(2).step_by(2);
        let mut spelled = format!("{}{PROVIDERS}{}", &text[..at], self.about.namespace);
        for (word, name) in self.about.path.split('/').zip(names) {
            spelled.push('/');
            spelled.push_str(word);
            spelled.push('/');
            spelled.push_str(name);
        }
        spelled.parse().unwrap_or_else(|_| id.clone())
    }

    /// What a request to it is called in logs and metrics.
    pub(crate) fn route(&self, verb: &str) -> &'static str {
        intern(format!("management.{}.{verb}", self.about.path.replace('/', ".")))
    }
}

impl ServiceEntry {
    pub(crate) fn route(&self) -> &'static str {
        self.route
    }

    pub(crate) fn versions(&self) -> Versions {
        self.about.versions
    }

    /// The methods that it has, for those who used another.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &Method> {
        self.about.endpoints.iter().map(|endpoint| &endpoint.method)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.type_name).finish()
    }
}

/// One text for each name, for as long as the process runs. There are few: they are made of what this program has.
fn intern(name: String) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name.as_str()) {
        return known;
    }
    let kept: &'static str = Box::leak(name.into_boxed_str());
    names.insert(kept);
    kept
}

const PROVIDERS: &str = "/providers/";
