//! What the values of each type hold together.
//!
//! A value is counted as long as it lives, and not by what happens to its key:
//!
//! ```text
//! value::into_raw    created, loaded, restored, copied                          enters
//! Stored::borrow_mut whatever changes a value: before and after                 grows or shrinks
//! value::from_raw    deleted, expired, evicted, overwritten, flushed            leaves
//! ```
//!
//! So RENAME, MOVE and SWAPDB are nothing, no database has to be told apart, and what the server frees
//! on a thread of its own counts until it is free. A copy counts in full, although it shares memory.
//!
//! Each step is O(1): a value knows its sums. An `IOT.ADD` pays some 130 instructions for all that is
//! counted of it, of 7,600 that the server spends on one (`callgrind`). The main thread adds without a
//! locked instruction, since it alone does; whoever frees, on any thread, adds to a number of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use triomphe::Arc;

use crate::command::host::{Value, ValueType};
use crate::engine::Series;
use crate::engine::policy::Policy;

/// Numbers that are kept of a value.
const PARTS: usize = 4;

/// Numbers of a value: what they are depends on its type.
pub(in crate::host) type Parts = [u64; PARTS];

/// A value that is counted.
pub(in crate::host) trait Measured: Sized + 'static {
    /// What it holds. O(1).
    fn parts(&self) -> Parts;
    /// Where values of its type are counted.
    fn held() -> &'static Held;
}

impl Measured for Series {
    /// Samples, bytes, blocks, rules.
    #[inline]
    fn parts(&self) -> Parts {
        let sums = self.sums();
        [
            sums.samples,
            sums.bytes,
            self.block_count() as u64,
            self.links().rules().len() as u64,
        ]
    }

    #[inline]
    fn held() -> &'static Held {
        &SERIES
    }
}

impl Measured for Arc<Policy> {
    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn held() -> &'static Held {
        &POLICIES
    }
}

impl<V: Value> Measured for V {
    /// Devices, bindings, roams; fences.
    fn parts(&self) -> Parts {
        let [first, second, third] = self.parts_of_value();
        [first, second, third, 0]
    }

    fn held() -> &'static Held {
        match V::TYPE {
            ValueType::Fleet => &FLEETS,
            ValueType::Fences => &FENCES,
        }
    }
}

pub(super) static SERIES: Held = Held::new();
pub(super) static POLICIES: Held = Held::new();
pub(super) static FLEETS: Held = Held::new();
pub(super) static FENCES: Held = Held::new();

/// The values of a type.
pub(in crate::host) struct Held {
    values: Sum,
    parts: [Sum; PARTS],
}

/// A number that grows on the main thread and shrinks on any.
struct Sum {
    /// By the main thread alone; wraps where a value shrinks.
    come: AtomicU64,
    gone: AtomicU64,
}

impl Sum {
    const fn new() -> Self {
        Self {
            come: AtomicU64::new(0),
            gone: AtomicU64::new(0),
        }
    }

    #[inline]
    fn change(&self, before: u64, after: u64) {
        if before != after {
            let come = self.come.load(Ordering::Relaxed);
            let come = come.wrapping_add(after).wrapping_sub(before);
            self.come.store(come, Ordering::Relaxed);
        }
    }

    fn get(&self) -> u64 {
        let gone = self.gone.load(Ordering::Relaxed);
        self.come.load(Ordering::Relaxed).wrapping_sub(gone)
    }
}

impl Held {
    const fn new() -> Self {
        Self {
            values: Sum::new(),
            parts: [const { Sum::new() }; PARTS],
        }
    }

    /// A value is there. On the main thread.
    pub(in crate::host) fn enter(&self, parts: Parts) {
        self.values.change(0, 1);
        self.change(Parts::default(), parts);
    }

    /// A value holds something else. On the main thread.
    #[inline]
    pub(in crate::host) fn change(&self, before: Parts, after: Parts) {
        for part in 0..PARTS {
            self.parts[part].change(before[part], after[part]);
        }
    }

    /// A value goes. On any thread.
    pub(in crate::host) fn leave(&self, parts: Parts) {
        self.values.gone.fetch_add(1, Ordering::Relaxed);
        for (sum, part) in self.parts.iter().zip(parts) {
            sum.gone.fetch_add(part, Ordering::Relaxed);
        }
    }

    /// Values there are.
    pub(super) fn values(&self) -> u64 {
        self.values.get()
    }

    /// What they hold together.
    pub(super) fn parts(&self) -> Parts {
        self.parts.each_ref().map(Sum::get)
    }
}
