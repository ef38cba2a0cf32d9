//! Patterns of claims: `*` stands for any characters, `?` for one; everything else for itself.

/// Whether all of `text` fits `pattern`. Takes at most as many steps as the one's length times the other's.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when it does not fit: behind the last star, with one character more taken by it.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t + 1));
                p += 1;
            }
            Some(&character) if character == '?' || character == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, taken)) => {
                    (p, t) = (after_star, taken);
                    retry = Some((after_star, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&character| character == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("repo:contoso/app:ref:refs/heads/main", "repo:contoso/app:ref:refs/heads/main"),
            ("repo:contoso/*:ref:refs/heads/*", "repo:contoso/app:ref:refs/heads/feature/x"),
            ("system:serviceaccount:*:builder", "system:serviceaccount:ci:builder"),
            ("a?c", "aäc"),
            ("*a*b*", "xxaxxbxx"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("a", "A"),
            ("repo:contoso/*", "xrepo:contoso/app"),
            ("repo:contoso/app:ref:refs/heads/main", "repo:contoso/app:ref:refs/heads/main2"),
            ("a?c", "ac"),
            ("*a*b", "xxbxxa"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
        assert!(!matches(&format!("{}b", "*a".repeat(50)), &"a".repeat(4_000)));
    }

    proptest! {
        #[test]
        fn text_fits_itself_and_a_star(text in "[^*?]{0,30}", pattern in "[a*?]{0,8}") {
            prop_assert!(matches(&text, &text));
            prop_assert!(matches("*", &text));
            let _ = matches(&pattern, &text);
        }
    }
}
