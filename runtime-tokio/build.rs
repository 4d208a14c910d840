//! Has the linker put the functions that a start runs side by side: what lies scattered over the
//! whole program costs an idle server megabytes of mapped pages that hold nothing it needs.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=link/order.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("PROFILE", "release") {
        let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo:rustc-link-arg-bin=understudy=-Wl,-T,{here}/link/order.ld");
    }
}
