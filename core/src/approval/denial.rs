//! Whether a sandbox seems to have stopped a command. A guess from what the command wrote: it only
//! ever leads to a question.

/// What programs write when something is not permitted, in small letters (engine.md §4.5).
const SIGNS: &[&str] = &[
    "operation not permitted",
    "permission denied",
    "read-only file system",
    "seccomp",
    "sandbox",
    "landlock",
    "failed to write file",
];

/// The exit code of a program that was killed for a forbidden system call: 128 + SIGSYS on Linux.
const KILLED_BY_FILTER: i32 = 159;

/// Whether a command that ran in a sandbox was stopped by it, as far as its exit code and what it
/// wrote tell.
pub fn looks_denied(exit_code: i32, output: &[u8]) -> bool {
    if exit_code == 0 {
        return false;
    }
    let text = String::from_utf8_lossy(output).to_lowercase();
    exit_code == KILLED_BY_FILTER || SIGNS.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::looks_denied;

    #[test]
    fn denials_are_told_by_code_and_words() {
        assert!(looks_denied(1, b"touch: cannot touch 'x': Permission denied\n"));
        assert!(looks_denied(159, b""));
        assert!(!looks_denied(0, b"permission denied"));
        assert!(!looks_denied(2, b"no such file \xff"));
    }
}
