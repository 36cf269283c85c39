//! What rules make of a write: the destinations follow their source in the same command.
//!
//! ```text
//! write to a source --> Tracked notes what changes --> refreshes --> apply to each destination
//!                                                        ^                      |
//!                                                        '-- its own rules -----'
//! ```
//!
//! What is derived is sent to replicas and the append-only file as it is stored, behind what it
//! was derived from, and in one unit with it. So whoever replays derives nothing.
//!
//! A rule ties two keys by name, and both ends know the other. Where the destination is gone, or is
//! another's, the rule is dropped, and that is sent on too.

use std::borrow::Cow;

use super::counter::Counter;
use super::effect;
use super::error::{Error, Result};
use super::host::{Host, Slot, Writer};
use crate::engine::query::{Filter, Selection, Unwatched};
use crate::engine::rule::{Changes, Refresh, Rule};
use crate::engine::series::{Added, Order, Upsert};
use crate::engine::{self, Sample, Series, TimeRange, Timestamp};

/// Most rules from a source of clients to the end of a chain.
pub(super) const MAX_CHAIN: usize = 64;

/// Why a client may not write to a destination.
pub(super) const DESTINATION: &str =
    "the key is the destination of a downsampling rule, which alone writes to it";

/// A write to a series that may have rules.
pub(super) struct Tracked {
    /// None where there are no rules, or somebody else has seen to them.
    changes: Option<Changes>,
    is_calm: bool,
    refreshes: Vec<Refresh>,
}

impl Tracked {
    /// Begins before anything changes.
    pub(super) fn begin<H: Host>(host: &H, series: &Series) -> Self {
        let has_rules = !series.links().rules().is_empty() && !host.is_replay();
        Self {
            changes: has_rules.then(|| Changes::of(series)),
            is_calm: true,
            refreshes: Vec::new(),
        }
    }

    /// As [`Tracked::begin`], for one sample: mostly it needs nothing of the rules.
    #[inline]
    pub(super) fn begin_with<H: Host>(host: &H, series: &Series, time_ms: Timestamp) -> Self {
        if series.is_calm(time_ms) {
            return Self {
                changes: None,
                is_calm: true,
                refreshes: Vec::new(),
            };
        }
        Self::begin(host, series)
    }

    /// Before a sample is added: closes buckets that would lose samples to retention by it.
    pub(super) fn before(&mut self, series: &mut Series, sample: Sample, upsert: &Upsert) {
        if let Some(changes) = &mut self.changes
            && changes.would_lose(series, sample.time_ms)
            && !series
                .newest()
                .is_some_and(|newest| upsert.ignores(newest, sample))
        {
            let refreshes = changes.refreshes(series, Some(sample.time_ms));
            self.refreshes.extend(refreshes);
        }
    }

    /// A sample was added, or not.
    pub(super) fn after(&mut self, time_ms: Timestamp, added: &engine::Result<Added>) {
        if let (Some(changes), Ok(added)) = (&mut self.changes, added)
            && added.is_change()
        {
            changes.touch(time_ms);
            self.is_calm = false;
        }
    }

    /// Adds samples as [`Series::add_all`] does.
    pub(super) fn add_all(
        &mut self,
        series: &mut Series,
        samples: &[Sample],
        upsert: &Upsert,
        tell: &mut impl FnMut(Sample, engine::Result<Added>),
    ) {
        let mut rest = samples;
        while !rest.is_empty() {
            self.before(series, rest[0], upsert);
            let changes = self.changes.as_ref();
            let len = changes.map_or(rest.len(), |changes| changes.safe_len(series, rest));
            let (run, after) = rest.split_at(len);
            series.add_all(run, upsert, &mut |sample, added| {
                self.after(sample.time_ms, &added);
                tell(sample, added);
            });
            rest = after;
        }
    }

    /// Samples of a range were deleted.
    pub(super) fn deleted(&mut self, range: TimeRange) {
        if let Some(changes) = &mut self.changes {
            changes.touch_range(range);
            self.is_calm = false;
        }
    }

    /// Ends the write: what the destinations must hold now.
    pub(super) fn end(mut self, series: &mut Series) -> Vec<Refresh> {
        if let Some(changes) = &mut self.changes
            && !self.is_calm
        {
            let newest_ms = series.newest().map(|newest| newest.time_ms);
            let refreshes = changes.refreshes(series, newest_ms);
            self.refreshes.extend(refreshes);
        }
        self.refreshes
    }
}

/// Refuses a client's write to a series that holds what a rule puts there.
///
/// # Errors
/// `Conflict`.
#[inline]
pub(super) fn refuse_destination<H: Host>(host: &H, key: &[u8], series: &Series) -> Result<()> {
    match &series.links().source {
        Some(source) if !host.is_replay() && is_tied(host, source, key) => {
            Err(Error::Conflict(DESTINATION))
        }
        _ => Ok(()),
    }
}

/// Whether the series at `source` has a rule to `destination`.
pub(super) fn is_tied<H: Host>(host: &H, source: &[u8], destination: &[u8]) -> bool {
    match host.read_found(&host.found(source)) {
        Slot::Open(series) => series.links().rule_to(destination).is_some(),
        Slot::Missing | Slot::Foreign => false,
    }
}

