//! The postings of cells: which fences reach into one, and how far.
//!
//! ```text
//! posting  | extent within the cell 32 | number of the fence 32 |
//!
//! One      the posting                   no memory of its own: most cells
//! Few      block | class | length        up to 96, in blocks of 2, 3, 4, 6, 8, 12, .. 96
//! Many     a vector of its own
//!
//! class    pages of 4096 postings, the first grows by doubling; free blocks are a chain through
//!          their first posting
//! ```
//!
//! Blocks of few sizes in large pages, since a vector for each cell would take 24 bytes beside it and
//! 16 of the allocator's, and a step by doubling would leave a third of it empty. A list has no order:
//! to take a posting out is a walk over the list, as every query of the cell is.

use std::mem::size_of;

use super::cell::Extent;
use super::directory::Value;
use crate::engine::relocate::Mover;
use crate::engine::table::Slab;
use crate::engine::table::rounded;

/// Postings of a block, by class.
const SIZES: [usize; 12] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96];
/// Postings of a page, about.
const PAGE: usize = 4096;
/// The end of a chain.
const NONE: u64 = u64::MAX;

/// That a fence reaches into a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Posting(u64);

impl Posting {
    pub(super) const fn new(number: u32, extent: Extent) -> Self {
        Self((extent.0 as u64) << 32 | number as u64)
    }

    /// The number of the fence.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    pub(super) const fn number(self) -> u32 {
        self.0 as u32
    }

    pub(super) const fn extent(self) -> Extent {
        Extent((self.0 >> 32) as u32)
    }
}

/// Blocks of one size.
#[derive(Clone, Debug)]
struct Class {
    pages: Vec<Vec<Posting>>,
    /// Blocks handed out or free.
    blocks: usize,
    used: usize,
    free: u64,
}

impl Default for Class {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            blocks: 0,
            used: 0,
            free: NONE,
        }
    }
}

/// All lists of an index.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    classes: [Class; SIZES.len()],
    many: Slab<Vec<Posting>>,
}

const ONE: u8 = 0;
const FEW: u8 = 1;
const MANY: u8 = 2;

/// A list, as the directory has it.
#[derive(Clone, Copy, Debug)]
enum List {
    One(Posting),
    Few {
        block: u32,
        class: usize,
        len: usize,
    },
    Many(u32),
}

impl List {
    #[expect(clippy::cast_possible_truncation, reason = "put together below")]
    const fn of(value: Value) -> Self {
        match value.kind {
            ONE => Self::One(Posting(value.bits)),
            FEW => Self::Few {
                block: value.bits as u32,
                class: (value.bits >> 32) as u8 as usize,
                len: (value.bits >> 40) as usize,
            },
            _ => Self::Many(value.bits as u32),
        }
    }

    const fn value(self) -> Value {
        let (kind, bits) = match self {
            Self::One(posting) => (ONE, posting.0),
            Self::Few { block, class, len } => (
                FEW,
                (len as u64) << 40 | (class as u64) << 32 | block as u64,
            ),
            Self::Many(number) => (MANY, number as u64),
        };
        Value { kind, bits }
    }
}

/// The class for so many postings, if there is one.
fn class_for(len: usize) -> Option<usize> {
    SIZES.iter().position(|&size| len <= size)
}

/// Whether so many postings may stay in a block of a class.
fn stays(len: usize, class: usize) -> bool {
    class_for(len).is_some_and(|fitting| fitting + 1 >= class)
}

/// Blocks of a page.
const fn blocks_of(class: usize) -> usize {
    PAGE / SIZES[class]
}

impl Class {
    fn block(&self, class: usize, block: u32) -> &[Posting] {
        let (page, at) = (
            block as usize / blocks_of(class),
            block as usize % blocks_of(class),
        );
        &self.pages[page][at * SIZES[class]..][..SIZES[class]]
    }

    fn block_mut(&mut self, class: usize, block: u32) -> &mut [Posting] {
        let (page, at) = (
            block as usize / blocks_of(class),
            block as usize % blocks_of(class),
        );
        &mut self.pages[page][at * SIZES[class]..][..SIZES[class]]
    }

    #[expect(clippy::cast_possible_truncation, reason = "a chain of 32-bit numbers")]
    fn take(&mut self, class: usize) -> u32 {
        self.used += 1;
        if self.free != NONE {
            let block = self.free as u32;
            self.free = self.block(class, block)[0].0;
            return block;
        }
        if self.blocks.is_multiple_of(blocks_of(class)) {
            let is_first = self.pages.is_empty();
            let blocks = if is_first { 1 } else { blocks_of(class) };
            self.pages.push(Vec::with_capacity(blocks * SIZES[class]));
        }
        let page = &mut self.pages[self.blocks / blocks_of(class)];
        page.resize(page.len() + SIZES[class], Posting(NONE));
        self.blocks += 1;
        u32::try_from(self.blocks - 1).expect("BUG: more than 2^32 cells")
    }

    fn give(&mut self, class: usize, block: u32) {
        self.used -= 1;
        if self.used == 0 {
            *self = Self::default();
            return;
        }
        let next = self.free;
        self.block_mut(class, block)[0] = Posting(next);
        self.free = block.into();
    }
}

impl Lists {
    /// Shows its allocations to a mover.
    pub(super) fn relocate(&mut self, mover: &mut impl Mover) {
        for class in &mut self.classes {
            mover.vector(&mut class.pages);
            for page in &mut class.pages {
                mover.vector(page);
            }
        }
        for number in 0..self.many.end() {
            self.many.relocate(number, mover);
            if let Some(list) = self.many.get_mut(number) {
                mover.vector(list);
            }
        }
    }

