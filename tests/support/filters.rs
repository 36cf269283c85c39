//! The model of labels and filters: plain pairs, and conditions that are tried on each series.

use super::seeds::Random;

/// The labels of a series, in order.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The labels there are, and what makes a value of each, by its place.
#[derive(Clone, Copy)]
pub(crate) struct Vocabulary {
    pub(crate) names: &'static [&'static [u8]],
    pub(crate) value: fn(&mut Random, usize) -> Vec<u8>,
}

impl Vocabulary {
    /// Labels of a series: each name in `percent` of 100 cases.
    pub(crate) fn pairs(&self, random: &mut Random, percent: impl Fn(usize) -> u64) -> Pairs {
        let mut pairs = Pairs::new();
        for (at, name) in self.names.iter().enumerate() {
            if random.chance(percent(at)) {
                pairs.push((name.to_vec(), (self.value)(random, at)));
            }
        }
        if random.chance(50) {
            pairs.reverse();
        }
        pairs
    }
}

/// The value of a label.
pub(crate) fn value_of<'p>(pairs: &'p Pairs, name: &[u8]) -> Option<&'p [u8]> {
    let found = pairs.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| &value[..])
}

/// One argument: conditions of which one must hold.
#[derive(Clone, Debug)]
pub(crate) struct Filter(Vec<Condition>);

impl Filter {
    /// From one to three filters.
    pub(crate) fn several(random: &mut Random, vocabulary: &Vocabulary) -> Vec<Self> {
        let count = random.within(1..4);
        (0..count)
            .map(|_| Self::random(random, vocabulary))
            .collect()
    }

    fn random(random: &mut Random, vocabulary: &Vocabulary) -> Self {
        let alternatives = if random.chance(70) { 2 } else { 4 };
        let count = random.within(1..alternatives);
        Self(
            (0..count)
                .map(|_| Condition::random(random, vocabulary))
                .collect(),
        )
    }

    /// As a client writes it.
    pub(crate) fn text(&self) -> Vec<u8> {
        match &self.0[..] {
            [alone] if !alone.in_group => alone.text(false),
            group => {
                let texts: Vec<Vec<u8>> = group.iter().map(|one| one.text(true)).collect();
                [b"(", &texts.join(&b" OR "[..])[..], b")"].concat()
            }
        }
    }

    /// Whether a series matches.
    pub(crate) fn holds(&self, pairs: &Pairs) -> bool {
        self.0.iter().any(|one| one.holds(pairs))
    }

    /// Whether a series matches all of `filters`.
    pub(crate) fn all_hold(filters: &[Self], pairs: &Pairs) -> bool {
        filters.iter().all(|one| one.holds(pairs))
    }
}

#[derive(Clone, Debug)]
struct Condition {
    label: &'static [u8],
    form: Form,
    negated: bool,
    /// Whether quotes are left out where they can be.
    bare: bool,
    /// Whether it stands in parentheses even where it is alone.
    in_group: bool,
}

/// What a series' value must be.
#[derive(Clone, Debug)]
enum Form {
    /// One of these; written as a list or, where it is one, without.
    List(Vec<Vec<u8>>, bool),
    Present,
    Glob(Vec<Piece>),
    Regex(Regex),
    Number(&'static str, f64),
}

#[derive(Clone, Debug)]
enum Piece {
    Byte(u8),
    One,
    Any,
    Range { low: u8, high: u8, negated: bool },
}

/// Texts of which one begins or ends the value.
#[derive(Clone, Debug)]
struct Regex {
    texts: Vec<Vec<u8>>,
    at_end: bool,
    any_case: bool,
}

impl Condition {
    fn random(random: &mut Random, vocabulary: &Vocabulary) -> Self {
        let at = random.index(vocabulary.names.len());
        let mut value = || (vocabulary.value)(random, at);
        let (one, other) = (value(), value());
        let form = match random.index(8) {
            0 | 1 => Form::List(vec![one], random.chance(20)),
            2 => Form::List(vec![one, other], true),
            3 => Form::Present,
            4 | 5 => Form::Glob(pieces(random, &one)),
            6 => Form::Regex(Regex::random(random, [one, other])),
            _ => {
                let bound: f64 = random.within(-14..15).to_string().parse().unwrap();
                Form::Number(["<", "<=", ">", ">="][random.index(4)], bound / 2.0)
            }
        };
        Self {
            label: vocabulary.names[at],
            negated: random.chance(40) && !matches!(form, Form::Number(..)),
            form,
            bare: random.chance(60),
            in_group: random.chance(10),
        }
    }

