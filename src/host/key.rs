//! Open keys: closed when they go out of scope, also when a panic unwinds.

use std::cell::{Cell, Ref};
use std::ffi::{c_int, c_void};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use redis_module::raw::{self, RedisModuleKey, RedisModuleType};
use triomphe::Arc;

use super::agenda;
use super::api;
use super::context::{Context, OwnedString, ServerString};
use super::datatype::{self, Kind};
use super::index;
use super::kinds;
use super::stats::Measured;
use super::value::{self, Changing, Stored};
use super::waiting;
use crate::command::host::{Value, ValueWriter, Writer};
use crate::engine::Series;
use crate::engine::labels::Labels;
use crate::engine::policy::Policy;

/// No time to live, as the server has it.
const NO_EXPIRY: i64 = raw::REDISMODULE_NO_EXPIRE as i64;

/// What a key was opened for.
#[derive(Clone, Copy)]
pub(super) enum Mode {
    /// Reading; a key that holds nothing cannot be opened so.
    Read,
    /// Reading without the server taking it for an access.
    Peek,
    /// Reading and writing.
    Write,
}

/// The server's flag for [`Mode::Peek`], which the bindings lack.
const NO_TOUCH: u32 = 1 << 16;

/// An open key.
pub(super) struct OpenKey<'c> {
    context: Context<'c>,
    name: Name<'c>,
    raw: NonNull<RedisModuleKey>,
    /// Keys that the command has open.
    open_count: &'c Cell<usize>,
}

/// The name of an open key.
enum Name<'c> {
    /// An argument of the command.
    Argument(ServerString<'c>),
    /// A name of our own.
    Own(OwnedString),
}

impl Name<'_> {
    #[inline]
    fn as_string(&self) -> ServerString<'_> {
        match self {
            Self::Argument(name) => *name,
            Self::Own(name) => name.as_string(),
        }
    }
}

