//! Owns: the file system as a confined program sees it, in a mount namespace of its own.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, retry_on_intr};
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree,
};
use rustix::process::{Pid, WaitOptions, getegid, geteuid, waitpid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::view::View;

/// Whether such mounts are to be had, which a process of its own finds out: one that failed half way
/// may be in a user namespace where it is nobody, and does not come back.
pub(super) fn are_allowed() -> io::Result<()> {
    // SAFETY: the helper has one thread, so the new process has all that there is.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => process::exit(match enter(&View::default()) {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
        }),
        child => Pid::from_raw(child),
    };
    let ended = retry_on_intr(|| waitpid(child, WaitOptions::empty()))?;
    match ended.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code)),
        None => Err(io::ErrorKind::Interrupted.into()),
    }
}

/// Makes everything read-only but what the view lets be written. The folder that the process is in
/// is the old one until it changes to another.
pub(super) fn enter(view: &View) -> io::Result<()> {
    own_namespace()?;
    // Nothing done here reaches the others, nor the other way round.
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    // Copies of what is writable, made while it still is.
    let writable = view.writable.iter().map(|root| Ok((root, copy(root)?)));
    let writable: Vec<_> = writable.collect::<io::Result<_>>()?;
    // What is mounted over the root of all would not be seen by a process that is beneath it.
    let is_all = |(root, _): &(&PathBuf, OwnedFd)| root.parent().is_none();
    if !writable.iter().any(is_all) {
        make_read_only(CWD, "/")?;
        for (root, copy) in &writable {
            put(copy, root)?;
        }
    }
    // A folder that is a mount of its own cannot be renamed.
    for folder in &view.pinned {
        put(&copy(folder)?, folder)?;
    }
    for place in &view.read_only {
        let copy = copy(place)?;
        make_read_only(&copy, "")?;
        put(&copy, place)?;
    }
    Ok(())
}

fn own_namespace() -> io::Result<()> {
    if unshare(UnshareFlags::NEWNS).is_ok() {
        return Ok(());
    }
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    // The same user, with privileges over nothing but the new namespaces.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))
}

fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: only a table of descriptors that is not shared any more can harm, and this does not
    // unshare it. The helper has one thread.
    unsafe { unshare_unsafe(flags) }
}

/// A copy of what is mounted at `path` and beneath it. A link on the way is an error: somebody has
/// just put it there.
fn copy(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(found, "", flags)?)
}

/// Mounts the copy over what it is a copy of; over a link itself, not what it leads to.
fn put(copy: &OwnedFd, path: &Path) -> io::Result<()> {
    Ok(move_mount(copy, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// All mounts from this one on down.
fn make_read_only(at: impl AsFd, path: &'static str) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let path = std::ffi::CString::new(path)?;
    let flags = libc::AT_RECURSIVE | if path.is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    let folder = at.as_fd().as_raw_fd();
    // SAFETY: path and attributes live until the call returns, which only reads them; the size is
    // that of the attributes. The descriptor is open, or the one that stands for the folder.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            folder,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
