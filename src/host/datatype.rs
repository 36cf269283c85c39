//! The data types of the module, and what the server asks of their values: `iotseries` and
//! `iotpolicy` (see `kinds`).
//!
//! Who calls what, and on which thread:
//!
//! ```text
//! rdb_load       start, RESTORE, a replica's full sync     main
//! rdb_save       SAVE, BGSAVE, DUMP, full sync             main, or a forked child
//! aof_rewrite    rewrite without an RDB preamble           a forked child
//! mem_usage2     MEMORY USAGE                              main
//! digest         DEBUG DIGEST, DEBUG DIGEST-VALUE          main
//! copy2          COPY                                      main
//! unlink2        the key loses its value                   main, before `free`
//! free_effort2   UNLINK, expiry: how much work is `free`?  main
//! free           the value goes                            main, or a background thread
//! defrag         active defragmentation                    main
//! ```
//!
//! None of them should run while one of our commands has the value open: commands send no keyspace
//! event with a key open. But the server sends some of its own when a key is opened (`expired`,
//! `keymiss`) or created (`new`), to modules that should do no more than read. The cell around the
//! value knows whether it is in use, and `unlink` and `free` stop the server where a module deletes
//! it all the same: a reference to freed memory would be worse.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use redis_module::raw::{
    REDISMODULE_TYPE_METHOD_VERSION, RedisModuleDigest, RedisModuleIO, RedisModuleKeyOptCtx,
    RedisModuleString, RedisModuleType, RedisModuleTypeDefragFunc, RedisModuleTypeMethods,
};

use super::api::Server;
use super::context::{Context, ServerString};
use super::guard;
use super::rdb::Stream;
use super::stats::Measured;
use super::value::{self, Stored};
use crate::engine::Result;

/// The values of one data type.
pub(super) trait Kind: Measured {
    /// The name in dump files: 9 characters, for ever.
    const NAME: &CStr;
    /// What the log calls a value.
    const WORD: &'static str;
    /// Version of the stored form; older ones are read.
    const VERSION: u32;
    /// Moves a value in memory, for a type whose values are worth it.
    const DEFRAG: RedisModuleTypeDefragFunc;

