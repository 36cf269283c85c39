//! Spans of time as clients write them.
//!
//! ```text
//! 1500            milliseconds
//! 500ms 10s 5m 2h 1d 1w
//! 1h30m           parts, the larger unit first, each once
//! 1mo 1q 2y       months, quarters and years: no fixed length, so only for buckets
//! ```
//!
//! Units are written in lower case: whether `1M` is a minute or a month is not for us to guess.

use super::number::whole;
use crate::engine::query::Span;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The units from the largest to the smallest, with one of each.
const UNITS: [(&[u8], Span); 9] = [
    (b"y", Span::Months(12)),
    (b"q", Span::Months(3)),
    (b"mo", Span::Months(1)),
    (b"w", Span::Weeks(1)),
    (b"d", Span::Milliseconds(DAY_MS)),
    (b"h", Span::Milliseconds(HOUR_MS)),
    (b"m", Span::Milliseconds(MINUTE_MS)),
    (b"s", Span::Milliseconds(SECOND_MS)),
    (b"ms", Span::Milliseconds(1)),
];

/// Reads a span of fixed length, in milliseconds.
pub(super) fn milliseconds(text: &[u8]) -> Option<i64> {
    whole(text).or_else(|| literal(text)?.milliseconds())
}

/// Reads a span, which may be one of the calendar.
pub(super) fn span(text: &[u8]) -> Option<Span> {
    whole(text)
        .map(Span::Milliseconds)
        .or_else(|| literal(text))
}

fn literal(text: &[u8]) -> Option<Span> {
    let mut units = &UNITS[..];
    let mut total = None;
    let mut rest = text;
    while !rest.is_empty() {
        let number;
        let name;
        (number, rest) = rest.split_at(count_leading(rest, u8::is_ascii_digit));
        (name, rest) = rest.split_at(count_leading(rest, u8::is_ascii_lowercase));
        let at = units.iter().position(|(unit, _)| *unit == name)?;
        let part = units[at].1.times(whole(number)?)?;
        units = &units[at + 1..];
        total = match total {
            None => Some(part),
            Some(total) => Some(part.after(total)?),
        };
    }
    total
}

fn count_leading(text: &[u8], is_wanted: impl Fn(&u8) -> bool) -> usize {
    text.iter().take_while(|&byte| is_wanted(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_milliseconds_or_parts_with_units() {
        for (text, ms) in [
            ("0", 0),
            ("1500", 1500),
            ("500ms", 500),
            ("0s", 0),
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1w", 604_800_000),
            ("1h30m", 5_400_000),
            ("1w1d1h1m1s1ms", 694_861_001),
            ("90m", 5_400_000),
            ("9223372036854775807ms", i64::MAX),
        ] {
            assert_eq!(milliseconds(text.as_bytes()), Some(ms), "{text}");
        }
    }

    #[test]
    fn spans_of_the_calendar_have_no_milliseconds() {
        for (text, months) in [("1mo", 1), ("2q", 6), ("1y6mo", 18)] {
            assert_eq!(span(text.as_bytes()), Some(Span::Months(months)), "{text}");
            assert_eq!(milliseconds(text.as_bytes()), None, "{text}");
        }
        assert_eq!(span(b"2w"), Some(Span::Weeks(2)));
        assert_eq!(span(b"1w1d"), Some(Span::Milliseconds(691_200_000)));
        assert_eq!(span(b"86400000"), Some(Span::Milliseconds(DAY_MS)));
    }

    #[test]
    fn nonsense_and_overflow_are_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "+1s",
            "1.5h",
            "1 h",
            "1H",
            "1M",
            "1x",
            "1sec",
            "1h30",
            "30m1h",
            "1h1h",
            "1mo1d",
            "1y1h",
            "9223372036854775808ms",
            "9223372036854775807s",
            "15250284453w",
            "9223372036854775807y",
            "106751991167d24h",
            "1h\0",
            "\u{661}h",
        ] {
            assert_eq!(span(text.as_bytes()), None, "{text}");
        }
    }
}
