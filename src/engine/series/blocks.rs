//! The sealed blocks of a series, kept so that a snapshot of millions of samples takes microseconds.
//!
//! ```text
//!  groups, shared with snapshots                          tail, own
//!  [ Arc | len ][ Arc | len ] ..                          [ block ][ block ] .. [ block ]
//!     |            `--> [ block ][ block ] .. [ block ]    1 to 2 x GROUP_BLOCKS - 1
//!     `--> [ block ] .. [ block ]
//!          1 to 2 x GROUP_BLOCKS
//! ```
//!
//! Blocks are appended to the tail, and its older half becomes a group when it is full: so what a
//! snapshot has to copy is bounded, and no append ever moves all descriptors of a long series. A
//! group that changes (a late sample, a deletion, retention) while a snapshot shares it is copied
//! first. Without any block the tail is empty, with some it is not.
//!
//! What all of them hold together is kept beside the groups, in 32 bytes that a series without a sealed
//! block does not pay for: there are most of those.
//!
//! Blocks are addressed by their place in the whole sequence. That is found in O(groups); near the
//! end, where most is done, in O(1).

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::slice;

use triomphe::Arc;

use super::Allocation;
use super::block::{Block, Payload};
use crate::engine::TimeRange;
use crate::engine::relocate::Mover;

/// Blocks of a group when it is formed.
const GROUP_BLOCKS: usize = 128;

/// A sequence of blocks in order of time.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    /// None without any block.
    rest: Option<Box<Rest>>,
    tail: Vec<Block>,
}

/// All but the tail.
#[derive(Clone, Debug, Default)]
struct Rest {
    sums: Sums,
    /// What is before the tail; most series are too short to have it.
    older: Option<Box<Older>>,
}

/// What all blocks hold together, kept as they come and go: nobody who asks goes through them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Samples.
    pub samples: u64,
    /// Bytes of the encoded samples.
    pub bytes: u64,
}

impl Sums {
    fn add(&mut self, block: &Block) {
        self.samples += block.len() as u64;
        self.bytes += block.bytes().len() as u64;
    }

    fn take(&mut self, block: &Block) {
        self.samples -= block.len() as u64;
        self.bytes -= block.bytes().len() as u64;
    }
}

#[derive(Clone, Debug, Default)]
struct Older {
    groups: VecDeque<Group>,
    /// Blocks in all groups.
    len: usize,
}

/// At least one block.
#[derive(Clone, Debug)]
struct Group {
    blocks: Arc<Vec<Block>>,
    /// Their number, to be had without a look at them.
    len: usize,
}

impl Group {
    fn new(blocks: Vec<Block>) -> Self {
        Self {
            len: blocks.len(),
            blocks: Arc::new(blocks),
        }
    }
}

/// Blocks of one consecutive piece of the sequence.
pub(super) type Segment<'a> = slice::Iter<'a, Block>;

/// Where a block is.
enum Place {
    Group { number: usize, at: usize },
    Tail { at: usize },
}

