//! One matcher: a label, an operator and what its value is compared with.

use std::borrow::Cow;

use super::reader::Reader;
use super::{MAX_LIST_VALUES, OR, Result};
use crate::command::error::{Error, Token};
use crate::engine;
use crate::engine::index::{Comparison, Glob, Matcher, Predicate, Regex, Values, number};

/// Where a matcher stands, which says how a bare text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Alone: at the end.
    Argument,
    /// In a group: where the next matcher or the end of the group comes.
    Group,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equals,
    Glob,
    Regex,
    Number(Comparison),
}

/// Each operator, and whether it is negated; a longer one stands before those it begins with.
const OPERATORS: [(&[u8], Operator, bool); 10] = [
    (b"!~=", Operator::Regex, true),
    (b"!~", Operator::Glob, true),
    (b"!=", Operator::Equals, true),
    (b"~=", Operator::Regex, false),
    (b"~", Operator::Glob, false),
    (b"<=", Operator::Number(Comparison::AtMost), false),
    (b"<", Operator::Number(Comparison::Less), false),
    (b">=", Operator::Number(Comparison::AtLeast), false),
    (b">", Operator::Number(Comparison::Greater), false),
    (b"=", Operator::Equals, false),
];

impl Place {
    fn ends(self, reader: &Reader<'_>) -> bool {
        self == Self::Group && (reader.has(b")") || reader.has(OR))
    }
}

/// Reads a matcher, to the end of its place.
///
/// # Errors
/// `Filter`, or a limit.
pub(super) fn read(reader: &mut Reader<'_>, place: Place) -> Result<Matcher> {
    let from = reader.at();
    let is_operator = |reader: &Reader<'_>| OPERATORS.iter().any(|(text, ..)| reader.has(text));
    let label = reader.text(|reader| is_operator(reader) || place.ends(reader))?;
    if label.is_empty() {
        return Err(reader.refuse("a label is missing", from));
    }
    let mut operators = OPERATORS.iter();
    let Some((_, operator, negated)) = operators.find(|(text, ..)| reader.eat(text)) else {
        return Err(reader.refuse("an operator is missing", from));
    };
    let (predicate, absent) = match operator {
        Operator::Equals if reader.has(b"(") => (list(reader)?, false),
        operator => operand(reader, place, *operator)?,
    };
    if !reader.is_at_end() && !place.ends(reader) {
        return Err(reader.refuse("text behind a value", reader.at()));
    }
    Ok(Matcher {
        label: label.into(),
        predicate,
        // No value is empty: to equal it is to be absent, not to equal it is to be there.
        negated: *negated != absent,
    })
}

/// Reads a text and makes it what the operator needs; also whether it stands for no value at all.
fn operand(reader: &mut Reader<'_>, place: Place, operator: Operator) -> Result<(Predicate, bool)> {
    let from = reader.at();
    let text = reader.text(|reader| place.ends(reader))?;
    let refuse = |what| Error::Filter {
        what,
        text: Token::from(&*text),
        at: from + 1,
    };
    if text.is_empty() {
        return match operator {
            Operator::Equals => Ok((Predicate::Present, true)),
            _ => Err(refuse("a value is missing")),
        };
    }
    let of_pattern = |error| match error {
        engine::Error::Pattern { what } => refuse(what),
        other => Error::Engine(other),
    };
    let predicate = match operator {
        Operator::Equals => Predicate::In(Values::new([&*text])),
        Operator::Glob => Predicate::Glob(Glob::new(&text).map_err(of_pattern)?),
        Operator::Regex => Predicate::Regex(Regex::new(&text).map_err(of_pattern)?),
        Operator::Number(comparison) => {
            let bound = number(&text).ok_or_else(|| refuse("not a finite decimal number"))?;
            Predicate::Number(comparison, bound)
        }
    };
    Ok((predicate, false))
}

