//! What `INFO redis-iot_queries` tells.

use std::ffi::{CStr, c_int};
use std::sync::atomic::{AtomicU64, Ordering};

use redis_module::raw::RedisModuleInfoCtx;

use crate::command::error::Error;
use crate::host::api::{self, Server};
use crate::host::context::Context;
use crate::host::guard;

/// The counters of this process. Single numbers and no lock, because a crash report reads them in
/// the middle of anything.
pub(super) static STATS: Stats = Stats::new();

/// Counters of the queries beside the main thread.
pub(super) struct Stats {
    /// Threads there are.
    pub(super) threads: AtomicU64,
    /// Queries that run now.
    pub(super) running: AtomicU64,
    /// Queries that wait for a thread.
    pub(super) waiting: AtomicU64,
    /// Queries that ended, with an answer or without.
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
            ended: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            helpers: AtomicU64::new(0),
        }
    }

    /// Counts a query that has ended.
    pub(super) fn end(&self, error: Option<&Error>) {
        let kind = match error {
            Some(Error::Cancelled) => Some(&self.cancelled),
            Some(Error::TooLong(_)) => Some(&self.timed_out),
            _ => None,
        };
        for counter in [Some(&self.ended), kind].into_iter().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lines(&self) -> [(&'static CStr, &AtomicU64); 8] {
        [
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

/// Registers the section.
///
/// # Errors
/// What the server refused.
pub(in crate::host) fn register(context: Context<'_>) -> Result<(), String> {
    // SAFETY: the context is alive and knows its module; the callback is one of ours.
    if unsafe { (context.table().register_info)(context.raw(), Some(info)) } != api::OK {
        return Err("the server refused the section of INFO".into());
    }
    Ok(())
}

unsafe extern "C" fn info(info: *mut RedisModuleInfoCtx, _for_crash_report: c_int) {
    // SAFETY: the callback is registered with a `Server`.
    let table = unsafe { Server::resolved() }.table();
    guard::or_fail((), || {
        // SAFETY: the server passes a context that lives until this returns.
        let wanted = unsafe { (table.info_section)(info, c"queries".as_ptr()) };
        if wanted != api::OK {
            return;
        }
        for (name, counter) in STATS.lines() {
            let value = counter.load(Ordering::Relaxed);
            // SAFETY: as above; the name is NUL-terminated and is copied.
            unsafe { (table.info_number)(info, name.as_ptr(), value) };
        }
    });
}
