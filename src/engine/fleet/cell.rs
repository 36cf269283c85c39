//! Cells of the grid: a square of the map, cut in four again and again.
//!
//! ```text
//! path   | x y | x y | .. 24 pairs of bits of the place .. | 8 pairs of bits of the number |
//!          level 1     2                               24    25                          32
//! ```
//!
//! The path of a device says in which quarter it lies at each level, first bits first (the Z order of
//! Morton, 1966). A cell is a prefix of paths. Level 24 is 256 units, 2.8 m: devices that are still
//! too many there, say all at 0 0, are parted by their numbers, so no cell is ever too full.

use crate::engine::geo::{Bounds, Point, point};

/// Levels by place.
const PLACE_LEVELS: u32 = 24;
/// All levels.
pub(super) const LEVELS: u32 = 32;
/// Bits of a path that are of the number.
const NUMBER_BITS: u32 = 2 * (LEVELS - PLACE_LEVELS);

/// Where a device is in the order of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path(pub(super) u64);

impl Path {
    #[inline]
    pub(super) fn of(point: Point, number: u32) -> Self {
        let place = spread(key(point.x)) << 1 | spread(key(point.y));
        // The low bits first: numbers are dense, and only those differ.
        let number = u64::from(number.reverse_bits() >> (u32::BITS - NUMBER_BITS));
        Self((place >> NUMBER_BITS) << NUMBER_BITS | number)
    }

    /// Which quarter of the cell at `level` it lies in.
    #[inline]
    pub(super) const fn quarter(self, level: u32) -> usize {
        (self.0 >> (62 - 2 * level) & 3) as usize
    }
}

/// A coordinate as an unsigned number in the same order.
#[inline]
const fn key(units: i32) -> u32 {
    units.cast_unsigned() ^ 1 << 31
}

/// Puts a zero before each bit.
#[inline]
const fn spread(bits: u32) -> u64 {
    let mut wide = bits as u64;
    wide = (wide | wide << 16) & 0x0000_FFFF_0000_FFFF;
    wide = (wide | wide << 8) & 0x00FF_00FF_00FF_00FF;
    wide = (wide | wide << 4) & 0x0F0F_0F0F_0F0F_0F0F;
    wide = (wide | wide << 2) & 0x3333_3333_3333_3333;
    (wide | wide << 1) & 0x5555_5555_5555_5555
}

/// All paths with a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// The first path in it.
    pub(super) first: Path,
    pub(super) level: u32,
    west: u32,
    south: u32,
}

impl Cell {
    /// All there is.
    pub(super) const ROOT: Self = Self {
        first: Path(0),
        level: 0,
        west: 0,
        south: 0,
    };

    /// One of its four quarters.
    #[inline]
    pub(super) const fn quarter(self, quarter: usize) -> Self {
        let level = self.level + 1;
        let first = Path(self.first.0 | (quarter as u64) << (64 - 2 * level));
        if level > PLACE_LEVELS {
            return Self {
                first,
                level,
                ..self
            };
        }
        let size = 1 << (32 - level);
        Self {
            first,
            level,
            west: self.west + if quarter & 2 == 0 { 0 } else { size },
            south: self.south + if quarter & 1 == 0 { 0 } else { size },
        }
    }

    /// The last path in it.
    #[inline]
    pub(super) const fn last(self) -> Path {
        Path(self.first.0 | !mask(self.level))
    }

    /// Its place on the map, as far as there is one.
    #[inline]
    pub(super) fn bounds(self) -> Bounds {
        // Of the root this is all bits.
        let size = u32::MAX >> self.level.min(PLACE_LEVELS);
        let units = |key: u32| (key ^ 1 << 31).cast_signed();
        Bounds {
            west: units(self.west).max(-point::MAX_X),
            south: units(self.south).max(-point::MAX_Y),
            east: units(self.west + size).min(point::MAX_X),
            north: units(self.south + size).min(point::MAX_Y),
        }
    }
}

/// The bits of a path that are the same in all of a cell.
#[inline]
pub(super) const fn mask(level: u32) -> u64 {
    match u64::MAX.checked_shl(64 - 2 * level) {
        Some(mask) => mask,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_through_cells_that_hold_the_point() {
        let points = [
            (0, 0),
            (-1, 7),
            (point::MAX_X, -point::MAX_Y),
            (-5, 123_456),
        ];
        for (number, (x, y)) in (0..).zip(points) {
            let point = Point { x, y };
            let path = Path::of(point, number);
            let mut cell = Cell::ROOT;
            while cell.level < LEVELS {
                cell = cell.quarter(path.quarter(cell.level));
                let bounds = cell.bounds();
                assert!(bounds.contains(point), "{cell:?} {bounds:?}");
                assert!(cell.first <= path && path <= cell.last());
                assert_eq!(path.0 & mask(cell.level), cell.first.0);
            }
            assert_eq!(cell.first, path);
        }
    }
}
