//! Active defragmentation: the values move to where the server would rather have them.
//!
//! The server offers a new place for an allocation, or none where it lies well, which is mostly
//! the case; it copies the bytes and frees the old place at once. So only what has a single owner
//! may move, and the owner's pointer must follow:
//!
//! ```text
//! value pointer -> box ----> open buffer       moved: the vector is made anew from its parts
//!                      `---> payloads          moved where this series is the only owner
//!                      `---> the rest          stays: it is small, or never freed in between
//! ```
//!
//! A payload that a copy of the series or a running query shares stays where it is. Moving bytes is
//! all that moving a Rust value takes: nothing in a series points into itself.
//!
//! The server may call this hundreds of times a second for keys where nothing is to do, and calls
//! it with a cursor for keys with more blocks than `active-defrag-max-scan-fields`.

use std::ffi::{c_int, c_ulong, c_void};
use std::mem::{self, ManuallyDrop};
use std::ptr;

use redis_module::raw::{RedisModuleDefragCtx, RedisModuleString};
use triomphe::{Arc, ThinArc};

use super::api::{self, Server};
use super::guard;
use super::value::{self, Stored};
use crate::engine::Series;
use crate::engine::series::block::Payload;

/// Payloads between two looks at the clock.
const STRIDE: usize = 64;

/// What the callback says when all is done.
const DONE: c_int = 0;
/// What the callback says when it wants to go on from its cursor.
const UNFINISHED: c_int = 1;

/// One run over one value.
struct Run {
    server: Server,
    raw: *mut RedisModuleDefragCtx,
    mover: Mover,
}

/// Moves single allocations.
struct Mover {
    raw: *mut RedisModuleDefragCtx,
    offer: Option<Offer>,
}

/// Offers an allocation a new place: the copy's address where it moved, null where it stays.
type Offer = unsafe extern "C" fn(*mut RedisModuleDefragCtx, *mut c_void) -> *mut c_void;

/// The callback of the data type.
///
/// # Safety
/// The server calls this as the data type's callback, with the place of a value of the type.
pub(super) unsafe extern "C" fn defrag(
    context: *mut RedisModuleDefragCtx,
    _key: *mut RedisModuleString,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    let run = Run {
        server,
        raw: context,
        mover: Mover {
            raw: context,
            offer: server.table().defrag_alloc,
        },
    };
    // SAFETY: the caller guarantees the place, and that nobody else uses it during the call.
    let place = unsafe { &mut *place };
    // A value half moved is a dangling pointer.
    guard::or_abort(|| run.value(place))
}

impl Run {
    fn value(&self, place: &mut *mut c_void) -> c_int {
        let start = self.cursor();
        if start == 0 {
            // SAFETY: the box is a live allocation that the place alone points to.
            if let Some(moved) = unsafe { self.mover.moved(*place) } {
                *place = moved;
            }
        }
        // SAFETY: a value of the type lives there, moved or not, until this callback returns.
        let stored: &Stored<Series> = unsafe { value::stored(*place) };
        let mut series = stored.borrow_mut();
        if start == 0
            && let Some(buffer) = series.open_buffer_mut()
        {
            self.mover.buffer(buffer);
        }
        for (index, payload) in series.payloads_mut().enumerate().skip(start) {
            let may_stop = index > start && index.is_multiple_of(STRIDE);
            if may_stop && self.should_stop() && self.set_cursor(index) {
                return UNFINISHED;
            }
            self.mover.payload(payload);
        }
        DONE
    }

    /// The payload to go on with; 0 where the server keeps no cursor.
    fn cursor(&self) -> usize {
        let mut cursor: c_ulong = 0;
        if let Some(get) = self.server.table().defrag_cursor_get {
            // SAFETY: the context lives until the callback returns, and the cursor goes to a
            // variable of ours.
            unsafe { get(self.raw, &raw mut cursor) };
        }
        usize::try_from(cursor).unwrap_or(0)
    }

    /// Keeps the payload to go on with. Says whether the server can.
    fn set_cursor(&self, index: usize) -> bool {
        let (Some(set), Ok(cursor)) = (
            self.server.table().defrag_cursor_set,
            c_ulong::try_from(index),
        ) else {
            return false;
        };
        // SAFETY: the context lives until the callback returns.
        unsafe { set(self.raw, cursor) == api::OK }
    }

    fn should_stop(&self) -> bool {
        self.server.table().defrag_should_stop.is_some_and(|stop| {
            // SAFETY: the context lives until the callback returns.
            unsafe { stop(self.raw) != 0 }
        })
    }
}

