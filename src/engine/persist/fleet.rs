//! The records of a fleet. All numbers are little-endian.
//!
//! ```text
//! record 0   | trail_len u32 | retention_ms i64 | min_distance_m f64 | min_time_ms i64 |
//!            | max_speed_mps f64 | max_accuracy_m f64 | jitter u8 | late u8 | expire_ms i64 |
//!            | updates u64 | late u64 | filtered u64, five | devices u32 | section .. |
//! record i   | device | device | ..                       some 64 KiB each
//!
//! device     | id len u16 | id | time_ms i64 | x i32 | y i32 | flags u8 |
//!            | alt f64 | speed f64 | heading f64 | accuracy_m f64 |       flags 1, 2, 4, 8
//!            | fields len u32 | fields |                                  flag 16
//!            | expires_ms i64 |                                           flag 32
//!            | streams u32 | count u16 | len u32 | stream | ..            flag 64
//!            | section len u32 | section |                                flag 128
//! ```
//!
//! What has no flag is not there. The sections belong to the caller: what a fleet and each of its
//! devices has beside. Numbers of devices are not stored; the sections come back with the new ones.
//! The grid and the deadlines are made anew.

use super::series::take;
use super::{Sink, Source};
use crate::engine::fleet::{
    Counters, Device, Fields, Filter, Fleet, Late, Options, Position, Readings, Stored,
};
use crate::engine::geo::Point;
use crate::engine::{Error, Result};

/// Version of the form written; the encoding version of the server's data type.
pub const FLEET_VERSION: u32 = 1;

/// Bytes of a record from which on the next device goes to another.
const RECORD_BYTES: usize = 64 << 10;
/// Longest section of a device or a fleet.
const MAX_SECTION_BYTES: usize = 4 << 20;

const FIELDS: u8 = 16;
const EXPIRES: u8 = 32;
const TRAIL: u8 = 64;
const SECTION: u8 = 128;
const CORRUPT: Error = Error::Corrupt { what: "fleet" };

/// Whose a section is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The fleet's. It comes first.
    Fleet,
    /// That of a device, by number.
    Device(u32),
}

/// Writes the records of `fleet`, and the sections that `section` appends.
pub fn write_fleet(
    fleet: &Fleet,
    sink: &mut impl Sink,
    section: &mut dyn FnMut(Owner, &mut Vec<u8>),
) {
    let mut record = header(fleet);
    section(Owner::Fleet, &mut record);
    sink.record(&record);
    record.clear();
    let mut own = Vec::new();
    for (number, device) in fleet.iter() {
        own.clear();
        section(Owner::Device(number), &mut own);
        write_device(device, fleet.expires_ms(number), &own, &mut record);
        if record.len() >= RECORD_BYTES {
            sink.record(&record);
            record.clear();
        }
    }
    if !record.is_empty() {
        sink.record(&record);
    }
}

fn header(fleet: &Fleet) -> Vec<u8> {
    let (options, counters) = (fleet.options(), fleet.counters());
    let mut record = Vec::new();
    record.extend(options.trail_len.to_le_bytes());
    record.extend(options.retention_ms.to_le_bytes());
    record.extend(options.min_distance_m.to_le_bytes());
    record.extend(options.min_time_ms.to_le_bytes());
    record.extend(options.max_speed_mps.to_le_bytes());
    record.extend(options.max_accuracy_m.to_le_bytes());
    record.push(u8::from(options.jitter));
    record.push(u8::from(options.late == Late::Drop));
    record.extend(options.expire_ms.to_le_bytes());
    for count in [counters.updates, counters.late] {
        record.extend(count.to_le_bytes());
    }
    for count in counters.filtered {
        record.extend(count.to_le_bytes());
    }
    record.extend(len_u32(fleet.len()));
    record
}

fn write_device(device: &Device, expires_ms: Option<i64>, section: &[u8], record: &mut Vec<u8>) {
    let id = device.id();
    let len = u16::try_from(id.len()).expect("BUG: an id over its limit");
    record.extend(len.to_le_bytes());
    record.extend(id);
    let Position { time_ms, point } = device.position();
    record.extend(time_ms.to_le_bytes());
    record.extend(point.x.to_le_bytes());
    record.extend(point.y.to_le_bytes());
    let flags_at = record.len();
    let mut flags = 0;
    record.push(flags);
    for (flag, reading) in device.readings().all().into_iter().enumerate() {
        if let Some(reading) = reading {
            flags |= 1 << flag;
            record.extend(reading.to_le_bytes());
        }
    }
    if !device.fields().is_empty() {
        flags |= FIELDS;
        write_bytes(device.fields().packed(), record);
    }
    if let Some(expires_ms) = expires_ms {
        flags |= EXPIRES;
        record.extend(expires_ms.to_le_bytes());
    }
    let mut streams = 0;
    device.trail_streams(&mut |_, _| streams += 1);
    if streams > 0 {
        flags |= TRAIL;
        record.extend(len_u32(streams));
        device.trail_streams(&mut |count, stream| {
            record.extend(count.to_le_bytes());
            write_bytes(stream, record);
        });
    }
    if !section.is_empty() {
        flags |= SECTION;
        write_bytes(section, record);
    }
    record[flags_at] = flags;
}

