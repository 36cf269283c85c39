//! The policy for all series, as one text of the configuration:
//!
//! ```text
//! agg:bucket:retention[:align] ; ...          max:1M:1h;min:10s:5d:10d
//! ```
//!
//! `temp` gets the destinations `temp_MAX_60000` and `temp_MIN_10000`. Whoever has such a text knows
//! `M` as a minute and `m` as a millisecond, and with us `m` is a minute: `m` alone is refused.

use super::super::duration;
use super::super::number;
use crate::engine::index::Selector;
use crate::engine::policy::{Policy, PolicyRule};
use crate::engine::query::Span;
use crate::engine::rule::Cut;

/// What destinations are called.
const TEMPLATE: &[u8] = b"{key}_{AGG}_{ms}";
const MINUTE_MS: i64 = 60_000;

/// Reads a policy that is for every series; `None` where the text is not one.
pub fn read(text: &[u8]) -> Option<Policy> {
    let rules = text.split(|&byte| byte == b';');
    let rules = rules.filter(|rule| !rule.is_empty()).map(rule);
    let rules = rules.collect::<Option<Vec<PolicyRule>>>()?;
    Policy::new(&[], Selector::default(), rules, TEMPLATE).ok()
}

fn rule(text: &[u8]) -> Option<PolicyRule> {
    let mut parts = text.split(|&byte| byte == b':');
    let aggregator = number::aggregator(parts.next()?)?;
    let bucket = span(parts.next()?)?;
    let retention_ms = span(parts.next()?)?.milliseconds()?;
    let align_ms = match parts.next() {
        None => 0,
        Some(align) => span(align)?.milliseconds()?,
    };
    let is_calendar = bucket.milliseconds().is_none();
    if parts.next().is_some() || bucket.is_zero() || (is_calendar && align_ms != 0) {
        return None;
    }
    Some(PolicyRule {
        aggregator,
        cut: Cut::new(bucket, None, align_ms).ok()?,
        retention_ms,
    })
}

fn span(text: &[u8]) -> Option<Span> {
    if let Some(minutes) = text.strip_suffix(b"M") {
        return Span::Milliseconds(MINUTE_MS).times(number::whole(minutes)?);
    }
    let is_minute = |at: usize| text[at] == b'm' && !matches!(text.get(at + 1), Some(b's' | b'o'));
    if (0..text.len()).any(is_minute) {
        return None;
    }
    duration::span(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destinations(text: &str) -> Option<Vec<String>> {
        let policy = read(text.as_bytes())?;
        let rules = policy.rules().iter();
        let keys = rules.filter_map(|rule| policy.destination(b"t", rule, false));
        Some(keys.map(|key| String::from_utf8(key).unwrap()).collect())
    }

    #[test]
    fn destinations_are_called_as_people_know_them() {
        assert_eq!(
            destinations("max:1M:1h;min:10s:5d:10d;Avg:500ms:0;p99.9:1d:2w;last:1mo:0;").unwrap(),
            [
                "t_MAX_60000",
                "t_MIN_10000",
                "t_AVG_500",
                "t_P99.9_86400000",
                "t_LAST_1mo"
            ]
        );
        let policy = read(b"min:10s:5d:10d").unwrap();
        assert_eq!(policy.rules()[0].retention_ms, 5 * 86_400_000);
        assert_eq!(policy.rules()[0].cut.align_ms(), 10 * 86_400_000);
    }

    #[test]
    fn what_is_no_policy_or_could_mean_two_is_refused() {
        for text in [
            "max",
            "max:1M",
            "max:1m:1h",
            "max:1h30m:1h",
            "max:1M:1h:1m",
            "max:1M:1h:0:0",
            "nix:1M:1h",
            "max:0:1h",
            "max:1M:1mo",
            "max:1mo:0:5",
            "max:1M:1h;max:60s:1d",
            "max:M:1h",
            "max:-1M:1h",
            "max:9223372036854775807M:1h",
            ";",
            "",
        ] {
            assert!(read(text.as_bytes()).is_none(), "{text}");
        }
    }
}
