//! What fleets and fences have to do when no command comes, and who is bound to whom.
//!
//! ```text
//! a value was written, or has come to a key        set        when its next thing is due
//! a set of fences is another, or is gone           moved      fleets bound to it are swept
//! a fleet has come to a key                        set, sweep
//! FLUSHDB, SWAPDB                                  clear, swap
//!
//! timer, each 100 ms --> a master?  --> what is due: dwells, expiry of devices and fences
//!        10 ms while                --> sweeps: all devices of a fleet against their fences, a part
//!        there is more to do            at a time
//! ```
//!
//! A sweep finds whatever no fix has shown: that a binding is new, that a set was replaced, that
//! something happened just before the server went down. Only a master does any of it; its replicas
//! are told of what comes of it, and sweep all when they become one.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis_module::raw::RedisModuleCtx;

use super::api::{self, Server};
use super::context::Context;
use super::execution::ServerHost;
use super::guard;
use super::reply::ServerReply;
use super::stats::{self, timers};
use crate::command::attend;
use crate::command::host::Agenda;
use crate::engine::Timestamp;

/// Time between two ticks, in milliseconds.
const PERIOD_MS: i64 = 100;
/// The same while there is more to do.
const BUSY_PERIOD_MS: i64 = 10;
/// How long a tick may go on; what it has begun it ends.
const BUDGET: Duration = Duration::from_millis(2);

/// What there is to do for one key.
#[derive(Default)]
struct Entry {
    agenda: Agenda,
    /// The device with which a sweep goes on.
    sweep: Option<u32>,
}

impl Entry {
    fn is_due(&self, now_ms: Timestamp) -> bool {
        self.sweep.is_some() || self.agenda.due_ms.is_some_and(|due_ms| due_ms <= now_ms)
    }
}

/// The entries of a database.
type Entries = BTreeMap<Box<[u8]>, Entry>;

/// By the number of the database.
static AGENDAS: Mutex<Vec<Entries>> = Mutex::new(Vec::new());
/// Fleets that roam, of all databases: most servers have none, and whoever tracks asks.
static ROAMING: AtomicUsize = AtomicUsize::new(0);
/// The timer that runs; 0 is none.
static TIMER: AtomicU64 = AtomicU64::new(0);
/// Whether the last tick was that of a master.
static WAS_MASTER: AtomicBool = AtomicBool::new(false);

fn lock() -> MutexGuard<'static, Vec<Entries>> {
    AGENDAS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn change<R>(databases: usize, change: impl FnOnce(&mut Vec<Entries>) -> R) -> R {
    let mut all = lock();
    if all.len() < databases {
        all.resize_with(databases, Entries::new);
    }
    change(&mut all)
}

fn count_roaming(all: &[Entries]) {
    let entries = all.iter().flat_map(Entries::values);
    let count = entries
        .filter(|entry| !entry.agenda.others.is_empty())
        .count();
    ROAMING.store(count, Ordering::Relaxed);
}

/// A value has this to do.
pub(super) fn set(database: usize, key: &[u8], agenda: Agenda) {
    change(database + 1, |all| {
        let entry = all[database].entry(key.into()).or_default();
        let roams = !entry.agenda.others.is_empty() || !agenda.others.is_empty();
        entry.agenda = agenda;
        if entry.agenda == Agenda::default() && entry.sweep.is_none() {
            all[database].remove(key);
        }
        if roams {
            count_roaming(all);
        }
    });
}

/// The value at a key is there no more.
pub(super) fn remove(database: usize, key: &[u8]) {
    change(database + 1, |all| {
        if let Some(entry) = all[database].remove(key)
            && !entry.agenda.others.is_empty()
        {
            count_roaming(all);
        }
    });
}

/// All devices of a fleet are to be compared with their fences.
pub(super) fn sweep(database: usize, fleet: &[u8]) {
    change(database + 1, |all| {
        all[database].entry(fleet.into()).or_default().sweep = Some(0);
    });
}

/// A set of fences is another, or is gone: fleets that are bound to it are swept.
pub(super) fn moved(database: usize, fences: &[u8]) {
    change(database + 1, |all| {
        for entry in all[database].values_mut() {
            if entry.agenda.fences.iter().any(|one| **one == *fences) {
                entry.sweep = Some(0);
            }
        }
    });
}

/// Forgets a database, or all.
pub(super) fn clear(database: Option<usize>) {
    change(0, |all| {
        match database {
            None => all.clear(),
            Some(database) => {
                if let Some(entries) = all.get_mut(database) {
                    entries.clear();
                }
            }
        }
        count_roaming(all);
    });
}

/// Two databases have exchanged their keys.
pub(super) fn swap(first: usize, second: usize) {
    change(first.max(second) + 1, |all| all.swap(first, second));
}

/// The fleets of a database that are bound to a set of fences.
pub(super) fn bound_to(database: usize, fences: &[u8]) -> Vec<Box<[u8]>> {
    fleets(database, |agenda| {
        agenda.fences.iter().any(|one| **one == *fences)
    })
}

