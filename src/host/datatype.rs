//! The data type `iotseries`, and what the server asks of its values.
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
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use redis_module::raw::{
    REDISMODULE_TYPE_METHOD_VERSION, RedisModuleDigest, RedisModuleIO, RedisModuleKeyOptCtx,
    RedisModuleString, RedisModuleType, RedisModuleTypeMethods,
};

use super::api::Server;
use super::context::{Context, ServerString};
use super::defrag;
use super::guard;
use super::index;
use super::rdb::Stream;
use super::value::{self, Stored};
use super::waiting;
use crate::engine::Series;
use crate::engine::persist;
use crate::engine::series::Allocation;

/// The name in dump files: 9 characters, for ever.
const NAME: &CStr = c"iotseries";

/// The command that the append-only file brings a series back with.
const RESTORE: &CStr = c"IOT.RESTORE";

static SERIES: AtomicPtr<RedisModuleType> = AtomicPtr::new(ptr::null_mut());

/// The type, as the server knows it.
#[inline]
pub(super) fn series() -> *mut RedisModuleType {
    SERIES.load(Ordering::Relaxed)
}

/// Registers the type.
///
/// # Errors
/// What the server refused.
pub(super) fn register(context: Context<'_>) -> Result<(), String> {
    let mut methods = RedisModuleTypeMethods {
        // A server reads the fields it knows and takes a newer version of the table.
        version: u64::from(REDISMODULE_TYPE_METHOD_VERSION),
        rdb_load: Some(rdb_load),
        rdb_save: Some(rdb_save),
        aof_rewrite: Some(aof_rewrite),
        digest: Some(digest),
        free: Some(free),
        defrag: Some(defrag::defrag),
        mem_usage2: Some(mem_usage),
        free_effort2: Some(free_effort),
        unlink2: Some(unlink),
        copy2: Some(copy),
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
    let version = c_int::try_from(persist::VERSION).unwrap_or(-1);
    // SAFETY: the context is `OnLoad`'s, the only one in which this may be called; the name is
    // NUL-terminated, and both name and table are copied.
    let registered = unsafe {
        (context.table().create_data_type)(context.raw(), NAME.as_ptr(), version, &raw mut methods)
    };
    if registered.is_null() {
        return Err("the server refused the data type iotseries".into());
    }
    SERIES.store(registered, Ordering::Relaxed);
    Ok(())
}

/// Bytes of memory that a series takes, by the server's allocator: its box and its share of
/// everything it points to.
pub(super) fn memory_bytes(server: Server, series: &Series) -> usize {
    let mut bytes = box_bytes(server);
    series.allocations(&mut |allocation| {
        bytes += match allocation {
            Allocation::Bytes(size) => size,
            Allocation::At(start, shares) => {
                // SAFETY: the engine visits the starts of live allocations, of alignments that are
                // forwarded: it has none above 8. In a server all memory of ours is the server's.
                let size = unsafe { server.malloc_size(start.cast()) };
                size / shares.max(1)
            }
        };
    });
    bytes
}

/// Bytes that a box takes, asked once: all of them have the same size.
fn box_bytes(server: Server) -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let sample: Box<mem::MaybeUninit<Stored<Series>>> = Box::new_uninit();
        // SAFETY: the box is a live allocation of the alignment of a series, which is 8.
        unsafe { server.malloc_size((&raw const *sample).cast()) }
    })
}

/// A value that the server passes to a callback of the type.
///
/// # Safety
/// `value` is a value of the type, alive until the callback returns, and `'v` ends before that.
unsafe fn passed<'v>(value: *const c_void) -> &'v Stored<Series> {
    // SAFETY: values of the type come from `value::into_raw::<Series>`; the rest is the caller's.
    unsafe { value::stored(value) }
}

unsafe extern "C" fn rdb_load(stream: *mut RedisModuleIO, encoding: c_int) -> *mut c_void {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a stream, and it is not kept.
    let stream = unsafe { Stream::new(server, stream) };
    guard::or_fail(ptr::null_mut(), || {
        load(stream, encoding).map_or(ptr::null_mut(), value::into_raw)
    })
}

/// Reads a series; where that fails, the log says why, and the server refuses the whole file.
fn load(mut stream: Stream<'_>, encoding: c_int) -> Option<Series> {
    let version = u32::try_from(encoding).unwrap_or(u32::MAX);
    if version > persist::VERSION {
        stream.log(format_args!(
            "series stored in version {version}, this module reads versions up to {}",
            persist::VERSION
        ));
        return None;
    }
    match persist::read_series(&mut stream, version) {
        Ok(series) => Some(series),
        Err(error) => {
            stream.log(format_args!("cannot read a series: {error}"));
            None
        }
    }
}

