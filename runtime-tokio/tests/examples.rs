//! The examples do what they say: those of this crate, and the hosts in other languages, which
//! start the server as a process.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use played::{example, holds, output};

#[path = "../../runtime-std/tests/played/mod.rs"]
mod played;

const SERVER: &str = env!("CARGO_BIN_EXE_understudy");

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// Runs a host with the two programs that it starts.
fn host(command: &mut Command) {
    holds(command.arg(SERVER).arg(example("backend")));
}

/// Whether this program is there; says so if it is not.
fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        left_out(&format!("{program} is not there, and its examples were not run"));
    }
    there
}

#[test]
fn the_example_on_tokio_holds() {
    holds(&mut Command::new(example("embed")));
}

#[test]
fn the_example_of_many_sessions_loses_nothing() {
    holds(Command::new(example("thousand_sessions")).args(["30", "1"]));
}

#[test]
fn the_example_of_a_host_in_rust_holds() {
    host(&mut Command::new(example("spawn")));
}

#[test]
fn the_example_of_a_host_in_python_holds() {
    if is_there("python3") {
        host(Command::new("python3").arg(examples().join("python/host.py")));
    }
}

/// With the compiler, its types are checked against those that the server describes. Without, a
/// Node.js that strips types runs it as it is.
#[test]
fn the_example_of_a_host_in_typescript_holds() {
    if !is_there("node") {
        return;
    }
    let source = examples().join("typescript");
    let Some(folder) = with_compiler(&source) else {
        if strips_types() {
            left_out("no TypeScript compiler can be had: the types of host.ts were not checked");
            let strip = ["--experimental-strip-types", "--disable-warning=ExperimentalWarning"];
            host(Command::new("node").args(strip).arg(source.join("host.ts")));
        } else {
            left_out("neither a TypeScript compiler nor a Node.js that strips types: host.ts");
        }
        return;
    };
    let protocol = folder.join("protocol");
    let mut generate = Command::new(SERVER);
    succeeds(generate.args(["app-server", "generate-ts", "--out"]).arg(&protocol));
    for script in ["check", "build"] {
        succeeds(Command::new("npm").args(["run", script]).current_dir(&folder));
    }
    host(Command::new("node").arg(folder.join("built/host.js")));
}

/// Past the capture of the test harness: a check that was left out must not look like one that
/// held.
fn left_out(what: &str) {
    let line = format!("\nLEFT OUT: {what}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error");
}

fn succeeds(command: &mut Command) {
    let (status, said) = output(command);
    assert!(status.success(), "{command:?} ended with {status}:\n{said}");
}

/// A folder with the host and the compiler, which stays from run to run. None where the compiler
/// cannot be fetched.
fn with_compiler(source: &Path) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript");
    fs::create_dir_all(&folder).expect("a folder");
    let wanted = fs::read(source.join("package.json")).expect("the package");
    let is_current = fs::read(folder.join("package.json")).is_ok_and(|there| there == wanted);
    for file in ["host.ts", "package.json", "tsconfig.json"] {
        fs::copy(source.join(file), folder.join(file)).expect("copied");
    }
    let compiler = folder.join("node_modules/.bin/tsc");
    if is_current && compiler.exists() {
        return Some(folder);
    }
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--fetch-retries=1"]);
    install.args(["--fetch-timeout=20000"]).current_dir(&folder);
    let is_there = Command::new("npm").arg("--version").output().is_ok();
    let installed = is_there && output(&mut install).0.success() && compiler.exists();
    installed.then_some(folder)
}

/// Node.js does from 22.6 on.
fn strips_types() -> bool {
    let version = output(Command::new("node").arg("--version")).1;
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    let first = numbers.next().and_then(Result::ok).unwrap_or(0);
    let second = numbers.next().and_then(Result::ok).unwrap_or(0);
    (first, second) >= (22, 6)
}
