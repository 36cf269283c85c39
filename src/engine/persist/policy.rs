//! The record of a policy. All numbers are little-endian.
//!
//! ```text
//! | template len u16 | template | rules u8 | rule | .. | filter | .. |
//!
//! rule:    what is computed of which buckets, as in `links` | retention_ms i64 |
//! filter:  | len u32 | text |
//! ```

use super::links::{bytes, read_aggregation, read_text, write_aggregation, write_text};
use super::series::take;
use super::{Sink, Source};
use crate::engine::index::Selector;
use crate::engine::policy::{MAX_POLICY_RULES, Policy, PolicyRule};
use crate::engine::{Error, Result};

/// Version of the form written; the encoding version of the server's data type.
pub const POLICY_VERSION: u32 = 1;

const CORRUPT: Error = Error::Corrupt { what: "policy" };

/// Writes the record of `policy`.
pub fn write_policy(policy: &Policy, sink: &mut impl Sink) {
    let mut record = Vec::new();
    write_text(policy.template(), &mut record);
    record.push(u8::try_from(policy.rules().len()).expect("BUG: rules over their limit"));
    for rule in policy.rules() {
        write_aggregation(rule.aggregator, &rule.cut, &mut record);
        record.extend(rule.retention_ms.to_le_bytes());
    }
    for filter in policy.filters() {
        let len = u32::try_from(filter.len()).expect("BUG: a filter over its limit");
        record.extend(len.to_le_bytes());
        record.extend(filter);
    }
    sink.record(&record);
}

/// Reads a policy back, whose filters `parse` reads.
///
/// # Errors
/// `Corrupt` where the record is not what [`write_policy`] writes, and those of [`Policy::new`].
pub fn read_policy(
    source: &mut impl Source,
    version: u32,
    parse: impl FnOnce(&[&[u8]]) -> Option<Selector>,
) -> Result<Policy> {
    if version != POLICY_VERSION {
        return Err(Error::Corrupt { what: "version" });
    }
    let record = source.record()?;
    let mut rest = &record[..];
    let template = read_text(&mut rest)?;
    let [count] = take(&mut rest)?;
    if usize::from(count) > MAX_POLICY_RULES {
        return Err(CORRUPT);
    }
    let mut rules = Vec::with_capacity(count.into());
    for _ in 0..count {
        let (aggregator, cut) = read_aggregation(&mut rest)?;
        let retention_ms = i64::from_le_bytes(take(&mut rest)?);
        let is_calendar = cut.zone().is_some() || cut.span().milliseconds().is_none();
        // Neither could be given to the command that the append-only file has for it.
        if retention_ms < 0 || (is_calendar && cut.align_ms() != 0) {
            return Err(CORRUPT);
        }
        rules.push(PolicyRule {
            aggregator,
            cut,
            retention_ms,
        });
    }
    let mut filters = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(take(&mut rest)?);
        filters.push(bytes(
            &mut rest,
            usize::try_from(len).unwrap_or(usize::MAX),
        )?);
    }
    let selector = parse(&filters).ok_or(Error::Corrupt {
        what: "filters of a policy",
    })?;
    Policy::new(&filters, selector, rules, template)
}
