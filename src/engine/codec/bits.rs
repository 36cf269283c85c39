//! A stream of bits, most significant bit first. Knows nothing of times and values.
//!
//! ```text
//! BitWriter   bytes: Vec<u8>  [ whole 64-bit words, big endian ]  word: u64 [ last < 64 bits | 0 ]
//! BitReader   bytes: &[u8]    [ read in place ............ ]  end: [u8; 40] [ last bytes, word, 0s ]
//! ```
//!
//! Writing touches the buffer once every 64 bits. Reading is by position: [`BitReader::peek`]
//! loads eight bytes wherever the position is, aligned or not, so that a reader which guesses the
//! next width right (the branch predictor does) need not wait for the last load. The final bytes
//! are copied once into a zero-padded array, and thus no load ever runs past the slice.

use crate::engine::Error;

/// Bytes by which a small buffer grows: a series of few samples shall cost few bytes.
const SMALL_STEP: usize = 32;
/// From here on a buffer grows by half of itself, for amortised O(1) appends.
const SMALL_LIMIT: usize = 128;
/// Large buffers are rounded up to this, to sit well in the allocator's size classes.
const LARGE_STEP: usize = 64;

/// Appends bits to a growing buffer.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// The bits not yet in `bytes`, justified to the left; the rest is zero.
    word: u64,
    /// Bits of `word` in use, 0..=63.
    used: u8,
}

impl BitWriter {
    /// An empty stream; allocates nothing.
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            word: 0,
            used: 0,
        }
    }

    /// Appends the low `count` bits of `value`.
    ///
    /// `count` is 1..=64 and `value` has no bit above it; checked in debug builds, garbage in the
    /// stream (never a panic) otherwise.
    #[inline]
    pub fn write(&mut self, value: u64, count: u32) {
        debug_assert!((1..=64).contains(&count), "BUG: {count} bits at once");
        debug_assert!(
            count == 64 || value >> count == 0,
            "BUG: bits above the count"
        );
        let free = 64 - u32::from(self.used);
        if count < free {
            self.word |= value.wrapping_shl(free - count);
            self.used = self.used.wrapping_add(low_byte(count));
        } else {
            let rest = count - free;
            let full = self.word | value.wrapping_shr(rest);
            self.append_word(full);
            // Two shifts, since `rest` may be 0 and a shift by 64 is none at all.
            self.word = (value << 1).wrapping_shl(63 - rest);
            self.used = low_byte(rest);
        }
    }

    #[inline]
    fn append_word(&mut self, word: u64) {
        if self.bytes.capacity() - self.bytes.len() < 8 {
            self.grow();
        }
        self.bytes.extend_from_slice(&word.to_be_bytes());
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let capacity = self.bytes.capacity();
        let wanted = if capacity < SMALL_LIMIT {
            (capacity + SMALL_STEP).next_multiple_of(SMALL_STEP)
        } else {
            (capacity + capacity / 2).next_multiple_of(LARGE_STEP)
        };
        self.bytes.reserve_exact(wanted - self.bytes.len());
    }

    /// Bits written so far.
    pub fn len_bits(&self) -> usize {
        self.bytes.len() * 8 + usize::from(self.used)
    }

    /// Length of the finished stream, with the last byte padded.
    pub fn size_bytes(&self) -> usize {
        self.len_bits().div_ceil(8)
    }

    /// Appends the finished stream to `out`; writing may go on afterwards.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes);
        let pending = usize::from(self.used).div_ceil(8);
        out.extend(self.word.to_be_bytes().iter().take(pending));
    }

    /// The finished stream, last byte padded with zeros; the buffer is handed over.
    pub fn finish(mut self) -> Vec<u8> {
        let pending = usize::from(self.used).div_ceil(8);
        self.bytes.reserve_exact(pending);
        self.bytes
            .extend(self.word.to_be_bytes().iter().take(pending));
        self.bytes
    }

    /// Reads what is written so far, pending bits included, without copying the buffer.
    pub fn reader(&self) -> BitReader<'_> {
        BitReader::with_tail(&self.bytes, self.word, self.used)
    }

    /// The heap buffer: the whole words only, without the pending bits.
    pub fn buffer(&self) -> &Vec<u8> {
        &self.bytes
    }

    /// The heap buffer, for a host that moves it. Its contents and length must stay as they are.
    pub fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

/// `count` where it is known to be at most 64.
#[inline]
fn low_byte(count: u32) -> u8 {
    count.to_le_bytes()[0]
}

/// Bytes copied from the end of the slice: one less than a [`BitReader::peek_full`] loads.
const OVERLAP: usize = 8;
/// Overlap, the pending word, and zeros for loads that begin in either.
const END_SIZE: usize = OVERLAP + 8 + 9;

/// Reads bits by position. Past the end there are zeros, which [`BitReader::skip`] does not let
/// pass: look ahead first, then ask whether it was there.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// The last bytes, the pending word and zeros.
    end: [u8; END_SIZE],
    /// Index in `bytes` of the first of `end`.
    end_start: usize,
    position_bits: usize,
    len_bits: usize,
}

impl<'a> BitReader<'a> {
    /// How many bits of [`BitReader::peek`] are good, wherever the position.
    pub const PEEK_BITS: u32 = 57;

