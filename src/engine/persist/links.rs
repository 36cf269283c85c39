//! The record of what ties a series to others, empty where there is nothing.
//!
//! ```text
//! | source len u16 | source | rule | rule | ..
//!
//! rule: | destination len u16 | destination | aggregator u8 | number f64, for p and timein |
//!       | span: kind u8, count i64 | zone len u8 | zone | align i64 | delay i64 | since i64 |
//! ```
//!
//! All numbers are little-endian; times are in milliseconds. An aggregator without a number is its
//! place in [`Aggregator::NAMED`]. A source or zone of length 0 is none.

use super::series::take;
use crate::engine::aggregate::Aggregator;
use crate::engine::query::{Span, Zone};
use crate::engine::rule::{Cut, Links, MAX_RULES, Rule};
use crate::engine::{Error, Result};

const PERCENTILE: u8 = 254;
const TIME_IN: u8 = 255;
const CORRUPT: Error = Error::Corrupt { what: "rule" };

/// The record of `links`.
pub(super) fn write(links: &Links) -> Vec<u8> {
    let mut record = Vec::new();
    if links.source.is_none() && links.rules().is_empty() {
        return record;
    }
    write_text(links.source.as_deref().unwrap_or_default(), &mut record);
    for rule in links.rules() {
        write_rule(rule, &mut record);
    }
    record
}

fn write_rule(rule: &Rule, record: &mut Vec<u8>) {
    write_text(&rule.destination, record);
    write_aggregation(rule.aggregator, rule.cut(), record);
    for ms in [rule.delay_ms, rule.since_ms] {
        record.extend(ms.to_le_bytes());
    }
}

/// What is computed of which buckets.
pub(super) fn write_aggregation(aggregator: Aggregator, cut: &Cut, record: &mut Vec<u8>) {
    match aggregator {
        Aggregator::Percentile(percent) => {
            record.push(PERCENTILE);
            record.extend(percent.to_le_bytes());
        }
        Aggregator::TimeIn(value) => {
            record.push(TIME_IN);
            record.extend(value.to_le_bytes());
        }
        plain => {
            let place = Aggregator::NAMED.iter().position(|(_, one)| *one == plain);
            record.push(
                place
                    .and_then(|place| u8::try_from(place).ok())
                    .unwrap_or(0),
            );
        }
    }
    let (kind, count) = match cut.span() {
        Span::Milliseconds(ms) => (0, ms),
        Span::Weeks(weeks) => (1, weeks),
        Span::Months(months) => (2, months),
    };
    record.push(kind);
    record.extend(count.to_le_bytes());
    let zone = cut.zone().map_or("", Zone::name).as_bytes();
    record.push(u8::try_from(zone.len()).unwrap_or(0));
    record.extend(zone);
    record.extend(cut.align_ms().to_le_bytes());
}

/// Texts are keys that were checked for their length when they came in.
pub(super) fn write_text(text: &[u8], record: &mut Vec<u8>) {
    let len = u16::try_from(text.len()).expect("BUG: a key over its limit");
    record.extend(len.to_le_bytes());
    record.extend(text);
}

/// Reads a record back.
///
/// # Errors
/// `Corrupt` where it is not what [`write()`] writes.
pub(super) fn read(record: &[u8]) -> Result<Option<Links>> {
    if record.is_empty() {
        return Ok(None);
    }
    let mut rest = record;
    let source = read_text(&mut rest)?;
    let mut rules = Vec::new();
    while !rest.is_empty() {
        if rules.len() == MAX_RULES {
            return Err(CORRUPT);
        }
        let rule = read_rule(&mut rest)?;
        let is_known = |other: &Rule| other.destination == rule.destination;
        if rules.iter().any(is_known) {
            return Err(CORRUPT);
        }
        rules.push(rule);
    }
    let source = (!source.is_empty()).then(|| source.into());
    Ok(Some(Links::new(source, rules)))
}

fn read_rule(rest: &mut &[u8]) -> Result<Rule> {
    let destination = read_text(rest)?.into();
    let (aggregator, cut) = read_aggregation(rest)?;
    let [delay_ms, since_ms] = [take(rest)?, take(rest)?].map(i64::from_le_bytes);
    if delay_ms < 0 {
        return Err(CORRUPT);
    }
    Ok(Rule::new(
        destination,
        aggregator,
        cut,
        delay_ms,
        since_ms.max(0),
    ))
}

/// Reads what [`write_aggregation`] writes.
pub(super) fn read_aggregation(rest: &mut &[u8]) -> Result<(Aggregator, Cut)> {
    let aggregator = match take::<1>(rest)? {
        [PERCENTILE] => {
            let percent = f64::from_le_bytes(take(rest)?);
            if !(0.0..=100.0).contains(&percent) {
                return Err(CORRUPT);
            }
            Aggregator::Percentile(percent)
        }
        [TIME_IN] => {
            let value = f64::from_le_bytes(take(rest)?);
            if value.is_nan() {
                return Err(CORRUPT);
            }
            Aggregator::TimeIn(value)
        }
        [place] => {
            let named = Aggregator::NAMED.get(usize::from(place));
            named.map(|&(_, one)| one).ok_or(CORRUPT)?
        }
    };
    let [kind] = take(rest)?;
    let count = i64::from_le_bytes(take(rest)?);
    let span = match kind {
        0 => Span::Milliseconds(count),
        1 => Span::Weeks(count),
        2 => Span::Months(count),
        _ => return Err(CORRUPT),
    };
    let [zone_len] = take(rest)?;
    let zone = match bytes(rest, usize::from(zone_len))? {
        [] => None,
        name => Some(Zone::by_name(name).ok_or(Error::Corrupt {
            what: "time zone of a rule",
        })?),
    };
    let align_ms = i64::from_le_bytes(take(rest)?);
    if align_ms < 0 {
        return Err(CORRUPT);
    }
    let cut = Cut::new(span, zone, align_ms).map_err(|_| CORRUPT)?;
    Ok((aggregator, cut))
}

pub(super) fn read_text<'r>(rest: &mut &'r [u8]) -> Result<&'r [u8]> {
    let len = u16::from_le_bytes(take(rest)?);
    bytes(rest, usize::from(len))
}

pub(super) fn bytes<'r>(rest: &mut &'r [u8], len: usize) -> Result<&'r [u8]> {
    let (text, after) = rest.split_at_checked(len).ok_or(CORRUPT)?;
    *rest = after;
    Ok(text)
}
