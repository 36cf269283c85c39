//! Late samples: those not newer than the newest.
//!
//! ```text
//!      cold: decode, insert, encode            warm: raw once touched     columns once touched
//!   ..[ sealed ][ sealed ][ sealed ][ sealed ][ sealed ][ sealed ]         [ open ]
//!                                              `-- WARM_BLOCKS --'
//! ```
//!
//! Each falls into one block. Most are late by seconds or minutes and fall into the open block, or
//! into the last sealed ones: what is touched there is held raw, so that the next late sample is
//! inserted by copying, and gets its form back when newer blocks have pushed it out of the warm
//! end. At most so many blocks of a series are raw, and only if it had late samples.
//!
//! Late samples also come in runs (a gateway that was offline sends its backlog), so a run of
//! samples that fall into the same block shares one decoding and one encoding.

use super::block::{self, Block, Form};
use super::{Added, Series, Upsert};
use crate::engine::codec::Columns;
use crate::engine::{Error, Result, Sample, TimeRange};

/// Most samples of one run: insertion moves what lies behind, so a run must not grow a block
/// without bound.
const MAX_RUN: usize = 512;

/// Sealed blocks at the end of a series that stay raw after a late sample. With the open block
/// they reach back a thousand samples or more: 17 minutes at one a second.
const WARM_BLOCKS: usize = 2;

/// Blocks that can leave the warm end at once: a full run splits a block in three.
const COOLED_BLOCKS: usize = 4;

