//! Groups of 128 numbers: a base, a width, and patches for the few that stand out.
//!
//! ```text
//! | width: 7 bits, patched: 1 | base, folded difference to the one before, varint |
//! | patches - 1  u8 | high width u8 | positions: u8 each | highs: plain stream |      if patched
//! | low parts: packed, width bits each |
//!
//! number = base + low + (high << width)          high = 0 without a patch; folded, so of any sign
//!
//!        |<--- 2^width --->|
//!  ------[=================]-------------------------o------------->     o: patched, high = 2
//!       base
//! ```
//!
//! One spike would otherwise widen a whole block. Where the window lies is found from the
//! bit lengths of offsets, above the least number and around a median of a few, so that no
//! candidate needs to be encoded to be priced. (`PFOR` of Zukowski et al., ICDE 2006, with patches
//! on both sides.)

use std::array;

use super::bytes::{
    FEW_BITS, Reader, few_significant_bits, fold, fold_word, low_byte, near_offsets, put_signed,
    significant_bits, unfold, varint_size,
};
use super::packing::{
    GROUP, LANE_BITS, SUM_BITS, low_word, pack, pack_stream, packed_size, stream_at, unpack,
    unpack_sums, unpack_words,
};
use crate::engine::{Error, Result};

/// Bits of a patch's position.
const POSITION_BITS: u32 = 8;
/// Bits of the number of patches and of their width.
const PATCH_HEAD_BITS: u32 = 16;
/// Says in the first byte that there are patches.
const PATCHED: u8 = 0x80;
/// So few patches are added to sums one after the other, which SIMD does, rather than before
/// adding up.
const FEW_PATCHES: usize = 4;
/// What the time to read a patch, and to read any at all, is worth in bits. Without, 14 recorded
/// series take 0.6 % less and 6 % longer to decode.
const PATCH_TIME_BITS: u32 = 4;
const PATCHES_TIME_BITS: u32 = 32;
/// A range of so few bits is not worth a patch.
const PLAIN_BITS: u32 = 2;

/// Greatest sum of the magnitudes of numbers without their base, and their patches, for 32 bits.
const REACH_BITS: u32 = 30;
/// Numbers within so many bits of the first are planned in 32 bits: their range has a bit more,
/// and folded another.
const NEAR_BITS: u32 = FEW_BITS - 2;

/// How a group will be written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    base: i64,
    width: u32,
    /// What the group will take, but for its base.
    bits: u32,
}

/// The significant bits of each number of a group; 0 where the group is shorter.
type Lengths = [u8; GROUP];

fn lengths(offsets: impl Iterator<Item = u64>) -> Lengths {
    let mut lengths = [0; GROUP];
    for (length, offset) in lengths.iter_mut().zip(offsets) {
        *length = low_byte(significant_bits(offset));
    }
    lengths
}

/// As [`lengths`], of offsets of few bits.
fn few_lengths(offsets: impl Iterator<Item = u32>) -> Lengths {
    let mut lengths = [0; GROUP];
    for (length, offset) in lengths.iter_mut().zip(offsets) {
        *length = low_byte(few_significant_bits(offset));
    }
    lengths
}

/// How many numbers have at least `limit` bits, and the most bits of the others.
#[inline]
fn part(lengths: &Lengths, limit: u32) -> (u32, u32) {
    let limit = low_byte(limit);
    let (mut outside, mut widest_inside) = (0_u8, 0);
    for &length in lengths {
        let is_outside = length >= limit;
        outside += u8::from(is_outside);
        widest_inside = widest_inside.max(if is_outside { 0 } else { length });
    }
    (outside.into(), widest_inside.into())
}

/// The cheapest width and its price, where numbers of more bits become patches.
fn cheapest_width(lengths: &Lengths, len: u32) -> (u32, u32) {
    let widest = u32::from(lengths.iter().copied().fold(0, u8::max));
    let (mut best_width, mut best_bits) = (widest, len * widest);
    let mut limit = widest;
    while limit > 0 {
        // Of all widths with the same patches, the least is the best.
        let (outside, widest_inside) = part(lengths, limit);
        let is_last = outside * 2 > len;
        let width = if is_last { limit - 1 } else { widest_inside };
        let patch_bits = POSITION_BITS + PATCH_TIME_BITS + widest - width;
        let bits = len * width + PATCH_HEAD_BITS + PATCHES_TIME_BITS + outside * patch_bits;
        if bits < best_bits {
            (best_width, best_bits) = (width, bits);
        }
        limit = if is_last { 0 } else { widest_inside };
    }
    (best_width, best_bits)
}

