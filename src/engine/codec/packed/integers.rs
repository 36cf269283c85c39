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

use super::bytes::{Reader, fold, put_signed, put_varint, significant_bits, varint_size};
use super::groups::{self, Group};
use super::packing::GROUP;
use super::Work;
use crate::engine::{Error, Result};

/// Lines are for times alone.
pub(super) const NO_LINE: Error = Error::Corrupt {
    what: "line through values",
};

/// Fraction bits of a slope.
const SLOPE_BITS: u32 = 16;
/// A line is tried where times span less than this, so that nothing overflows.
const LINE_RANGE: u64 = 1 << 46;
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
    fn put(&self, out: &mut Vec<u8>) {
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

/// How a column will be written, and at what price.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    predictor: Predictor,
    layout: Layout,
    reference: i64,
    divisor: i64,
    groups: Vec<groups::Plan>,
    /// About what it will take.
    pub(super) bits: u32,
}

/// Plans a column of at least one number; `line` says whether a straight line is worth a try.
pub(super) fn plan(numbers: &[i64], line: bool, work: &mut Work) -> Plan {
    if let Some(bits) = constant_step_bits(numbers) {
        return Plan {
            predictor: Predictor::Last,
            layout: Layout::Constant,
            reference: 0,
            divisor: 1,
            groups: Vec::new(),
            bits,
        };
    }
    let divisor = common_divisor(numbers);
    let mut best = Plan {
        predictor: Predictor::None,
        layout: Layout::Packed,
        reference: if divisor == 1 { 0 } else { numbers[0] },
        divisor,
        groups: Vec::new(),
        bits: u32::MAX,
    };
    work.divided.clear();
    work.divided.extend_from_slice(numbers);
    if divisor != 1 {
        for number in &mut work.divided {
            *number = (*number - numbers[0]) / divisor;
        }
    }
    let head_bits = 16 + if divisor == 1 { 0 } else { 48 };
    let divided = std::mem::take(&mut work.divided);
    for predictor in candidates(&divided, line) {
        for layout in [Layout::Packed, Layout::Sparse] {
            if layout == Layout::Sparse && !may_be_sparse(&divided, predictor) {
                continue;
            }
            leave_over(&divided, predictor, layout, &mut work.residuals, &mut work.bitmap);
            let mut bits = groups::plan_all(&work.residuals, &mut work.groups);
            let mut layout = layout;
            if layout == Layout::Sparse {
                bits += 8 * u32::try_from(work.bitmap.len()).unwrap_or(0);
            } else if let [first, rest @ ..] = work.residuals.as_slice()
                && rest.iter().all(|one| one == first)
            {
                layout = Layout::Constant;
                bits = 8 * varint_size(fold(*first));
            }
            bits += head_bits;
            if bits < best.bits {
                best = Plan {
                    predictor,
                    layout,
                    bits,
                    groups: std::mem::take(&mut best.groups),
                    ..best
                };
                best.groups.clone_from(&work.groups);
            }
        }
        if best.layout == Layout::Constant {
            break;
        }
    }
    work.divided = divided;
    best
}

/// What a column takes whose numbers have one step between them; `None` for others.
fn constant_step_bits(numbers: &[i64]) -> Option<u32> {
    let step = numbers.get(1).map_or(0, |second| second.wrapping_sub(numbers[0]));
    let is_constant = numbers
        .windows(2)
        .all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    let start = numbers[0].wrapping_sub(step);
    is_constant.then(|| 8 + 8 * (varint_size(fold(start)) + varint_size(fold(step))))
}

/// The predictors worth a try.
fn candidates(numbers: &[i64], line: bool) -> impl Iterator<Item = Predictor> + use<> {
    let (mut last_bits, mut trend_bits, mut before) = (0, 0, 0_i64);
    for pair in numbers.windows(2) {
        let step = pair[1].wrapping_sub(pair[0]);
        last_bits += bits_of(step);
        trend_bits += bits_of(step.wrapping_sub(before));
        before = step;
    }
    let trend = trend_bits < last_bits;
    let line = line && numbers.len() > 2 && range(numbers) < LINE_RANGE;
    let all = [
        (Predictor::Last, true),
        (Predictor::None, true),
        (Predictor::Trend, trend),
        (Predictor::Line, line),
    ];
    all.into_iter()
        .filter_map(|(predictor, tried)| tried.then_some(predictor))
}

