//! Where a device was: times and places before the one it has now, compressed.
//!
//! ```text
//! sealed  | first_ms | count | -> stream |  ..  16 to 128 places each, oldest first
//! open    a stream that grows
//!
//! stream  | time 64 | x 32 | y 32 |                     the first place, plainly
//!         | time | x | y |  | time | x | y |  ..        the others: each a delta of delta
//! ```
//!
//! Times and both coordinates are coded alike ([`timestamps`](crate::engine::codec::timestamps)): a
//! device that reports regularly costs one bit for the time, and one that goes straight on at its
//! speed one bit for each coordinate. A drive in a town with the noise of GPS takes 4 to 5 bytes a
//! place. The Gorilla form would take more, since places are whole numbers with a slope.
//!
//! The place that a device has now is not here but with the device, so a fix that replaces it
//! changes no stream. A late fix decodes and encodes the one block it falls into.

use std::mem::size_of;

use crate::engine::codec::bits::{BitReader, BitWriter};
use crate::engine::codec::timestamps::{Clock, Code, Read};
use crate::engine::geo::Point;
use crate::engine::query::{Halted, Watch};
use crate::engine::relocate::Mover;
use crate::engine::table::rounded;
use crate::engine::{Error, Result};

/// Most places of a trail, the one now included.
pub const MAX_TRAIL_LEN: u32 = 100_000;
/// Most places of a block before it parts.
const BLOCK: usize = 128;
/// Least places at which a block is sealed.
const LEAST_BLOCK: usize = 16;
/// Bits of the first place of a stream.
const FIRST_BITS: usize = 128;
/// The cheapest place.
const LEAST_BITS: usize = 3;
const CORRUPT: Error = Error::Corrupt { what: "trail" };

/// Where a device is or was at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// The place.
    pub point: Point,
}

/// Positions as they are coded, and the last of them.
#[derive(Clone, Debug, Default)]
struct Stream {
    writer: BitWriter,
    clocks: [Clock; 3],
    len: u16,
}

fn columns(position: Position) -> [i64; 3] {
    let Position { time_ms, point } = position;
    [time_ms, point.x.into(), point.y.into()]
}

impl Stream {
    fn of(positions: &[Position]) -> Self {
        let mut stream = Self::default();
        for &position in positions {
            stream.push(position);
        }
        stream
    }

    fn push(&mut self, position: Position) {
        let columns = columns(position);
        self.len += 1;
        if self.len == 1 {
            let [time_ms, x, y] = columns;
            self.writer.write(time_ms.cast_unsigned(), 64);
            self.writer
                .write((x << 32 | (y & 0xFFFF_FFFF)).cast_unsigned(), 64);
            self.clocks = columns.map(Clock::starting_at);
            return;
        }
        for (clock, value) in self.clocks.iter_mut().zip(columns) {
            let code = Code::of(clock.advance_to(value), &mut self.writer);
            if code.count > 0 {
                self.writer.write(code.bits, code.count);
            }
        }
    }

    /// The time pushed last.
    const fn last_ms(&self) -> Option<i64> {
        if self.len == 0 {
            return None;
        }
        Some(self.clocks[0].time_ms())
    }

    fn first_ms(&self) -> Option<i64> {
        (self.len > 0).then(|| self.writer.reader().peek_full(0).cast_signed())
    }

    fn read(&self, out: &mut Vec<Position>) {
        decode(self.writer.reader(), self.len.into(), out).expect("BUG: a trail decodes");
    }

    fn seal(self) -> Option<Block> {
        let first_ms = self.first_ms()?;
        let len = self.len;
        Some(Block {
            first_ms,
            len,
            bytes: self.writer.finish().into_boxed_slice(),
        })
    }
}

#[derive(Clone, Debug)]
struct Block {
    first_ms: i64,
    len: u16,
    bytes: Box<[u8]>,
}

impl Block {
    fn read(&self, out: &mut Vec<Position>) {
        let reader = BitReader::new(&self.bytes);
        decode(reader, self.len.into(), out).expect("BUG: a trail decodes");
    }
}

/// Appends the positions of a stream; none where it is corrupt.
fn decode(mut reader: BitReader<'_>, len: usize, out: &mut Vec<Position>) -> Result<()> {
    let start = out.len();
    let rest_bits = reader.len_bits().saturating_sub(FIRST_BITS);
    if len == 0 || len - 1 > rest_bits / LEAST_BITS {
        return Err(CORRUPT);
    }
    out.reserve(len);
    let read = fill(&mut reader, len, out).and_then(|()| reader.finish());
    if read.is_err() {
        out.truncate(start);
    }
    read
}

