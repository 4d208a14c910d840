//! Programs that try to break out.
//!
//! Each test fails when the step of the sandbox that it is about is taken out. Where the kernel has
//! no sandbox to offer they fail as well, with its reason: a server there starts nothing confined.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use understudy_core::driver::Port;
use understudy_core::wire::v2::common::{AbsolutePathBuf, NetworkAccess, SandboxPolicy};
use understudy_core::{
    CallId, Confinement, Environment, Feed, ProcessExit, ProcessFailureKind, ProcessRequest, Stdio,
};
use understudy_std::program::Programs;

use crate::program::program;
use crate::stage::{
    Run, TestPort, exists, finish, pids, port_with, request, runs, shell, start, until,
};

fn confined_port() -> TestPort {
    port_with(Programs::with_helper(program()))
}

/// A folder that is in no temporary one, with `work` and `outside` in it.
pub(crate) struct Place {
    _folder: TempDir,
    pub(crate) work: PathBuf,
    pub(crate) outside: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let at = folder.path().canonicalize().expect("resolved");
        let (work, outside) = (at.join("work"), at.join("outside"));
        fs::create_dir(&work).expect("made");
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("file"), "kept").expect("written");
        Self { _folder: folder, work, outside }
    }

    /// Runs a script in `work`.
    async fn run(&self, policy: SandboxPolicy, script: &str) -> Run {
        self.ask(self.confined(policy, shell(script))).await
    }

    pub(crate) fn confined(
        &self,
        policy: SandboxPolicy,
        request: ProcessRequest,
    ) -> ProcessRequest {
        let env = Arc::new(Environment::default());
        let confinement = Confinement { policy, cwd: self.work.clone(), env };
        ProcessRequest { cwd: self.work.clone(), confinement: Some(confinement), ..request }
    }

    async fn ask(&self, request: ProcessRequest) -> Run {
        let mut port = confined_port();
        self.ask_of(&mut port, request).await
    }

    pub(crate) async fn ask_of(&self, port: &mut TestPort, request: ProcessRequest) -> Run {
        start(port, 1, request);
        let ran = finish(port, 1).await;
        if let Some(failure) = &ran.failure
            && failure.kind == ProcessFailureKind::NoSandbox
        {
            panic!("no sandbox on this machine, so its tests cannot pass: {failure:?}");
        }
        ran
    }

    /// What is in `work`, by name.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.work).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }
}

/// Writing in the working folder, and nowhere else.
pub(crate) fn here() -> SandboxPolicy {
    roots(&[])
}

pub(crate) fn roots(paths: &[&Path]) -> SandboxPolicy {
    let root = |path: &&Path| {
        let text = path.to_str().expect("text").to_owned();
        AbsolutePathBuf::try_from(text).expect("absolute")
    };
    SandboxPolicy::WorkspaceWrite {
        writable_roots: paths.iter().map(root).collect(),
        network_access: false,
        exclude_tmpdir_env_var: true,
        exclude_slash_tmp: true,
    }
}

/// Each line of a script is tried on its own, and says whether it worked.
pub(crate) fn tries(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| format!("if ( {line} ) 2>/dev/null; then echo y; else echo n; fi;"))
        .collect()
}

async fn all_fail(place: &Place, policy: SandboxPolicy, lines: &[&str]) {
    let ran = place.run(policy, &tries(lines)).await;
    check_all_failed(&ran, lines);
}

pub(crate) fn check_all_failed(ran: &Run, lines: &[&str]) {
    let said: Vec<_> = ran.stdout().lines().collect();
    assert_eq!(said.len(), lines.len(), "{ran:?}");
    for (line, said) in lines.iter().zip(said) {
        assert_eq!(said, "n", "it could: {line}");
    }
}