/// Reads values in parentheses.
fn list(reader: &mut Reader<'_>) -> Result<Predicate> {
    let list_from = reader.at();
    let mut values: Vec<Cow<'_, [u8]>> = Vec::new();
    reader.eat(b"(");
    loop {
        let from = reader.at();
        let value = reader.text(|reader| reader.has(b",") || reader.has(b")"))?;
        if reader.is_at_end() {
            return Err(reader.refuse("a list has no )", list_from));
        }
        if value.is_empty() {
            return Err(reader.refuse("an empty value in a list", from));
        }
        values.push(value);
        engine::Error::within(values.len(), "values in a list", MAX_LIST_VALUES)?;
        if reader.eat(b")") {
            return Ok(Predicate::In(Values::new(
                values.iter().map(|value| &**value),
            )));
        }
        if !reader.eat(b",") {
            return Err(reader.refuse("text behind a value", reader.at()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(filter: &str) -> Result<Matcher> {
        read(&mut Reader::new(filter.as_bytes()), Place::Argument)
    }

    #[track_caller]
    fn check(filter: &str, label: &str, predicate: &Predicate, negated: bool) {
        let matcher = matcher(filter).unwrap();
        assert_eq!(&*matcher.label, label.as_bytes(), "{filter}");
        assert_eq!(&matcher.predicate, predicate, "{filter}");
        assert_eq!(matcher.negated, negated, "{filter}");
    }

    fn values(values: &[&str]) -> Predicate {
        Predicate::In(Values::new(values.iter().map(|value| value.as_bytes())))
    }

    #[test]
    fn every_operator_is_read() {
        let glob = |text: &str| Predicate::Glob(Glob::new(text.as_bytes()).unwrap());
        let regex = |text: &str| Predicate::Regex(Regex::new(text.as_bytes()).unwrap());
        check("l=v", "l", &values(&["v"]), false);
        check("l!=v", "l", &values(&["v"]), true);
        check("l=", "l", &Predicate::Present, true);
        check("l!=", "l", &Predicate::Present, false);
        check("l=\"\"", "l", &Predicate::Present, true);
        check("l=(v1,v2)", "l", &values(&["v1", "v2"]), false);
        check("l!=(v2,v1,v2)", "l", &values(&["v1", "v2"]), true);
        check("l~s-*", "l", &glob("s-*"), false);
        check("l!~s-*", "l", &glob("s-*"), true);
        check("l~\"=s\"", "l", &glob("=s"), false);
        check("l~=(a|b)c", "l", &regex("(a|b)c"), false);
        check("l!~=a.*", "l", &regex("a.*"), true);
        check(r#"l~="\\d+""#, "l", &regex(r"\d+"), false);
        let comparisons = [
            ("l<-1.5", Comparison::Less),
            ("l<=-1.5", Comparison::AtMost),
            ("l>-15e-1", Comparison::Greater),
            ("l>=\"-1.5\"", Comparison::AtLeast),
        ];
        for (filter, comparison) in comparisons {
            check(filter, "l", &Predicate::Number(comparison, -1.5), false);
        }
    }

    #[test]
    fn the_first_operator_splits_and_nothing_is_cut() {
        check(
            "url=http://a?b=c!",
            "url",
            &values(&["http://a?b=c!"]),
            false,
        );
        check("a b!c=d) e", "a b!c", &values(&["d) e"]), false);
        check("l= v ", "l", &values(&[" v "]), false);
        check("l=v OR m=w", "l", &values(&["v OR m=w"]), false);
        check("l=( a,b\"c)", "l", &values(&[" a", "b\"c"]), false);
        check(r#"l=("a,b","c)")"#, "l", &values(&["a,b", "c)"]), false);
        check(r#""a=(\"b\""!="(x)""#, "a=(\"b\"", &values(&["(x)"]), true);
        check(
            "l~=v=1",
            "l",
            &Predicate::Regex(Regex::new(b"v=1").unwrap()),
            false,
        );
    }

    #[test]
    fn refusals_name_the_text_and_where_it_is() {
        let refusals = [
            ("", "a label is missing, at byte 1: ''"),
            ("=v", "a label is missing, at byte 1: '=v'"),
            ("\"\"=v", "a label is missing, at byte 1: '\"\"=v'"),
            ("label", "an operator is missing, at byte 1: 'label'"),
            ("\"l\"v=1", "an operator is missing, at byte 1: '\"l\"v=1'"),
            ("l=\"v\"w", "text behind a value, at byte 6: 'w'"),
            ("l=(a)b", "text behind a value, at byte 6: 'b'"),
            ("l=(\"a\"b)", "text behind a value, at byte 7: 'b)'"),
            ("l=(a,b", "a list has no ), at byte 3: '(a,b'"),
            ("l=(", "a list has no ), at byte 3: '('"),
            ("l=()", "an empty value in a list, at byte 4: ')'"),
            ("l=(a,,b)", "an empty value in a list, at byte 6: ',b)'"),
            (
                "l!=(a,\"\")",
                "an empty value in a list, at byte 7: '\"\")'",
            ),
            ("l~", "a value is missing, at byte 3: ''"),
            ("l~=", "a value is missing, at byte 4: ''"),
            ("l<", "a value is missing, at byte 3: ''"),
            ("l<=warm", "not a finite decimal number, at byte 4: 'warm'"),
            ("l>1e999", "not a finite decimal number, at byte 3: '1e999'"),
            ("l~=a(b", "not a regular expression, at byte 4: 'a(b'"),
            (
                "l~[a",
                "a class of a glob pattern has no ], at byte 3: '[a'",
            ),
        ];
        for (filter, text) in refusals {
            let refusal = matcher(filter).unwrap_err().to_string();
            assert_eq!(refusal, format!("ERR filter: {text}"), "{filter}");
        }
    }
}
