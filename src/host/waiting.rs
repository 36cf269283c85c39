//! Clients that wait for samples: `IOT.READ ... BLOCK`.
//!
//! ```text
//! command --> too few samples --> block the client, note what it waits for
//!                                     |
//!   a command has changed a key ------+--> enough now? --> unblock --> reply with what is there
//!   the key has lost its value -------+------------------> unblock -->        "
//!   the time is up --------------------------------------> unblock -->        "
//!   the client has gone -----------------------------------------------> forget
//! ```
//!
//! The server can wait for keys too, but not for a number of samples, and its older versions do
//! not wake anybody when a key goes away. All of this happens on the main thread.
//!
//! The time is a timer of ours. The server's own would end the wait without any reply where it comes up
//! between the unblocking of a client and the client's turn: the server takes such a client for one
//! that has been replied to.
//!
//! What is replied is read when the client's turn comes, so a transaction that adds many samples
//! is seen as a whole.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redis_module::raw::{RedisModuleBlockedClient, RedisModuleCtx, RedisModuleString};

use super::api::{self, Server};
use super::context::{self, Context, ServerString};
use super::guard;
use crate::command::read::Reading;
use crate::engine::Series;

/// A database and the name of a key in it.
type Place = (usize, Box<[u8]>);

/// The handle of a blocked client, as a number.
type Handle = usize;

/// One client.
struct Waiter {
    reading: Reading,
    database: usize,
    /// The timer of its end, as the server numbers them; `None` where it waits for ever, or where the
    /// timer has fired.
    timer: Option<u64>,
    /// Whether it was unblocked, and its turn to be replied to is near.
    is_ready: bool,
}

/// Longest time that is one: a hundred years, in milliseconds. The server counts microseconds, and its
/// sum of now and a time must not overflow.
const MOST_MS: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

#[derive(Default)]
struct Waiters {
    clients: HashMap<Handle, Waiter>,
    by_key: HashMap<Place, Vec<Handle>>,
}

static WAITERS: Mutex<Option<Waiters>> = Mutex::new(None);
/// How many clients wait: most of the time none, and then a write looks no further.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn lock() -> MutexGuard<'static, Option<Waiters>> {
    WAITERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many clients wait.
pub(super) fn count() -> u64 {
    COUNT.load(Ordering::Relaxed) as u64
}

fn with<R>(change: impl FnOnce(&mut Waiters) -> R) -> R {
    let mut waiters = lock();
    let waiters = waiters.get_or_insert_default();
    let result = change(waiters);
    COUNT.store(waiters.clients.len(), Ordering::Relaxed);
    result
}

impl Waiters {
    fn add(&mut self, handle: Handle, waiter: Waiter) {
        for key in waiter.reading.keys() {
            let place = (waiter.database, key.into());
            let handles = self.by_key.entry(place).or_default();
            // A key may come many times, and is counted for all of them at once.
            if handles.last() != Some(&handle) {
                handles.push(handle);
            }
        }
        self.clients.insert(handle, waiter);
    }

    fn remove(&mut self, handle: Handle) -> Option<Waiter> {
        let waiter = self.clients.remove(&handle)?;
        for key in waiter.reading.keys() {
            let place = (waiter.database, key.into());
            if let Some(handles) = self.by_key.get_mut(&place) {
                handles.retain(|&one| one != handle);
                if handles.is_empty() {
                    self.by_key.remove(&place);
                }
            }
        }
        Some(waiter)
    }

    /// The clients that wait for a key and for which `is_enough`, from now on ready.
    fn ready(
        &mut self,
        place: &Place,
        mut is_enough: impl FnMut(&mut Reading) -> bool,
    ) -> Vec<Handle> {
        let mut ready = Vec::new();
        for &handle in self.by_key.get(place).into_iter().flatten() {
            if let Some(waiter) = self.clients.get_mut(&handle)
                && !waiter.is_ready
                && is_enough(&mut waiter.reading)
            {
                waiter.is_ready = true;
                ready.push(handle);
            }
        }
        ready
    }
}

/// Blocks the client of a command until its reading is possible, or a time is up; 0 is never, and so is
/// more than [`MOST_MS`].
pub(super) fn wait(context: Context<'_>, reading: Reading, timeout_ms: i64) {
    let table = context.table();
    // SAFETY: the context is a command's and may block; the callbacks are ours, and there are no
    // private data to be freed.
    let raw = unsafe { (table.block_client)(context.raw(), Some(reply), Some(sent_away), None, 0) };
    // SAFETY: the client was blocked just now, and the callback is one of ours.
    unsafe { (table.set_disconnect_callback)(raw, Some(disconnect)) };
    let timer = (1..=MOST_MS).contains(&timeout_ms).then(|| {
        // SAFETY: the context is alive and knows its module; `time_is_up` takes a handle.
        unsafe { (table.create_timer)(context.raw(), timeout_ms, Some(time_is_up), raw.cast()) }
    });
    let waiter = Waiter {
        reading,
        database: context.database(),
        timer,
        is_ready: false,
    };
    with(|waiters| waiters.add(raw.expose_provenance(), waiter));
}

