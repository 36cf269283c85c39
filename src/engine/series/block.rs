//! A sealed block: immutable samples behind a descriptor of one cache line.
//!
//! ```text
//! Block, 64 bytes, in an array                          Payload, shared between snapshots
//! |  0 first_ms  i64 |  8 last_ms   i64 |               | references | len | bytes .. |
//! | 16 min       f64 | 24 max       f64 |                                 ^
//! | 32 sum       f64 | 40 last      f64 |                                 | form says how
//! | 48 payload  ptr -----------------------------------------------------+
//! | 56 count u16 | form u8 | has_nan u8 | 4 spare |
//! ```
//!
//! The descriptor answers what a query asks most: whether the block concerns it at all, and, where
//! the block lies wholly inside, its aggregates without decoding. `min`, `max` and `sum` leave NaN
//! out, as aggregators do; `last` is the last value, NaN or not.

use crate::engine::aggregate::Sum;
use crate::engine::codec::{Columns, gorilla, packed, raw};
use crate::engine::{Error, Result, Sample, Timestamp};

/// Samples at which a block is sealed. Larger blocks save little memory and make a late sample
/// dearer; smaller ones pay for their descriptors.
pub const SEAL_SAMPLES: usize = 512;
/// Samples at which a block that late samples made larger is split in two.
pub const SPLIT_SAMPLES: usize = 640;

/// Encoded samples, shared by all series and queries that see them.
pub type Payload = triomphe::ThinArc<(), u8>;

/// How the payload is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// [`gorilla`].
    Gorilla = 1,
    /// [`raw`].
    Raw = 2,
    /// [`packed`].
    Packed = 3,
}

impl Form {
    /// Every form, found by its stored number.
    pub fn by_number(number: u8) -> Option<Self> {
        [Self::Gorilla, Self::Raw, Self::Packed]
            .into_iter()
            .find(|&form| form as u8 == number)
    }
}

/// A sealed block.
#[derive(Clone, Debug)]
pub struct Block {
    first_ms: Timestamp,
    last_ms: Timestamp,
    min: f64,
    max: f64,
    sum: f64,
    last: f64,
    payload: Payload,
    count: u16,
    form: Form,
    has_nan: bool,
}

const _: () = assert!(size_of::<Block>() == 64, "a descriptor is one cache line");

/// Encodes samples into blocks of about equal size, as few as there can be.
pub(super) fn encode_all(columns: &Columns, form: Form) -> impl Iterator<Item = Block> {
    let pieces = if columns.len() <= SPLIT_SAMPLES {
        1
    } else {
        columns.len().div_ceil(SEAL_SAMPLES)
    };
    let piece_len = columns.len().div_ceil(pieces).max(1);
    let times = columns.times.chunks(piece_len);
    let values = columns.values.chunks(piece_len);
    times
        .zip(values)
        .map(move |(times, values)| Block::encode(times, values, form))
}

impl Block {
    /// Encodes samples whose times rise strictly: at least one, at most [`SPLIT_SAMPLES`]. Where
    /// packing is asked for and a Gorilla stream is smaller, it is that.
    pub fn encode(times: &[i64], values: &[f64], form: Form) -> Self {
        if form == Form::Raw {
            return Self::of(times, values, form, &raw::encode(times, values));
        }
        let mut encoder = gorilla::Encoder::new();
        for (&time_ms, &value) in times.iter().zip(values) {
            encoder.push(time_ms, value);
        }
        Self::smallest(times, values, form, encoder)
    }

    /// As [`Block::encode`], of samples that a Gorilla encoder already has.
    pub(super) fn smallest(
        times: &[i64],
        values: &[f64],
        form: Form,
        encoder: gorilla::Encoder,
    ) -> Self {
        if form == Form::Packed {
            let packed = packed::encode(times, values, &mut packed::Scratch::default());
            if packed.len() <= encoder.size_bytes() {
                return Self::of(times, values, form, &packed);
            }
        }
        Self::of(times, values, Form::Gorilla, &encoder.finish())
    }

