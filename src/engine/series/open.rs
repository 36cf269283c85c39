//! The open block: the end of a series, which takes the appends.
//!
//! ```text
//!     encoder: Gorilla stream of all but the newest            newest: raw
//!     [ first_ms .. .. .. .. .. .. .. .. .. .. .. .. .. ]  <-- [ sample ]  <-- append
//! ```
//!
//! The newest sample waits outside the stream: overwriting or incrementing it, the commonest write
//! after an append, then touches sixteen bytes, and reading it decodes nothing.

use crate::engine::codec::Columns;
use crate::engine::codec::gorilla::Encoder;
use crate::engine::{Sample, Timestamp};

/// The open block: never empty.
#[derive(Clone, Debug)]
pub(super) struct Open {
    encoder: Encoder,
    /// Time of the encoder's first sample; meaningless while it has none.
    first_ms: Timestamp,
    pub(super) newest: Sample,
}

impl Open {
    pub(super) const fn starting_with(sample: Sample) -> Self {
        Self {
            encoder: Encoder::new(),
            first_ms: 0,
            newest: sample,
        }
    }

    /// Appends a sample newer than the newest.
    #[inline]
    pub(super) fn append(&mut self, sample: Sample) {
        debug_assert!(
            self.newest.time_ms < sample.time_ms,
            "BUG: an append back in time"
        );
        if self.encoder.is_empty() {
            self.first_ms = self.newest.time_ms;
        }
        self.encoder.push(self.newest.time_ms, self.newest.value);
        self.newest = sample;
    }

    pub(super) fn len(&self) -> usize {
        self.encoder.len() + 1
    }

    pub(super) fn first_ms(&self) -> Timestamp {
        if self.encoder.is_empty() {
            self.newest.time_ms
        } else {
            self.first_ms
        }
    }

    /// The encoder: all samples but the newest.
    pub(super) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    pub(super) fn encoder_mut(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// Appends the samples at or after `from_ms`, and perhaps some older ones, to `out`.
    pub(super) fn read_from(&self, from_ms: Timestamp, out: &mut Columns) {
        if self
            .encoder
            .last_time_ms()
            .is_some_and(|last_ms| from_ms <= last_ms)
        {
            self.encoder
                .decode_into(out)
                .expect("BUG: an open block decodes");
        }
        out.push(self.newest.time_ms, self.newest.value);
    }
}
