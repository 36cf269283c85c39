//! Columns of integers read straight into values, group by group.
//!
//! Nearly always, the low parts and patches of a group are small enough to be added up in 32 bits;
//! without patches, the SIMD unpacking does that at once. What these *offsets* lack is a straight
//! line, since every step has the base of its group:
//!
//! ```text
//! x[i] = x[before] + base * (i + 1) + low[0] + patch[0] + .. + low[i] + patch[i]
//!        '---- line -----------------'  '--- offset[i] ----------------------'
//! v[i] = (reference + divisor * x[i]) / 10^places
//! ```
//!
//! Where the values of a group stay below 2^29 as well, all of that is done in 32-bit integers, four
//! at a time, with a reciprocal in place of the division. Other groups take the long way in 64 bits.
//!
//! A sparse layout needs no buffer: what is stored goes to the end of the output, and is spread
//! from there over all of it, front to back. No place is overwritten before it was read, because
//! the gap between the two is the number of zeros that are still to come.

use super::MAX_SAMPLES;
use super::bitmap::Bitmap;
use super::bytes::Reader;
use super::groups::Group;
use super::image::{Decimal, Target};
use super::integers::{self, Groups, Head, Layout, Predictor};
use super::packing::GROUP;
use crate::engine::{Error, Result};

/// Appends the `count` values of a column to `out`, as `target` understands its integers.
pub(super) fn read(
    target: &Target,
    reader: &mut Reader,
    count: usize,
    out: &mut Vec<f64>,
) -> Result<()> {
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
        return column.read_groups(&mut groups, count, out);
    }
    if head.predictor == Predictor::Trend {
        let mut numbers = [0; MAX_SAMPLES];
        let numbers = &mut numbers[..count];
        integers::read_body(&head, reader, numbers)?;
        return target.convert_all(numbers, out);
    }
    let bitmap = Bitmap::read(reader, count)?;
    let mut groups = Groups::new(&head, reader)?;
    // What stands before the first news comes first, and is spread with them.
    let start = out.len();
    if bitmap.leading > 0 {
        target.convert([head.undivided(head.start)].into_iter(), out)?;
    }
    let before = out.get(start).copied().unwrap_or(0.0);
    out.resize(start + count - bitmap.set, before);
    column.read_groups(&mut groups, bitmap.set, out)?;
    bitmap.spread(before, &mut out[start..]);
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
    target: &'a Target<'a>,
    last: i64,
    step: i64,
}

/// Numbers of a group: `start + step * (i + 1) + divisor * offsets[i]`.
struct Line {
    start: i64,
    step: i64,
    divisor: i64,
    /// No offset is greater in magnitude.
    reach: u64,
}

impl Line {
    /// Start, step and divisor in 32 bits. `None` where a number, or part of one, may not be
    /// served by a reciprocal.
    #[inline]
    fn small(&self) -> Option<(i32, i32, i32)> {
        let furthest = self
            .start
            .unsigned_abs()
            .saturating_add(self.step.unsigned_abs().saturating_mul(GROUP as u64))
            .saturating_add(self.divisor.unsigned_abs().saturating_mul(self.reach));
        if furthest >> Decimal::SMALL_BITS != 0 {
            return None;
        }
        let small = |number: i64| i32::try_from(number).ok();
        Some((small(self.start)?, small(self.step)?, small(self.divisor)?))
    }
}

/// Makes offsets the numbers of a line, of 32 bits.
#[inline]
fn follow((start, step, divisor): (i32, i32, i32), offsets: &mut [u32]) {
    let mut at = start.cast_unsigned();
    let (step, divisor) = (step.cast_unsigned(), divisor.cast_unsigned());
    if divisor == 1 {
        for offset in offsets {
            at = at.wrapping_add(step);
            *offset = at.wrapping_add(*offset);
        }
    } else {
        for offset in offsets {
            at = at.wrapping_add(step);
            *offset = at.wrapping_add(offset.wrapping_mul(divisor));
        }
    }
}

impl Column<'_> {
    fn read_groups(&mut self, groups: &mut Groups, count: usize, out: &mut Vec<f64>) -> Result<()> {
        let mut offsets = [0; GROUP];
        for start in (0..count).step_by(GROUP) {
            let len = (count - start).min(GROUP);
            let group = groups.next(len)?;
            if !self.read_narrow(&group, &mut offsets[..len], out)? {
                self.read_wide(&group, len, out)?;
            }
        }
        Ok(())
    }

    /// Reads a group in 32 bits; returns whether that was possible.
    #[inline]
    fn read_narrow(
        &mut self,
        group: &Group,
        offsets: &mut [u32],
        out: &mut Vec<f64>,
    ) -> Result<bool> {
        if !group.has_small_sums() {
            return Ok(false);
        }
        let (start, step) = match self.head.predictor {
            Predictor::None => {
                group.read_offsets(offsets);
                (group.base, 0)
            }
            Predictor::Last => {
                group.read_sums(offsets);
                let start = self.last;
                let steps = i64::try_from(offsets.len()).unwrap_or(0);
                let sum = offsets
                    .last()
                    .map_or(0, |last| i64::from(last.cast_signed()));
                let way = group.base.wrapping_mul(steps).wrapping_add(sum);
                self.last = start.wrapping_add(way);
                (start, group.base)
            }
            Predictor::Trend | Predictor::Line => return Ok(false),
        };
        let line = Line {
            start: self.head.undivided(start),
            step: self.head.divisor.wrapping_mul(step),
            divisor: self.head.divisor,
            reach: group.reach(),
        };
        if let Some(line) = line.small() {
            follow(line, offsets);
            self.target.convert_small(offsets, out)?;
            return Ok(true);
        }
        let mut at = line.start;
        let numbers = offsets.iter().map(|&offset| {
            at = at.wrapping_add(line.step);
            at.wrapping_add(line.divisor.wrapping_mul(i64::from(offset.cast_signed())))
        });
        self.target.convert(numbers, out)?;
        Ok(true)
    }

    /// Reads a group in 64 bits.
    fn read_wide(&mut self, group: &Group, len: usize, out: &mut Vec<f64>) -> Result<()> {
        let mut numbers = [0; GROUP];
        let numbers = &mut numbers[..len];
        group.read_into(numbers);
        match self.head.predictor {
            Predictor::None => {}
            Predictor::Last => self.last = integers::add_up(self.last, numbers),
            Predictor::Trend => {
                (self.last, self.step) = integers::add_up_twice(self.last, self.step, numbers);
            }
            Predictor::Line => return Err(integers::NO_LINE),
        }
        self.head.undivide(numbers);
        self.target.convert_all(numbers, out)
    }
}
