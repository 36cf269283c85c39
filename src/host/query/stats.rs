//! What `INFO redis-iot_queries` tells.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::command::error::Error;
use crate::host::stats::timers;

/// The counters of this process. Single numbers and no lock, because a crash report reads them in
/// the middle of anything.
pub(in crate::host) static STATS: Stats = Stats::new();

/// Counters of the queries, on the main thread and beside it.
pub(in crate::host) struct Stats {
    /// Threads there are.
    pub(super) threads: AtomicU64,
    /// Queries that run now.
    pub(super) running: AtomicU64,
    /// Queries that wait for a thread.
    pub(super) waiting: AtomicU64,
    /// Queries that were answered on the main thread, or refused there.
    inline: AtomicU64,
    /// Those among them that took too long.
    inline_timed_out: AtomicU64,
    /// Queries that ended beside it, with an answer or without.
    ended: AtomicU64,
    /// Those among them whose client had gone.
    cancelled: AtomicU64,
    /// Those among them that took too long.
    timed_out: AtomicU64,
    /// Queries that were more than there may be at once.
    pub(super) refused: AtomicU64,
    /// Threads that other queries lent a hand.
    pub(super) helpers: AtomicU64,
}

impl Stats {
    const fn new() -> Self {
        Self {
            threads: AtomicU64::new(0),
            running: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            inline: AtomicU64::new(0),
            inline_timed_out: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            helpers: AtomicU64::new(0),
        }
    }

    /// Counts a query on the main thread.
    pub(super) fn end_inline(&self, error: Option<&Error>) {
        timers::add(&self.inline, 1);
        if let Some(Error::TooLong { .. }) = error {
            timers::add(&self.inline_timed_out, 1);
        }
    }

    /// Counts a query that has ended beside the main thread.
    pub(super) fn end(&self, error: Option<&Error>) {
        let kind = match error {
            Some(Error::Cancelled) => Some(&self.cancelled),
            Some(Error::TooLong { .. }) => Some(&self.timed_out),
            _ => None,
        };
        for counter in [Some(&self.ended), kind].into_iter().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All counters with their names.
    pub(in crate::host) fn lines(&self) -> [(&'static CStr, &AtomicU64); 10] {
        [
            (c"queries_inline", &self.inline),
            (c"queries_inline_timed_out", &self.inline_timed_out),
            (c"query_threads", &self.threads),
            (c"queries_running", &self.running),
            (c"queries_waiting", &self.waiting),
            (c"queries_ended", &self.ended),
            (c"queries_cancelled", &self.cancelled),
            (c"queries_timed_out", &self.timed_out),
            (c"queries_refused", &self.refused),
            (c"query_helpers", &self.helpers),
        ]
    }
}