#[tokio::test]
async fn a_workspace_can_be_written_and_nothing_outside() {
    let place = Place::new();
    let ran = place
        .run(
            here(),
            "set -e; echo x >new; mkdir d; mv new d/moved; ln d/moved e; rm d/moved; \
            ln -s nowhere l; echo y >>e; chmod 600 e; echo z >/dev/null; pwd; cat ../outside/file",
        )
        .await;
    assert_eq!(ran.exit, Some(ProcessExit::Code(0)), "{ran:?}");
    assert_eq!(ran.stdout(), format!("{}\nkept", place.work.display()));
    assert_eq!(place.names(), ["d", "e", "l"]);
    let outside = place.outside.display();
    all_fail(
        &place,
        here(),
        &[
            &format!("echo x >{outside}/new"),
            &format!("echo x >>{outside}/file"),
            &format!(": >{outside}/file"),
            &format!("truncate -s 1 {outside}/file"),
            &format!("rm {outside}/file"),
            &format!("mv {outside}/file {outside}/other"),
            &format!("mv e {outside}/e"),
            &format!("ln e {outside}/e"),
            &format!("ln {outside}/file here && echo x >>here"),
            &format!("ln -s {outside} way && echo x >way/new"),
            &format!("mkdir {outside}/d"),
            &format!("chmod 777 {outside}/file"),
            &format!("touch -d 2001-01-01 {outside}/file"),
            "echo x >/tmp/understudy-escape",
            "echo x >/dev/shm/understudy-escape",
            "echo x >../beside",
        ],
    )
    .await;
    assert_eq!(fs::read(place.outside.join("file")).expect("read"), b"kept");
    let facts = fs::metadata(place.outside.join("file")).expect("facts");
    assert_ne!(facts.permissions().mode() & 0o777, 0o777);
    assert_eq!(fs::read_dir(&place.outside).expect("a folder").count(), 1);
}

#[tokio::test]
async fn temporary_folders_can_be_written_unless_left_out() {
    let place = Place::new();
    let tmp = tempfile::tempdir_in("/tmp").expect("a folder");
    let policy = SandboxPolicy::WorkspaceWrite {
        writable_roots: Vec::new(),
        network_access: false,
        exclude_tmpdir_env_var: true,
        exclude_slash_tmp: false,
    };
    let file = tmp.path().join("new");
    let ran = place.run(policy, &format!("echo x >{}", file.display())).await;
    assert_eq!(ran.exit, Some(ProcessExit::Code(0)), "{ran:?}");
    assert!(file.exists());
    all_fail(&place, here(), &[&format!("echo x >{}", file.display())]).await;
}

#[tokio::test]
async fn a_read_only_program_writes_nowhere() {
    let place = Place::new();
    fs::write(place.work.join("file"), "kept").expect("written");
    let lines = [
        "echo x >new",
        "echo x >>file",
        ": >file",
        "rm file",
        "mkdir d",
        "chmod 777 file",
        "echo x >/tmp/understudy-escape",
    ];
    all_fail(&place, SandboxPolicy::ReadOnly, &lines).await;
    let ran = place.run(SandboxPolicy::ReadOnly, "cat file; echo x >/dev/null").await;
    assert_eq!((ran.stdout(), ran.exit), ("kept", Some(ProcessExit::Code(0))), "{ran:?}");
}

#[tokio::test]
async fn full_access_is_full() {
    let place = Place::new();
    let script = format!("echo x >{}/new; readlink /proc/$$/fd/0", place.outside.display());
    let ran = place.run(SandboxPolicy::DangerFullAccess, &script).await;
    assert_eq!(ran.stdout(), "/dev/null\n");
    assert!(place.outside.join("new").exists());
}

