//! Planning and writing a column of integers: which predictor, which layout.
//!
//! What is worth a try is told by a survey of bit lengths; what is tried is priced group by group
//! from bit lengths, up to the price of the best so far, and the cheapest is written.

use super::MAX_SAMPLES;
use super::Work;
use super::bytes::{
    FEW_BITS, few_significant_bits, fold, fold_word, near_offsets, put_signed, significant_bits,
    varint_size,
};
use super::divisor::{common_divisor, divide};
use super::groups;
use super::integers::{Head, Layout, Predictor, SLOPE_BITS, line_at};
use super::packing::GROUP;

/// A line is tried where times span less than this, so that nothing overflows.
const LINE_RANGE: u64 = 1 << 46;

/// Numbers within so many bits of the first are surveyed in 32 bits: their steps have a bit more,
/// the changes of these and what is folded another each.
const NEAR_BITS: u32 = FEW_BITS - 3;

/// More bits than any column takes.
pub(super) const NO_LIMIT: u32 = u32::MAX;

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

/// What a column holds, which says what is worth a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Rising times.
    Times,
    /// Integers of values.
    Values,
    /// Corrections: small, about zero, often zero.
    Corrections,
}

/// Plans a column of at least one number.
pub(super) fn plan(numbers: &[i64], content: Content, work: &mut Work) -> Plan {
    plan_below(NO_LIMIT, numbers, content, work).expect("BUG: a column without limit has a plan")
}

/// As [`plan`]; `None` where it would take `limit` bits or more, which is seen early.
pub(super) fn plan_below(
    limit: u32,
    numbers: &[i64],
    content: Content,
    work: &mut Work,
) -> Option<Plan> {
    if let Some(plan) = plan_constant_step(numbers, content) {
        return Some(plan).filter(|plan| plan.bits < limit);
    }
    let divisor = match content {
        Content::Corrections => 1,
        _ => common_divisor(numbers),
    };
    let head_bits = if divisor == 1 { 16 } else { 64 };
    let mut best = Plan {
        predictor: Predictor::None,
        layout: Layout::Packed,
        reference: if divisor == 1 { 0 } else { numbers[0] },
        divisor,
        groups: Vec::new(),
        bits: limit.saturating_sub(head_bits),
    };
    let mut divided = std::mem::take(&mut work.divided);
    let divided_numbers = best.divide(numbers, &mut divided);
    for (predictor, layout) in candidates(divided_numbers, content) {
        keep_cheaper(&mut best, divided_numbers, predictor, layout, work);
    }
    work.divided = divided;
    best.bits += head_bits;
    (!best.groups.is_empty()).then_some(best)
}

/// Makes a predictor and a layout the best plan, if they are cheaper.
fn keep_cheaper(
    best: &mut Plan,
    numbers: &[i64],
    predictor: Predictor,
    layout: Layout,
    work: &mut Work,
) {
    let bitmap_bits = match layout {
        Layout::Packed | Layout::Constant => 0,
        Layout::Sparse | Layout::Holes => 8 * u32::try_from(numbers.len().div_ceil(8)).unwrap_or(0),
    };
    // A trend is the slowest to read, and must earn that.
    let margin = match predictor {
        Predictor::Trend if !best.groups.is_empty() => best.bits / 64,
        _ => 0,
    };
    let limit = best.bits - margin;
    if bitmap_bits >= limit {
        return;
    }
    leave_over(numbers, predictor, layout, work);
    let limit = limit - bitmap_bits;
    let bits = groups::plan_all(&work.residuals, limit, &mut work.groups);
    if bits < limit {
        best.predictor = predictor;
        best.layout = layout;
        best.bits = bitmap_bits + bits;
        best.groups.clone_from(&work.groups);
    }
}

impl Plan {
    /// The numbers, divided into `buffer` if they are to be.
    fn divide<'a>(&self, numbers: &'a [i64], buffer: &'a mut Vec<i64>) -> &'a [i64] {
        if self.divisor == 1 {
            return numbers;
        }
        divide(numbers, self.divisor, buffer);
        buffer
    }
}

