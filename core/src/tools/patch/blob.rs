//! Git's name for a content. Clients compare it; nothing relies on its being hard to forge.

use std::fmt::Write as _;

const START: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];

/// The id of a blob in git: SHA-1 (FIPS 180-4) over a header and the content, in hex.
pub(super) fn blob_id(content: &[u8]) -> String {
    let header = format!("blob {}\0", content.len());
    let mut id = String::with_capacity(40);
    for word in sha1(&[header.as_bytes(), content]) {
        // Writing to a string cannot fail.
        let _infallible = write!(id, "{word:08x}");
    }
    id
}

fn sha1(parts: &[&[u8]]) -> [u32; 5] {
    let mut state = START;
    let mut block = [0; 64];
    let mut filled = 0;
    let mut length: u64 = 0;
    let mut feed = |byte: u8, state: &mut [u32; 5]| {
        if let Some(place) = block.get_mut(filled) {
            *place = byte;
        }
        filled += 1;
        if filled == block.len() {
            compress(state, &block);
            filled = 0;
        }
        filled
    };
    for byte in parts.iter().copied().flatten() {
        feed(*byte, &mut state);
        length += 8;
    }
    let mut filled = feed(0x80, &mut state);
    while filled != 56 {
        filled = feed(0, &mut state);
    }
    for byte in length.to_be_bytes() {
        feed(byte, &mut state);
    }
    state
}

fn compress(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut words = [0u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for at in 16..80 {
        words[at] =
            (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (round, word) in words.iter().enumerate() {
        let (mix, key) = match round {
            0..20 => ((b & c) | (!b & d), 0x5A82_7999),
            20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
            40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6),
        };
        let next = a.rotate_left(5).wrapping_add(mix).wrapping_add(e);
        let next = next.wrapping_add(key).wrapping_add(*word);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
        *sum = sum.wrapping_add(part);
    }
}

#[cfg(test)]
mod tests {
    use super::{blob_id, sha1};

    /// The examples of FIPS 180, and lengths at which the padding takes one block more.
    #[test]
    fn known_digests() {
        let hex = |text: &[u8]| sha1(&[text]).map(|word| format!("{word:08x}")).concat();
        assert_eq!(hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(b""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        let long = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(hex(long.as_bytes()), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
        assert_eq!(hex(&[b'a'; 1_000_000]), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }

    /// As `git hash-object` says.
    #[test]
    fn known_blobs() {
        assert_eq!(blob_id(b"hello\nworld\n"), "94954abda49de8615a048f8d2e64b5de848e27a1");
        assert_eq!(blob_id(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }
}
