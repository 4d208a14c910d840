//! Owns: what the helper is told, as bytes.
//!
//! It comes through a socket, not as arguments or variables: those would be seen by the dynamic
//! loader of the helper, which is not confined yet, and a confined program may have written a
//! library to where `LD_LIBRARY_PATH` leads.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::view::View;

/// What to run, and how it is held.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) argv: Vec<OsString>,
    /// Names and values.
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) cwd: PathBuf,
    /// Whether standard input is the terminal that standard output is.
    pub(super) has_terminal: bool,
    pub(super) network: bool,
    /// None leaves files alone.
    pub(super) view: Option<View>,
}

impl Order {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut list = |items: &mut dyn Iterator<Item = &[u8]>| {
            let items: Vec<_> = items.collect();
            bytes.extend((items.len() as u64).to_le_bytes());
            for item in items {
                bytes.extend((item.len() as u64).to_le_bytes());
                bytes.extend(item);
            }
        };
        list(&mut self.argv.iter().map(|word| word.as_bytes()));
        list(&mut self.env.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
        let flag = |is: bool| if is { b"y".as_slice() } else { b"" };
        let flags = [self.has_terminal, self.network, self.view.is_some()].map(flag);
        list(&mut [self.cwd.as_os_str().as_bytes()].into_iter().chain(flags));
        let view = self.view.as_ref();
        for paths in view.into_iter().flat_map(View::lists) {
            list(&mut paths.iter().map(|path| path.as_os_str().as_bytes()));
        }
        to.write_all(&bytes)
    }

    /// Reads what was written, to the end of `from`.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let argv = read_list(from)?;
        let mut vars = read_list(from)?.into_iter();
        let mut env = Vec::new();
        while let (Some(name), Some(value)) = (vars.next(), vars.next()) {
            env.push((name, value));
        }
        let mut rest = read_list(from)?.into_iter();
        let cwd = rest.next().unwrap_or_default().into();
        let mut flag = || rest.next().is_some_and(|flag| !flag.is_empty());
        let (has_terminal, network, has_view) = (flag(), flag(), flag());
        let mut paths = || -> io::Result<Vec<PathBuf>> {
            Ok(read_list(from)?.into_iter().map(PathBuf::from).collect())
        };
        let view = match has_view {
            true => {
                let (writable, pinned, read_only) = (paths()?, paths()?, paths()?);
                Some(View { writable, pinned, read_only })
            }
            false => None,
        };
        Ok(Self { argv, env, cwd, has_terminal, network, view })
    }
}

fn read_list(from: &mut impl Read) -> io::Result<Vec<OsString>> {
    let mut number = || -> io::Result<u64> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    };
    let count = number()?;
    let mut items = Vec::new();
    for _ in 0..count {
        let mut number = [0; 8];
        from.read_exact(&mut number)?;
        let len = u64::from_le_bytes(number);
        let mut item = Vec::new();
        if from.by_ref().take(len).read_to_end(&mut item)? as u64 != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        items.push(OsString::from_vec(item));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word() -> impl Strategy<Value = OsString> {
        prop::collection::vec(1..=255_u8, 0..6).prop_map(OsString::from_vec)
    }

    fn paths() -> impl Strategy<Value = Vec<PathBuf>> {
        prop::collection::vec(word().prop_map(PathBuf::from), 0..3)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            argv in prop::collection::vec(word(), 0..4),
            env in prop::collection::vec((word(), word()), 0..4),
            cwd in word(),
            flags in any::<[bool; 3]>(),
            lists in (paths(), paths(), paths()),
        ) {
            let [has_terminal, network, has_view] = flags;
            let (writable, pinned, read_only) = lists;
            let view = has_view.then_some(View { writable, pinned, read_only });
            let order = Order { argv, env, cwd: cwd.into(), has_terminal, network, view };
            let mut bytes = Vec::new();
            order.write(&mut bytes).expect("written");
            prop_assert_eq!(Order::read(&mut bytes.as_slice()).expect("read"), order);
            for cut in 0..bytes.len() {
                prop_assert!(Order::read(&mut &bytes[..cut]).is_err(), "cut at {}", cut);
            }
        }
    }
}