unsafe extern "C" fn rdb_save(stream: *mut RedisModuleIO, value: *mut c_void) {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a stream, and it is not kept.
    let mut stream = unsafe { Stream::new(server, stream) };
    // SAFETY: the server passes a value of the type.
    let series = unsafe { passed(value) };
    // A value half saved would make a file that cannot be loaded: better that the child ends, and
    // the server reports that the save failed.
    guard::or_abort(|| persist::write_series(&series.borrow(), &mut stream));
}

/// `IOT.RESTORE key payload`, where the payload is a byte for the version and the records.
unsafe extern "C" fn aof_rewrite(
    stream: *mut RedisModuleIO,
    key: *mut RedisModuleString,
    value: *mut c_void,
) {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a stream, and it is not kept.
    let stream = unsafe { Stream::new(server, stream) };
    // SAFETY: the server passes a value of the type.
    let series = unsafe { passed(value) };
    // As for `rdb_save`.
    guard::or_abort(|| {
        let payload = payload(&series.borrow());
        // SAFETY: the stream is a rewrite's, and the key lives until this callback returns.
        unsafe { stream.emit(RESTORE, key, &payload) };
    });
}

/// The version as the one byte of a payload.
const VERSION: u8 = persist::VERSION.to_le_bytes()[0];
const _: () = assert!(persist::VERSION < 256, "the version is one byte");

fn payload(series: &Series) -> Vec<u8> {
    let mut records = persist::Buffer {
        bytes: vec![VERSION],
    };
    persist::write_series(series, &mut records);
    records.bytes
}

unsafe extern "C" fn mem_usage(
    _context: *mut RedisModuleKeyOptCtx,
    value: *const c_void,
    _sample_size: usize,
) -> usize {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a value of the type.
    let series = unsafe { passed(value) };
    guard::or_fail(0, || memory_bytes(server, &series.borrow()))
}

unsafe extern "C" fn digest(digest: *mut RedisModuleDigest, value: *mut c_void) {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a value of the type.
    let series = unsafe { passed(value) };
    guard::or_fail((), || {
        series.borrow().digest(&mut |piece| {
            // SAFETY: the digest lives until the callback returns, and `piece` has that many
            // bytes.
            unsafe { (server.table().digest_add)(digest, piece.as_ptr().cast(), piece.len()) };
        });
        // SAFETY: as above.
        unsafe { (server.table().digest_end)(digest) };
    });
}

unsafe extern "C" fn free(value: *mut c_void) {
    // SAFETY: the server passes a value of the type, and forgets it.
    let series: Box<Stored<Series>> = unsafe { value::from_raw(value) };
    guard::or_abort(|| {
        assert_unused(&series);
        drop(series);
    });
}

/// The number of allocations to give back. The server frees in the background above 64.
unsafe extern "C" fn free_effort(
    _context: *mut RedisModuleKeyOptCtx,
    value: *const c_void,
) -> usize {
    // SAFETY: the server passes a value of the type.
    let series = unsafe { passed(value) };
    // Zero would mean the background for even the smallest.
    guard::or_fail(1, || series.borrow().block_count().max(1))
}

/// The key has lost its value. What must happen on the main thread happens here, not in `free`.
unsafe extern "C" fn unlink(context: *mut RedisModuleKeyOptCtx, value: *const c_void) {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a value of the type.
    let series = unsafe { passed(value) };
    // SAFETY: the context lives until the callback returns, as does the name in it.
    let name = unsafe { (server.table().name_of_unlinked)(context) };
    // SAFETY: as above.
    let database = unsafe { (server.table().db_of_unlinked)(context) };
    guard::or_abort(|| {
        assert_unused(series);
        let (Some(name), Ok(database)) = (NonNull::new(name.cast_mut()), database.try_into())
        else {
            return;
        };
        // SAFETY: the name lives until the callback returns, and is not kept.
        let name = unsafe { ServerString::new(name) }.bytes(server);
        index::remove(database, name, &series.borrow().options().labels);
        waiting::gone(server, database, name);
    });
}

/// Nobody may have a series open that goes away.
fn assert_unused(series: &Stored<Series>) {
    assert!(
        series.try_borrow_mut().is_ok(),
        "an open series was deleted"
    );
}

/// A copy shares the sealed blocks, and has no rules.
unsafe extern "C" fn copy(
    _context: *mut RedisModuleKeyOptCtx,
    value: *const c_void,
) -> *mut c_void {
    // SAFETY: the server passes a value of the type.
    let series = unsafe { passed(value) };
    guard::or_fail(ptr::null_mut(), || {
        let mut copy = series.borrow().clone();
        copy.untie();
        value::into_raw(copy)
    })
}