/// A number in the middle of nine of them.
pub(super) fn middle(numbers: &[i64]) -> i64 {
    median(array::from_fn(|index| {
        numbers[(2 * index + 1) * numbers.len() / 18]
    }))
}

/// A step in the middle of nine of them.
pub(super) fn middle_step(numbers: &[i64]) -> i64 {
    median(array::from_fn(|index| {
        let at = (2 * index + 1) * (numbers.len() - 1) / 18;
        let pair = numbers.get(at..at + 2).unwrap_or(&[0, 0]);
        pair[1].wrapping_sub(pair[0])
    }))
}

/// The median of nine, by a network of Paeth ("Median finding on a 3x3 grid", 1990): sorting takes
/// branches that nobody could guess.
fn median(mut nine: [i64; 9]) -> i64 {
    const NETWORK: [(usize, usize); 19] = [
        (1, 2),
        (4, 5),
        (7, 8),
        (0, 1),
        (3, 4),
        (6, 7),
        (1, 2),
        (4, 5),
        (7, 8),
        (0, 3),
        (5, 8),
        (4, 7),
        (3, 6),
        (1, 4),
        (2, 5),
        (4, 7),
        (4, 2),
        (6, 4),
        (4, 2),
    ];
    for (lower, upper) in NETWORK {
        let pair = (nine[lower], nine[upper]);
        nine[lower] = pair.0.min(pair.1);
        nine[upper] = pair.0.max(pair.1);
    }
    nine[4]
}

/// The least number and the greatest.
fn ends(numbers: &[i64]) -> (i64, i64) {
    // Four of each, so that no comparison waits for the one before.
    let (mut mins, mut maxs) = ([numbers[0]; 4], [numbers[0]; 4]);
    let (fours, rest) = numbers.as_chunks::<4>();
    for four in fours {
        for lane in 0..4 {
            mins[lane] = mins[lane].min(four[lane]);
            maxs[lane] = maxs[lane].max(four[lane]);
        }
    }
    let rest = || rest.iter().copied();
    let min = rest().chain(mins).fold(numbers[0], i64::min);
    let max = rest().chain(maxs).fold(numbers[0], i64::max);
    (min, max)
}

/// Plans a group of 1 to 128 numbers.
pub(super) fn plan(numbers: &[i64]) -> Plan {
    let Some(near) = near_offsets::<GROUP>(numbers, NEAR_BITS) else {
        let range = ends(numbers);
        return plan_between(numbers, range, |from, is_folded| {
            let offsets = numbers.iter().map(|number| number.wrapping_sub(from));
            if is_folded {
                lengths(offsets.map(fold))
            } else {
                lengths(offsets.map(i64::cast_unsigned))
            }
        });
    };
    let near = &near[..numbers.len()];
    let first = numbers[0];
    let min = near.iter().copied().fold(0, i32::min);
    let max = near.iter().copied().fold(0, i32::max);
    let range = (
        first.wrapping_add(min.into()),
        first.wrapping_add(max.into()),
    );
    plan_between(numbers, range, |from, is_folded| {
        let from = i32::try_from(from.wrapping_sub(first)).unwrap_or(0);
        let offsets = near.iter().map(|offset| offset - from);
        if is_folded {
            few_lengths(offsets.map(fold_word))
        } else {
            few_lengths(offsets.map(i32::cast_unsigned))
        }
    })
}

