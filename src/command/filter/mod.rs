//! Filters: how a client says which series it means, by their labels.
//!
//! ```text
//! filter   = matcher | "(" matcher { " OR " matcher } ")"          one argument
//! matcher  = label operator operand
//! operator = "=" | "!=" | "~" | "!~" | "~=" | "!~=" | "<" | "<=" | ">" | ">="
//! operand  = text | "(" text { "," text } ")"                     a list only after = and !=
//! text     = bare | '"' { byte | '\"' | '\\' | '\n' | '\xHH' } '"'
//! ```
//!
//! A bare label ends at the first operator, a bare operand at the end of its argument, in a list
//! at `,` or `)`, in a group at ` OR ` or `)`. `docs/filters.md` has examples.

mod matcher;
mod reader;

use super::error::{Error, Result};
use crate::engine;
use crate::engine::index::{Matcher, Selector};
use matcher::Place;
use reader::Reader;

/// Most matchers of a command, those in groups included.
pub const MAX_MATCHERS: usize = 64;
/// Most bytes that the filters of a command may have together.
pub const MAX_FILTER_BYTES: usize = 64 << 10;
/// Most values in a list.
pub const MAX_LIST_VALUES: usize = 1024;

/// Reads filters, one an argument, all of which must hold.
///
/// Whether they may all be negative is for the caller to say: [`Selector::is_positive`] tells.
///
/// # Errors
/// `Filter` with what cannot be read and where, `MissingValue` if there is no filter at all, a
/// limit of the engine for too many matchers, values or bytes.
pub fn parse(arguments: &[&[u8]]) -> Result<Selector> {
    if arguments.is_empty() {
        return Err(Error::MissingValue("FILTER"));
    }
    let bytes = arguments.iter().map(|argument| argument.len()).sum();
    engine::Error::within(bytes, "bytes in a filter", MAX_FILTER_BYTES)?;
    let mut selector = Selector::default();
    let mut matchers = 0;
    for argument in arguments {
        let group = group(Reader::new(argument))?;
        matchers += group.len();
        engine::Error::within(matchers, "matchers in a filter", MAX_MATCHERS)?;
        selector.push(group);
    }
    Ok(selector)
}

/// Reads one argument: a matcher, or several in parentheses of which one must hold.
fn group(mut reader: Reader<'_>) -> Result<Vec<Matcher>> {
    if !reader.eat(b"(") {
        return Ok(vec![matcher::read(&mut reader, Place::Argument)?]);
    }
    let mut matchers = Vec::new();
    loop {
        matchers.push(matcher::read(&mut reader, Place::Group)?);
        engine::Error::within(matchers.len(), "matchers in a filter", MAX_MATCHERS)?;
        if reader.eat(b")") {
            break;
        }
        if !reader.eat(OR) {
            return Err(reader.refuse("a group has no )", 0));
        }
    }
    if !reader.is_at_end() {
        return Err(reader.refuse("text behind a group", reader.at()));
    }
    Ok(matchers)
}

/// What stands between the matchers of a group; in any case.
const OR: &[u8] = b" OR ";

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(filters: &[&str]) -> Result<Selector> {
        let arguments: Vec<&[u8]> = filters.iter().map(|text| text.as_bytes()).collect();
        parse(&arguments)
    }

    fn alternatives(filters: &[&str]) -> Vec<usize> {
        let selector = texts(filters).unwrap();
        selector.groups().map(<[Matcher]>::len).collect()
    }

    #[test]
    fn an_argument_is_a_group() {
        assert_eq!(alternatives(&["a=1", "b!=2 OR c=3"]), [1, 1]);
        assert_eq!(alternatives(&["(a=1)", "(a=1 OR b=2 or c=(1,2))"]), [1, 3]);
        assert_eq!(alternatives(&[r#"(a=" OR )" OR b~="(x|y)")"#]), [2]);
        assert_eq!(alternatives(&["(a= OR b!=)"]), [2]);
    }

    #[test]
    fn a_group_that_does_not_end_is_refused() {
        let refusals = [
            ("(a=1", "ERR filter: a group has no ), at byte 1: '(a=1'"),
            (
                "(a=1 OR b=2",
                "ERR filter: a group has no ), at byte 1: '(a=1 OR b=2'",
            ),
            ("(a=1)b", "ERR filter: text behind a group, at byte 6: 'b'"),
            (
                "(a=1) OR b=2",
                "ERR filter: text behind a group, at byte 6: ' OR b=2'",
            ),
            ("(", "ERR filter: a label is missing, at byte 2: ''"),
            ("()", "ERR filter: a label is missing, at byte 2: ')'"),
            (
                "(a=1 OR )",
                "ERR filter: a label is missing, at byte 9: ')'",
            ),
            (
                "(a OR b=1)",
                "ERR filter: an operator is missing, at byte 2: 'a OR b=1)'",
            ),
        ];
        for (filter, text) in refusals {
            assert_eq!(texts(&[filter]).unwrap_err().to_string(), text);
        }
        assert_eq!(parse(&[]), Err(Error::MissingValue("FILTER")));
    }

    #[test]
    fn limits_hold_at_the_limit_and_one_over() {
        let limit = |result: Result<Selector>| result.unwrap_err().to_string();
        assert!(texts(&["a=1"; MAX_MATCHERS]).is_ok());
        let text = "ERR too many matchers in a filter: the limit is 64";
        assert_eq!(limit(texts(&["a=1"; MAX_MATCHERS + 1])), text);
        let group = ["(", &["a=1"; MAX_MATCHERS + 1].join(" OR "), ")"].concat();
        assert_eq!(limit(texts(&[&group])), text);
        let list = |len| ["a=(", &vec!["v"; len].join(","), ")"].concat();
        assert!(texts(&[&list(MAX_LIST_VALUES)]).is_ok());
        let text = "ERR too many values in a list: the limit is 1024";
        assert_eq!(limit(texts(&[&list(MAX_LIST_VALUES + 1)])), text);
        let long = ["a=", &"v".repeat(MAX_FILTER_BYTES - 2)].concat();
        assert!(texts(&[&long]).is_ok());
        let text = "ERR too many bytes in a filter: the limit is 65536";
        assert_eq!(limit(texts(&[&long, "b"])), text);
    }
}
