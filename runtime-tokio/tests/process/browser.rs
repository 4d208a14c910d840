//! Owns: a user's browser, as plain as it can be: it follows one redirect after the other. And the
//! one port that all logins of this machine share.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;

use understudy_tokio::demo::seen::Trouble;

use crate::stage::WAIT_LIMIT;

/// Where the authority sends browsers back to.
pub(crate) const PORT: u16 = 1455;

/// The right to use [`PORT`]; other tests wait, also those of another copy of this program.
pub(crate) struct PortTurn(#[expect(dead_code, reason = "held until it is dropped")] File);

impl PortTurn {
    pub(crate) fn take() -> Result<Self, Trouble> {
        let file = File::create(std::env::temp_dir().join("understudy-test-port-1455.lock"))?;
        file.lock()?;
        Ok(Self(file))
    }
}

/// What a browser got.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Page {
    /// The value of a header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }
}

/// A request that was sent.
pub(crate) struct Loading(TcpStream);

impl Loading {
    pub(crate) fn begin(method: &str, url: &str) -> Result<Self, Trouble> {
        let rest = url.strip_prefix("http://").ok_or_else(|| Trouble(format!("bad URL {url}")))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = host.replace("localhost", "127.0.0.1");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(WAIT_LIMIT))?;
        write!(stream, "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        Ok(Self(stream))
    }

    /// The whole answer; trouble if the connection was closed without one.
    pub(crate) fn page(mut self) -> Result<Page, Trouble> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4 << 10];
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
                let page =
                    Page { status: status.unwrap_or(0), head: head.into(), body: body.into() };
                let length = page.header("content-length").and_then(|len| len.parse().ok());
                if length.is_some_and(|length: usize| page.body.len() >= length) {
                    return Ok(page);
                }
            }
            match self.0.read(&mut chunk)? {
                0 => return Err(Trouble(format!("the page broke off: {text}"))),
                n => bytes.extend_from_slice(&chunk[..n]),
            }
        }
    }
}

/// Loads a page.
pub(crate) fn get(url: &str) -> Result<Page, Trouble> {
    Loading::begin("GET", url)?.page()
}

/// Signs in at the authority, and gives back where the browser is sent then.
pub(crate) fn authorize(auth_url: &str) -> Result<String, Trouble> {
    let page = get(auth_url)?;
    let target = page.header("location").map(str::to_owned);
    target.ok_or_else(|| Trouble(format!("no redirect: {page:?}")))
}

/// Signs in, is sent back, and gives what the user sees in the end.
pub(crate) fn sign_in(auth_url: &str) -> Result<Page, Trouble> {
    get(&authorize(auth_url)?)
}
