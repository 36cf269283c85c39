//! The manual, as far as tests execute it: sessions of `redis-cli`, tables, lines of code.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use redis::Value;

use super::client::Protocol;
use super::notation::error_text;

/// What `redis-cli` shows in front of a command.
const PROMPT: &str = "127.0.0.1:6379> ";

/// The folder of the package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the package.
pub(crate) fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// README.md and all pages under docs.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The blocks of code of a page: where each begins, counted from 1, and its lines.
pub(crate) fn blocks(text: &str) -> Vec<(usize, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Vec<&str>)> = None;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            match open.take() {
                Some(block) => blocks.push(block),
                None => open = Some((index + 2, Vec::new())),
            }
        } else if let Some((_, lines)) = &mut open {
            lines.push(line);
        }
    }
    assert!(open.is_none(), "a block of code has no end");
    blocks
}

/// One command of a session, and what is shown behind it.
#[derive(Debug)]
pub(crate) struct Example<'a> {
    pub(crate) line: usize,
    pub(crate) command: &'a str,
    pub(crate) reply: String,
}

/// The sessions of a page, each in its order. One that begins with `redis-cli -3` is in RESP3.
pub(crate) fn sessions(text: &str) -> Vec<(Protocol, Vec<Example<'_>>)> {
    let mut sessions = Vec::new();
    for (first, lines) in blocks(text) {
        let protocol = match lines.first() {
            Some(&"$ redis-cli -3") => Protocol::Resp3,
            _ => Protocol::Resp2,
        };
        let mut session: Vec<Example<'_>> = Vec::new();
        for (index, line) in lines.into_iter().enumerate() {
            if let Some(command) = line.strip_prefix(PROMPT) {
                session.push(Example {
                    line: first + index,
                    command,
                    reply: String::new(),
                });
            } else if let Some(example) = session.last_mut() {
                example.reply.push_str(line);
                example.reply.push('\n');
            }
        }
        if !session.is_empty() {
            sessions.push((protocol, session));
        }
    }
    sessions
}

/// The rows of the first table behind a heading, without that of the titles.
pub(crate) fn table<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let rows: Vec<_> = lines
        .take_while(|line| !line.starts_with('#'))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "no table behind {heading}");
    rows
}

/// A reply as `redis-cli` shows it on a terminal.
pub(crate) fn shown(reply: &Value) -> String {
    let mut text = String::new();
    show(reply, "", &mut text);
    text
}

fn show(reply: &Value, indent: &str, text: &mut String) {
    let line = match reply {
        Value::Nil => "(nil)".to_owned(),
        Value::Int(number) => format!("(integer) {number}"),
        Value::Okay => "OK".to_owned(),
        Value::SimpleString(line) => line.clone(),
        Value::BulkString(bytes) => format!("\"{}\"", escaped(bytes)),
        Value::Double(number) => format!("(double) {}", number.to_string().to_lowercase()),
        Value::ServerError(_) => format!("(error) {}", error_text(reply)),
        Value::Array(items) if items.is_empty() => "(empty array)".to_owned(),
        Value::Set(items) if items.is_empty() => "(empty set)".to_owned(),
        Value::Map(pairs) if pairs.is_empty() => "(empty hash)".to_owned(),
        Value::Array(items) => return show_items(items, ')', indent, text),
        Value::Set(items) => return show_items(items, '~', indent, text),
        Value::Map(pairs) => return show_pairs(pairs, indent, text),
        other => format!("{other:?}"),
    };
    text.push_str(&line);
    text.push('\n');
}

fn show_items(items: &[Value], mark: char, indent: &str, text: &mut String) {
    let width = items.len().to_string().len();
    let deeper = format!("{indent}{}", " ".repeat(width + 2));
    for (index, item) in items.iter().enumerate() {
        let before = if index > 0 { indent } else { "" };
        write!(text, "{before}{:>width$}{mark} ", index + 1).unwrap();
        show(item, &deeper, text);
    }
}

fn show_pairs(pairs: &[(Value, Value)], indent: &str, text: &mut String) {
    let width = pairs.len().to_string().len();
    let deeper = format!("{indent}{}", " ".repeat(width + 2));
    for (index, (name, value)) in pairs.iter().enumerate() {
        let before = if index > 0 { indent } else { "" };
        write!(text, "{before}{:>width$}# ", index + 1).unwrap();
        show(name, &deeper, text);
        text.pop();
        text.push_str(" => ");
        let mut shown = String::new();
        show(value, &deeper, &mut shown);
        if shown.lines().count() > 1 {
            text.push('\n');
            text.push_str(&deeper);
        }
        text.push_str(&shown);
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => text.extend(['\\', byte.into()]),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(byte.into()),
            _ => write!(text, "\\x{byte:02x}").unwrap(),
        }
    }
    text
}

/// Whether a reply is what the manual shows. In the manual `...` stands for any characters of a line.
/// With `is_timed`, what the clock says may differ: numbers of 13 digits.
pub(crate) fn is_as_shown(manual: &str, reply: &str, is_timed: bool) -> bool {
    let (manual, reply): (Vec<_>, Vec<_>) = (manual.lines().collect(), reply.lines().collect());
    manual.len() == reply.len()
        && manual.iter().zip(&reply).all(|(manual, reply)| {
            is_alike(manual, reply) || (is_timed && without_times(manual) == without_times(reply))
        })
}

fn is_alike(manual: &str, reply: &str) -> bool {
    let Some((before, after)) = manual.split_once("...") else {
        return manual == reply;
    };
    reply
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some()
}

/// A line with every number of 13 digits made the same.
fn without_times(line: &str) -> String {
    let mut text = String::new();
    let mut digits = String::new();
    for letter in line.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        text.push_str(if digits.len() == 13 {
            "<time>"
        } else {
            &digits
        });
        digits.clear();
        text.push(letter);
    }
    text
}
