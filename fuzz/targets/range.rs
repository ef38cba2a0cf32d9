//! `Range` and `Content-Range`. The input is the size of the content in decimal, a line end, and the header.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_oci::{ByteRange, ContentRange};

fuzz_target!(|input: &str| {
    let (size, header) = input.split_once('\n').unwrap_or(("1000", input));
    let size: u64 = size.parse().unwrap_or(0);
    match ByteRange::parse(header, size) {
        ByteRange::Part(part) => assert!(part.start < part.end && part.end <= size),
        ByteRange::Whole | ByteRange::Unsatisfiable => {}
    }
    if let Ok(range) = header.parse::<ContentRange>() {
        assert!(range.length() >= 1);
        assert!(range.first().checked_add(range.length()).is_some(), "the end of a chunk is a number");
        assert_eq!(range.to_string().parse::<ContentRange>(), Ok(range));
    }
});
