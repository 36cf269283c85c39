//! Glob patterns over bytes, as the server's `KEYS` has them.
//!
//! ```text
//! *        any bytes, also none        [abc] [a-z]    one byte of these
//! ?        any one byte                [^abc]         one byte of none of these
//! \x       the byte x, whatever it means elsewhere, also inside [ ]
//! ```

use super::super::error::{Error, Result};

/// Longest glob pattern, in bytes. A match takes at most this many steps a byte of the value.
pub const MAX_GLOB_BYTES: usize = 256;

/// A glob pattern that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    elements: Box<[Element]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    Any,
    One,
    Byte(u8),
    Class(Box<Class>),
}

/// A set of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Class([u64; 4]);

impl Class {
    fn insert(&mut self, from: u8, to: u8) {
        for byte in from.min(to)..=from.max(to) {
            self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
        }
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1
    }
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `Pattern` for a class without end or a backslash at the end, `Limit` over
    /// [`MAX_GLOB_BYTES`].
    pub fn new(pattern: &[u8]) -> Result<Self> {
        if pattern.len() > MAX_GLOB_BYTES {
            return Err(Error::Limit {
                what: "bytes in a glob pattern",
                max: MAX_GLOB_BYTES as u64,
            });
        }
        let mut rest = pattern;
        let mut elements = Vec::new();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            elements.push(match byte {
                b'*' if elements.last() == Some(&Element::Any) => continue,
                b'*' => Element::Any,
                b'?' => Element::One,
                b'[' => Element::Class(Box::new(class(&mut rest)?)),
                b'\\' => Element::Byte(next(&mut rest, "a glob pattern ends in a backslash")?),
                _ => Element::Byte(byte),
            });
        }
        Ok(Self {
            elements: elements.into_boxed_slice(),
        })
    }

    /// Whether the whole of `text` is as the pattern says.
    ///
    /// After a mismatch only the last `*` can have taken too little, so no more than that is tried
    /// again, and the steps are bounded by the product of the lengths.
    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut element, mut at) = (0, 0);
        let mut last_any = None;
        loop {
            match (self.elements.get(element), text.get(at)) {
                (Some(Element::Any), _) => {
                    last_any = Some((element + 1, at));
                    element += 1;
                }
                (Some(one), Some(&byte)) if one.matches(byte) => {
                    element += 1;
                    at += 1;
                }
                (None, None) => return true,
                _ => match last_any {
                    Some((behind, taken)) if taken < text.len() => {
                        last_any = Some((behind, taken + 1));
                        element = behind;
                        at = taken + 1;
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl Element {
    fn matches(&self, byte: u8) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Byte(one) => *one == byte,
            Self::Class(class) => class.contains(byte),
        }
    }
}

fn next(rest: &mut &[u8], what: &'static str) -> Result<u8> {
    let (&byte, tail) = rest.split_first().ok_or(Error::Pattern { what })?;
    *rest = tail;
    Ok(byte)
}

/// Reads a class behind its opening bracket.
fn class(rest: &mut &[u8]) -> Result<Class> {
    const UNCLOSED: &str = "a class of a glob pattern has no ]";
    let negated = rest.first() == Some(&b'^');
    *rest = &rest[usize::from(negated)..];
    let mut class = Class::default();
    loop {
        let from = match next(rest, UNCLOSED)? {
            b']' => break,
            b'\\' => next(rest, UNCLOSED)?,
            byte => byte,
        };
        let is_range = matches!(rest, [b'-', end, ..] if *end != b']');
        if !is_range {
            class.insert(from, from);
            continue;
        }
        *rest = &rest[1..];
        let to = match next(rest, UNCLOSED)? {
            b'\\' => next(rest, UNCLOSED)?,
            byte => byte,
        };
        class.insert(from, to);
    }
    if negated {
        class.0 = class.0.map(|bits| !bits);
    }
    Ok(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let glob = Glob::new(pattern.as_bytes()).unwrap();
        for text in matching {
            assert!(glob.matches(text.as_bytes()), "{pattern} {text}");
        }
        for text in others {
            assert!(!glob.matches(text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_match_the_whole_text() {
        check("", &[""], &["a"]);
        check("*", &["", "a", "\0\n"], &[]);
        check("a*", &["a", "ab"], &["", "ba"]);
        check("*-7", &["-7", "sensor-7", "-7-7"], &["-77", "7"]);
        check("a*b*c", &["abc", "abbcc", "a-b-b-c"], &["acb", "abcd"]);
        check("a**?", &["ab", "abc"], &["a"]);
        check("[a-c]?", &["ax", "c1"], &["dx", "a", "-x"]);
        check("[^a-c]", &["d", "-", "^"], &["a", "", "dd"]);
        check(r"[\]\\a-]", &["]", r"\", "a", "-"], &["b"]);
        check("[z-x]", &["y"], &["a"]);
        check("[]", &[], &["", "]"]);
        check(r"\*\?\[", &["*?["], &["a?["]);
    }

    #[test]
    fn what_has_no_end_is_refused() {
        for pattern in [r"a\", "[", "[^", "[a", "[a-", r"[a\", r"[a-\"] {
            let refusal = Glob::new(pattern.as_bytes());
            assert!(matches!(refusal, Err(Error::Pattern { .. })), "{pattern}");
        }
        assert!(Glob::new(&[b'*'; MAX_GLOB_BYTES]).is_ok());
        assert!(Glob::new(&[b'*'; MAX_GLOB_BYTES + 1]).is_err());
    }
}