fn bits_of(number: i64) -> u32 {
    significant_bits(fold(number))
}

fn range(numbers: &[i64]) -> u64 {
    let min = numbers.iter().min().copied().unwrap_or(0);
    let max = numbers.iter().max().copied().unwrap_or(0);
    max.wrapping_sub(min).cast_unsigned()
}

/// Whether a third of what is left over needs not be stored.
fn may_be_sparse(numbers: &[i64], predictor: Predictor) -> bool {
    let is_still = |pair: &&[i64]| pair[0] == pair[1];
    let is_straight =
        |three: &&[i64]| three[0].wrapping_sub(three[1]) == three[1].wrapping_sub(three[2]);
    let still = match predictor {
        Predictor::None | Predictor::Last => numbers.windows(2).filter(is_still).count(),
        Predictor::Trend => numbers.windows(3).filter(is_straight).count(),
        Predictor::Line => 0,
    };
    3 * still > numbers.len()
}

/// The greatest number that divides all differences; 1 where it would overflow or not help.
fn common_divisor(numbers: &[i64]) -> i64 {
    let mut divisor = 0_u64;
    for &number in numbers {
        let Some(offset) = number.checked_sub(numbers[0]) else {
            return 1;
        };
        // Nearly always a multiple of what was found so far.
        let offset = offset.unsigned_abs();
        if divisor == 0 || offset % divisor != 0 {
            divisor = greatest_common(divisor, offset);
            if divisor == 1 {
                return 1;
            }
        }
    }
    match i64::try_from(divisor) {
        Ok(divisor) if divisor > 1 => divisor,
        _ => 1,
    }
}

