// The server that the tests are about, as a program.

/// Its path.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_understudy")
}
