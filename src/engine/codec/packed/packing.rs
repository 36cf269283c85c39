//! Numbers of one width, bit after bit.
//!
//! ```text
//! 128 numbers of 0..=32 bits    4 lanes of 32-bit words, as crate `bitpacking` lays them out (the
//!                               layout of Lemire's simdcomp): number i is in lane i % 4
//!   word 0 of lanes 0 1 2 3 | word 1 of lanes 0 1 2 3 | ...                   16 * width bytes
//!
//! any other                     a plain stream, least significant bit first
//!   | n0 | n1 | n2 | ..                                                len * width / 8 bytes, rounded up
//! ```
//!
//! The lanes are what SIMD unpacks at ten numbers a nanosecond; the stream serves the end of a
//! block and widths beyond 32, which are rare. Both layouts are the same on every processor.

use bitpacking::{BitPacker, BitPacker4x};

/// Numbers in a full group.
pub(super) const GROUP: usize = BitPacker4x::BLOCK_LEN;
/// Greatest width that the lanes take, and [`unpack_words`].
pub(super) const LANE_BITS: u32 = 32;
/// Greatest width that [`unpack_sums`] takes: 128 numbers of 24 bits sum up to less than 2^31.
pub(super) const SUM_BITS: u32 = 24;

/// Bytes that `len` numbers of `width` bits take.
#[inline]
pub(super) const fn packed_size(len: usize, width: u32) -> usize {
    (len * width as usize).div_ceil(8)
}

const fn has_lanes(len: usize, width: u32) -> bool {
    len == GROUP && width <= LANE_BITS
}

/// Appends numbers, at most [`GROUP`], each less than 2^`width`.
pub(super) fn pack(numbers: &[u64], width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    if has_lanes(numbers.len(), width) {
        let mut words = [0; GROUP];
        for (word, &number) in words.iter_mut().zip(numbers) {
            *word = low_word(number);
        }
        let start = out.len();
        out.resize(start + packed_size(GROUP, width), 0);
        BitPacker4x::new().compress(&words, &mut out[start..], super::bytes::low_byte(width));
    } else {
        pack_stream(numbers, width, out);
    }
}

/// Appends a plain stream of numbers, whatever their count, each less than 2^`width`.
pub(super) fn pack_stream(numbers: &[u64], width: u32, out: &mut Vec<u8>) {
    out.reserve(packed_size(numbers.len(), width));
    let (mut pending, mut used) = (0_u64, 0);
    for &number in numbers {
        pending |= number << used;
        used += width;
        if used >= u64::BITS {
            out.extend_from_slice(&pending.to_le_bytes());
            used -= u64::BITS;
            // What is left of the number, perhaps nothing: then the shift may be by 64.
            pending = number.checked_shr(width - used).unwrap_or(0);
        }
    }
    out.extend(pending.to_le_bytes().iter().take(used.div_ceil(8) as usize));
}

/// Fills `numbers`, at most [`GROUP`], from `packed`, which has [`packed_size`] bytes.
#[inline]
pub(super) fn unpack(packed: &[u8], width: u32, numbers: &mut [u64]) {
    if width == 0 {
        numbers.fill(0);
    } else if has_lanes(numbers.len(), width) {
        let mut words = [0; GROUP];
        BitPacker4x::new().decompress(packed, &mut words, super::bytes::low_byte(width));
        for (number, word) in numbers.iter_mut().zip(words) {
            *number = u64::from(word);
        }
    } else {
        unpack_stream(packed, width, numbers);
    }
}

/// Fills `words`, at most [`GROUP`] of at most [`LANE_BITS`] bits, from `packed`.
#[inline]
pub(super) fn unpack_words(packed: &[u8], width: u32, words: &mut [u32]) {
    if width == 0 {
        words.fill(0);
    } else if has_lanes(words.len(), width) {
        BitPacker4x::new().decompress(packed, words, super::bytes::low_byte(width));
    } else {
        for (index, word) in words.iter_mut().enumerate() {
            *word = low_word(stream_at(packed, width, index));
        }
    }
}

/// As [`unpack_words`], of at most [`SUM_BITS`] bits, each with all before it added.
#[inline]
pub(super) fn unpack_sums(packed: &[u8], width: u32, sums: &mut [u32]) {
    if width > 0 && has_lanes(sums.len(), width) {
        // The crate's "sorted" format stores differences and gives sums: what we want.
        BitPacker4x::new().decompress_sorted(0, packed, sums, super::bytes::low_byte(width));
        return;
    }
    unpack_words(packed, width, sums);
    let mut sum = 0_u32;
    for one in sums {
        sum = sum.wrapping_add(*one);
        *one = sum;
    }
}

