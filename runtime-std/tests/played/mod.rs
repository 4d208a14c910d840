//! Plays an example as a user would, and tells whether it held what it promises.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// An example takes a second or two; on a busy machine several times as long.
const LIMIT: Duration = Duration::from_secs(120);

/// An example of this crate, as cargo has built it beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let path = test.ancestors().nth(2).map(|built| built.join("examples").join(name));
    let path = path.filter(|path| path.exists());
    path.unwrap_or_else(|| panic!("{name} was not built: run all tests of its crate, not one file"))
}

/// Runs it to its end and returns all that it said; kills one that does not end.
pub(crate) fn output(command: &mut Command) -> (ExitStatus, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, warned) = (child.stdout.take(), child.stderr.take());
    let said = thread::spawn(move || text(said));
    let warned = thread::spawn(move || text(warned));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child of this test") {
            break status;
        }
        if began.elapsed() > LIMIT {
            child.kill().expect("a child of this test");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let whole = said.join().expect("its output") + &warned.join().expect("its errors");
    (status, whole)
}

/// Plays it, and fails unless it succeeds and says so last.
pub(crate) fn holds(command: &mut Command) {
    let (status, said) = output(command);
    let good = said.lines().any(|line| line.starts_with("ok: ")) && !said.contains("FAILED");
    assert!(status.success() && good, "{command:?} ended with {status}:\n{said}");
}

fn text(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    let read = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    read.expect("a pipe").expect("what it said");
    String::from_utf8_lossy(&bytes).into_owned()
}
