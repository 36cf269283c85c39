//! The indexes of labels, one a database, kept exact whatever happens to a key.
//!
//! ```text
//! what happens to a key                            who says so                      index
//! created by one of our commands                   the command                      insert
//! IOT.ALTER ... LABELS                             the command                      relabel
//! COPY, MOVE, RENAME to it; RESTORE; loaded        keyspace event                   insert
//! DEL, UNLINK, expiry, eviction, overwritten by
//!   another type, RENAME or MOVE from it           `unlink` of the data type        remove
//! FLUSHDB, FLUSHALL, full sync, DEBUG RELOAD       server event                     clear
//! SWAPDB                                           server event                     swap
//! ```
//!
//! All of it happens on the main thread. The lock is for the compiler's sake and is never held
//! while the server is called, which could come back here.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use redis_module::raw::{
    self, RedisModuleCtx, RedisModuleEvent, RedisModuleFlushInfo, RedisModuleString,
    RedisModuleSwapDbInfo,
};

use super::agenda;
use super::api::{self, Server};
use super::context::{Context, OwnedString, ServerString};
use super::guard;
use super::key::{Content, Mode, OpenKey};
use super::policies;
use super::ties;
use super::waiting;
use crate::command::{fences_agenda, fleet_agenda};
use crate::engine::fence::FenceSet;
use crate::engine::fleet::Fleet;
use crate::engine::index::Index;
use crate::engine::labels::Labels;

/// By the number of the database.
static INDEXES: Mutex<Vec<Index>> = Mutex::new(Vec::new());

/// Series from which on an index is freed by a thread of its own.
const LARGE: usize = 10_000;

fn lock() -> MutexGuard<'static, Vec<Index>> {
    INDEXES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes the index of a database.
fn change<R>(database: usize, change: impl FnOnce(&mut Index) -> R) -> R {
    let mut indexes = lock();
    if indexes.len() <= database {
        indexes.resize_with(database + 1, Index::default);
    }
    change(&mut indexes[database])
}

/// Looks something up in the index of a database.
pub(super) fn with<R>(database: usize, look: impl FnOnce(&Index) -> R) -> R {
    change(database, |index| look(index))
}

/// A series is at a key.
pub(super) fn insert(database: usize, key: &[u8], labels: &Labels) {
    change(database, |index| index.insert(key, labels));
}

/// The series at a key is there no more.
pub(super) fn remove(database: usize, key: &[u8], labels: &Labels) {
    change(database, |index| index.remove(key, labels));
}

/// The series at a key has other labels.
pub(super) fn relabel(database: usize, key: &[u8], old: &Labels, new: &Labels) {
    change(database, |index| index.relabel(key, old, new));
}

/// Empties the index of a database, or of all.
fn clear(database: Option<usize>) {
    let mut indexes = lock();
    let cleared = match database {
        None => std::mem::take(&mut *indexes),
        Some(database) => indexes
            .get_mut(database)
            .map(std::mem::take)
            .into_iter()
            .collect(),
    };
    drop(indexes);
    // `FLUSHALL ASYNC` is to take no time.
    if cleared.iter().map(Index::len).sum::<usize>() > LARGE {
        // Without a thread it is dropped here, with the closure.
        let _ = Builder::new()
            .name("iot-free".into())
            .spawn(move || drop(cleared));
    }
}

fn swap(first: usize, second: usize) {
    let mut indexes = lock();
    let count = first.max(second) + 1;
    if indexes.len() < count {
        indexes.resize_with(count, Index::default);
    }
    indexes.swap(first, second);
}

/// Has the server tell of what happens to keys and databases.
///
/// # Errors
/// What the server refused.
pub(super) fn subscribe(context: Context<'_>) -> Result<(), String> {
    let classes = raw::REDISMODULE_NOTIFY_GENERIC | raw::REDISMODULE_NOTIFY_LOADED;
    let classes = c_int::try_from(classes).unwrap_or(0);
    let table = context.table();
    // SAFETY: the context is `OnLoad`'s, and the callback is one of ours.
    let status = unsafe { (table.subscribe_keyspace)(context.raw(), classes, Some(key_event)) };
    if status != api::OK {
        return Err("the server refused to tell of keyspace events".into());
    }
    for (id, callback) in [
        (raw::REDISMODULE_EVENT_FLUSHDB, Some(flush_event as _)),
        (raw::REDISMODULE_EVENT_SWAPDB, Some(swap_event as _)),
    ] {
        let event = RedisModuleEvent { id, dataver: 1 };
        // SAFETY: as above.
        if unsafe { (table.subscribe_event)(context.raw(), event, callback) } != api::OK {
            return Err("the server refused to tell of its events".into());
        }
    }
    Ok(())
}

