//! `COMMAND DOCS` is exact: what the module takes can be read by the grammar that the server tells,
//! and what the grammar says is never a word too many, too few or unknown.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use redis::Value;
use support::client::{Client, Protocol};
use support::grammar::{Arg, arguments_of, derives, say};
use support::notation::{error_text, quoted, words};
use support::seeds::{FUZZ_SEED, Random};
use support::server::Server;

/// Ways to say each command that are tried.
const WAYS: usize = 200;
/// Requests of the cases that were answered, at least.
const REQUESTS: usize = 1_400;

/// The grammars of all commands, by the words of their names.
fn grammars(client: &mut Client) -> BTreeMap<Vec<String>, Vec<Arg>> {
    let names = client.module_commands().into_iter();
    names
        .map(|name| {
            let arguments = arguments_of(client, &name);
            (name.split('|').map(String::from).collect(), arguments)
        })
        .collect()
}

/// Requests of the cases in `tests/commands` that are not refused.
fn answered_requests() -> Vec<String> {
    let folder = format!("{}/tests/commands", env!("CARGO_MANIFEST_DIR"));
    let mut requests = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            if let Some(request) = pair[0].strip_prefix("> ")
                && !pair[1].starts_with('-')
            {
                requests.push(request.to_owned());
            }
        }
    }
    requests
}

#[test]
fn what_is_answered_can_be_read_by_the_documented_grammar() {
    let server = Server::start();
    let grammars = grammars(&mut server.connect(Protocol::Resp3));
    let mut read = BTreeSet::new();
    let mut unread = Vec::new();
    let mut requests = 0;
    for request in answered_requests() {
        let line = words(&request);
        let upper = |word: &Vec<u8>| String::from_utf8_lossy(word).to_uppercase();
        let name: Vec<String> = line.iter().take(2).map(upper).collect();
        let known = (1..=2).rev().find_map(|len| {
            let grammar = grammars.get(name.get(..len)?)?;
            Some((len, grammar))
        });
        let Some((len, grammar)) = known else {
            continue;
        };
        requests += 1;
        read.insert(name[..len].to_vec());
        if !derives(grammar, &line[len..]) {
            unread.push(request);
        }
    }
    assert!(
        unread.is_empty(),
        "{} of {requests}:\n{}",
        unread.len(),
        unread.join("\n")
    );
    assert!(requests > REQUESTS, "{requests} requests");
    println!("{requests} requests of {} commands", read.len());
}

#[test]
fn what_the_documented_grammar_says_is_no_word_too_many_and_none_too_few() {
    let mut server = Server::start();
    let mut client = server.connect(Protocol::Resp3);
    let mut random = Random::new(FUZZ_SEED);
    for (name, grammar) in grammars(&mut client) {
        for _ in 0..WAYS {
            if grammar.is_empty() {
                break;
            }
            let mut line: Vec<Vec<u8>> = name.iter().map(|word| word.clone().into()).collect();
            say(&grammar, &mut |len| random.index(len), &mut line);
            let reply = client.call(&line);
            let Value::ServerError(_) = reply else {
                continue;
            };
            let text = error_text(&reply);
            let misread = [
                "unknown argument",
                "argument is missing",
                "wrong number of arguments",
                "given twice",
                "unknown subcommand",
            ];
            let shown: Vec<String> = line.iter().map(|word| quoted(word)).collect();
            assert!(
                !misread.iter().any(|what| text.contains(what)),
                "{}: {text}",
                shown.join(" ")
            );
        }
    }
    server.assert_alive(&|| "all of it".into());
}
