//! Downsampling rules: the aggregates of a series' buckets, kept in another series.
//!
//! ```text
//! source   x  x x   x |  x   x  x  | x    x     |  x  x          newest
//!          '- closed -'  '- closed '  '- closed '  '- open
//! destination      a             b            c
//! ```
//!
//! One law: **for every closed bucket the destination holds what the aggregation over the source
//! gives, and nothing else.** A bucket is closed when the newest sample is past its end by the
//! rule's delay. What a write has touched is asked for again ([`Changes::refreshes`]): mostly
//! nothing, since a sample in order falls into the open bucket; at its end, one query over it; for
//! late samples and deletions, the buckets they fall into and, where the aggregator looks at the
//! numbers around a bucket, those beside them.
//!
//! Two bounds: a rule begins with the bucket that was open when it was made (or earlier, with
//! `BACKFILL`), and a bucket whose samples have in part left the retention window stays as it is.

mod cut;
mod refresh;

pub use cut::Cut;
pub use refresh::{Changes, Refresh};

use triomphe::Arc;

use super::aggregate::Aggregator;
use super::query::{Aggregation, Bucket, Buckets, Stamp};
use super::relocate::Mover;
use super::{Sample, Series, Timestamp};

/// Most rules of one series.
pub const MAX_RULES: usize = 64;

/// Longest name of a key that a rule may tie, in bytes.
pub const MAX_KEY_BYTES: usize = 65_535;

/// One rule of a source.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The key of the series that its aggregates go to.
    pub destination: Box<[u8]>,
    /// How a bucket becomes one number.
    pub aggregator: Aggregator,
    cut: Cut,
    /// By how much the newest sample is past the end of a bucket that is closed. Milliseconds.
    pub delay_ms: i64,
    /// Where its first bucket begins.
    pub since_ms: Timestamp,
    /// Those of the cut.
    buckets: Buckets,
}

/// What ties a series to others.
#[derive(Clone, Debug)]
pub struct Links {
    /// The key of the series whose aggregates this one holds.
    pub source: Option<Box<[u8]>>,
    /// Where the aggregates of this one go.
    rules: Vec<Rule>,
    /// No bucket of any rule is closed by a sample in order before this time.
    next_close_ms: Timestamp,
}

impl Links {
    fn relocate(&mut self, mover: &mut impl Mover) {
        if let Some(source) = &mut self.source {
            mover.slice(source);
        }
        mover.vector(&mut self.rules);
        for rule in &mut self.rules {
            mover.slice(&mut rule.destination);
        }
    }
}

impl Rule {
    /// A rule from the bucket on that holds `since_ms`.
    pub fn new(
        destination: Box<[u8]>,
        aggregator: Aggregator,
        cut: Cut,
        delay_ms: i64,
        since_ms: Timestamp,
    ) -> Self {
        let buckets = cut.buckets();
        Self {
            since_ms: buckets.of(since_ms).start_ms,
            destination,
            aggregator,
            cut,
            delay_ms,
            buckets,
        }
    }

    /// How it cuts time.
    pub const fn cut(&self) -> &Cut {
        &self.cut
    }

    /// The bucket that holds a time.
    pub fn bucket(&self, time_ms: Timestamp) -> Bucket {
        self.buckets.of(time_ms)
    }

    /// Every bucket that ends at or before this time is closed by a sample at `newest_ms`.
    pub fn closed_until_ms(&self, newest_ms: Option<Timestamp>) -> Timestamp {
        match newest_ms.and_then(|newest_ms| newest_ms.checked_sub(self.delay_ms)) {
            Some(passed_ms) if passed_ms >= 0 => self.buckets.of(passed_ms).start_ms,
            _ => Timestamp::MIN,
        }
    }

    /// The first time at which a sample in order closes the next bucket.
    fn next_close_ms(&self, newest_ms: Option<Timestamp>) -> Timestamp {
        match newest_ms.map(|newest_ms| newest_ms.saturating_sub(self.delay_ms).max(0)) {
            None => Timestamp::MAX,
            Some(passed_ms) => self
                .buckets
                .of(passed_ms)
                .end_ms
                .saturating_add(self.delay_ms),
        }
    }

    /// Its aggregation.
    pub fn aggregation(&self) -> Aggregation {
        Aggregation {
            aggregators: vec![self.aggregator],
            buckets: self.buckets.clone(),
            stamp: Stamp::Start,
            empty: false,
            fill: None,
        }
    }

