//! Bytes of unknown origin, read from the front; and numbers of few bytes.
//!
//! ```text
//! varint    7 bits a byte, least significant first, the top bit says that more follow   1..=10 bytes
//! folded    a signed number as 0, -1, 1, -2, 2 ..                                       then a varint
//! ```

use crate::engine::{Error, Result};

const ENDS_EARLY: Error = Error::Corrupt {
    what: "packed block ends early",
};

/// Folds the sign into the lowest bit, so that small numbers of either sign are small.
#[inline]
pub(super) const fn fold(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// Takes back [`fold`].
#[inline]
pub(super) const fn unfold(folded: u64) -> i64 {
    (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed()
}

/// The number of significant bits: 0 for 0, 64 for the largest.
#[inline]
pub(super) const fn significant_bits(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// [`significant_bits`] of a number of at most [`FEW_BITS`] bits: the exponent of a float, which
/// SIMD finds for four numbers at once.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact below 2^24; a bit is appended, so that there is an exponent for 0"
)]
#[inline]
pub(super) const fn few_significant_bits(value: u32) -> u32 {
    let float = (value << 1 | 1).cast_signed() as f32;
    (float.to_bits() >> 23) - 127
}

/// Bits that [`few_significant_bits`] counts.
pub(super) const FEW_BITS: u32 = 23;

/// [`fold`] of a number of 32 bits.
#[inline]
pub(super) const fn fold_word(value: i32) -> u32 {
    (value << 1 ^ value >> 31).cast_unsigned()
}

/// Numbers as offsets from the first of them, where all are within 2^`bits`, at most 31; the
/// array's rest is 0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked before, all at once"
)]
#[inline]
pub(super) fn near_offsets<const N: usize>(numbers: &[i64], bits: u32) -> Option<[i32; N]> {
    let half = 1_i64 << bits;
    let first = *numbers.first()?;
    let offsets = numbers.iter().map(|number| number.wrapping_sub(first));
    let above = offsets.map(|offset| offset.wrapping_add(half).cast_unsigned());
    if above.fold(0, |all, one| all | one) >> (bits + 1) != 0 {
        return None;
    }
    let mut near = [0; N];
    for (offset, &number) in near.iter_mut().zip(numbers) {
        *offset = number.wrapping_sub(first) as i32;
    }
    Some(near)
}

/// The lowest byte of a number that is known to fit in it.
#[inline]
pub(super) const fn low_byte(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

/// Appends a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends a signed number: folded, as a varint.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, fold(value));
}

/// Bytes that a varint of `value` takes.
pub(super) const fn varint_size(value: u64) -> u32 {
    let bits = significant_bits(value | 1);
    bits.div_ceil(7)
}

/// What is left of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The next `size` bytes.
    #[inline]
    pub(super) fn take(&mut self, size: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(size).ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8> {
        let (&head, rest) = self.rest.split_first().ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::Corrupt {
            what: "number too long",
        })
    }

    #[inline]
    pub(super) fn signed(&mut self) -> Result<i64> {
        self.varint().map(unfold)
    }

    /// Ends the reading.
    pub(super) fn finish(self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Error::Corrupt {
            what: "packed block goes on after its last column",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bits_are_counted_as_any() {
        let edges = (0..FEW_BITS).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (2 << bits) - 1]);
        for value in edges.chain(0..2_000) {
            let bits = significant_bits(value.into());
            assert_eq!(few_significant_bits(value), bits, "{value}");
        }
    }

    #[test]
    fn offsets_are_near_up_to_their_limit() {
        for (offset, is_near) in [(7, true), (8, false), (-8, true), (-9, false)] {
            let near = near_offsets::<4>(&[i64::MAX, i64::MAX.wrapping_add(offset)], 3);
            let expected = i32::try_from(offset).ok().filter(|_| is_near);
            assert_eq!(near, expected.map(|offset| [0, offset, 0, 0]));
        }
    }

    #[test]
    fn numbers_of_every_length_come_back() {
        for shift in 0..64 {
            for value in [1_u64 << shift, u64::MAX >> shift, (1 << shift) - 1] {
                let mut bytes = Vec::new();
                put_varint(&mut bytes, value);
                assert_eq!(bytes.len(), varint_size(value) as usize);
                let mut reader = Reader::new(&bytes);
                assert_eq!(reader.varint(), Ok(value));
                assert_eq!(reader.finish(), Ok(()));
                assert_eq!(fold(unfold(value)), value);
            }
        }
        assert!(Reader::new(&[0xff; 10]).varint().is_err());
        assert!(Reader::new(&[0x80; 9]).varint().is_err());
    }
}
