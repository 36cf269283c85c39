//! The data types: series, the policies that give them rules, fleets, and sets of fences.

use std::ffi::CStr;
use std::mem;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicPtr;

use redis_module::raw::{RedisModuleString, RedisModuleType, RedisModuleTypeDefragFunc};
use triomphe::Arc;

use super::agenda;
use super::api::Server;
use super::datatype::{self, Kind};
use super::defrag;
use super::index;
use super::policies;
use super::rdb::Stream;
use super::value::Stored;
use super::waiting;
use crate::command::host::ValueType;
use crate::command::{policy_words, read_stored_policy};
use crate::engine::fence::FenceSet;
use crate::engine::fleet::Fleet;
use crate::engine::persist;
use crate::engine::policy::Policy;
use crate::engine::series::Allocation;
use crate::engine::{Result, Series};

impl Kind for Series {
    const NAME: &CStr = c"iotseries";
    const WORD: &'static str = "series";
    const VERSION: u32 = persist::VERSION;
    const DEFRAG: RedisModuleTypeDefragFunc = Some(defrag::defrag::<Self>);

    #[inline]
    fn registered() -> &'static AtomicPtr<RedisModuleType> {
        static SERIES: AtomicPtr<RedisModuleType> = AtomicPtr::new(ptr::null_mut());
        &SERIES
    }

    fn load(stream: &mut Stream<'_>, version: u32) -> Result<Self> {
        persist::read_series(stream, version)
    }

    fn save(&self, stream: &mut Stream<'_>) {
        persist::write_series(self, stream);
    }

    /// `IOT.RESTORE key payload`, where the payload is a byte for the version and the records.
    unsafe fn rewrite(&self, stream: &Stream<'_>, key: *mut RedisModuleString) {
        let mut records = persist::Buffer {
            bytes: vec![SERIES_VERSION],
        };
        persist::write_series(self, &mut records);
        // SAFETY: the caller guarantees stream and key.
        unsafe { stream.emit(c"IOT.RESTORE", key, &records.bytes) };
    }

    fn memory_bytes(&self, server: Server) -> usize {
        series_bytes(server, self)
    }

    fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        self.digest(feed);
    }

    fn effort(&self) -> usize {
        self.block_count()
    }

    /// A copy shares the sealed blocks, and has no rules.
    fn copied(&self) -> Self {
        let mut copy = self.clone();
        copy.untie();
        copy
    }

    fn unlinked(&self, server: Server, database: usize, key: &[u8]) {
        index::remove(database, key, &self.options().labels);
        waiting::gone(server, database, key);
    }
}

/// The version as the one byte of a payload.
const SERIES_VERSION: u8 = persist::VERSION.to_le_bytes()[0];
const _: () = assert!(persist::VERSION < 256, "the version is one byte");

/// The type of a value as the server knows it.
#[inline]
pub(super) fn raw_of(kind: ValueType) -> *mut RedisModuleType {
    match kind {
        ValueType::Fleet => datatype::raw::<Fleet>(),
        ValueType::Fences => datatype::raw::<FenceSet>(),
    }
}

/// Bytes of memory that a series takes, by the server's allocator: its box and its share of
/// everything it points to.
fn series_bytes(server: Server, series: &Series) -> usize {
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

/// The registry shares the policies of the keys.
impl Kind for Arc<Policy> {
    const NAME: &CStr = c"iotpolicy";
    const WORD: &'static str = "policy";
    const VERSION: u32 = persist::POLICY_VERSION;
    // It is small, and others point to it.
    const DEFRAG: RedisModuleTypeDefragFunc = None;

    fn registered() -> &'static AtomicPtr<RedisModuleType> {
        static POLICY: AtomicPtr<RedisModuleType> = AtomicPtr::new(ptr::null_mut());
        &POLICY
    }

    fn load(stream: &mut Stream<'_>, version: u32) -> Result<Self> {
        read_stored_policy(stream, version).map(Self::new)
    }

    fn save(&self, stream: &mut Stream<'_>) {
        persist::write_policy(self, stream);
    }

    /// `IOT.POLICY SET key ...`.
    unsafe fn rewrite(&self, stream: &Stream<'_>, key: *mut RedisModuleString) {
        // SAFETY: the caller guarantees stream and key.
        unsafe { stream.emit_sub(c"IOT.POLICY", c"SET", key, &policy_words(self)) };
    }

    fn memory_bytes(&self, _server: Server) -> usize {
        size_of::<Stored<Self>>() + size_of::<Policy>() + self.heap_bytes()
    }

    fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        let mut record = persist::Buffer::default();
        persist::write_policy(self, &mut record);
        feed(&record.bytes);
    }

    fn effort(&self) -> usize {
        1
    }

    fn copied(&self) -> Self {
        self.clone()
    }

    fn unlinked(&self, _server: Server, database: usize, key: &[u8]) {
        policies::remove(database, key);
    }
}

