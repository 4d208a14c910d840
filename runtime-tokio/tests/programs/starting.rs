//! What a program starts with, and why it may not start.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use understudy_core::approval::SandboxPlan;
use understudy_core::wire::v2::common::SandboxPolicy;
use understudy_core::{ChildEnv, Confinement, ProcessExit, ProcessFailureKind, ProcessRequest};

use crate::stage::{finish, port, request, run, shell, start};

#[tokio::test]
async fn a_program_has_the_environment_it_was_given_and_no_other() {
    let env: BTreeMap<_, _> = [("B", "two words"), ("A", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let ran = run(ProcessRequest { env: ChildEnv(env), ..request(&["/usr/bin/env"]) }).await;
    assert_eq!(ran.stdout(), "A=\nB=two words\n");
    assert_eq!(ran.exit, Some(ProcessExit::Code(0)));
}

#[tokio::test]
async fn a_program_is_looked_for_in_the_path_it_was_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("only-here");
    fs::write(&path, "#!/bin/sh\necho \"$0\"; pwd\n").expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("changed");
    let mut asked = request(&["only-here"]);
    assert_eq!(run(asked.clone()).await.failure.map(|f| f.kind), Some(ProcessFailureKind::Program));
    let text = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    asked.env.0.insert("PATH".into(), format!("/nowhere:{}", text(folder.path())));
    asked.cwd = folder.path().canonicalize().expect("a folder");
    let ran = run(asked.clone()).await;
    assert_eq!(ran.stdout(), format!("{}\n{}\n", path.display(), asked.cwd.display()));
    // A path with a slash is not looked for, and starts at the folder.
    asked.argv = vec!["./only-here".into()];
    assert_eq!(run(asked).await.exit, Some(ProcessExit::Code(0)));
}

#[tokio::test]
async fn a_program_leads_a_session_and_a_group_and_has_nothing_to_read() {
    let ran =
        run(shell("echo $$; cut -d' ' -f5,6 /proc/$$/stat; cat; readlink /proc/$$/fd/0")).await;
    let lines: Vec<_> = ran.stdout().lines().collect();
    let [pid, ids, input] = lines.as_slice() else { panic!("{ran:?}") };
    assert_eq!(*ids, format!("{pid} {pid}"));
    assert_eq!(*input, "/dev/null");
}

#[tokio::test]
async fn descriptors_of_this_process_stay_here() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = fs::File::create(folder.path().join("secret")).expect("a file");
    // As one that the host passed on, or a library opened.
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("inheritable");
    let ran = run(shell("ls /proc/$$/fd")).await;
    assert_eq!(ran.stdout(), "0\n1\n2\n", "{ran:?}");
    drop(file);
}

#[tokio::test]
async fn failures_to_start_have_their_kind_and_the_systems_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = folder.path().join("plain");
    fs::write(&plain, "echo").expect("written");
    let plain = plain.to_str().expect("text");
    let missing = "No such file or directory (os error 2)";
    let cases: [(&[&str], &str, ProcessFailureKind, &str); 6] = [
        (&["no-such-program"], "/", ProcessFailureKind::Program, missing),
        (&["/no/such/program"], "/", ProcessFailureKind::Program, missing),
        (&[plain], "/", ProcessFailureKind::Program, "Permission denied (os error 13)"),
        (&["true"], "/no/such/folder", ProcessFailureKind::Folder, missing),
        (&["true"], plain, ProcessFailureKind::Folder, "not a directory"),
        (&[], "/", ProcessFailureKind::Program, "there is no program to run"),
    ];
    for (argv, cwd, kind, text) in cases {
        let failure = run(ProcessRequest { cwd: cwd.into(), ..request(argv) }).await.failure;
        let failure = failure.unwrap_or_else(|| panic!("{argv:?} in {cwd} ran"));
        assert_eq!((failure.kind, failure.text.as_str()), (kind, text), "{argv:?} in {cwd}");
    }
    let failure = run(request(&["true", "a\0b"])).await.failure.expect("not to be said");
    assert_eq!(failure.kind, ProcessFailureKind::Other);
}

#[tokio::test]
async fn without_a_helper_only_a_confinement_that_holds_nothing_back_runs() {
    let confined = |policy| {
        let confinement = Confinement { policy, cwd: "/".into(), env: Default::default() };
        ProcessRequest { confinement: Some(confinement), ..request(&["true"]) }
    };
    let mut port = port();
    start(&mut port, 1, confined(SandboxPolicy::DangerFullAccess));
    assert_eq!(finish(&mut port, 1).await.exit, Some(ProcessExit::Code(0)));
    start(&mut port, 2, confined(SandboxPolicy::ReadOnly));
    let failure = finish(&mut port, 2).await.failure.expect("refused");
    assert_eq!(failure.kind, ProcessFailureKind::NoSandbox);
    assert!(failure.text.contains("no sandbox"), "{failure:?}");
    assert!(SandboxPlan::free().network);
}

#[tokio::test]
async fn starting_is_quick() {
    let mut port = port();
    // The thread that starts programs, and the files of the first one.
    start(&mut port, 0, request(&["true"]));
    finish(&mut port, 0).await;
    let mut times = Vec::new();
    for id in 1..30 {
        let began = std::time::Instant::now();
        start(&mut port, id, request(&["true"]));
        finish(&mut port, id).await;
        times.push(began.elapsed());
    }
    times.sort();
    // The quickest says what it costs; the others, how busy the machine is.
    assert!(times[0].as_millis() < 50, "{times:?}");
}
