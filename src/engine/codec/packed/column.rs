//! Columns of integers read straight into values, group by group.
//!
//! The frequent case is one pass: decimals without a predictor or from the last. Sums of low parts
//! come out of the SIMD unpacking as 32-bit integers. What they lack is a straight line, since
//! every step has the base of its group:
//!
//! ```text
//! x[i] = x[before] + base * (i + 1) + low[0] + .. + low[i]         + patches up to i
//!        '---- line -----------------'  '--- sums[i] -----'
//! v[i] = (reference + divisor * x[i]) / 10^places
//! ```
//!
//! Between two patches the line is straight. Where everything stays below 2^29, which is nearly
//! always, 32-bit integers do, and a reciprocal in place of the division.
//!
//! A sparse layout needs no buffer: what is stored goes to the end of the output, and is spread
//! from there over all of it, front to back. No place is overwritten before it was read, because
//! the gap between the two is the number of zeros that are still to come.

use std::ops::Range;

use super::MAX_SAMPLES;
use super::bitmap::Bitmap;
use super::bytes::Reader;
use super::groups::Group;
use super::image::{Decimal, Target};
use super::integers::{self, Groups, Head, Layout, Predictor};
use super::packing::{GROUP, SUM_BITS, unpack_sums, unpack_words};
use crate::engine::{Error, Result};

/// Fills `values` from a column, as `target` understands its integers.
pub(super) fn read(target: &Target, reader: &mut Reader, values: &mut [f64]) -> Result<()> {
    let head = Head::read(reader)?;
    let mut column = Column {
        head: &head,
        target,
        last: head.start,
        step: head.slope,
    };
    if head.layout == Layout::Holes {
        return Err(Error::Corrupt { what: "layout" });
    }
    if head.layout != Layout::Sparse {
        let mut groups = Groups::new(&head, reader)?;
        return column.read_groups(&mut groups, values);
    }
    if head.predictor == Predictor::Trend {
        let mut numbers = [0; MAX_SAMPLES];
        let numbers = &mut numbers[..values.len()];
        integers::read_body(&head, reader, numbers)?;
        return target.convert(numbers, values);
    }
    let bitmap = Bitmap::read(reader, values.len())?;
    let news_start = values.len() - bitmap.set;
    let mut groups = Groups::new(&head, reader)?;
    column.read_groups(&mut groups, &mut values[news_start..])?;
    let mut before = [0.0];
    if bitmap.leading > 0 {
        target.convert(&[head.undivided(head.start)], &mut before)?;
    }
    bitmap.spread(before[0], values);
    Ok(())
}

/// Adds a column to the bit patterns of values.
pub(super) fn correct(reader: &mut Reader, values: &mut [f64]) -> Result<()> {
    let head = Head::read(reader)?;
    if head.layout == Layout::Holes {
        return integers::read_holes(&head, reader, values.len(), |index, correction| {
            shift(&mut values[index], correction);
        });
    }
    let mut groups = Groups::new(&head, reader)?;
    if head.layout == Layout::Sparse || head.predictor != Predictor::None || head.divisor != 1 {
        return Err(Error::Corrupt {
            what: "column of corrections",
        });
    }
    let mut numbers = [0; GROUP];
    for chunk in values.chunks_mut(GROUP) {
        let group = groups.next(chunk.len())?;
        if group.width > 0 || group.base != 0 {
            let numbers = &mut numbers[..chunk.len()];
            group.read_into(numbers);
            for (value, &correction) in chunk.iter_mut().zip(&*numbers) {
                shift(value, correction);
            }
        } else {
            for (position, high) in group.patches() {
                shift(&mut chunk[position], high);
            }
        }
    }
    Ok(())
}

#[inline]
fn shift(value: &mut f64, correction: i64) {
    let bits = value.to_bits().wrapping_add(correction.cast_unsigned());
    *value = f64::from_bits(bits);
}

/// A column and how far it was read.
struct Column<'a> {
    head: &'a Head,
    target: &'a Target,
    last: i64,
    step: i64,
}

/// Numbers on a line, and what is added to each: `start + step * (i + 1) + divisor * added[i]`.
struct Line<'a> {
    start: i64,
    step: i64,
    divisor: i64,
    added: &'a [u32],
}

impl Line<'_> {
    /// The line in 32 bits: start, step, divisor. `None` where a number, or part of one, may not
    /// be served by a reciprocal; `most` is the greatest of what is added.
    #[inline]
    fn small(&self, most: u32) -> Option<(i32, i32, i32)> {
        let len = self.added.len() as u64;
        let furthest = self
            .start
            .unsigned_abs()
            .saturating_add(self.step.unsigned_abs().saturating_mul(len))
            .saturating_add(self.divisor.unsigned_abs().saturating_mul(u64::from(most)));
        if furthest >> Decimal::SMALL_BITS != 0 {
            return None;
        }
        let small = |number: i64| i32::try_from(number).ok();
        Some((small(self.start)?, small(self.step)?, small(self.divisor)?))
    }
}

