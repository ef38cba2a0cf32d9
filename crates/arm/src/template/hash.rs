//! The hashes behind `uniqueString()`, `guid()` and `templateHash`, equal to Azure's.

use uuid::{Uuid, uuid};

/// `uniqueString()`: 13 letters and digits.
pub(crate) fn unique_string(text: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = murmur(text.as_bytes());
    // The last of the 13 digits of five bits has four bits of the number and a zero.
    (0..13).map(|i| ALPHABET[((hash << (5 * i)) >> 59) as usize] as char).collect()
}

/// `guid()`: a version 5 UUID.
pub(crate) fn guid(text: &str) -> Uuid {
    const NAMESPACE: Uuid = uuid!("11fb06fb-712d-4ddd-98c7-e71bbd588830");
    Uuid::new_v5(&NAMESPACE, text.as_bytes())
}

/// MurmurHash3 in the 64-bit form that ARM uses: two lanes of 32 bits, with rotations and constants of its own.
pub(crate) fn murmur(data: &[u8]) -> u64 {
    const A: u32 = 0x239b_961b;
    const B: u32 = 0xab0e_9789;
    let mix_first = |k: u32| k.wrapping_mul(A).rotate_left(15).wrapping_mul(B);
    let mix_second = |k: u32| k.wrapping_mul(B).rotate_left(17).wrapping_mul(A);
    let finish = |mut h: u32| {
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        h ^ (h >> 16)
    };
    // Up to four bytes, the first one lowest.
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |word, &byte| (word << 8) | u32::from(byte));

    let (mut h1, mut h2) = (0_u32, 0_u32);
    let mut blocks = data.chunks_exact(8);
    for block in &mut blocks {
        h1 = (h1 ^ mix_first(word(&block[..4]))).rotate_left(19).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x561c_cd1b);
        h2 = (h2 ^ mix_second(word(&block[4..]))).rotate_left(13).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x0bca_a747);
    }
    let tail = blocks.remainder();
    if !tail.is_empty() {
        h1 ^= mix_first(word(&tail[..tail.len().min(4)]));
    }
    if tail.len() > 4 {
        h2 ^= mix_second(word(&tail[4..]));
    }
    #[expect(clippy::cast_possible_truncation, reason = "the hash takes the lower 32 bits of the length")]
    let length = data.len() as u32;
    h2 ^= length;
    h1 = (h1 ^ length).wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = finish(h1);
    h2 = finish(h2);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (u64::from(h2) << 32) | u64::from(h1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_azure() {
        let group = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/my-rg";
        for (text, expected) in [
            ("test", "rbgf3xv4ufgzg"),
            ("hello-world", "a7wkljktk6wne"),
            ("abc", "cgtzqvhu4i23s"),
            ("foo-bar-baz", "xzi4ioaxtmth4"),
            (group, "bmg7c6xu4tw46"),
        ] {
            assert_eq!(unique_string(text), expected, "{text}");
        }
        assert_eq!(guid("a").get_version_num(), 5);
    }
}
