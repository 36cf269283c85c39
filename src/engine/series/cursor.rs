//! Reading a range block by block.

use std::ops::Range;

use super::Series;
use super::block::Block;
use super::blocks::{Blocks, Segment};
use super::open::Open;
use crate::engine::codec::Columns;
use crate::engine::{TimeRange, Timestamp};

/// The direction of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// One block of a series.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a>(Kind<'a>);

#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    Sealed(&'a Block),
    Open(&'a Open),
}

impl<'a> Part<'a> {
    /// The block, if it is sealed: its descriptor may spare the decoding.
    pub fn sealed(self) -> Option<&'a Block> {
        match self.0 {
            Kind::Sealed(block) => Some(block),
            Kind::Open(_) => None,
        }
    }

    /// Time of its first sample.
    pub fn first_ms(self) -> Timestamp {
        match self.0 {
            Kind::Sealed(block) => block.first_ms(),
            Kind::Open(open) => open.first_ms(),
        }
    }

    /// Time of its last sample.
    pub fn last_ms(self) -> Timestamp {
        match self.0 {
            Kind::Sealed(block) => block.last_ms(),
            Kind::Open(open) => open.newest.time_ms,
        }
    }

    /// Number of its samples.
    pub fn sample_count(self) -> usize {
        match self.0 {
            Kind::Sealed(block) => block.len(),
            Kind::Open(open) => open.len(),
        }
    }

    /// Bytes of its encoded samples.
    pub fn size_bytes(self) -> usize {
        match self.0 {
            Kind::Sealed(block) => block.bytes().len(),
            Kind::Open(open) => open.size_bytes(),
        }
    }

    /// Replaces `out` by the samples inside `range`, oldest first whatever the order of reading.
    pub fn read(self, range: TimeRange, out: &mut Columns) {
        out.clear();
        match self.0 {
            Kind::Sealed(block) => block.read(out),
            Kind::Open(open) => open.read_from(range.from, out),
        }
        if !range.covers(self.first_ms(), self.last_ms()) {
            let end = out.times.partition_point(|&time_ms| time_ms <= range.to);
            let start = out.times.partition_point(|&time_ms| time_ms < range.from);
            out.truncate(end);
            out.times.drain(..start.min(end));
            out.values.drain(..start.min(end));
        }
    }
}

/// The blocks that overlap a range; an iterator over [`Part`]s.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    sealed: &'a Blocks,
    /// The segments of the sealed blocks not yet begun.
    segments: Range<usize>,
    /// What is left of the one begun.
    begun: Segment<'a>,
    range: TimeRange,
    /// The open block, unless it is given or outside.
    open: Option<&'a Open>,
    order: Order,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(series: &'a Series, range: TimeRange, order: Order) -> Self {
        let sealed = &series.sealed;
        let open = series.open.as_ref().filter(|open| {
            !range.is_empty() && range.from <= open.newest.time_ms && open.first_ms() <= range.to
        });
        Self {
            sealed,
            segments: sealed.segments_inside(range),
            begun: Segment::default(),
            range,
            open,
            order,
        }
    }

    fn next_sealed(&mut self) -> Option<Part<'a>> {
        loop {
            let block = match self.order {
                Order::Ascending => self.begun.next(),
                Order::Descending => self.begun.next_back(),
            };
            if let Some(block) = block {
                return Some(Part(Kind::Sealed(block)));
            }
            let number = match self.order {
                Order::Ascending => self.segments.next(),
                Order::Descending => self.segments.next_back(),
            };
            self.begun = self.sealed.segment_inside(number?, self.range);
        }
    }

    fn next_open(&mut self) -> Option<Part<'a>> {
        self.open.take().map(|open| Part(Kind::Open(open)))
    }
}

impl<'a> Iterator for Cursor<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        match self.order {
            Order::Ascending => self.next_sealed().or_else(|| self.next_open()),
            Order::Descending => self.next_open().or_else(|| self.next_sealed()),
        }
    }
}
