//! A client that waits for its reply.
//!
//! The server gives a blocked client a reply buffer of its own, which one other thread may fill
//! without a lock; on unblocking it is appended to the client's in one step. So the main thread
//! formats nothing of a large reply.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;

use redis_module::raw::{RedisModuleBlockedClient, RedisModuleCtx, RedisModuleString};

use super::POOL;
use super::later;
use crate::host::api::{self, Server};
use crate::host::context::{self, Context};
use crate::host::guard;
use crate::host::reply::ServerReply;

/// A blocked client. It is unblocked on drop, whatever happens, and gets what was replied by then.
pub(super) struct BlockedClient {
    server: Server,
    raw: *mut RedisModuleBlockedClient,
    /// A context for the replies of the thread that has the client.
    context: *mut RedisModuleCtx,
    resp3: bool,
    /// Whether the reply breaks off, so that the connection is of no use any more.
    is_broken: Cell<bool>,
}

// SAFETY: the server hands out the handle and a thread-safe context for use on another thread; one
// thread at a time has them, since the client is moved and not shared.
unsafe impl Send for BlockedClient {}

/// Which client it is, as long as it is blocked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ClientId(usize);

impl ClientId {
    fn of(raw: *mut RedisModuleBlockedClient) -> Self {
        Self(raw.addr())
    }
}

impl BlockedClient {
    /// Blocks the client of a command. It may not run in a place that cannot wait.
    pub(super) fn new(context: Context<'_>, resp3: bool) -> Self {
        let table = context.table();
        // SAFETY: the context is a command's and may block; the callback is one of ours, there is
        // no timeout, and there are no private data to be freed.
        let raw = unsafe { (table.block_client)(context.raw(), Some(finish), None, None, 0) };
        // SAFETY: the client was blocked just now, and the callback is one of ours.
        unsafe { (table.set_disconnect_callback)(raw, Some(disconnect)) };
        // SAFETY: as above. Here and not on the other thread, because it looks at the client.
        let context_of_replies = unsafe { (table.get_thread_safe_context)(raw) };
        Self {
            server: context.server(),
            raw,
            context: context_of_replies,
            resp3,
            is_broken: Cell::new(false),
        }
    }

    /// Which client it is.
    pub(super) fn id(&self) -> ClientId {
        ClientId::of(self.raw)
    }

    /// Where its reply goes.
    pub(super) fn reply(&self) -> ServerReply<'_> {
        // SAFETY: the context lives until this is dropped, and the reply borrows this.
        let context = unsafe { Context::new(self.server, self.context) };
        ServerReply::for_blocked(context, self.resp3)
    }

    /// Has the connection closed instead of half a reply sent.
    pub(super) fn give_up(&self) {
        self.is_broken.set(true);
    }

    /// From here on to [`BlockedClient::stop_clock`] the server counts the time as the command's.
    pub(super) fn start_clock(&self) {
        // SAFETY: the client is blocked, and no other thread measures.
        unsafe { (self.server.table().measure_start)(self.raw) };
    }

    /// See [`BlockedClient::start_clock`].
    pub(super) fn stop_clock(&self) {
        // SAFETY: as above.
        unsafe { (self.server.table().measure_end)(self.raw) };
    }
}

impl Drop for BlockedClient {
    fn drop(&mut self) {
        let table = self.server.table();
        // SAFETY: the context is ours, and the replies that borrowed it are gone.
        unsafe { (table.free_thread_safe_context)(self.context) };
        let verdict = if self.is_broken.get() {
            BROKEN
        } else {
            ptr::null_mut()
        };
        // SAFETY: the client is blocked, also where it has disconnected, and unblocked only here.
        // Any thread may call this.
        unsafe { (table.unblock_client)(self.raw, verdict) };
    }
}

/// The verdict over a reply that breaks off: any address that is not null.
const BROKEN: *mut c_void = ptr::dangling_mut::<u64>().cast();

/// The main thread has come to a client that was unblocked. Its reply is appended after this,
/// unless the connection is to be closed.
unsafe extern "C" fn finish(
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
    // SAFETY: the context is that of an unblocked client.
    let client = ClientId::of(unsafe { (server.table().blocked_client)(ctx) });
    guard::or_abort(|| {
        if let Some(work) = later::take(client) {
            guard::finish(
                context,
                strings,
                "work beside the main thread",
                |host, args| work.finish(host, args),
            );
        }
        // SAFETY: the context is that of an unblocked client.
        let verdict = unsafe { (server.table().get_private_data)(ctx) };
        if !verdict.is_null() {
            context.close_client();
            context.log(format_args!(
                "a query failed in the middle of its reply: the client's connection is closed"
            ));
        }
    });
    api::OK
}

/// A blocked client has gone, or was killed: nobody waits for the answer.
unsafe extern "C" fn disconnect(_ctx: *mut RedisModuleCtx, raw: *mut RedisModuleBlockedClient) {
    guard::or_fail((), || {
        let client = ClientId::of(raw);
        later::forget(client, || POOL.cancel(client));
    });
}
