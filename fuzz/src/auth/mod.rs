//! What is known of credentials: a reference model, steps that try it, and named invariants.

pub mod draw;
pub mod grant;
pub mod invariants;
pub mod marks;
pub mod model;
pub mod run;
pub mod said;
pub mod scene;
pub mod seen;
pub mod setting;
pub mod small_scope;
pub mod state;
pub mod step;
pub mod tokens;
