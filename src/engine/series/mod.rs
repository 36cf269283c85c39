//! A series: the samples of one sensor in order of time.
//!
//! ```text
//!  hidden by retention                                                    open block
//!      |   sealed blocks, immutable, at most 640 samples each          encoder      newest
//!  [ ::|==== ][ ========= ][ ========= ][ ==== ][ ========= ]  ...  [ ========== ]  [ = ]
//!      ^
//!      newest - retention: reads begin here; a block wholly before it is dropped
//! ```
//!
//! Invariants, checked by [`Series::validate`]:
//! - times rise strictly through all blocks and are never negative;
//! - a sealed block has 1 to [`SPLIT_SAMPLES`] samples;
//! - with any sample at all there is an open block, so the newest sample is always at hand;
//! - no sealed block lies wholly before the retention window.
//!
//! Appending is O(1) amortised. A late sample re-encodes the one block it falls into, and at the end
//! of the series, where late samples mostly fall, not even that (see `late`). What is kept in a form
//! that waits for more samples is packed once they do not come (see `settle`).

pub mod block;
mod blocks;
mod cursor;
mod delete;
mod digest;
mod duplicates;
mod late;
mod open;
mod relocate;
mod settle;

use triomphe::Arc;

use super::codec::Columns;
use super::options::{Encoding, Options};
use super::rule::Links;
use super::{Error, Result, Sample, TimeRange, Timestamp};
use block::{Block, Form, SPLIT_SAMPLES};
pub use blocks::{Blocks, Sums};
pub use cursor::{Cursor, Order, Part};
pub use duplicates::{Added, Upsert};
use open::{Open, Tail};

/// A series of samples. A clone is a snapshot: it shares the sealed blocks and copies some hundred
/// descriptors at most, whatever the length.
#[derive(Clone, Debug)]
pub struct Series {
    options: Options,
    sealed: Blocks,
    open: Option<Open>,
    /// What ties it to other series; mostly nothing.
    pub(super) links: Option<Arc<Links>>,
}

/// A heap allocation of a series, for a host that accounts for memory.
#[derive(Clone, Copy, Debug)]
pub enum Allocation {
    /// One that begins here, and in how many series it counts.
    At(*const u8, usize),
    /// One of this many bytes.
    Bytes(usize),
}