impl Column<'_> {
    fn read_groups(&mut self, groups: &mut Groups, values: &mut [f64]) -> Result<()> {
        let (mut words, mut numbers) = ([0; GROUP], [0; GROUP]);
        for out in values.chunks_mut(GROUP) {
            let group = groups.next(out.len())?;
            match (self.target, self.head.predictor) {
                (Target::Decimal(decimal), Predictor::Last) if group.width <= SUM_BITS => {
                    self.read_steps(decimal, &group, &mut words[..out.len()], out);
                }
                (Target::Decimal(decimal), Predictor::None) if group.width <= SUM_BITS => {
                    self.read_levels(decimal, &group, &mut words[..out.len()], out);
                }
                _ => {
                    let numbers = &mut numbers[..out.len()];
                    group.read_into(numbers);
                    self.predict(numbers)?;
                    self.head.undivide(numbers);
                    self.target.convert(numbers, out)?;
                }
            }
        }
        Ok(())
    }

    /// Makes numbers of what was left over.
    #[inline]
    fn predict(&mut self, numbers: &mut [i64]) -> Result<()> {
        match self.head.predictor {
            Predictor::None => {}
            Predictor::Last => self.last = integers::add_up(self.last, numbers),
            Predictor::Trend => {
                (self.last, self.step) = integers::add_up_twice(self.last, self.step, numbers);
            }
            Predictor::Line => return Err(integers::NO_LINE),
        }
        Ok(())
    }

    /// Steps from the last number.
    #[inline]
    fn read_steps(&mut self, decimal: &Decimal, group: &Group, sums: &mut [u32], out: &mut [f64]) {
        unpack_sums(group.packed, group.width, sums);
        let mut done = 0;
        for (position, high) in group.patches() {
            self.steps_between(decimal, group, done..position, sums, out);
            self.last = self.last.wrapping_add(high);
            done = position;
        }
        self.steps_between(decimal, group, done..out.len(), sums, out);
        let steps = i64::try_from(out.len()).unwrap_or(0);
        let sum = sums.last().copied().map_or(0, i64::from);
        let way = group.base.wrapping_mul(steps).wrapping_add(sum);
        self.last = self.last.wrapping_add(way);
    }

    #[inline]
    fn steps_between(
        &self,
        decimal: &Decimal,
        group: &Group,
        range: Range<usize>,
        sums: &[u32],
        out: &mut [f64],
    ) {
        let done = i64::try_from(range.start).unwrap_or(0);
        let before = self.last.wrapping_add(group.base.wrapping_mul(done));
        let line = Line {
            start: self.head.undivided(before),
            step: self.head.divisor.wrapping_mul(group.base),
            divisor: self.head.divisor,
            added: &sums[range.clone()],
        };
        let most = line.added.last().copied().unwrap_or(0);
        draw(decimal, &line, most, &mut out[range]);
    }

    /// Numbers as they are.
    #[inline]
    fn read_levels(&self, decimal: &Decimal, group: &Group, words: &mut [u32], out: &mut [f64]) {
        unpack_words(group.packed, group.width, words);
        let line = Line {
            start: self.head.undivided(group.base),
            step: 0,
            divisor: self.head.divisor,
            added: words,
        };
        draw(decimal, &line, 1 << group.width, out);
        for (position, high) in group.patches() {
            let low = i64::from(words[position]);
            let number = group.base.wrapping_add(high).wrapping_add(low);
            out[position] = decimal.value_of(self.head.undivided(number));
        }
    }
}

#[inline]
fn draw(decimal: &Decimal, line: &Line, most: u32, out: &mut [f64]) {
    let (Some(reciprocal), Some((start, step, divisor))) = (decimal.reciprocal, line.small(most))
    else {
        return draw_wide(decimal, line, out);
    };
    let mut at = start;
    let pairs = out.iter_mut().zip(line.added);
    if divisor == 1 {
        for (value, &added) in pairs {
            at = at.wrapping_add(step);
            let number = at.wrapping_add(added.cast_signed());
            *value = reciprocal.times(f64::from(number));
        }
    } else {
        for (value, &added) in pairs {
            at = at.wrapping_add(step);
            let added = added.cast_signed().wrapping_mul(divisor);
            *value = reciprocal.times(f64::from(at.wrapping_add(added)));
        }
    }
}

fn draw_wide(decimal: &Decimal, line: &Line, out: &mut [f64]) {
    let mut at = line.start;
    for (value, &added) in out.iter_mut().zip(line.added) {
        at = at.wrapping_add(line.step);
        let added = line.divisor.wrapping_mul(i64::from(added));
        *value = decimal.value_of(at.wrapping_add(added));
    }
}
