//! Comparisons of texts, made ready once so that they take no memory when a request is decided.

use std::fmt;

/// A text, or a pattern of texts, to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// The whole text.
    Whole(Box<str>),
    /// How the text begins.
    Start(Box<str>),
    /// `*` stands for any text, `?` for any character.
    Like(Box<[Piece]>),
}

/// A character of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    One(char),
    Any,
    AnyText,
}

/// Which of the three comparisons an operator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Whole,
    Start,
    Like,
}

impl Pattern {
    /// Reads what stands between quotes. A backslash takes the meaning from a quote, a backslash and, in patterns, from
    /// `*` and `?`; before anything else it stands for itself.
    pub(super) fn read(comparison: Comparison, quoted: &str) -> Self {
        let plain = || unescape(quoted).map(|(c, _)| c).collect::<String>().into_boxed_str();
        match comparison {
            Comparison::Whole => Self::Whole(plain()),
            Comparison::Start => Self::Start(plain()),
            Comparison::Like => {
                let piece = |(c, is_escaped): (char, bool)| match c {
                    '*' if !is_escaped => Piece::AnyText,
                    '?' if !is_escaped => Piece::Any,
                    c => Piece::One(c),
                };
                Self::Like(unescape(quoted).map(piece).collect())
            }
        }
    }

    pub(super) fn matches(&self, text: &str, ignores_case: bool) -> bool {
        match self {
            Self::Whole(whole) => compares(Comparison::Whole, text, whole, ignores_case),
            Self::Start(start) => compares(Comparison::Start, text, start, ignores_case),
            Self::Like(pieces) => is_like(pieces, text, ignores_case),
        }
    }
}

/// Compares two texts as they are. Patterns are written in conditions, so none of them is one.
pub(super) fn compares(comparison: Comparison, text: &str, with: &str, ignores_case: bool) -> bool {
    match comparison {
        Comparison::Whole | Comparison::Like if ignores_case => folded(with).eq(folded(text)),
        Comparison::Whole | Comparison::Like => with == text,
        Comparison::Start if ignores_case => {
            let mut text = folded(text);
            folded(with).all(|c| text.next() == Some(c))
        }
        Comparison::Start => text.starts_with(with),
    }
}

/// As it is written between quotes.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = |f: &mut fmt::Formatter<'_>, c: char, escaped: &str| {
            if escaped.contains(c) {
                f.write_str("\\")?;
            }
            write!(f, "{c}")
        };
        match self {
            // An escaped star reads the same without the backslash here, and the other way round.
            Self::Whole(text) | Self::Start(text) => text.chars().try_for_each(|c| escape(f, c, "'\\")),
            Self::Like(pieces) => pieces.iter().try_for_each(|piece| match piece {
                Piece::One(c) => escape(f, *c, "'\\*?"),
                Piece::Any => f.write_str("?"),
                Piece::AnyText => f.write_str("*"),
            }),
        }
    }
}

/// The characters, and of each whether a backslash stood before it.
fn unescape(quoted: &str) -> impl Iterator<Item = (char, bool)> {
    let mut chars = quoted.chars().peekable();
    std::iter::from_fn(move || match chars.next()? {
        '\\' => match chars.next_if(|c| "'\\*?".contains(*c)) {
            Some(c) => Some((c, true)),
            None => Some(('\\', false)),
        },
        c => Some((c, false)),
    })
}

/// Characters with their casing taken away. Each stays one character, which is exact for all that names may hold.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(fold)
}

fn fold(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn is_like(pieces: &[Piece], text: &str, ignores_case: bool) -> bool {
    let same = |piece: char, c: char| piece == c || (ignores_case && fold(piece) == fold(c));
    let (mut p, mut rest) = (0, text);
    // Where the last star stands, and what was left of the text when it was tried last.
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let next = rest.chars().next();
        match (pieces.get(p), next) {
            (Some(Piece::AnyText), _) => {
                retry = Some((p, rest));
                p += 1;
            }
            (Some(Piece::Any), Some(c)) => {
                p += 1;
                rest = &rest[c.len_utf8()..];
            }
            (Some(Piece::One(piece)), Some(c)) if same(*piece, c) => {
                p += 1;
                rest = &rest[c.len_utf8()..];
            }
            (None, None) => return true,
            _ => {
                let Some((star, tried)) = retry else { return false };
                let Some(c) = tried.chars().next() else { return false };
                rest = &tried[c.len_utf8()..];
                retry = Some((star, rest));
                p = star + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn like(pattern: &str, text: &str) -> bool {
        Pattern::read(Comparison::Like, pattern).matches(text, false)
    }

    #[test]
    fn patterns_have_two_wildcards_and_an_escape() {
        for (pattern, text) in [
            ("team/*", "team/app"),
            ("team/*", "team/"),
            ("*", ""),
            ("**", "a"),
            ("*-prod", "a/b-prod"),
            ("a*b*c", "aXbXbXc"),
            ("te?m/*", "teem/x"),
            (r"a\*", "a*"),
            (r"a\?", "a?"),
            (r"\\*", r"\x"),
            (r"a\b", r"a\b"),
            ("ä?", "äö"),
        ] {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("team/*", "team"), ("?", ""), ("a*b", "ac"), (r"a\*", "ab"), ("A", "a"), ("", "a"), ("a?", "a")]
        {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn casing_may_be_ignored_everywhere() {
        for comparison in [Comparison::Whole, Comparison::Start, Comparison::Like] {
            let pattern = Pattern::read(comparison, "Team/ÄPP");
            assert!(pattern.matches("tEAM/äpp", true) && !pattern.matches("tEAM/äpp", false), "{comparison:?}");
        }
        let start = Pattern::read(Comparison::Start, "team/");
        assert!(start.matches("team/app", false) && !start.matches("team2/app", false) && !start.matches("tea", true));
        assert!(Pattern::read(Comparison::Whole, r"it\'s").matches("it's", false));
    }

    proptest! {
        #[test]
        fn a_text_is_like_itself_escaped(text in r"[a-c*?\\']{0,8}", other in r"[a-c*?\\']{0,8}") {
            let escaped: String = text.chars().flat_map(|c| ['\\', c].into_iter().skip(usize::from(!"'\\*?".contains(c)))).collect();
            prop_assert!(like(&escaped, &text));
            prop_assert_eq!(like(&escaped, &other), text == other);
        }

        #[test]
        fn patterns_print_as_read(quoted in r"([a-c*?]|\\[\\'*?]){0,8}") {
            for comparison in [Comparison::Whole, Comparison::Start, Comparison::Like] {
                let pattern = Pattern::read(comparison, &quoted);
                prop_assert_eq!(Pattern::read(comparison, &pattern.to_string()), pattern);
            }
        }
    }
}
