//! A column of integers: what a predictor leaves over, in groups.
//!
//! ```text
//! | head u8 | reference signed, divisor varint | seeds .. | body .. |
//!             only if divided
//!
//! head: | predictor: 2 bits | layout: 2 | divided: 1 | 0 0 0 |
//!
//! predictor      what is stored of x[i]                        seeds
//! 0 none         x[i]                                          -
//! 1 last         d[i] = x[i] - x[i-1]                          x[-1]
//! 2 trend        d[i] - d[i-1]                                 x[-1], d[-1]
//! 3 line         x[i] - x[0] - (i * slope >> 16)               x[0], slope
//!
//! layout
//! 0 packed       all of them, in groups (see [`groups`])
//! 1 constant     one, which stands for all
//! 2 sparse       | bitmap, n / 8 bytes | those whose bit is set, in groups |
//!                predictors 1, 2: the others are 0; predictor 0: the others repeat x[i-1]
//! 3 holes        as sparse, predictor 0: the others are 0
//!
//! divided        x[i] = reference + divisor * y[i]; the rest is about y
//! ```
//!
//! Regular times are `last, constant`: a dozen bytes. Jitter around a schedule is a `line`. A
//! steady counter or a noisy sensor is `last, packed`; interpolated or integrated data is `trend`;
//! a set point that now and then changes is `none, sparse`. Numbers of a bit pattern with trailing
//! zeros, sixteenths, and raw counts times ten are `divided`.
//!
//! All arithmetic wraps, so any `i64` comes back. A column knows its end from its count.

use super::bitmap::Bitmap;
use super::bytes::{Reader, put_signed, put_varint};
use super::groups::Group;
use super::packing::GROUP;
use crate::engine::{Error, Result};

/// Lines are for times alone.
pub(super) const NO_LINE: Error = Error::Corrupt {
    what: "line through values",
};

/// Fraction bits of a slope.
pub(super) const SLOPE_BITS: u32 = 16;
const LAYOUT_SHIFT: u32 = 2;
const DIVIDED: u8 = 1 << 4;
const HEAD_MASK: u8 = 0x1f;

/// How the next number is guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    Last,
    Trend,
    Line,
}

/// How what is left over is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Packed,
    Constant,
    Sparse,
    Holes,
}

/// What stands before the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) predictor: Predictor,
    pub(super) layout: Layout,
    pub(super) reference: i64,
    /// At least 1.
    pub(super) divisor: i64,
    /// The first seed, and the second; 0 where there is none.
    pub(super) start: i64,
    pub(super) slope: i64,
}

impl Head {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let is_divided = self.divisor != 1 || self.reference != 0;
        let predictor = self.predictor as u8;
        let layout = (self.layout as u8) << LAYOUT_SHIFT;
        out.push(predictor | layout | if is_divided { DIVIDED } else { 0 });
        if is_divided {
            put_signed(out, self.reference);
            put_varint(out, self.divisor.cast_unsigned());
        }
        if self.predictor != Predictor::None {
            put_signed(out, self.start);
        }
        if matches!(self.predictor, Predictor::Trend | Predictor::Line) {
            put_signed(out, self.slope);
        }
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self> {
        let head = reader.byte()?;
        let predictor = match head & 3 {
            0 => Predictor::None,
            1 => Predictor::Last,
            2 => Predictor::Trend,
            _ => Predictor::Line,
        };
        let layout = match head >> LAYOUT_SHIFT & 3 {
            0 => Layout::Packed,
            1 => Layout::Constant,
            2 if predictor != Predictor::Line => Layout::Sparse,
            3 if predictor == Predictor::None => Layout::Holes,
            _ => return Err(Error::Corrupt { what: "layout" }),
        };
        if head & !HEAD_MASK != 0 {
            return Err(Error::Corrupt { what: "column" });
        }
        let (mut reference, mut divisor) = (0, 1);
        if head & DIVIDED != 0 {
            reference = reader.signed()?;
            divisor = reader.varint()?.cast_signed();
        }
        let has_start = predictor != Predictor::None;
        let has_slope = matches!(predictor, Predictor::Trend | Predictor::Line);
        Ok(Self {
            predictor,
            layout,
            reference,
            divisor,
            start: if has_start { reader.signed()? } else { 0 },
            slope: if has_slope { reader.signed()? } else { 0 },
        })
    }
}

impl Head {
    /// Takes back the division of one number.
    #[inline]
    pub(super) fn undivided(&self, number: i64) -> i64 {
        self.reference
            .wrapping_add(number.wrapping_mul(self.divisor))
    }

    /// Takes back the division.
    #[inline]
    pub(super) fn undivide(&self, numbers: &mut [i64]) {
        if self.divisor == 1 && self.reference == 0 {
            return;
        }
        for number in numbers {
            *number = self.undivided(*number);
        }
    }
}

/// Where the line is at `index`, above its start.
#[inline]
pub(super) fn line_at(slope: i64, index: usize) -> i64 {
    let index = i64::try_from(index).unwrap_or(0);
    index.wrapping_mul(slope) >> SLOPE_BITS
}

/// Appends the `count` numbers of a column to `out`.
pub(super) fn read(reader: &mut Reader, count: usize, out: &mut Vec<i64>) -> Result<()> {
    let head = Head::read(reader)?;
    if head.predictor == Predictor::Last && head.layout != Layout::Sparse {
        return read_steps(&head, &mut Groups::new(&head, reader)?, count, out);
    }
    let start = out.len();
    out.resize(start + count, 0);
    read_body(&head, reader, &mut out[start..])
}