/// Plans a group that has its least and its greatest number in `range`. `lengths_from` gives the
/// lengths of all offsets from a number, folded or not.
#[inline]
fn plan_between(
    numbers: &[i64],
    (min, max): (i64, i64),
    lengths_from: impl Fn(i64, bool) -> Lengths,
) -> Plan {
    let len = u32::from(low_byte(u32::try_from(numbers.len()).unwrap_or(0)));
    let range_bits = significant_bits(max.wrapping_sub(min).cast_unsigned());
    let head_bits = 8;
    let plain = Plan {
        base: min,
        width: range_bits,
        bits: head_bits + len * range_bits,
    };
    if range_bits <= PLAIN_BITS {
        return plain;
    }
    let center = middle(numbers);
    let above = max.wrapping_sub(center).cast_unsigned();
    let below = center.wrapping_sub(min).cast_unsigned();
    // A window above the least, where there is little below the middle; else one around it.
    let is_around = below >= above / 4;
    let from = if is_around { center } else { min };
    let (width, bits) = cheapest_width(&lengths_from(from, is_around), len);
    let half = (1_u64 << width.min(63) >> 1).cast_signed();
    let patched = Plan {
        base: if is_around {
            center.wrapping_sub(half)
        } else {
            min
        },
        width,
        bits: head_bits + bits,
    };
    if patched.bits < plain.bits {
        patched
    } else {
        plain
    }
}

/// Plans groups one after the other; returns the price of all in bits, or of those up to which it
/// is no less than `limit`.
pub(super) fn plan_all(numbers: &[i64], limit: u32, plans: &mut Vec<Plan>) -> u32 {
    plans.clear();
    let (mut bits, mut base) = (0, 0_i64);
    for group in numbers.chunks(GROUP) {
        let plan = plan(group);
        bits += plan.bits + 8 * varint_size(fold(plan.base.wrapping_sub(base)));
        base = plan.base;
        plans.push(plan);
        if bits >= limit {
            break;
        }
    }
    bits
}

/// Writes groups by their plans.
pub(super) fn write_all(numbers: &[i64], plans: &[Plan], out: &mut Vec<u8>) {
    let mut base = 0_i64;
    for (group, plan) in numbers.chunks(GROUP).zip(plans) {
        write(group, *plan, base, out);
        base = plan.base;
    }
}

fn write(numbers: &[i64], plan: Plan, base_before: i64, out: &mut Vec<u8>) {
    let Plan { base, width, .. } = plan;
    let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
    let (mut lows, mut highs, mut positions) = ([0; GROUP], [0; GROUP], [0; GROUP]);
    let (mut patch_count, mut high_bits) = (0, 0);
    for (index, (&number, low)) in numbers.iter().zip(&mut lows).enumerate() {
        let offset = number.wrapping_sub(base);
        *low = offset.cast_unsigned() & mask;
        let high = fold(offset.checked_shr(width).unwrap_or(0));
        if width < 64 && high != 0 {
            high_bits |= high;
            highs[patch_count] = high;
            positions[patch_count] = low_byte(u32::try_from(index).unwrap_or(0));
            patch_count += 1;
        }
    }
    let patched = if patch_count > 0 { PATCHED } else { 0 };
    out.push(low_byte(width) | patched);
    put_signed(out, base.wrapping_sub(base_before));
    if patch_count > 0 {
        let high_width = significant_bits(high_bits);
        out.push(low_byte(u32::try_from(patch_count - 1).unwrap_or(0)));
        out.push(low_byte(high_width));
        out.extend_from_slice(&positions[..patch_count]);
        pack_stream(&highs[..patch_count], high_width, out);
    }
    pack(&lows[..numbers.len()], width, out);
}

/// A group as it stands in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group<'a> {
    /// What all numbers have at least, patches aside.
    pub(super) base: i64,
    /// Bits of a low part.
    pub(super) width: u32,
    /// The low parts.
    pub(super) packed: &'a [u8],
    /// Rising, each less than the length of the group.
    pub(super) positions: &'a [u8],
    high_width: u32,
    highs: &'a [u8],
}

impl<'a> Group<'a> {
    /// A group of one number, as often as wanted, that takes no bytes.
    pub(super) const fn constant(base: i64) -> Self {
        Self {
            base,
            width: 0,
            packed: &[],
            positions: &[],
            high_width: 0,
            highs: &[],
        }
    }

