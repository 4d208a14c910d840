//! Owns: what is kept of a program's output, and how it reads as text.

/// The beginning of what a program says. What comes after the bound is dropped (engine.md §3.3).
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(crate) struct Kept {
    bytes: Vec<u8>,
    bytes_max: usize,
    is_cut: bool,
}

impl Kept {
    /// Keeps at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max, is_cut: false }
    }

    /// Takes what came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = self.bytes_max - self.bytes.len();
        self.is_cut |= bytes.len() > room;
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Whether something was dropped.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The bytes themselves.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As text: what is no UTF-8 is replaced, and a character that the bound cut through is left
    /// out.
    pub(crate) fn text(&self) -> String {
        let mut bytes = self.bytes.as_slice();
        if self.is_cut
            && let Some(last) = bytes.utf8_chunks().last()
            && is_begun(last.invalid())
        {
            bytes = bytes.get(..bytes.len() - last.invalid().len()).unwrap_or(bytes);
        }
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// Whether these bytes are a character without its end.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::Kept;

    fn kept(max: usize, chunks: &[&[u8]]) -> (String, bool) {
        let mut kept = Kept::new(max);
        chunks.iter().for_each(|chunk| kept.push(chunk));
        (kept.text(), kept.is_cut())
    }

    #[test]
    fn the_beginning_is_kept_and_reads_as_text() {
        assert_eq!(kept(4, &[b"ab", b"cd"]), ("abcd".to_owned(), false));
        assert_eq!(kept(4, &[b"ab", b"cde", b"f"]), ("abcd".to_owned(), true));
        assert_eq!(kept(9, &["é".as_bytes(), b"\xff"]), ("é\u{fffd}".to_owned(), false));
        // The bound is within a character, which nobody sees then; one that the program itself
        // left unfinished is shown as such.
        assert_eq!(kept(2, &["a€".as_bytes()]), ("a".to_owned(), true));
        assert_eq!(kept(9, &[b"a\xe2"]), ("a\u{fffd}".to_owned(), false));
        assert_eq!(kept(0, &[b"a"]), (String::new(), true));
    }
}
