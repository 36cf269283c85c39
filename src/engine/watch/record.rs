//! Bindings and visits as bytes. All numbers are little-endian, texts lie behind their length.
//!
//! ```text
//! bindings   | count u8 | binding | .. | roams u8 | roam | .. |
//! binding    | number u8 | fences text | detect u8, bit 7: any | group text | outside u32 | sinks |
//! roam       | others text | radius f64 | sinks |
//! sinks      | count u8 | channel 0u8, text, or stream 1u8, text, max_len u64 | .. |
//!
//! visits     | count u16 | visit | .. |
//! visit      | binding u8 | fence text | entered i64 | dwell due i64 | phase u8 | count u16 | speeding u8 |
//! text       | len u16 | bytes |
//! ```

use super::binding::{Binding, MAX_BINDINGS, MAX_SINKS, Sink};
use super::roam::{MAX_ROAMS, Roam};
use super::visit::{Phase, Visit, Visits};
use crate::engine::fence::{Detect, FenceId, MAX_ID_BYTES};
use crate::engine::{Error, Result};

const CORRUPT: Error = Error::Corrupt { what: "binding" };

/// Most visits of a device that are read back. More fences than that on one spot are no use.
const MAX_VISITS: u16 = u16::MAX;

/// Adds visits to a record.
pub fn write_visits(visits: &Visits, record: &mut Vec<u8>) {
    let all = visits.all();
    let count = u16::try_from(all.len()).unwrap_or(MAX_VISITS);
    record.extend(count.to_le_bytes());
    for visit in &all[..usize::from(count)] {
        record.push(visit.binding);
        write_text(visit.fence.as_bytes(), record);
        record.extend(visit.entered_ms.to_le_bytes());
        record.extend(visit.dwell_due_ms.to_le_bytes());
        let (phase, count) = match visit.phase {
            Phase::Entering(count) => (0, count),
            Phase::Inside => (1, 0),
            Phase::Leaving(count) => (2, count),
        };
        record.push(phase);
        record.extend(count.to_le_bytes());
        record.push(visit.is_speeding.into());
    }
}

/// Reads visits back.
///
/// # Errors
/// `Corrupt`.
pub fn read_visits(rest: &mut &[u8]) -> Result<Visits> {
    let count = u16::from_le_bytes(take(rest)?);
    let mut visits: Vec<Visit> = Vec::new();
    for _ in 0..count {
        let [binding] = take(rest)?;
        let id = read_text(rest)?;
        if id.len() > MAX_ID_BYTES {
            return Err(CORRUPT);
        }
        let [entered_ms, dwell_due_ms] = [take(rest)?, take(rest)?].map(i64::from_le_bytes);
        let [phase] = take(rest)?;
        let count = u16::from_le_bytes(take(rest)?);
        let phase = match phase {
            0 => Phase::Entering(count),
            1 => Phase::Inside,
            2 => Phase::Leaving(count),
            _ => return Err(CORRUPT),
        };
        let [is_speeding] = take(rest)?;
        visits.push(Visit {
            fence: FenceId::new(id),
            entered_ms,
            dwell_due_ms,
            // Found by its id when it is needed.
            number: u32::MAX,
            phase,
            binding,
            is_speeding: is_speeding != 0,
        });
    }
    visits.sort_by_key(|visit| visit.binding);
    Ok(Visits::new(visits))
}

/// Adds the bindings of a fleet to a record.
pub fn write_bindings(bindings: &[Binding], roams: &[Roam], record: &mut Vec<u8>) {
    record.push(small(bindings.len()));
    for binding in bindings {
        record.push(binding.number);
        write_text(&binding.fences, record);
        record.push(binding.detect.map_or(0x80, Detect::bits));
        write_text(binding.group.as_deref().unwrap_or_default(), record);
        record.extend(binding.outside_cap.to_le_bytes());
        write_sinks(&binding.sinks, record);
    }
    record.push(small(roams.len()));
    for roam in roams {
        write_text(&roam.others, record);
        record.extend(roam.radius_m.to_le_bytes());
        write_sinks(&roam.sinks, record);
    }
}

/// Reads the bindings of a fleet back.
///
/// # Errors
/// `Corrupt`.
pub fn read_bindings(rest: &mut &[u8]) -> Result<(Vec<Binding>, Vec<Roam>)> {
    let [count] = take(rest)?;
    if usize::from(count) > MAX_BINDINGS {
        return Err(CORRUPT);
    }
    let mut bindings: Vec<Binding> = Vec::new();
    for _ in 0..count {
        let binding = read_binding(rest)?;
        let is_twin = |one: &Binding| one.number == binding.number || one.fences == binding.fences;
        if bindings.iter().any(is_twin) {
            return Err(CORRUPT);
        }
        bindings.push(binding);
    }
    let [count] = take(rest)?;
    if usize::from(count) > MAX_ROAMS {
        return Err(CORRUPT);
    }
    let mut roams = Vec::new();
    for _ in 0..count {
        let others = read_text(rest)?.into();
        let radius_m = f64::from_le_bytes(take(rest)?);
        if !(radius_m > 0.0 && radius_m.is_finite()) {
            return Err(CORRUPT);
        }
        roams.push(Roam {
            others,
            radius_m,
            sinks: read_sinks(rest)?,
        });
    }
    Ok((bindings, roams))
}

fn read_binding(rest: &mut &[u8]) -> Result<Binding> {
    let [number] = take(rest)?;
    let fences = read_text(rest)?.into();
    let detect = match take(rest)? {
        [0x80] => None,
        [bits] => Some(Detect::from_bits(bits).ok_or(CORRUPT)?),
    };
    let group = read_text(rest)?;
    Ok(Binding {
        number,
        fences,
        detect,
        group: (!group.is_empty()).then(|| group.into()),
        outside_cap: u32::from_le_bytes(take(rest)?),
        sinks: read_sinks(rest)?,
    })
}

fn write_sinks(sinks: &[Sink], record: &mut Vec<u8>) {
    record.push(small(sinks.len()));
    for sink in sinks {
        match sink {
            Sink::Publish(channel) => {
                record.push(0);
                write_text(channel, record);
            }
            Sink::Stream { key, max_len } => {
                record.push(1);
                write_text(key, record);
                record.extend(max_len.to_le_bytes());
            }
        }
    }
}

fn read_sinks(rest: &mut &[u8]) -> Result<Vec<Sink>> {
    let [count] = take(rest)?;
    if usize::from(count) > MAX_SINKS {
        return Err(CORRUPT);
    }
    let mut sinks = Vec::new();
    for _ in 0..count {
        sinks.push(match take(rest)? {
            [0] => Sink::Publish(read_text(rest)?.into()),
            [1] => Sink::Stream {
                key: read_text(rest)?.into(),
                max_len: u64::from_le_bytes(take(rest)?),
            },
            _ => return Err(CORRUPT),
        });
    }
    Ok(sinks)
}

/// Counts and texts were held to their limits when they came in.
fn small(count: usize) -> u8 {
    u8::try_from(count).expect("BUG: a count over its limit")
}

fn write_text(text: &[u8], record: &mut Vec<u8>) {
    let len = u16::try_from(text.len()).expect("BUG: a text over its limit");
    record.extend(len.to_le_bytes());
    record.extend(text);
}

fn read_text<'r>(rest: &mut &'r [u8]) -> Result<&'r [u8]> {
    let len = u16::from_le_bytes(take(rest)?);
    let (text, after) = rest.split_at_checked(len.into()).ok_or(CORRUPT)?;
    *rest = after;
    Ok(text)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk().ok_or(CORRUPT)?;
    *rest = after;
    Ok(*bytes)
}
