//! Numbers as clients write them.

use super::error::{Error, Result, Token};
use crate::engine::Timestamp;
use crate::engine::aggregate::Aggregator;

/// Reads a whole number of decimal digits, as small as 0.
pub(super) fn whole(text: &[u8]) -> Option<i64> {
    // Nineteen digits may overflow; the checked steps then say so.
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0i64, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        let digit = if digit < 10 {
            i64::from(digit)
        } else {
            return None;
        };
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Reads a number: decimal, with or without exponent, or an infinity by name. Not NaN.
pub(super) fn real(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let named = || text.iter().any(|&byte| byte.eq_ignore_ascii_case(&b'n'));
    // What overflows is not the number that was meant.
    (number.is_finite() || (number.is_infinite() && named())).then_some(number)
}

/// Reads a finite number.
pub(super) fn finite(text: &[u8]) -> Option<f64> {
    real(text).filter(|number| number.is_finite())
}

/// Reads the value of a sample: a finite number, or `nan`.
///
/// # Errors
/// `Invalid`.
pub(super) fn value(text: &[u8]) -> Result<f64> {
    let unsigned = text
        .strip_prefix(b"-")
        .or_else(|| text.strip_prefix(b"+"))
        .unwrap_or(text);
    if unsigned.eq_ignore_ascii_case(b"nan") {
        return Ok(f64::NAN);
    }
    finite(text).ok_or_else(|| Error::Invalid("invalid value", Token::from(text)))
}

/// The time of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// This one.
    At(Timestamp),
    /// The server's clock.
    Now,
}

impl Time {
    /// Reads milliseconds, or `*`.
    ///
    /// # Errors
    /// `Invalid`.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        if text == b"*" {
            return Ok(Self::Now);
        }
        timestamp(text).map(Self::At)
    }
}

/// Reads milliseconds.
///
/// # Errors
/// `Invalid`.
pub(super) fn timestamp(text: &[u8]) -> Result<Timestamp> {
    const WHAT: &str = "invalid timestamp, must be a nonnegative integer";
    whole(text).ok_or_else(|| Error::Invalid(WHAT, Token::from(text)))
}

/// Reads a list of aggregators, separated by commas.
///
/// # Errors
/// `Invalid` for a name that is none, or none at all.
pub(super) fn aggregators(text: &[u8]) -> Result<Vec<Aggregator>> {
    let unknown = |name: &[u8]| Error::Invalid("unknown aggregation type", Token::from(name));
    text.split(|&byte| byte == b',')
        .map(|name| Aggregator::by_name(name).ok_or_else(|| unknown(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_digits_only_and_end_at_the_largest_time() {
        assert_eq!(whole(b"0"), Some(0));
        assert_eq!(whole(b"9223372036854775807"), Some(i64::MAX));
        let refused: [&[u8]; 8] = [
            b"",
            b"-1",
            b"+1",
            b"9223372036854775808",
            b"1.0",
            b"1 ",
            b"\xff",
            b"99999999999999999999",
        ];
        for text in refused {
            assert_eq!(whole(text), None, "{text:?}");
        }
    }

    #[test]
    fn values_are_finite_or_nan() {
        assert_eq!(value(b"-1.5e3"), Ok(-1500.0));
        assert_eq!(value(b".5"), Ok(0.5));
        assert!(value(b"+NaN").is_ok_and(f64::is_nan));
        let refused: [&[u8]; 8] = [
            b"",
            b"inf",
            b"-Infinity",
            b"1e999",
            b"0x10",
            b"1,5",
            b"1\0",
            b"\xff",
        ];
        for text in refused {
            assert!(value(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn infinities_are_numbers_only_by_name() {
        assert_eq!(real(b"-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(real(b"Infinity"), Some(f64::INFINITY));
        assert_eq!(real(b"1e999"), None);
        assert_eq!(real(b"nan"), None);
    }
}
