//! Programs that try to break out where there are no mounts to be had.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use understudy_core::wire::v2::common::SandboxPolicy;
use understudy_core::{ProcessExit, ProcessFailureKind};
use understudy_std::program::Programs;
use understudy_std::sandbox::has_own_mounts;

use crate::program::program;
use crate::sandbox::{Place, check_all_failed, here, roots, tries};
use crate::stage::{TestPort, finish, port_with, shell, start, until};

/// A helper that cannot have mounts of its own: no privilege, and no user namespaces.
fn helper_without_mounts(place: &Place) -> PathBuf {
    let helper = place.outside.join("helper");
    let script = format!(
        "#!/bin/bash\nexec unshare -Ur /bin/bash -c '
        echo 0 >/proc/sys/user/max_user_namespaces
        exec setpriv --bounding-set=-all --inh-caps=-all /bin/bash -c \"
            exec -a understudy-sandbox {} $1\"' - $1\n",
        program(),
    );
    fs::write(&helper, script).expect("written");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).expect("changed");
    helper
}

fn port_without_mounts(place: &Place) -> TestPort {
    port_with(Programs::with_helper(helper_without_mounts(place)))
}

async fn all_fail(place: &Place, policy: SandboxPolicy, lines: &[&str]) {
    let asked = place.confined(policy, shell(&tries(lines)));
    check_all_failed(&place.ask_of(&mut port_without_mounts(place), asked).await, lines);
}

/// Each line works.
async fn all_work(place: &Place, policy: SandboxPolicy, lines: &[&str]) {
    let script = format!("set -ex; {}", lines.join("; "));
    let asked = place.confined(policy, shell(&script));
    let ran = place.ask_of(&mut port_without_mounts(place), asked).await;
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.exit, Some(ProcessExit::Code(0)), "{said}");
}

/// Asks Btrfs for a new tree of files, and works unless the request itself is refused.
const NEW_TREE: &str = "perl -e 'sysopen D, \".\", 0 or exit 0; my $b = \"x\" x 4096; \
    ioctl(D, 0x5000940e, $b) or $! + 0 != 1 or exit 1'";

#[tokio::test]
async fn it_is_told_apart_from_one_with_mounts() {
    let place = Place::new();
    assert!(has_own_mounts(program().as_ref()));
    assert!(!has_own_mounts(&helper_without_mounts(&place)));
}

#[tokio::test]
async fn a_read_only_program_writes_nowhere() {
    let place = Place::new();
    fs::write(place.work.join("file"), "kept").expect("written");
    let lines = [
        "echo x >new",
        "echo x >>file",
        ": >file",
        "truncate -s 1 file",
        "rm file",
        "mkdir d",
        "chmod 777 file",
        "touch file",
        "setfattr -n user.a -v b file",
        "exec 3<>/dev/tcp/127.0.0.1/1",
        NEW_TREE,
    ];
    all_fail(&place, SandboxPolicy::ReadOnly, &lines).await;
    all_work(&place, SandboxPolicy::ReadOnly, &["test $(cat file) = kept; echo x >/dev/null"])
        .await;
}

#[tokio::test]
async fn what_is_in_a_workspace_can_be_written() {
    let place = Place::new();
    fs::create_dir(place.work.join("src")).expect("made");
    fs::create_dir(place.work.join("target")).expect("made");
    fs::write(place.work.join("file"), "old").expect("written");
    let tmp = tempfile::tempdir_in("/tmp").expect("a folder");
    let policy = SandboxPolicy::WorkspaceWrite {
        writable_roots: Vec::new(),
        network_access: false,
        exclude_tmpdir_env_var: true,
        exclude_slash_tmp: false,
    };
    let lines = [
        "echo x >>file",
        "echo new >file",
        "truncate -s 2 file",
        "chmod 600 file",
        "touch -d 2001-01-01 file",
        "mkdir -p src/a/b",
        "echo x >src/a/b/f",
        "mv src/a/b/f target/g",
        "ln target/g src/h",
        "rm -r src/a",
        "ln -s nowhere src/l",
        &format!("echo x >{}/new", tmp.path().display()),
    ];
    all_work(&place, policy, &lines).await;
    assert_eq!(fs::read(place.work.join("file")).expect("read"), b"ne");
    assert!(place.work.join("src/h").exists() && tmp.path().join("new").exists());
    until("the folder is as it was", || place.names() == ["file", "src", "target"]).await;
}

