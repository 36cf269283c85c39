//! Active defragmentation: the values move to where the server would rather have them.
//!
//! The server offers a new place for an allocation, or none where it lies well, which is mostly
//! the case; it copies the bytes and frees the old place at once. So only what has a single owner
//! may move, and the owner's pointer must follow. The values show their allocations to a mover, part
//! by part (`engine::relocate`); the box of a value is moved here.
//!
//! What a copy of the value or a running query shares stays where it is. Moving bytes is all that
//! moving a Rust value takes: nothing in a value points into itself.
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
    fn relocate(&mut self, from: usize, run: &mut Run) -> Option<usize> {
        let next = Self::relocate(self, from as u64, run)?;
        usize::try_from(next).ok()
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

    fn counted<T>(&mut self, place: &mut Arc<T>) {
        self.mover.counted(place);
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

    /// Moves a value that has no other owner.
    fn counted<T>(&self, place: &mut Arc<T>) {
        // As for a payload.
        if !place.is_unique() {
            return;
        }
        let start = place.heap_ptr().cast_mut();
        let value = Arc::as_ptr(place);
        // The count lies before the value.
        let offset = value.addr() - start.addr();
        // SAFETY: count and value are one allocation, which starts at the heap pointer, and it has
        // no other owner.
        let moved = unsafe { self.moved(start) };
        if let Some(moved) = moved {
            // SAFETY: the value lies as far behind the start of the allocation as before.
            let value = unsafe { moved.byte_add(offset) };
            // SAFETY: a pointer as one from `into_raw`, to the value at its new place.
            let fresh = unsafe { Arc::from_raw(value.cast::<T>()) };
            // SAFETY: as for a payload.
            unsafe { ptr::write(place, fresh) };
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
    use crate::engine::Sample;
    use crate::engine::aggregate::Aggregator;
    use crate::engine::fence;
    use crate::engine::fleet::{Fix, Options, Position};
    use crate::engine::geo::{Point, Shape};
    use crate::engine::labels::Labels;
    use crate::engine::options::Options as SeriesOptions;
    use crate::engine::query::Span;
    use crate::engine::rule::{Cut, Rule};
    use crate::engine::series::Upsert;
    use crate::engine::series::block::Payload;
    use crate::engine::watch::{Binding, Sink};

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

    /// Moves everything, and wants to pause at each chance.
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
        fn counted<T>(&mut self, place: &mut Arc<T>) {
            MOVER.counted(place);
        }
        fn vector<T>(&mut self, place: &mut Vec<T>) {
            MOVER.buffer(place);
        }
        fn must_pause(&mut self) -> bool {
            true
        }
    }

    /// Goes through all steps; returns how many they were.
    fn steps(mut step: impl FnMut(u64) -> Option<u64>) -> usize {
        std::iter::successors(step(0), |&from| step(from)).count() + 1
    }

    fn digest(feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Vec<u8> {
        let mut all = Vec::new();
        feed(&mut |piece| all.extend_from_slice(piece));
        all
    }

    #[test]
    fn counted_values_move_only_while_they_have_one_owner() {
        let mut text = Arc::new(String::from("behind its count"));
        let old = text.heap_ptr();
        let shared = text.clone();
        MOVER.counted(&mut text);
        assert_eq!(text.heap_ptr(), old);
        drop(shared);
        MOVER.counted(&mut text);
        assert_ne!(text.heap_ptr(), old);
        assert_eq!(*text.clone(), "behind its count");
    }

    #[test]
    fn series_move_and_are_the_same() {
        let labels = Labels::new([(&b"kind"[..], &b"temp"[..])]).unwrap();
        let mut series = Series::new(SeriesOptions {
            chunk_bytes: 48,
            labels,
            ..SeriesOptions::default()
        });
        let cut = Cut::new(Span::Milliseconds(10), None, 0).unwrap();
        let rule = Rule::new(Box::from(&b"mean"[..]), Aggregator::Avg, cut, 0, 0);
        series.relink(|source, rules| {
            *source = Some(Box::from(&b"raw"[..]));
            rules.push(rule);
        });
        let add = |series: &mut Series, time_ms: i64| {
            let value = f64::from(u32::try_from(time_ms % 977).unwrap()).sqrt();
            let sample = Sample::new(time_ms, value);
            series.add(sample, &Upsert::Replay).unwrap();
        };
        for step in 0..50_000 {
            add(&mut series, 2 * step);
        }
        let stream = digest(|feed| series.digest(feed));
        assert!(steps(|from| series.relocate(from, &mut Always)) > 5);
        assert_eq!(digest(|feed| series.digest(feed)), stream);
        // A late one: the open block becomes columns.
        add(&mut series, 99_997);
        let columns = digest(|feed| series.digest(feed));
        let snapshot = series.clone();
        steps(|from| series.relocate(from, &mut Always));
        assert_eq!(digest(|feed| snapshot.digest(feed)), columns);
        drop(snapshot);
        steps(|from| series.relocate(from, &mut Always));
        assert_eq!(digest(|feed| series.digest(feed)), columns);
        series.validate().unwrap();
        assert_eq!(*series.links().rules()[0].destination, *b"mean");
    }

    #[test]
    fn fleets_move_and_are_the_same() {
        let mut fleet = Fleet::new(Options {
            trail_len: 500,
            ..Options::default()
        });
        fleet.bind(Binding {
            number: 0,
            fences: Box::from(&b"zones"[..]),
            detect: None,
            group: Some(Box::from(&b"red"[..])),
            outside_cap: 1,
            sinks: vec![Sink::Publish(Box::from(&b"news"[..]))],
        });
        for step in 0..600_u32 {
            let place = Position {
                time_ms: step.into(),
                point: Point::from_degrees(f64::from(step) / 100.0, 1.0).unwrap(),
            };
            let id = format!("{} with a name that lies outside", step % 150);
            fleet.track(id.as_bytes(), &Fix::at(place), 0).unwrap();
        }
        let before = digest(|feed| fleet.digest(feed));
        assert!(steps(|from| fleet.relocate(from, &mut Always)) > 3);
        assert_eq!(digest(|feed| fleet.digest(feed)), before);
        assert_eq!(*fleet.bindings()[0].fences, *b"zones");
    }

    #[test]
    fn fences_move_and_are_the_same() {
        let point = |x, y| Point::from_degrees(x, y).unwrap();
        let mut fences = FenceSet::new();
        for step in 0..600_u32 {
            let x = f64::from(step) / 100.0;
            // From some number of vertices on an area has more than them.
            let ring = (0..3 + step % 200).map(|corner| {
                let angle = f64::from(corner) / f64::from(3 + step % 200) * std::f64::consts::TAU;
                point(x + angle.cos() / 2.0, angle.sin() / 2.0)
            });
            let shape = Shape::area(vec![vec![ring.collect()]]).unwrap();
            let options = fence::Options {
                buffer_m: f64::from(step),
                ..fence::Options::default()
            };
            fences
                .insert(&step.to_le_bytes(), shape, options, 0)
                .unwrap();
        }
        let before = digest(|feed| fences.digest(feed));
        assert!(steps(|from| fences.relocate(from, &mut Always)) > 3);
        assert_eq!(digest(|feed| fences.digest(feed)), before);
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