fn fill(reader: &mut BitReader<'_>, len: usize, out: &mut Vec<Position>) -> Result<()> {
    let first = reader.peek_full(64).cast_signed();
    let columns = [
        reader.peek_full(0).cast_signed(),
        first >> 32,
        first << 32 >> 32,
    ];
    reader.skip(128)?;
    let mut clocks = columns.map(Clock::starting_at);
    out.push(position(columns)?);
    for _ in 1..len {
        let mut columns = [0; 3];
        for (clock, value) in clocks.iter_mut().zip(&mut columns) {
            *value = clock.advance_by(folded(reader)?);
        }
        out.push(position(columns)?);
    }
    Ok(())
}

fn folded(reader: &mut BitReader<'_>) -> Result<u64> {
    match Code::read(reader.peek(0)) {
        Read::Folded { value, count } => {
            reader.skip(count)?;
            Ok(value)
        }
        Read::Wide { prefix } => {
            let value = reader.peek_full(prefix);
            reader.skip(prefix + 64)?;
            Ok(value)
        }
    }
}

fn position([time_ms, x, y]: [i64; 3]) -> Result<Position> {
    let units = |value| i32::try_from(value).map_err(|_| CORRUPT);
    let point = Point::from_units(units(x)?, units(y)?).ok_or(CORRUPT)?;
    Ok(Position { time_ms, point })
}

/// The former positions of a device, in strict order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    sealed: Vec<Block>,
    open: Stream,
}

impl Trail {
    /// Shows its allocations to a mover.
    pub(super) fn relocate(&mut self, mover: &mut impl Mover) {
        mover.vector(&mut self.sealed);
        for block in &mut self.sealed {
            mover.slice(&mut block.bytes);
        }
        mover.vector(self.open.writer.buffer_mut());
    }

    /// How many positions are held.
    pub(super) fn len(&self) -> usize {
        let sealed: usize = self.sealed.iter().map(|block| usize::from(block.len)).sum();
        sealed + usize::from(self.open.len)
    }

    pub(super) fn last_ms(&self) -> Option<i64> {
        // The open stream is empty only where all is.
        self.open.last_ms()
    }

    /// Appends a position later than the last, in a trail that is to hold `keep`.
    pub(super) fn push(&mut self, position: Position, keep: usize) {
        // Blocks of a quarter, as only whole ones are dropped.
        if usize::from(self.open.len) >= (keep / 4).clamp(LEAST_BLOCK, BLOCK) {
            self.seal();
        }
        self.open.push(position);
    }

    fn seal(&mut self) {
        let block = std::mem::take(&mut self.open).seal();
        self.sealed.reserve_exact(1);
        self.sealed.extend(block);
    }

    /// Drops blocks of which nothing is to be kept: all before the last `keep`, and before a time.
    pub(super) fn trim(&mut self, keep: usize, cutoff_ms: i64) {
        let mut len = self.len();
        let mut gone = 0;
        for (at, block) in self.sealed.iter().enumerate() {
            let next = self.sealed.get(at + 1).map(|next| next.first_ms);
            let end_ms = next.or_else(|| self.open.first_ms()).unwrap_or(i64::MAX);
            let left = len - usize::from(block.len);
            if left < keep && end_ms > cutoff_ms {
                break;
            }
            (len, gone) = (left, gone + 1);
        }
        if gone > 0 {
            self.sealed.drain(..gone);
        }
    }

    /// Enters a position that is not later than the last; one of the same time is replaced.
    pub(super) fn insert(&mut self, position: Position) {
        let is_open = self
            .open
            .first_ms()
            .is_some_and(|first| first <= position.time_ms);
        let after = self
            .sealed
            .partition_point(|block| block.first_ms <= position.time_ms);
        let mut all = Vec::new();
        if is_open || self.sealed.is_empty() {
            if self.open.len > 0 {
                self.open.read(&mut all);
            }
            enter(position, &mut all);
            if all.len() > BLOCK {
                let open = all.split_off(all.len() / 2);
                self.sealed.extend(Stream::of(&all).seal());
                all = open;
            }
            self.open = Stream::of(&all);
            return;
        }
        let at = after.saturating_sub(1);
        self.sealed[at].read(&mut all);
        enter(position, &mut all);
        let parts = all.chunks(if all.len() > BLOCK {
            all.len() / 2 + 1
        } else {
            BLOCK
        });
        let blocks = parts.filter_map(|part| Stream::of(part).seal());
        self.sealed.splice(at..=at, blocks);
    }

