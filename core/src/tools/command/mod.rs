//! What can be told of a command from its words alone: the plain commands in a script, whether they
//! are harmless or dangerous, what they do for a reader, and how they are written as one line.
//!
//! Nothing here decides anything; [`approval`](crate::approval) does, from what is said here.

mod actions;
#[cfg(any(test, feature = "sim"))]
mod fuzz;
mod git;
mod line;
mod safety;
mod script;

pub use actions::actions;
#[cfg(any(test, feature = "sim"))]
pub use fuzz::fuzz_script;
pub use line::one_line;
pub use safety::{Hazard, hazard};
pub use script::{Connector, Script, Segments, plain, script_of, segments};

/// The name of a program without its folder.
pub(crate) fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Folders that only the administrator fills; elsewhere a program's name says nothing.
const SYSTEM_FOLDERS: &[&str] =
    &["/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"];

/// Whether the program is what its name says, as far as can be told: it is looked up by the system,
/// or lies where only the administrator writes.
fn is_well_known(program: &str) -> bool {
    match program.rsplit_once('/') {
        None => true,
        Some((folder, _)) => SYSTEM_FOLDERS.contains(&folder),
    }
}
