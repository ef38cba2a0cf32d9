//! Patterns of tags: `v*`, `release-?.*`, `*`.

use std::fmt;
use std::str::FromStr;

use crate::Tag;

/// A pattern that tags match as a whole: `*` stands for any number of characters, `?` for one, everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagPattern(Box<str>);

/// Why a text is no pattern of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePatternError {
    /// It is empty or too long.
    #[error("a pattern of tags has 1 to {most} characters", most = TagPattern::MOST_CHARACTERS)]
    Length,
    /// No tag has such a character.
    #[error("a pattern of tags is made of letters, digits, '_', '.', '-', and of '*' and '?', which stand for others")]
    Character,
}

impl TagPattern {
    /// How long a pattern may be: as long as a tag.
    pub const MOST_CHARACTERS: usize = 128;

    /// Whether a tag matches, in time that grows with the product of both lengths at most.
    #[must_use]
    pub fn matches(&self, tag: &Tag) -> bool {
        let (pattern, text) = (self.0.as_bytes(), tag.as_str().as_bytes());
        let (mut at, mut read) = (0, 0);
        // The last `*` and how much of the text it stands for so far; only that one is ever tried again.
        let mut star: Option<(usize, usize)> = None;
        while read < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, read));
                    at += 1;
                }
                Some(&wanted) if wanted == b'?' || wanted == text[read] => {
                    at += 1;
                    read += 1;
                }
                _ => {
                    let Some((position, covered)) = star else { return false };
                    star = Some((position, covered + 1));
                    at = position + 1;
                    read = covered + 1;
                }
            }
        }
        pattern[at..].iter().all(|&rest| rest == b'*')
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TagPattern {
    type Err = ParsePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > Self::MOST_CHARACTERS {
            return Err(ParsePatternError::Length);
        }
        let is_known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'*' | b'?');
        if text.bytes().all(is_known) { Ok(Self(text.into())) } else { Err(ParsePatternError::Character) }
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, tag: &str) -> bool {
        pattern.parse::<TagPattern>().unwrap().matches(&tag.parse().unwrap())
    }

    #[test]
    fn a_star_is_any_number_and_a_question_mark_is_one() {
        for (pattern, tag, expected) in [
            ("*", "v1", true),
            ("v*", "v1", true),
            ("v*", "v", true),
            ("v*", "V1", false),
            ("v*", "dev1", false),
            ("v?", "v1", true),
            ("v?", "v", false),
            ("v?", "v10", false),
            ("v1.0", "v1.0", true),
            ("v1.0", "v1x0", false),
            ("*-rc*", "v1-rc2", true),
            ("*-rc?", "v1-rc-rc2", true),
            ("*a*b", "aab", true),
            ("*a*b", "aabc", false),
            ("**", "latest", true),
        ] {
            assert_eq!(matches(pattern, tag), expected, "{pattern} {tag}");
        }
    }

    #[test]
    fn what_no_tag_can_match_is_refused() {
        for bad in ["", "a b", "v1:2", "a/b", "é", "[ab]", "a\n", &"a".repeat(129)] {
            assert!(bad.parse::<TagPattern>().is_err(), "{bad}");
        }
        assert!("*".repeat(128).parse::<TagPattern>().is_ok());
    }

    #[test]
    fn the_worst_pattern_is_quick() {
        let pattern = format!("{}b", "*a".repeat(63));
        assert!(!matches(&pattern, &"a".repeat(128)));
    }

    /// The definition, in exponential time.
    fn defined(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                defined(rest, text) || text.split_first().is_some_and(|(_, text)| defined(pattern, text))
            }
            (Some((wanted, rest)), Some((found, text))) => (*wanted == b'?' || wanted == found) && defined(rest, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_defined(pattern in "[ab*?]{1,8}", tag in "[ab]{1,10}") {
            prop_assert_eq!(matches(&pattern, &tag), defined(pattern.as_bytes(), tag.as_bytes()));
        }

        #[test]
        fn patterns_print_as_parsed(text in ".{0,140}") {
            if let Ok(pattern) = text.parse::<TagPattern>() {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }
    }
}
