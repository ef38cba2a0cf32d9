//! Conditions of role assignments: read, printed, decided whole and in part.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_access::{Attributes, Condition, Environment, Verdict};
use wharf_model::Timestamp;

const OPERATIONS: [&str; 2] = [
    "Microsoft.ContainerRegistry/registries/repositories/content/read",
    "Microsoft.Authorization/roleAssignments/write",
];

fuzz_target!(|text: &str| {
    let condition: Condition = match text.parse() {
        Ok(condition) => condition,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    // What is printed may be longer than what was written; as long as it may be read, it reads the same.
    let printed = condition.to_string();
    if printed.len() <= 8 * 1024 && printed.matches(['(', '!']).count() <= 50 {
        assert_eq!(printed.parse::<Condition>().as_ref(), Ok(&condition), "{printed}");
    }
    let environment = Some(Environment { now: Timestamp(0), is_private: text.len().is_multiple_of(2) });
    for repository in [None, Some("team/app"), Some("")] {
        let attributes = Attributes { repository, environment, ..Attributes::default() };
        for operation in OPERATIONS {
            let whole = condition.holds(operation, &attributes);
            let in_part = match condition.reduce(operation) {
                Verdict::Always => true,
                Verdict::Never => false,
                Verdict::If(rest) => rest.holds("", &attributes),
            };
            assert_eq!(whole, in_part, "{printed} on {operation}");
        }
    }
});
