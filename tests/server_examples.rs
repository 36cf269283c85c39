//! Every session in README.md and docs is executed, and replies what the manual shows.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::fs;

use redis::Value;
use support::client::Protocol;
use support::manual;
use support::notation::words;
use support::server::Server;

/// Sessions that there are at least; fewer are found if the way they are written changes.
const SESSIONS: usize = 80;

/// Whether a reply holds the server's clock: `*` is given as a time, or a stream shows its ids.
fn is_timed(command: &str) -> bool {
    let words = words(command);
    words.iter().any(|word| word == b"*") || command.starts_with("XR")
}

#[test]
fn every_session_of_the_manual_is_true() {
    let server = Server::start();
    let mut clients = Protocol::BOTH.map(|protocol| server.connect(protocol));
    let (mut sessions, mut wrong) = (0, Vec::new());
    for page in manual::pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (protocol, session) in manual::sessions(&text) {
            let client = clients
                .iter_mut()
                .find(|client| client.protocol == protocol);
            let client = client.unwrap();
            sessions += 1;
            client.expect("FLUSHALL", "+OK");
            for example in session {
                let reply = manual::shown(&client.call(&words(example.command)));
                if !manual::is_as_shown(&example.reply, &reply, is_timed(example.command)) {
                    let (page, line) = (page.display(), example.line);
                    let (command, shown) = (example.command, example.reply);
                    wrong.push(format!(
                        "{page}:{line}: {command}\n-- the manual\n{shown}-- the server\n{reply}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(sessions >= SESSIONS, "{sessions} sessions");
}

/// Commands that nobody but the server says, which have no session.
const INTERNAL: [&str; 4] = [
    "IOT.RESTORE",
    "IOT.FLEET RESTORE",
    "IOT.FLEET VISITS",
    "IOT.FENCE RESTORE",
];
/// Commands of a name that are nothing without their second word.
const CONTAINERS: [&str; 4] = ["IOT.FENCE", "IOT.FLEET", "IOT.POLICY", "IOT.ROAM"];

/// What `COMMAND DOCS` says under a name.
fn said<'a>(docs: &'a Value, name: &str) -> &'a str {
    let Value::Array(fields) = docs else {
        panic!("{docs:?}");
    };
    let is_name = |field: &&[Value]| field[0] == Value::BulkString(name.into());
    match fields.chunks(2).find(is_name) {
        Some([_, Value::BulkString(text)]) => std::str::from_utf8(text).unwrap(),
        _ => panic!("no {name} in {docs:?}"),
    }
}

#[test]
fn every_command_has_a_page_that_says_what_the_server_says() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let index = manual::text("docs/commands/README.md");
    let mut wrong = Vec::new();
    for name in client.module_commands() {
        let shown = name.replace('|', " ");
        if CONTAINERS.contains(&shown.as_str()) {
            continue;
        }
        let file = format!("{}.md", shown.to_lowercase().replace(' ', "-"));
        let page = manual::root().join("docs/commands").join(&file);
        let Ok(page) = fs::read_to_string(page) else {
            wrong.push(format!("there is no {file}"));
            continue;
        };
        let Value::Array(docs) = client.run(&format!("COMMAND DOCS {name}")) else {
            panic!("no docs of {name}");
        };
        let expected = [
            format!(
                "# {shown}\n\n{}.\n\n```\n{shown}",
                said(&docs[1], "summary")
            ),
            format!("| complexity | {} |", said(&docs[1], "complexity")),
            format!("| since | {} |", said(&docs[1], "since")),
            "\n## Reply\n".to_owned(),
        ];
        let missing = expected.iter().filter(|text| !page.contains(*text));
        wrong.extend(missing.map(|text| format!("{file} does not say:\n{text}")));
        let is_shown = page.contains(&format!("127.0.0.1:6379> {shown}"));
        if !is_shown && !INTERNAL.contains(&shown.as_str()) {
            wrong.push(format!("{file} has no session with {shown}"));
        }
        let row = format!("| [`{shown}`]({file}) | {} |", said(&docs[1], "summary"));
        if !index.contains(&row) {
            wrong.push(format!("docs/commands/README.md lacks:\n{row}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_that_the_manual_names_is_there() {
    let mut missing = Vec::new();
    for page in manual::pages() {
        let text = fs::read_to_string(&page).unwrap();
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| rest.split(')').next()) {
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            if link.contains("://") {
                continue;
            }
            let target = page.parent().unwrap().join(file);
            let target = if file.is_empty() { &page } else { &target };
            let is_there = match fs::read_to_string(target) {
                Err(_) => false,
                Ok(text) => place.is_empty() || headings(&text).any(|heading| heading == place),
            };
            if !is_there {
                missing.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The anchors of the headings of a page.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
            kept.map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
}
