//! What the server's `INFO` and `IOT.STATS` tell of the module: one list, with its names, is both.
//!
//! ```text
//! command --count--> COUNTERS --.
//! values             held ------+--> tell --> INFO redis-iot_<section>      redis-iot_<name>:<value>
//! timers             timers ----+        `--> IOT.STATS                     <name> <value>
//! queries            STATS -----'
//! ```
//!
//! Everything is a number that is there already when somebody asks: no lock, no key is looked at, and so
//! a crash report may ask too. Counters begin at 0 with the process; `CONFIG RESETSTAT` leaves them.

mod held;
pub(super) mod timers;

use std::ffi::{CStr, c_int};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis_module::raw::RedisModuleInfoCtx;

use super::api::{self, Server};
use super::context::Context;
use super::guard;
use super::query::STATS as QUERIES;
use super::text::Line;
use super::waiting;
use crate::command::counter::Counter;
use crate::command::host::Figure;
pub(super) use held::{Measured, Parts};
use timers::{AGENDA, IDLE};

/// The counters of commands, by the number of each.
static COUNTERS: [AtomicU64; Counter::ALL.len()] =
    [const { AtomicU64::new(0) }; Counter::ALL.len()];

/// Counts. On the main thread, which alone does: so there is no need to lock the bus.
#[inline]
pub(super) fn count(counter: Counter, by: u64) {
    timers::add(&COUNTERS[counter as usize], by);
}

