//! The invariants of the source tree: who may know whom, and how long a file may be; and that
//! the manual speaks of everything there is.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::client::Protocol;
use support::server::Server;

/// Longest source file, in lines.
const MAX_LINES: usize = 600;

/// The files under a folder of the package, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no source in {folder}");
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails for every line of code, comments aside, that has one of the words.
#[track_caller]
fn check_absent(folder: &str, words: &[&str]) {
    let mut found = Vec::new();
    for (path, text) in sources(folder) {
        for (index, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let is_ban = code.contains("forbid(unsafe_code)");
            if let Some(word) = words.iter().find(|word| !is_ban && has_word(code, word)) {
                found.push(format!("{}:{}: {word}", path.display(), index + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Whether `word` stands in `code` with nothing of a name beside it.
fn has_word(code: &str, word: &str) -> bool {
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(is_name) && !code[at + word.len()..].starts_with(is_name)
    })
}

#[test]
fn a_word_is_found_only_where_it_stands_alone() {
    assert!(has_word("use crate::host::Key;", "crate::host"));
    assert!(has_word("unsafe { x }", "unsafe"));
    assert!(!has_word("use crate::hosts;", "crate::host"));
    assert!(!has_word("unsafe_op_in_unsafe_fn", "unsafe"));
}

#[test]
fn the_engine_knows_neither_the_server_nor_the_commands() {
    check_absent(
        "src/engine",
        &[
            "redis_module",
            "crate::host",
            "crate::command",
            "super::command",
            "super::host",
        ],
    );
}

#[test]
fn the_engine_has_no_clock_and_no_files() {
    check_absent(
        "src/engine",
        &[
            "std::time",
            "std::fs",
            "std::net",
            "std::io",
            "std::thread",
            "SystemTime",
            "Instant",
        ],
    );
}

#[test]
fn commands_know_the_server_only_as_a_trait() {
    check_absent("src/command", &["redis_module", "crate::host"]);
}

#[test]
fn unsafe_code_stands_only_in_the_host() {
    for folder in ["src/engine", "src/command"] {
        check_absent(folder, &["unsafe"]);
    }
    for module in ["src/engine/mod.rs", "src/command/mod.rs"] {
        let text = fs::read_to_string(root().join(module)).unwrap();
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{module} forbids it"
        );
    }
}

#[test]
fn no_source_file_is_too_long_to_read() {
    for folder in ["src", "tests", "benches", "examples"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn the_readme_speaks_of_every_command() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let server = Server::start();
    let commands = server.connect(Protocol::Resp2).module_commands();
    let missing: Vec<_> = commands
        .iter()
        .filter(|name| !readme.contains(&name.replace('|', " ")))
        .collect();
    assert!(
        missing.is_empty(),
        "README.md does not speak of {missing:?}"
    );
}

#[test]
fn the_example_configuration_explains_every_setting() {
    let example = fs::read_to_string(root().join("redis.conf.example")).unwrap();
    let server = Server::start();
    let settings = server
        .connect(Protocol::Resp2)
        .run("CONFIG GET redis-iot.*");
    let settings: Vec<String> = redis::from_redis_value(settings).unwrap();
    assert!(settings.len() >= 12, "{settings:?}");
    let names = settings.chunks(2).map(|pair| &pair[0]);
    let missing: Vec<_> = names.filter(|name| !example.contains(*name)).collect();
    assert!(
        missing.is_empty(),
        "redis.conf.example does not explain {missing:?}"
    );
}
