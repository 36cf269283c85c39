//! A context of the server, as a handle with safe methods.
//!
//! The server hands a context to each callback and takes it back when the callback returns. The
//! lifetime `'c` is that call: strings of the call and keys opened in it carry it, so none of them
//! can be kept.

use std::ffi::{CStr, c_int, c_longlong};
use std::fmt::Arguments;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};

use super::api::{self, Server, Table};
use crate::engine::Timestamp;

/// The first server that answers, while it executes a transaction, with the database that the
/// transaction will have selected in the end (Valkey 9.1).
const FORETELLS_DATABASES: c_int = 0x0009_0000;

/// The server's flags for opening a key without touching it, telling of it, counting it or letting
/// it expire, which the bindings lack.
const NO_EFFECTS: u32 = 0b1_1111 << 16;

/// A context of the server.
#[derive(Clone, Copy)]
pub(super) struct Context<'c> {
    server: Server,
    raw: *mut RedisModuleCtx,
    call: PhantomData<&'c ()>,
}

/// A string of the server that lives for `'c`: an argument of a command, or a name.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct ServerString<'c> {
    raw: NonNull<RedisModuleString>,
    call: PhantomData<&'c ()>,
}

/// What a context says of the command it runs.
#[derive(Clone, Copy)]
pub(super) struct Flags(u32);

impl Flags {
    /// Whether the command comes from a master or from the append-only file.
    pub(super) const fn is_replay(self) -> bool {
        self.0 & (raw::REDISMODULE_CTX_FLAGS_REPLICATED | raw::REDISMODULE_CTX_FLAGS_LOADING) != 0
    }

    /// Whether the command may come from something that is no client of ours and has no user.
    pub(super) const fn may_lack_user(self) -> bool {
        const NO_CLIENT: u32 =
            raw::REDISMODULE_CTX_FLAGS_LUA | raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
        self.0 & NO_CLIENT != 0
    }

    /// Whether there is a client that can be made to wait, while the server goes on with others. A
    /// transaction, a script and another module want the reply at once, and so does the stream of
    /// commands from a master or a file.
    pub(super) const fn may_wait(self) -> bool {
        const AT_ONCE: u32 = raw::REDISMODULE_CTX_FLAGS_MULTI
            | raw::REDISMODULE_CTX_FLAGS_LUA
            | raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING;
        self.0 & AT_ONCE == 0 && !self.is_replay()
    }

    /// Whether memory had better be left as it is: the server loads, or has a forked child, with
    /// which it shares every page until one of them writes to it.
    pub(super) const fn is_busy(self) -> bool {
        const BUSY: u32 =
            raw::REDISMODULE_CTX_FLAGS_LOADING | raw::REDISMODULE_CTX_FLAGS_ACTIVE_CHILD;
        self.0 & BUSY != 0
    }

    /// Whether the server follows no other.
    pub(super) const fn is_master(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_MASTER != 0
    }

    /// Whether the server reads its file.
    pub(super) const fn is_loading(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_LOADING != 0
    }

    /// Whether the server is part of a cluster.
    pub(super) const fn is_cluster(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_CLUSTER != 0
    }

    /// Whether the client speaks RESP3.
    pub(super) const fn is_resp3(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_RESP3 != 0
    }
}

impl<'c> Context<'c> {
    /// # Safety
    /// The server has passed `raw` to a callback, and `'c` ends before that callback returns.
    #[inline]
    pub(super) const unsafe fn new(server: Server, raw: *mut RedisModuleCtx) -> Self {
        Self {
            server,
            raw,
            call: PhantomData,
        }
    }

    /// The context, for calls made elsewhere.
    #[inline]
    pub(super) const fn raw(self) -> *mut RedisModuleCtx {
        self.raw
    }

    /// The server.
    #[inline]
    pub(super) const fn server(self) -> Server {
        self.server
    }

