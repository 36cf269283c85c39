//! What a client asks for: a selector is groups that must all hold, a group is matchers of which
//! one must hold.
//!
//! ```text
//! region=eu  (floor=1 OR floor=2)  dev!=33
//! `-------'  `------------------'  `-----'
//!   group           group           group
//!               `-----'    `-----'
//!               matcher    matcher
//! ```
//!
//! A negated matcher holds for whatever the plain one does not, so also for a series without
//! the label.

use super::super::error::{Error, Result};
use super::glob::Glob;
use super::regex::Regex;

/// A condition on the value of one label.
#[derive(Clone, Debug, PartialEq)]
pub struct Matcher {
    /// The name of the label.
    pub label: Box<[u8]>,
    /// What its value must be.
    pub predicate: Predicate,
    /// Whether the series meant are all those for which that is not so.
    pub negated: bool,
}

/// What the value of a label must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Anything.
    Present,
    /// One of these.
    In(Values),
    /// As a glob pattern says.
    Glob(Glob),
    /// As a regular expression says.
    Regex(Regex),
    /// A number on this side of another.
    Number(Comparison, f64),
}

/// Values, in order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values(Box<[Box<[u8]>]>);

/// How a number compares with that of a matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Values {
    /// Orders values and drops repeated ones.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut values: Vec<Box<[u8]>> = values.into_iter().map(Into::into).collect();
        values.sort_unstable();
        values.dedup();
        Self(values.into_boxed_slice())
    }

    /// Each value, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|value| &**value)
    }

    fn contains(&self, value: &[u8]) -> bool {
        self.0
            .binary_search_by(|other| (**other).cmp(value))
            .is_ok()
    }
}

impl Comparison {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

impl Predicate {
    /// Whether a value is as it must be.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::In(values) => values.contains(value),
            Self::Glob(glob) => glob.matches(value),
            Self::Regex(regex) => regex.matches(value),
            Self::Number(comparison, bound) => {
                number(value).is_some_and(|value| comparison.holds(value, *bound))
            }
        }
    }
}

impl Matcher {
    /// Whether a series matches whose label has this value, or none.
    pub fn matches(&self, value: Option<&[u8]>) -> bool {
        value.is_some_and(|value| self.predicate.matches(value)) != self.negated
    }

    /// Whether it asks for values by name, pattern or size: what narrows a selection down.
    pub fn is_positive(&self) -> bool {
        !self.negated && self.predicate != Predicate::Present
    }
}

/// Groups of alternatives, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    groups: Vec<Box<[Matcher]>>,
}

impl Selector {
    /// Adds a group: one of its matchers must hold.
    pub fn push(&mut self, alternatives: Vec<Matcher>) {
        self.groups.push(alternatives.into_boxed_slice());
    }

    /// The groups.
    pub fn groups(&self) -> impl Iterator<Item = &[Matcher]> {
        self.groups.iter().map(|group| &**group)
    }

    /// Whether some group has only positive matchers. Without one the series are those that are
    /// left when others are taken away, which may be nearly all.
    pub fn is_positive(&self) -> bool {
        let mut groups = self.groups();
        groups.any(|group| group.iter().all(Matcher::is_positive))
    }

    /// Whether series with these labels match; a label that repeats counts where it stands first.
    pub fn matches<'a>(&self, value_of: impl Fn(&[u8]) -> Option<&'a [u8]>) -> bool {
        let holds = |matcher: &Matcher| matcher.matches(value_of(&matcher.label));
        self.groups().all(|group| group.iter().any(holds))
    }
}

/// What a selection may grow to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most series that may match, by the setting `redis-iot.max-series`.
    pub max_series: u64,
}

impl Limits {
    /// No limit.
    pub const NONE: Self = Self {
        max_series: u64::MAX,
    };

    /// # Errors
    /// `TooManySeries` over the limit.
    pub(super) fn check(self, series: u64) -> Result<()> {
        if series > self.max_series {
            return Err(Error::TooManySeries {
                series,
                max: self.max_series,
            });
        }
        Ok(())
    }
}

/// Reads a finite decimal number, with or without exponent; other texts are none.
pub fn number(text: &[u8]) -> Option<f64> {
    // The words that also are numbers to `parse` have letters other than these.
    let is_decimal = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    if !text.iter().all(is_decimal) {
        return None;
    }
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(predicate: Predicate, negated: bool) -> Matcher {
        Matcher {
            label: (*b"l").into(),
            predicate,
            negated,
        }
    }

    fn values(values: &[&str]) -> Predicate {
        Predicate::In(Values::new(values.iter().map(|value| value.as_bytes())))
    }

    #[test]
    fn a_negated_matcher_holds_without_the_label() {
        let predicates = [
            Predicate::Present,
            values(&["b", "a"]),
            Predicate::Glob(Glob::new(b"[ab]").unwrap()),
            Predicate::Regex(Regex::new(b"a|b").unwrap()),
        ];
        for predicate in predicates {
            let plain = matcher(predicate.clone(), false);
            let negated = matcher(predicate, true);
            for (value, holds) in [(None, false), (Some(&b"a"[..]), true)] {
                assert_eq!(plain.matches(value), holds, "{plain:?}");
                assert_eq!(negated.matches(value), !holds, "{negated:?}");
            }
        }
    }

    #[test]
    fn only_finite_decimal_numbers_are_compared() {
        let at_least = Predicate::Number(Comparison::AtLeast, 10.0);
        for value in ["10", "10.0", "1e1", "+11", "9e99"] {
            assert!(at_least.matches(value.as_bytes()), "{value}");
        }
        for value in [
            "9.99", "-11", "inf", "1e999", "nan", "0x10", "", "12 ", "1_0", "e",
        ] {
            assert!(!at_least.matches(value.as_bytes()), "{value}");
        }
        let cases = [
            (Comparison::Less, [true, false, false]),
            (Comparison::AtMost, [true, true, false]),
            (Comparison::Greater, [false, false, true]),
            (Comparison::AtLeast, [false, true, true]),
        ];
        for (comparison, expected) in cases {
            let predicate = Predicate::Number(comparison, 2.0);
            assert_eq!(
                ["1", "2", "3"].map(|value| predicate.matches(value.as_bytes())),
                expected
            );
        }
    }

    #[test]
    fn a_selector_is_positive_if_a_whole_group_is() {
        let positive = || matcher(values(&["a"]), false);
        let mut selector = Selector::default();
        assert!(!selector.is_positive());
        selector.push(vec![matcher(values(&["a"]), true)]);
        selector.push(vec![matcher(Predicate::Present, false)]);
        selector.push(vec![positive(), matcher(Predicate::Present, true)]);
        assert!(!selector.is_positive());
        selector.push(vec![positive(), positive()]);
        assert!(selector.is_positive());
    }
}
