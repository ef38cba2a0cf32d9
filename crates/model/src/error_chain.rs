//! Errors as one line of text, for whoever handles them.

use std::error::Error;

/// An error and everything that caused it, in one line. An error that only repeats its cause's text is told once.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut last = line.clone();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if text != last {
            line.push_str(": ");
            line.push_str(&text);
            last = text;
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Middle(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn causes_follow_their_errors_and_repeats_are_told_once() {
        assert_eq!(error_chain(&Outer(Middle(Inner))), "outer: inner");
    }
}
