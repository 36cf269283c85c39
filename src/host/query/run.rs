//! One run of a query: its limits, and why it ended early.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::pool::{self, POOL};
use crate::command::error::{Error, Result};
use crate::command::host::Run;
use crate::engine::query::{Cost, Watch};
use crate::host::settings::QueryLimits;

/// Samples between two looks at the clock: a look takes 25 ns or more, and this many samples some
/// 20 us, so a deadline is kept to far less than a millisecond.
const SAMPLES_A_LOOK: u64 = 1 << 13;
/// What it takes to write a value into a reply, in nanoseconds: 60 to 150 were measured.
const NANOS_A_VALUE: u64 = 100;
const QUERY_TIMEOUT: &str = "redis-iot.query-timeout";
const INLINE_TIMEOUT: &str = "redis-iot.inline-timeout";

/// A query that runs, or waits to.
pub(super) struct QueryRun {
    limits: QueryLimits,
    /// The most time, and the setting that says so.
    deadline: (&'static str, u64),
    /// Whether the main thread waits for it.
    holds: bool,
    /// When it was asked; waiting counts.
    asked_at: Instant,
    /// Samples decoded so far, by all threads.
    scanned: AtomicU64,
    is_cancelled: Arc<AtomicBool>,
    /// Why it ends early; the first reason counts.
    verdict: OnceLock<Error>,
}

impl QueryRun {
    /// A run that begins now.
    pub(super) fn new(limits: QueryLimits) -> Self {
        Self {
            limits,
            deadline: (QUERY_TIMEOUT, limits.timeout_ms),
            holds: false,
            asked_at: Instant::now(),
            scanned: AtomicU64::new(0),
            is_cancelled: Arc::default(),
            verdict: OnceLock::new(),
        }
    }

    /// A run that begins now, and holds the main thread until it has ended.
    pub(super) fn on_main_thread(limits: QueryLimits) -> Self {
        let run = Self::new(limits);
        let (inline_ms, any_ms) = (limits.inline_timeout_ms, limits.timeout_ms);
        let deadline = if inline_ms != 0 && (any_ms == 0 || inline_ms < any_ms) {
            (INLINE_TIMEOUT, inline_ms)
        } else {
            run.deadline
        };
        Self {
            deadline,
            holds: true,
            ..run
        }
    }

    /// How long ago it was asked.
    pub(super) fn elapsed(&self) -> Duration {
        self.asked_at.elapsed()
    }

    /// What is set to cancel it.
    pub(super) fn cancellation(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_cancelled)
    }

    fn check_time(&self) -> Result<()> {
        self.check_elapsed(self.asked_at.elapsed())
    }

    fn check_elapsed(&self, elapsed: Duration) -> Result<()> {
        let (setting, max_ms) = self.deadline;
        if max_ms != 0 && elapsed > Duration::from_millis(max_ms) {
            return Err(Error::TooLong { setting, max_ms });
        }
        Ok(())
    }

    /// Ends the query, for a reason that is told.
    fn halt(&self, reason: Error) {
        // Another thread may have had a reason before.
        let _ = self.verdict.set(reason);
    }

    fn check_samples(&self, samples: u64) -> Result<()> {
        let max = self.limits.max_samples;
        if max != 0 && samples > max {
            return Err(Error::TooManySamples { samples, max });
        }
        Ok(())
    }

    fn check(&self, before: u64, after: u64) -> Result<()> {
        if self.is_in_vain() {
            return Err(Error::Cancelled);
        }
        self.check_samples(after)?;
        if before / SAMPLES_A_LOOK == after / SAMPLES_A_LOOK {
            return Ok(());
        }
        self.check_time()
    }
}

impl Watch for QueryRun {
    #[inline]
    fn permits(&self, samples: usize) -> bool {
        let samples = samples as u64;
        let before = self.scanned.fetch_add(samples, Ordering::Relaxed);
        if let Err(error) = self.check(before, before + samples) {
            self.halt(error);
        }
        self.verdict.get().is_none()
    }

    fn has_time(&self) -> bool {
        if self.is_in_vain() {
            return false;
        }
        if let Err(error) = self.check_time() {
            self.halt(error);
        }
        self.verdict.get().is_none()
    }
}

impl Run for QueryRun {
    fn admit(&self, cost: Cost) -> Result<()> {
        if self.is_in_vain() {
            return Err(Error::Cancelled);
        }
        self.check_samples(cost.samples)?;
        self.check_time()
    }

    fn admit_reply(&self, values: u64) -> Result<()> {
        if !self.holds {
            return Ok(());
        }
        // What cannot be interrupted is judged before it begins.
        let reply = Duration::from_nanos(values.saturating_mul(NANOS_A_VALUE));
        self.check_elapsed(self.asked_at.elapsed().saturating_add(reply))
    }

    fn why_halted(&self) -> Error {
        self.verdict.get().cloned().unwrap_or(Error::Cancelled)
    }

    #[inline]
    fn is_in_vain(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    fn has_help(&self) -> bool {
        POOL.has_idle()
    }

    fn share<T: Send>(&self, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
        pool::share(count, work)
    }
}
