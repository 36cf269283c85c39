//! The data types: series, and the policies that give them rules.

use std::ffi::CStr;
use std::mem;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::AtomicPtr;

use redis_module::raw::{RedisModuleString, RedisModuleType, RedisModuleTypeDefragFunc};
use triomphe::Arc;

use super::api::Server;
use super::datatype::Kind;
use super::defrag;
use super::index;
use super::policies;
use super::rdb::Stream;
use super::value::Stored;
use super::waiting;
use crate::command::{policy_words, read_stored_policy};
use crate::engine::persist;
use crate::engine::policy::Policy;
use crate::engine::series::Allocation;
use crate::engine::{Result, Series};

impl Kind for Series {
    const NAME: &CStr = c"iotseries";
    const WORD: &'static str = "series";
    const VERSION: u32 = persist::VERSION;
    const DEFRAG: RedisModuleTypeDefragFunc = Some(defrag::defrag);

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