impl Blocks {
    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.older_len() + self.tail.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tail.is_empty()
    }

    /// What they hold together. O(1).
    #[inline]
    pub fn sums(&self) -> Sums {
        self.rest.as_ref().map_or(Sums::default(), |rest| rest.sums)
    }

    /// The same, counted. O(blocks).
    pub(super) fn count_sums(&self) -> Sums {
        let mut sums = Sums::default();
        self.iter().for_each(|block| sums.add(block));
        sums
    }

    fn older_len(&self) -> usize {
        self.older().map_or(0, |older| older.len)
    }

    fn older(&self) -> Option<&Older> {
        self.rest.as_ref()?.older.as_deref()
    }

    /// The oldest block.
    pub fn front(&self) -> Option<&Block> {
        self.segment(0).first()
    }

    /// The newest block.
    pub(super) fn back(&self) -> Option<&Block> {
        self.tail.last()
    }

    /// The block at a place.
    pub fn get(&self, index: usize) -> Option<&Block> {
        match self.place(index) {
            Place::Tail { at } => self.tail.get(at),
            Place::Group { number, at } => self.segment(number).get(at),
        }
    }

    /// All blocks, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Block> {
        (0..self.segment_count()).flat_map(|number| self.segment(number))
    }

    /// Consecutive pieces of the sequence; only the last may be empty.
    pub(super) fn segment_count(&self) -> usize {
        self.groups().map_or(0, VecDeque::len) + 1
    }

    /// One of the pieces.
    pub(super) fn segment(&self, number: usize) -> &[Block] {
        let group = self.groups().and_then(|groups| groups.get(number));
        group.map_or(&self.tail[..], |group| &group.blocks)
    }

    /// The segments that may hold blocks which overlap a range.
    pub(super) fn segments_inside(&self, range: TimeRange) -> Range<usize> {
        let Some(groups) = self.groups() else {
            return 0..1;
        };
        let before = |group: &Group| {
            let last = group.blocks.last();
            last.is_some_and(|block| block.last_ms() < range.from)
        };
        let begun = |group: &Group| {
            let first = group.blocks.first();
            first.is_some_and(|block| block.first_ms() <= range.to)
        };
        let (start, end) = (
            groups.partition_point(before),
            groups.partition_point(begun),
        );
        // Where the last group has begun, the tail may have too.
        let end = end + usize::from(end == groups.len());
        start..end.max(start)
    }

    /// The blocks of a segment that overlap a range.
    pub(super) fn segment_inside(&self, number: usize, range: TimeRange) -> Segment<'_> {
        let segment = self.segment(number);
        let covers = |first: &Block, last: &Block| range.covers(first.first_ms(), last.last_ms());
        if let (Some(first), Some(last)) = (segment.first(), segment.last())
            && covers(first, last)
        {
            return segment.iter();
        }
        let start = segment.partition_point(|block| block.last_ms() < range.from);
        let end = segment.partition_point(|block| block.first_ms() <= range.to);
        segment[start..end.max(start)].iter()
    }

    fn groups(&self) -> Option<&VecDeque<Group>> {
        self.older().map(|older| &older.groups)
    }

    /// The place of the first block that `is_before` does not hold for. It holds for all blocks up
    /// to one.
    pub(super) fn seek(&self, is_before: impl Fn(&Block) -> bool) -> usize {
        let mut passed = 0;
        if let Some(groups) = self.groups() {
            let number =
                groups.partition_point(|group| group.blocks.last().is_some_and(&is_before));
            passed = groups.range(..number).map(|group| group.len).sum();
            if let Some(group) = groups.get(number) {
                return passed + group.blocks.partition_point(is_before);
            }
        }
        passed + self.tail.partition_point(is_before)
    }

    /// The places of the blocks that overlap a range.
    pub(super) fn inside(&self, range: TimeRange) -> Range<usize> {
        let start = self.seek(|block| block.last_ms() < range.from);
        let end = self.seek(|block| block.first_ms() <= range.to);
        start..end.max(start)
    }

    /// Appends a block, which is newer than all others.
    pub fn push_back(&mut self, block: Block) {
        self.make_room();
        let rest = self.rest.get_or_insert_default();
        rest.sums.add(&block);
        self.tail.push(block);
        if self.tail.len() >= 2 * GROUP_BLOCKS {
            let oldest: Vec<Block> = self.tail.drain(..GROUP_BLOCKS).collect();
            let older = rest.older.get_or_insert_default();
            older.len += oldest.len();
            older.groups.push_back(Group::new(oldest));
        }
    }

    /// Grows the tail by a quarter of its power of two, and not by doubling: what is unused would
    /// cost more than the samples of a quiet series. All sizes are size classes of the usual
    /// allocators.
    fn make_room(&mut self) {
        let capacity = self.tail.capacity();
        if self.tail.len() == capacity {
            let more = if capacity < 4 {
                2
            } else {
                (1 << capacity.ilog2()) / 4
            };
            self.tail.reserve_exact(more);
        }
    }

    /// Appends a block to a series that rests, with no room for another.
    pub(super) fn push_back_exact(&mut self, block: Block) {
        if self.tail.len() == self.tail.capacity() {
            self.tail.reserve_exact(1);
        }
        self.push_back(block);
    }

    /// Gives back the room for more.
    pub fn shrink_to_fit(&mut self) {
        self.tail.shrink_to_fit();
    }

    /// Takes the oldest block away.
    pub(super) fn pop_front(&mut self) {
        self.replace(0, None);
    }

    /// Takes the newest block away.
    pub(super) fn pop_back(&mut self) -> Option<Block> {
        let block = self.tail.pop()?;
        if let Some(rest) = &mut self.rest {
            rest.sums.take(&block);
        }
        self.refill_tail();
        Some(block)
    }

    /// Puts any number of blocks in the place of one.
    pub(super) fn replace(&mut self, index: usize, by: impl IntoIterator<Item = Block>) {
        match self.place(index) {
            Place::Tail { at } => {
                self.change_tail(at..at + 1, by);
                self.refill_tail();
            }
            Place::Group { number, at } => self.change_group(number, at..at + 1, by),
        }
    }

    /// Removes the blocks of a range of places.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        let mut end = range.end;
        // From the end, so that the places before stay as they are.
        while range.start < end {
            let (number, at) = match self.place(end - 1) {
                Place::Tail { at } => (None, at),
                Place::Group { number, at } => (Some(number), at),
            };
            let start = (at + 1).saturating_sub(end - range.start);
            let removed = at + 1 - start;
            match number {
                None => self.change_tail(start..at + 1, None),
                Some(number) => self.change_group(number, start..at + 1, None),
            }
            end -= removed;
        }
        self.refill_tail();
    }

    fn place(&self, index: usize) -> Place {
        let Some(mut at) = self.older_len().checked_sub(index + 1) else {
            return Place::Tail {
                at: index - self.older_len(),
            };
        };
        // Counted from the end: `at` blocks of the groups lie behind the one we look for.
        let groups = self.older().into_iter().flat_map(|older| &older.groups);
        for (behind, group) in groups.rev().enumerate() {
            if at < group.len {
                return Place::Group {
                    number: self.segment_count() - 2 - behind,
                    at: group.len - 1 - at,
                };
            }
            at -= group.len;
        }
        unreachable!("BUG: groups hold fewer blocks than they count")
    }

    fn change_tail(&mut self, range: Range<usize>, by: impl IntoIterator<Item = Block>) {
        let rest = self.rest.get_or_insert_default();
        splice(&mut self.tail, range, by, &mut rest.sums);
    }

    /// Changes a group, which is copied before where a snapshot shares it.
    fn change_group(
        &mut self,
        number: usize,
        range: Range<usize>,
        by: impl IntoIterator<Item = Block>,
    ) {
        let Some(rest) = &mut self.rest else { return };
        let Some(older) = &mut rest.older else { return };
        let Some(group) = older.groups.get_mut(number) else {
            return;
        };
        let blocks = Arc::make_mut(&mut group.blocks);
        splice(blocks, range, by, &mut rest.sums);
        older.len = older.len - group.len + blocks.len();
        group.len = blocks.len();
        if group.len > 2 * GROUP_BLOCKS {
            let behind = blocks.split_off(GROUP_BLOCKS);
            group.len = GROUP_BLOCKS;
            older.groups.insert(number + 1, Group::new(behind));
        } else if group.len == 0 {
            older.groups.remove(number);
        }
        self.refill_tail();
    }

    /// Makes the last group the tail, where that is empty.
    fn refill_tail(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        if let Some(older) = &mut rest.older {
            if self.tail.is_empty()
                && let Some(mut last) = older.groups.pop_back()
            {
                older.len -= last.len;
                self.tail = mem::take(Arc::make_mut(&mut last.blocks));
            }
            if older.groups.is_empty() {
                rest.older = None;
            }
        }
        if self.tail.is_empty() {
            self.rest = None;
        }
    }

    /// Shows the allocations of the descriptors to a mover, those of shared groups left out.
    pub(super) fn relocate(&mut self, mover: &mut impl Mover) {
        mover.vector(&mut self.tail);
        let Some(rest) = &mut self.rest else { return };
        mover.block(rest);
        let Some(older) = &mut rest.older else { return };
        mover.block(older);
        // A queue and a vector are made of each other without an allocation.
        let mut groups = Vec::from(mem::take(&mut older.groups));
        mover.vector(&mut groups);
        for group in &mut groups {
            mover.counted(&mut group.blocks);
            if let Some(blocks) = Arc::get_mut(&mut group.blocks) {
                mover.vector(blocks);
            }
        }
        older.groups = groups.into();
    }

    /// The payloads, for whoever moves their allocations. Those of shared groups are left out.
    pub(super) fn payloads_mut(&mut self) -> impl Iterator<Item = &mut Payload> {
        let older = self.rest.iter_mut().flat_map(|rest| &mut rest.older);
        let groups = older.flat_map(|older| &mut older.groups);
        groups
            .filter_map(|group| Arc::get_mut(&mut group.blocks))
            .chain(Some(&mut self.tail))
            .flatten()
            .map(Block::payload_mut)
    }

    /// Every heap allocation.
    pub(super) fn allocations(&self, visit: &mut impl FnMut(Allocation)) {
        if let Some(rest) = &self.rest {
            visit(Allocation::At((&raw const **rest).cast(), 1));
        }
        if let Some(older) = self.older() {
            visit(Allocation::At((&raw const *older).cast(), 1));
            visit(Allocation::Bytes(
                older.groups.capacity() * size_of::<Group>(),
            ));
            for group in &older.groups {
                let owners = Arc::strong_count(&group.blocks).max(1);
                visit(Allocation::At(group.blocks.heap_ptr().cast(), owners));
                visit_all(&group.blocks, owners, visit);
            }
        }
        visit_all(&self.tail, 1, visit);
    }
}

