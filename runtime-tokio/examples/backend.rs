//! The backend of the examples that start the server as a process.
//!
//!     cargo run -p understudy-tokio --example backend
//!
//! Prints a line of JSON with the configuration that leads a server to it, the token that it takes
//! and what it will say, then serves until its input ends, so that it goes with whoever started
//! it. Its last line has the tokens that the model was asked with.

#[path = "../../examples/pretended/backend.rs"]
mod backend;

use std::io::{self, Read as _, Write as _};

use serde_json::json;

use backend::{Backend, GOOD_TOKEN, PIECES};

fn main() -> io::Result<()> {
    let backend = Backend::start()?;
    let says = PIECES.concat();
    println!("{}", json!({"config": backend.config(), "goodToken": GOOD_TOKEN, "says": says}));
    io::stdin().read_to_end(&mut Vec::new())?;
    // A host that failed does not wait for it.
    let _gone = writeln!(io::stdout(), "{}", json!({"bearers": backend.bearers()}));
    Ok(())
}
