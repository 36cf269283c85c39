//! Late samples: those not newer than the newest.
//!
//! Each falls into one block, which is decoded, changed and encoded again. Late samples tend to
//! come in runs (a gateway that was offline sends its backlog), so a run of samples that fall into
//! the same block shares one decoding and one encoding.

use super::block::{Block, SEAL_SAMPLES, SPLIT_SAMPLES};
use super::{Added, Series, Upsert};
use crate::engine::codec::Columns;
use crate::engine::{Error, Result, Sample, TimeRange};

/// Most samples of one run: insertion moves what lies behind, so a run must not grow a block
/// without bound.
const MAX_RUN: usize = 512;

/// The block a late sample falls into.
enum Place {
    Sealed(usize),
    Open,
}

impl Series {
    /// Adds the first of `samples`, which is late, and those after it that fall into the same
    /// block; returns how many that were.
    pub(super) fn add_late_run(
        &mut self,
        samples: &[Sample],
        upsert: &Upsert,
        tell: &mut impl FnMut(Sample, Result<Added>),
    ) -> usize {
        let (Some(&first), Some(newest)) = (samples.first(), self.newest()) else {
            return 0;
        };
        if first.time_ms == newest.time_ms {
            tell(first, self.add_at_newest(first, upsert));
            return 1;
        }
        if first.time_ms < self.visible().from {
            tell(first, Err(Error::OlderThanRetention));
            return 1;
        }
        let (place, range) = self.place(first, newest);
        let run = samples
            .iter()
            .take(MAX_RUN)
            .take_while(|one| range.contains(one.time_ms));
        let run = &samples[..run.count()];
        match place {
            Place::Sealed(index) => self.add_to_sealed(index, run, upsert, tell),
            Place::Open => self.add_to_open(run, upsert, tell),
        }
        run.len()
    }

    fn add_at_newest(&mut self, sample: Sample, upsert: &Upsert) -> Result<Added> {
        let Some(open) = &mut self.open else {
            return Ok(Added::Ignored);
        };
        if upsert.ignores(open.newest, sample) {
            return Ok(Added::Ignored);
        }
        let added = upsert.outcome(open.newest.value, sample.value)?;
        if let Added::Updated(value) = added {
            open.newest.value = value;
        }
        Ok(added)
    }

    /// The block for `sample`, and the times that belong to it, all of them visible and older than
    /// the newest.
    fn place(&self, sample: Sample, newest: Sample) -> (Place, TimeRange) {
        let visible_from = self.visible().from;
        let index = self
            .sealed
            .partition_point(|block| block.last_ms() < sample.time_ms);
        let before = index
            .checked_sub(1)
            .and_then(|before| self.sealed.get(before));
        let after_before = before
            .map_or(0, |block| block.last_ms() + 1)
            .max(visible_from);
        match self.sealed.get(index) {
            Some(block) => (
                Place::Sealed(index),
                TimeRange::new(after_before, block.last_ms()),
            ),
            None => (
                Place::Open,
                TimeRange::new(after_before, newest.time_ms - 1),
            ),
        }
    }

    fn add_to_sealed(
        &mut self,
        index: usize,
        run: &[Sample],
        upsert: &Upsert,
        tell: &mut impl FnMut(Sample, Result<Added>),
    ) {
        let mut columns = Columns::default();
        if let Some(block) = self.sealed.get(index) {
            block.read(&mut columns);
        }
        if upsert_all(&mut columns, run, upsert, tell) {
            self.replace_sealed(index, &columns);
        }
    }

    fn add_to_open(
        &mut self,
        run: &[Sample],
        upsert: &Upsert,
        tell: &mut impl FnMut(Sample, Result<Added>),
    ) {
        let mut columns = Columns::default();
        if let Some(open) = &self.open {
            open.read_from(0, &mut columns);
        }
        if upsert_all(&mut columns, run, upsert, tell) {
            self.replace_open(&columns);
        }
    }

    /// Replaces a sealed block by one that holds `columns`, by several if they are many, or by
    /// none.
    pub(super) fn replace_sealed(&mut self, index: usize, columns: &Columns) {
        let form = self.form();
        let pieces = if columns.len() <= SPLIT_SAMPLES {
            1
        } else {
            columns.len().div_ceil(SEAL_SAMPLES)
        };
        let piece_len = columns.len().div_ceil(pieces).max(1);
        let times = columns.times.chunks(piece_len);
        let values = columns.values.chunks(piece_len);
        let mut blocks = times
            .zip(values)
            .map(|(times, values)| Block::encode(times, values, form));
        match (self.sealed.get_mut(index), blocks.next()) {
            (Some(old), Some(block)) => *old = block,
            _ => {
                self.sealed.remove(index);
            }
        }
        for (offset, block) in blocks.enumerate() {
            self.make_room();
            self.sealed.insert(index + 1 + offset, block);
        }
    }

    /// Replaces the open block by one that holds `columns`; where there are none, the last sealed
    /// block becomes the open one.
    pub(super) fn replace_open(&mut self, columns: &Columns) {
        self.open = None;
        if columns.is_empty() {
            let Some(last) = self.sealed.pop_back() else {
                return;
            };
            let mut reopened = Columns::default();
            last.read(&mut reopened);
            self.push_all(&reopened);
        } else {
            self.push_all(columns);
        }
    }

    fn push_all(&mut self, columns: &Columns) {
        for (&time_ms, &value) in columns.times.iter().zip(&columns.values) {
            self.push_open(Sample::new(time_ms, value));
        }
    }
}

/// Puts samples among decoded ones; returns whether anything has changed.
fn upsert_all(
    columns: &mut Columns,
    samples: &[Sample],
    upsert: &Upsert,
    tell: &mut impl FnMut(Sample, Result<Added>),
) -> bool {
    let mut changed = false;
    for &sample in samples {
        let added = match columns.times.binary_search(&sample.time_ms) {
            Ok(at) => upsert
                .outcome(columns.values[at], sample.value)
                .inspect(|added| {
                    if let Added::Updated(value) = *added {
                        columns.values[at] = value;
                    }
                }),
            Err(at) => {
                columns.times.insert(at, sample.time_ms);
                columns.values.insert(at, sample.value);
                Ok(Added::Stored)
            }
        };
        changed |= matches!(added, Ok(Added::Stored | Added::Updated(_)));
        tell(sample, added);
    }
    changed
}