    fn text(&self, in_group: bool) -> Vec<u8> {
        let label = if self.bare
            && self
                .label
                .iter()
                .all(|&byte| is_plain(byte) || byte == b' ')
        {
            self.label.to_vec()
        } else {
            quoted(self.label)
        };
        let value = |text: &[u8], may_be_bare: bool| {
            if self.bare && may_be_bare {
                text.to_vec()
            } else {
                quoted(text)
            }
        };
        // A bare value ends with the argument, or in a group where it looks like its end.
        let is_simple = |text: &[u8]| text.iter().all(|&byte| is_plain(byte));
        let bare_within = |text: &[u8], first: &[u8]| {
            let begins = text.first().is_some_and(|byte| first.contains(byte));
            !text.is_empty() && !begins && (!in_group || is_simple(text))
        };
        let not: &[u8] = if self.negated { b"!" } else { b"" };
        let operand = match &self.form {
            Form::List(values, false) => [
                b"=",
                &value(&values[0], bare_within(&values[0], b"\"("))[..],
            ]
            .concat(),
            Form::List(values, true) => {
                let values = values.iter().map(|one| value(one, is_simple(one)));
                let values: Vec<Vec<u8>> = values.collect();
                [b"=(", &values.join(&b","[..])[..], b")"].concat()
            }
            Form::Present => {
                let operator = if self.negated { &b"="[..] } else { b"!=" };
                return [&label, operator].concat();
            }
            Form::Glob(pieces) => {
                let pattern = glob_text(pieces);
                let may_be_bare = bare_within(&pattern, b"\"=");
                [b"~", &value(&pattern, may_be_bare)[..]].concat()
            }
            Form::Regex(regex) => {
                let pattern = regex.text();
                [b"~=", &value(&pattern, bare_within(&pattern, b"\""))[..]].concat()
            }
            Form::Number(operator, bound) => format!("{operator}{bound}").into_bytes(),
        };
        [&label, not, &operand].concat()
    }

    fn holds(&self, pairs: &Pairs) -> bool {
        let value = value_of(pairs, self.label);
        value.is_some_and(|value| self.form.holds(value)) != self.negated
    }
}

impl Form {
    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::List(values, _) => values.iter().any(|other| other == value),
            Self::Present => true,
            Self::Glob(pieces) => glob_holds(pieces, value),
            Self::Regex(regex) => regex.holds(value),
            Self::Number(operator, bound) => {
                let text = std::str::from_utf8(value).ok();
                let number = text.and_then(|text| text.parse::<f64>().ok());
                let Some(number) = number.filter(|number| number.is_finite()) else {
                    return false;
                };
                match *operator {
                    "<" => number < *bound,
                    "<=" => number <= *bound,
                    ">" => number > *bound,
                    _ => number >= *bound,
                }
            }
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.:*".contains(&byte)
}

/// A pattern that mostly matches `value`.
fn pieces(random: &mut Random, value: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for &byte in value {
        pieces.push(match random.index(10) {
            0 => Piece::One,
            1 => Piece::Any,
            2 | 3 if byte.is_ascii_digit() => Piece::Range {
                low: byte,
                high: (byte + 2).min(b'9'),
                negated: random.chance(20),
            },
            4 if random.chance(30) => {
                pieces.push(Piece::Any);
                return pieces;
            }
            _ => Piece::Byte(byte),
        });
    }
    pieces
}

fn glob_text(pieces: &[Piece]) -> Vec<u8> {
    let mut text = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Byte(byte) if b"*?[]\\".contains(byte) => text.extend([b'\\', *byte]),
            Piece::Byte(byte) => text.push(*byte),
            Piece::One => text.push(b'?'),
            Piece::Any => text.push(b'*'),
            Piece::Range { low, high, negated } => {
                text.extend(if *negated { &b"[^"[..] } else { b"[" });
                text.extend([*low, b'-', *high, b']']);
            }
        }
    }
    text
}

fn glob_holds(pieces: &[Piece], value: &[u8]) -> bool {
    let Some((piece, pieces)) = pieces.split_first() else {
        return value.is_empty();
    };
    if matches!(piece, Piece::Any) {
        return (0..=value.len()).any(|skipped| glob_holds(pieces, &value[skipped..]));
    }
    let Some((&byte, value)) = value.split_first() else {
        return false;
    };
    let holds = match piece {
        Piece::Byte(other) => byte == *other,
        Piece::Range { low, high, negated } => (*low..=*high).contains(&byte) != *negated,
        Piece::One | Piece::Any => true,
    };
    holds && glob_holds(pieces, value)
}

impl Regex {
    fn random(random: &mut Random, values: [Vec<u8>; 2]) -> Self {
        let at_end = random.chance(50);
        let any_case = random.chance(30);
        let texts = values.map(|mut text| {
            let cut = random.index(text.len() + 1);
            let mut text = if at_end {
                text.split_off(cut)
            } else {
                text.truncate(cut);
                text
            };
            if any_case {
                text.make_ascii_uppercase();
            }
            text
        });
        Self {
            texts: texts.into(),
            at_end,
            any_case,
        }
    }

    fn text(&self) -> Vec<u8> {
        let escaped = |text: &Vec<u8>| {
            let bytes = text.iter().map(|&byte| match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b' ' => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            });
            bytes.collect::<String>()
        };
        let texts: Vec<String> = self.texts.iter().map(escaped).collect();
        let flags = if self.any_case { "(?i)" } else { "" };
        let (before, after) = if self.at_end { (".*", "") } else { ("", ".*") };
        format!("{flags}{before}({}){after}", texts.join("|")).into_bytes()
    }

    fn holds(&self, value: &[u8]) -> bool {
        self.texts.iter().any(|text| {
            let part = if self.at_end {
                value.len().checked_sub(text.len()).map(|at| &value[at..])
            } else {
                value.get(..text.len())
            };
            part.is_some_and(|part| {
                if self.any_case {
                    part.eq_ignore_ascii_case(text)
                } else {
                    part == text
                }
            })
        })
    }
}

/// Any text as a filter can have it.
pub(crate) fn quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in text {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b'\n' => quoted.extend(b"\\n"),
            128.. => quoted.extend(format!("\\x{byte:02x}").bytes()),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}
