//! Operations and the patterns that roles name them by.

/// Whether a pattern of a role covers an operation.
///
/// An operation reads `Microsoft.ContainerRegistry/registries/pull/read`. In a pattern `*` stands for any text, the empty
/// one and slashes included, and may come up more than once; casing does not matter.
///
/// Takes no memory, and time in proportion to the product of both lengths at worst.
///
/// Source: Azure's description of role definitions, "Wildcards" (`acr/semantics.md` 3).
#[must_use]
pub fn covers(pattern: &str, operation: &str) -> bool {
    let (pattern, operation) = (pattern.as_bytes(), operation.as_bytes());
    let (mut p, mut o) = (0, 0);
    // Where the last star stands, and up to where of the operation it has been tried to stand for.
    let mut retry: Option<(usize, usize)> = None;
    while o < operation.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, o));
                p += 1;
            }
            Some(byte) if byte.eq_ignore_ascii_case(&operation[o]) => {
                p += 1;
                o += 1;
            }
            _ => {
                let Some((star, tried)) = retry else { return false };
                retry = Some((star, tried + 1));
                p = star + 1;
                o = tried + 1;
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_text_and_casing_does_not_matter() {
        const PULL: &str = "Microsoft.ContainerRegistry/registries/pull/read";
        for pattern in [
            "*",
            "**",
            "*/read",
            "*/READ",
            PULL,
            "microsoft.containerregistry/registries/pull/read",
            "Microsoft.ContainerRegistry/*",
            "Microsoft.ContainerRegistry/*/read",
            "Microsoft.ContainerRegistry/registries/*",
            "*/pull/*",
            "*pull/read*",
        ] {
            assert!(covers(pattern, PULL), "{pattern}");
        }
        for pattern in [
            "",
            "*/write",
            "Microsoft.ContainerRegistry",
            "Microsoft.ContainerRegistry/registries/pull",
            "Microsoft.ContainerRegistry/registries/pull/read/more",
            "/*",
            "*/pull",
            "*/rea",
            "*?ead",
        ] {
            assert!(!covers(pattern, PULL), "{pattern}");
        }
        assert!(covers("", "") && covers("*", "") && !covers("a", ""));
    }

    /// What `covers` ought to do, in the shortest way there is.
    fn by_definition(pattern: &[char], operation: &[char]) -> bool {
        match (pattern, operation) {
            ([], []) => true,
            (['*', rest @ ..], _) => {
                by_definition(rest, operation) || (!operation.is_empty() && by_definition(pattern, &operation[1..]))
            }
            ([p, pattern @ ..], [o, operation @ ..]) => p.eq_ignore_ascii_case(o) && by_definition(pattern, operation),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_cover_what_the_definition_says(pattern in "[abA*/]{0,8}", operation in "[abB/]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(covers(&pattern, &operation), by_definition(&chars(&pattern), &chars(&operation)));
        }
    }
}
