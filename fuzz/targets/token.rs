//! Tokens, before their signature is checked.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_identity::{TokenProblem, parse_token};

fuzz_target!(|text: &str| {
    match parse_token(text) {
        Ok(token) => {
            assert!(text.matches('.').count() >= 2);
            assert!(token.key_id().len() <= text.len());
        }
        Err(problem) => {
            assert!(matches!(problem, TokenProblem::TooLong | TokenProblem::Malformed | TokenProblem::Algorithm));
        }
    }
});