    /// The blocks that reach into a range of times and are not among the first `skip` positions, each
    /// with how many of its own are.
    fn blocks(
        &self,
        mut skip: usize,
        (from_ms, to_ms): (i64, i64),
    ) -> impl Iterator<Item = (&Block, usize)> {
        self.sealed
            .iter()
            .enumerate()
            .filter_map(move |(at, block)| {
                let next = self.sealed.get(at + 1).map(|next| next.first_ms);
                let end_ms = next.or_else(|| self.open.first_ms()).unwrap_or(i64::MAX);
                let (len, hidden) = (usize::from(block.len), skip);
                skip = skip.saturating_sub(len);
                let is_in = hidden < len && end_ms > from_ms && block.first_ms <= to_ms;
                is_in.then_some((block, hidden))
            })
    }

    /// Whether the open stream reaches into times that end so.
    fn is_open_by(&self, to_ms: i64) -> bool {
        let first_ms = self.open.first_ms();
        first_ms.is_some_and(|first_ms| first_ms <= to_ms)
    }

    /// How many positions of the first `skip` are in the open stream.
    fn hidden_in_open(&self, skip: usize) -> usize {
        skip.saturating_sub(self.len() - usize::from(self.open.len))
    }

    /// How many positions [`Trail::read`] has to decode.
    pub(super) fn cost(&self, skip: usize, range: (i64, i64)) -> usize {
        let sealed = self.blocks(skip, range);
        let sealed: usize = sealed.map(|(block, _)| usize::from(block.len)).sum();
        sealed + usize::from(self.open.len)
    }

    /// A copy of what [`Trail::read`] has to decode, and how many positions of it are to be skipped.
    pub(super) fn part(&self, skip: usize, range: (i64, i64)) -> (Self, usize) {
        let hidden = self.blocks(skip, range).next().map(|(_, hidden)| hidden);
        let sealed: Vec<Block> = self
            .blocks(skip, range)
            .map(|(block, _)| block.clone())
            .collect();
        let hidden = hidden.unwrap_or_else(|| self.hidden_in_open(skip));
        let open = self.open.clone();
        (Self { sealed, open }, hidden)
    }

    /// Appends the positions of a range of times, but the first `skip` of all.
    ///
    /// # Errors
    /// `Halted` by the watch.
    pub(super) fn read(
        &self,
        skip: usize,
        (from_ms, to_ms): (i64, i64),
        watch: &impl Watch,
        out: &mut Vec<Position>,
    ) -> Result<(), Halted> {
        let mut some = Vec::new();
        for (block, hidden) in self.blocks(skip, (from_ms, to_ms)) {
            if !watch.permits(block.len.into()) {
                return Err(Halted);
            }
            some.clear();
            block.read(&mut some);
            out.extend(within(&some[hidden..], from_ms, to_ms));
        }
        if self.is_open_by(to_ms) {
            if !watch.permits(self.open.len.into()) {
                return Err(Halted);
            }
            some.clear();
            self.open.read(&mut some);
            let some = some.get(self.hidden_in_open(skip)..).unwrap_or_default();
            out.extend(within(some, from_ms, to_ms));
        }
        Ok(())
    }

    /// The time of the position behind the first `skip`.
    pub(super) fn time_behind(&self, mut skip: usize) -> Option<i64> {
        let mut all = Vec::new();
        for block in &self.sealed {
            let len = usize::from(block.len);
            if skip < len {
                block.read(&mut all);
                return all.get(skip).map(|one| one.time_ms);
            }
            skip -= len;
        }
        if self.open.len > 0 {
            self.open.read(&mut all);
        }
        all.get(skip).map(|one| one.time_ms)
    }

    /// The streams: how many positions each has, and its bytes.
    pub(super) fn streams(&self, visit: &mut impl FnMut(u16, &[u8])) {
        for block in &self.sealed {
            visit(block.len, &block.bytes);
        }
        if self.open.len > 0 {
            let mut bytes = Vec::with_capacity(self.open.writer.size_bytes());
            self.open.writer.write_to(&mut bytes);
            visit(self.open.len, &bytes);
        }
    }

    /// Puts a trail together from its streams; the last is the open one.
    ///
    /// # Errors
    /// `Corrupt` where one does not decode, or times do not rise.
    pub(super) fn from_streams(streams: &[(u16, &[u8])], before_ms: i64) -> Result<Self> {
        let mut trail = Self::default();
        let mut all = Vec::new();
        let mut last_ms = None;
        for (at, &(len, bytes)) in streams.iter().enumerate() {
            all.clear();
            if usize::from(len) > 2 * BLOCK {
                return Err(CORRUPT);
            }
            decode(BitReader::new(bytes), len.into(), &mut all)?;
            for position in &all {
                let is_later = last_ms.is_none_or(|last_ms| last_ms < position.time_ms);
                if !is_later || position.time_ms >= before_ms {
                    return Err(CORRUPT);
                }
                last_ms = Some(position.time_ms);
            }
            if at + 1 == streams.len() {
                trail.open = Stream::of(&all);
            } else {
                trail.sealed.push(Block {
                    first_ms: all[0].time_ms,
                    len,
                    bytes: bytes.into(),
                });
            }
        }
        trail.sealed.shrink_to_fit();
        Ok(trail)
    }

