//! Replies as compact text, one text for both protocols.
//!
//! ```text
//! 12              integer                    int        any integer
//! #2.5            number: a double in RESP3, a simple string in RESP2 (also #NaN, #inf, #-inf)
//! "text\x00"      bulk string                nil        nothing
//! +OK             simple string              _          anything
//! -"ERR *text*"   error; * stands for any run of characters; at the end of the expectation the
//!                 quotes may be left out: -ERR *text*
//! [a, b]          array
//! {k: v}          map; a flat array in RESP2
//! <k: v>          map; an array of pairs in RESP2
//! ```

use std::fmt::Write;

use redis::Value;

use super::client::Protocol;

/// What a reply should be.
#[derive(Clone, Debug, PartialEq)]
enum Pattern {
    Anything,
    AnyInteger,
    Integer(i64),
    Number(f64),
    Bulk(Vec<u8>),
    Simple(String),
    Error(String),
    Nil,
    Array(Vec<Pattern>),
    Map(Vec<(Pattern, Pattern)>),
    Pairs(Vec<(Pattern, Pattern)>),
}

/// Compares a reply with what `expected` says; the error shows both.
pub(crate) fn compare(expected: &str, reply: &Value, protocol: Protocol) -> Result<(), String> {
    let mut parser = Parser {
        text: expected.trim(),
    };
    let pattern = parser.pattern();
    assert_eq!(
        parser.text.trim(),
        "",
        "left over in the expectation {expected}"
    );
    if matches(&pattern, reply, protocol) {
        return Ok(());
    }
    Err(format!(
        "  expected: {}\n  replied:  {}  ({protocol:?})",
        expected.trim(),
        render(reply)
    ))
}

fn matches(pattern: &Pattern, reply: &Value, protocol: Protocol) -> bool {
    let all = |patterns: &[Pattern], replies: &[Value]| {
        patterns.len() == replies.len()
            && patterns
                .iter()
                .zip(replies)
                .all(|(pattern, reply)| matches(pattern, reply, protocol))
    };
    match (pattern, reply) {
        (Pattern::Anything, reply) => !matches!(reply, Value::ServerError(_)),
        (Pattern::AnyInteger, Value::Int(_)) | (Pattern::Nil, Value::Nil) => true,
        (Pattern::Integer(want), Value::Int(have)) => want == have,
        (Pattern::Number(want), have) => {
            number(have, protocol).is_some_and(|have| same_number(*want, have))
        }
        (Pattern::Bulk(want), Value::BulkString(have)) => want == have,
        (Pattern::Simple(want), Value::SimpleString(have)) => want == have,
        (Pattern::Simple(want), Value::Okay) => want == "OK",
        (Pattern::Error(want), Value::ServerError(_)) => glob(want, &error_text(reply)),
        (Pattern::Array(want), Value::Array(have) | Value::Set(have)) => all(want, have),
        (Pattern::Map(want) | Pattern::Pairs(want), Value::Map(have)) => {
            protocol == Protocol::Resp3
                && want.len() == have.len()
                && want.iter().zip(have).all(|(want, have)| {
                    matches(&want.0, &have.0, protocol) && matches(&want.1, &have.1, protocol)
                })
        }
        (Pattern::Map(want), Value::Array(have)) => {
            let flat: Vec<_> = want
                .iter()
                .flat_map(|(k, v)| [k.clone(), v.clone()])
                .collect();
            protocol == Protocol::Resp2 && all(&flat, have)
        }
        (Pattern::Pairs(want), Value::Array(have)) => {
            let pairs: Vec<_> = want
                .iter()
                .map(|(k, v)| Pattern::Array(vec![k.clone(), v.clone()]))
                .collect();
            protocol == Protocol::Resp2 && all(&pairs, have)
        }
        _ => false,
    }
}

/// The number in a reply, if it has the form that its protocol gives to numbers.
pub(crate) fn number(reply: &Value, protocol: Protocol) -> Option<f64> {
    match (reply, protocol) {
        (Value::Double(value), Protocol::Resp3) => Some(*value),
        (Value::SimpleString(text), Protocol::Resp2) => text.parse().ok(),
        _ => None,
    }
}

/// Whether two numbers are the same to the bit, where every NaN is the same: a reply has no room
/// for the bits of a NaN.
pub(crate) fn same_number(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Sums and squares are added up in another order by the server than by the model.
pub(crate) const TOLERANCE: f64 = 1e-9;

/// Whether two numbers are the same but for what rounding may do to readings.
pub(crate) fn near(a: f64, b: f64, tolerance: f64) -> bool {
    // The readings reach 1000, their squares a million.
    same_number(a, b) || (tolerance > 0.0 && (a - b).abs() <= tolerance * a.abs().max(1_000.0))
}

/// The text of an error as it went over the wire.
pub(crate) fn error_text(reply: &Value) -> String {
    let Value::ServerError(error) = reply else {
        panic!("{} is no error", render(reply));
    };
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_string(),
    }
}

/// Whether `text` is what `pattern` says, where `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(found) = rest.find(part) else {
            return false;
        };
        rest = &rest[found + part.len()..];
    }
    rest.ends_with(last)
}

