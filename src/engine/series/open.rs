//! The open block: the end of a series, which takes the appends.
//!
//! ```text
//!     tail: all but the newest                                 newest: raw
//!     [ first_ms .. .. .. .. .. .. .. .. .. .. .. .. .. ]  <-- [ sample ]  <-- append
//!       Gorilla stream, or columns once a sample came late
//! ```
//!
//! The newest sample waits outside the tail: overwriting or incrementing it, the commonest write
//! after an append, then touches sixteen bytes, and reading it decodes nothing.
//!
//! A stream cannot be changed in its middle. The first late sample turns it into plain columns, 16
//! bytes a sample until the block is sealed, where this one and those that follow are inserted at
//! the price of moving some kilobytes: late samples seldom come alone.

use super::block::SEAL_SAMPLES;
use crate::engine::codec::Columns;
use crate::engine::codec::gorilla::Encoder;
use crate::engine::{Sample, Timestamp};

/// The open block: never empty.
#[derive(Clone, Debug)]
pub(super) struct Open {
    tail: Tail,
    pub(super) newest: Sample,
}

/// All samples but the newest.
#[derive(Clone, Debug)]
pub(super) enum Tail {
    /// As they come in.
    Stream(Encoder),
    /// After a late one.
    Columns(Box<PlainTail>),
}

/// Samples that can be changed anywhere.
#[derive(Clone, Debug)]
pub(super) struct PlainTail {
    pub(super) columns: Columns,
    /// Number of samples at which the stream would have had the size of a full block, judged by
    /// those it had.
    full_len: u16,
    /// As [`Encoder::age`].
    age: u8,
}

impl Open {
    pub(super) const fn starting_with(sample: Sample) -> Self {
        Self {
            tail: Tail::Stream(Encoder::new()),
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
        let Sample { time_ms, value } = self.newest;
        match &mut self.tail {
            Tail::Stream(encoder) => {
                encoder.push(time_ms, value);
            }
            Tail::Columns(plain) => {
                plain.age = 0;
                plain.columns.push(time_ms, value);
            }
        }
        self.newest = sample;
    }

    /// Whether the tail is to be sealed, where a stream of `full_bytes` is.
    #[inline]
    pub(super) fn is_full(&self, full_bytes: usize) -> bool {
        match &self.tail {
            Tail::Stream(encoder) => {
                encoder.len() >= SEAL_SAMPLES || encoder.size_bytes() >= full_bytes
            }
            Tail::Columns(plain) => plain.columns.len() >= usize::from(plain.full_len),
        }
    }

    /// Lets `change` at the tail, which says whether it has changed anything. `full_bytes` as in
    /// [`Open::is_full`].
    pub(super) fn change_tail(
        &mut self,
        full_bytes: usize,
        change: impl FnOnce(&mut Columns) -> bool,
    ) {
        let encoder = match &mut self.tail {
            Tail::Columns(plain) => {
                if change(&mut plain.columns) {
                    plain.age = 0;
                }
                return;
            }
            Tail::Stream(encoder) => encoder,
        };
        let mut columns = Columns::default();
        decode(encoder, &mut columns);
        let full_len = (full_bytes * columns.len())
            .checked_div(encoder.size_bytes())
            .unwrap_or(SEAL_SAMPLES);
        let full_len = full_len.clamp(1, SEAL_SAMPLES);
        if change(&mut columns) {
            self.tail = Tail::Columns(Box::new(PlainTail {
                columns,
                full_len: u16::try_from(full_len).unwrap_or(u16::MAX),
                age: 0,
            }));
        }
    }

    /// Makes a stream of columns again.
    pub(super) fn streamline(&mut self) {
        if let Tail::Columns(plain) = &self.tail {
            let mut encoder = Encoder::new();
            for (&time_ms, &value) in plain.columns.times.iter().zip(&plain.columns.values) {
                encoder.push(time_ms, value);
            }
            self.tail = Tail::Stream(encoder);
        }
    }

    /// Gives back the room of a stream for more samples.
    pub(super) fn shrink(&mut self) {
        if let Tail::Stream(encoder) = &mut self.tail {
            encoder.buffer_mut().shrink_to_fit();
        }
    }

    /// How long the tail has been as it is, in the unit of [`Open::set_age`].
    pub(super) fn age(&self) -> u8 {
        match &self.tail {
            Tail::Stream(encoder) => encoder.age(),
            Tail::Columns(plain) => plain.age,
        }
    }

    /// Notes how long the tail has been as it is; the next change makes it 0 again.
    pub(super) fn set_age(&mut self, age: u8) {
        match &mut self.tail {
            Tail::Stream(encoder) => encoder.set_age(age),
            Tail::Columns(plain) => plain.age = age,
        }
    }

    /// The tail; an empty stream takes its place.
    pub(super) fn take_tail(&mut self) -> Tail {
        std::mem::replace(&mut self.tail, Tail::Stream(Encoder::new()))
    }

    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }

    pub(super) fn len(&self) -> usize {
        1 + match &self.tail {
            Tail::Stream(encoder) => encoder.len(),
            Tail::Columns(plain) => plain.columns.len(),
        }
    }

    pub(super) fn first_ms(&self) -> Timestamp {
        match &self.tail {
            Tail::Stream(encoder) => encoder.first_time_ms().unwrap_or(self.newest.time_ms),
            Tail::Columns(plain) => match plain.columns.times.first() {
                Some(&first_ms) => first_ms,
                None => self.newest.time_ms,
            },
        }
    }

    /// Time of the last sample before the newest.
    pub(super) fn tail_last_ms(&self) -> Option<Timestamp> {
        match &self.tail {
            Tail::Stream(encoder) => encoder.last_time_ms(),
            Tail::Columns(plain) => plain.columns.times.last().copied(),
        }
    }

    /// Bytes of the samples as they are held.
    pub(super) fn size_bytes(&self) -> usize {
        size_of::<Sample>()
            + match &self.tail {
                Tail::Stream(encoder) => encoder.size_bytes(),
                Tail::Columns(plain) => plain.columns.len() * size_of::<Sample>(),
            }
    }

    /// All but the newest, for whoever moves its allocations: samples must stay what they are.
    pub(super) fn tail_mut(&mut self) -> &mut Tail {
        &mut self.tail
    }

    /// Appends the samples at or after `from_ms`, and perhaps some older ones, to `out`.
    pub(super) fn read_from(&self, from_ms: Timestamp, out: &mut Columns) {
        if self
            .tail_last_ms()
            .is_some_and(|last_ms| from_ms <= last_ms)
        {
            match &self.tail {
                Tail::Stream(encoder) => decode(encoder, out),
                Tail::Columns(plain) => {
                    out.times.extend_from_slice(&plain.columns.times);
                    out.values.extend_from_slice(&plain.columns.values);
                }
            }
        }
        out.push(self.newest.time_ms, self.newest.value);
    }
}

fn decode(encoder: &Encoder, out: &mut Columns) {
    encoder
        .decode_into(out)
        .expect("BUG: an open block decodes");
}