/// Bytes of one load: a number of up to 57 bits and the bits before it in its first byte.
const LOAD: usize = 8;
/// Greatest width that one load serves.
const LOAD_BITS: u32 = 57;

fn unpack_stream(packed: &[u8], width: u32, numbers: &mut [u64]) {
    for (index, number) in numbers.iter_mut().enumerate() {
        *number = stream_at(packed, width, index);
    }
}

/// The number at `index` of a plain stream of numbers of 0..=64 bits.
#[inline]
pub(super) fn stream_at(packed: &[u8], width: u32, index: usize) -> u64 {
    let position = index * width as usize;
    let (at, shift) = (position / 8, position % 8);
    let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
    let low = load(packed, at) >> shift;
    if width <= LOAD_BITS {
        return low & mask;
    }
    // Two shifts, since `shift` may be 0 and a shift by 64 is none at all.
    let high = load(packed, at + LOAD) << 1 << (63 - shift);
    (low | high) & mask
}

#[inline]
fn load(packed: &[u8], at: usize) -> u64 {
    if let Some(chunk) = packed.get(at..).and_then(<[u8]>::first_chunk::<LOAD>) {
        return u64::from_le_bytes(*chunk);
    }
    // Near the end: the last whole chunk, if there is one, shifted.
    let missing = (at + LOAD).saturating_sub(packed.len());
    if let Some(chunk) = packed.last_chunk::<LOAD>() {
        let word = u64::from_le_bytes(*chunk);
        return if missing < LOAD {
            word >> (8 * missing)
        } else {
            0
        };
    }
    let rest = packed.get(at..).unwrap_or_default().iter().rev();
    rest.fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
#[inline]
pub(super) const fn low_word(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers with all widths up to `width`, one of them full.
    fn numbers(len: usize, width: u32) -> Vec<u64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |index: usize| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let all = u64::MAX.checked_shr(64 - width).unwrap_or(0);
            if index == 0 {
                all
            } else {
                state.rotate_left(32) & all
            }
        };
        (0..len).map(&mut next).collect()
    }

    #[test]
    fn every_width_and_length_comes_back() {
        for width in 0..=64 {
            for len in [0, 1, 2, 7, 8, 63, 64, 65, 127, 128] {
                let numbers = numbers(len, width);
                let mut packed = Vec::new();
                pack(&numbers, width, &mut packed);
                assert_eq!(packed.len(), packed_size(len, width));
                let mut copy = vec![1; len];
                unpack(&packed, width, &mut copy);
                assert_eq!(copy, numbers, "{len} of {width} bits");
                if width <= SUM_BITS {
                    let (mut words, mut sums) = (vec![1; len], vec![1; len]);
                    unpack_words(&packed, width, &mut words);
                    unpack_sums(&packed, width, &mut sums);
                    let mut sum = 0;
                    for index in 0..len {
                        assert_eq!(u64::from(words[index]), numbers[index]);
                        sum += words[index];
                        assert_eq!(sums[index], sum);
                    }
                }
            }
        }
    }

    /// The lanes, by their definition: what the crate must write on any processor.
    fn pack_lanes_naively(numbers: &[u64], width: u32) -> Vec<u8> {
        let mut bits = vec![0_u8; packed_size(GROUP, width)];
        for (index, &number) in numbers.iter().enumerate() {
            let (lane, row) = (index % 4, index / 4);
            for bit in 0..width as usize {
                let in_lane = row * width as usize + bit;
                let at = (in_lane / 32) * 128 + lane * 32 + in_lane % 32;
                bits[at / 8] |= low_byte_of(number >> bit & 1) << (at % 8);
            }
        }
        bits
    }

    fn low_byte_of(number: u64) -> u8 {
        number.to_le_bytes()[0]
    }

    #[test]
    fn lanes_are_laid_out_as_drawn() {
        for width in 0..=LANE_BITS {
            let numbers = numbers(GROUP, width);
            let mut packed = Vec::new();
            pack(&numbers, width, &mut packed);
            assert_eq!(packed, pack_lanes_naively(&numbers, width), "{width} bits");
        }
    }
}