impl Mover {
    /// Moves the heap part of a vector; contents, length and capacity stay.
    fn buffer(&self, buffer: &mut Vec<u8>) {
        if buffer.capacity() == 0 {
            return;
        }
        let mut parts = ManuallyDrop::new(mem::take(buffer));
        let (old, len, capacity) = (parts.as_mut_ptr(), parts.len(), parts.capacity());
        // SAFETY: a vector with a capacity owns the allocation it points to.
        let moved = unsafe { self.moved(old.cast()) };
        let start = moved.map_or(old, <*mut c_void>::cast);
        // SAFETY: the parts are those of the vector taken above; if the heap part has moved, then
        // to an allocation of the same allocator and size, with the same bytes.
        *buffer = unsafe { Vec::from_raw_parts(start, len, capacity) };
    }

    /// Moves a payload that has no other owner.
    fn payload(&self, payload: &mut Payload) {
        // The acquiring read of the count makes sure that an owner who has just gone on another
        // thread has finished reading. No new one can appear: cloning takes a reference to this.
        if !payload.with_arc(Arc::is_unique) {
            return;
        }
        // SAFETY: count, length and bytes of a payload are one allocation, which starts at its
        // heap pointer, and it has no other owner.
        let moved = unsafe { self.moved(payload.heap_ptr().cast_mut()) };
        if let Some(moved) = moved {
            // SAFETY: the allocation that came from `into_raw`, at its new place: `heap_ptr` is
            // the same pointer.
            let fresh = unsafe { ThinArc::from_raw(moved) };
            // SAFETY: the place is valid. It is overwritten without dropping what it held, whose
            // allocation the server has freed.
            unsafe { ptr::write(payload, fresh) };
        }
    }

    /// Offers an allocation to the server: its new place, if it has moved and the old is gone.
    ///
    /// # Safety
    /// `old` is the start of a live allocation by the server's allocator, of a forwarded alignment,
    /// and the caller replaces every pointer to it.
    unsafe fn moved(&self, old: *mut c_void) -> Option<*mut c_void> {
        let offer = self.offer?;
        // SAFETY: the context lives until the callback returns; the rest is the caller's.
        let moved = unsafe { offer(self.raw, old) };
        (!moved.is_null()).then_some(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = &[7; 1000];

    /// Always moves, and spoils the old place.
    unsafe extern "C" fn move_always(
        _context: *mut RedisModuleDefragCtx,
        old: *mut c_void,
    ) -> *mut c_void {
        // SAFETY: without a server all allocations of ours are the C library's.
        let size = unsafe { libc::malloc_usable_size(old) };
        // SAFETY: the function takes any size.
        let moved = unsafe { libc::malloc(size) };
        // SAFETY: both have `size` bytes, and they are different allocations.
        unsafe { ptr::copy_nonoverlapping(old.cast::<u8>(), moved.cast(), size) };
        // SAFETY: the old allocation has `size` bytes.
        unsafe { ptr::write_bytes(old.cast::<u8>(), 0xee, size) };
        // SAFETY: it is given up here.
        unsafe { libc::free(old) };
        moved
    }

    const MOVER: Mover = Mover {
        raw: ptr::null_mut(),
        offer: Some(move_always),
    };

    #[test]
    fn a_buffer_moves_with_its_bytes_and_still_grows() {
        let mut buffer = BYTES.to_vec();
        let (old, capacity) = (buffer.as_ptr(), buffer.capacity());
        MOVER.buffer(&mut buffer);
        assert_ne!(buffer.as_ptr(), old);
        assert_eq!((&*buffer, buffer.capacity()), (BYTES, capacity));
        buffer.extend_from_slice(BYTES);
        assert_eq!(buffer[1000..], *BYTES);
        let mut empty = Vec::new();
        MOVER.buffer(&mut empty);
        assert_eq!(empty.capacity(), 0);
    }

    #[test]
    fn a_payload_moves_only_while_it_has_one_owner() {
        let mut payload = Payload::from_header_and_slice((), BYTES);
        let old = payload.heap_ptr();
        let shared = payload.clone();
        MOVER.payload(&mut payload);
        assert_eq!(payload.heap_ptr(), old);
        drop(shared);
        MOVER.payload(&mut payload);
        assert_ne!(payload.heap_ptr(), old);
        assert_eq!(payload.slice, *BYTES);
        assert_eq!(payload.clone().slice, *BYTES);
    }

    #[test]
    fn without_an_offer_everything_stays() {
        let mut buffer = BYTES.to_vec();
        let old = buffer.as_ptr();
        let mover = Mover {
            offer: None,
            ..MOVER
        };
        mover.buffer(&mut buffer);
        assert_eq!((&*buffer, buffer.as_ptr()), (BYTES, old));
    }
}
