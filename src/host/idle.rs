//! Series that rest are packed, a little at a time, on the main thread.
//!
//! ```text
//! timer, each 100 ms --> nothing to do?  off, loading, a forked child, between two rounds
//!        |
//!        `--> for at most 1 ms: a bucket of keys at a time, one database after the other
//!                 series found as it was one round ago --> Series::settle
//!        last database done: the next round begins redis-iot.idle-seal ms later
//! ```
//!
//! So a series that was not written between two rounds has rested for that time at least, and it
//! takes no clock and no memory to know it. With more keys than a round can visit in that time,
//! rounds take longer, and never more than a hundredth of the main thread.
//!
//! Only the form of a series changes: nothing is replicated, no client that watches the key is told,
//! and the server does not take it for an access. A replica does the same for itself.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis_module::raw::{RedisModuleCtx, RedisModuleKey, RedisModuleString};

use super::api::{self, Server};
use super::context::Context;
use super::guard;
use super::scan::{self, Cursor};
use super::settings::STATE;
use super::stats::{self, timers};

/// Time between two ticks, in milliseconds.
const PERIOD_MS: i64 = 100;
/// How long a tick may go on; a series that is being packed is finished.
const BUDGET: Duration = Duration::from_millis(1);

/// The timer that runs; 0 is none.
static TIMER: AtomicU64 = AtomicU64::new(0);

/// The way through all keys.
struct Walk {
    cursor: Cursor,
    database: c_int,
    state: State,
}

/// What the walk does.
#[derive(Clone, Copy)]
enum State {
    /// A round is under way.
    Round,
    /// The last round has ended then.
    Rest(Instant),
}

/// Starts the timer.
pub(super) fn start(context: Context<'_>) {
    let walk = Walk {
        cursor: Cursor::new(context.server()),
        database: 0,
        state: State::Rest(Instant::now()),
    };
    arm(context, Box::into_raw(Box::new(walk)).cast());
}

/// Stops the timer, if it runs.
pub(super) fn stop(context: Context<'_>) {
    let mut walk: *mut c_void = ptr::null_mut();
    let timer = TIMER.swap(0, Ordering::Relaxed);
    // SAFETY: the context is alive; the server refuses a timer it does not know, and otherwise
    // gives back what `arm` gave it.
    let status = unsafe { (context.table().stop_timer)(context.raw(), timer, &raw mut walk) };
    if status == api::OK && !walk.is_null() {
        // SAFETY: the walk came from `Box::into_raw` in `start`, and the timer that had it is gone.
        drop(unsafe { Box::from_raw(walk.cast::<Walk>()) });
    }
}

/// Sets the timer for one more tick: the server's timers fire once.
fn arm(context: Context<'_>, walk: *mut c_void) {
    // SAFETY: the context is alive and knows its module; `tick` takes the pointer for a walk.
    let timer =
        unsafe { (context.table().create_timer)(context.raw(), PERIOD_MS, Some(tick), walk) };
    TIMER.store(timer, Ordering::Relaxed);
    timers::IDLE.set(PERIOD_MS);
}

unsafe extern "C" fn tick(ctx: *mut RedisModuleCtx, walk: *mut c_void) {
    // SAFETY: the timer is set with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a context, and it is not kept.
    let context = unsafe { Context::new(server, ctx) };
    timers::IDLE.fire();
    let begun = Instant::now();
    guard::or_fail((), || {
        // SAFETY: `arm` has set the timer with a walk, which only the one timer there is knows;
        // the server calls it on the main thread, so nobody else uses the walk meanwhile.
        let walk = unsafe { &mut *walk.cast::<Walk>() };
        walk.go_on(context, STATE.idle_seal());
    });
    stats::took(server, c"iot-idle", begun.elapsed());
    arm(context, walk);
}

impl Walk {
    /// Goes on for one tick; `interval` is the time between two rounds.
    fn go_on(&mut self, context: Context<'_>, interval: Option<Duration>) {
        let Some(interval) = interval else { return };
        if let State::Rest(since) = self.state
            && since.elapsed() < interval
        {
            return;
        }
        if context.flags().is_busy() {
            return;
        }
        if let State::Rest(_) = self.state {
            self.state = State::Round;
            self.database = 0;
            self.cursor.restart();
        }
        let begun = Instant::now();
        while self.step(context) {
            if begun.elapsed() >= BUDGET {
                return;
            }
        }
        timers::add(&timers::IDLE_ROUNDS, 1);
        self.state = State::Rest(Instant::now());
    }

    /// Visits some keys. Says whether there may be more.
    fn step(&mut self, context: Context<'_>) -> bool {
        // SAFETY: the context is alive. The server refuses a number that is no database's.
        if unsafe { (context.table().select_db)(context.raw(), self.database) } != api::OK {
            return false;
        }
        // SAFETY: `visit` deletes no key, keeps nothing, and takes no pointer.
        let more = unsafe { self.cursor.step(context, visit, ptr::null_mut()) };
        if !more {
            self.database += 1;
            self.cursor.restart();
        }
        true
    }
}

/// Visits one key.
unsafe extern "C" fn visit(
    _ctx: *mut RedisModuleCtx,
    _name: *mut RedisModuleString,
    key: *mut RedisModuleKey,
    _private: *mut c_void,
) {
    // SAFETY: a scan is started with a `Server`.
    let table = unsafe { Server::resolved() }.table();
    guard::or_fail((), || {
        // SAFETY: a key that the server passes is open until this returns.
        let Some(stored) = (unsafe { scan::series_at(table, key) }) else {
            return;
        };
        // No command runs while a timer does; if one had it open all the same, the next round is
        // early enough.
        if let Some(mut series) = stored.try_borrow_mut()
            && series.visit()
        {
            timers::add(&timers::IDLE_PACKED, 1);
        }
    });
}