#[tokio::test]
async fn nothing_is_made_directly_in_it_nor_outside() {
    let place = Place::new();
    fs::create_dir(place.work.join("src")).expect("made");
    fs::write(place.work.join("file"), "kept").expect("written");
    symlink(&place.outside, place.work.join("way")).expect("linked");
    symlink(place.outside.join("file"), place.work.join("way-to-file")).expect("linked");
    let asked = place.confined(here(), shell("LC_ALL=C; echo x >new"));
    let ran = place.ask_of(&mut port_without_mounts(&place), asked).await;
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("Permission denied"), "{said}");
    let outside = place.outside.display();
    let lines = [
        "echo x >new",
        "mkdir d",
        "ln -s src l",
        "mkfifo f",
        "rm file",
        "mv file src/file",
        "mv src/../file other",
        "ln file src/again",
        "rmdir src",
        "mv src other",
        "echo x >src/f && mv src/f .",
        &format!("echo x >{outside}/new"),
        &format!("echo x >>{outside}/file"),
        &format!("truncate -s 1 {outside}/file"),
        &format!("rm {outside}/file"),
        &format!("mv {outside}/file src/file"),
        &format!("ln {outside}/file src/here && echo x >>src/here"),
        &format!("ln -s {outside} src/way && echo x >src/way/new"),
        "echo x >way/new",
        "echo x >>way/file",
        "echo x >>way-to-file",
        "rm way",
        "echo x >/tmp/understudy-escape",
        "echo x >/dev/shm/understudy-escape",
        "echo x >../beside",
        "exec 3<>/dev/tcp/127.0.0.1/1",
        NEW_TREE,
        "unshare -Urm true",
    ];
    all_fail(&place, here(), &lines).await;
    assert_eq!(fs::read(place.outside.join("file")).expect("read"), b"kept");
    until("the folder is as it was", || place.names() == ["file", "src", "way", "way-to-file"])
        .await;
}

#[tokio::test]
async fn history_and_settings_stay_as_they_are() {
    let place = Place::new();
    for folder in [".git/hooks", ".codex", "src"] {
        fs::create_dir_all(place.work.join(folder)).expect("made");
    }
    fs::write(place.work.join(".git/config"), "kept").expect("written");
    let lines = [
        "echo x >.git/hooks/x",
        "echo x >>.git/config",
        ": >.git/config",
        "rm .git/config",
        "mv .git gone",
        "mv .git src/gone",
        "mv .git/hooks src/gone",
        "mv .git/config src/config",
        "ln .git/config src/c && echo x >>src/c",
        "rm -rf .git; test ! -e .git",
        "touch .codex/config.toml",
        "mkdir .codex/rules",
        "mkdir src/d; mv -T src/d .codex",
        "echo x >src/f; mv src/f .git/f",
        "ln -s $PWD/.git src/way; echo x >src/way/hooks/x",
    ];
    all_fail(&place, here(), &lines).await;
    assert_eq!(fs::read(place.work.join(".git/config")).expect("read"), b"kept");
    assert_eq!(fs::read_dir(place.work.join(".git/hooks")).expect("a folder").count(), 0);
    all_work(&place, here(), &["cat .git/config", "echo x >src/new"]).await;

    let place = Place::new();
    fs::create_dir(place.work.join("src")).expect("made");
    let lines = [
        "mkdir .git",
        "echo x >.git",
        "mkdir -p .git/hooks",
        "ln -sfn src .git",
        "mkdir -p src/hooks; mv -T src .git",
        "rm .git; mkdir .git",
        "rmdir .codex; mkdir .codex; echo x >.codex/x",
        "mv .codex x",
    ];
    all_fail(&place, here(), &lines).await;
    until("the folder is as it was", || place.names() == ["src"]).await;
}

#[tokio::test]
async fn a_store_elsewhere_is_protected_and_so_is_the_way_to_it() {
    let place = Place::new();
    fs::create_dir_all(place.work.join("main/store/hooks")).expect("made");
    fs::create_dir_all(place.work.join("main/beside")).expect("made");
    fs::write(place.work.join(".git"), "gitdir: main/store\n").expect("written");
    let lines = [
        "echo x >main/store/hooks/h",
        "echo x >.git",
        "rm .git",
        "mv main other",
        "mv main/store x",
        "mv main/store main/beside/x",
        "mv main/store/hooks main/beside/x",
        "echo x >main/new",
    ];
    all_fail(&place, here(), &lines).await;
    all_work(&place, here(), &["echo x >main/beside/new"]).await;
    // A root within another, whose own history is protected too.
    let inner = place.work.join("main/beside");
    fs::create_dir_all(inner.join(".git")).expect("made");
    let lines = ["echo x >main/beside/.git/x", "mv main/beside/.git main/beside/x"];
    all_fail(&place, roots(&[&inner]), &lines).await;
}

#[tokio::test]
async fn what_cannot_be_opened_one_by_one_is_refused() {
    let place = Place::new();
    for number in 0..10_001 {
        fs::write(place.work.join(number.to_string()), "").expect("written");
    }
    let mut port = port_without_mounts(&place);
    start(&mut port, 1, place.confined(here(), shell("echo x >1")));
    let failure = finish(&mut port, 1).await.failure.expect("no sandbox");
    assert_eq!(failure.kind, ProcessFailureKind::NoSandbox, "{failure:?}");
    assert!(failure.text.contains("without mounts of its own"), "{failure:?}");
    assert!(failure.text.contains("too many to open one by one"), "{failure:?}");
}