/// A reply in the notation.
pub(crate) fn render(reply: &Value) -> String {
    match reply {
        Value::Nil => "nil".into(),
        Value::Int(value) => value.to_string(),
        Value::Double(value) => format!("#{value:?}"),
        Value::BulkString(bytes) => quoted(bytes),
        Value::SimpleString(text) if text.parse::<f64>().is_ok() => format!("#{text}"),
        Value::SimpleString(text) => format!("+{text}"),
        Value::Okay => "+OK".into(),
        Value::Array(items) | Value::Set(items) => {
            let items: Vec<_> = items.iter().map(render).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(k, v)| format!("{}: {}", render(k), render(v)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::ServerError(_) => format!("-{}", quoted(error_text(reply).as_bytes())),
        other => format!("{other:?}"),
    }
}

/// Bytes in quotes, escaped where they would not print.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(byte.into());
            }
            b' '..=b'~' => text.push(byte.into()),
            _ => write!(text, "\\x{byte:02x}").unwrap(),
        }
    }
    text.push('"');
    text
}

/// The words of a line, separated by spaces; `"a b\x00"` is one word with escapes, and
/// `packed:1000=2.5,2000=nan` one with the samples as `ADDBULK` takes them.
pub(crate) fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        if rest.starts_with('"') {
            let (word, after) = unquoted(rest);
            words.push(word);
            rest = after;
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            words.push(match rest[..end].strip_prefix("packed:") {
                Some(samples) => packed_text(samples),
                None => rest.as_bytes()[..end].to_vec(),
            });
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    words
}

fn packed_text(samples: &str) -> Vec<u8> {
    let samples = samples.split(',').filter(|sample| !sample.is_empty());
    packed(samples.map(|sample| {
        let (time, value) = sample.split_once('=').unwrap();
        (time.parse().unwrap(), value.parse().unwrap())
    }))
}

/// Samples as `ADDBULK ... PACKED` takes them.
pub(crate) fn packed(samples: impl IntoIterator<Item = (i64, f64)>) -> Vec<u8> {
    samples
        .into_iter()
        .flat_map(|(time, value)| [time.to_le_bytes(), value.to_le_bytes()].concat())
        .collect()
}

/// The bytes of the quoted text at the start of `text`, and what stands behind it.
fn unquoted(text: &str) -> (Vec<u8>, &str) {
    let mut bytes = Vec::new();
    let mut rest = text.strip_prefix('"').unwrap();
    loop {
        let next = rest.chars().next().expect("a closing quote");
        rest = &rest[next.len_utf8()..];
        match next {
            '"' => return (bytes, rest),
            '\\' => {
                let escape = rest.chars().next().expect("an escape");
                rest = &rest[escape.len_utf8()..];
                match escape {
                    'n' => bytes.push(b'\n'),
                    'r' => bytes.push(b'\r'),
                    't' => bytes.push(b'\t'),
                    'x' => {
                        bytes.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                        rest = &rest[2..];
                    }
                    other => bytes.extend_from_slice(other.to_string().as_bytes()),
                }
            }
            other => bytes.extend_from_slice(other.to_string().as_bytes()),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
}

impl Parser<'_> {
    fn pattern(&mut self) -> Pattern {
        self.text = self.text.trim_start();
        let first = self.text.chars().next().expect("an expectation");
        match first {
            '"' => Pattern::Bulk(self.quoted()),
            '[' => Pattern::Array(self.list(']')),
            '{' => Pattern::Map(self.pairs('}')),
            '<' => Pattern::Pairs(self.pairs('>')),
            '#' => Pattern::Number(self.word()[1..].parse().expect("a number")),
            '+' => Pattern::Simple(self.word()[1..].to_string()),
            '-' if self.text.starts_with("-\"") => {
                self.text = &self.text[1..];
                Pattern::Error(String::from_utf8(self.quoted()).unwrap())
            }
            '-' if !self.text[1..].starts_with(|next: char| next.is_ascii_digit()) => {
                let text = std::mem::take(&mut self.text);
                Pattern::Error(text[1..].to_string())
            }
            _ => match self.word() {
                "_" => Pattern::Anything,
                "int" => Pattern::AnyInteger,
                "nil" => Pattern::Nil,
                word => Pattern::Integer(
                    word.parse()
                        .unwrap_or_else(|_| panic!("{word} is no expectation")),
                ),
            },
        }
    }

    fn word(&mut self) -> &str {
        let end = self
            .text
            .find([',', ']', '}', '>', ':', ' ', '\n'])
            .unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(end);
        self.text = rest;
        word
    }

    fn quoted(&mut self) -> Vec<u8> {
        let (bytes, rest) = unquoted(self.text);
        self.text = rest;
        bytes
    }

    fn list(&mut self, close: char) -> Vec<Pattern> {
        let mut items = Vec::new();
        self.text = &self.text[1..];
        while !self.takes(close) {
            items.push(self.pattern());
            self.takes(',');
        }
        items
    }

    fn pairs(&mut self, close: char) -> Vec<(Pattern, Pattern)> {
        let mut items = Vec::new();
        self.text = &self.text[1..];
        while !self.takes(close) {
            let key = self.pattern();
            assert!(self.takes(':'), "a colon before {}", self.text);
            items.push((key, self.pattern()));
            self.takes(',');
        }
        items
    }

    fn takes(&mut self, token: char) -> bool {
        self.text = self.text.trim_start();
        let rest = self.text.strip_prefix(token);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }
}
