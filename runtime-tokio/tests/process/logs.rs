//! The log on standard error, as its flag and `RUST_LOG` want it.

use std::process::Stdio;

use serde_json::Value;
use understudy_tokio::demo::scratch::Scratch;

use crate::stage::server;

/// What a server logs that is started with this behind its command line, and ends at once.
fn logged(arguments: &[&str], wanted: &str) -> Vec<String> {
    let scratch = Scratch::new().expect("folders");
    let mut command = scratch.command(&server());
    command.args(arguments).env("RUST_LOG", wanted).stdin(Stdio::null());
    let done = command.output().expect("the program runs");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stderr).lines().map(str::to_owned).collect()
}

#[test]
fn a_log_of_json_is_json() {
    let lines = logged(&["--log-format", "json"], "not/a=filter=,nor/one=this=");
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        let line: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(line["level"], "ERROR");
        let said = line["fields"]["message"].as_str().unwrap_or_default();
        assert!(said.starts_with("RUST_LOG: ignoring `"), "{said}");
    }
}

#[test]
fn a_log_of_text_names_what_it_cannot_read() {
    for arguments in [&[][..], &["--log-format", "text"]] {
        let lines = logged(arguments, "not/a=filter=");
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let said = line.contains("ERROR") && line.contains("ignoring `not/a=filter=`");
        assert!(said && !line.starts_with('{'), "{line}");
    }
}