/// Whether a rule of the series at `source` writes to `destination`: both ends say so.
pub(super) fn is_live<H: Host>(host: &H, source: &[u8], destination: &[u8]) -> bool {
    let is_other_end = match host.read_found(&host.found(destination)) {
        Slot::Open(series) => series.links().source.as_deref() == Some(source),
        Slot::Missing | Slot::Foreign => false,
    };
    is_other_end && is_tied(host, source, destination)
}

/// A series as `LATEST` shows it: a destination with the buckets that are open yet.
pub(super) fn with_open<'s, H: Host>(host: &H, key: &[u8], series: &'s Series) -> Cow<'s, Series> {
    let Some(source) = &series.links().source else {
        return Cow::Borrowed(series);
    };
    let Slot::Open(from) = host.read_found(&host.found(source)) else {
        return Cow::Borrowed(series);
    };
    let open = from
        .links()
        .rule_to(key)
        .map(|rule| rule.open_samples(&from));
    let mut shown = series.clone();
    shown.untie();
    shown.add_all(&open.unwrap_or_default(), &Upsert::Replay, &mut |_, _| {});
    Cow::Owned(shown)
}

/// Brings destinations of `source` to what they must hold, and theirs. No key may be open.
pub(super) fn apply<H: Host>(host: &H, source: &[u8], refreshes: Vec<Refresh>) {
    apply_at(host, source, refreshes, 0);
}

/// As [`apply`], so far down a chain: a circle, as forged bytes may tie one, ends where chains do.
fn apply_at<H: Host>(host: &H, source: &[u8], refreshes: Vec<Refresh>, depth: usize) {
    for refresh in refreshes {
        let key = host.found(&refresh.destination);
        let outcome = match host.write_found(&key) {
            Slot::Open(mut series)
                if depth < MAX_CHAIN && series.links().source.as_deref() == Some(source) =>
            {
                Some(bring(host, &mut series, &refresh))
            }
            _ => None,
        };
        let Some(brought) = outcome else {
            drop_rule(host, source, &refresh.destination);
            continue;
        };
        if !brought.is_change() {
            continue;
        }
        brought.send(host, &refresh.destination);
        host.notify_found(c"iot.add:dest", &key);
        apply_at(host, &refresh.destination, brought.refreshes, depth + 1);
    }
}

/// What was done to a destination.
struct Brought {
    removed: Vec<Timestamp>,
    stored: Vec<Sample>,
    refreshes: Vec<Refresh>,
}

impl Brought {
    fn is_change(&self) -> bool {
        !self.removed.is_empty() || !self.stored.is_empty()
    }

    fn send<H: Host>(&self, host: &H, key: &[u8]) {
        for time_ms in &self.removed {
            let time = time_ms.to_string();
            host.replicate(c"IOT.DEL", &[key, time.as_bytes(), time.as_bytes()]);
        }
        effect::send_samples(host, key, &self.stored);
    }
}

/// Makes a destination hold what it must in a range.
fn bring<H: Host>(host: &H, series: &mut impl Writer, refresh: &Refresh) -> Brought {
    let mut tracked = Tracked::begin(host, series);
    let (removed, wanted) = difference(series, refresh);
    for &time_ms in &removed {
        let range = TimeRange::new(time_ms, time_ms);
        series.delete(range);
        tracked.deleted(range);
    }
    let mut stored = Vec::with_capacity(wanted.len());
    tracked.add_all(
        &mut *series,
        &wanted,
        &Upsert::Replay,
        &mut |sample, added| {
            // What its retention refuses is too old for the destination, and that is all.
            if added.is_ok_and(Added::is_change) {
                stored.push(sample);
            }
        },
    );
    if !removed.is_empty() || !stored.is_empty() {
        series.written();
    }
    host.count(Counter::Derived, stored.len() as u64);
    Brought {
        removed,
        stored,
        refreshes: tracked.end(&mut *series),
    }
}

/// The times that have to go from a destination, and the samples that have to come.
fn difference(series: &Series, refresh: &Refresh) -> (Vec<Timestamp>, Vec<Sample>) {
    let is_all_new = series
        .newest()
        .is_none_or(|newest| newest.time_ms < refresh.range.from);
    if is_all_new {
        return (Vec::new(), refresh.samples.clone());
    }
    let selection = Selection {
        range: refresh.range,
        order: Order::Ascending,
        filter: Filter::default(),
    };
    let (mut removed, mut wanted) = (Vec::new(), Vec::new());
    let mut coming = refresh.samples.iter().copied().peekable();
    let compared = selection.for_each(series, &Unwatched, |have| {
        while let Some(new) = coming.next_if(|new| new.time_ms < have.time_ms) {
            wanted.push(new);
        }
        match coming.next_if(|new| new.time_ms == have.time_ms) {
            None => removed.push(have.time_ms),
            Some(new) if new.value.to_bits() != have.value.to_bits() => wanted.push(new),
            Some(_) => {}
        }
        std::ops::ControlFlow::Continue(())
    });
    compared.expect("BUG: nobody halts this query");
    wanted.extend(coming);
    (removed, wanted)
}

/// Drops a rule whose destination is gone.
fn drop_rule<H: Host>(host: &H, source: &[u8], destination: &[u8]) {
    let key = host.found(source);
    let Slot::Open(mut series) = host.write_found(&key) else {
        return;
    };
    if series.links().rule_to(destination).is_none() {
        return;
    }
    series.relink(|_, rules| {
        rules.retain(|rule: &Rule| *rule.destination != *destination);
    });
    series.written();
    drop(series);
    host.replicate(c"IOT.DELETERULE", &[source, destination]);
}
