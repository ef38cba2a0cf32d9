//! Actions of scope maps, one a line, and the rights that they come to.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_access::{Environment, Rights, ScopeMapAction};
use wharf_model::{Action, ResourceKind, Timestamp};

fuzz_target!(|text: &str| {
    let actions: Vec<ScopeMapAction> = text.lines().filter_map(|line| line.parse().ok()).collect();
    for action in &actions {
        assert_eq!(action.to_string().parse::<ScopeMapAction>().as_ref(), Ok(action));
    }
    let rights = Rights::of_scope_map(&actions);
    let environment = Environment { now: Timestamp(0), is_private: false };
    let pulls = |name: &str| rights.allow(Action::Pull, ResourceKind::Repository, name, environment);
    for action in &actions {
        let Some(repository) = action.repository() else { continue };
        if !action.to_string().ends_with("/content/read") {
            continue;
        }
        match repository.strip_suffix('*') {
            Some(prefix) => assert!(pulls(&format!("{prefix}a")) && pulls(&format!("{prefix}a/b"))),
            None => assert!(pulls(repository)),
        }
    }
    if pulls("*") {
        assert!(pulls("anything"));
    }
    assert!(!rights.allow(Action::All, ResourceKind::Registry, "catalog", environment), "no scope map lists");
});