#[tokio::test]
async fn history_and_settings_stay_as_they_are() {
    let place = Place::new();
    for folder in [".git/hooks", ".codex"] {
        fs::create_dir_all(place.work.join(folder)).expect("made");
    }
    fs::write(place.work.join(".git/config"), "kept").expect("written");
    let lines = [
        "echo x >.git/hooks/post-commit",
        "echo x >>.git/config",
        "rm .git/config",
        "mv .git gone",
        "mv .git/hooks gone",
        "rm -rf .git; test ! -e .git",
        "ln .git/config c && echo x >>c",
        "chmod 777 .git/config",
        "touch .codex/config.toml",
        "mkdir .codex/rules",
        "umount .git",
        "umount -l .git",
        "mount -o remount,rw,bind .git .git",
        "mkdir o && mount -t tmpfs none o",
        "unshare -m umount .git",
        "unshare -Urm umount .git",
    ];
    all_fail(&place, here(), &lines).await;
    assert_eq!(fs::read(place.work.join(".git/config")).expect("read"), b"kept");
    assert!(!place.work.join(".git/hooks/post-commit").exists());
    let ran = place.run(here(), "cat .git/config; echo x >.gitignore").await;
    assert_eq!((ran.stdout(), ran.exit), ("kept", Some(ProcessExit::Code(0))), "{ran:?}");
}

#[tokio::test]
async fn what_must_not_be_written_cannot_be_made_either() {
    let place = Place::new();
    let lines = [
        "mkdir .git",
        "echo x >.git",
        "mkdir -p .git/hooks",
        "ln -s ../outside .git",
        "mkdir d; mv -T d .git",
        "rmdir .git; mkdir .git",
        "mv .git x",
        "mkdir -p .codex/rules",
        "echo x >.codex/config.toml",
    ];
    all_fail(&place, here(), &lines).await;
    // What stood there meanwhile is gone.
    until("the folder is as it was", || place.names() == ["d"]).await;
}

#[tokio::test]
async fn stand_ins_stay_while_any_program_needs_them() {
    let place = Place::new();
    let mut port = confined_port();
    for id in [1, 2] {
        start(&mut port, id, place.confined(here(), shell("echo $$; sleep 300 & echo $!; wait")));
    }
    let started = pids(&mut port, 4).await;
    assert_eq!(place.names(), [".codex", ".git"]);
    port.feed(CallId(1), Feed::Kill);
    assert_eq!(finish(&mut port, 1).await.exit, Some(ProcessExit::Signal(9)));
    assert_eq!(place.names(), [".codex", ".git"]);
    drop(port);
    until("nothing is left", || !started.iter().any(|pid| runs(*pid))).await;
    until("the folder is as it was", || place.names().is_empty()).await;
    until("all were reaped", || !started.iter().any(|pid| exists(*pid))).await;
}

#[tokio::test]
async fn a_store_elsewhere_is_protected_by_whatever_way_it_is_reached() {
    let place = Place::new();
    // A worktree: `.git` is a file that names a folder in the same root.
    fs::create_dir_all(place.work.join("main/store/hooks")).expect("made");
    fs::write(place.work.join(".git"), "gitdir: main/store\n").expect("written");
    let lines = [
        "echo x >main/store/hooks/h",
        "echo x >.git",
        "rm .git",
        "mv main other",
        "mv main/store x",
        "mv main/store/hooks x",
    ];
    all_fail(&place, here(), &lines).await;
    let ran = place.run(here(), "echo x >main/beside").await;
    assert_eq!(ran.exit, Some(ProcessExit::Code(0)), "{ran:?}");

    // `.git` is a link.
    let place = Place::new();
    fs::create_dir_all(place.work.join("store/hooks")).expect("made");
    symlink("store", place.work.join(".git")).expect("linked");
    let lines = [
        "echo x >.git/hooks/h",
        "echo x >store/hooks/h",
        "rm .git",
        "mv .git x",
        "ln -sfn ../outside .git",
        "mv store x",
    ];
    all_fail(&place, here(), &lines).await;
}

#[tokio::test]
async fn a_planted_link_makes_nothing_writable() {
    let place = Place::new();
    let inner = place.work.join("inner");
    symlink(&place.outside, &inner).expect("linked");
    let lines = ["echo x >inner/new", "echo x >>inner/file"];
    all_fail(&place, roots(&[&inner]), &lines).await;
    assert!(!place.outside.join("new").exists());
    // A folder that is another root's is written all the same.
    let real = place.work.join("real");
    fs::create_dir(&real).expect("made");
    let ran =
        place.run(roots(&[&real, &place.outside]), "echo x >real/a; echo x >../outside/a").await;
    assert_eq!(ran.exit, Some(ProcessExit::Code(0)), "{ran:?}");
    assert!(real.join("a").exists() && place.outside.join("a").exists());
}

