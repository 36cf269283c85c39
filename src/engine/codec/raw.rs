//! The uncompressed block: a column of times, then a column of values.
//!
//! ```text
//! | t0 i64 le | t1 | .. | tn-1 | v0 f64 le | v1 | .. | vn-1 |
//! ```

use super::Columns;
use crate::engine::Error;

/// The block of `times` and `values`, which have the same length.
pub fn encode(times: &[i64], values: &[f64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 * times.len());
    bytes.extend(times.iter().flat_map(|time| time.to_le_bytes()));
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// Appends the `count` samples of a block to `out`.
///
/// # Errors
/// `Corrupt` where the block does not have exactly that many.
pub fn decode(bytes: &[u8], count: usize, out: &mut Columns) -> Result<(), Error> {
    let (words, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || count.checked_mul(2) != Some(words.len()) {
        return Err(Error::Corrupt {
            what: "length of an uncompressed block",
        });
    }
    let (times, values) = words.split_at(count);
    out.times
        .extend(times.iter().map(|&word| i64::from_le_bytes(word)));
    out.values
        .extend(values.iter().map(|&word| f64::from_le_bytes(word)));
    Ok(())
}

/// The value of the first of `count` samples, without decoding the rest.
pub fn first_value(bytes: &[u8], count: usize) -> Option<f64> {
    Some(f64::from_le_bytes(*bytes.get(8 * count..)?.first_chunk()?))
}
