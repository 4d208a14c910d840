//! Fuzz body: no command line panics, and what is said of it holds together.

use super::{Hazard, actions, hazard, one_line, plain, segments};

/// Reads `data` as a script and checks what is told of it.
pub fn fuzz_script(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let argv = vec!["bash".to_owned(), "-lc".to_owned(), text.clone()];
    let found = segments(&argv, "bash");
    let worst = found.commands.iter().map(|command| hazard(command)).max();
    assert!(worst.is_some() && !actions(&argv).is_empty(), "every command line is something");
    if let Some(script) = plain(&text) {
        // Written out and read again, the words are the same: quoting and reading agree.
        let lines: Vec<_> = script.commands.iter().map(|words| one_line(words)).collect();
        if let Some(again) = plain(&lines.join("; ")) {
            assert_eq!(again.commands, script.commands, "{text:?}");
        }
        assert!(hazard(&argv) != Hazard::Safe || worst == Some(Hazard::Safe), "{text:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fuzz_script;

    proptest! {
        #[test]
        fn no_script_breaks_it(
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "ls", "cat ", "rm -f ", "sudo ", "git ", "branch ", "bash -c ", "sed -n 1,5p ", "'",
                    "\"", "\\", " ", "\n", ";", "&&", "||", "|", "&", ">", "$", "`", "*", "=", "#",
                    "if", "cd ", "xargs ", "awk ", "find . -name ", "rg ", "-", "--", "é", "\0", "{", "!",
                ]),
                0..24,
            )
        ) {
            fuzz_script(words.concat().as_bytes());
        }

        #[test]
        fn no_bytes_break_it(data in proptest::collection::vec(any::<u8>(), 0..64)) {
            fuzz_script(&data);
        }
    }
}
