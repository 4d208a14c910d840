//! Configuration (stub until the room is built).

/// Settings from the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<String>);
