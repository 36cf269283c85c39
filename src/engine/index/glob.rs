//! Glob patterns over bytes, as the server's `KEYS` has them.
//!
//! ```text
//! *        any bytes, also none        [abc] [a-z]    one byte of these
//! ?        any one byte                [^abc]         one byte of none of these
//! \x       the byte x, whatever it means elsewhere, also inside [ ]
//! ```

use super::super::error::{Error, Result};

/// Longest glob pattern, in bytes.
pub const MAX_GLOB_BYTES: usize = 256;
/// Words of a set of places in the longest pattern, its end among them.
const MAX_WORDS: usize = MAX_GLOB_BYTES / 64 + 1;

/// A glob pattern that was read: an automaton whose states are places in the pattern, all followed at once as
/// the bits of some words (Baeza-Yates and Gonnet: A new approach to text searching, 1992).
///
/// ```text
/// pattern        a   ?   *   b            a byte x of the text moves on a set of places:
/// places       0   1   2   .   3
/// accepts[a]   1   1   0       0          ((set & accepts[x]) << 1) | (set & loops)
/// loops        0   0   1       0
/// ```
///
/// So each byte of a text costs the same whatever the pattern is, a step for each 64 of its elements: to
/// try again behind each `*` would be the product of the lengths, half a millisecond for one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// Bytes that the pattern does not tell apart have the same number.
    numbers: Box<[u8; 256]>,
    /// For each number, the places from which such a byte leads to the next: so many words each.
    accepts: Box<[u64]>,
    /// Places at which a `*` takes any byte.
    loops: Box<[u64]>,
    /// The place behind the last element.
    end: usize,
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
        let (mut elements, mut loops) = (Vec::new(), [0; MAX_WORDS]);
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            let mut class = Class::default();
            match byte {
                b'*' => {
                    let place = elements.len();
                    loops[place / 64] |= 1 << (place % 64);
                    continue;
                }
                b'?' => class.insert(0, u8::MAX),
                b'[' => class = self::class(&mut rest)?,
                b'\\' => {
                    let byte = next(&mut rest, "a glob pattern ends in a backslash")?;
                    class.insert(byte, byte);
                }
                _ => class.insert(byte, byte),
            }
            elements.push(class);
        }
        Ok(Self::of(&elements, &loops))
    }

    fn of(elements: &[Class], loops: &[u64; MAX_WORDS]) -> Self {
        let words = elements.len() / 64 + 1;
        let (mut numbers, mut accepts) = (Box::new([0; 256]), Vec::<u64>::new());
        for byte in 0..=u8::MAX {
            let mut places = [0_u64; MAX_WORDS];
            for (place, _) in elements
                .iter()
                .enumerate()
                .filter(|(_, one)| one.contains(byte))
            {
                places[place / 64] |= 1 << (place % 64);
            }
            let places = &places[..words];
            let known = accepts.chunks(words).position(|known| known == places);
            let number = known.unwrap_or(accepts.len() / words);
            if known.is_none() {
                accepts.extend(places);
            }
            // There are no more numbers than bytes.
            numbers[usize::from(byte)] = u8::try_from(number).unwrap_or(u8::MAX);
        }
        Self {
            numbers,
            accepts: accepts.into_boxed_slice(),
            loops: loops[..words].into(),
            end: elements.len(),
        }
    }

    /// Whether the whole of `text` is as the pattern says.
    pub fn matches(&self, text: &[u8]) -> bool {
        if let [loops] = *self.loops {
            return self.matches_short(text, loops);
        }
        let words = self.loops.len();
        let mut set = [0_u64; MAX_WORDS];
        set[0] = 1;
        for &byte in text {
            let number = usize::from(self.numbers[usize::from(byte)]);
            let accepts = &self.accepts[number * words..][..words];
            let (mut carried, mut is_over) = (0, true);
            for ((set, accepts), loops) in set.iter_mut().zip(accepts).zip(&self.loops) {
                let moved = *set & accepts;
                *set = moved << 1 | carried | (*set & loops);
                carried = moved >> 63;
                is_over &= *set == 0;
            }
            if is_over {
                return false;
            }
        }
        set[self.end / 64] >> (self.end % 64) & 1 == 1
    }

    /// The same for a pattern of one word.
    fn matches_short(&self, text: &[u8], loops: u64) -> bool {
        let mut set = 1_u64;
        for &byte in text {
            let accepts = self.accepts[usize::from(self.numbers[usize::from(byte)])];
            set = (set & accepts) << 1 | (set & loops);
            if set == 0 {
                return false;
            }
        }
        set >> self.end & 1 == 1
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

    /// The definition: each `*` takes nothing, or a byte and then as much again.
    fn slow(elements: &[&str], text: &[u8]) -> bool {
        match (elements.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((&"*", behind)), rest) => {
                slow(behind, text) || rest.is_some_and(|(_, rest)| slow(elements, rest))
            }
            (Some((&one, behind)), Some((byte, rest))) => {
                (one == "?" || one.as_bytes() == [*byte]) && slow(behind, rest)
            }
            (Some(_), None) => false,
        }
    }

    #[test]
    fn every_short_pattern_matches_what_it_means() {
        const ELEMENTS: [&str; 4] = ["a", "b", "?", "*"];
        let texts = |len: u32| {
            (0..2_usize.pow(len)).map(move |bits| -> Vec<u8> {
                (0..len)
                    .map(|at| if bits >> at & 1 == 0 { b'a' } else { b'b' })
                    .collect()
            })
        };
        for code in 0..ELEMENTS.len().pow(5) {
            let elements: Vec<&str> = (0..5).map(|at| ELEMENTS[code >> (2 * at) & 3]).collect();
            let glob = Glob::new(elements.concat().as_bytes()).unwrap();
            for text in (0..7).flat_map(texts) {
                assert_eq!(
                    glob.matches(&text),
                    slow(&elements, &text),
                    "{elements:?} {text:?}"
                );
            }
        }
    }

    #[test]
    fn long_patterns_match_across_words() {
        for len in [62, 63, 64, 65, 127, 128, 200, 250] {
            let most = "a".repeat(len);
            for pattern in [
                format!("{most}b"),
                format!("*{most}b*"),
                format!("?{most}b"),
            ] {
                let glob = Glob::new(pattern.as_bytes()).unwrap();
                let is_at_end = !pattern.ends_with('*');
                for (text, wanted) in [
                    (format!("{most}b"), !pattern.starts_with('?')),
                    (format!("a{most}b"), !pattern.starts_with('a')),
                    (format!("{most}{most}b"), pattern.starts_with('*')),
                    (format!("{most}{most}"), false),
                    (format!("{most}bb"), !is_at_end),
                ] {
                    assert_eq!(glob.matches(text.as_bytes()), wanted, "{pattern} {text}");
                }
            }
        }
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
