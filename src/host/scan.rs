//! Going through all keys of a database, some at a time.

use std::ffi::c_void;
use std::ptr::NonNull;

use redis_module::raw::{RedisModuleCtx, RedisModuleKey, RedisModuleScanCursor, RedisModuleString};

use super::api::{Server, Table};
use super::context::Context;
use super::datatype;
use super::value::{self, Stored};
use crate::engine::Series;

/// A place among the keys of a database, freed on drop.
pub(super) struct Cursor {
    server: Server,
    raw: NonNull<RedisModuleScanCursor>,
}

/// What the server calls for each key: with the name, the key where the server has opened it, and
/// a pointer of the caller's.
pub(super) type Visit = unsafe extern "C" fn(
    *mut RedisModuleCtx,
    *mut RedisModuleString,
    *mut RedisModuleKey,
    *mut c_void,
);

impl Cursor {
    /// Before the first key.
    pub(super) fn new(server: Server) -> Self {
        // SAFETY: the function has no conditions.
        let raw = unsafe { (server.table().create_scan_cursor)() };
        // SAFETY: the server stops where there is no memory left, and never returns null.
        let raw = unsafe { NonNull::new_unchecked(raw) };
        Self { server, raw }
    }

    /// Goes back to the first key.
    pub(super) fn restart(&self) {
        // SAFETY: the cursor is alive.
        unsafe { (self.server.table().restart_scan_cursor)(self.raw.as_ptr()) };
    }

    /// Visits some keys of the context's database. Says whether there may be more.
    ///
    /// # Safety
    /// `visit` deletes no key, keeps nothing that it is passed, and takes `private` for what it is.
    pub(super) unsafe fn step(
        &self,
        context: Context<'_>,
        visit: Visit,
        private: *mut c_void,
    ) -> bool {
        // SAFETY: context and cursor are alive; the rest is the caller's.
        unsafe {
            (context.table().scan)(context.raw(), self.raw.as_ptr(), Some(visit), private) != 0
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        // SAFETY: the cursor is alive, and nobody uses it after this.
        unsafe { (self.server.table().free_scan_cursor)(self.raw.as_ptr()) };
    }
}

/// The series that a visited key holds, if it is one.
///
/// # Safety
/// `key` is null or open during `'v`.
pub(super) unsafe fn series_at<'v>(
    table: &Table,
    key: *mut RedisModuleKey,
) -> Option<&'v Stored<Series>> {
    // A server may pass the name alone.
    // SAFETY: the caller guarantees the key.
    if key.is_null() || unsafe { (table.get_type)(key) } != datatype::raw::<Series>() {
        return None;
    }
    // SAFETY: as above.
    let value = unsafe { (table.get_value)(key) };
    // SAFETY: the type is ours, so the value came from `value::into_raw::<Series>`, and nobody
    // deletes it while the key is open.
    Some(unsafe { value::stored(value) })
}