/// The plan of a column whose numbers have one step between them; corrections, which nothing
/// predicts, only where they are all the same.
fn plan_constant_step(numbers: &[i64], content: Content) -> Option<Plan> {
    let step = first_step(numbers);
    let is_constant = numbers
        .windows(2)
        .all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    if !is_constant || (content == Content::Corrections && step != 0) {
        return None;
    }
    let start = numbers[0].wrapping_sub(step);
    Some(Plan {
        predictor: match content {
            Content::Corrections => Predictor::None,
            Content::Times | Content::Values => Predictor::Last,
        },
        layout: Layout::Constant,
        reference: 0,
        divisor: 1,
        groups: Vec::new(),
        bits: 8 + 8 * (varint_size(fold(start)) + varint_size(fold(step))),
    })
}

fn first_step(numbers: &[i64]) -> i64 {
    numbers
        .get(1)
        .map_or(0, |second| second.wrapping_sub(numbers[0]))
}

/// Predictors and layouts worth a try, by the bits they leave over, each number for itself.
fn candidates(
    numbers: &[i64],
    content: Content,
) -> impl Iterator<Item = (Predictor, Layout)> + use<> {
    let survey = match content {
        Content::Corrections => Survey::default(),
        _ => Survey::of(numbers),
    };
    let len = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    // Within half a bit a number of the least: patches and bases decide.
    let limit = survey.none.min(survey.last).min(survey.trend) + len / 2;
    let line = content == Content::Times && numbers.len() > 2 && range(numbers) < LINE_RANGE;
    let corrections = content == Content::Corrections;
    let still = 3 * survey.still > len && !corrections;
    let straight = 3 * survey.straight > len && !corrections;
    [
        (
            Predictor::Last,
            Layout::Packed,
            survey.last <= limit && !corrections,
        ),
        (Predictor::None, Layout::Packed, survey.none <= limit),
        (
            Predictor::Trend,
            Layout::Packed,
            survey.trend <= limit && !corrections,
        ),
        (Predictor::Line, Layout::Packed, line),
        (
            Predictor::Last,
            Layout::Sparse,
            still && survey.last <= limit,
        ),
        (Predictor::None, Layout::Sparse, still),
        (
            Predictor::Trend,
            Layout::Sparse,
            straight && survey.trend <= limit,
        ),
        (Predictor::None, Layout::Holes, corrections),
    ]
    .into_iter()
    .filter_map(|(predictor, layout, tried)| tried.then_some((predictor, layout)))
}

/// Bits that predictors leave over, and how often the last two leave nothing.
#[derive(Debug, Default)]
struct Survey {
    none: u32,
    last: u32,
    trend: u32,
    still: u32,
    straight: u32,
}

impl Survey {
    fn of(numbers: &[i64]) -> Self {
        match near_offsets::<MAX_SAMPLES>(numbers, NEAR_BITS) {
            Some(near) => Self::of_near(numbers, &near[..numbers.len()]),
            None => Self::of_any(numbers),
        }
    }

    fn of_any(numbers: &[i64]) -> Self {
        let bits_of = |number| significant_bits(fold(number));
        let mut survey = Self::default();
        let (mut last, mut last_step) = (numbers[0], first_step(numbers));
        // A step that a base takes away costs nothing.
        let usual_step = groups::middle_step(numbers);
        for group in numbers.chunks(GROUP) {
            let center = groups::middle(group);
            for &number in group {
                let step = number.wrapping_sub(last);
                let change = step.wrapping_sub(last_step);
                survey.none += bits_of(number.wrapping_sub(center));
                survey.last += bits_of(step.wrapping_sub(usual_step));
                survey.trend += bits_of(change);
                survey.still += u32::from(step == 0);
                survey.straight += u32::from(change == 0);
                (last, last_step) = (number, step);
            }
        }
        survey
    }

    /// As [`Survey::of_any`], in 32 bits, by SIMD: loops without a memory.
    fn of_near(numbers: &[i64], near: &[i32]) -> Self {
        let bits_of = |number| few_significant_bits(fold_word(number));
        let word = |number: i64| i32::try_from(number).unwrap_or(0);
        let mut survey = Self::default();
        for (group, near) in numbers.chunks(GROUP).zip(near.chunks(GROUP)) {
            let center = word(groups::middle(group).wrapping_sub(numbers[0]));
            survey.none += near.iter().map(|one| bits_of(one - center)).sum::<u32>();
        }
        let usual_step = word(groups::middle_step(numbers));
        survey.last = bits_of(-usual_step);
        survey.still = 1;
        for pair in near.windows(2) {
            let step = pair[1] - pair[0];
            survey.last += bits_of(step - usual_step);
            survey.still += u32::from(step == 0);
        }
        let step = word(first_step(numbers));
        survey.trend = bits_of(-step) + bits_of(step);
        survey.straight = 2 * u32::from(step == 0);
        for three in near.windows(3) {
            let change = three[2] - 2 * three[1] + three[0];
            survey.trend += bits_of(change);
            survey.straight += u32::from(change == 0);
        }
        survey
    }
}

