//! Owns: what a confined program may write, for Landlock, and the privileges it gives up.

use std::error::Error;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::fs::{FileType, fstat};
use rustix::process::geteuid;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use super::entries;
use super::view::View;

/// The newest rights that are known; older kernels do without some.
const NEWEST: ABI = ABI::V10;

/// Devices to which writing does no harm. New terminals are not among them: who may open those of
/// `/dev/pts` may write on those of others.
const DEVICES: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// What a superuser keeps: reach into folders of others in the roots, as in a container with the
/// user's files. All else could undo the sandbox, or harm the machine.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID);

/// What keeps a program from writing in protected places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Mounts of its own. Landlock keeps it from what lies outside of the roots.
    Mounts,
    /// Nothing but Landlock.
    Landlock,
}

/// Forbids to write anywhere but beneath the writable roots, whatever the mounts say.
pub(super) fn restrict(view: &View, guard: Guard) -> Result<(), Box<dyn Error>> {
    let least = match guard {
        Guard::Mounts => ABI::V1,
        // The first that knows of truncating; those before it know when files are moved.
        Guard::Landlock => ABI::V3,
    };
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_write(least))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_write(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    let mut rules = rules.create()?;
    // A superuser could make a device in a root and write through it to a disk.
    let in_root = AccessFs::from_write(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    match guard {
        Guard::Mounts => {
            for root in &view.writable {
                allow(&mut rules, PathFd::new(root)?, in_root)?;
            }
        }
        Guard::Landlock => {
            entries::each(view, &mut |entry| allow(&mut rules, entry, in_root))?;
        }
    }
    for device in DEVICES.map(Path::new) {
        if device.exists() {
            allow(&mut rules, PathFd::new(device)?, AccessFs::from_write(NEWEST))?;
        }
    }
    // Its own terminal, under its name.
    if let Ok(own) = fs::read_link("/proc/self/fd/0")
        && own.starts_with("/dev/pts")
        && own.exists()
    {
        allow(&mut rules, PathFd::new(&own)?, AccessFs::from_write(NEWEST))?;
    }
    match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("Landlock is switched off".into()),
    }
}

fn allow(
    rules: &mut RulesetCreated,
    place: impl AsFd,
    rights: BitFlags<AccessFs>,
) -> Result<(), Box<dyn Error>> {
    let is_folder = FileType::from_raw_mode(fstat(&place)?.st_mode).is_dir();
    let rights = if is_folder { rights } else { rights & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(place, rights))?;
    Ok(())
}

/// Gives up what could undo the sandbox, and that any program gives it back.
pub(super) fn drop_privileges() -> io::Result<()> {
    set_no_new_privs(true)?;
    // The kernel says EINVAL behind the last one that it knows.
    for one in (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
        let Ok(is_there) = capability_is_in_bounding_set(one) else { break };
        if is_there && !KEPT.contains(one) {
            match remove_capability_from_bounding_set(one) {
                Ok(()) => {}
                // Only a superuser would be given it when the program starts.
                Err(_) if !geteuid().is_root() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let now = capabilities(None)?;
    let kept = CapabilitySets {
        effective: now.effective & KEPT,
        permitted: now.permitted & KEPT,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, kept)?)
}