/// Samples of a block, where one that is still to be made is counted.
const FEW: usize = 128;

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

    /// How often samples that are added in this order fall late into another place than the late one before:
    /// each time costs a block that is decoded and encoded. Those in order of time, up or down, cost as many
    /// as there are blocks that they fall into. O(n log n), and O(n) where none is late.
    pub fn late_jumps(&self, samples: &[Sample]) -> usize {
        let newest_ms = self.newest().map_or(-1, |newest| newest.time_ms);
        let times = samples.iter().map(|sample| sample.time_ms);
        let in_order = std::iter::once(newest_ms).chain(times.clone());
        if in_order.is_sorted_by(|one, next| one < next) {
            return 0;
        }
        // What is behind all that is stored makes blocks of its own.
        let mut behind: Vec<_> = times
            .clone()
            .filter(|&time_ms| time_ms > newest_ms)
            .collect();
        behind.sort_unstable();
        let place = |time_ms| {
            if time_ms <= newest_ms {
                self.sealed.seek(|block| block.last_ms() < time_ms)
            } else {
                let rank = behind.partition_point(|&one| one < time_ms);
                self.sealed.len() + 1 + rank / FEW
            }
        };
        let (mut head_ms, mut last, mut jumps) = (newest_ms, None, 0);
        for time_ms in times {
            if time_ms > head_ms {
                head_ms = time_ms;
                continue;
            }
            let here = Some(place(time_ms));
            jumps += usize::from(here != last);
            last = here;
        }
        jumps
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
        let index = self.sealed.seek(|block| block.last_ms() < sample.time_ms);
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
        let Some(block) = self.sealed.get(index) else {
            return;
        };
        let mut columns = Columns::default();
        block.read(&mut columns);
        if upsert_all(&mut columns, run, upsert, tell) {
            let is_warm = index + WARM_BLOCKS >= self.sealed.len();
            let form = if is_warm { Form::Raw } else { self.form() };
            self.replace_sealed(index, &columns, form);
            self.cool();
            if let Some(open) = &mut self.open {
                open.set_age(0);
            }
        }
    }

    fn add_to_open(
        &mut self,
        run: &[Sample],
        upsert: &Upsert,
        tell: &mut impl FnMut(Sample, Result<Added>),
    ) {
        let full_bytes = self.options.chunk_bytes as usize;
        if let Some(open) = &mut self.open {
            open.change_tail(full_bytes, |columns| upsert_all(columns, run, upsert, tell));
            if open.is_full(full_bytes) {
                self.seal();
            }
        }
    }

    /// Replaces a sealed block by one that holds `columns`, by several if they are many, or by
    /// none.
    pub(super) fn replace_sealed(&mut self, index: usize, columns: &Columns, form: Form) {
        let blocks = block::encode_all(columns, form);
        self.sealed.replace(index, blocks);
    }

    /// Gives blocks that are warm no longer the form of the series.
    pub(super) fn cool(&mut self) {
        self.cool_until(self.sealed.len().saturating_sub(WARM_BLOCKS));
    }

    /// Gives all blocks the form of the series.
    pub(super) fn cool_all(&mut self) {
        self.cool_until(self.sealed.len());
    }

    fn cool_until(&mut self, end: usize) {
        let form = self.form();
        let mut columns = Columns::default();
        if form == Form::Raw {
            return;
        }
        for index in end.saturating_sub(COOLED_BLOCKS)..end {
            if let Some(block) = self.sealed.get(index)
                && block.form() == Form::Raw
            {
                columns.clear();
                block.read(&mut columns);
                let block = Block::encode(&columns.times, &columns.values, form);
                self.sealed.replace(index, Some(block));
            }
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
        changed |= added.as_ref().is_ok_and(|one| one.is_change());
        tell(sample, added);
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::options::{DuplicatePolicy, Ignore, Options};

    fn raw_blocks(series: &Series) -> Vec<usize> {
        let forms = series.sealed().iter().map(Block::form).enumerate();
        forms
            .filter(|&(_, form)| form == Form::Raw)
            .map(|(index, _)| index)
            .collect()
    }

    #[test]
    fn samples_that_cost_a_block_each_are_counted_before_they_do() {
        let mut series = Series::new(Options::default());
        for step in 0..10_000 {
            let sample = Sample::new(step * 1_000, f64::from(u32::try_from(step).unwrap()).sqrt());
            series.add(sample, &Upsert::KEEP_LAST).unwrap();
        }
        let blocks = series.sealed().len() + 1;
        let at = |steps: &mut dyn Iterator<Item = i64>| {
            let samples: Vec<_> = steps
                .map(|step| Sample::new(step * 1_000 + 1, 1.0))
                .collect();
            series.late_jumps(&samples)
        };
        assert_eq!(at(&mut (10_000..20_000)), 0, "not late");
        assert_eq!(at(&mut (0..9_000)), at(&mut (0..9_000).rev()));
        assert!(at(&mut (0..9_999)) <= blocks);
        let to_and_fro = (0..5_000).flat_map(|step| [step, 9_000 - step]);
        assert!(at(&mut to_and_fro.take(5_000)) > 4_000);
        // Late among each other, behind all that is stored.
        assert_eq!(at(&mut (10_000..20_000).rev()), 10_000 / FEW + 1);
        assert_eq!(
            at(&mut [30_000].into_iter().chain(10_000..20_000)),
            10_000 / FEW + 1
        );
        let pieces =
            (0..100).flat_map(|piece| (0..100).map(move |step| 10_000 + step * 100 + piece));
        assert!(at(&mut pieces.clone()) > 7_000);
    }

    #[test]
    fn only_the_end_of_a_series_is_ever_raw() {
        let mut series = Series::new(Options::default());
        let mut stored = 0;
        for step in 0..20_000 {
            let sample = Sample::new(step * 1_000, 1.0);
            assert_eq!(series.add(sample, &Upsert::KEEP_LAST), Ok(Added::Stored));
            if step > 9_000 {
                let late = Sample::new((step - (step * 7_919) % 9_000) * 1_000 - 500, 2.0);
                stored += u64::from(series.add(late, &Upsert::KEEP_LAST) == Ok(Added::Stored));
            }
            let first_warm = series.sealed().len().saturating_sub(WARM_BLOCKS);
            assert!(raw_blocks(&series).iter().all(|&index| index >= first_warm));
        }
        assert!(!raw_blocks(&series).is_empty());
        assert!(stored > 5_000);
        assert_eq!(series.len(), 20_000 + stored);
        assert_eq!(series.validate(), Ok(()));
    }

    #[test]
    fn a_sample_that_changes_nothing_leaves_the_open_block_as_it_was() {
        let mut series = Series::new(Options::default());
        for step in 0..100 {
            assert!(
                series
                    .add(Sample::new(step, 1.0), &Upsert::KEEP_LAST)
                    .is_ok()
            );
        }
        let size = |series: &Series| {
            let parts = series.parts(TimeRange::ALL, super::super::Order::Ascending);
            parts.map(super::super::Part::size_bytes).sum::<usize>()
        };
        let before = size(&series);
        let refuse = Upsert::Client {
            policy: DuplicatePolicy::Block,
            ignore: Ignore::default(),
        };
        assert!(series.add(Sample::new(50, 2.0), &refuse).is_err());
        assert_eq!(size(&series), before);
        assert_eq!(
            series.add(Sample::new(50, 2.0), &Upsert::KEEP_LAST),
            Ok(Added::Updated(2.0))
        );
        assert_eq!(size(&series), 100 * 16);
    }
}
