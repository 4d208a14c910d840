// Recordings and the command that plays them again.
#[path = "../process/replay.rs"]
mod replay;
