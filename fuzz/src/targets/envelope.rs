//! Bytes to lines to messages: wherever the bytes are cut the lines are the same, and each is taken
//! for what a tree of JSON says that it is.

use understudy_core::wire::{lines_of, taken_for};

use super::{headed, oracle, pieces};

/// The first byte is the longest line, 0 for no limit; the second says how the rest is cut.
pub fn envelope(data: &[u8]) {
    let (limit, data) = headed(data);
    let (by, bytes) = headed(data);
    let limit = if limit == 0 { usize::MAX >> 1 } else { usize::from(limit) };
    let lines = lines_of(limit, &[bytes]);
    assert_eq!(lines, plain_lines(bytes, limit), "whole");
    assert_eq!(lines, lines_of(limit, &pieces(bytes, by)), "in pieces");
    assert_eq!(lines, lines_of(limit, &pieces(bytes, 0)), "byte by byte");
    for line in lines.into_iter().flatten() {
        oracle::check(&line, &taken_for(&line));
    }
}

/// The lines, found the plain way. The last may lack its end.
fn plain_lines(bytes: &[u8], limit: usize) -> Vec<Option<Vec<u8>>> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    lines.pop_if(|last| last.is_empty());
    let kept = |line: &[u8]| (line.len() <= limit).then(|| line.to_vec());
    lines.into_iter().map(kept).collect()
}