    /// Reads a finished stream.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_tail(bytes, 0, 0)
    }

    /// Reads `bytes`, then the `tail_bits` (0..=63) upper bits of `tail`.
    fn with_tail(bytes: &'a [u8], tail: u64, tail_bits: u8) -> Self {
        let end_start = bytes.len().saturating_sub(OVERLAP);
        let mut end = [0; END_SIZE];
        let last = bytes.get(end_start..).unwrap_or_default().iter().copied();
        for (to, from) in end.iter_mut().zip(last.chain(tail.to_be_bytes())) {
            *to = from;
        }
        let len_bits = bytes
            .len()
            .saturating_mul(8)
            .saturating_add(usize::from(tail_bits));
        Self {
            bytes,
            end,
            end_start,
            position_bits: 0,
            len_bits,
        }
    }

    /// Bits in the whole stream.
    pub fn len_bits(&self) -> usize {
        self.len_bits
    }

    /// The bits `ahead` of the position, justified to the left; the upper 57 are good.
    #[inline]
    pub fn peek(&self, ahead: u32) -> u64 {
        let position = self.position_bits.wrapping_add(ahead as usize);
        u64::from_be_bytes(self.load(position / 8)) << (position % 8)
    }

    /// The bits `ahead` of the position, all 64 of them good.
    #[inline]
    pub fn peek_full(&self, ahead: u32) -> u64 {
        let position = self.position_bits.wrapping_add(ahead as usize);
        let bytes: [u8; 9] = self.load(position / 8);
        let [high @ .., low] = bytes;
        let shift = position % 8;
        u64::from_be_bytes(high) << shift | u64::from(low) >> (8 - shift)
    }

    /// Moves on by `count` bits.
    ///
    /// # Errors
    /// `Corrupt` when the stream has fewer; the position is then of no use.
    #[inline]
    pub fn skip(&mut self, count: u32) -> Result<(), Error> {
        self.position_bits = self.position_bits.wrapping_add(count as usize);
        if self.position_bits > self.len_bits {
            return Err(Error::Corrupt {
                what: "block ends early",
            });
        }
        Ok(())
    }

    /// Ends the reading of a finished stream.
    ///
    /// # Errors
    /// `Corrupt` when more is left than the zeros that pad the last byte.
    pub fn finish(&self) -> Result<(), Error> {
        let rest_bits = self.len_bits.saturating_sub(self.position_bits);
        if rest_bits >= 8 || self.peek(0) != 0 {
            return Err(Error::Corrupt {
                what: "block goes on after its last sample",
            });
        }
        Ok(())
    }

    #[inline]
    fn load<const N: usize>(&self, index: usize) -> [u8; N] {
        match self.bytes.get(index..).and_then(<[u8]>::first_chunk) {
            Some(chunk) => *chunk,
            None => self.load_end(index),
        }
    }

    #[cold]
    #[inline(never)]
    fn load_end<const N: usize>(&self, index: usize) -> [u8; N] {
        let rest = self
            .end
            .get(index.saturating_sub(self.end_start)..)
            .unwrap_or_default();
        match rest.first_chunk() {
            Some(chunk) => *chunk,
            None => [0; N],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(reader: &mut BitReader, count: u32) -> Result<u64, Error> {
        let value = reader.peek_full(0) >> (64 - count);
        assert!(count > 57 || value == reader.peek(0) >> (64 - count));
        reader.skip(count).map(|()| value)
    }

    proptest! {
        #[test]
        fn any_widths_round_trip_finished_and_pending(
            fields in prop::collection::vec((any::<u64>(), 1u32..=64), 0..200)
        ) {
            let mut writer = BitWriter::new();
            for &(value, count) in &fields {
                writer.write(value >> (64 - count), count);
            }
            let total: u32 = fields.iter().map(|field| field.1).sum();
            prop_assert_eq!(writer.len_bits(), total as usize);
            let mut copy = Vec::new();
            writer.write_to(&mut copy);
            prop_assert_eq!(copy.len(), writer.size_bytes());
            for mut reader in [writer.reader(), BitReader::new(&copy)] {
                for &(value, count) in &fields {
                    prop_assert_eq!(read(&mut reader, count), Ok(value >> (64 - count)));
                }
                prop_assert!(read(&mut reader, 8).is_err());
            }
            prop_assert_eq!(writer.finish(), copy);
        }
    }

    #[test]
    fn buffers_grow_in_small_steps_first() {
        let mut writer = BitWriter::new();
        let mut steps = vec![writer.buffer().capacity()];
        for _ in 0..100 {
            writer.write(u64::MAX, 64);
            if steps.last() != Some(&writer.buffer().capacity()) {
                steps.push(writer.buffer().capacity());
            }
        }
        assert_eq!(steps, [0, 32, 64, 96, 128, 192, 320, 512, 768, 1152]);
    }

    #[test]
    fn looking_far_past_the_end_sees_zeros() {
        let reader = BitReader::new(&[0xff; 3]);
        assert_eq!(reader.peek_full(20), 0xf << 60);
        assert_eq!(reader.peek_full(u32::MAX), 0);
    }
}
