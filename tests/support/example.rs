//! The examples of the package as programs.

use std::path::PathBuf;
use std::process::Command;

/// An example as the running build made it: `cargo test` builds examples, but not for a single test.
pub(crate) fn program(name: &str) -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let build = executable.ancestors().nth(2).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--example", name]);
    if build.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(cargo.status().unwrap().success());
    build.join("examples").join(name)
}