/// Puts blocks in the place of others, and keeps the sums.
fn splice(
    blocks: &mut Vec<Block>,
    range: Range<usize>,
    by: impl IntoIterator<Item = Block>,
    sums: &mut Sums,
) {
    let mut coming = Sums::default();
    let by = by.into_iter().inspect(|block| coming.add(block));
    for block in blocks.splice(range, by) {
        sums.take(&block);
    }
    sums.samples += coming.samples;
    sums.bytes += coming.bytes;
}

fn visit_all(blocks: &Vec<Block>, owners: usize, visit: &mut impl FnMut(Allocation)) {
    if blocks.capacity() > 0 {
        visit(Allocation::Bytes(
            blocks.capacity() * size_of::<Block>() / owners,
        ));
    }
    for block in blocks {
        let owners = owners * Payload::strong_count(block.payload()).max(1);
        visit(Allocation::At(block.payload().heap_ptr().cast(), owners));
    }
}

impl FromIterator<Block> for Blocks {
    fn from_iter<I: IntoIterator<Item = Block>>(iter: I) -> Self {
        let mut blocks = Self::default();
        for block in iter {
            blocks.push_back(block);
        }
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::Form;
    use super::*;

    fn block(number: usize) -> Block {
        let time_ms = i64::try_from(number).unwrap() * 10;
        Block::encode(&[time_ms, time_ms + 5], &[1.0, 2.0], Form::Raw)
    }

    fn firsts(blocks: &Blocks) -> Vec<i64> {
        blocks.iter().map(Block::first_ms).collect()
    }

    /// Everything that the structure promises of itself, and the same order as the model's.
    fn check(blocks: &Blocks, model: &[i64]) {
        assert_eq!(firsts(blocks), model);
        assert_eq!(blocks.len(), model.len());
        assert_eq!(blocks.sums(), blocks.count_sums());
        assert_eq!(blocks.rest.is_none(), model.is_empty());
        assert_eq!(blocks.is_empty(), model.is_empty());
        assert!(blocks.tail.len() < 2 * GROUP_BLOCKS);
        let groups = blocks.groups();
        assert!(groups.is_none_or(|groups| !groups.is_empty()));
        for group in groups.into_iter().flatten() {
            assert_eq!(group.len, group.blocks.len());
            assert!((1..=2 * GROUP_BLOCKS).contains(&group.len));
        }
        for (index, &first) in model.iter().enumerate() {
            assert_eq!(blocks.get(index).unwrap().first_ms(), first);
            assert_eq!(blocks.seek(|block| block.first_ms() < first), index);
        }
        assert!(blocks.get(model.len()).is_none());
    }

    #[test]
    fn blocks_behave_as_one_array_and_snapshots_stay_as_they_were() {
        let count = 5 * GROUP_BLOCKS + 7;
        let mut blocks: Blocks = (0..count).map(|number| block(3 * number)).collect();
        let mut model = firsts(&blocks);
        assert!(blocks.segment_count() > 3);
        check(&blocks, &model);
        let (snapshot, before) = (blocks.clone(), model.clone());
        let mut seed = 1_u64;
        for step in 0..400 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(seed >> 33).unwrap() % model.len().max(1);
            match step % 5 {
                _ if model.is_empty() => {}
                0 => {
                    blocks.pop_front();
                    model.remove(0);
                }
                1 => {
                    let last = blocks.pop_back().map(|block| block.first_ms());
                    assert_eq!(last, model.pop());
                }
                2 => {
                    let end = (at + 9).min(model.len());
                    blocks.remove(at..end);
                    model.drain(at..end);
                }
                _ => {
                    let number = usize::try_from(model[at]).unwrap() / 10;
                    blocks.replace(at, [block(number), block(number)]);
                    model.insert(at, model[at]);
                    // The second of two equal ones, so that the order stays strict.
                    blocks.replace(at + 1, None);
                    model.remove(at + 1);
                }
            }
            if step % 40 == 0 {
                check(&blocks, &model);
            }
        }
        check(&blocks, &model);
        blocks.remove(0..model.len());
        check(&blocks, &[]);
        check(&snapshot, &before);
    }

    #[test]
    fn a_group_that_grows_is_split() {
        let mut blocks: Blocks = (0..3 * GROUP_BLOCKS).map(|one| block(1000 * one)).collect();
        let mut model = firsts(&blocks);
        for added in 1..2 * GROUP_BLOCKS {
            let number = |first: i64| usize::try_from(first / 10).unwrap();
            let at = added - 1;
            blocks.replace(at, [block(number(model[at])), block(added)]);
            model.insert(at + 1, i64::try_from(added).unwrap() * 10);
        }
        check(&blocks, &model);
        assert!(blocks.segment_count() > 3);
    }

    #[test]
    fn payloads_of_shared_groups_do_not_move() {
        let mut blocks: Blocks = (0..2 * GROUP_BLOCKS).map(block).collect();
        assert_eq!(blocks.payloads_mut().count(), 2 * GROUP_BLOCKS);
        let snapshot = blocks.clone();
        assert_eq!(blocks.payloads_mut().count(), GROUP_BLOCKS);
        drop(snapshot);
        assert_eq!(blocks.payloads_mut().count(), 2 * GROUP_BLOCKS);
    }
}
