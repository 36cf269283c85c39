//! A block of samples: delta-of-delta times, XORed values (Gorilla, VLDB 2015, section 4.1).

use super::Columns;
use super::bits::{BitReader, BitWriter};
use super::timestamps::{Clock, Code, Read};
use crate::engine::Error;

const MAX_LEADING: u32 = 31;
const HEAD_BITS: u32 = 13;
/// Slack
pub static SLACK: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(9);

#[derive(Clone, Copy, Debug)]
struct Window {
    leading: u8,
    width: u8,
}

/// Encoder
#[derive(Clone, Debug)]
pub struct Encoder {
    writer: BitWriter,
    clock: Clock,
    value_bits: u64,
    len: usize,
    window: Window,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// New.
    pub const fn new() -> Self {
        Self {
            writer: BitWriter::new(),
            clock: Clock::starting_at(0),
            value_bits: 0,
            len: 0,
            window: Window {
                leading: 0,
                width: 64,
            },
        }
    }

    /// Push.
    #[inline]
    pub fn push(&mut self, time_ms: i64, value: f64) {
        if self.len == 0 {
            return self.push_first(time_ms, value);
        }
        self.len += 1;
        let folded = self.clock.advance_to(time_ms);
        let time = Code::of(folded, &mut self.writer);
        let bits = value.to_bits();
        let changed = bits ^ self.value_bits;
        self.value_bits = bits;
        if changed == 0 {
            self.writer.write(time.bits << 1, time.count + 1);
            return;
        }
        let leading = changed.leading_zeros().min(MAX_LEADING);
        let trailing = changed.trailing_zeros();
        let width = 64 - leading - trailing;
        let old_width = u32::from(self.window.width);
        let old_leading = u32::from(self.window.leading);
        let old_trailing = 64 - old_width - old_leading;
        if leading >= old_leading
            && trailing >= old_trailing
            && old_width <= width + SLACK.load(std::sync::atomic::Ordering::Relaxed)
        {
            self.writer.write(time.bits << 2 | 0b10, time.count + 2);
            self.writer.write(changed >> old_trailing, old_width);
        } else {
            self.window = Window {
                leading: leading as u8,
                width: width as u8,
            };
            let head = 0b11 << 11 | u64::from(leading) << 6 | u64::from(width - 1);
            self.writer
                .write(time.bits << HEAD_BITS | head, time.count + HEAD_BITS);
            self.writer.write(changed >> trailing, width);
        }
    }

    #[cold]
    fn push_first(&mut self, time_ms: i64, value: f64) {
        self.len = 1;
        self.clock = Clock::starting_at(time_ms);
        self.value_bits = value.to_bits();
        self.writer.write(time_ms.cast_unsigned(), 64);
        self.writer.write(self.value_bits, 64);
    }

    /// Finish.
    pub fn finish(self) -> Vec<u8> {
        self.writer.finish()
    }
}

/// Decode
pub fn decode(bytes: &[u8], count: usize, out: &mut Columns) -> Result<(), Error> {
    read_all(BitReader::new(bytes), count, out)
}

fn read_all(reader: BitReader, count: usize, out: &mut Columns) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    let affordable = reader.len_bits().saturating_sub(128) / 2 + 1;
    if count > affordable {
        return Err(Error::Corrupt {
            what: "block too short for its count",
        });
    }
    let start = out.len();
    out.times.resize(start + count, 0);
    out.values.resize(start + count, 0.0);
    let result = fill(reader, &mut out.times[start..], &mut out.values[start..]);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn fill(mut reader: BitReader, times: &mut [i64], values: &mut [f64]) -> Result<(), Error> {
    let mut clock = Clock::starting_at(reader.peek_full(0).cast_signed());
    let mut bits = reader.peek_full(64);
    reader.skip(128)?;
    let mut leading = 0;
    let mut width = 64;
    let ([t0, times @ ..], [v0, values @ ..]) = (times, values) else {
        return Ok(());
    };
    *t0 = clock.time_ms();
    *v0 = f64::from_bits(bits);
    for (time, value) in times.iter_mut().zip(values) {
        let mut ahead = reader.peek(0);
        let mut used = match Code::read(ahead) {
            Read::Folded {
                value: folded,
                count,
            } => {
                *time = clock.advance_by(folded);
                ahead <<= count;
                count
            }
            Read::Wide { prefix } => {
                *time = clock.advance_by(reader.peek_full(prefix));
                reader.skip(prefix + 64)?;
                ahead = reader.peek(0);
                0
            }
        };
        if ahead >> 63 == 0 {
            used += 1;
        } else {
            if ahead >> 62 == 0b10 {
                used += 2;
            } else {
                used += HEAD_BITS;
                leading = (ahead >> 57) as u32 & 31;
                width = ((ahead >> 51) as u32 & 63) + 1;
                if leading + width > 64 {
                    return Err(Error::Corrupt {
                        what: "value window too wide",
                    });
                }
            }
            bits ^= reader.peek_full(used) >> (64 - width) << (64 - width - leading);
            used += width;
        }
        reader.skip(used)?;
        *value = f64::from_bits(bits);
    }
    Ok(())
}
