//! The grammar of a command, as `COMMAND DOCS` tells it.

use std::collections::BTreeSet;

use redis::Value;

use super::client::Client;
use super::docs::{map_of, text_of, texts_of};

/// One argument.
#[derive(Clone, Debug)]
pub(crate) struct Arg {
    /// What it is called.
    pub(crate) name: String,
    /// What stands there, in the words of the server.
    pub(crate) kind: String,
    /// The keyword before it.
    pub(crate) token: Option<String>,
    /// Whether it may be left out.
    pub(crate) is_optional: bool,
    /// Whether it may come several times.
    pub(crate) is_repeated: bool,
    /// Whether each of these has the keyword.
    pub(crate) is_token_repeated: bool,
    /// What a block or a choice is made of.
    pub(crate) parts: Vec<Self>,
}

/// The arguments of a command behind its name; none where the docs have none.
pub(crate) fn arguments_of(client: &mut Client, command: &str) -> Vec<Arg> {
    let docs = map_of(&client.run(&format!("COMMAND DOCS {command}")));
    let docs = map_of(docs.values().next().expect("a command has documentation"));
    docs.get("arguments").map(args_of).unwrap_or_default()
}

fn args_of(args: &Value) -> Vec<Arg> {
    let (Value::Array(args) | Value::Set(args)) = args else {
        panic!("arguments are a list: {args:?}");
    };
    args.iter().map(arg_of).collect()
}

fn arg_of(arg: &Value) -> Arg {
    let fields = map_of(arg);
    let flags = fields.get("flags").map(texts_of).unwrap_or_default();
    let has = |flag: &str| flags.iter().any(|have| have == flag);
    Arg {
        name: text_of(&fields["name"]),
        kind: text_of(&fields["type"]),
        token: fields.get("token").map(text_of),
        is_optional: has("optional"),
        is_repeated: has("multiple"),
        is_token_repeated: has("multiple_token"),
        parts: fields.get("arguments").map(args_of).unwrap_or_default(),
    }
}

impl Arg {
    /// Whether it is known by a keyword, or missed by nobody.
    fn is_movable(&self) -> bool {
        let is_known = self.kind == "oneof" && self.parts.iter().all(|part| part.token.is_some());
        is_known || self.token.is_some() || self.is_optional
    }

    /// Where the words end that this takes from a place on, in every way that it may.
    fn ends(&self, words: &[Vec<u8>], from: usize) -> BTreeSet<usize> {
        let first = self.behind_token(words, from);
        let mut all = first.map_or_else(BTreeSet::new, |at| self.bare_ends(words, at));
        let mut new = all.clone();
        while self.is_repeated && !new.is_empty() {
            let next = new.iter().filter_map(|&at| {
                if self.is_token_repeated {
                    self.behind_token(words, at)
                } else {
                    Some(at)
                }
            });
            let ends = next.flat_map(|at| self.bare_ends(words, at));
            new = ends.filter(|at| !all.contains(at)).collect();
            all.extend(&new);
        }
        all
    }

    fn behind_token(&self, words: &[Vec<u8>], from: usize) -> Option<usize> {
        let Some(token) = &self.token else {
            return Some(from);
        };
        let is_there = words
            .get(from)
            .is_some_and(|word| word.eq_ignore_ascii_case(token.as_bytes()));
        is_there.then_some(from + 1)
    }

    /// The same behind its keyword, and once.
    fn bare_ends(&self, words: &[Vec<u8>], from: usize) -> BTreeSet<usize> {
        match self.kind.as_str() {
            "pure-token" => [from].into(),
            "block" => ends(&self.parts, words, from),
            "oneof" => self
                .parts
                .iter()
                .flat_map(|part| part.ends(words, from))
                .collect(),
            _ => words.get(from).map(|_| from + 1).into_iter().collect(),
        }
    }

    /// Appends one way to say it: lists have one item, and numbers are one.
    pub(crate) fn say(&self, choose: &mut impl FnMut(usize) -> usize, line: &mut Vec<Vec<u8>>) {
        if let Some(token) = &self.token {
            line.push(token.clone().into());
        }
        match self.kind.as_str() {
            "pure-token" => {}
            "block" => say(&self.parts, choose, line),
            "oneof" => self.parts[choose(self.parts.len())].say(choose, line),
            "key" | "string" => line.push(self.name.clone().into()),
            _ => line.push(b"1".into()),
        }
    }
}

/// Appends one way to say arguments, options as they are chosen.
pub(crate) fn say(args: &[Arg], choose: &mut impl FnMut(usize) -> usize, line: &mut Vec<Vec<u8>>) {
    for arg in args {
        if !arg.is_optional || choose(2) == 1 {
            arg.say(choose, line);
        }
    }
}

/// Whether the words can be read so.
pub(crate) fn derives(args: &[Arg], words: &[Vec<u8>]) -> bool {
    ends(args, words, 0).contains(&words.len())
}

/// Where words end that are read as arguments in a row. What has a keyword or may be left out comes in any
/// order among its like.
fn ends(args: &[Arg], words: &[Vec<u8>], from: usize) -> BTreeSet<usize> {
    let mut at: BTreeSet<usize> = [from].into();
    let mut rest = args;
    while let Some(first) = rest.first() {
        let movables = rest.iter().take_while(|arg| arg.is_movable()).count();
        let (these, others) = rest.split_at(movables.max(1));
        at = if movables > 0 {
            ends_in_any_order(these, words, &at)
        } else {
            at.iter().flat_map(|&at| first.ends(words, at)).collect()
        };
        rest = others;
    }
    at
}

/// Where words end that are read as these in any order, each once.
fn ends_in_any_order(args: &[Arg], words: &[Vec<u8>], from: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut all: BTreeSet<(usize, u64)> = from.iter().map(|&at| (at, 0)).collect();
    let mut new: Vec<(usize, u64)> = all.iter().copied().collect();
    while let Some((at, used)) = new.pop() {
        for (number, arg) in args.iter().enumerate() {
            if used & 1 << number != 0 {
                continue;
            }
            for end in arg.ends(words, at) {
                let next = (end, used | 1 << number);
                if all.insert(next) {
                    new.push(next);
                }
            }
        }
    }
    let must = |used: u64| {
        let mut args = args.iter().enumerate();
        args.all(|(number, arg)| arg.is_optional || used & 1 << number != 0)
    };
    let whole = all.into_iter().filter(|&(_, used)| must(used));
    whole.map(|(at, _)| at).collect()
}
