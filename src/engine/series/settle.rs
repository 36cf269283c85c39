//! Series that rest: what waits for more samples is packed once they do not come.
//!
//! The open block is a stream that has room to grow, or plain columns after a late sample, and the
//! last sealed blocks may be raw (see [`super::late`]). That is the price of fast writes, and a
//! series that is not written pays it for nothing:
//!
//! ```text
//!              [ raw ][ raw ] [ columns or stream .. .. room ] [ newest ]
//! settled      [ packed ][ packed ][ packed ]                  [ newest ]
//! ```
//!
//! Only the form changes, never a sample: a settled series equals the one before. A keeper comes by
//! at equal intervals, and a series that it finds unchanged has rested for one of them.
//!
//! A block of its own costs a descriptor, so the tail is sealed only where that saves memory. Since
//! a series that is written now and then is settled after each time, small blocks would gather: as
//! long as the last sealed block and the tail fit into one, they become one.

use super::Series;
use super::block::{Block, Form, SEAL_SAMPLES};
use super::open::Tail;
use crate::engine::codec::{Columns, gorilla};

/// What a sealed block costs beside its bytes: the descriptor, and count and length of the payload.
const BLOCK_COST: usize = size_of::<Block>() + 2 * size_of::<usize>();
/// Bytes of a stream that is never worth a block of its own, or worth the work of adding it to one.
const SMALL_STREAM_BYTES: usize = BLOCK_COST;

/// The age of a tail that was found unchanged once.
const RESTED: u8 = 1;
/// The age of a tail that is settled.
const SETTLED: u8 = 2;

