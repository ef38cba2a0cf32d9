//! `Range` on downloads and `Content-Range` on uploads, two headers with two grammars.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// What a `Range` header asks for, given the size of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// The whole content: the header is absent, or one that a server may ignore.
    Whole,
    /// These bytes, at least one; answered by 206.
    Part(Range<u64>),
    /// Bytes that are not there; answered by 416.
    Unsatisfiable,
}

impl ByteRange {
    /// Reads a `Range` header for content of `size` bytes.
    ///
    /// Several ranges, other units and malformed headers are ignored, as RFC 9110 (section 14.2) allows. A range that
    /// ends before it begins is one that cannot be satisfied, since the conformance program insists on that.
    #[must_use]
    pub fn parse(header: &str, size: u64) -> Self {
        let Some((unit, range)) = header.trim().split_once('=') else { return Self::Whole };
        let Some((first, last)) = range.trim().split_once('-') else { return Self::Whole };
        if !unit.trim_end().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        match (position(first), position(last)) {
            (Some(first), _) if first >= size && (last.is_empty() || position(last).is_some()) => Self::Unsatisfiable,
            (Some(first), None) if last.is_empty() => Self::Part(first..size),
            (Some(first), Some(last)) if first <= last => Self::Part(first..last.saturating_add(1).min(size)),
            (Some(_), Some(_)) => Self::Unsatisfiable,
            (None, Some(0)) if first.is_empty() => Self::Unsatisfiable,
            // Nothing has no last bytes, and 206 has no way to say so.
            (None, Some(_)) if first.is_empty() && size == 0 => Self::Whole,
            (None, Some(length)) if first.is_empty() => Self::Part(size.saturating_sub(length)..size),
            _ => Self::Whole,
        }
    }
}

/// A number that may be too large for us; then it lies past the end of anything.
fn position(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// The position of an upload's chunk: `<first>-<last>`, both inclusive and without a unit.
///
/// Source: distribution-spec, "Pushing a blob in chunks"; `bytes 0-9/*` is not this grammar (`acr/data-plane.md` 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    first: u64,
    last: u64,
}

/// A `Content-Range` header is not written as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Content-Range header format is invalid")]
pub struct ParseContentRangeError;

impl ContentRange {
    /// The position of the chunk's first byte.
    #[must_use]
    pub fn first(self) -> u64 {
        self.first
    }

    /// The chunk's length in bytes, at least 1.
    #[must_use]
    pub fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

impl FromStr for ContentRange {
    type Err = ParseContentRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.trim().split_once('-').ok_or(ParseContentRangeError)?;
        let number = |digits: &str| position(digits).filter(|&n| n < u64::MAX).ok_or(ParseContentRangeError);
        let (first, last) = (number(first)?, number(last)?);
        if first > last { Err(ParseContentRangeError) } else { Ok(Self { first, last }) }
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn single_ranges_are_honoured() {
        for (header, expected) in [
            ("bytes=0-0", ByteRange::Part(0..1)),
            ("bytes=500-1499", ByteRange::Part(500..1500)),
            ("bytes=500-", ByteRange::Part(500..2048)),
            ("bytes=-500", ByteRange::Part(1548..2048)),
            ("bytes=-5000", ByteRange::Part(0..2048)),
            ("bytes=2000-5000", ByteRange::Part(2000..2048)),
            ("Bytes=2000-99999999999999999999999", ByteRange::Part(2000..2048)),
            ("bytes=0-18446744073709551615", ByteRange::Part(0..2048)),
            ("bytes=2048-", ByteRange::Unsatisfiable),
            ("bytes=5000-10000", ByteRange::Unsatisfiable),
            ("bytes=99999999999999999999999-", ByteRange::Unsatisfiable),
            ("bytes=500-0", ByteRange::Unsatisfiable),
            ("bytes=-0", ByteRange::Unsatisfiable),
        ] {
            assert_eq!(ByteRange::parse(header, 2048), expected, "{header}");
        }
    }

    #[test]
    fn what_may_be_ignored_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=1-x",
            "bytes=9999-x",
            "bytes=+1-2",
            "bytes=0-1,5-6",
            "lines=0-1",
            "bytes=--1",
            "bytes 0-1",
        ] {
            assert_eq!(ByteRange::parse(header, 2048), ByteRange::Whole, "{header}");
        }
    }

    #[test]
    fn nothing_has_no_part() {
        assert_eq!(ByteRange::parse("bytes=0-", 0), ByteRange::Unsatisfiable);
        assert_eq!(ByteRange::parse("bytes=0-0", 0), ByteRange::Unsatisfiable);
        assert_eq!(ByteRange::parse("bytes=-1", 0), ByteRange::Whole);
    }

    #[test]
    fn content_ranges_have_no_unit() {
        let range: ContentRange = "5-9".parse().unwrap();
        assert_eq!((range.first(), range.length()), (5, 5));
        for bad in [
            "",
            "5",
            "5-",
            "-9",
            "9-5",
            "bytes 0-9/*",
            "bytes=0-9",
            "0-9/10",
            "+0-9",
            "0-18446744073709551615",
            "0 - 9",
        ] {
            assert!(bad.parse::<ContentRange>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parts_lie_inside_and_are_not_empty(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", size: u64) {
            if let ByteRange::Part(part) = ByteRange::parse(&header, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn content_ranges_print_as_parsed(a in 0..u64::MAX, b in 0..u64::MAX) {
            let text = format!("{}-{}", a.min(b), a.max(b));
            prop_assert_eq!(text.parse::<ContentRange>().unwrap().to_string(), text);
        }

        #[test]
        fn nothing_panics(text in ".{0,40}", size: u64) {
            let _ = ByteRange::parse(&text, size);
            let _ = text.parse::<ContentRange>();
        }
    }
}
