//! The records of a set of fences. All numbers are little-endian.
//!
//! ```text
//! first:   | fences u32 |
//! others:  | fence | fence | ..         about a mebibyte each, until all fences have come
//!
//! fence:   | id: text | expires_ms i64 | has options u8 | options | shape, as it writes itself |
//! options: | kinds u8, 255: unsaid | dwell_ms i64 | buffer_m f64 | min_fixes u16 |
//!          | has limit u8 | speed limit f64 | windows u8 | start u16, end u16 | .. | zone: text |
//!          | meta: text | groups u16 | text | .. | devices u16 | text | .. |
//! text:    | len u16 | bytes |
//! ```
//!
//! Fences come in the order of their numbers, and are numbered anew from 0: who goes through them goes
//! the same way after a load. The zone is there only behind windows.

use std::collections::BTreeMap;

use super::links::{read_text, write_text};
use super::series::take;
use super::{Sink, Source};
use crate::engine::fence::{
    Detect, Fence, FenceSet, MAX_DEVICES, MAX_FENCES, MAX_GROUPS, MAX_WINDOWS, Options, Schedule,
    Texts,
};
use crate::engine::geo::Shape;
use crate::engine::labels::Labels;
use crate::engine::query::Zone;
use crate::engine::{Error, Result};

/// Version of the form written; the encoding version of the server's data type.
pub const FENCES_VERSION: u32 = 1;

/// Bytes from which on a record is not added to.
const FULL: usize = 1 << 20;
const UNSAID: u8 = u8::MAX;
const CORRUPT: Error = Error::Corrupt { what: "fence" };

/// Writes the records of `fences`.
pub fn write_fences(fences: &FenceSet, sink: &mut impl Sink) {
    let count = u32::try_from(fences.len()).expect("BUG: fences over their limit");
    sink.record(&count.to_le_bytes());
    let mut record = Vec::new();
    for (_, fence) in fences.from(0) {
        write_fence(fence, &mut record);
        if record.len() >= FULL {
            sink.record(&record);
            record.clear();
        }
    }
    if !record.is_empty() {
        sink.record(&record);
    }
}

fn write_fence(fence: &Fence, record: &mut Vec<u8>) {
    write_text(fence.id.as_bytes(), record);
    record.extend(fence.expires_ms.to_le_bytes());
    record.push(fence.options.is_some().into());
    if let Some(options) = &fence.options {
        write_options(options, record);
    }
    fence.shape.write(record);
}

fn write_options(options: &Options, record: &mut Vec<u8>) {
    record.push(options.detect.map_or(UNSAID, Detect::bits));
    record.extend(options.dwell_ms.to_le_bytes());
    record.extend(options.buffer_m.to_le_bytes());
    record.extend(options.min_fixes.to_le_bytes());
    record.push(options.speed_limit.is_some().into());
    record.extend(options.speed_limit.unwrap_or(0.0).to_le_bytes());
    let schedule = options.schedule.as_ref();
    let windows = schedule.map_or(&[][..], Schedule::windows);
    record.push(u8::try_from(windows.len()).expect("BUG: windows over their limit"));
    for (start, end) in windows {
        record.extend(start.to_le_bytes());
        record.extend(end.to_le_bytes());
    }
    if let Some(schedule) = schedule {
        write_text(schedule.zone().name().as_bytes(), record);
    }
    write_text(options.meta.packed(), record);
    for texts in [&options.groups, &options.devices] {
        let count = u16::try_from(texts.len()).expect("BUG: names over their limit");
        record.extend(count.to_le_bytes());
        texts.iter().for_each(|text| write_text(text, record));
    }
}