fn write_bytes(bytes: &[u8], record: &mut Vec<u8>) {
    record.extend(len_u32(bytes.len()));
    record.extend(bytes);
}

fn len_u32(len: usize) -> [u8; 4] {
    let len = u32::try_from(len).expect("BUG: a length over its limit");
    len.to_le_bytes()
}

/// Reads the records of a fleet back, and gives the sections to `section`.
///
/// # Errors
/// `Corrupt` where they are not what [`write_fleet`] writes, `Limit` for ids and trails over theirs, and
/// what `section` returns.
pub fn read_fleet(
    source: &mut impl Source,
    version: u32,
    section: &mut dyn FnMut(Owner, &[u8]) -> Result<()>,
) -> Result<Fleet> {
    if version != FLEET_VERSION {
        return Err(Error::Corrupt { what: "version" });
    }
    let record = source.record()?;
    let mut rest = &record[..];
    let (options, counters) = (read_options(&mut rest)?, read_counters(&mut rest)?);
    let devices = u32::from_le_bytes(take(&mut rest)?);
    let mut fleet = Fleet::restore(options, counters)?;
    if rest.len() > MAX_SECTION_BYTES {
        return Err(CORRUPT);
    }
    section(Owner::Fleet, rest)?;
    let devices = usize::try_from(devices).map_err(|_| CORRUPT)?;
    while fleet.len() < devices {
        let record = source.record()?;
        let mut rest = &record[..];
        if rest.is_empty() {
            return Err(CORRUPT);
        }
        while !rest.is_empty() {
            let (stored, own) = read_device(&mut rest)?;
            let number = fleet.restore_device(&stored)?;
            section(Owner::Device(number), own)?;
        }
    }
    if fleet.len() == devices {
        Ok(fleet)
    } else {
        Err(CORRUPT)
    }
}

fn read_options(rest: &mut &[u8]) -> Result<Options> {
    let flag = |rest: &mut &[u8]| match take(rest)? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(CORRUPT),
    };
    Ok(Options {
        trail_len: u32::from_le_bytes(take(rest)?),
        retention_ms: i64::from_le_bytes(take(rest)?),
        min_distance_m: f64::from_le_bytes(take(rest)?),
        min_time_ms: i64::from_le_bytes(take(rest)?),
        max_speed_mps: f64::from_le_bytes(take(rest)?),
        max_accuracy_m: f64::from_le_bytes(take(rest)?),
        jitter: flag(rest)?,
        late: if flag(rest)? { Late::Drop } else { Late::Trail },
        expire_ms: i64::from_le_bytes(take(rest)?),
    })
}

fn read_counters(rest: &mut &[u8]) -> Result<Counters> {
    let mut counters = Counters {
        updates: u64::from_le_bytes(take(rest)?),
        late: u64::from_le_bytes(take(rest)?),
        filtered: [0; Filter::ALL.len()],
    };
    for count in &mut counters.filtered {
        *count = u64::from_le_bytes(take(rest)?);
    }
    Ok(counters)
}

fn read_device<'r>(rest: &mut &'r [u8]) -> Result<(Stored<'r>, &'r [u8])> {
    let len = u16::from_le_bytes(take(rest)?);
    let id = take_bytes(rest, len.into())?;
    let time_ms = i64::from_le_bytes(take(rest)?);
    let [x, y] = [take(rest)?, take(rest)?].map(i32::from_le_bytes);
    let point = Point::from_units(x, y).ok_or(CORRUPT)?;
    let [flags] = take(rest)?;
    let has = |flag| flags & flag != 0;
    let mut readings = [None; 4];
    for (flag, reading) in readings.iter_mut().enumerate() {
        if has(1 << flag) {
            let known = f64::from_le_bytes(take(rest)?);
            *reading = Some(known).filter(|known| !known.is_nan());
            if reading.is_none() {
                return Err(CORRUPT);
            }
        }
    }
    let fields = if has(FIELDS) {
        Fields::from_packed(read_bytes(rest)?)?
    } else {
        Fields::default()
    };
    let expires_ms = if has(EXPIRES) {
        Some(i64::from_le_bytes(take(rest)?))
    } else {
        None
    };
    let mut trail = Vec::new();
    if has(TRAIL) {
        for _ in 0..u32::from_le_bytes(take(rest)?) {
            let count = u16::from_le_bytes(take(rest)?);
            trail.push((count, read_bytes(rest)?));
        }
    }
    let own = if has(SECTION) { read_bytes(rest)? } else { &[] };
    if own.len() > MAX_SECTION_BYTES {
        return Err(CORRUPT);
    }
    let stored = Stored {
        id,
        position: Position { time_ms, point },
        readings: Readings::from_all(readings),
        fields,
        expires_ms,
        trail,
    };
    Ok((stored, own))
}

fn read_bytes<'r>(rest: &mut &'r [u8]) -> Result<&'r [u8]> {
    let len = u32::from_le_bytes(take(rest)?);
    take_bytes(rest, usize::try_from(len).map_err(|_| CORRUPT)?)
}

fn take_bytes<'r>(rest: &mut &'r [u8], len: usize) -> Result<&'r [u8]> {
    let (bytes, after) = rest.split_at_checked(len).ok_or(CORRUPT)?;
    *rest = after;
    Ok(bytes)
}
