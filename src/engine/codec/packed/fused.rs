//! The frequent case in one pass: decimals without a predictor or from the last, in groups.
//!
//! Sums of low parts come out of the SIMD unpacking as 32-bit integers. What they lack is a
//! straight line, since every step has the base of its group:
//!
//! ```text
//! x[i] = x[before] + base * (i + 1) + low[0] + .. + low[i]         + patches up to i
//!        '---- start ----------------'  '--- sums[i] -----'
//! v[i] = (reference + divisor * x[i]) / 10^places
//! ```
//!
//! The line is added in doubles, where integers below 2^53 are exact; a group that might leave
//! that range goes the long way. Between two patches the line is straight.

use super::bytes::Reader;
use super::groups::Group;
use super::image::{POWERS, float};
use super::integers::{Head, Predictor};
use super::packing::{GROUP, SUM_BITS, unpack_sums, unpack_words};
use crate::engine::Result;

/// Bits of each of the three summands; their sum then has 53 at most.
const SUMMAND_BITS: u32 = 51;
/// Bits of the number of steps in a group.
const GROUP_BITS: u32 = GROUP.ilog2();

/// 1.0, 2.0 ..
const STEPS: [f64; GROUP] = steps();

const fn steps() -> [f64; GROUP] {
    let mut steps = [1.0; GROUP];
    let mut index = 1;
    while index < GROUP {
        steps[index] = steps[index - 1] + 1.0;
        index += 1;
    }
    steps
}

/// Fills `values` from the body of a column of decimals.
pub(super) fn read(head: &Head, places: u8, reader: &mut Reader, values: &mut [f64]) -> Result<()> {
    let column = Column {
        reference: head.reference,
        divisor: head.divisor,
        ten_power: POWERS.get(usize::from(places)).copied().unwrap_or(1.0),
    };
    let (mut base, mut last) = (0, head.start);
    for out in values.chunks_mut(GROUP) {
        let group = Group::read(reader, out.len(), base)?;
        base = group.base;
        match head.predictor {
            Predictor::Last => last = column.read_steps(&group, last, out),
            _ => column.read_levels(&group, out),
        }
    }
    Ok(())
}

/// What all groups of a column share.
struct Column {
    reference: i64,
    divisor: i64,
    ten_power: f64,
}

impl Column {
    /// A number of the column, before it is scaled down.
    #[inline]
    fn scaled(&self, number: i64) -> i64 {
        self.reference
            .wrapping_add(self.divisor.wrapping_mul(number))
    }

    fn is_exact(&self, start: i64, step: i64, width: u32) -> bool {
        let fits = |number: i64, bits: u32| number.unsigned_abs() >> bits == 0;
        fits(start, SUMMAND_BITS)
            && fits(step, SUMMAND_BITS - GROUP_BITS)
            && width <= SUM_BITS
            && fits(self.divisor, SUMMAND_BITS - GROUP_BITS - width)
    }

    /// Steps from `last`; returns the new last number.
    #[inline]
    fn read_steps(&self, group: &Group, last: i64, out: &mut [f64]) -> i64 {
        let step = self.divisor.wrapping_mul(group.base);
        if !self.is_exact(self.scaled(last), step, group.width) {
            return self.read_steps_slowly(group, last, out);
        }
        let mut sums = [0; GROUP];
        let sums = &mut sums[..out.len()];
        unpack_sums(group.packed, group.width, sums);
        let (mut start, mut done) = (last, 0);
        let mut exact = true;
        if !group.positions.is_empty() {
            group.patches(&mut |position, high| {
                self.line(start, step, done..position, sums, out);
                start = start.wrapping_add(high);
                exact &= self.is_exact(self.scaled(start), step, group.width);
                done = position;
            });
            if !exact {
                return self.read_steps_slowly(group, last, out);
            }
        }
        self.line(start, step, done..out.len(), sums, out);
        let steps = i64::try_from(out.len()).unwrap_or(0);
        let sum = sums.last().copied().map_or(0, i64::from);
        start
            .wrapping_add(group.base.wrapping_mul(steps))
            .wrapping_add(sum)
    }

    #[inline]
    fn line(
        &self,
        start: i64,
        step: i64,
        range: std::ops::Range<usize>,
        sums: &[u32],
        out: &mut [f64],
    ) {
        let (start, step) = (float(self.scaled(start)), float(step));
        let divisor = float(self.divisor);
        let sums = &sums[range.clone()];
        let steps = &STEPS[range.clone()];
        for ((value, &sum), &steps) in out[range].iter_mut().zip(sums).zip(steps) {
            let sum = f64::from(sum.cast_signed());
            *value = (start + step * steps + divisor * sum) / self.ten_power;
        }
    }

    #[cold]
    fn read_steps_slowly(&self, group: &Group, last: i64, out: &mut [f64]) -> i64 {
        let mut numbers = [0; GROUP];
        let numbers = &mut numbers[..out.len()];
        group.read_into(numbers);
        let mut last = last;
        for (value, &step) in out.iter_mut().zip(&*numbers) {
            last = last.wrapping_add(step);
            *value = float(self.scaled(last)) / self.ten_power;
        }
        last
    }

    /// Numbers as they are.
    #[inline]
    fn read_levels(&self, group: &Group, out: &mut [f64]) {
        if !self.is_exact(self.scaled(group.base), 0, group.width) {
            let mut numbers = [0; GROUP];
            let numbers = &mut numbers[..out.len()];
            group.read_into(numbers);
            for (value, &number) in out.iter_mut().zip(&*numbers) {
                *value = float(self.scaled(number)) / self.ten_power;
            }
            return;
        }
        let mut words = [0; GROUP];
        let words = &mut words[..out.len()];
        unpack_words(group.packed, group.width, words);
        let start = float(self.scaled(group.base));
        let divisor = float(self.divisor);
        for (value, &word) in out.iter_mut().zip(&*words) {
            let word = f64::from(word.cast_signed());
            *value = (start + divisor * word) / self.ten_power;
        }
        if !group.positions.is_empty() {
            group.patches(&mut |position, high| {
                let low = i64::from(words[position]);
                let number = group.base.wrapping_add(high).wrapping_add(low);
                out[position] = float(self.scaled(number)) / self.ten_power;
            });
        }
    }
}
