//! Regular expressions over the values of labels, with bounded size and time.
//!
//! An expression must match the whole value, as in Prometheus, and works on bytes: `.` is any
//! byte, also a line feed, and `\d`, `\w`, `\s` and `(?i)` know ASCII only. Matching is linear in
//! the length of the value; there are no back-references.

use regex::bytes::{Regex as Compiled, RegexBuilder};

use super::super::error::{Error, Result};

/// Longest regular expression, in bytes.
pub const MAX_REGEX_BYTES: usize = 1024;
/// Largest compiled program, in bytes: some thousand states, which bound the steps a byte.
const MAX_PROGRAM_BYTES: usize = 64 << 10;
/// Largest cache of the automaton that is built while matching, in bytes.
const MAX_CACHE_BYTES: usize = 256 << 10;
/// Deepest nesting of groups, since parsing recurses.
const MAX_NESTING: u32 = 50;

/// A regular expression that was compiled.
#[derive(Clone, Debug)]
pub struct Regex {
    source: Box<str>,
    compiled: Compiled,
}

/// Two are the same if their texts are.
impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Regex {
    /// Compiles an expression.
    ///
    /// # Errors
    /// `Pattern` for what is no expression or compiles to too much, `Limit` over
    /// [`MAX_REGEX_BYTES`].
    pub fn new(pattern: &[u8]) -> Result<Self> {
        if pattern.len() > MAX_REGEX_BYTES {
            return Err(Error::Limit {
                what: "bytes in a regular expression",
                max: MAX_REGEX_BYTES as u64,
            });
        }
        let source = std::str::from_utf8(pattern).map_err(|_| Error::Pattern {
            what: "a regular expression is not UTF-8; write other bytes as \\xHH",
        })?;
        // First alone: `a)|(b` would be one only between the brackets that anchor it.
        compile(source)?;
        Ok(Self {
            compiled: compile(&format!(r"\A(?:{source})\z"))?,
            source: source.into(),
        })
    }

    /// Whether the whole of `text` is as the expression says.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.compiled.is_match(text)
    }
}

fn compile(source: &str) -> Result<Compiled> {
    let mut builder = RegexBuilder::new(source);
    builder
        .unicode(false)
        .dot_matches_new_line(true)
        .nest_limit(MAX_NESTING)
        .size_limit(MAX_PROGRAM_BYTES)
        .dfa_size_limit(MAX_CACHE_BYTES);
    builder.build().map_err(|error| Error::Pattern {
        what: match error {
            regex::Error::CompiledTooBig(_) => "the regular expression compiles to too much",
            _ => "not a regular expression",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&[u8]], others: &[&[u8]]) {
        let regex = Regex::new(pattern.as_bytes()).unwrap();
        for text in matching {
            assert!(regex.matches(text), "{pattern} {text:?}");
        }
        for text in others {
            assert!(!regex.matches(text), "{pattern} {text:?}");
        }
    }

    #[test]
    fn expressions_match_the_whole_value() {
        check("a|ab", &[b"a", b"ab"], &[b"abc", b"ba", b""]);
        check("a.c", &[b"abc", b"a\nc", b"a\xffc"], &[b"ac", b"abcd"]);
        check(
            "(?i)sensor-\\d+",
            &[b"SENSOR-12"],
            &[b"sensor-", b"sensor-1x"],
        );
        check("a$", &[b"a"], &[b"a\n"]);
        check("(?m)^a$", &[b"a"], &[b"a\nb"]);
        check("\\xff+", &[b"\xff\xff"], &["\u{ff}".as_bytes()]);
        check("gr\u{fc}n", &["gr\u{fc}n".as_bytes()], &[b"grn"]);
        check("(?x) a b", &[b"ab"], &[b"a b"]);
    }

    #[test]
    fn what_is_no_expression_or_too_large_is_refused() {
        let refused = [
            "(",
            "a)|(b",
            "[",
            "(?P<",
            "(?x)a # b",
            "\\p{Greek}",
            "(a{1000}){1000}",
            "(?:a{0,500}b){500}",
        ];
        for pattern in refused {
            let refusal = Regex::new(pattern.as_bytes());
            assert!(matches!(refusal, Err(Error::Pattern { .. })), "{pattern}");
        }
        let nested = ["(".repeat(400), ")".repeat(400)].concat();
        assert!(Regex::new(nested.as_bytes()).is_err());
        assert!(Regex::new(b"\xff").is_err());
        assert!(Regex::new(&[b'a'; MAX_REGEX_BYTES]).is_ok());
        assert!(Regex::new(&[b'a'; MAX_REGEX_BYTES + 1]).is_err());
    }
}