    /// The postings of a list. `one` is a place for a list that has none of its own.
    pub(super) fn get<'a>(&'a self, value: Value, one: &'a mut Posting) -> &'a [Posting] {
        match List::of(value) {
            List::One(posting) => {
                *one = posting;
                std::slice::from_ref(one)
            }
            List::Few { block, class, len } => &self.classes[class].block(class, block)[..len],
            List::Many(number) => &self.many[number],
        }
    }

    /// Brings the first posting of a list near: a load that nothing waits for.
    pub(super) fn touch(&self, value: Value) -> u64 {
        let first = match List::of(value) {
            List::One(posting) => Some(posting),
            List::Few { block, class, .. } => {
                self.classes[class].block(class, block).first().copied()
            }
            List::Many(number) => self.many.get(number).and_then(|many| many.first().copied()),
        };
        first.map_or(0, |posting| posting.0)
    }

    /// Adds a posting to the list of a cell, and returns the list.
    pub(super) fn insert(&mut self, list: Option<Value>, posting: Posting) -> Value {
        let Some(value) = list else {
            return List::One(posting).value();
        };
        let mut list = List::of(value);
        match &mut list {
            List::Few { block, class, len } if *len < SIZES[*class] => {
                self.classes[*class].block_mut(*class, *block)[*len] = posting;
                *len += 1;
            }
            List::Many(number) => {
                if let Some(many) = self.many.get_mut(*number) {
                    many.push(posting);
                }
            }
            _ => {
                let mut one = Posting(0);
                let mut postings = self.get(value, &mut one).to_vec();
                postings.push(posting);
                self.drop(value);
                list = self.store(postings);
            }
        }
        list.value()
    }

    /// Takes the posting of a fence out of a list, and returns what is left of it.
    pub(super) fn remove(&mut self, value: Value, number: u32) -> Option<Value> {
        let mut one = Posting(0);
        let postings = self.get(value, &mut one);
        let Some(at) = postings.iter().position(|one| one.number() == number) else {
            return Some(value);
        };
        let left = postings.len() - 1;
        let mut list = List::of(value);
        match &mut list {
            List::One(_) => return None,
            // A list stays in its block until it fits one two classes smaller: not to and fro.
            List::Few { block, class, len } if left > 1 && stays(left, *class) => {
                let block = self.classes[*class].block_mut(*class, *block);
                block[at] = block[left];
                *len = left;
            }
            List::Many(number) if left * 2 > SIZES[SIZES.len() - 1] => {
                if let Some(many) = self.many.get_mut(*number) {
                    many.swap_remove(at);
                    if many.len() * 4 < many.capacity() {
                        many.shrink_to(left * 2);
                    }
                }
            }
            _ => {
                let mut postings = postings.to_vec();
                postings.swap_remove(at);
                self.drop(value);
                list = self.store(postings);
            }
        }
        Some(list.value())
    }

    fn store(&mut self, postings: Vec<Posting>) -> List {
        if let [one] = postings[..] {
            return List::One(one);
        }
        let len = postings.len();
        let Some(class) = class_for(len) else {
            return List::Many(self.many.insert(postings));
        };
        let block = self.classes[class].take(class);
        self.classes[class].block_mut(class, block)[..len].copy_from_slice(&postings);
        List::Few { block, class, len }
    }

    fn drop(&mut self, value: Value) {
        match List::of(value) {
            List::One(_) => {}
            List::Few { block, class, .. } => self.classes[class].give(class, block),
            List::Many(number) => {
                self.many.remove(number);
            }
        }
    }

    /// Bytes of its own allocations.
    pub(super) fn heap_bytes(&self) -> usize {
        let class = |class: &Class| {
            let pages = class.pages.iter();
            let pages: usize = pages
                .map(|page| rounded(page.capacity() * size_of::<Posting>()))
                .sum();
            pages + rounded(class.pages.capacity() * size_of::<Vec<Posting>>())
        };
        let few: usize = self.classes.iter().map(class).sum();
        let many = self.many.iter();
        let many: usize = many
            .map(|(_, many)| rounded(many.capacity() * size_of::<Posting>()))
            .sum();
        few + many + self.many.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_every_length_grow_and_shrink() {
        let mut lists = Lists::default();
        let mut all: [Option<Value>; 3] = [None; 3];
        let posting = |number| Posting::new(number, Extent::WHOLE);
        let numbers = |lists: &Lists, list: Option<Value>| {
            let mut one = posting(0);
            let postings = list.map_or(&[][..], |list| lists.get(list, &mut one));
            let mut numbers: Vec<u32> = postings.iter().map(|one| one.number()).collect();
            numbers.sort_unstable();
            numbers
        };
        for number in 0..300 {
            for list in &mut all {
                assert_eq!(numbers(&lists, *list).len(), number as usize);
                *list = Some(lists.insert(*list, posting(number)));
            }
        }
        let full = lists.heap_bytes();
        for number in 0..300 {
            let number = number * 7 % 300;
            for list in &mut all {
                *list = lists.remove(list.unwrap(), 1000);
                *list = lists.remove(list.unwrap(), number);
                let left = numbers(&lists, *list);
                assert!(!left.contains(&number) && left.is_sorted());
            }
        }
        assert_eq!(all, [None; 3]);
        assert!(lists.heap_bytes() < full / 3);
        assert!(lists.classes.iter().all(|class| class.pages.is_empty()));
    }
}
