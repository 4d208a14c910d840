//! Fuzz body: no command line panics, and what is said of it holds together.

use super::{Hazard, actions, hazard, one_line, plain, segments};

/// Reads `data` as a script and checks what is told of it.
pub fn fuzz_script(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let argv = vec!["bash".to_owned(), "-lc".to_owned(), text.clone()];
    let (commands, _) = segments(&argv);
    let worst = commands.iter().map(|command| hazard(command)).max();
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