/// Reads fences back.
///
/// # Errors
/// `Corrupt` where the records are not what [`write_fences`] writes, and those of what makes a shape
/// or a fence.
pub fn read_fences(source: &mut impl Source, version: u32) -> Result<FenceSet> {
    if version != FENCES_VERSION {
        return Err(Error::Corrupt { what: "version" });
    }
    let first = source.record()?;
    let count = <[u8; 4]>::try_from(&first[..]).map_err(|_| CORRUPT)?;
    let count = usize::try_from(u32::from_le_bytes(count)).unwrap_or(usize::MAX);
    if count > MAX_FENCES {
        return Err(CORRUPT);
    }
    let mut fences = FenceSet::new();
    let mut zones = Zones::default();
    while fences.len() < count {
        let record = source.record()?;
        if record.is_empty() {
            return Err(CORRUPT);
        }
        let mut rest = &record[..];
        while !rest.is_empty() {
            read_fence(&mut rest, &mut fences, &mut zones)?;
        }
    }
    // More than there should be came with the last record.
    if fences.len() == count {
        Ok(fences)
    } else {
        Err(CORRUPT)
    }
}

/// Zones by name, so that the rules of each are read once.
#[derive(Default)]
struct Zones(BTreeMap<Vec<u8>, Zone>);

impl Zones {
    fn by_name(&mut self, name: &[u8]) -> Result<Zone> {
        if let Some(zone) = self.0.get(name) {
            return Ok(zone.clone());
        }
        let zone = Zone::by_name(name).ok_or(Error::Corrupt { what: "time zone" })?;
        self.0.insert(name.to_vec(), zone.clone());
        Ok(zone)
    }
}

fn read_fence(rest: &mut &[u8], fences: &mut FenceSet, zones: &mut Zones) -> Result<()> {
    let id = read_text(rest)?;
    let expires_ms = i64::from_le_bytes(take(rest)?);
    let options = if read_flag(rest)? {
        read_options(rest, zones)?
    } else {
        Options::default()
    };
    let shape = Shape::read(rest)?;
    let inserted = fences.insert(id, shape, options, expires_ms)?;
    match inserted.replaced {
        None => Ok(()),
        Some(_) => Err(Error::Corrupt {
            what: "two fences with one id",
        }),
    }
}

fn read_flag(rest: &mut &[u8]) -> Result<bool> {
    match take(rest)? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(CORRUPT),
    }
}

fn read_options(rest: &mut &[u8], zones: &mut Zones) -> Result<Options> {
    let detect = match take(rest)? {
        [UNSAID] => None,
        [bits] => Some(Detect::from_bits(bits).ok_or(CORRUPT)?),
    };
    let dwell_ms = i64::from_le_bytes(take(rest)?);
    let buffer_m = f64::from_le_bytes(take(rest)?);
    let min_fixes = u16::from_le_bytes(take(rest)?);
    let has_limit = read_flag(rest)?;
    let limit = f64::from_le_bytes(take(rest)?);
    Ok(Options {
        detect,
        dwell_ms,
        buffer_m,
        min_fixes,
        speed_limit: has_limit.then_some(limit),
        schedule: read_schedule(rest, zones)?,
        meta: Labels::from_packed(read_text(rest)?)?,
        groups: read_texts(rest, MAX_GROUPS)?,
        devices: read_texts(rest, MAX_DEVICES)?,
    })
}

fn read_schedule(rest: &mut &[u8], zones: &mut Zones) -> Result<Option<Schedule>> {
    let [count] = take(rest)?;
    if count == 0 {
        return Ok(None);
    }
    if usize::from(count) > MAX_WINDOWS {
        return Err(CORRUPT);
    }
    let mut windows = Vec::with_capacity(count.into());
    for _ in 0..count {
        let [start, end] = [take(rest)?, take(rest)?].map(u16::from_le_bytes);
        windows.push((start, end));
    }
    let zone = zones.by_name(read_text(rest)?)?;
    Schedule::new(windows, zone).map(Some)
}

fn read_texts(rest: &mut &[u8], max: usize) -> Result<Texts> {
    let count = u16::from_le_bytes(take(rest)?);
    if usize::from(count) > max {
        return Err(CORRUPT);
    }
    let mut texts = Vec::with_capacity(count.into());
    for _ in 0..count {
        texts.push(read_text(rest)?);
    }
    Ok(Texts::new(texts))
}
