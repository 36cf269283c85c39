//! What is known of our timers: how often they fire, how late, and how much is left to do.
//!
//! A timer is late where the server had something else to do: a long command, a fork, a slow disk. That
//! is the delay of every event that a timer sends, and nearly that of every client.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time after which the longest lag is that of a new window: what is shown covers one to two of these,
/// so whoever asks once a minute misses no lag.
const WINDOW_MS: u64 = 60_000;

/// Of the timer of fleets and fences.
pub(in crate::host) static AGENDA: Timer = Timer::new();
/// Of the timer that packs series.
pub(in crate::host) static IDLE: Timer = Timer::new();

/// Keys that had something due when the last tick began, and for how long the first of them had waited.
pub(in crate::host) static DUE_KEYS: AtomicU64 = AtomicU64::new(0);
/// See [`DUE_KEYS`]. Milliseconds.
pub(in crate::host) static DUE_FOR_MS: AtomicU64 = AtomicU64::new(0);
/// Rounds over all keys that have ended.
pub(in crate::host) static IDLE_ROUNDS: AtomicU64 = AtomicU64::new(0);
/// Series that were packed.
pub(in crate::host) static IDLE_PACKED: AtomicU64 = AtomicU64::new(0);

/// One timer. The main thread alone writes.
pub(in crate::host) struct Timer {
    ticks: AtomicU64,
    /// When the next tick should come. Milliseconds since the process began.
    planned_ms: AtomicU64,
    /// When the window began, the longest lag since then, and that of the window before.
    window_ms: AtomicU64,
    lag_ms: AtomicU64,
    lag_before_ms: AtomicU64,
    longest_lag_ms: AtomicU64,
}

/// Milliseconds since the first call.
fn now_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    milliseconds(START.get_or_init(Instant::now).elapsed())
}

/// A duration in whole milliseconds.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Adds to a counter that only the main thread changes.
pub(in crate::host) fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

impl Timer {
    const fn new() -> Self {
        Self {
            ticks: AtomicU64::new(0),
            planned_ms: AtomicU64::new(0),
            window_ms: AtomicU64::new(0),
            lag_ms: AtomicU64::new(0),
            lag_before_ms: AtomicU64::new(0),
            longest_lag_ms: AtomicU64::new(0),
        }
    }

    /// It was set.
    pub(in crate::host) fn set(&self, period_ms: i64) {
        let planned_ms = now_ms() + u64::try_from(period_ms).unwrap_or(0);
        self.planned_ms.store(planned_ms, Ordering::Relaxed);
    }

    /// It fires.
    pub(in crate::host) fn fire(&self) {
        let now_ms = now_ms();
        let lag_ms = now_ms.saturating_sub(self.planned_ms.load(Ordering::Relaxed));
        add(&self.ticks, 1);
        self.turn_window(now_ms);
        self.lag_ms.fetch_max(lag_ms, Ordering::Relaxed);
        self.longest_lag_ms.fetch_max(lag_ms, Ordering::Relaxed);
    }

    fn turn_window(&self, now_ms: u64) {
        if now_ms.saturating_sub(self.window_ms.load(Ordering::Relaxed)) >= WINDOW_MS {
            let lag_ms = self.lag_ms.swap(0, Ordering::Relaxed);
            self.lag_before_ms.store(lag_ms, Ordering::Relaxed);
            self.window_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// How often it has fired.
    pub(super) fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::Relaxed)
    }

    /// How late it was at most lately.
    pub(super) fn lag_ms(&self) -> u64 {
        let before_ms = self.lag_before_ms.load(Ordering::Relaxed);
        self.lag_ms.load(Ordering::Relaxed).max(before_ms)
    }

    /// How late it ever was.
    pub(super) fn longest_lag_ms(&self) -> u64 {
        self.longest_lag_ms.load(Ordering::Relaxed)
    }
}
