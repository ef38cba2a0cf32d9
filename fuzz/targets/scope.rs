//! Scopes as clients ask for them, and the challenge that tells clients which to ask for.

#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use wharf_model::{Action, Scope};
use wharf_oci::Challenge;

fuzz_target!(|text: &str| {
    let scopes: Vec<Scope> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    for scope in &scopes {
        assert!(!scope.name.is_empty());
        assert!(scope.actions.is_sorted() && scope.actions.len() <= Action::EVERY.len());
        assert_eq!(scope.to_string().parse::<Scope>().as_ref(), Ok(scope));
    }
    for rejects_credentials in [true, false] {
        let challenge = Challenge { base_url: text, service: text, scopes: &scopes, rejects_credentials }.to_string();
        let value = HeaderValue::from_str(&challenge).expect("a challenge can stand in a header");
        assert!(value.to_str().is_ok());
        // realm, service, and the optional scope and error, each in one pair of quotes.
        let parts = 2 + usize::from(!scopes.is_empty()) + usize::from(rejects_credentials);
        assert_eq!(challenge.matches('"').count(), 2 * parts);
    }
});
