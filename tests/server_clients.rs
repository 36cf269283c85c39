//! Clients made for time series by others drive every method they have, on both protocols, and
//! check what they return: the scripts in `tests/clients`.
//!
//! `make setup` installs the clients. Where that was not possible a test says so past the capture of
//! its output, and `.ci/test` repeats it.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use support::server::{PATIENCE, Server};

/// Where `make setup` installs clients: in the build folder, above `debug/deps`.
fn installed(what: &str) -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let build = executable.ancestors().nth(3).unwrap();
    build.join("clients").join(what)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

/// Whether a client was installed as a whole; says loudly where it was not.
fn is_installed(client: &str, stamp: &Path) -> bool {
    let is_there = stamp.is_file();
    if !is_there {
        // The macros' output is captured while a test passes; this is not.
        let line = format!(
            "\nLEFT OUT: no test drives {client}, there is no {}; `make setup` installs it\n",
            stamp.display()
        );
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
    is_there
}

/// Runs a script with the port of a server that knows the other names, and fails with its output.
#[track_caller]
fn drive(mut script: Command) {
    let server = Server::start_with(&["TS-ALIASES", "yes"]);
    let output = server.folder().join("client");
    let file = File::create(&output).unwrap();
    script
        .arg(server.port().to_string())
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file);
    let status = status_of(script);
    let output = fs::read_to_string(output).unwrap();
    assert!(
        status.is_some_and(|status| status.success()),
        "{status:?}\n{output}\n{}",
        server.last_words()
    );
}

/// How a command ends; `None` if it had to be stopped.
fn status_of(mut command: Command) -> Option<ExitStatus> {
    let mut process = command.spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = process.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    None
}

#[test]
fn redis_py_finds_what_it_expects() {
    let folder = installed("venv");
    if is_installed("redis-py", &folder.join("requirements.txt")) {
        let mut command = Command::new(folder.join("bin/python"));
        command.arg("-B").arg(script("redis_py.py"));
        drive(command);
    }
}

#[test]
fn node_redis_finds_what_it_expects() {
    let folder = installed("node");
    if is_installed("node-redis", &folder.join("complete")) {
        let mut command = Command::new("node");
        command.arg(script("node_redis.mjs")).arg(folder);
        drive(command);
    }
}
