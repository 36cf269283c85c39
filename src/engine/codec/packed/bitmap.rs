//! Where a sparse column has news, and how they are spread.

use std::array;

use super::bytes::Reader;
use crate::engine::{Error, Result};

/// News that are looked at together: the one before eight places, and theirs.
const WINDOW: usize = 16;

/// Where a sparse layout has news.
#[derive(Debug)]
pub(super) struct Bitmap<'a> {
    pub(super) bytes: &'a [u8],
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
        let Some(mut at) = (out.len() - self.set).checked_sub(1) else {
            return;
        };
        out[..self.leading].fill(before);
        let aligned = self.leading.next_multiple_of(8).min(out.len());
        for index in self.leading..aligned {
            at += usize::from(self.bytes[index / 8] >> (index % 8) & 1);
            out[index] = out[at];
        }
        // Eight at once, without a branch on the bits, which nobody could guess.
        let mut index = aligned;
        while index + 8 <= out.len()
            && let Some(news) = out[at..].first_chunk::<WINDOW>()
        {
            let counts = running_counts(self.bytes[index / 8]);
            let next: [T; 8] = array::from_fn(|bit| news[usize::from(counts[bit])]);
            at += usize::from(counts[7]);
            out[index..index + 8].copy_from_slice(&next);
            index += 8;
        }
        // The last news, which are all there is where little changes, in a window of their own.
        let last_start = out.len().saturating_sub(WINDOW);
        let mut last_news = [before; WINDOW];
        last_news[..out.len() - last_start].copy_from_slice(&out[last_start..]);
        while index + 8 <= out.len() {
            let counts = running_counts(self.bytes[index / 8]);
            let next: [T; 8] = array::from_fn(|bit| {
                last_news[(at - last_start + usize::from(counts[bit])) % WINDOW]
            });
            at += usize::from(counts[7]);
            out[index..index + 8].copy_from_slice(&next);
            index += 8;
        }
        for index in index..out.len() {
            at += usize::from(self.bytes[index / 8] >> (index % 8) & 1);
            out[index] = out[at];
        }
    }
}

/// For each bit, how many are set up to it.
#[inline]
fn running_counts(byte: u8) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let one_a_byte = u64::from(byte).wrapping_mul(ONES) & 0x8040_2010_0804_0201;
    let bits = (one_a_byte + 0x7f * ONES) >> 7 & ONES;
    // None is more than 8; said for the compiler.
    (bits.wrapping_mul(ONES) & (0x0f * ONES)).to_le_bytes()
}