    /// The server's functions.
    #[inline]
    pub(super) fn table(self) -> &'static Table {
        self.server.table()
    }

    /// Writes a line to the server's log.
    pub(super) fn log(self, message: Arguments<'_>) {
        api::log_line(self.table().log, self.raw, message);
    }

    /// Whether nothing may be written but by a client: clients are made to wait, so that a replica
    /// catches up, and the server would end itself where more came to be sent.
    pub(super) fn must_be_still(self) -> bool {
        let avoid = self.table().avoid_replica_traffic;
        // SAFETY: the function has no conditions.
        avoid.is_some_and(|avoid| unsafe { avoid() } != 0)
    }

    /// What the context says of the command. Not cheap: the server asks itself how much memory it
    /// uses for the answer.
    pub(super) fn flags(self) -> Flags {
        // SAFETY: the context is alive.
        let flags = unsafe { (self.table().get_context_flags)(self.raw) };
        Flags(flags.cast_unsigned())
    }

    /// The number of the database in use.
    pub(super) fn database(self) -> usize {
        // SAFETY: the function has no conditions.
        let number = if unsafe { (self.table().server_version)() } < FORETELLS_DATABASES {
            // SAFETY: the context is alive.
            unsafe { (self.table().selected_db)(self.raw) }
        } else {
            self.database_of_keys()
        };
        usize::try_from(number).unwrap_or(0)
    }

    /// The database in which a key is opened now.
    fn database_of_keys(self) -> c_int {
        let name = OwnedString::new(self.server, b"");
        // For writing, a key opens whether it holds something or not.
        let mode = (raw::REDISMODULE_WRITE | NO_EFFECTS).cast_signed();
        // SAFETY: context and name are alive, and the mode is one the server knows.
        let key = unsafe { (self.table().open_key)(self.raw, name.as_string().raw(), mode) };
        // SAFETY: the key is open.
        let number = unsafe { (self.table().db_of_key)(key) };
        // SAFETY: the key is open, and nobody uses it after this.
        unsafe { (self.table().close_key)(key) };
        number
    }

    /// Sets options of the module.
    pub(super) fn set_options(self, options: u32) {
        // SAFETY: the context is alive, and knows its module.
        unsafe { (self.table().set_module_options)(self.raw, options.cast_signed()) };
    }

    /// Closes the client's connection once what was replied so far is sent. Says whether there was
    /// a client: a script has none.
    pub(super) fn close_client(self) -> bool {
        // SAFETY: the context is alive.
        let id = unsafe { (self.table().get_client_id)(self.raw) };
        // SAFETY: the context is alive; the server looks the client up, and refuses one it does
        // not know.
        unsafe { (self.table().close_client)(self.raw, id) == api::OK }
    }

    /// The bytes of a string.
    #[inline]
    pub(super) fn bytes(self, string: ServerString<'c>) -> &'c [u8] {
        string.bytes(self.server)
    }

    /// Sends the command as it came to replicas and the append-only file.
    #[inline]
    pub(super) fn replicate_verbatim(self) {
        // SAFETY: the context is alive and runs a command. The function always succeeds.
        unsafe { (self.table().replicate_verbatim)(self.raw) };
    }

    /// Sends `IOT.ADD key time value` to replicas and the append-only file.
    pub(super) fn replicate_add(
        self,
        key: ServerString<'_>,
        time_ms: Timestamp,
        value: ServerString<'_>,
    ) {
        let command = c"IOT.ADD";
        // SAFETY: the context is alive; `s` takes a string, of which the server takes a reference
        // of its own, and `l` a `long long`.
        let status = unsafe {
            (self.table().replicate)(
                self.raw,
                command.as_ptr(),
                c"sls".as_ptr(),
                key.raw(),
                c_longlong::from(time_ms),
                value.raw(),
            )
        };
        self.check_replicated(status, command);
    }

    /// Sends `command` to replicas and the append-only file.
    pub(super) fn replicate(self, command: &CStr, args: &[ServerString<'_>]) {
        // SAFETY: the context is alive; `v` takes an array of strings and its length as a size,
        // which is what follows, and the server takes its own references to the strings.
        let status = unsafe {
            (self.table().replicate)(
                self.raw,
                command.as_ptr(),
                c"v".as_ptr(),
                args.as_ptr(),
                args.len(),
            )
        };
        self.check_replicated(status, command);
    }

    fn check_replicated(self, status: c_int, command: &CStr) {
        if status != api::OK {
            // The server does not know the command: a bug of ours, and a replica will differ.
            self.log(format_args!(
                "cannot replicate {}",
                command.to_string_lossy()
            ));
        }
    }

    /// Tells subscribers of keyspace events. Other modules run in it, and may do anything.
    pub(super) fn notify(self, event: &CStr, key: ServerString<'_>) {
        const CLASS: c_int = raw::REDISMODULE_NOTIFY_MODULE;
        // SAFETY: context and key name are alive, the event's name is NUL-terminated.
        unsafe { (self.table().notify)(self.raw, CLASS, event.as_ptr(), key.raw()) };
    }

    /// Tells clients that watch or cache a key that it has changed.
    #[inline]
    pub(super) fn signal_modified(self, key: ServerString<'_>) {
        // SAFETY: context and key name are alive.
        unsafe { (self.table().signal_modified)(self.raw, key.raw()) };
    }
}

impl<'c> ServerString<'c> {
    /// # Safety
    /// `raw` is a string of the server that lives for `'c`.
    pub(super) const unsafe fn new(raw: NonNull<RedisModuleString>) -> Self {
        Self {
            raw,
            call: PhantomData,
        }
    }

    /// The string, for calls made elsewhere.
    #[inline]
    pub(super) const fn raw(self) -> *mut RedisModuleString {
        self.raw.as_ptr()
    }

    /// Its bytes.
    #[inline]
    pub(super) fn bytes(self, server: Server) -> &'c [u8] {
        let mut len = 0;
        // SAFETY: the string is alive, and the length goes to a variable of ours.
        let start = unsafe { (server.table().string_ptr_len)(self.raw.as_ptr(), &raw mut len) };
        // SAFETY: the server says that `len` bytes stand there, as long as the string lives and
        // nobody appends to it; nothing in this crate does.
        unsafe { slice::from_raw_parts(start.cast(), len) }
    }
}