    /// The block whose samples are already encoded as `bytes`.
    pub fn of(times: &[i64], values: &[f64], form: Form, bytes: &[u8]) -> Self {
        assert!(
            !times.is_empty() && times.len() == values.len(),
            "BUG: a block of nothing"
        );
        let count = u16::try_from(times.len()).expect("BUG: a block over its limit");
        let (mut min, mut max, mut has_nan) = (f64::NAN, f64::NAN, false);
        for &value in values {
            // Both skip NaN unless there is nothing else.
            min = min.min(value);
            max = max.max(value);
            has_nan |= value.is_nan();
        }
        Self {
            first_ms: times[0],
            last_ms: times[times.len() - 1],
            min,
            max,
            sum: Sum::of(values).total(),
            last: values[values.len() - 1],
            payload: Payload::from_header_and_slice((), bytes),
            count,
            form,
            has_nan,
        }
    }

    /// Reads a block that was stored, and checks all that a series relies on.
    ///
    /// # Errors
    /// `Corrupt` where the bytes do not decode, or the times do not rise strictly from 0 on.
    pub fn restore(form: Form, count: usize, bytes: &[u8], scratch: &mut Columns) -> Result<Self> {
        if count == 0 || count > SPLIT_SAMPLES {
            return Err(Error::Corrupt {
                what: "number of samples in a block",
            });
        }
        scratch.clear();
        decode(form, count, bytes, scratch)?;
        check_times(&scratch.times)?;
        Ok(Self::of(&scratch.times, &scratch.values, form, bytes))
    }

    /// Appends all samples to `out`.
    pub fn read(&self, out: &mut Columns) {
        decode(self.form, self.len(), self.bytes(), out).expect("BUG: a sealed block decodes");
    }

    /// Time of the first sample.
    pub fn first_ms(&self) -> Timestamp {
        self.first_ms
    }

    /// Time of the last sample.
    pub fn last_ms(&self) -> Timestamp {
        self.last_ms
    }

    /// The last sample.
    pub fn last(&self) -> Sample {
        Sample::new(self.last_ms, self.last)
    }

    /// The first sample. O(1): every form begins with it.
    pub fn first(&self) -> Option<Sample> {
        let value = match self.form {
            Form::Gorilla => gorilla::first_value(self.bytes())?,
            Form::Raw => raw::first_value(self.bytes(), self.len())?,
            Form::Packed => packed::first_value(self.bytes())?,
        };
        Some(Sample::new(self.first_ms, value))
    }

    /// The sum of the values.
    #[inline]
    pub fn sum(&self) -> Sum {
        Sum::of_one(self.sum)
    }

    /// Smallest and largest value.
    pub fn extremes(&self) -> (f64, f64) {
        (self.min, self.max)
    }

    /// Whether a value is NaN.
    pub fn has_nan(&self) -> bool {
        self.has_nan
    }

    /// Number of samples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a block is never empty")]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether a value in `min..=max` may be inside.
    pub fn may_hold(&self, min: f64, max: f64) -> bool {
        // With no number inside, both bounds are NaN and both comparisons false.
        self.min <= max && self.max >= min
    }

    /// How the payload is encoded.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The encoded samples.
    pub fn bytes(&self) -> &[u8] {
        &self.payload.slice
    }

    /// The shared payload.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The shared payload, for a host that moves it to another address.
    pub fn payload_mut(&mut self) -> &mut Payload {
        &mut self.payload
    }
}

fn decode(form: Form, count: usize, bytes: &[u8], out: &mut Columns) -> Result<()> {
    match form {
        Form::Gorilla => gorilla::decode(bytes, count, out),
        Form::Raw => raw::decode(bytes, count, out),
        Form::Packed => packed::decode(bytes, count, out),
    }
}

/// Whether times rise strictly from 0 on.
///
/// # Errors
/// `Corrupt` where they do not.
pub fn check_times(times: &[i64]) -> Result<()> {
    let sound = times.first().is_none_or(|&first| first >= 0) && times.is_sorted_by(|a, b| a < b);
    if sound {
        Ok(())
    } else {
        Err(Error::Corrupt {
            what: "times out of order",
        })
    }
}
