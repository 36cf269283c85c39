//! Numbers as clients write them.

use super::error::{Error, Result, Token};
use crate::engine::Timestamp;
use crate::engine::aggregate::Aggregator;

/// Reads a whole number of decimal digits, as small as 0.
pub(super) fn whole(text: &[u8]) -> Option<i64> {
    // Nineteen digits always fit in an unsigned number, if not in a signed one.
    const MAX_DIGITS: usize = 19;
    if text.is_empty() || text.len() > MAX_DIGITS {
        return None;
    }
    let (eights, ones) = text.as_chunks::<8>();
    let mut number = 0u64;
    for &eight in eights {
        number = number
            .wrapping_mul(100_000_000)
            .wrapping_add(eight_digits(eight)?);
    }
    for &one in ones {
        number = number.wrapping_mul(10).wrapping_add(digit(one)?);
    }
    i64::try_from(number).ok()
}

/// The number that eight digits are, all at once: pairs of digits, of those, and of those again
/// (Lemire, "Quickly parsing eight digits", 2022). A time in milliseconds has thirteen.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<u64> {
    const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);
    const SIXES: u64 = u64::from_le_bytes([6; 8]);
    const HIGH: u64 = u64::from_le_bytes([0xf0; 8]);
    let text = u64::from_le_bytes(text);
    // The high half of a byte is that of '0', also when 6 is added: '0'..='9' and nothing else.
    if (text & HIGH) | ((text.wrapping_add(SIXES) & HIGH) >> 4) != ZEROS | ZEROS >> 4 {
        return None;
    }
    let ones = text ^ ZEROS;
    let pairs = ones.wrapping_mul(10).wrapping_add(ones >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

#[inline]
fn digit(byte: u8) -> Option<u64> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(u64::from(digit))
}

/// Reads a number: decimal, with or without exponent, or an infinity by name. Not NaN.
pub(super) fn real(text: &[u8]) -> Option<f64> {
    short_decimal(text).or_else(|| any_number(text))
}

fn any_number(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let named = || text.iter().any(|&byte| byte.eq_ignore_ascii_case(&b'n'));
    // What overflows is not the number that was meant.
    (number.is_finite() || (number.is_infinite() && named())).then_some(number)
}

/// Reads a decimal as sensors send it, such as `-21.50`; anything longer or other is `None`.
///
/// Up to fifteen digits and a power of ten up to 10^22 are doubles exactly, so one division rounds
/// once, which is right (Clinger 1990, "How to Read Floating Point Numbers Accurately"). It takes a
/// quarter of the instructions of the general way, and every sample comes through here.
#[inline]
fn short_decimal(text: &[u8]) -> Option<f64> {
    const MAX_DIGITS: usize = 15;
    const POWERS: [f64; MAX_DIGITS + 1] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if unsigned.len() > MAX_DIGITS {
        return None;
    }
    let mut number = 0u64;
    let mut point_at = unsigned.len();
    for (at, &byte) in unsigned.iter().enumerate() {
        match digit(byte) {
            Some(digit) => number = number.wrapping_mul(10).wrapping_add(digit),
            None if byte == b'.' && point_at == unsigned.len() => point_at = at,
            None => return None,
        }
    }
    let decimals = unsigned.len().saturating_sub(point_at + 1);
    if point_at + decimals == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "fifteen digits are exact")]
    let value = number as f64 / POWERS[decimals];
    Some(if negative { -value } else { value })
}

/// Reads a finite number.
pub(super) fn finite(text: &[u8]) -> Option<f64> {
    real(text).filter(|number| number.is_finite())
}

/// Reads the value of a sample: a finite number, or `nan`.
///
/// # Errors
/// `Invalid`.
#[inline]
pub(super) fn value(text: &[u8]) -> Result<f64> {
    match short_decimal(text) {
        Some(number) => Ok(number),
        None => long_value(text),
    }
}

/// Reads a value that is no short decimal.
fn long_value(text: &[u8]) -> Result<f64> {
    if let Some(number) = any_number(text).filter(|number| number.is_finite()) {
        return Ok(number);
    }
    let unsigned = text
        .strip_prefix(b"-")
        .or_else(|| text.strip_prefix(b"+"))
        .unwrap_or(text);
    if unsigned.eq_ignore_ascii_case(b"nan") {
        return Ok(f64::NAN);
    }
    Err(Error::Invalid("invalid value", Token::from(text)))
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
        .map(|name| aggregator(name).ok_or_else(|| unknown(name)))
        .collect()
}

/// Reads one aggregator: a name, `p99.9`, or `timein(21.5)`.
pub(super) fn aggregator(text: &[u8]) -> Option<Aggregator> {
    if let Some(named) = Aggregator::by_name(text) {
        return Some(named);
    }
    if let [b'p' | b'P', percent @ ..] = text {
        let percent = finite(percent).filter(|percent| (0.0..=100.0).contains(percent));
        return percent.map(Aggregator::Percentile);
    }
    let (name, rest) = text.split_at_checked(b"timein(".len())?;
    let value = rest.strip_suffix(b")").and_then(real)?;
    let is_named = name.eq_ignore_ascii_case(b"timein(");
    is_named.then_some(Aggregator::TimeIn(value))
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
    fn eight_digits_are_digits_in_every_place() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut text = *b"12345678";
                text[place] = byte;
                let plain = std::str::from_utf8(&text).ok();
                let plain = plain.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                let plain = plain.map(|text| text.parse().unwrap());
                assert_eq!(eight_digits(text), plain, "{text:?}");
            }
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
    fn short_decimals_are_what_the_general_way_reads() {
        let mut seed = 1u64;
        for _ in 0..100_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let digits = (seed >> 33) % 10u64.pow(u32::try_from(seed >> 60).unwrap());
            let decimals = usize::try_from(seed >> 40 & 15).unwrap();
            let sign = if seed >> 50 & 1 == 0 { "" } else { "-" };
            let text = format!("{sign}{digits:0decimals$}");
            let point = text.len() - decimals;
            let text = format!("{}.{}", &text[..point], &text[point..]);
            let general: f64 = text.parse().unwrap();
            let read = real(text.as_bytes()).map(f64::to_bits);
            assert_eq!(read, Some(general.to_bits()), "{text}");
        }
        for (text, bits) in [("-0", (-0.0f64).to_bits()), ("5.", 5f64.to_bits())] {
            assert_eq!(short_decimal(text.as_bytes()).map(f64::to_bits), Some(bits));
        }
        for text in [
            "",
            ".",
            "-",
            "--1",
            "1.2.3",
            "1e3",
            "+1",
            "1234567890123456",
            "1 ",
        ] {
            assert_eq!(short_decimal(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn aggregators_may_take_a_number() {
        assert_eq!(
            aggregators(b"avg,P99.9,timein(-21.5),TimeIn(inf),p0"),
            Ok(vec![
                Aggregator::Avg,
                Aggregator::Percentile(99.9),
                Aggregator::TimeIn(-21.5),
                Aggregator::TimeIn(f64::INFINITY),
                Aggregator::Percentile(0.0),
            ])
        );
        let refused: [&[u8]; 12] = [
            b"",
            b"p",
            b"p-1",
            b"p100.1",
            b"pnan",
            b"p50 ",
            b"timein",
            b"timein()",
            b"timein(nan)",
            b"timein(1",
            b"timein(1))",
            b"avg,",
        ];
        for text in refused {
            assert!(aggregators(text).is_err(), "{text:?}");
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