/// The arguments of a callback as strings.
///
/// # Safety
/// `start` points to `len` strings of the server that live for `'c`.
#[inline]
pub(super) unsafe fn strings<'c>(
    start: *mut *mut RedisModuleString,
    len: c_int,
) -> &'c [ServerString<'c>] {
    let len = usize::try_from(len).unwrap_or(0);
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller guarantees the array; a `ServerString` is a pointer that is not null, and
    // so are the server's arguments.
    unsafe { slice::from_raw_parts(start.cast(), len) }
}

/// A string of ours in the server's form. Freed on drop, which leaves references that the server
/// has taken.
pub(super) struct OwnedString {
    server: Server,
    raw: NonNull<RedisModuleString>,
}

impl OwnedString {
    /// Copies `bytes`.
    pub(super) fn new(server: Server, bytes: &[u8]) -> Self {
        // SAFETY: no context is needed for a string that its owner frees; the bytes are copied.
        let raw = unsafe {
            (server.table().create_string)(ptr::null_mut(), bytes.as_ptr().cast(), bytes.len())
        };
        // SAFETY: the server stops where there is no memory left, and never returns null.
        let raw = unsafe { NonNull::new_unchecked(raw) };
        Self { server, raw }
    }

    /// Takes a string back.
    ///
    /// # Safety
    /// `raw` came from [`OwnedString::into_raw`], and nobody else takes it back or frees it.
    pub(super) const unsafe fn from_raw(server: Server, raw: NonNull<RedisModuleString>) -> Self {
        Self { server, raw }
    }

    /// The string, borrowed.
    pub(super) fn as_string(&self) -> ServerString<'_> {
        ServerString {
            raw: self.raw,
            call: PhantomData,
        }
    }

    /// Gives the string away.
    pub(super) fn into_raw(self) -> *mut RedisModuleString {
        let raw = self.raw.as_ptr();
        std::mem::forget(self);
        raw
    }
}

impl Drop for OwnedString {
    fn drop(&mut self) {
        // SAFETY: the string is ours, and nobody borrows it any more.
        unsafe { (self.server.table().free_string)(ptr::null_mut(), self.raw.as_ptr()) };
    }
}