/// Forgets a client, and its timer.
fn forget(context: Context<'_>, handle: Handle) -> Option<Waiter> {
    let waiter = with(|waiters| waiters.remove(handle))?;
    if let Some(timer) = waiter.timer {
        // SAFETY: the context is alive and knows its module; the timer was not stopped and has not fired,
        // and nobody wants back what it was given.
        unsafe { (context.table().stop_timer)(context.raw(), timer, std::ptr::null_mut()) };
    }
    Some(waiter)
}

/// A series was changed.
#[inline]
pub(super) fn changed(context: Context<'_>, key: ServerString<'_>, series: &Series) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let server = context.server();
    let name = key.bytes(server);
    let place: Place = (context.database(), name.into());
    let ready = with(|waiters| {
        waiters.ready(&place, |reading| {
            reading.recount(name, series);
            reading.is_enough()
        })
    });
    unblock(server, &ready);
}

/// A key has lost its value: nobody waits for it any more.
pub(super) fn gone(server: Server, database: usize, key: &[u8]) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let place: Place = (database, key.into());
    unblock(server, &with(|waiters| waiters.ready(&place, |_| true)));
}

/// All keys of a database, or of all, have lost their values or have others.
pub(super) fn all_gone(server: Server, database: Option<usize>) {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let ready = with(|waiters| {
        let mut ready = Vec::new();
        for (&handle, waiter) in &mut waiters.clients {
            if !waiter.is_ready && database.is_none_or(|one| one == waiter.database) {
                waiter.is_ready = true;
                ready.push(handle);
            }
        }
        ready
    });
    unblock(server, &ready);
}

fn unblock(server: Server, handles: &[Handle]) {
    for &handle in handles {
        let raw: *mut RedisModuleBlockedClient = std::ptr::with_exposed_provenance_mut(handle);
        // SAFETY: the client is blocked, since it was among the waiters and not ready, and every
        // other way out of waiting removes it from there.
        unsafe { (server.table().unblock_client)(raw, std::ptr::null_mut()) };
    }
}

/// The turn of a client that was unblocked.
unsafe extern "C" fn reply(
    ctx: *mut RedisModuleCtx,
    strings: *mut *mut RedisModuleString,
    count: c_int,
) -> c_int {
    // SAFETY: a client is blocked with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a context that lives until this returns, and it is not kept.
    let context = unsafe { Context::new(server, ctx) };
    // SAFETY: the server passes the arguments of the command, and they are not kept.
    let strings = unsafe { context::strings(strings, count) };
    // SAFETY: the context is that of a blocked client.
    let handle = unsafe { (server.table().blocked_client)(ctx) }.expose_provenance();
    guard::or_abort(|| answer(context, strings, handle));
    api::OK
}

/// The time of a client is up: its turn comes next.
unsafe extern "C" fn time_is_up(_ctx: *mut RedisModuleCtx, handle: *mut c_void) {
    // SAFETY: as for `reply`.
    let server = unsafe { Server::resolved() };
    let handle = handle.expose_provenance();
    guard::or_abort(|| {
        let is_waiting = with(|waiters| {
            let waiter = waiters.clients.get_mut(&handle)?;
            waiter.timer = None;
            Some(!std::mem::replace(&mut waiter.is_ready, true))
        });
        if is_waiting == Some(true) {
            unblock(server, &[handle]);
        }
    });
}

/// Somebody ends the wait of a client by `CLIENT UNBLOCK`.
unsafe extern "C" fn sent_away(
    ctx: *mut RedisModuleCtx,
    strings: *mut *mut RedisModuleString,
    count: c_int,
) -> c_int {
    // SAFETY: as for `reply`.
    let server = unsafe { Server::resolved() };
    // SAFETY: as for `reply`.
    let context = unsafe { Context::new(server, ctx) };
    // SAFETY: as for `reply`.
    let strings = unsafe { context::strings(strings, count) };
    // SAFETY: as for `reply`.
    let raw = unsafe { (server.table().blocked_client)(ctx) };
    guard::or_abort(|| {
        if answer(context, strings, raw.expose_provenance()) {
            // SAFETY: nobody has unblocked it, and its handle is freed only then.
            unsafe { (server.table().unblock_client)(raw, std::ptr::null_mut()) };
        }
    });
    api::OK
}

/// Replies to a client with what is there. Returns whether it was still waiting.
fn answer(context: Context<'_>, strings: &[ServerString<'_>], handle: Handle) -> bool {
    let Some(waiter) = forget(context, handle) else {
        return false;
    };
    guard::finish(context, strings, "IOT.READ", |host, args| {
        waiter.reading.answer(host, args)
    });
    !waiter.is_ready
}

/// A waiting client has gone, or was killed.
unsafe extern "C" fn disconnect(ctx: *mut RedisModuleCtx, raw: *mut RedisModuleBlockedClient) {
    // SAFETY: as for `reply`.
    let server = unsafe { Server::resolved() };
    // SAFETY: as for `reply`.
    let context = unsafe { Context::new(server, ctx) };
    guard::or_abort(|| {
        let waiter = forget(context, raw.expose_provenance());
        if waiter.is_some_and(|waiter| !waiter.is_ready) {
            // SAFETY: nobody has unblocked it, and its handle is freed only then.
            unsafe { (server.table().unblock_client)(raw, std::ptr::null_mut()) };
        }
    });
}
