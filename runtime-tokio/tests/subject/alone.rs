// Recordings and the command that plays them again; measurements for collectors.
#[path = "../process/collector.rs"]
mod collector;
#[path = "../process/replay.rs"]
mod replay;
#[path = "../process/telemetry.rs"]
mod telemetry;
