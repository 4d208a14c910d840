// The server that the tests are about, as a program.

use std::sync::OnceLock;

/// Its path. Cargo builds examples with the tests, and puts them beside them; it names none.
pub(crate) fn program() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let test = std::env::current_exe().expect("a path");
        let built = test.parent().and_then(|deps| deps.parent()).expect("a target folder");
        let path = built.join("examples").join("app_server");
        assert!(path.is_file(), "run `cargo build -p understudy-async-std --examples` first");
        path.into_os_string().into_string().expect("text")
    })
}