/// What an open key holds.
pub(super) enum Content<'c> {
    Empty,
    Foreign,
    Series(&'c Stored<Series>),
    Policy(&'c Stored<Arc<Policy>>),
}

impl<'c> OpenKey<'c> {
    /// Opens a key; `None` where there is nothing to read. `open_count` is kept at the number of
    /// keys open.
    #[inline]
    pub(super) fn new(
        context: Context<'c>,
        name: ServerString<'c>,
        mode: Mode,
        open_count: &'c Cell<usize>,
    ) -> Option<Self> {
        Self::open(context, Name::Argument(name), mode, open_count)
    }

    /// As [`OpenKey::new`], by a name of our own.
    pub(super) fn by_own_name(
        context: Context<'c>,
        name: OwnedString,
        mode: Mode,
        open_count: &'c Cell<usize>,
    ) -> Option<Self> {
        Self::open(context, Name::Own(name), mode, open_count)
    }

    #[inline]
    fn open(
        context: Context<'c>,
        name: Name<'c>,
        mode: Mode,
        open_count: &'c Cell<usize>,
    ) -> Option<Self> {
        let mode = match mode {
            Mode::Read => raw::REDISMODULE_READ,
            Mode::Peek => raw::REDISMODULE_READ | NO_TOUCH,
            Mode::Write => raw::REDISMODULE_READ | raw::REDISMODULE_WRITE,
        };
        // SAFETY: context and name are alive, and the mode is one the server knows.
        let key = unsafe {
            (context.table().open_key)(context.raw(), name.as_string().raw(), mode.cast_signed())
        };
        let raw = NonNull::new(key)?;
        open_count.set(open_count.get() + 1);
        Some(Self {
            context,
            name,
            raw,
            open_count,
        })
    }

    /// What the key holds. Our type is asked for first: a command mostly finds what it expects.
    #[inline]
    pub(super) fn content(&self) -> Content<'c> {
        let kind = self.type_of_module();
        if kind == datatype::raw::<Series>() {
            // SAFETY: the type is ours, so the value came from `value::into_raw::<Series>`. It lives
            // as long as the call: commands delete no series, and a value that other
            // code deletes while it is borrowed stops the server (see `datatype`).
            return Content::Series(unsafe { value::stored(self.value()) });
        }
        if kind == datatype::raw::<Arc<Policy>>() && !kind.is_null() {
            // SAFETY: as above; whoever deletes a policy has it borrowed no more.
            return Content::Policy(unsafe { value::stored(self.value()) });
        }
        if self.is_empty() {
            Content::Empty
        } else {
            Content::Foreign
        }
    }

    /// The value of a type that the key holds, if it does.
    pub(super) fn value_of<V: Value>(&self) -> Option<&'c Stored<V>> {
        let kind = self.type_of_module();
        if kind.is_null() || kind != kinds::raw_of(V::TYPE) {
            return None;
        }
        // SAFETY: each of our types is that of one kind of value, so this one came from
        // `value::into_raw::<V>`. For its life see `content`.
        Some(unsafe { value::stored(self.value()) })
    }

    /// Stores a value in an empty key.
    ///
    /// # Panics
    /// Where the key holds something, which would be freed under whoever has it open.
    pub(super) fn store<K: Kind>(&self, value: K) -> &'c Stored<K> {
        // SAFETY: values of the kind are of that type.
        unsafe { self.store_as(datatype::raw::<K>(), value) }
    }

    /// As [`OpenKey::store`], for a value known by its type.
    pub(super) fn store_value<V: Value>(&self, value: V) -> &'c Stored<V> {
        // SAFETY: each of our types is that of one kind of value.
        unsafe { self.store_as(kinds::raw_of(V::TYPE), value) }
    }

    /// # Safety
    /// `kind` is a registered type, and that of such values.
    unsafe fn store_as<T: Measured>(&self, kind: *mut RedisModuleType, value: T) -> &'c Stored<T> {
        assert!(self.is_empty(), "a value is created where one is");
        let value = value::into_raw(value);
        // SAFETY: the key is open for writing, and the caller guarantees that the value is one of
        // the type. It now belongs to the server.
        let status = unsafe { (self.context.table().set_value)(self.raw.as_ptr(), kind, value) };
        assert_eq!(status, api::OK, "the key is not open for writing");
        // SAFETY: the value came from `into_raw` just now; for its life see `content`.
        unsafe { value::stored(value) }
    }

    /// Deletes a key, which is open for writing. Nobody may have its value borrowed.
    pub(super) fn delete(&self) {
        // SAFETY: the key is open. A value that is borrowed all the same stops the server.
        unsafe { (self.context.table().delete_key)(self.raw.as_ptr()) };
    }

    #[inline]
    fn type_of_module(&self) -> *mut RedisModuleType {
        // SAFETY: the key is open.
        unsafe { (self.context.table().get_type)(self.raw.as_ptr()) }
    }

    #[inline]
    fn value(&self) -> *mut c_void {
        // SAFETY: the key is open.
        unsafe { (self.context.table().get_value)(self.raw.as_ptr()) }
    }

    /// Lets the server remove the key after a time from now on, in milliseconds, or never where
    /// that is negative. The key is open for writing and holds something.
    fn set_expiry(&self, ms: i64) {
        // SAFETY: the key is open. The server refuses a time or a key it does not like.
        unsafe { (self.context.table().set_expire)(self.raw.as_ptr(), ms) };
    }

    pub(super) fn is_empty(&self) -> bool {
        const EMPTY: c_int = api::small(raw::REDISMODULE_KEYTYPE_EMPTY);
        // SAFETY: the key is open.
        unsafe { (self.context.table().key_type)(self.raw.as_ptr()) == EMPTY }
    }
}

impl Drop for OpenKey<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the key is open, and nobody uses it after this.
        unsafe { (self.context.table().close_key)(self.raw.as_ptr()) };
        self.open_count.set(self.open_count.get() - 1);
    }
}

/// A series open for reading.
pub(super) type ReadSeries<'c> = ReadValue<'c, Series>;

