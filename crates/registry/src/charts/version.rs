//! Versions of charts, as Helm reads them: semantic versions of which parts may be missing.

use wharf_model::Tag;

/// Reads a version. A `v` before it, zeros before its numbers and missing numbers are forgiven.
pub(super) fn parse(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let mut whole = String::with_capacity(text.len() + 4);
    let mut count = 0;
    for number in numbers.split('.') {
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let trimmed = number.trim_start_matches('0');
        whole.push_str(if count == 0 { "" } else { "." });
        whole.push_str(if trimmed.is_empty() { "0" } else { trimmed });
        count += 1;
    }
    for _ in count..3 {
        whole.push_str(".0");
    }
    whole.push_str(rest);
    semver::Version::parse(&whole).ok()
}

/// The tag that stands for a version: no tag holds a `+`, so Helm writes `_` for it.
pub(super) fn tag(version: &str) -> Option<Tag> {
    version.replace('+', "_").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_helm_reads_them() {
        let parsed = |text| parse(text).map(|version| version.to_string()).unwrap_or_default();
        for (text, version) in [
            ("1.2.3", "1.2.3"),
            ("v1.2.3-rc.1+build.5", "1.2.3-rc.1+build.5"),
            ("1", "1.0.0"),
            ("1.2-beta", "1.2.0-beta"),
            ("2024.01.05", "2024.1.5"),
            ("0.0.0", "0.0.0"),
        ] {
            assert_eq!(parsed(text), version, "{text}");
        }
        for text in ["", "v", "1.2.3.4", "1..2", "a.b.c", "1.2.3 ", "-1", "1.2.3+", "1.2.3-01", "１.0.0", "1.2.3/4"] {
            assert_eq!(parsed(text), "", "{text}");
        }
        assert!(parse("1.10.0") > parse("1.9.0") && parse("1.0.0") > parse("1.0.0-rc"));
    }

    #[test]
    fn a_version_has_a_tag() {
        assert_eq!(tag("1.2.3+a.b").unwrap().as_str(), "1.2.3_a.b");
        assert!(tag(&format!("1.0.0-{}", "a".repeat(200))).is_none());
    }
}
