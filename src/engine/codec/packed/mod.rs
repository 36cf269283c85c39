//! The packed block: columns of integers, unpacked by SIMD. For sealed blocks.
//!
//! ```text
//! | first value f64 le | times size varint | times: integer column | values: value column |
//!
//! times   i64 -------------------------------------> integers   predictor, divisor, layout
//! values  f64 --> image: decimal, ratio, bits or     groups     128 numbers: base, width, patches
//!                 dictionary, and corrections -----> packing    bits
//! ```
//!
//! Each layer draws its bytes at the head of its file: `values`, `integers`, `groups`,
//! `packing`; `image` says how doubles become integers without loss, `plan` how a form is chosen. A block does not hold its
//! number of samples, nor a version: the form's number, which is stored beside a block, is the
//! version, and a format that differs gets another form.
//!
//! The first value stands in front, once more than it must, since an aggregation over whole blocks
//! asks for it: 8 bytes of some 700, and no decoding.
//!
//! The encoder prices all that it tries from bit lengths, only as far as it may win, and encodes
//! once. Decoding never reads bit by bit, and either column can be read without the other.

mod bitmap;
mod bytes;
mod column;
mod divisor;
mod groups;
mod image;
mod integers;
mod packing;
mod plan;
mod scale;
mod values;

use super::Columns;
use crate::engine::{Error, Result};
use bytes::{Reader, put_varint};

/// Most samples of a block; more are refused before anything is allocated for them.
pub const MAX_SAMPLES: usize = 640;

/// Buffers of the encoder, which grow once and are used again. What is in them between two blocks
/// means nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    work: Work,
    column: Vec<u8>,
}

#[derive(Debug, Default)]
struct Work {
    divided: Vec<i64>,
    residuals: Vec<i64>,
    bitmap: Vec<u8>,
    groups: Vec<groups::Plan>,
}

/// The block of `times` and `values`, which have the same length, 1..=[`MAX_SAMPLES`].
///
/// ```
/// use redis_iot::engine::codec::{Columns, packed};
///
/// let times: Vec<i64> = (0..512).map(|i| 1_700_000_000_000 + 10_000 * i).collect();
/// let values: Vec<f64> = (0..512).map(|i| f64::from(200 + i % 7) / 10.0).collect();
/// let block = packed::encode(&times, &values, &mut packed::Scratch::default());
/// assert!(block.len() < 300);
///
/// let mut columns = Columns::default();
/// packed::decode(&block, 512, &mut columns)?;
/// assert_eq!(columns.values, values);
/// # Ok::<(), redis_iot::engine::Error>(())
/// ```
pub fn encode(times: &[i64], values: &[f64], scratch: &mut Scratch) -> Vec<u8> {
    assert!(
        times.len() == values.len() && (1..=MAX_SAMPLES).contains(&times.len()),
        "BUG: a block of nothing, or over its limit"
    );
    let Scratch { work, column } = scratch;
    column.clear();
    let plan = plan::plan(times, plan::Content::Times, work);
    plan::write(times, &plan, work, column);
    let mut out = Vec::with_capacity(2 * column.len() + times.len());
    out.extend_from_slice(&values[0].to_bits().to_le_bytes());
    put_varint(&mut out, column.len() as u64);
    out.extend_from_slice(column);
    values::write(values, work, &mut out);
    out
}

/// The value of the first sample of a block. O(1).
pub fn first_value(bytes: &[u8]) -> Option<f64> {
    let bits = bytes.first_chunk()?;
    Some(f64::from_bits(u64::from_le_bytes(*bits)))
}

/// The columns of a block, not yet read.
fn split(bytes: &[u8], count: usize) -> Result<(Reader<'_>, Reader<'_>)> {
    if !(1..=MAX_SAMPLES).contains(&count) {
        return Err(Error::Corrupt {
            what: "number of samples in a block",
        });
    }
    let mut reader = Reader::new(bytes);
    reader.take(size_of::<f64>())?;
    let size = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
    let times = Reader::new(reader.take(size)?);
    Ok((times, reader))
}

/// Appends the `count` samples of a block to `out`. O(n).
///
/// # Errors
/// `Corrupt` where the bytes are not a block of so many samples. `out` is then as it was; no more
/// than `count` samples, at most [`MAX_SAMPLES`], are ever allocated.
pub fn decode(bytes: &[u8], count: usize, out: &mut Columns) -> Result<()> {
    let start = out.len();
    let result = decode_times(bytes, count, &mut out.times)
        .and_then(|()| decode_values(bytes, count, &mut out.values));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Appends the `count` times of a block to `out`.
///
/// # Errors
/// As [`decode`].
pub fn decode_times(bytes: &[u8], count: usize, out: &mut Vec<i64>) -> Result<()> {
    let (mut times, _) = split(bytes, count)?;
    let start = out.len();
    out.reserve(count);
    let result = integers::read(&mut times, count, out).and_then(|()| times.finish());
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Appends the `count` values of a block to `out`.
///
/// # Errors
/// As [`decode`].
pub fn decode_values(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<()> {
    let (_, mut values) = split(bytes, count)?;
    let start = out.len();
    out.reserve(count);
    let result = values::read(&mut values, count, out)
        .and_then(|()| values.finish())
        .and_then(|()| check_first(bytes, out[start]));
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn check_first(bytes: &[u8], decoded: f64) -> Result<()> {
    match first_value(bytes) {
        Some(first) if first.to_bits() == decoded.to_bits() => Ok(()),
        _ => Err(Error::Corrupt {
            what: "first value of a block",
        }),
    }
}