    /// Bytes of its allocations.
    pub(super) fn heap_bytes(&self) -> usize {
        let sealed: usize = self
            .sealed
            .iter()
            .map(|block| rounded(block.bytes.len()))
            .sum();
        sealed
            + rounded(self.sealed.capacity() * size_of::<Block>())
            + rounded(self.open.writer.buffer().capacity())
    }
}

fn within(all: &[Position], from_ms: i64, to_ms: i64) -> &[Position] {
    let from = all.partition_point(|one| one.time_ms < from_ms);
    let to = all.partition_point(|one| one.time_ms <= to_ms);
    all.get(from..to).unwrap_or_default()
}

fn enter(position: Position, all: &mut Vec<Position>) {
    match all.binary_search_by_key(&position.time_ms, |one| one.time_ms) {
        Ok(at) => all[at] = position,
        Err(at) => all.insert(at, position),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::query::Unwatched;

    fn at(time_ms: i64) -> Position {
        let units = |salt: i64| i32::try_from(time_ms * 7919 * salt % 1_000_000_007).unwrap();
        let point = Point {
            x: units(3),
            y: units(5) % 900_000_000,
        };
        Position { time_ms, point }
    }

    fn all(trail: &Trail) -> Vec<i64> {
        let mut out = Vec::new();
        let read = trail.read(0, (i64::MIN, i64::MAX), &Unwatched, &mut out);
        assert!(read.is_ok());
        assert!(out.iter().all(|one| *one == at(one.time_ms)));
        assert_eq!(out.len(), trail.len());
        out.iter().map(|one| one.time_ms).collect()
    }

    #[test]
    fn late_positions_find_their_place() {
        let mut trail = Trail::default();
        for time_ms in (0..2000).step_by(4) {
            trail.push(at(time_ms), 1000);
        }
        for time_ms in (0..1990).rev() {
            trail.insert(at(time_ms));
        }
        trail.insert(at(-5));
        let wanted: Vec<i64> = std::iter::once(-5)
            .chain(0..1990)
            .chain([1992, 1996])
            .collect();
        assert_eq!(all(&trail), wanted);
        let mut some = Vec::new();
        let read = trail.read(1000, (0, 1200), &Unwatched, &mut some);
        assert!(read.is_ok());
        let (part, skip) = trail.part(1000, (0, 1200));
        let mut of_part = Vec::new();
        let read = part.read(skip, (0, 1200), &Unwatched, &mut of_part);
        assert!(read.is_ok() && of_part == some);
        assert_eq!((some[0].time_ms, some.len()), (999, 202));
        trail.trim(500, i64::MIN);
        assert!((500..500 + BLOCK).contains(&trail.len()));
        trail.trim(500, 1990);
        assert!(trail.len() <= BLOCK);
    }

    #[test]
    fn streams_read_back_and_hostile_ones_do_not() {
        let mut trail = Trail::default();
        for time_ms in 0..300 {
            trail.push(at(time_ms), 300);
        }
        let mut streams = Vec::new();
        trail.streams(&mut |len, bytes| streams.push((len, bytes.to_vec())));
        let streams: Vec<_> = streams
            .iter()
            .map(|(len, bytes)| (*len, &bytes[..]))
            .collect();
        let back = Trail::from_streams(&streams, 300).unwrap();
        assert_eq!((all(&back), back.last_ms()), (all(&trail), Some(299)));
        assert!(Trail::from_streams(&streams, 299).is_err());
        assert!(Trail::from_streams(&[streams[1], streams[0]], 300).is_err());
        assert!(Trail::from_streams(&[(9, &[1; 16])], 300).is_err());
        assert!(Trail::from_streams(&[(0, &[])], 300).is_err());
        assert!(Trail::from_streams(&[(1, &[0x7F; 16])], 300).is_err());
    }

    #[test]
    fn a_steady_drive_takes_few_bytes() {
        let mut trail = Trail::default();
        for step in 0..1000i32 {
            let point = Point {
                x: 130_000_000 + step * 1200 + (step * step) % 300,
                y: 520_000_000 + step * 900 - (step * 7) % 250,
            };
            trail.push(
                Position {
                    time_ms: i64::from(step) * 10_000,
                    point,
                },
                1000,
            );
        }
        assert!(trail.heap_bytes() < 5 * 1000, "{}", trail.heap_bytes());
    }
}