fn range(numbers: &[i64]) -> u64 {
    let min = numbers.iter().min().copied().unwrap_or(0);
    let max = numbers.iter().max().copied().unwrap_or(0);
    max.wrapping_sub(min).cast_unsigned()
}

fn slope_of(numbers: &[i64]) -> i64 {
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let steps = i64::try_from(numbers.len() - 1).unwrap_or(1).max(1);
    last.wrapping_sub(first).wrapping_shl(SLOPE_BITS) / steps
}

/// Makes the residuals of `work` what is stored, and its bitmap, where there is one; returns the
/// seeds.
fn leave_over(
    numbers: &[i64],
    predictor: Predictor,
    layout: Layout,
    work: &mut Work,
) -> (i64, i64) {
    let residuals = &mut work.residuals;
    residuals.clear();
    let (first, step) = (numbers[0], first_step(numbers));
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
            residuals.extend(numbers.get(1).map(|_| 0));
            residuals.extend(numbers.windows(3).map(|three| {
                let (before, step) = (
                    three[1].wrapping_sub(three[0]),
                    three[2].wrapping_sub(three[1]),
                );
                step.wrapping_sub(before)
            }));
            (first.wrapping_sub(step), step)
        }
        Predictor::Line => {
            let slope = slope_of(numbers);
            residuals.extend(numbers.iter().enumerate().map(|(index, number)| {
                number
                    .wrapping_sub(first)
                    .wrapping_sub(line_at(slope, index))
            }));
            (first, slope)
        }
    };
    match (layout, predictor) {
        (Layout::Sparse, Predictor::None) => {
            // The first is news, whatever it is.
            let before = !first;
            keep_news(work, before, |one, last| one != last);
        }
        (Layout::Sparse | Layout::Holes, _) => keep_news(work, 0, |one, _| one != 0),
        (Layout::Packed | Layout::Constant, _) => {}
    }
    seeds
}

/// Keeps of the residuals what is news beside the last, and marks it in the bitmap.
fn keep_news(work: &mut Work, before: i64, is_news: impl Fn(i64, i64) -> bool) {
    let Work {
        residuals, bitmap, ..
    } = work;
    bitmap.clear();
    let (mut last, mut kept) = (before, 0);
    let mut keep = |from: &[i64], to: &mut [i64; 8]| {
        let (mut byte, mut count) = (0_u8, 0);
        for (index, &one) in from.iter().enumerate() {
            let news = is_news(one, last);
            last = one;
            // Written in any case, since nobody could guess a branch; said twice that it fits.
            to[count % 8] = one;
            count += usize::from(news);
            byte |= u8::from(news) << index;
        }
        bitmap.push(byte);
        count
    };
    let whole = residuals.len() / 8 * 8;
    for start in (0..whole).step_by(8) {
        let mut eight = [0; 8];
        eight.copy_from_slice(&residuals[start..start + 8]);
        if let Some(to) = residuals[kept..].first_chunk_mut() {
            kept += keep(&eight, to);
        }
    }
    if whole < residuals.len() {
        let mut rest = [0; 8];
        let count = keep(&residuals[whole..], &mut rest);
        residuals.truncate(kept);
        residuals.extend_from_slice(&rest[..count]);
    } else {
        residuals.truncate(kept);
    }
}

/// Writes a column by its plan.
pub(super) fn write(numbers: &[i64], plan: &Plan, work: &mut Work, out: &mut Vec<u8>) {
    let mut divided = std::mem::take(&mut work.divided);
    let numbers = plan.divide(numbers, &mut divided);
    let (start, slope) = leave_over(numbers, plan.predictor, plan.layout, work);
    work.divided = divided;
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
        Layout::Sparse | Layout::Holes => {
            out.extend_from_slice(&work.bitmap);
            groups::write_all(&work.residuals, &plan.groups, out);
        }
    }
}