/// Who is told.
trait Listener {
    /// A section begins. Says whether it is wanted.
    fn section(&mut self, name: &'static CStr) -> bool;
    /// A figure of the section.
    fn figure(&mut self, name: &'static CStr, figure: Figure);
}

/// Tells everything.
fn tell(listener: &mut impl Listener) {
    if listener.section(c"series") {
        tell_series(listener);
    }
    if listener.section(c"ingest") {
        tell_ingest(listener);
    }
    if listener.section(c"queries") {
        for (name, counter) in QUERIES.lines() {
            let value = counter.load(Ordering::Relaxed);
            listener.figure(name, Figure::Count(value));
        }
    }
    if listener.section(c"rules") {
        let [.., rules] = held::SERIES.parts();
        tell_all(
            listener,
            [
                (c"rules", rules),
                (c"policies", held::POLICIES.values()),
                (c"samples_derived", counted(Counter::Derived)),
            ],
        );
    }
    if listener.section(c"geo") {
        tell_geo(listener);
    }
    if listener.section(c"timers") {
        tell_timers(listener);
    }
}

fn tell_all<const N: usize>(listener: &mut impl Listener, figures: [(&'static CStr, u64); N]) {
    for (name, value) in figures {
        listener.figure(name, Figure::Count(value));
    }
}

fn counted(counter: Counter) -> u64 {
    COUNTERS[counter as usize].load(Ordering::Relaxed)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio is shown with three digits behind the point"
)]
fn tell_series(listener: &mut impl Listener) {
    let [samples, bytes, blocks, _] = held::SERIES.parts();
    tell_all(
        listener,
        [
            (c"series", held::SERIES.values()),
            (c"samples", samples),
            (c"sample_bytes", bytes),
        ],
    );
    let ratio = if samples == 0 {
        0.0
    } else {
        bytes as f64 / samples as f64
    };
    listener.figure(c"bytes_per_sample", Figure::Ratio(ratio));
    tell_all(
        listener,
        [(c"blocks", blocks), (c"clients_waiting", waiting::count())],
    );
}

fn tell_ingest(listener: &mut impl Listener) {
    let causes = [
        (c"samples_rejected_old", Counter::RejectedOld),
        (c"samples_rejected_duplicate", Counter::RejectedDuplicate),
        (c"samples_rejected_nan", Counter::RejectedNan),
        (
            c"samples_rejected_destination",
            Counter::RejectedDestination,
        ),
        (c"samples_rejected_no_series", Counter::RejectedNoSeries),
        (c"samples_rejected_wrong_type", Counter::RejectedWrongType),
        (c"samples_rejected_invalid", Counter::RejectedInvalid),
    ]
    .map(|(name, counter)| (name, counted(counter)));
    tell_all(
        listener,
        [
            (c"samples_added", counted(Counter::Added)),
            (c"samples_late", counted(Counter::Late)),
            (c"samples_updated", counted(Counter::Updated)),
            (c"samples_unchanged", counted(Counter::Unchanged)),
            (c"samples_ignored", counted(Counter::Ignored)),
            (c"samples_deleted", counted(Counter::Deleted)),
            (
                c"samples_rejected",
                causes.iter().map(|(_, rejected)| rejected).sum(),
            ),
        ],
    );
    tell_all(listener, causes);
}

fn tell_geo(listener: &mut impl Listener) {
    let [devices, bindings, roams, _] = held::FLEETS.parts();
    let [fences, ..] = held::FENCES.parts();
    tell_all(
        listener,
        [
            (c"fleets", held::FLEETS.values()),
            (c"devices", devices),
            (c"fence_sets", held::FENCES.values()),
            (c"fences", fences),
            (c"fence_bindings", bindings),
            (c"roam_bindings", roams),
            (c"fixes_taken", counted(Counter::FixTaken)),
            (c"fixes_late", counted(Counter::FixLate)),
            (c"fixes_filtered", counted(Counter::FixFiltered)),
            (c"fixes_rejected", counted(Counter::FixRejected)),
            (c"events_published", counted(Counter::EventPublished)),
            (c"events_appended", counted(Counter::EventAppended)),
            (c"events_dropped", counted(Counter::EventDropped)),
        ],
    );
}

fn tell_timers(listener: &mut impl Listener) {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    tell_all(
        listener,
        [
            (c"agenda_ticks", AGENDA.ticks()),
            (c"agenda_lag_ms", AGENDA.lag_ms()),
            (c"agenda_longest_lag_ms", AGENDA.longest_lag_ms()),
            (c"agenda_due_keys", load(&timers::DUE_KEYS)),
            (c"agenda_due_for_ms", load(&timers::DUE_FOR_MS)),
            (c"idle_ticks", IDLE.ticks()),
            (c"idle_lag_ms", IDLE.lag_ms()),
            (c"idle_longest_lag_ms", IDLE.longest_lag_ms()),
            (c"idle_rounds", load(&timers::IDLE_ROUNDS)),
            (c"idle_packed", load(&timers::IDLE_PACKED)),
        ],
    );
}

/// All figures.
pub(super) fn all() -> Vec<(&'static CStr, Figure)> {
    struct List(Vec<(&'static CStr, Figure)>);
    impl Listener for List {
        fn section(&mut self, _name: &'static CStr) -> bool {
            true
        }

        fn figure(&mut self, name: &'static CStr, figure: Figure) {
            self.0.push((name, figure));
        }
    }
    let mut list = List(Vec::new());
    tell(&mut list);
    list.0
}

/// Registers the sections of INFO.
///
/// # Errors
/// What the server refused.
pub(super) fn register(context: Context<'_>) -> Result<(), String> {
    // SAFETY: the context is alive and knows its module; the callback is one of ours.
    if unsafe { (context.table().register_info)(context.raw(), Some(info)) } != api::OK {
        return Err("the server refused the sections of INFO".into());
    }
    Ok(())
}

unsafe extern "C" fn info(info: *mut RedisModuleInfoCtx, _for_crash_report: c_int) {
    // SAFETY: the callback is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    guard::or_fail((), || tell(&mut Info { server, info }));
}

/// The server, which asks for `INFO`.
struct Info {
    server: Server,
    info: *mut RedisModuleInfoCtx,
}

impl Listener for Info {
    fn section(&mut self, name: &'static CStr) -> bool {
        // SAFETY: the server passes a context that lives until the callback returns.
        unsafe { (self.server.table().info_section)(self.info, name.as_ptr()) == api::OK }
    }

    fn figure(&mut self, name: &'static CStr, figure: Figure) {
        let (table, name) = (self.server.table(), name.as_ptr());
        match figure {
            Figure::Count(count) => {
                // SAFETY: as above; the name is NUL-terminated and is copied.
                unsafe { (table.info_number)(self.info, name, count) };
            }
            Figure::Ratio(ratio) => {
                let mut text = Line::<32>::new();
                // Writing to a line cannot fail: what is too long is cut.
                let _ = write!(text, "{ratio:.3}");
                // SAFETY: as above, and so for the text.
                unsafe { (table.info_text)(self.info, name, text.as_c_str().as_ptr()) };
            }
        }
    }
}

/// Tells the latency monitor how long the main thread was busy with something. The server leaves out
/// what is below `latency-monitor-threshold`.
pub(super) fn took(server: Server, event: &'static CStr, duration: Duration) {
    let ms = timers::milliseconds(duration);
    if let (Some(add), true) = (server.table().latency_add_sample, ms > 0) {
        // SAFETY: the name is NUL-terminated, and is copied.
        unsafe { add(event.as_ptr(), i64::try_from(ms).unwrap_or(i64::MAX)) };
    }
}
