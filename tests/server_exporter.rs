//! `redis_exporter` scrapes a server with our script: each figure arrives as it is, and the dashboard
//! and the alerts speak of no other.
//!
//! `make setup` unpacks Debian's prometheus-redis-exporter. Where that was not possible the test says so
//! past the capture of its output, and `.ci/test` repeats it.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::client::Protocol;
use support::server::{PATIENCE, Server, await_that};
use support::stats::{Figures, figures};

/// The exporter's name for what a script returns.
const METRIC: &str = "redis_script_values";

fn contrib(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("contrib")
        .join(name)
}

/// The exporter, if there is one: unpacked in the build folder, above `debug/deps`, or installed.
fn program() -> Option<PathBuf> {
    const NAME: &str = "prometheus-redis-exporter";
    let executable = std::env::current_exe().unwrap();
    let build = executable
        .ancestors()
        .nth(3)
        .unwrap()
        .join("exporter/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::iter::once(build).chain(std::env::split_paths(&path));
    let found = folders.find_map(|folder| Some(folder.join(NAME)).filter(|file| file.is_file()));
    if found.is_none() {
        let line =
            format!("\nLEFT OUT: no test scrapes {NAME}, there is none; `make setup` unpacks it\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    found
}

/// A running exporter.
struct Exporter {
    process: Child,
    port: u16,
}

impl Exporter {
    fn start(program: &Path, server: &Server) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let process = Command::new(program)
            .args(["-web.listen-address", &format!("127.0.0.1:{port}")])
            .args([
                "-redis.addr",
                &format!("redis://127.0.0.1:{}", server.port()),
            ])
            .arg("-script")
            .arg(contrib("redis_exporter.lua"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let exporter = Self { process, port };
        await_that("the exporter answers", || {
            TcpStream::connect(("127.0.0.1", exporter.port)).is_ok()
        });
        exporter
    }

    /// The page that Prometheus gets.
    fn page(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            .unwrap();
        let mut page = Vec::new();
        stream.read_to_end(&mut page).unwrap();
        String::from_utf8(page).unwrap()
    }

    /// What the script has returned.
    fn figures(&self) -> Figures {
        let page = self.page();
        let lines = page.lines().filter_map(|line| line.strip_prefix(METRIC));
        let figure = |line: &str| {
            let (key, rest) = line.strip_prefix("{key=\"")?.split_once('"')?;
            let value = rest.rsplit(' ').next()?.parse().ok()?;
            Some((key.to_string(), value))
        };
        lines.map(|line| figure(line).unwrap()).collect()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_is_scraped_is_what_the_server_says() {
    let Some(program) = program() else { return };
    let server = Server::start_with(&["--redis-iot.idle-seal", "0"]);
    let mut client = server.connect(Protocol::Resp2);
    for at in 0..500 {
        client.run(&format!("IOT.ADD t{} {} {}", at % 7, at * 10, at % 5));
    }
    client.run("IOT.ADD t0 5 1");
    client.run("IOT.ADD t0 5 1");
    client.run("IOT.ADD t0 x 1");
    // More digits than a script writes by itself.
    client.run("IOT.ADD now * 1");
    client.run("IOT.FENCE ADD zones depot CIRCLE 10 50 100");
    client.run("IOT.FENCE BIND cars zones PUBLISH events");
    client.run("IOT.TRACK cars van7 10 50 TS 1");
    let exporter = Exporter::start(&program, &server);
    let moves = |name: &str| name.starts_with("agenda") || name.starts_with("idle");
    let before = figures(&mut client);
    let scraped = exporter.figures();
    let after = figures(&mut client);
    assert_eq!(
        scraped.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    for (name, value) in &scraped {
        let (low, high) = (before[name], after[name]);
        let is_between = low <= *value && *value <= high;
        assert!(
            is_between || moves(name),
            "{name}: {low}, scraped {value}, {high}"
        );
    }
    assert!(scraped["samples_added"] >= 500.0);
    assert!(exporter.page().contains("redis_up 1"));
}

#[test]
fn a_server_without_the_module_is_scraped_too() {
    let script = fs::read_to_string(contrib("redis_exporter.lua")).unwrap();
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    // Whoever may not ask is told of nothing, as by a server that does not know the command.
    client.expect("ACL SETUSER limited on nopass ~* +@all -iot.stats", "+OK");
    client.expect("AUTH limited x", "+OK");
    let reply = client.call(&["EVAL", &script, "0"]);
    assert_eq!(reply, redis::Value::Array(Vec::new()));
}

/// The names of figures in a text of queries.
fn named(text: &str) -> BTreeSet<String> {
    let quoted = text.replace("\\\"", "\"");
    let pieces = quoted.split(METRIC).skip(1);
    pieces
        .map(|piece| {
            let (name, _) = piece
                .strip_prefix("{key=\"")
                .and_then(|rest| rest.split_once('"'))
                .unwrap_or_else(|| panic!("a query of no figure: {piece}"));
            name.to_string()
        })
        .collect()
}

#[test]
fn the_dashboard_and_the_alerts_speak_of_figures_that_there_are() {
    let server = Server::start();
    let known: BTreeSet<String> = figures(&mut server.connect(Protocol::Resp2))
        .into_keys()
        .collect();
    let dashboard = fs::read_to_string(contrib("grafana/redis-iot.json")).unwrap();
    let rules = fs::read_to_string(contrib("prometheus/redis-iot.rules.yml")).unwrap();
    for text in [&dashboard, &rules] {
        let named = named(text);
        assert!(named.len() > 5);
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
    // A counter that nobody sees is missed when it is wanted.
    let shown = named(&dashboard);
    let hidden: Vec<_> = known.difference(&shown).collect();
    assert!(
        hidden.iter().all(|name| name.contains("longest")),
        "{hidden:?}"
    );
}

#[test]
fn the_dashboard_can_be_loaded() {
    let text = fs::read_to_string(contrib("grafana/redis-iot.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(dashboard["uid"], "redis-iot");
    assert!(dashboard["schemaVersion"].as_u64() > Some(30));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["datasource", "instance"]);
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()));
        let place = &panel["gridPos"];
        let of = |name: &str| place[name].as_u64().unwrap();
        assert!(of("x") + of("w") <= 24 && places.insert((of("y"), of("x"))));
        assert!(!panel["title"].as_str().unwrap().is_empty());
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            let count = |one: char| query.chars().filter(|&letter| letter == one).count();
            assert_eq!(count('('), count(')'), "{query}");
            assert_eq!(count('{'), count('}'), "{query}");
        }
    }
    assert!(panels.len() >= 12);
}
