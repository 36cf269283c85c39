//! `IOT.MDEL [from to] FILTER filter ... [DRYRUN]`: deletes a range of every series that a filter
//! finds, or all of it.
//!
//! Without a range the samples go and the series stay, empty, as with `IOT.DEL key - +`. Destinations
//! of rules are passed over: they follow their sources.

use super::Command;
use super::args::Args;
use super::counter::Counter;
use super::derived::{self, Tracked};
use super::error::{Error, Result};
use super::found;
use super::host::{Host, Purpose, Reply, Slot, Writer};
use super::range;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::{Series, TimeRange};

/// `IOT.MDEL`.
#[derive(Debug)]
pub struct MDel;

impl Command for MDel {
    const SPEC: Spec = Spec {
        name: "IOT.MDEL",
        arity: -3,
        effect: Effect::Free,
        fast: false,
        keys: Keys::None,
        access: Access::Delete,
        summary: "Deletes a range of every series that matches a filter",
        since: "0.1.0",
        complexity: "O(S + B) where S is the number of series that match and B that of their blocks",
        args: &[
            Arg::block(
                "range",
                &[
                    Arg::value("from-timestamp", ArgKind::String),
                    Arg::value("to-timestamp", ArgKind::String),
                ],
            )
            .or_none(),
            Arg::value("filter", ArgKind::String)
                .after("FILTER")
                .repeated(),
            Arg::flag("DRYRUN"),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let mut range = TimeRange::ALL;
        if !args.keyword("FILTER") {
            range = range::bounds(&mut args)?.range;
            if !args.keyword("FILTER") {
                return Err(Error::Conflict("missing FILTER argument"));
            }
        }
        let is_option = |word: &[u8]| word.eq_ignore_ascii_case(b"DRYRUN");
        let selector = found::filters(&mut args, is_option)?;
        let is_dry = args.keyword("DRYRUN");
        args.finish()?;
        let (mut series, mut samples) = (0, 0);
        for key in host.find(&selector, Purpose::Delete)? {
            let deleted = if is_dry {
                count(host, &key, range)
            } else {
                delete(host, &key, range)
            };
            series += i64::from(deleted > 0);
            samples += deleted;
        }
        let reply = host.reply();
        reply.map(2);
        reply.bulk(b"series");
        reply.integer(series);
        reply.bulk(b"samples");
        reply.integer(i64::try_from(samples).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Deletes a range of one series; returns how many samples there were.
fn delete<H: Host>(host: &H, key: &H::Found, range: TimeRange) -> u64 {
    let mut refreshes = Vec::new();
    let deleted = match host.write_found(key) {
        Slot::Open(mut series) if !is_destination(host, key, &series) => {
            let mut tracked = Tracked::begin(host, &series);
            let deleted = series.delete(range);
            if deleted > 0 {
                tracked.deleted(range);
                series.written();
            }
            refreshes = tracked.end(&mut series);
            deleted
        }
        Slot::Missing | Slot::Foreign | Slot::Open(_) => 0,
    };
    if deleted > 0 {
        host.count(Counter::Deleted, deleted);
        let (from, to) = (range.from.to_string(), range.to.to_string());
        host.replicate(c"IOT.DEL", &[key.as_ref(), from.as_bytes(), to.as_bytes()]);
        host.notify_found(c"iot.del", key);
    }
    derived::apply(host, key.as_ref(), refreshes);
    deleted
}

/// Whether the samples of a series follow those of another, and are not deleted by themselves.
fn is_destination<H: Host>(host: &H, key: &H::Found, series: &Series) -> bool {
    derived::refuse_destination(host, key.as_ref(), series).is_err()
}

/// The number of samples that would be deleted.
fn count<H: Host>(host: &H, key: &H::Found, range: TimeRange) -> u64 {
    match host.read_found(key) {
        Slot::Open(series) if !is_destination(host, key, &series) => series.count_in(range),
        Slot::Missing | Slot::Foreign | Slot::Open(_) => 0,
    }
}
