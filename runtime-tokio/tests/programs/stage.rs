//! A port without a host, and what its programs say.

use std::collections::BTreeMap;
use std::fs;
use std::future::poll_fn;
use std::path::Path;
use std::task::Poll;
use std::time::{Duration, Instant};

use understudy_core::driver::Port;
use understudy_core::{
    Call, CallId, ChildEnv, Outcome, OutputStream, ProcessExit, ProcessFailure, ProcessRequest,
    Stdio,
};
use understudy_std::program::Programs;

use crate::subject::{Services, port_of};

pub(crate) use crate::subject::TestPort;

/// More than any of these programs takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(20);

pub(crate) fn port() -> TestPort {
    port_with(Programs::new())
}

pub(crate) fn port_with(programs: Programs) -> TestPort {
    port_of(Services { programs, ..Services::default() })
}

pub(crate) fn request(argv: &[&str]) -> ProcessRequest {
    let env = [("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ProcessRequest {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        cwd: "/".into(),
        env: ChildEnv(env.into()),
        stdio: Stdio::Pipes,
        confinement: None,
    }
}

pub(crate) fn shell(script: &str) -> ProcessRequest {
    request(&["/bin/sh", "-c", script])
}

pub(crate) fn start(port: &mut TestPort, id: u64, request: ProcessRequest) {
    port.start(CallId(id), Call::Process(Box::new(request)));
}

/// What an outcome says, without what it borrows.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Output(OutputStream, Vec<u8>),
    Exited(ProcessExit),
    Failed(ProcessFailure),
}

pub(crate) async fn next(port: &mut TestPort) -> (CallId, Said) {
    let said = poll_fn(|cx| {
        port.poll_outcome(cx).map(|(id, outcome)| {
            let said = match outcome {
                Outcome::ProcessOutput(stream, bytes) => Said::Output(stream, bytes.to_vec()),
                Outcome::ProcessExited(exit) => Said::Exited(exit),
                Outcome::ProcessFailed(failure) => Said::Failed(failure),
                other => panic!("not asked for here: {other:?}"),
            };
            (id, said)
        })
    });
    tokio::time::timeout(LONG, said).await.expect("an outcome in time")
}

/// Nothing is there to be polled now.
pub(crate) async fn is_silent(port: &mut TestPort) -> bool {
    poll_fn(|cx| Poll::Ready(port.poll_outcome(cx).is_pending())).await
}

/// All that a program said, and how it ended.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) largest: usize,
    pub(crate) exit: Option<ProcessExit>,
    pub(crate) failure: Option<ProcessFailure>,
}

impl Run {
    pub(crate) fn stdout(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text")
    }
}

/// Polls until as many programs have ended as there are in `ids`.
pub(crate) async fn finish_all<const N: usize>(port: &mut TestPort, ids: [u64; N]) -> [Run; N] {
    let mut runs: BTreeMap<CallId, Run> = ids.map(|id| (CallId(id), Run::default())).into();
    let mut left = N;
    while left > 0 {
        let (id, said) = next(port).await;
        let run = runs.get_mut(&id).expect("a program of this test");
        assert!(run.exit.is_none() && run.failure.is_none(), "{said:?} after the end");
        match said {
            Said::Output(stream, bytes) => {
                run.largest = run.largest.max(bytes.len());
                match stream {
                    OutputStream::Stdout => run.stdout.extend(bytes),
                    OutputStream::Stderr => run.stderr.extend(bytes),
                }
            }
            Said::Exited(exit) => {
                run.exit = Some(exit);
                left -= 1;
            }
            Said::Failed(failure) => {
                run.failure = Some(failure);
                left -= 1;
            }
        }
    }
    ids.map(|id| runs.remove(&CallId(id)).unwrap_or_default())
}

pub(crate) async fn finish(port: &mut TestPort, id: u64) -> Run {
    let [run] = finish_all(port, [id]).await;
    run
}

/// Runs one program in a port of its own.
pub(crate) async fn run(request: ProcessRequest) -> Run {
    let mut port = port();
    start(&mut port, 1, request);
    finish(&mut port, 1).await
}

/// The numbers that a program printed on its own lines.
pub(crate) async fn pids(port: &mut TestPort, count: usize) -> Vec<i32> {
    let mut text = String::new();
    loop {
        match next(port).await.1 {
            Said::Output(_, bytes) => text.push_str(std::str::from_utf8(&bytes).expect("text")),
            other => panic!("{other:?} after {text}"),
        }
        if text.ends_with('\n') && text.lines().count() >= count {
            return text.lines().map(|line| line.parse().expect("a number")).collect();
        }
    }
}

/// Whether a process runs; one that has ended and was not reaped does not.
pub(crate) fn runs(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

/// Whether there is anything of a process left, be it a zombie.
pub(crate) fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LONG, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