/// A series open for writing. If something was written, clients that watch or cache the key are
/// told when it is closed. The server's own way would tell them of every key opened for writing,
/// also where nothing was found or changed.
pub(super) struct WriteSeries<'c> {
    series: Changing<'c, Series>,
    changed: bool,
    key: OpenKey<'c>,
}

impl<'c> WriteSeries<'c> {
    /// # Panics
    /// Where the same series is open already.
    #[inline]
    pub(super) fn new(key: OpenKey<'c>, stored: &'c Stored<Series>) -> Self {
        Self {
            series: stored.borrow_mut(),
            changed: false,
            key,
        }
    }

    /// A series that was just stored.
    pub(super) fn created(key: OpenKey<'c>, stored: &'c Stored<Series>) -> Self {
        let mut created = Self::new(key, stored);
        created.changed = true;
        created
    }
}

impl Deref for WriteSeries<'_> {
    type Target = Series;

    #[inline]
    fn deref(&self) -> &Series {
        &self.series
    }
}

impl DerefMut for WriteSeries<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Series {
        &mut self.series
    }
}

impl Writer for WriteSeries<'_> {
    #[inline]
    fn written(&mut self) {
        self.changed = true;
        let idle_ttl_ms = self.series.options().idle_ttl_ms;
        if idle_ttl_ms != 0 {
            self.key.set_expiry(idle_ttl_ms);
        }
    }

    fn stays(&mut self) {
        self.key.set_expiry(NO_EXPIRY);
    }

    fn relabelled(&mut self, old: &Labels) {
        let key = self.key.name.as_string().bytes(self.key.context.server());
        let labels = &self.series.options().labels;
        index::relabel(self.key.context.database(), key, old, labels);
    }
}

impl Drop for WriteSeries<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.changed {
            let (context, name) = (self.key.context, self.key.name.as_string());
            context.signal_modified(name);
            waiting::changed(context, name, &self.series);
        }
    }
}

/// A value open for reading. The fields are dropped in this order: the key is closed last.
pub(super) struct ReadValue<'c, V> {
    value: Ref<'c, V>,
    _key: OpenKey<'c>,
}

/// A value open for writing. When it is closed, clients that watch or cache the key are told of a
/// change, and the timer of what is due.
pub(super) struct WriteValue<'c, V: Value> {
    value: Changing<'c, V>,
    changed: bool,
    key: OpenKey<'c>,
}

impl<'c, V> ReadValue<'c, V> {
    /// # Panics
    /// Where the same value is open for writing.
    pub(super) fn new(key: OpenKey<'c>, stored: &'c Stored<V>) -> Self {
        Self {
            value: stored.borrow(),
            _key: key,
        }
    }
}

impl<'c, V: Value> WriteValue<'c, V> {
    /// # Panics
    /// Where the same value is open already.
    pub(super) fn new(key: OpenKey<'c>, stored: &'c Stored<V>) -> Self {
        Self {
            value: stored.borrow_mut(),
            changed: false,
            key,
        }
    }
}

impl<V> Deref for ReadValue<'_, V> {
    type Target = V;

    #[inline]
    fn deref(&self) -> &V {
        &self.value
    }
}

impl<V: Value> Deref for WriteValue<'_, V> {
    type Target = V;

    #[inline]
    fn deref(&self) -> &V {
        &self.value
    }
}

impl<V: Value> DerefMut for WriteValue<'_, V> {
    #[inline]
    fn deref_mut(&mut self) -> &mut V {
        &mut self.value
    }
}

impl<V: Value> ValueWriter<V> for WriteValue<'_, V> {
    #[inline]
    fn changed(&mut self) {
        self.changed = true;
    }
}

impl<V: Value> Drop for WriteValue<'_, V> {
    #[inline]
    fn drop(&mut self) {
        let (context, name) = (self.key.context, self.key.name.as_string());
        if self.changed {
            context.signal_modified(name);
        }
        if let Some(agenda) = self.value.take_agenda() {
            let key = name.bytes(context.server());
            agenda::set(context.database(), key, agenda);
        }
    }
}