#[tokio::test]
async fn a_superuser_has_no_way_around_it() {
    let place = Place::new();
    let lines = [
        "mknod disk b 254 0",
        "mknod memory c 1 1",
        "mount -o remount,rw /",
        &format!("nsenter -t {} -m true", std::process::id()),
        &format!("ls /proc/{}/root/", std::process::id()),
        "chroot / true",
        "echo 1 >/proc/sys/kernel/printk",
    ];
    all_fail(&place, here(), &lines).await;
}

#[tokio::test]
async fn a_program_cannot_kill_the_server() {
    if !kernel_is_at_least(6, 12) {
        println!("this kernel cannot keep signals inside: not tried");
        return;
    }
    let place = Place::new();
    let server = format!("kill -0 {}", std::process::id());
    all_fail(&place, here(), &[&server]).await;
    let ran = place.run(here(), "sleep 300 & kill $!; wait $!; echo $?").await;
    assert_eq!(ran.stdout(), "143\n");
}

fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

/// A test that is no test: what a confined program of ours finds it can do. Run by
/// [`probe`] as a process of its own.
#[test]
fn probed() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket, socketpair};
    let Ok(port) = std::env::var(PROBE) else { return };
    let said = |what: &str, is: bool| println!("{what}={is}");
    said("connect", std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    said("udp", std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
    let unix = |kind| socket(AddressFamily::UNIX, kind, None).is_ok();
    said("datagram", unix(SocketType::DGRAM));
    said("netlink", socket(AddressFamily::NETLINK, SocketType::RAW, None).is_ok());
    let local = std::os::unix::net::UnixListener::bind(format!("local-{port}"));
    said("listen", local.is_ok());
    let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let talks = pair.is_ok_and(|(one, other)| {
        rustix::net::send(&one, b"x", rustix::net::SendFlags::empty()) == Ok(1)
            && rustix::io::read(&other, &mut [0_u8; 1]) == Ok(1)
    });
    said("pair", talks);
}

const PROBE: &str = "UNDERSTUDY_TEST_PROBE";

/// What [`probed`] says under a policy.
async fn probe(place: &Place, policy: SandboxPolicy) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let exe = std::env::current_exe().expect("a path");
    let argv = [exe.to_str().expect("text"), "--exact", "sandbox::probed", "--nocapture"];
    let mut asked = place.confined(policy, request(&argv));
    asked.env.0.insert(PROBE.into(), port.to_string());
    let ran = place.ask(asked).await;
    assert_eq!(ran.exit, Some(ProcessExit::Code(0)), "{ran:?}");
    let lines = ran.stdout().lines().filter(|line| line.ends_with("=true"));
    lines.map(|line| line.trim_end_matches("=true")).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn without_network_only_pairs_of_local_sockets_are_left() {
    let place = Place::new();
    assert_eq!(probe(&place, here()).await, "pair");
    assert_eq!(probe(&place, SandboxPolicy::ReadOnly).await, "pair");
    let restricted = NetworkAccess::Restricted;
    let external = SandboxPolicy::ExternalSandbox { network_access: restricted };
    assert_eq!(probe(&place, external).await, "pair");
}

#[tokio::test]
async fn with_network_sockets_are_as_everywhere() {
    let place = Place::new();
    let mut policy = here();
    if let SandboxPolicy::WorkspaceWrite { network_access, .. } = &mut policy {
        *network_access = true;
    }
    let all = "connect udp datagram netlink listen pair";
    assert_eq!(probe(&place, policy).await, all);
    assert_eq!(probe(&place, SandboxPolicy::DangerFullAccess).await, all);
}

#[tokio::test]
async fn the_helper_is_not_reached_by_the_programs_environment() {
    let place = Place::new();
    let mut asked = place.confined(here(), request(&["/bin/true"]));
    asked.env.0.insert("LD_PRELOAD".into(), place.work.join("planted.so").display().to_string());
    let ran = place.ask(asked).await;
    // The loader complains in the program, and nowhere before it.
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(said.matches("planted.so").count(), 1, "{said}");
}

#[tokio::test]
async fn failures_to_start_are_told_apart_behind_the_helper_too() {
    let place = Place::new();
    let missing = "No such file or directory (os error 2)";
    let ran = place.ask(place.confined(here(), request(&["no-such-program"]))).await;
    let failure = ran.failure.expect("no program");
    assert_eq!((failure.kind, failure.text.as_str()), (ProcessFailureKind::Program, missing));
    let asked = place.confined(here(), request(&["true"]));
    let ran = place.ask(ProcessRequest { cwd: "/no/such/folder".into(), ..asked }).await;
    let failure = ran.failure.expect("no folder");
    assert_eq!((failure.kind, failure.text.as_str()), (ProcessFailureKind::Folder, missing));
    until("nothing was left", || place.names().is_empty()).await;
}

#[tokio::test]
async fn a_helper_that_is_none_starts_nothing() {
    let place = Place::new();
    let mut port = port_with(Programs::with_helper("/bin/true"));
    start(&mut port, 1, place.confined(here(), shell("echo x >../outside/new")));
    let failure = finish(&mut port, 1).await.failure.expect("no sandbox");
    assert_eq!(failure.kind, ProcessFailureKind::NoSandbox, "{failure:?}");
    assert!(failure.text.contains("helper does not answer"), "{failure:?}");
    let mut port = port_with(Programs::with_helper("/no/such/helper"));
    start(&mut port, 1, place.confined(here(), request(&["true"])));
    let failure = finish(&mut port, 1).await.failure.expect("no sandbox");
    assert_eq!(failure.kind, ProcessFailureKind::NoSandbox, "{failure:?}");
    assert!(!place.outside.join("new").exists());
}

#[tokio::test]
async fn a_confined_program_can_have_a_terminal() {
    let place = Place::new();
    let script = "test -t 0 && test -t 1 && tty >/dev/null && stty size && echo one >/dev/tty && \
        echo two >$(tty); exit 4";
    let asked = place.confined(here(), shell(script));
    let asked = ProcessRequest { stdio: Stdio::Terminal { rows: 9, columns: 44 }, ..asked };
    let ran = place.ask(asked).await;
    assert_eq!(ran.stdout(), "9 44\r\none\r\ntwo\r\n");
    assert_eq!(ran.exit, Some(ProcessExit::Code(4)));
}

#[tokio::test]
async fn a_confined_program_starts_as_any_other() {
    let place = Place::new();
    let mut asked =
        place.confined(here(), shell("env; ls -1 /proc/$$/fd; cut -d' ' -f5,6 /proc/$$/stat"));
    asked.env.0 = [("A".to_owned(), "b c".to_owned())].into();
    asked.argv = ["/bin/sh", "-c", "/usr/bin/env; exec 3</proc/self/stat; ls -1 /proc/self/fd >&2"]
        .map(str::to_owned)
        .into();
    let ran = place.ask(asked).await;
    let lines: Vec<_> = ran.stdout().lines().collect();
    assert!(lines.contains(&"A=b c"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("HOME=")), "{lines:?}");
}

#[tokio::test]
async fn a_confined_group_is_killed_whole() {
    let place = Place::new();
    let mut port = confined_port();
    let script = "trap '' TERM; echo $$; sh -c 'trap \"\" TERM; echo $$; sleep 300; :'; :";
    start(&mut port, 1, place.confined(here(), shell(script)));
    let group = pids(&mut port, 2).await;
    port.cancel(CallId(1));
    until("nothing is left", || !group.iter().any(|pid| runs(*pid))).await;
    until("the leader was reaped", || !exists(group[0])).await;
}
