//! Whole sessions: one or two machines on the same files, threads that are begun, resumed, copied and
//! put away, models that call tools, programs that run, users who answer or do not, disks that are
//! full, and crashes. The reference model is a ledger of what was allowed and what was promised.

pub mod ledger;
pub mod reply;
mod rest;
pub mod rules;
pub mod run;
pub mod said;
pub mod scene;
mod see;
pub mod setting;
pub mod step;
pub mod table;