/// The fleets of a database that roam among another.
pub(super) fn roaming_among(database: usize, fleet: &[u8]) -> Vec<Box<[u8]>> {
    if ROAMING.load(Ordering::Relaxed) == 0 {
        return Vec::new();
    }
    fleets(database, |agenda| {
        agenda.others.iter().any(|one| **one == *fleet)
    })
}

fn fleets(database: usize, is_one: impl Fn(&Agenda) -> bool) -> Vec<Box<[u8]>> {
    let all = lock();
    let entries = all.get(database).into_iter().flatten();
    entries
        .filter(|(_, entry)| is_one(&entry.agenda))
        .map(|(key, _)| key.clone())
        .collect()
}

/// Starts the timer.
pub(super) fn start(context: Context<'_>) {
    arm(context, PERIOD_MS);
}

/// Stops the timer, if it runs.
pub(super) fn stop(context: Context<'_>) {
    let timer = TIMER.swap(0, Ordering::Relaxed);
    // SAFETY: the context is alive; the server refuses a timer it does not know, and gives nothing
    // back where it is told of no place for it.
    unsafe { (context.table().stop_timer)(context.raw(), timer, ptr::null_mut()) };
}

/// Sets the timer for one more tick: the server's timers fire once.
fn arm(context: Context<'_>, period_ms: i64) {
    // SAFETY: the context is alive and knows its module; `tick` takes no pointer.
    let timer = unsafe {
        let create = context.table().create_timer;
        create(context.raw(), period_ms, Some(tick), ptr::null_mut())
    };
    TIMER.store(timer, Ordering::Relaxed);
    timers::AGENDA.set(period_ms);
}

unsafe extern "C" fn tick(ctx: *mut RedisModuleCtx, _data: *mut c_void) {
    // SAFETY: the timer is set with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a context, and it is not kept.
    let context = unsafe { Context::new(server, ctx) };
    timers::AGENDA.fire();
    let begun = Instant::now();
    let more = guard::or_fail(false, || go_on(context));
    stats::took(server, c"iot-agenda", begun.elapsed());
    arm(context, if more { BUSY_PERIOD_MS } else { PERIOD_MS });
}

/// Does what is due, for one tick. Says whether there is more to do soon.
fn go_on(context: Context<'_>) -> bool {
    let flags = context.flags();
    let is_master = flags.is_master() && !flags.is_loading();
    if !is_master {
        WAS_MASTER.store(false, Ordering::Relaxed);
        note_due(&[], 0);
        return false;
    }
    if context.must_be_still() {
        return false;
    }
    if !WAS_MASTER.swap(true, Ordering::Relaxed) {
        sweep_all();
    }
    let reply = ServerReply::new(context);
    let now_ms = ServerHost::new(context, &[], &[], &reply).now_ms_of_timer();
    let due: Vec<(usize, Box<[u8]>, Option<u32>)> = {
        let all = lock();
        note_due(&all, now_ms);
        let of = |(database, entries): (usize, &Entries)| {
            let due = entries.iter().filter(|(_, entry)| entry.is_due(now_ms));
            due.map(|(key, entry)| (database, key.clone(), entry.sweep))
                .collect::<Vec<_>>()
        };
        all.iter().enumerate().flat_map(of).collect()
    };
    let begun = Instant::now();
    for (database, key, from) in due {
        if begun.elapsed() >= BUDGET {
            return true;
        }
        let number = c_int::try_from(database).unwrap_or(-1);
        // SAFETY: the context is alive. The server refuses a number that is no database's.
        if unsafe { (context.table().select_db)(context.raw(), number) } != api::OK {
            continue;
        }
        let host = ServerHost::new(context, &[], &[], &reply);
        let next = attend(&host, &key, from);
        change(database + 1, |all| {
            if let Some(entry) = all[database].get_mut(&key)
                // It may have begun anew meanwhile.
                && entry.sweep == from
            {
                entry.sweep = next;
            }
        });
    }
    let all = lock();
    let mut entries = all.iter().flat_map(Entries::values);
    entries.any(|entry| entry.is_due(now_ms))
}

/// Notes for those who watch how much is due, and for how long the first of it has been.
fn note_due(all: &[Entries], now_ms: Timestamp) {
    let (mut keys, mut for_ms) = (0, 0);
    let entries = all.iter().flat_map(Entries::values);
    for entry in entries.filter(|entry| entry.is_due(now_ms)) {
        keys += 1;
        let due_ms = entry.agenda.due_ms.unwrap_or(now_ms);
        for_ms = for_ms.max(now_ms.saturating_sub(due_ms));
    }
    timers::DUE_KEYS.store(keys, Ordering::Relaxed);
    let for_ms = u64::try_from(for_ms).unwrap_or(0);
    timers::DUE_FOR_MS.store(for_ms, Ordering::Relaxed);
}

/// Whatever was not told of while this was no master is found now.
fn sweep_all() {
    let mut all = lock();
    for entry in all.iter_mut().flat_map(Entries::values_mut) {
        if !entry.agenda.fences.is_empty() {
            entry.sweep = Some(0);
        }
    }
}
