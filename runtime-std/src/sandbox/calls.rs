//! Owns: the system calls that a confined program is refused.
//!
//! Without network, sockets of the kind that two related processes talk through, a connected pair of `AF_UNIX`, are
//! left: programs use them as pipes. There is no other way to a socket, so calls that only act on
//! one that is there (`getsockopt`, `shutdown`, `sendto`) are left too. Datagram sockets are not,
//! because those can send to an address without being connected.

use std::collections::BTreeMap;
use std::error::Error;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// Refused altogether: what reaches others through a socket, a ring that makes calls unseen, and
/// what takes descriptors or memory from a process that has network.
const NETWORK: &[i64] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
];

/// What changes a file but its content and name, about which Landlock knows nothing.
const ATTRIBUTES: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SETXATTRAT,
    REMOVEXATTRAT,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Since Linux 6.13; the same on all machines.
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;

/// Requests that make, remove or unlock a whole tree of files (Btrfs, bcachefs), unseen by Landlock:
/// the part of their numbers that is compared, and that part.
const TREES: &[(u64, u64)] = &[
    (0xffff, 0x9401), // a snapshot
    (0xffff, 0x9417),
    (0xffff, 0x940e), // a subvolume
    (0xffff, 0x9418),
    (0xffff, 0x940f), // its removal
    (0xffff, 0x943f),
    (0xffff, 0x941a), // its flags
    (0xff00, 0xbc00), // all of bcachefs
];

/// Of a socket's type, without the flags beside it.
const TYPE_MASK: u64 = 0xf;

/// Calls of the x32 interface come with this in their number, and those that had to change have
/// another number as well.
#[cfg(target_arch = "x86_64")]
const X32_BIT: i64 = 0x4000_0000;
#[cfg(target_arch = "x86_64")]
const X32_NETWORK: &[i64] = &[
    X32_BIT | 521, // ptrace
    X32_BIT | 537, // recvmmsg
    X32_BIT | 538, // sendmmsg
    X32_BIT | 539, // process_vm_readv
    X32_BIT | 540, // process_vm_writev
];
#[cfg(target_arch = "x86_64")]
const X32_IOCTL: i64 = X32_BIT | 514;

/// What is refused.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refused {
    /// Reaching others through a socket.
    pub(super) network: bool,
    /// Changing the attributes of any file.
    pub(super) attributes: bool,
    /// Making and removing whole trees of files at once.
    pub(super) trees: bool,
}

/// Refuses calls with `EPERM`, for this thread and all that it starts.
pub(super) fn refuse(what: Refused) -> Result<(), Box<dyn Error>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    if what.network {
        rules.extend(NETWORK.iter().map(|call| (*call, Vec::new())));
        rules.insert(libc::SYS_socket, other_sockets()?);
        rules.insert(libc::SYS_socketpair, other_sockets()?);
    }
    if what.attributes {
        rules.extend(ATTRIBUTES.iter().map(|call| (*call, Vec::new())));
    }
    if what.trees {
        rules.insert(libc::SYS_ioctl, trees()?);
        #[cfg(target_arch = "x86_64")]
        rules.insert(X32_IOCTL, trees()?);
    }
    if rules.is_empty() {
        return Ok(());
    }
    #[cfg(target_arch = "x86_64")]
    {
        let again: Vec<_> = rules.iter().map(|(call, r)| (call | X32_BIT, r.clone())).collect();
        rules.extend(again);
        if what.network {
            rules.extend(X32_NETWORK.iter().map(|call| (*call, Vec::new())));
        }
    }
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(apply_filter(&program)?)
}

fn trees() -> Result<Vec<SeccompRule>, Box<dyn Error>> {
    let rule = |(mask, value): &(u64, u64)| {
        let is = SeccompCmpOp::MaskedEq(*mask);
        let request = SeccompCondition::new(1, SeccompCmpArgLen::Dword, is, *value)?;
        Ok(SeccompRule::new(vec![request])?)
    };
    TREES.iter().map(rule).collect()
}

/// All but `AF_UNIX` streams.
fn other_sockets() -> Result<Vec<SeccompRule>, Box<dyn Error>> {
    let is = |arg, op, value: libc::c_int| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(arg, SeccompCmpArgLen::Dword, op, value)
    };
    let of_type = |kind| is(1, SeccompCmpOp::MaskedEq(TYPE_MASK), kind);
    Ok(vec![
        SeccompRule::new(vec![is(0, SeccompCmpOp::Ne, libc::AF_UNIX)?])?,
        SeccompRule::new(vec![of_type(libc::SOCK_DGRAM)?])?,
        // The same thing under another name, for `AF_UNIX`.
        SeccompRule::new(vec![of_type(libc::SOCK_RAW)?])?,
    ])
}
