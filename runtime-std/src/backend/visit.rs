//! Owns: what a browser sends to the login listener and gets from it, as text: the head of a request
//! of HTTP/1, and an answer that closes the connection.
//! Never: looks at what a request asks for, beyond telling whether it is HTTP.

use std::fmt::Write;

use understudy_core::PageAnswer;

/// What came of reading a request's head.
#[derive(Debug, PartialEq)]
pub(super) enum Head {
    /// Method and target.
    Whole(String, String),
    /// Not HTTP/1.
    Bad,
    TooLong,
}

/// Reads a head that comes in pieces.
pub(super) struct HeadReader {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl HeadReader {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes: Vec::new(), bytes_max }
    }

    /// Takes a piece; the head, once it is there.
    pub(super) fn take(&mut self, piece: &[u8]) -> Option<Head> {
        // The end may lie across two pieces.
        let from = self.bytes.len().saturating_sub(3);
        self.bytes.extend_from_slice(piece);
        let end = self.bytes.get(from..).and_then(head_end).map(|end| from + end);
        match end {
            Some(end) if end <= self.bytes_max => {
                Some(parse(self.bytes.get(..end).unwrap_or_default()))
            }
            None if self.bytes.len() <= self.bytes_max => None,
            _ => Some(Head::TooLong),
        }
    }
}

/// Where the empty line ends.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let of = |end: &[u8]| {
        bytes.windows(end.len()).position(|window| window == end).map(|at| at + end.len())
    };
    [of(b"\r\n\r\n"), of(b"\n\n")].into_iter().flatten().min()
}

/// Reads the request line; the headers are of no interest.
fn parse(head: &[u8]) -> Head {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).ok().map(|line| line.strip_suffix('\r').unwrap_or(line));
    let mut words = line.unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    match (method, target, version, words.next()) {
        (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None)
            if is_method(method) && is_target(target) =>
        {
            Head::Whole(method.to_owned(), target.to_owned())
        }
        _ => Head::Bad,
    }
}

fn is_method(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_target(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn plain(status: u16, words: &str) -> PageAnswer {
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    PageAnswer { status, headers, body: words.to_owned() }
}

pub(super) fn answer_bytes(page: &PageAnswer, method: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {} {}\r\n", page.status, reason(page.status));
    let length = page.body.len().to_string();
    let own = [("content-length", length.as_str()), ("connection", "close")];
    let headers = page.headers.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in headers.chain(own) {
        // Writing to a string cannot fail.
        let _ok = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    if method != "HEAD" {
        text.push_str(&page.body);
    }
    text.into_bytes()
}

/// The words beside a status code.
fn reason(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).ok();
    status.and_then(|status| status.canonical_reason()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Head, HeadReader, head_end, parse};

    #[test]
    fn request_lines() {
        let whole = |method: &str, target: &str| Head::Whole(method.into(), target.into());
        for (head, want) in [
            ("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", whole("GET", "/a?b=c")),
            ("M-SEARCH / HTTP/1.0\n\n", whole("M-SEARCH", "/")),
            ("GET  / HTTP/1.1\r\n\r\n", Head::Bad),
            ("GET / HTTP/2\r\n\r\n", Head::Bad),
            ("GET / HTTP/1.1 x\r\n\r\n", Head::Bad),
            ("GET x HTTP/1.1\r\n\r\n", Head::Bad),
            ("GET /\u{7f} HTTP/1.1\r\n\r\n", Head::Bad),
            ("GET /ä HTTP/1.1\r\n\r\n", Head::Bad),
            ("\r\n\r\n", Head::Bad),
            ("", Head::Bad),
        ] {
            assert_eq!(parse(head.as_bytes()), want, "{head:?}");
        }
        assert_eq!(parse(b"GET /\xff HTTP/1.1\r\n\r\n"), Head::Bad);
    }

    #[test]
    fn ends_of_heads() {
        assert_eq!(head_end(b"a\r\n\r\nb"), Some(5));
        assert_eq!(head_end(b"a\n\nb\r\n\r\n"), Some(3));
        assert_eq!(head_end(b"a\r\n\r"), None);
    }

    #[test]
    fn a_head_may_come_in_pieces_and_has_a_bound() {
        let read = |bytes_max: usize, pieces: &[&str]| {
            let mut reader = HeadReader::new(bytes_max);
            pieces.iter().find_map(|piece| reader.take(piece.as_bytes()))
        };
        let whole = Some(Head::Whole("GET".into(), "/".into()));
        assert_eq!(read(30, &["GET / HTTP/1.1\r", "\n\r", "\nmore that is no head"]), whole);
        assert_eq!(read(17, &["GET / HTTP/1.1\r\n\r\n"]), Some(Head::TooLong));
        assert_eq!(read(18, &["GET / HTTP/1.1\r\n\r\n"]), whole);
        assert_eq!(read(18, &["GET / HTTP/1.1\r\n\r"]), None);
        assert_eq!(read(18, &["GET / HTTP/1.1\r\nabc"]), Some(Head::TooLong));
    }
}