    /// Where the type is kept as the server knows it.
    fn registered() -> &'static AtomicPtr<RedisModuleType>;
    /// Reads a value.
    ///
    /// # Errors
    /// `Corrupt`, or a limit.
    fn load(stream: &mut Stream<'_>, version: u32) -> Result<Self>;
    /// Writes a value.
    fn save(&self, stream: &mut Stream<'_>);
    /// Writes the command that the append-only file brings a value back with.
    ///
    /// # Safety
    /// The stream is a rewrite's, and `key` is alive.
    unsafe fn rewrite(&self, stream: &Stream<'_>, key: *mut RedisModuleString);
    /// Bytes of memory that a value takes, by the server's allocator.
    fn memory_bytes(&self, server: Server) -> usize;
    /// Feeds what makes two values equal.
    fn digest(&self, feed: &mut dyn FnMut(&[u8]));
    /// The number of allocations to give back. The server frees in the background above 64.
    fn effort(&self) -> usize;
    /// What `COPY` makes of a value.
    fn copied(&self) -> Self;
    /// A key has lost this value.
    fn unlinked(&self, server: Server, database: usize, key: &[u8]);
}

/// A type, as the server knows it.
#[inline]
pub(super) fn raw<K: Kind>() -> *mut RedisModuleType {
    K::registered().load(Ordering::Relaxed)
}

/// Registers a type.
///
/// # Errors
/// What the server refused.
pub(super) fn register<K: Kind>(context: Context<'_>) -> std::result::Result<(), String> {
    let mut methods = RedisModuleTypeMethods {
        // A server reads the fields it knows and takes a newer version of the table.
        version: u64::from(REDISMODULE_TYPE_METHOD_VERSION),
        rdb_load: Some(rdb_load::<K>),
        rdb_save: Some(rdb_save::<K>),
        aof_rewrite: Some(aof_rewrite::<K>),
        digest: Some(digest::<K>),
        free: Some(free::<K>),
        defrag: K::DEFRAG,
        mem_usage2: Some(mem_usage::<K>),
        free_effort2: Some(free_effort::<K>),
        unlink2: Some(unlink::<K>),
        copy2: Some(copy::<K>),
        // The forms before 7.0 of the four above.
        mem_usage: None,
        free_effort: None,
        unlink: None,
        copy: None,
        // There is nothing to save beside the keys.
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        aux_save2: None,
    };
    // A version is small; one that were not would be refused by the server.
    let version = c_int::try_from(K::VERSION).unwrap_or(-1);
    let name = K::NAME;
    // SAFETY: the context is `OnLoad`'s, the only one in which this may be called; the name is
    // NUL-terminated, and both name and table are copied.
    let registered = unsafe {
        (context.table().create_data_type)(context.raw(), name.as_ptr(), version, &raw mut methods)
    };
    if registered.is_null() {
        let name = name.to_string_lossy();
        return Err(format!("the server refused the data type {name}"));
    }
    K::registered().store(registered, Ordering::Relaxed);
    Ok(())
}

/// A value that the server passes to a callback of the type.
///
/// # Safety
/// `value` is a value of the type, alive until the callback returns, and `'v` ends before that.
unsafe fn passed<'v, K: Kind>(value: *const c_void) -> &'v Stored<K> {
    // SAFETY: values of the type come from `value::into_raw::<K>`; the rest is the caller's.
    unsafe { value::stored(value) }
}

unsafe extern "C" fn rdb_load<K: Kind>(stream: *mut RedisModuleIO, encoding: c_int) -> *mut c_void {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a stream, and it is not kept.
    let stream = unsafe { Stream::new(server, stream) };
    guard::or_fail(ptr::null_mut(), || {
        load::<K>(stream, encoding).map_or(ptr::null_mut(), value::into_raw)
    })
}

/// Reads a value; where that fails, the log says why, and the server refuses the whole file.
fn load<K: Kind>(mut stream: Stream<'_>, encoding: c_int) -> Option<K> {
    let (version, word, newest) = (
        u32::try_from(encoding).unwrap_or(u32::MAX),
        K::WORD,
        K::VERSION,
    );
    if version > newest {
        stream.log(format_args!(
            "{word} stored in version {version}, this module reads versions up to {newest}"
        ));
        return None;
    }
    match K::load(&mut stream, version) {
        Ok(value) => Some(value),
        Err(error) => {
            stream.log(format_args!("cannot read a {word}: {error}"));
            None
        }
    }
}

unsafe extern "C" fn rdb_save<K: Kind>(stream: *mut RedisModuleIO, value: *mut c_void) {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a stream, and it is not kept.
    let mut stream = unsafe { Stream::new(server, stream) };
    // SAFETY: the server passes a value of the type.
    let stored = unsafe { passed::<K>(value) };
    // A value half saved would make a file that cannot be loaded: better that the child ends, and
    // the server reports that the save failed.
    guard::or_abort(|| stored.borrow().save(&mut stream));
}

unsafe extern "C" fn aof_rewrite<K: Kind>(
    stream: *mut RedisModuleIO,
    key: *mut RedisModuleString,
    value: *mut c_void,
) {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a stream, and it is not kept.
    let stream = unsafe { Stream::new(server, stream) };
    // SAFETY: the server passes a value of the type.
    let stored = unsafe { passed::<K>(value) };
    // As for `rdb_save`.
    guard::or_abort(|| {
        // SAFETY: the stream is a rewrite's, and the key lives until this callback returns.
        unsafe { stored.borrow().rewrite(&stream, key) };
    });
}

unsafe extern "C" fn mem_usage<K: Kind>(
    _context: *mut RedisModuleKeyOptCtx,
    value: *const c_void,
    _sample_size: usize,
) -> usize {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a value of the type.
    let stored = unsafe { passed::<K>(value) };
    guard::or_fail(0, || stored.borrow().memory_bytes(server))
}

unsafe extern "C" fn digest<K: Kind>(digest: *mut RedisModuleDigest, value: *mut c_void) {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a value of the type.
    let stored = unsafe { passed::<K>(value) };
    guard::or_fail((), || {
        stored.borrow().digest(&mut |piece| {
            // SAFETY: the digest lives until the callback returns, and `piece` has that many
            // bytes.
            unsafe { (server.table().digest_add)(digest, piece.as_ptr().cast(), piece.len()) };
        });
        // SAFETY: as above.
        unsafe { (server.table().digest_end)(digest) };
    });
}

unsafe extern "C" fn free<K: Kind>(value: *mut c_void) {
    // SAFETY: the server passes a value of the type, and forgets it.
    let stored: Box<Stored<K>> = unsafe { value::from_raw(value) };
    guard::or_abort(|| {
        assert_unused(&stored);
        drop(stored);
    });
}

unsafe extern "C" fn free_effort<K: Kind>(
    _context: *mut RedisModuleKeyOptCtx,
    value: *const c_void,
) -> usize {
    // SAFETY: the server passes a value of the type.
    let stored = unsafe { passed::<K>(value) };
    // Zero would mean the background for even the smallest.
    guard::or_fail(1, || stored.borrow().effort().max(1))
}

/// The key has lost its value. What must happen on the main thread happens here, not in `free`.
unsafe extern "C" fn unlink<K: Kind>(context: *mut RedisModuleKeyOptCtx, value: *const c_void) {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a value of the type.
    let stored = unsafe { passed::<K>(value) };
    // SAFETY: the context lives until the callback returns, as does the name in it.
    let name = unsafe { (server.table().name_of_unlinked)(context) };
    // SAFETY: as above.
    let database = unsafe { (server.table().db_of_unlinked)(context) };
    guard::or_abort(|| {
        assert_unused(stored);
        let (Some(name), Ok(database)) = (NonNull::new(name.cast_mut()), database.try_into())
        else {
            return;
        };
        // SAFETY: the name lives until the callback returns, and is not kept.
        let name = unsafe { ServerString::new(name) }.bytes(server);
        stored.borrow().unlinked(server, database, name);
    });
}

/// Nobody may have a value open that goes away.
fn assert_unused<K>(stored: &Stored<K>) {
    assert!(stored.is_unused(), "an open value was deleted");
}

unsafe extern "C" fn copy<K: Kind>(
    _context: *mut RedisModuleKeyOptCtx,
    value: *const c_void,
) -> *mut c_void {
    // SAFETY: the server passes a value of the type.
    let stored = unsafe { passed::<K>(value) };
    guard::or_fail(ptr::null_mut(), || {
        value::into_raw(stored.borrow().copied())
    })
}
