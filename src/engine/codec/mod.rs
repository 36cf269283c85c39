//! How samples become bytes, layer upon layer; each file knows only the one below it.
//!
//! ```text
//! bits        a stream of bits, most significant first       no idea of time or value
//!  |
//! timestamps  i64 ms  -> delta of delta -> one of 8 classes   1, 9, 12, .. or 71 bits
//!  |
//! gorilla     f64     -> XOR with the last -> a window of it  1, 2 + w or 13 + w bits
//!  |
//! block       +----------------+-----------------+------+-------+------+-------+-- ~ --+---+
//!             | t0: 64 bits    | v0: 64 bits     | dod1 | xor1  | dod2 | xor2  |       | 0 |
//!             +----------------+-----------------+------+-------+------+-------+-- ~ --+---+
//!               two's complement  IEEE 754 bits    1 sample = 2..=148 bits       pad to a byte
//! ```
//!
//! A block holds no count and no checksum: whoever stores it knows how many samples it pushed.
//! [`raw`] is uncompressed. [`packed`] is the smallest and the fastest to read: what a sealed block
//! becomes, since it takes all samples at once, where Gorilla takes them as they come.
//!
//! All forms are lossless for any bit pattern: NaN payloads, -0.0 and every `i64` included.
//! Decoders take hostile bytes: they return [`Error::Corrupt`](crate::engine::Error::Corrupt),
//! leave the output as it was, and allocate no more than the input can pay for.

pub mod bits;
pub mod gorilla;
pub mod packed;
pub mod raw;
pub mod timestamps;

/// Decoded samples, a column each, always of the same length.
///
/// Two columns and not one of pairs, because an aggregation reads only the values of a block
/// that lies inside its range.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Milliseconds since 1970, one a sample.
    pub times: Vec<i64>,
    /// The values, one a sample.
    pub values: Vec<f64>,
}

impl Columns {
    /// Forgets all samples and keeps the memory.
    pub fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Appends one sample.
    pub fn push(&mut self, time_ms: i64, value: f64) {
        self.times.push(time_ms);
        self.values.push(value);
    }

    /// Cuts back to the first `len` samples; does nothing when there are fewer.
    pub fn truncate(&mut self, len: usize) {
        self.times.truncate(len);
        self.values.truncate(len);
    }
}