/// Something happened to a key of any type: cheap unless it brings a value to the key.
unsafe extern "C" fn key_event(
    ctx: *mut RedisModuleCtx,
    _class: c_int,
    event: *const c_char,
    key: *mut RedisModuleString,
) -> c_int {
    // SAFETY: events are subscribed to with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes the event's name, NUL-terminated.
    let event = unsafe { CStr::from_ptr(event) };
    let Some(key) = std::ptr::NonNull::new(key) else {
        return api::OK;
    };
    let known = [
        c"loaded",
        c"restore",
        c"rename_from",
        c"rename_to",
        c"move_to",
        c"copy_to",
    ];
    if !known.contains(&event) {
        return api::OK;
    }
    // SAFETY: the server passes a context, and it is not kept.
    let context = unsafe { Context::new(server, ctx) };
    // SAFETY: the server passes the key's name, and it is not kept.
    let key = unsafe { ServerString::new(key) };
    guard::or_fail((), || {
        let name = context.bytes(key);
        if event == c"rename_from" {
            return ties::renamed_from(name);
        }
        arrived(context, key);
        if event == c"rename_to" {
            ties::renamed_to(context, name);
        } else if event == c"restore" || event == c"move_to" {
            ties::arrived(context, name);
        }
    });
    api::OK
}

/// A key has a value that it did not have before.
pub(super) fn arrived(context: Context<'_>, name: ServerString<'_>) {
    let (name, open_count) = (context.bytes(name), Cell::new(0));
    // A copy, since a name that is being loaded lies on the server's stack, and an open key would
    // take a reference to it.
    let copy = OwnedString::new(context.server(), name);
    let Some(key) = OpenKey::by_own_name(context, copy, Mode::Peek, &open_count) else {
        return;
    };
    match key.content() {
        Content::Series(series) => {
            insert(context.database(), name, &series.borrow().options().labels);
        }
        Content::Policy(policy) => {
            policies::insert(context.database(), name, policy.borrow().clone());
        }
        Content::Foreign => geo_arrived(context, name, &key),
        Content::Empty => {}
    }
}

/// A key has a fleet or a set of fences, perhaps.
fn geo_arrived(context: Context<'_>, name: &[u8], key: &OpenKey<'_>) {
    let database = context.database();
    if let Some(fleet) = key.value_of::<Fleet>() {
        let agenda = fleet_agenda(&fleet.borrow());
        let is_bound = !agenda.fences.is_empty();
        agenda::set(database, name, agenda);
        if is_bound {
            agenda::sweep(database, name);
        }
    } else if let Some(fences) = key.value_of::<FenceSet>() {
        agenda::set(database, name, fences_agenda(&fences.borrow()));
        agenda::moved(database, name);
    }
}

/// Databases are about to be emptied, or were.
unsafe extern "C" fn flush_event(
    _ctx: *mut RedisModuleCtx,
    _event: RedisModuleEvent,
    _subevent: u64,
    data: *mut c_void,
) {
    // SAFETY: the server passes this structure with this event.
    let info = unsafe { &*data.cast::<RedisModuleFlushInfo>() };
    // SAFETY: events are subscribed to with a `Server`.
    let server = unsafe { Server::resolved() };
    guard::or_fail((), || {
        // A negative number is all of them. Before and after alike: nothing happens in between.
        let database = usize::try_from(info.dbnum).ok();
        clear(database);
        policies::clear(database);
        agenda::clear(database);
        waiting::all_gone(server, database);
    });
}

/// Two databases have exchanged their keys.
unsafe extern "C" fn swap_event(
    _ctx: *mut RedisModuleCtx,
    _event: RedisModuleEvent,
    _subevent: u64,
    data: *mut c_void,
) {
    // SAFETY: the server passes this structure with this event.
    let info = unsafe { &*data.cast::<RedisModuleSwapDbInfo>() };
    // SAFETY: events are subscribed to with a `Server`.
    let server = unsafe { Server::resolved() };
    guard::or_fail((), || {
        let numbers = (info.dbnum_first.try_into(), info.dbnum_second.try_into());
        if let (Ok(first), Ok(second)) = numbers {
            swap(first, second);
            policies::swap(first, second);
            agenda::swap(first, second);
            waiting::all_gone(server, Some(first));
            waiting::all_gone(server, Some(second));
        }
    });
}
