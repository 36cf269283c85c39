//! The records of a series. All numbers are little-endian.
//!
//! ```text
//! record 0   | retention_ms i64 | chunk_bytes u32 | encoding u8 | policy u8 (255: none) |
//!            | ignore time i64 | ignore value f64 | idle_ttl_ms i64, from version 2 on |
//!            | sealed blocks u32 | labels, packed .. |
//! record 1   what ties it to other series, from version 3 on: see `links`
//! record i   | form u8 | count u16 | payload .. |                  one a sealed block
//! last       | form u8 | count u16 | payload .. |                  the open block, maybe empty
//! ```
//!
//! Summaries are not stored: they are made from the samples, so they cannot lie. That means
//! reading decodes every block once, and what does not decode, or is out of order, is refused.

use super::links;
use super::{Sink, Source};
use crate::engine::codec::{Columns, gorilla};
use crate::engine::labels::Labels;
use crate::engine::options::{
    DuplicatePolicy, Encoding, Ignore, MAX_IDLE_TTL_MS, Options, is_chunk_size,
};
use crate::engine::series::block::{Block, Form};
use crate::engine::series::{Blocks, Order};
use crate::engine::{Error, Result, Series, TimeRange};

const NO_POLICY: u8 = u8::MAX;
/// Bytes of a block's record before the payload.
const BLOCK_HEAD: usize = 3;

/// Writes the records of `series`.
pub fn write_series(series: &Series, sink: &mut impl Sink) {
    let sealed = u32::try_from(series.sealed().len()).unwrap_or(u32::MAX);
    sink.record(&header(series.options(), sealed));
    sink.record(&links::write(series.links()));
    for block in series.sealed().iter() {
        sink.record(&block_record(block.form(), block.len(), block.bytes()));
    }
    let mut columns = Columns::default();
    let open = series
        .parts(TimeRange::ALL, Order::Ascending)
        .find(|part| part.sealed().is_none());
    if let Some(part) = open {
        part.read(TimeRange::ALL, &mut columns);
    }
    let mut encoder = gorilla::Encoder::new();
    for (&time_ms, &value) in columns.times.iter().zip(&columns.values) {
        encoder.push(time_ms, value);
    }
    sink.record(&block_record(
        Form::Gorilla,
        columns.len(),
        &encoder.finish(),
    ));
}

/// Reads the records of a series back.
///
/// # Errors
/// `Corrupt` where they are not what [`write_series`] writes, `Limit` for labels over theirs.
pub fn read_series(source: &mut impl Source, version: u32) -> Result<Series> {
    if !(1..=super::VERSION).contains(&version) {
        return Err(Error::Corrupt { what: "version" });
    }
    let (options, sealed_count) = read_header(&source.record()?, version)?;
    let links = if has_links(version) {
        links::read(&source.record()?)?
    } else {
        None
    };
    let mut sealed = Blocks::default();
    let mut columns = Columns::default();
    for _ in 0..sealed_count {
        let record = source.record()?;
        let (form, count, payload) = read_block(&record)?;
        sealed.push_back(Block::restore(form, count, payload, &mut columns)?);
    }
    // The exact size: a loaded series has no more slack than it needs.
    sealed.shrink_to_fit();
    let record = source.record()?;
    let (form, count, payload) = read_block(&record)?;
    columns.clear();
    if form != Form::Gorilla {
        return Err(Error::Corrupt {
            what: "form of the open block",
        });
    }
    gorilla::decode(payload, count, &mut columns)?;
    let mut series = Series::from_blocks(options, sealed, &columns)?;
    series.tie(links);
    Ok(series)
}

/// Whether the header has `idle_ttl_ms`.
const fn has_idle_ttl(version: u32) -> bool {
    version >= 2
}

/// Whether there is a record of links behind the header.
const fn has_links(version: u32) -> bool {
    version >= 3
}

fn header(options: &Options, sealed: u32) -> Vec<u8> {
    let mut record = Vec::new();
    record.extend(options.retention_ms.to_le_bytes());
    record.extend(options.chunk_bytes.to_le_bytes());
    record.push(options.encoding as u8);
    record.push(
        options
            .duplicate_policy
            .map_or(NO_POLICY, |policy| policy as u8),
    );
    record.extend(options.ignore.max_time_diff_ms.to_le_bytes());
    record.extend(options.ignore.max_value_diff.to_le_bytes());
    record.extend(options.idle_ttl_ms.to_le_bytes());
    record.extend(sealed.to_le_bytes());
    record.extend(options.labels.packed());
    record
}

fn read_header(record: &[u8], version: u32) -> Result<(Options, u32)> {
    let mut rest = record;
    let retention_ms = i64::from_le_bytes(take(&mut rest)?);
    let chunk_bytes = u32::from_le_bytes(take(&mut rest)?);
    let [encoding] = take(&mut rest)?;
    let [policy] = take(&mut rest)?;
    let max_time_diff_ms = i64::from_le_bytes(take(&mut rest)?);
    let max_value_diff = f64::from_le_bytes(take(&mut rest)?);
    let idle_ttl_ms = if has_idle_ttl(version) {
        i64::from_le_bytes(take(&mut rest)?)
    } else {
        0
    };
    let sealed = u32::from_le_bytes(take(&mut rest)?);
    let encoding = Encoding::ALL.get(usize::from(encoding)).copied();
    let known_policy = DuplicatePolicy::ALL.get(usize::from(policy)).copied();
    let sound = retention_ms >= 0
        && (0..=MAX_IDLE_TTL_MS).contains(&idle_ttl_ms)
        && is_chunk_size(i64::from(chunk_bytes))
        && (known_policy.is_some() || policy == NO_POLICY)
        && max_time_diff_ms >= 0
        && max_value_diff >= 0.0;
    let (Some(encoding), true) = (encoding, sound) else {
        return Err(Error::Corrupt { what: "options" });
    };
    let options = Options {
        retention_ms,
        idle_ttl_ms,
        chunk_bytes,
        encoding,
        duplicate_policy: known_policy,
        ignore: Ignore {
            max_time_diff_ms,
            max_value_diff,
        },
        labels: Labels::from_packed(rest)?,
    };
    Ok((options, sealed))
}

fn block_record(form: Form, count: usize, payload: &[u8]) -> Vec<u8> {
    let count = u16::try_from(count).expect("BUG: a block over its limit");
    let mut record = Vec::with_capacity(BLOCK_HEAD + payload.len());
    record.push(form as u8);
    record.extend(count.to_le_bytes());
    record.extend(payload);
    record
}

fn read_block(record: &[u8]) -> Result<(Form, usize, &[u8])> {
    let mut rest = record;
    let [form] = take(&mut rest)?;
    let count = u16::from_le_bytes(take(&mut rest)?);
    let form = Form::by_number(form).ok_or(Error::Corrupt {
        what: "form of a block",
    })?;
    Ok((form, usize::from(count), rest))
}

/// Takes so many bytes off the front.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = rest
        .split_first_chunk()
        .ok_or(Error::Corrupt { what: "record" })?;
    *rest = tail;
    Ok(*head)
}
