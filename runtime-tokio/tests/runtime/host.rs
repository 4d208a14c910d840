//! The binary as a host sees it: streams, signals, exit codes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::program::program;

/// The watchdog's two seconds and some for a loaded machine.
const END: Duration = Duration::from_millis(3500);

fn understudy(home: &tempfile::TempDir) -> Command {
    let mut command = Command::new(program());
    command.env("CODEX_HOME", home.path()).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The child's end; fails the test if it does not end in time.
fn end_of(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        if started.elapsed() > END {
            child.kill().expect("killed");
            panic!("still alive after {END:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn wrong_use_and_questions_have_their_codes() {
    let home = home();
    let run = |arguments: &[&str]| {
        let output = understudy(&home).args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("run");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, stdout, _) = run(&["--version"]);
    assert_eq!(code, Some(0));
    assert_eq!(stdout, "understudy 0.1.0 (serves protocol 0.94.0)\n");
    let (code, stdout, stderr) = run(&["nonsense"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("nonsense"), "{stderr}");
    let (code, ..) = run(&["--analytics-default-enabled", "app-server"]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_home_that_is_missing_is_fatal_and_said_so() {
    let mut command = understudy(&home());
    let output = command.env("CODEX_HOME", "/none/of/this").output().expect("run");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert!(stderr.starts_with("Error: CODEX_HOME /none/of/this cannot be used: "), "{stderr}");
    assert_eq!(output.stdout, b"");
}

/// Defaults in the place of what was asked for might allow more than that (config.md §2.9).
#[test]
fn settings_of_the_command_line_that_are_wrong_are_fatal_and_said_so() {
    let home = home();
    for (setting, fault) in [
        ("model=3", "invalid type: integer `3`, expected a string\nin `model`"),
        ("sandbox_mode=read-onyl", "unknown variant `read-onyl`"),
        ("model_provider=none", "Model provider `none` not found\n"),
        ("model_provider=mine", "Model provider `mine` not found (first: /"),
    ] {
        let config = if setting.ends_with("mine") { "[model_providers.mine" } else { "" };
        std::fs::write(home.path().join("config.toml"), config).expect("written");
        let mut child = understudy(&home).args(["app-server", "-c", setting]).spawn().expect("run");
        let request = b"{\"id\":1,\"method\":\"initialize\",\"params\":{}}\n";
        child.stdin.as_mut().expect("a pipe").write_all(request).expect("taken");
        assert_eq!(end_of(&mut child).code(), Some(1), "{setting}");
        let output = child.wait_with_output().expect("its output");
        let stderr = String::from_utf8(output.stderr).expect("text");
        let wanted = format!("Error: error loading default config after config error: {fault}");
        assert!(stderr.contains(&wanted), "{setting}: {stderr}");
        assert_eq!(output.stdout, b"", "{setting}");
    }
}

#[test]
fn the_end_of_input_is_the_end_whatever_input_is() {
    let home = home();
    let file = home.path().join("input");
    std::fs::write(&file, "\n").expect("written");
    let (socket, _) = UnixStream::pair().expect("sockets");
    let inputs = [
        Stdio::piped(),
        Stdio::null(),
        Stdio::from(File::open(&file).expect("opened")),
        Stdio::from(OwnedFd::from(socket)),
    ];
    for input in inputs {
        let mut child = understudy(&home).arg("app-server").stdin(input).spawn().expect("run");
        drop(child.stdin.take());
        assert_eq!(end_of(&mut child).code(), Some(0));
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        assert_eq!(said, "");
    }
}

#[test]
fn a_signal_ends_in_order() {
    let home = home();
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = understudy(&home).arg("app-server").spawn().expect("run");
        let pid = Pid::from_child(&child);
        // Until the handlers are in place the signal would end the process by itself.
        thread::sleep(Duration::from_millis(200));
        kill_process(pid, signal).expect("sent");
        assert_eq!(end_of(&mut child).code(), Some(0));
    }
}

#[test]
fn the_death_of_the_parent_is_the_end() {
    let home = home();
    // The shell leaves its child behind, with an input that never ends.
    let (input, mut held) = std::io::pipe().expect("a pipe");
    let script = "exec 3<&0; \"$0\" app-server <&3 >/dev/null & echo $!; sleep 0.3";
    let output = Command::new("sh")
        .args(["-c", script, program()])
        .env("CODEX_HOME", home.path())
        .stdin(input)
        .output()
        .expect("run");
    let pid: i32 = String::from_utf8(output.stdout).expect("text").trim().parse().expect("a pid");
    let pid = Pid::from_raw(pid).expect("a pid");
    let started = Instant::now();
    while test_kill_process(pid).is_ok() && !is_zombie(pid) {
        assert!(started.elapsed() < END, "still alive after {END:?}");
        thread::sleep(Duration::from_millis(10));
    }
    held.write_all(b"\n").expect_err("nobody reads");
}

/// Ended, but nobody has asked how: in a container there may be no init that does.
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat", pid = pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn a_host_that_ignores_the_end_of_its_children_hears_of_the_end_of_commands() {
    let home = home();
    let line = format!("trap '' CHLD; exec {} app-server", program());
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &line]).env("CODEX_HOME", home.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut stdin = child.stdin.take().expect("a pipe");
    let begin = r#"{"id":1,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}
{"method":"initialized"}
{"id":2,"method":"command/exec","params":{"command":["sh","-c","exit 3"],"sandboxPolicy":{"type":"dangerFullAccess"}}}
"#;
    stdin.write_all(begin.as_bytes()).expect("written");
    let mut text = String::new();
    let mut stdout = child.stdout.take().expect("a pipe");
    while !text.contains(r#""id":2"#) || !text.ends_with('\n') {
        let mut buffer = [0; 4096];
        let n = stdout.read(&mut buffer).expect("read");
        assert!(n > 0, "the server ended: {text}");
        text.push_str(std::str::from_utf8(&buffer[..n]).expect("text"));
    }
    assert!(text.contains(r#""exitCode":3"#), "{text}");
    drop(stdin);
    assert!(end_of(&mut child).success());
}