impl Kind for Fleet {
    const NAME: &CStr = c"iotfleets";
    const WORD: &'static str = "fleet";
    const VERSION: u32 = persist::FLEET_VERSION;
    const DEFRAG: RedisModuleTypeDefragFunc = Some(defrag::defrag::<Self>);

    #[inline]
    fn registered() -> &'static AtomicPtr<RedisModuleType> {
        static FLEET: AtomicPtr<RedisModuleType> = AtomicPtr::new(ptr::null_mut());
        &FLEET
    }

    fn load(stream: &mut Stream<'_>, version: u32) -> Result<Self> {
        persist::read_bound_fleet(stream, version)
    }

    fn save(&self, stream: &mut Stream<'_>) {
        persist::write_bound_fleet(self, stream);
    }

    /// `IOT.FLEET RESTORE key payload`, where the payload is a byte for the version and the records.
    unsafe fn rewrite(&self, stream: &Stream<'_>, key: *mut RedisModuleString) {
        let write = |records: &mut _| persist::write_bound_fleet(self, records);
        // SAFETY: the caller guarantees stream and key.
        unsafe { emit_restore::<Self>(c"IOT.FLEET", stream, key, write) };
    }

    fn memory_bytes(&self, _server: Server) -> usize {
        size_of::<Stored<Self>>() + self.heap_bytes()
    }

    fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        self.digest(feed);
    }

    fn effort(&self) -> usize {
        self.len()
    }

    fn copied(&self) -> Self {
        self.clone()
    }

    fn unlinked(&self, _server: Server, database: usize, key: &[u8]) {
        agenda::remove(database, key);
    }
}

impl Kind for FenceSet {
    const NAME: &CStr = c"iotfences";
    const WORD: &'static str = "set of fences";
    const VERSION: u32 = persist::FENCES_VERSION;
    const DEFRAG: RedisModuleTypeDefragFunc = Some(defrag::defrag::<Self>);

    #[inline]
    fn registered() -> &'static AtomicPtr<RedisModuleType> {
        static FENCES: AtomicPtr<RedisModuleType> = AtomicPtr::new(ptr::null_mut());
        &FENCES
    }

    fn load(stream: &mut Stream<'_>, version: u32) -> Result<Self> {
        persist::read_fences(stream, version)
    }

    fn save(&self, stream: &mut Stream<'_>) {
        persist::write_fences(self, stream);
    }

    /// `IOT.FENCE RESTORE key payload`, as for a fleet.
    unsafe fn rewrite(&self, stream: &Stream<'_>, key: *mut RedisModuleString) {
        let write = |records: &mut _| persist::write_fences(self, records);
        // SAFETY: the caller guarantees stream and key.
        unsafe { emit_restore::<Self>(c"IOT.FENCE", stream, key, write) };
    }

    fn memory_bytes(&self, _server: Server) -> usize {
        size_of::<Stored<Self>>() + self.heap_bytes()
    }

    fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        self.digest(feed);
    }

    fn effort(&self) -> usize {
        self.len()
    }

    fn copied(&self) -> Self {
        self.clone()
    }

    fn unlinked(&self, _server: Server, database: usize, key: &[u8]) {
        agenda::remove(database, key);
        agenda::moved(database, key);
    }
}

/// Writes the command that brings a value back: its payload is the version, as one byte, and records.
///
/// # Safety
/// The stream is a rewrite's, and `key` is alive.
unsafe fn emit_restore<K: Kind>(
    container: &CStr,
    stream: &Stream<'_>,
    key: *mut RedisModuleString,
    write: impl FnOnce(&mut persist::Buffer),
) {
    let version = u8::try_from(K::VERSION).expect("BUG: the version of a type over 255");
    let mut records = persist::Buffer {
        bytes: vec![version],
    };
    write(&mut records);
    // SAFETY: the caller guarantees stream and key.
    unsafe { stream.emit_sub(container, c"RESTORE", key, &[records.bytes]) };
}