    /// What the destination must hold for the closed buckets of a source, from the first on.
    pub fn backfill(&self, series: &Series) -> Refresh {
        refresh::backfill(self, series)
    }

    /// What is known so far of the buckets of a source that are open.
    pub fn open_samples(&self, series: &Series) -> Vec<Sample> {
        refresh::open_samples(self, series)
    }

    /// The shortest retention of a source for which every bucket is whole when it is closed.
    pub fn shortest_retention_ms(&self) -> i64 {
        self.cut.longest_ms().saturating_add(self.delay_ms)
    }
}

impl Links {
    const NONE: &Self = &Self {
        source: None,
        rules: Vec::new(),
        next_close_ms: Timestamp::MAX,
    };

    /// Ties to put into a series.
    pub const fn new(source: Option<Box<[u8]>>, rules: Vec<Rule>) -> Self {
        Self {
            source,
            rules,
            // Nothing is known yet: the next sample looks.
            next_close_ms: Timestamp::MIN,
        }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule to a destination.
    pub fn rule_to(&self, destination: &[u8]) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| *rule.destination == *destination)
    }

    fn is_empty(&self) -> bool {
        self.source.is_none() && self.rules.is_empty()
    }
}

impl Series {
    /// What ties it to others.
    pub fn links(&self) -> &Links {
        self.links.as_deref().unwrap_or(Links::NONE)
    }

    /// Shows the allocations of what ties it to others to a mover.
    pub(super) fn relocate_links(&mut self, mover: &mut impl Mover) {
        let Some(links) = &mut self.links else { return };
        mover.counted(links);
        if let Some(links) = Arc::get_mut(links) {
            links.relocate(mover);
        }
    }

    /// Changes what ties it to others.
    pub fn relink(&mut self, change: impl FnOnce(&mut Option<Box<[u8]>>, &mut Vec<Rule>)) {
        let links = self
            .links
            .get_or_insert_with(|| Arc::new(Links::NONE.clone()));
        let links = Arc::make_mut(links);
        change(&mut links.source, &mut links.rules);
        links.next_close_ms = Timestamp::MIN;
        if links.is_empty() {
            self.links = None;
        }
    }

    /// The retention window, which begins at `visible_ms`, may go back in time: rules begin behind
    /// what has left it, so that no bucket is computed again from a part of its samples.
    pub(super) fn begin_rules_at(&mut self, visible_ms: Timestamp) {
        if self.options().retention_ms == 0 || self.links().rules.is_empty() {
            return;
        }
        let rules = self.links().rules.iter();
        let starts: Vec<Timestamp> = rules
            .map(|rule| refresh::first_whole_ms(rule, self, visible_ms))
            .collect();
        self.relink(|_, rules| {
            for (rule, start_ms) in rules.iter_mut().zip(starts) {
                rule.since_ms = start_ms;
            }
        });
    }

    /// Gives it ties that were stored.
    pub fn tie(&mut self, links: Option<Links>) {
        self.links = links.map(Arc::new);
    }

    /// Cuts all ties.
    pub fn untie(&mut self) {
        self.links = None;
    }

    /// Whether a sample in order at `time_ms` needs nothing of the rules: it falls into the open
    /// bucket of each of them.
    #[inline]
    pub fn is_calm(&self, time_ms: Timestamp) -> bool {
        match &self.links {
            None => true,
            Some(links) => {
                links.rules.is_empty()
                    || (time_ms < links.next_close_ms
                        && self.newest().is_some_and(|newest| {
                            newest.time_ms < time_ms && !newest.value.is_nan()
                        }))
            }
        }
    }

    /// The newest sample may go back in time, so the next one has to look again.
    pub(super) fn forget_next_close(&mut self) {
        if let Some(links) = &mut self.links {
            Arc::make_mut(links).next_close_ms = Timestamp::MIN;
        }
    }

    /// Notes when the next bucket is closed.
    fn note_next_close(&mut self) {
        let newest_ms = self.newest().map(|newest| newest.time_ms);
        if let Some(links) = &mut self.links {
            let links = Arc::make_mut(links);
            let closes = links.rules.iter().map(|rule| rule.next_close_ms(newest_ms));
            links.next_close_ms = closes.min().unwrap_or(Timestamp::MAX);
            if newest_ms.is_none() {
                links.next_close_ms = Timestamp::MIN;
            }
        }
    }
}