impl Series {
    /// An empty series.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            sealed: Blocks::default(),
            open: None,
            links: None,
        }
    }

    /// Puts a series together from its blocks, and checks what they claim.
    ///
    /// # Errors
    /// `Corrupt` where an invariant does not hold.
    pub fn from_blocks(options: Options, sealed: Blocks, open: &Columns) -> Result<Self> {
        let mut series = Self {
            options,
            sealed,
            open: None,
            links: None,
        };
        block::check_times(&open.times)?;
        for (&time_ms, &value) in open.times.iter().zip(&open.values) {
            series.push_open(Sample::new(time_ms, value));
        }
        series.validate()?;
        series.expire();
        Ok(series)
    }

    /// Its options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes options. What retention hid before is gone, also when it grows; a new encoding or
    /// chunk size counts for blocks sealed from now on.
    pub fn alter(&mut self, change: impl FnOnce(&mut Options)) {
        self.forget_hidden();
        self.begin_rules_at(self.visible().from);
        change(&mut self.options);
        self.expire();
    }

    /// The newest sample. O(1).
    #[inline]
    pub fn newest(&self) -> Option<Sample> {
        self.open.as_ref().map(|open| open.newest)
    }

    /// The times that reads may see; empty where there is no sample.
    pub fn visible(&self) -> TimeRange {
        match self.newest() {
            None => TimeRange::new(0, -1),
            Some(newest) => TimeRange::new(self.cutoff_ms(newest.time_ms), newest.time_ms),
        }
    }

    /// The first time inside the retention window that ends at `newest_ms`.
    fn cutoff_ms(&self, newest_ms: Timestamp) -> Timestamp {
        if self.options.retention_ms == 0 {
            return 0;
        }
        newest_ms.saturating_sub(self.options.retention_ms).max(0)
    }

    /// Adds one sample, whose time is not negative.
    ///
    /// # Errors
    /// `OlderThanRetention`, `Duplicate`, `NotANumber`; nothing has changed then.
    #[inline]
    pub fn add(&mut self, sample: Sample, upsert: &Upsert) -> Result<Added> {
        let Some(open) = &mut self.open else {
            self.open = Some(Open::starting_with(sample));
            return Ok(Added::Stored);
        };
        if sample.time_ms > open.newest.time_ms {
            if upsert.ignores(open.newest, sample) {
                return Ok(Added::Ignored);
            }
            self.append(sample);
            return Ok(Added::Stored);
        }
        self.add_late(sample, upsert)
    }

    #[cold]
    fn add_late(&mut self, sample: Sample, upsert: &Upsert) -> Result<Added> {
        let mut result = Err(Error::OlderThanRetention);
        self.add_late_run(&[sample], upsert, &mut |_, outcome| result = outcome);
        result
    }

    /// Adds samples in the order given, and tells for each of them what became of it. Late samples
    /// that follow each other into the same block re-encode it once.
    pub fn add_all(
        &mut self,
        samples: &[Sample],
        upsert: &Upsert,
        tell: &mut impl FnMut(Sample, Result<Added>),
    ) {
        let mut rest = samples;
        while let Some((&sample, after)) = rest.split_first() {
            if self
                .newest()
                .is_none_or(|newest| sample.time_ms > newest.time_ms)
            {
                let outcome = self.add(sample, upsert);
                tell(sample, outcome);
                rest = after;
            } else {
                let taken = self.add_late_run(rest, upsert, tell);
                rest = &rest[taken..];
            }
        }
    }

    /// Adds `amount` to the newest value, at `time_ms`: at the newest time in place, later as a new
    /// sample. An empty series begins at 0.
    ///
    /// # Errors
    /// `BackInTime`, `IncrementOfNan`; nothing has changed then.
    pub fn increment(&mut self, time_ms: Timestamp, amount: f64, upsert: &Upsert) -> Result<Added> {
        let newest = self.newest();
        if newest.is_some_and(|newest| time_ms < newest.time_ms) {
            return Err(Error::BackInTime);
        }
        let base = newest.map_or(0.0, |newest| newest.value);
        let value = base + amount;
        if value.is_nan() {
            return Err(Error::IncrementOfNan);
        }
        self.add(Sample::new(time_ms, value), upsert)
    }

    /// Appends a sample newer than the newest, seals the open block when it is full, and drops
    /// what falls out of the retention window.
    #[inline]
    fn append(&mut self, sample: Sample) {
        self.push_open(sample);
        if self.options.retention_ms != 0 {
            self.expire();
        }
    }

    #[inline]
    fn push_open(&mut self, sample: Sample) {
        let Some(open) = &mut self.open else {
            self.open = Some(Open::starting_with(sample));
            return;
        };
        open.append(sample);
        if open.is_full(self.options.chunk_bytes as usize) {
            self.seal();
        }
    }

    /// Seals the tail of the open block.
    #[cold]
    #[inline(never)]
    fn seal(&mut self) {
        let form = self.form();
        let Some(open) = &mut self.open else { return };
        match open.take_tail() {
            Tail::Stream(encoder) => {
                let mut columns = Columns::default();
                encoder
                    .decode_into(&mut columns)
                    .expect("BUG: an open block decodes");
                if self.merge_with_last(&columns, encoder.size_bytes(), SPLIT_SAMPLES) {
                    return;
                }
                let Columns { times, values } = &columns;
                let block = match form {
                    Form::Raw => Block::encode(times, values, form),
                    Form::Gorilla | Form::Packed => Block::smallest(times, values, form, encoder),
                };
                self.sealed.push_back(block);
            }
            Tail::Columns(plain) => {
                for block in block::encode_all(&plain.columns, form) {
                    self.sealed.push_back(block);
                }
            }
        }
        self.cool();
    }

    fn form(&self) -> Form {
        match self.options.encoding {
            Encoding::Compressed => Form::Packed,
            Encoding::Gorilla => Form::Gorilla,
            Encoding::Uncompressed => Form::Raw,
        }
    }

    /// Drops blocks that lie wholly before the retention window. O(1) unless there are some.
    fn expire(&mut self) {
        let cutoff_ms = self.visible().from;
        while self
            .sealed
            .front()
            .is_some_and(|block| block.last_ms() < cutoff_ms)
        {
            self.sealed.pop_front();
        }
        if self.sealed.is_empty()
            && let Some(open) = &mut self.open
            && open
                .tail_last_ms()
                .is_some_and(|last_ms| last_ms < cutoff_ms)
        {
            open.take_tail();
        }
    }

    /// Number of samples that reads may see. O(blocks), and one block is decoded where retention
    /// ends inside it.
    pub fn len(&self) -> u64 {
        self.count_in(TimeRange::ALL)
    }

    /// Number of samples of a range that reads may see. O(blocks of the range), and at most the two
    /// blocks at its ends are decoded.
    pub fn count_in(&self, range: TimeRange) -> u64 {
        let visible = self.visible();
        let range = TimeRange::new(range.from.max(visible.from), range.to.min(visible.to));
        let mut columns = Columns::default();
        let parts = self.parts(range, Order::Ascending);
        let counts = parts.map(|part| {
            if range.covers(part.first_ms(), part.last_ms()) {
                return part.sample_count();
            }
            part.read(range, &mut columns);
            columns.len()
        });
        counts.sum::<usize>() as u64
    }

    /// Number of samples from a time on, counted no further than to `enough`.
    pub fn count_up_to(&self, from_ms: Timestamp, enough: u64) -> u64 {
        let mut count = 0;
        let range = TimeRange::new(from_ms, Timestamp::MAX);
        for part in self.parts(range, Order::Descending) {
            if count >= enough {
                break;
            }
            let inside = TimeRange::new(from_ms.max(part.first_ms()), part.last_ms());
            count += self.count_in(inside);
        }
        count.min(enough)
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.open.is_none()
    }

    /// The oldest sample that reads may see.
    pub fn oldest(&self) -> Option<Sample> {
        let visible = self.visible();
        let mut columns = Columns::default();
        self.parts(visible, Order::Ascending)
            .next()?
            .read(visible, &mut columns);
        Some(Sample::new(
            *columns.times.first()?,
            *columns.values.first()?,
        ))
    }

    /// The blocks that hold times of `range`, in an order.
    pub fn parts(&self, range: TimeRange, order: Order) -> Cursor<'_> {
        Cursor::new(self, range, order)
    }

    /// The times in which samples may differ from those of a snapshot taken before: those of the
    /// blocks that are not shared with it. O(blocks).
    pub fn changed_since(&self, snapshot: &Self) -> Vec<TimeRange> {
        let of = |series: &Self| -> Vec<(TimeRange, *const u8)> {
            let parts = series.parts(TimeRange::ALL, Order::Ascending);
            let identity = |part: Part<'_>| {
                let payload = part.sealed().map(|block| block.bytes().as_ptr());
                (
                    TimeRange::new(part.first_ms(), part.last_ms()),
                    payload.unwrap_or(std::ptr::null()),
                )
            };
            parts.map(identity).collect()
        };
        let (mine, theirs) = (of(self), of(snapshot));
        let shared = |one: &(TimeRange, *const u8), others: &[(TimeRange, *const u8)]| {
            let at = others.partition_point(|(range, _)| range.from < one.0.from);
            !one.1.is_null() && others.get(at).is_some_and(|(_, payload)| *payload == one.1)
        };
        let changed = mine.iter().filter(|one| !shared(one, &theirs));
        let gone = theirs.iter().filter(|one| !shared(one, &mine));
        changed.chain(gone).map(|(range, _)| *range).collect()
    }

    /// The sealed blocks, oldest first.
    pub fn sealed(&self) -> &Blocks {
        &self.sealed
    }

    /// Number of blocks, sealed and open: the work of freeing the series.
    pub fn block_count(&self) -> usize {
        self.sealed.len() + usize::from(self.open.is_some())
    }

    /// Samples that are held, those that retention hides in the oldest block included, and the bytes
    /// that they take as they are encoded. O(1).
    #[inline]
    pub fn sums(&self) -> Sums {
        let Sums { samples, bytes } = self.sealed.sums();
        let (len, size_bytes) = self
            .open
            .as_ref()
            .map_or((0, 0), |open| (open.len(), open.size_bytes()));
        Sums {
            samples: samples + len as u64,
            bytes: bytes + size_bytes as u64,
        }
    }

    /// Every heap allocation of the series.
    pub fn allocations(&self, visit: &mut impl FnMut(Allocation)) {
        if !self.options.labels.is_empty() {
            visit(Allocation::At(self.options.labels.packed().as_ptr(), 1));
        }
        self.sealed.allocations(visit);
        match self.open.as_ref().map(Open::tail) {
            Some(Tail::Stream(encoder)) if encoder.buffer().capacity() > 0 => {
                visit(Allocation::At(encoder.buffer().as_ptr(), 1));
            }
            Some(Tail::Columns(plain)) => {
                visit(Allocation::At((&raw const **plain).cast(), 1));
                if !plain.columns.is_empty() {
                    visit(Allocation::At(plain.columns.times.as_ptr().cast(), 1));
                    visit(Allocation::At(plain.columns.values.as_ptr().cast(), 1));
                }
            }
            _ => {}
        }
    }

    /// Checks the invariants. O(blocks), and the open block is decoded.
    ///
    /// # Errors
    /// `Corrupt` with what does not hold.
    pub fn validate(&self) -> Result<()> {
        let mut columns = Columns::default();
        match &self.open {
            Some(open) => open.read_from(0, &mut columns),
            None if self.sealed.is_empty() => {}
            None => {
                return Err(Error::Corrupt {
                    what: "no open block",
                });
            }
        }
        block::check_times(&columns.times)?;
        debug_assert_eq!(self.sealed.sums(), self.sealed.count_sums());
        let sealed = self
            .sealed
            .iter()
            .map(|block| (block.first_ms(), block.last_ms()));
        let open = columns.times.first().map(|&first| (first, first));
        let mut before_ms = -1;
        for (first_ms, last_ms) in sealed.chain(open) {
            if first_ms <= before_ms || last_ms < first_ms {
                return Err(Error::Corrupt {
                    what: "blocks out of order",
                });
            }
            before_ms = last_ms;
        }
        Ok(())
    }
}
