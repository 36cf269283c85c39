//! Delta-of-delta timestamps (Gorilla, VLDB 2015, section 4.1.1).
//!
//! A sensor that reports every 10 s has deltas of 10 000 ms, whose delta is 0: one bit. Jitter
//! makes it a small number of either sign, folded to an unsigned one (zigzag: 0, -1, 1, -2 ...)
//! and stored in the least of these classes that holds it:
//!
//! ```text
//! class  prefix   payload   delta of delta, ms          cost, bits
//!   0    0            0     0                            1
//!   1    10           7     -64 ..= 63                   9   jitter of a network
//!   2    110          9     -256 ..= 255                12
//!   3    1110        12     -2048 ..= 2047              16   a scheduler that slips
//!   4    11110       16     -32 768 ..= 32 767          21   a lost sample at 30 s
//!   5    111110      20     -524 288 ..= 524 287        26   minutes
//!   6    1111110     32     -2^31 ..= 2^31 - 1          39   24 days
//!   7    1111111     64     all the rest                71   never two in a row in practice
//! ```
//!
//! We differ from the paper: its unit is the second and its top class 32 bits. In milliseconds
//! more classes are needed, and a top class of 64 bits, with all arithmetic wrapping, takes any
//! sequence of `i64` whatever. No random access: decoding is O(n).

use super::bits::BitWriter;

/// Payload bits by class.
const WIDTHS: [u8; CLASSES] = [0, 7, 9, 12, 16, 20, 32, 64];
const CLASSES: usize = 8;
/// The class whose payload does not fit in one [`Code`].
const WIDEST: u32 = 7;
/// Bits of prefix and payload by class, a byte each, class 0 lowest.
const COUNTS: u64 = counts();
/// Class by the number of significant bits of a folded delta of delta.
const CLASS_OF_BITS: [u8; 65] = class_of_bits();

const fn counts() -> u64 {
    let mut counts = [0; CLASSES];
    let mut class = 0u8;
    while (class as usize) < CLASSES {
        let is_widest = class as u32 == WIDEST;
        let prefix = if is_widest { class } else { class + 1 };
        counts[class as usize] = prefix + WIDTHS[class as usize];
        class += 1;
    }
    u64::from_le_bytes(counts)
}

const fn class_of_bits() -> [u8; 65] {
    let mut table = [0; 65];
    let mut bits = 0;
    let mut class = 0u8;
    while bits < table.len() {
        if bits > WIDTHS[class as usize] as usize {
            class += 1;
        }
        table[bits] = class;
        bits += 1;
    }
    table
}

/// The last timestamp and the last step; what both directions must remember.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    time_ms: i64,
    delta_ms: i64,
}

impl Clock {
    /// A clock at the first timestamp of a block, which is stored plainly; the step is 0.
    #[inline]
    pub const fn starting_at(time_ms: i64) -> Self {
        Self {
            time_ms,
            delta_ms: 0,
        }
    }

    /// The last timestamp.
    pub const fn time_ms(&self) -> i64 {
        self.time_ms
    }

    /// Advances to `time_ms`; returns the folded delta of delta, for [`Code::of`].
    #[inline]
    pub const fn advance_to(&mut self, time_ms: i64) -> u64 {
        let delta_ms = time_ms.wrapping_sub(self.time_ms);
        let change = delta_ms.wrapping_sub(self.delta_ms);
        *self = Self { time_ms, delta_ms };
        (change << 1 ^ change >> 63).cast_unsigned()
    }

    /// Advances by a folded delta of delta; returns the timestamp.
    #[inline]
    pub const fn advance_by(&mut self, folded: u64) -> i64 {
        let change = (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
        self.delta_ms = self.delta_ms.wrapping_add(change);
        self.time_ms = self.time_ms.wrapping_add(self.delta_ms);
        self.time_ms
    }
}

/// A class prefix with its payload: at most [`Code::MAX_BITS`], so that the caller can put the
/// head of the value behind it and write both at once.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// The bits, justified to the right.
    pub bits: u64,
    /// How many there are.
    pub count: u32,
}

impl Code {
    /// The costliest class but one: 7 bits of prefix and 32 of payload.
    pub const MAX_BITS: u32 = 39;

    /// The code of a folded delta of delta. The widest class goes to `writer` at once, and the
    /// code left over is empty.
    #[inline]
    pub fn of(folded: u64, writer: &mut BitWriter) -> Self {
        if folded == 0 {
            return Self { bits: 0, count: 1 };
        }
        let class = u32::from(CLASS_OF_BITS[64 - folded.leading_zeros() as usize]);
        if class == WIDEST {
            writer.write((1 << WIDEST) - 1, WIDEST);
            writer.write(folded, 64);
            return Self { bits: 0, count: 0 };
        }
        let width = u32::from(WIDTHS[class as usize]);
        // `class` ones and the zero that ends them.
        let prefix = (2 << class) - 2;
        Self {
            bits: prefix << width | folded,
            count: class + 1 + width,
        }
    }

    /// The class in the upper bits of `ahead`, whose bit 63 is the next of the stream.
    #[inline]
    pub fn read(ahead: u64) -> Read {
        if ahead >> 63 == 0 {
            return Read::Folded { value: 0, count: 1 };
        }
        let class = ahead.leading_ones().min(WIDEST);
        if class == WIDEST {
            return Read::Wide { prefix: WIDEST };
        }
        // From a register and not from a table: the next load waits for this.
        let [count, ..] = (COUNTS >> (8 * class)).to_le_bytes();
        let count = u32::from(count);
        let value = ahead << (class + 1) >> (65 + class - count);
        Read::Folded { value, count }
    }
}

/// What [`Code::read`] found.
#[derive(Clone, Copy, Debug)]
pub enum Read {
    /// A folded delta of delta that took `count` bits.
    Folded {
        /// For [`Clock::advance_by`].
        value: u64,
        /// Bits of prefix and payload.
        count: u32,
    },
    /// A folded delta of delta of 64 bits follows after `prefix` bits.
    Wide {
        /// Bits of prefix.
        prefix: u32,
    },
}
