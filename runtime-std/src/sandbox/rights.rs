//! Owns: what a confined program may write, for Landlock, and the privileges it gives up.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::geteuid;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

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

/// Forbids to write anywhere but beneath the writable roots, whatever the mounts say. `least` is
/// the oldest Landlock that will do.
pub(super) fn restrict(view: &View, least: ABI) -> Result<(), Box<dyn Error>> {
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_write(least))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_write(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    let mut rules = rules.create()?;
    // A superuser could make a device in a root and write through it to a disk.
    let in_root = AccessFs::from_write(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    for root in &view.writable {
        rules = allow(rules, root, in_root)?;
    }
    for device in DEVICES.map(Path::new) {
        if device.exists() {
            rules = allow(rules, device, AccessFs::from_write(NEWEST))?;
        }
    }
    // Its own terminal, under its name.
    if let Ok(own) = fs::read_link("/proc/self/fd/0")
        && own.starts_with("/dev/pts")
        && own.exists()
    {
        rules = allow(rules, &own, AccessFs::from_write(NEWEST))?;
    }
    match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => Err("Landlock is switched off".into()),
    }
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Box<dyn Error>> {
    let rights = if path.is_dir() { rights } else { rights & AccessFs::from_file(NEWEST) };
    Ok(rules.add_rule(PathBeneath::new(PathFd::new(path)?, rights))?)
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
