//! Deadlines of numbered things, which mostly move away before they come.
//!
//! ```text
//! places by number, in pages   | due | entry |     the deadline, and the earliest entry of the heap
//! heap                         (due, number)
//! ```
//!
//! A deadline that moves to a later time leaves the heap alone: its entry comes up too early, is seen
//! to be so, and is entered again. So a device that reports each second costs the heap something
//! only once in its time to live. An earlier deadline is entered beside the old entry, which is dropped
//! when it comes up, or with all others of its kind once they are as many as the deadlines.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem::size_of;

use crate::engine::table::rounded;

/// Places in a page.
const PAGE: usize = 512;
/// No deadline.
const NEVER: i64 = i64::MAX;
/// Entries of the heap that are of no use and yet are borne.
const IDLE_ENTRIES: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Place {
    due_ms: i64,
    /// The earliest entry of the heap.
    entry_ms: i64,
}

const EMPTY: Place = Place {
    due_ms: NEVER,
    entry_ms: NEVER,
};

/// At most one deadline for each number.
#[derive(Clone, Debug, Default)]
pub struct Deadlines {
    heap: BinaryHeap<Reverse<(i64, u32)>>,
    pages: Vec<Option<Box<[Place; PAGE]>>>,
    len: usize,
}

impl Deadlines {
    /// Sets the deadline of a number. O(1) where it is later than before, else O(log n).
    pub fn arm(&mut self, number: u32, due_ms: i64) {
        let due_ms = due_ms.min(NEVER - 1);
        let at = number as usize;
        if at / PAGE >= self.pages.len() {
            self.pages.resize(at / PAGE + 1, None);
        }
        let page = self.pages[at / PAGE].get_or_insert_with(|| Box::new([EMPTY; PAGE]));
        let place = &mut page[at % PAGE];
        self.len += usize::from(place.due_ms == NEVER);
        place.due_ms = due_ms;
        if due_ms < place.entry_ms {
            place.entry_ms = due_ms;
            self.heap.push(Reverse((due_ms, number)));
            self.sweep();
        }
    }

    /// Takes the deadline of a number away. O(1).
    pub fn disarm(&mut self, number: u32) {
        if let Some(place) = self.place_mut(number)
            && place.due_ms != NEVER
        {
            place.due_ms = NEVER;
            self.len -= 1;
            if self.len == 0 {
                *self = Self::default();
            }
        }
    }

    /// The deadline of a number.
    pub fn due_ms(&self, number: u32) -> Option<i64> {
        let at = number as usize;
        let place = self.pages.get(at / PAGE)?.as_ref()?[at % PAGE];
        (place.due_ms != NEVER).then_some(place.due_ms)
    }

    /// A time before which none is due. It may be too early, but comes closer with [`Self::pop_due`].
    pub fn next_due_ms(&self) -> Option<i64> {
        self.heap.peek().map(|Reverse((due_ms, _))| *due_ms)
    }

    /// A number whose deadline is not after `now_ms`, the earliest first; it has none then.
    /// O(log n) a call, and for each deadline that has moved.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<u32> {
        loop {
            let &Reverse((entry_ms, number)) = self.heap.peek()?;
            if entry_ms > now_ms {
                return None;
            }
            self.heap.pop();
            let place = self.place_mut(number)?;
            if place.entry_ms != entry_ms {
                continue;
            }
            place.entry_ms = NEVER;
            let due_ms = place.due_ms;
            if due_ms == NEVER {
                continue;
            }
            if due_ms > entry_ms {
                place.entry_ms = due_ms;
                self.heap.push(Reverse((due_ms, number)));
                continue;
            }
            self.disarm(number);
            return Some(number);
        }
    }

    /// How many deadlines there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of its allocations.
    pub fn heap_bytes(&self) -> usize {
        let pages = self.pages.iter().flatten().count() * rounded(size_of::<[Place; PAGE]>());
        pages
            + rounded(self.pages.capacity() * size_of::<Option<Box<[Place; PAGE]>>>())
            + rounded(self.heap.capacity() * size_of::<(i64, u32)>())
    }

    fn place_mut(&mut self, number: u32) -> Option<&mut Place> {
        let at = number as usize;
        Some(&mut self.pages.get_mut(at / PAGE)?.as_mut()?[at % PAGE])
    }

    /// Drops entries of no use once most are.
    fn sweep(&mut self) {
        if self.heap.len() <= 2 * self.len + IDLE_ENTRIES {
            return;
        }
        let pages = &self.pages;
        let is_entry = |&Reverse((entry_ms, number)): &Reverse<(i64, u32)>| {
            let at = number as usize;
            let page = pages.get(at / PAGE).and_then(Option::as_ref);
            page.is_some_and(|page| page[at % PAGE].entry_ms == entry_ms)
        };
        self.heap.retain(is_entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(deadlines: &mut Deadlines, now_ms: i64) -> Vec<u32> {
        std::iter::from_fn(|| deadlines.pop_due(now_ms)).collect()
    }

    #[test]
    fn a_deadline_that_moves_away_touches_no_heap() {
        let mut deadlines = Deadlines::default();
        for due_ms in 10..1000 {
            deadlines.arm(7, due_ms);
        }
        assert_eq!(
            (deadlines.heap.len(), deadlines.next_due_ms()),
            (1, Some(10))
        );
        assert_eq!(deadlines.pop_due(500), None);
        assert_eq!(
            (deadlines.next_due_ms(), deadlines.due_ms(7)),
            (Some(999), Some(999))
        );
        assert_eq!(drain(&mut deadlines, 999), [7]);
        assert_eq!((deadlines.len(), deadlines.next_due_ms()), (0, None));
    }

    #[test]
    fn an_earlier_deadline_counts_and_none_comes_twice() {
        let mut deadlines = Deadlines::default();
        for number in 0..1000 {
            deadlines.arm(number, 100);
            deadlines.arm(number, 50);
            deadlines.arm(number, i64::from(number));
        }
        deadlines.disarm(3);
        assert_eq!(drain(&mut deadlines, 5), [0, 1, 2, 4, 5]);
        deadlines.arm(5, 60);
        deadlines.arm(5, 100);
        deadlines.disarm(5);
        deadlines.arm(5, 99);
        assert_eq!(drain(&mut deadlines, 2000).len(), 995);
    }

    #[test]
    fn entries_of_no_use_are_swept() {
        let mut deadlines = Deadlines::default();
        for round in (0..100_000).rev() {
            deadlines.arm(1, round);
        }
        assert!(deadlines.heap.len() < 2 * IDLE_ENTRIES);
        assert_eq!(drain(&mut deadlines, 0), [1]);
    }
}