fn greatest_common(one: u64, other: u64) -> u64 {
    let (mut one, mut other) = (one, other);
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

fn slope_of(numbers: &[i64]) -> i64 {
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let steps = i64::try_from(numbers.len() - 1).unwrap_or(1).max(1);
    last.wrapping_sub(first).wrapping_shl(SLOPE_BITS) / steps
}

/// Where the line is at `index`, above its start.
#[inline]
fn line_at(slope: i64, index: usize) -> i64 {
    let index = i64::try_from(index).unwrap_or(0);
    index.wrapping_mul(slope) >> SLOPE_BITS
}

/// Fills `residuals` with what is stored, and `bitmap` for a sparse layout; returns the seeds.
fn leave_over(
    numbers: &[i64],
    predictor: Predictor,
    layout: Layout,
    residuals: &mut Vec<i64>,
    bitmap: &mut Vec<u8>,
) -> (i64, i64) {
    residuals.clear();
    let first = numbers[0];
    let step = numbers.get(1).map_or(0, |second| second.wrapping_sub(first));
    let is_sparse = layout == Layout::Sparse;
    let steps = numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    let seeds = match predictor {
        Predictor::None => {
            residuals.extend_from_slice(numbers);
            (0, 0)
        }
        Predictor::Last => {
            // What is left over of the first is ours to choose: what widens nothing.
            let of_first = if is_sparse { 0 } else { step };
            residuals.push(of_first);
            residuals.extend(steps);
            (first.wrapping_sub(of_first), 0)
        }
        Predictor::Trend => {
            residuals.push(0);
            let mut before = step;
            residuals.extend(steps.map(|step| {
                let change = step.wrapping_sub(before);
                before = step;
                change
            }));
            (first.wrapping_sub(step), step)
        }
        Predictor::Line => {
            let slope = slope_of(numbers);
            residuals.extend(numbers.iter().enumerate().map(|(index, number)| {
                number.wrapping_sub(first).wrapping_sub(line_at(slope, index))
            }));
            (first, slope)
        }
    };
    if is_sparse {
        keep_news(predictor, residuals, bitmap);
    }
    seeds
}

/// Keeps of `residuals` what the bitmap of a sparse layout marks.
fn keep_news(predictor: Predictor, residuals: &mut Vec<i64>, bitmap: &mut Vec<u8>) {
    bitmap.clear();
    bitmap.resize(residuals.len().div_ceil(8), 0);
    let mut before = None;
    let mut index = 0;
    residuals.retain(|&residual| {
        let is_news = match predictor {
            Predictor::None => before != Some(residual),
            _ => residual != 0,
        };
        before = Some(residual);
        bitmap[index / 8] |= u8::from(is_news) << (index % 8);
        index += 1;
        is_news
    });
}

/// Writes a column by its plan.
pub(super) fn write(numbers: &[i64], plan: &Plan, work: &mut Work, out: &mut Vec<u8>) {
    work.divided.clear();
    work.divided.extend_from_slice(numbers);
    if plan.divisor != 1 {
        for number in &mut work.divided {
            *number = (*number - plan.reference) / plan.divisor;
        }
    }
    let (start, slope) = leave_over(
        &work.divided,
        plan.predictor,
        plan.layout,
        &mut work.residuals,
        &mut work.bitmap,
    );
    let head = Head {
        predictor: plan.predictor,
        layout: plan.layout,
        reference: plan.reference,
        divisor: plan.divisor,
        start,
        slope,
    };
    head.put(out);
    match plan.layout {
        Layout::Constant => put_signed(out, work.residuals[0]),
        Layout::Packed => groups::write_all(&work.residuals, &plan.groups, out),
        Layout::Sparse => {
            out.extend_from_slice(&work.bitmap);
            groups::write_all(&work.residuals, &plan.groups, out);
        }
    }
}

/// Reads a column of `out.len()` numbers.
pub(super) fn read(reader: &mut Reader, out: &mut [i64]) -> Result<()> {
    let head = Head::read(reader)?;
    read_body(&head, reader, out)
}

/// Reads what follows a head.
pub(super) fn read_body(head: &Head, reader: &mut Reader, out: &mut [i64]) -> Result<()> {
    if head.layout == Layout::Sparse {
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
    } else if head.layout == Layout::Constant && head.predictor == Predictor::Last {
        fill_steps(head.start, reader.signed()?, out);
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

/// Fills `out` with the multiples of a step above a start, the first of them once.
fn fill_steps(start: i64, step: i64, out: &mut [i64]) {
    let mut last = start;
    for number in out {
        last = last.wrapping_add(step);
        *number = last;
    }
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

/// Where a sparse layout has news.
#[derive(Debug)]
pub(super) struct Bitmap<'a> {
    bytes: &'a [u8],
    /// How many bits are set.
    pub(super) set: usize,
    /// How many are not before the first that is.
    pub(super) leading: usize,
}

impl<'a> Bitmap<'a> {
    pub(super) fn read(reader: &mut Reader<'a>, count: usize) -> Result<Self> {
        let bytes = reader.take(count.div_ceil(8))?;
        let set: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
        let first = bytes.iter().position(|&byte| byte != 0);
        let leading = first.map_or(count, |at| 8 * at + bytes[at].trailing_zeros() as usize);
        let padding = bytes.last().map_or(0, |&last| match count % 8 {
            0 => 0,
            used => last >> used,
        });
        if padding != 0 {
            return Err(Error::Corrupt { what: "bitmap" });
        }
        Ok(Self {
            bytes,
            set: set as usize,
            leading,
        })
    }

    /// Spreads the news at the end of `out` over all of it: each place gets the last news up to
    /// it, or `before` where there was none.
    #[inline]
    pub(super) fn spread<T: Copy>(&self, before: T, out: &mut [T]) {
        // One less than the next news: without a branch on the bits, which nobody could guess.
        let mut at = (out.len() - self.set).wrapping_sub(1);
        for index in 0..out.len() {
            if index < self.leading {
                out[index] = before;
                continue;
            }
            at = at.wrapping_add(usize::from(self.bytes[index / 8] >> (index % 8) & 1));
            out[index] = out[at];
        }
    }
}