impl Series {
    /// Notes that a keeper has come by. Where it finds what it found the last time, the series is
    /// settled; says whether that was done now. O(1) otherwise.
    pub fn visit(&mut self) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        match open.age() {
            0 => open.set_age(RESTED),
            RESTED => {
                self.settle();
                return true;
            }
            _ => {}
        }
        false
    }

    /// Brings the series into the form that takes the least memory. No sample changes. At most the
    /// open block and those that late samples left raw are encoded.
    pub fn settle(&mut self) {
        self.cool_all();
        self.pack_tail();
        if let Some(open) = &mut self.open {
            open.shrink();
            open.set_age(SETTLED);
        }
        self.sealed.shrink_to_fit();
    }

    /// Seals the tail where that saves memory.
    fn pack_tail(&mut self) {
        let (form, Some(open)) = (self.form(), &mut self.open) else {
            return;
        };
        open.streamline();
        let Tail::Stream(encoder) = open.tail() else {
            return;
        };
        let stream_bytes = encoder.size_bytes();
        // The other forms of a block are no smaller than the stream.
        if form != Form::Packed || stream_bytes < SMALL_STREAM_BYTES {
            return;
        }
        let mut columns = Columns::default();
        encoder
            .decode_into(&mut columns)
            .expect("BUG: an open block decodes");
        if self.merge_with_last(&columns, stream_bytes, SEAL_SAMPLES) {
            if let Some(open) = &mut self.open {
                open.take_tail();
            }
            return;
        }
        let block = Block::encode(&columns.times, &columns.values, form);
        if block.bytes().len() + BLOCK_COST < stream_bytes {
            if let Some(open) = &mut self.open {
                open.take_tail();
            }
            self.sealed.push_back_exact(block);
        }
    }

    /// Makes one block of the last sealed one and of samples behind it that are to be sealed, if
    /// both together are one of at most so many samples and bytes, and if that saves memory. Says
    /// whether it did.
    pub(super) fn merge_with_last(
        &mut self,
        columns: &Columns,
        stream_bytes: usize,
        max_samples: usize,
    ) -> bool {
        let (form, max_bytes) = (self.form(), self.options.chunk_bytes as usize);
        let Some(last) = self.sealed.back() else {
            return false;
        };
        let separate_bytes = last.bytes().len() + stream_bytes;
        if form != Form::Packed
            || last.form() == Form::Raw
            || last.len() + columns.len() > max_samples
            // A packed block is smaller than its stream, so this alone does not tell.
            || separate_bytes > max_bytes
        {
            return false;
        }
        let mut merged = Columns::default();
        last.read(&mut merged);
        merged.times.extend_from_slice(&columns.times);
        merged.values.extend_from_slice(&columns.values);
        let mut encoder = gorilla::Encoder::new();
        for (&time_ms, &value) in merged.times.iter().zip(&merged.values) {
            encoder.push(time_ms, value);
        }
        if encoder.size_bytes() > max_bytes {
            return false;
        }
        let block = Block::smallest(&merged.times, &merged.values, form, encoder);
        let saves = block.bytes().len() < separate_bytes;
        if saves {
            self.sealed.replace(self.sealed.len() - 1, Some(block));
        }
        saves
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Sample;
    use crate::engine::options::Options;
    use crate::engine::series::{Allocation, Upsert};

    fn reading(step: i32) -> Sample {
        let value = f64::from(200 + (step * 7_919) % 31) / 10.0;
        Sample::new(i64::from(step) * 10_000, value)
    }

    fn add(series: &mut Series, steps: std::ops::Range<i32>) {
        for step in steps {
            assert!(series.add(reading(step), &Upsert::KEEP_LAST).is_ok());
        }
    }

    /// What is on the heap beside the labels, as the series says and the C library knows.
    fn heap_bytes(series: &Series) -> usize {
        let mut blocks = series.sealed().iter().map(|block| block.bytes().len() + 16);
        let mut total = 0;
        series.allocations(&mut |allocation| {
            total += match allocation {
                Allocation::Bytes(bytes) => bytes,
                Allocation::At(_, _) => blocks.next().unwrap_or_default(),
            };
        });
        let open = series.open.as_ref().map(|open| match open.tail() {
            Tail::Stream(encoder) => encoder.buffer().capacity(),
            Tail::Columns(plain) => 16 * plain.columns.times.capacity(),
        });
        total + open.unwrap_or_default()
    }

    fn digest(series: &Series) -> Vec<u8> {
        let mut bytes = Vec::new();
        series.digest(&mut |piece| bytes.extend_from_slice(piece));
        bytes
    }

    #[test]
    fn a_rested_series_is_smaller_and_the_same() {
        let mut series = Series::new(Options::default());
        add(&mut series, 0..2_000);
        for late in [1_990, 1_400, 900] {
            let sample = Sample::new(reading(late).time_ms + 1, 0.5);
            assert!(series.add(sample, &Upsert::KEEP_LAST).is_ok());
        }
        let (before, same) = (heap_bytes(&series), digest(&series));
        series.settle();
        assert_eq!(series.validate(), Ok(()));
        assert_eq!(digest(&series), same);
        assert!(
            series
                .sealed()
                .iter()
                .all(|block| block.form() == Form::Packed)
        );
        let after = heap_bytes(&series);
        assert!(after * 4 < before, "{before} bytes before, {after} after");
        series.settle();
        assert_eq!(heap_bytes(&series), after);
        assert_eq!(digest(&series), same);
    }

    #[test]
    fn only_the_second_visit_without_a_write_between_settles() {
        let mut series = Series::new(Options::default());
        assert!(!series.visit());
        add(&mut series, 0..300);
        assert!(!series.visit());
        add(&mut series, 300..301);
        assert!(!series.visit());
        assert!(series.add(reading(5), &Upsert::KEEP_LAST).is_ok());
        let late = Sample::new(reading(7).time_ms + 1, 0.5);
        assert!(series.add(late, &Upsert::KEEP_LAST).is_ok());
        assert!(!series.visit());
        assert!(series.visit());
        assert!(!series.visit());
        assert!(!series.visit());
        let late = Sample::new(reading(8).time_ms + 1, 0.5);
        assert!(series.add(late, &Upsert::KEEP_LAST).is_ok());
        assert!(!series.visit());
        assert!(series.visit());
    }

    #[test]
    fn pauses_leave_no_small_blocks() {
        for (burst, most) in [(1, 0), (7, 0), (60, 0), (100, 0), (600, 200)] {
            let mut series = Series::new(Options::default());
            for start in (0..9_000).step_by(burst) {
                let burst = i32::try_from(burst).unwrap_or_default();
                add(&mut series, start..start + burst);
                series.settle();
                assert_eq!(series.validate(), Ok(()));
            }
            let count = series.sealed().len();
            let least = usize::try_from(series.len()).unwrap_or_default() / SEAL_SAMPLES;
            assert!(
                count <= least * 5 / 4 + 1 + most / 20,
                "{burst}: {count} blocks"
            );
        }
    }

    #[test]
    fn a_chunk_size_holds_for_merged_blocks_too() {
        let options = Options {
            chunk_bytes: 256,
            ..Options::default()
        };
        let mut series = Series::new(options);
        for start in (0..3_000).step_by(40) {
            add(&mut series, start..start + 40);
            series.settle();
        }
        for block in series.sealed().iter() {
            let mut columns = Columns::default();
            block.read(&mut columns);
            let mut encoder = gorilla::Encoder::new();
            for (&time_ms, &value) in columns.times.iter().zip(&columns.values) {
                encoder.push(time_ms, value);
            }
            assert!(encoder.size_bytes() <= 256 + 24, "{}", encoder.size_bytes());
        }
        assert_eq!(series.len(), 3_000);
    }
}
