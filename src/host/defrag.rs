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
//! A fleet and a set of fences show their allocations to the same mover, part by part
//! (`engine::relocate`).
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
use super::stats::Measured;
use super::value::{self, Stored};
use crate::engine::fence::FenceSet;
use crate::engine::fleet::Fleet;
use crate::engine::{Series, relocate};

/// Payloads between two looks at the clock.
const STRIDE: usize = 64;

/// What the callback says when all is done.
const DONE: c_int = 0;
/// What the callback says when it wants to go on from its cursor.
const UNFINISHED: c_int = 1;

/// One run over one value.
pub(super) struct Run {
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

/// A value whose allocations can be moved.
pub(super) trait Movable: Measured {
    /// Moves allocations from one on, until there are no more or others must have their turn. Returns
    /// where it goes on.
    fn relocate(&mut self, from: usize, run: &mut Run) -> Option<usize>;
}

/// The callback of a data type.
///
/// # Safety
/// The server calls this as the callback of the data type of `V`, with the place of a value of it.
pub(super) unsafe extern "C" fn defrag<V: Movable>(
    context: *mut RedisModuleDefragCtx,
    _key: *mut RedisModuleString,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: the type is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    let mut run = Run {
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
    guard::or_abort(|| run.value::<V>(place))
}

impl Movable for Series {
    fn relocate(&mut self, start: usize, run: &mut Run) -> Option<usize> {
        if start == 0
            && let Some(buffer) = self.open_buffer_mut()
        {
            run.mover.buffer(buffer);
        }
        for (index, payload) in self.payloads_mut().enumerate().skip(start) {
            let may_stop = index > start && index.is_multiple_of(STRIDE);
            if may_stop && run.should_stop() {
                return Some(index);
            }
            run.mover.payload(payload);
        }
        None
    }
}

impl Movable for Fleet {
    fn relocate(&mut self, from: usize, run: &mut Run) -> Option<usize> {
        let next = Self::relocate(self, from as u64, run)?;
        usize::try_from(next).ok()
    }
}

impl Movable for FenceSet {
    fn relocate(&mut self, from: usize, run: &mut Run) -> Option<usize> {
        let next = Self::relocate(self, from as u64, run)?;
        usize::try_from(next).ok()
    }
}

impl relocate::Mover for Run {
    fn block<T>(&mut self, place: &mut Box<T>) {
        self.mover.block(place);
    }

    fn slice<T>(&mut self, place: &mut Box<[T]>) {
        self.mover.slice(place);
    }

    fn shared<T>(&mut self, place: &mut ThinArc<(), T>) {
        self.mover.payload(place);
    }

    fn vector<T>(&mut self, place: &mut Vec<T>) {
        self.mover.buffer(place);
    }

    fn must_pause(&mut self) -> bool {
        self.should_stop()
    }
}

impl Run {
    fn value<V: Movable>(&mut self, place: &mut *mut c_void) -> c_int {
        let start = self.cursor();
        if start == 0 {
            // SAFETY: the box is a live allocation that the place alone points to.
            if let Some(moved) = unsafe { self.mover.moved(*place) } {
                *place = moved;
            }
        }
        // SAFETY: a value of the type lives there, moved or not, until this callback returns.
        let stored: &Stored<V> = unsafe { value::stored(*place) };
        let mut value = stored.borrow_mut();
        let mut from = start;
        while let Some(next) = value.relocate(from, self) {
            if self.set_cursor(next) {
                return UNFINISHED;
            }
            // The server keeps no cursor: all at once, then.
            from = next;
        }
        DONE
    }

    /// The part to go on with; 0 where the server keeps no cursor.
    fn cursor(&self) -> usize {
        let mut cursor: c_ulong = 0;
        if let Some(get) = self.server.table().defrag_cursor_get {
            // SAFETY: the context lives until the callback returns, and the cursor goes to a
            // variable of ours.
            unsafe { get(self.raw, &raw mut cursor) };
        }
        usize::try_from(cursor).unwrap_or(0)
    }

    /// Keeps the part to go on with. Says whether the server can.
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
    /// Moves a box.
    fn block<T>(&self, place: &mut Box<T>) {
        if size_of::<T>() == 0 {
            return;
        }
        let old: *mut T = &raw mut **place;
        // SAFETY: a box of something owns the allocation it points to.
        if let Some(moved) = unsafe { self.moved(old.cast()) } {
            // SAFETY: the allocation of the box at its new place, with the same bytes.
            let fresh = unsafe { Box::from_raw(moved.cast::<T>()) };
            // SAFETY: the place is valid. It is overwritten without dropping what it held, whose
            // allocation the server has freed.
            unsafe { ptr::write(place, fresh) };
        }
    }

    /// Moves a boxed slice.
    fn slice<T>(&self, place: &mut Box<[T]>) {
        if size_of_val(&**place) == 0 {
            return;
        }
        let len = place.len();
        let old: *mut T = place.as_mut_ptr();
        // SAFETY: a boxed slice of some size owns the allocation it points to.
        if let Some(moved) = unsafe { self.moved(old.cast()) } {
            let slice = ptr::slice_from_raw_parts_mut(moved.cast::<T>(), len);
            // SAFETY: the allocation of the slice at its new place, with the same bytes.
            let fresh = unsafe { Box::from_raw(slice) };
            // SAFETY: as for a box.
            unsafe { ptr::write(place, fresh) };
        }
    }

    /// Moves the heap part of a vector; contents, length and capacity stay.
    fn buffer<T>(&self, buffer: &mut Vec<T>) {
        if buffer.capacity() == 0 || size_of::<T>() == 0 {
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
    fn payload<T>(&self, payload: &mut ThinArc<(), T>) {
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
    use crate::engine::fence;
    use crate::engine::fleet::{Fix, Options, Position};
    use crate::engine::geo::{Point, Shape};
    use crate::engine::series::block::Payload;

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
        let mut empty: Vec<u8> = Vec::new();
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
    fn boxes_and_slices_move_with_what_they_own() {
        let mut text = Box::new(String::from("what it owns stays"));
        let old = &raw const *text;
        MOVER.block(&mut text);
        assert!(!ptr::eq(old, &raw const *text));
        assert_eq!(*text, "what it owns stays");
        let mut texts: Box<[String]> = ["one", "two"].map(String::from).into();
        let old = texts.as_ptr();
        MOVER.slice(&mut texts);
        assert_ne!(texts.as_ptr(), old);
        assert_eq!(*texts, ["one", "two"]);
        MOVER.slice(&mut Box::<[u64]>::default());
        MOVER.block(&mut Box::new(()));
    }

    #[test]
    fn fleets_and_fences_move_and_are_the_same() {
        struct Always;
        impl relocate::Mover for Always {
            fn block<T>(&mut self, place: &mut Box<T>) {
                MOVER.block(place);
            }
            fn slice<T>(&mut self, place: &mut Box<[T]>) {
                MOVER.slice(place);
            }
            fn shared<T>(&mut self, place: &mut ThinArc<(), T>) {
                MOVER.payload(place);
            }
            fn vector<T>(&mut self, place: &mut Vec<T>) {
                MOVER.buffer(place);
            }
            fn must_pause(&mut self) -> bool {
                true
            }
        }
        let point = |x, y| Point::from_degrees(x, y).unwrap();
        let digests = |fleet: &Fleet, fences: &FenceSet| {
            let mut all = Vec::new();
            fleet.digest(&mut |piece| all.extend_from_slice(piece));
            fences.digest(&mut |piece| all.extend_from_slice(piece));
            all
        };
        let mut fleet = Fleet::new(Options {
            trail_len: 500,
            ..Options::default()
        });
        let mut fences = FenceSet::new();
        for step in 0..600_u32 {
            let x = f64::from(step) / 100.0;
            let place = Position {
                time_ms: step.into(),
                point: point(x, 1.0),
            };
            let id = format!("{}", step % 150);
            fleet.track(id.as_bytes(), &Fix::at(place), 0).unwrap();
            let ring = vec![point(x, 0.0), point(x + 1.0, 0.0), point(x, 1.0)];
            let shape = Shape::area(vec![vec![ring]]).unwrap();
            let id = step.to_le_bytes();
            fences
                .insert(&id, shape, fence::Options::default(), 0)
                .unwrap();
        }
        let before = digests(&fleet, &fences);
        let mut next = Some(0);
        while let Some(from) = next {
            next = fleet.relocate(from, &mut Always);
        }
        let mut next = Some(0);
        while let Some(from) = next {
            next = fences.relocate(from, &mut Always);
        }
        assert_eq!(digests(&fleet, &fences), before);
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