    /// Reads a group of `len` numbers, 1..=128, that follows one with the base `base_before`.
    pub(super) fn read(reader: &mut Reader<'a>, len: usize, base_before: i64) -> Result<Self> {
        let head = reader.byte()?;
        let width = u32::from(head & !PATCHED);
        let base = base_before.wrapping_add(reader.signed()?);
        let (mut positions, mut highs, mut high_width) =
            (<&[u8]>::default(), <&[u8]>::default(), 0);
        if head & PATCHED != 0 {
            let patch_count = usize::from(reader.byte()?) + 1;
            high_width = u32::from(reader.byte()?);
            if patch_count > len || high_width > 64 || width >= 64 {
                return Err(Error::Corrupt { what: "patches" });
            }
            positions = reader.take(patch_count)?;
            highs = reader.take(packed_size(patch_count, high_width))?;
            let rising = positions.is_sorted_by(|one, next| one < next);
            if !rising
                || positions
                    .last()
                    .is_some_and(|&last| usize::from(last) >= len)
            {
                return Err(Error::Corrupt {
                    what: "positions of patches",
                });
            }
        }
        if width > 64 {
            return Err(Error::Corrupt { what: "bit width" });
        }
        let packed = reader.take(packed_size(len, width))?;
        Ok(Self {
            base,
            width,
            packed,
            positions,
            high_width,
            highs,
        })
    }

    /// What the patches add, by position.
    #[inline]
    pub(super) fn patches(&self) -> impl Iterator<Item = (usize, i64)> {
        self.positions.iter().enumerate().map(|(index, &position)| {
            let high = stream_at(self.highs, self.high_width, index);
            (usize::from(position), unfold(high) << self.width)
        })
    }

    /// The magnitude that no number without the base has, nor any sum of such numbers; where that
    /// does not fit in 32 bits, something that does not either.
    #[inline]
    pub(super) fn reach(&self) -> u64 {
        if self.width > SUM_BITS {
            return u64::MAX;
        }
        let lows = (GROUP as u64) << self.width;
        if self.positions.is_empty() {
            return lows;
        }
        // Folded, a high part is half as great.
        let high_bits = self.high_width + self.width;
        if high_bits > LANE_BITS {
            return u64::MAX;
        }
        lows + ((self.positions.len() as u64) << high_bits)
    }

    /// Whether the numbers without the base, and their sums, fit in 32 bits.
    #[inline]
    pub(super) fn has_small_sums(&self) -> bool {
        self.reach() >> REACH_BITS == 0
    }

    /// Fills `offsets`, which has the length of the group, with the numbers without the base, two's
    /// complement. [`Group::has_small_sums`] must say that they fit.
    #[inline]
    pub(super) fn read_offsets(&self, offsets: &mut [u32]) {
        unpack_words(self.packed, self.width, offsets);
        for (position, high) in self.patches() {
            offsets[position] = offsets[position].wrapping_add(low_word(high.cast_unsigned()));
        }
    }

    /// As [`Group::read_offsets`], each number with all before it added.
    #[inline]
    pub(super) fn read_sums(&self, sums: &mut [u32]) {
        if self.positions.len() <= FEW_PATCHES {
            unpack_sums(self.packed, self.width, sums);
            for (position, high) in self.patches() {
                let high = low_word(high.cast_unsigned());
                for sum in &mut sums[position..] {
                    *sum = sum.wrapping_add(high);
                }
            }
            return;
        }
        self.read_offsets(sums);
        let mut sum = 0_u32;
        for one in sums {
            sum = sum.wrapping_add(*one);
            *one = sum;
        }
    }

    /// Fills `out`, which has the length of the group.
    pub(super) fn read_into(&self, out: &mut [i64]) {
        if self.width == 0 {
            out.fill(self.base);
        } else if self.width <= LANE_BITS {
            let mut words = [0; GROUP];
            let words = &mut words[..out.len()];
            unpack_words(self.packed, self.width, words);
            for (number, &word) in out.iter_mut().zip(&*words) {
                *number = self.base.wrapping_add(i64::from(word));
            }
        } else {
            let mut lows = [0; GROUP];
            let lows = &mut lows[..out.len()];
            unpack(self.packed, self.width, lows);
            for (number, &low) in out.iter_mut().zip(&*lows) {
                *number = self.base.wrapping_add(low.cast_signed());
            }
        }
        for (position, high) in self.patches() {
            out[position] = out[position].wrapping_add(high);
        }
    }
}