/// Reads what follows a head.
pub(super) fn read_body(head: &Head, reader: &mut Reader, out: &mut [i64]) -> Result<()> {
    if head.layout == Layout::Holes {
        out.fill(0);
        read_holes(head, reader, out.len(), |index, number| out[index] = number)?;
    } else if head.layout == Layout::Sparse {
        let bitmap = Bitmap::read(reader, out.len())?;
        let news_start = out.len() - bitmap.set;
        Groups::new(head, reader)?.read_all(&mut out[news_start..])?;
        let before = match head.predictor {
            Predictor::Last => {
                add_up(head.start, &mut out[news_start..]);
                head.start
            }
            Predictor::Trend => {
                add_up(head.slope, &mut out[news_start..]);
                head.slope
            }
            Predictor::None | Predictor::Line => 0,
        };
        bitmap.spread(before, out);
        if head.predictor == Predictor::Trend {
            add_up(head.start, out);
        }
    } else {
        Groups::new(head, reader)?.read_all(out)?;
        match head.predictor {
            Predictor::None => {}
            Predictor::Last => _ = add_up(head.start, out),
            Predictor::Trend => _ = add_up_twice(head.start, head.slope, out),
            Predictor::Line => {
                for (index, number) in out.iter_mut().enumerate() {
                    let on_line = head.start.wrapping_add(line_at(head.slope, index));
                    *number = number.wrapping_add(on_line);
                }
            }
        }
    }
    head.undivide(out);
    Ok(())
}

/// Reads a layout with holes, and visits the numbers that are none.
pub(super) fn read_holes(
    head: &Head,
    reader: &mut Reader,
    count: usize,
    mut visit: impl FnMut(usize, i64),
) -> Result<()> {
    let bitmap = Bitmap::read(reader, count)?;
    let mut groups = Groups::new(head, reader)?;
    let mut numbers = [0; GROUP];
    let (mut left, mut at) = (bitmap.set, GROUP);
    // By 64 bits: where a word ends is what the branch predictor does not know.
    for (index, bytes) in bitmap.bytes.chunks(8).enumerate() {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let mut word = u64::from_le_bytes(word);
        while word != 0 {
            if at == GROUP {
                let len = left.min(GROUP);
                groups.next(len)?.read_into(&mut numbers[..len]);
                (left, at) = (left - len, 0);
            }
            visit(64 * index + word.trailing_zeros() as usize, numbers[at]);
            at += 1;
            word &= word - 1;
        }
    }
    Ok(())
}

/// Replaces steps by where they lead; returns where they end.
#[inline]
pub(super) fn add_up(start: i64, steps: &mut [i64]) -> i64 {
    let mut last = start;
    for step in steps {
        last = last.wrapping_add(*step);
        *step = last;
    }
    last
}

/// Replaces changes of a step by where the steps lead; returns where they end, and the last step.
#[inline]
pub(super) fn add_up_twice(start: i64, step: i64, changes: &mut [i64]) -> (i64, i64) {
    let (mut last, mut step) = (start, step);
    for change in changes {
        step = step.wrapping_add(*change);
        last = last.wrapping_add(step);
        *change = last;
    }
    (last, step)
}

/// Reads numbers that are predicted from the last. Where all low parts are empty, as those of
/// regular times with gaps, the numbers between two patches are on a line.
fn read_steps(head: &Head, groups: &mut Groups, count: usize, out: &mut Vec<i64>) -> Result<()> {
    let mut last = head.start;
    let mut steps = [0; GROUP];
    for start in (0..count).step_by(GROUP) {
        let len = (count - start).min(GROUP);
        let group = groups.next(len)?;
        if group.width > 0 {
            let steps = &mut steps[..len];
            group.read_into(steps);
            out.extend(steps.iter().map(|&step| {
                last = last.wrapping_add(step);
                head.undivided(last)
            }));
            continue;
        }
        let mut done = 0;
        for (position, high) in group.patches() {
            last = fill_steps(head, last, group.base, position - done, out);
            last = last.wrapping_add(high);
            done = position;
        }
        last = fill_steps(head, last, group.base, len - done, out);
    }
    Ok(())
}

/// Appends `count` multiples of a step above a start, the first of them once, and takes back the
/// division; returns the last, undivided.
fn fill_steps(head: &Head, start: i64, step: i64, count: usize, out: &mut Vec<i64>) -> i64 {
    let mut number = head.undivided(start);
    let scaled = step.wrapping_mul(head.divisor);
    out.extend((0..count).map(|_| {
        number = number.wrapping_add(scaled);
        number
    }));
    let steps = i64::try_from(count).unwrap_or(0);
    start.wrapping_add(step.wrapping_mul(steps))
}

/// The groups of a body, one after the other.
#[derive(Debug)]
pub(super) struct Groups<'r, 'a> {
    reader: &'r mut Reader<'a>,
    base: i64,
    /// A constant layout is groups that all look alike and take no bytes.
    is_constant: bool,
}

impl<'r, 'a> Groups<'r, 'a> {
    pub(super) fn new(head: &Head, reader: &'r mut Reader<'a>) -> Result<Self> {
        let is_constant = head.layout == Layout::Constant;
        let base = if is_constant { reader.signed()? } else { 0 };
        Ok(Self {
            reader,
            base,
            is_constant,
        })
    }

    /// The next group, of `len` numbers.
    #[inline]
    pub(super) fn next(&mut self, len: usize) -> Result<Group<'a>> {
        if self.is_constant {
            return Ok(Group::constant(self.base));
        }
        let group = Group::read(self.reader, len, self.base)?;
        self.base = group.base;
        Ok(group)
    }

    fn read_all(&mut self, out: &mut [i64]) -> Result<()> {
        for numbers in out.chunks_mut(GROUP) {
            self.next(numbers.len())?.read_into(numbers);
        }
        Ok(())
    }
}
