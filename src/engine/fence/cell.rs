//! Cells: squares of a power of two units, on many levels.
//!
//! ```text
//! level 31     | 214.7 degrees             |     two by two cells are more than the world
//! level 30     | 107.4      | 107.4        |
//! ..
//! level 8      256 units: 2.8 m
//! ```
//!
//! A coordinate is counted from the least 32-bit number, so that a cell's column is its leading bits.
//! The world ends within the outermost columns, so no cell reaches over the antimeridian.

use crate::engine::geo::point::{MAX_X, MAX_Y};
use crate::engine::geo::{Bounds, Point};

/// The level of the smallest cells.
pub(super) const MIN_LEVEL: u32 = 8;
/// Levels there are, with those below the smallest.
pub(super) const LEVELS: usize = 32;
/// Bits by which a place within a cell is told.
const FINE_BITS: u32 = 7;
/// The bits of four fine coordinates, one a byte.
const FINE: u32 = 0x7f7f_7f7f;
/// The bits above them.
const ABOVE: u32 = 0x8080_8080;

/// A square of the earth: | 0 | level 5 bits | column 24 | row 24 |.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell(pub(super) u64);

/// A coordinate, counted from the least number there is.
pub(super) const fn raised(coordinate: i32) -> u32 {
    coordinate.cast_unsigned() ^ (1 << 31)
}

const fn lowered(raised: u32) -> i32 {
    (raised ^ (1 << 31)).cast_signed()
}

impl Cell {
    pub(super) const fn new(level: u32, column: u32, row: u32) -> Self {
        Self((level as u64) << 48 | (column as u64) << 24 | row as u64)
    }

    /// The cell of a level in which a point lies.
    pub(super) const fn of(level: u32, point: Point) -> Self {
        Self::new(level, raised(point.x) >> level, raised(point.y) >> level)
    }

    pub(super) const fn level(self) -> u32 {
        (self.0 >> 48) as u32 & 31
    }

    #[expect(clippy::cast_possible_truncation, reason = "24 bits")]
    pub(super) const fn column(self) -> u32 {
        (self.0 >> 24) as u32 & 0xff_ffff
    }

    #[expect(clippy::cast_possible_truncation, reason = "24 bits")]
    pub(super) const fn row(self) -> u32 {
        self.0 as u32 & 0xff_ffff
    }

    /// What of the world lies in it; `None` for a cell beyond the edge.
    pub(super) fn bounds(self) -> Option<Bounds> {
        let level = self.level();
        let last = |at: u32| at << level | ((1 << level) - 1);
        let bounds = Bounds {
            west: lowered(self.column() << level).max(-MAX_X),
            south: lowered(self.row() << level).max(-MAX_Y),
            east: lowered(last(self.column())).min(MAX_X),
            north: lowered(last(self.row())).min(MAX_Y),
        };
        (bounds.west <= bounds.east && bounds.south <= bounds.north).then_some(bounds)
    }
}

/// Columns and rows of a level that a box which does not cross the antimeridian reaches into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    level: u32,
    columns: (u32, u32),
    rows: (u32, u32),
}

impl Range {
    pub(super) const fn new(level: u32, bounds: &Bounds) -> Self {
        Self {
            level,
            columns: (raised(bounds.west) >> level, raised(bounds.east) >> level),
            rows: (raised(bounds.south) >> level, raised(bounds.north) >> level),
        }
    }

    /// How many cells these are.
    pub(super) const fn len(&self) -> u64 {
        let columns = (self.columns.1 - self.columns.0) as u64 + 1;
        let rows = (self.rows.1 - self.rows.0) as u64 + 1;
        columns * rows
    }

    pub(super) const fn contains(&self, cell: Cell) -> bool {
        let (column, row) = (cell.column(), cell.row());
        cell.level() == self.level
            && self.columns.0 <= column
            && column <= self.columns.1
            && self.rows.0 <= row
            && row <= self.rows.1
    }

    pub(super) fn cells(self) -> impl Iterator<Item = Cell> {
        let rows = self.rows.0..=self.rows.1;
        let columns = move || self.columns.0..=self.columns.1;
        rows.flat_map(move |row| columns().map(move |column| Cell::new(self.level, column, row)))
    }
}

/// The level of the smallest cells of which a box reaches over two at most, in each direction.
pub(super) fn level_of(bounds: &Bounds) -> u32 {
    let fits = |level: u32| {
        bounds.halves().all(|half| {
            let range = Range::new(level, &half);
            range.columns.1 - range.columns.0 < 2 && range.rows.1 - range.rows.0 < 2
        })
    };
    (MIN_LEVEL..31).find(|&level| fits(level)).unwrap_or(31)
}

/// A box within a cell, in 128ths of it: | 127 - east | 127 - north | west | south |, a byte each.
/// The highest bit is set where the shape covers the cell. It is never smaller than what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent(pub(super) u32);

/// A point within a cell, as an [`Extent`] has the corners.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot(u32);

const COVERED: u32 = 1 << 31;

/// A coordinate in 128ths of the cell of a level.
const fn fine(coordinate: i32, level: u32) -> u32 {
    (raised(coordinate) >> (level - FINE_BITS)) & 127
}

impl Extent {
    /// The whole cell, which the shape covers.
    pub(super) const WHOLE: Self = Self(COVERED);

    /// What of a box lies in a cell; `None` if nothing does.
    pub(super) fn of(bounds: &Bounds, cell: Cell) -> Option<Self> {
        let level = cell.level();
        let inside = cell.bounds()?;
        let west = bounds.west.max(inside.west);
        let south = bounds.south.max(inside.south);
        let east = bounds.east.min(inside.east);
        let north = bounds.north.min(inside.north);
        if west > east || south > north {
            return None;
        }
        let bytes = [
            127 - fine(east, level),
            127 - fine(north, level),
            fine(west, level),
            fine(south, level),
        ];
        Some(Self(
            bytes.into_iter().fold(0, |packed, byte| packed << 8 | byte),
        ))
    }

    /// The smallest that has both in it.
    pub(super) const fn joined(self, other: Self) -> Self {
        // Each byte is the least of two.
        let ours_is_less = !((self.0 & FINE | ABOVE) - (other.0 & FINE)) & ABOVE;
        let ours = (ours_is_less >> 7) * 127;
        let covered = (self.0 | other.0) & COVERED;
        Self(self.0 & ours | other.0 & FINE & !ours | covered)
    }

    pub(super) const fn is_whole(self) -> bool {
        self.0 & COVERED != 0
    }

    /// Whether a point lies in it, or within a 128th of the cell beside it.
    pub(super) const fn contains(self, spot: Spot) -> bool {
        // A byte's highest bit is borrowed where the point's is the smaller.
        ((spot.0 | ABOVE) - (self.0 & FINE)) & ABOVE == ABOVE
    }

    /// Whether they share a point, or nearly.
    pub(super) const fn meets(self, other: Self) -> bool {
        // The other's east must be at least our west: they stand in each other's places.
        let swapped = (other.0 & FINE).rotate_left(16);
        // 127 - east and west add up to 127 at most where east is west or beyond.
        ((swapped + (self.0 & FINE)) & ABOVE) == 0
    }
}

impl Spot {
    /// Where in the cell of a level a point lies.
    pub(super) const fn of(level: u32, point: Point) -> Self {
        let (x, y) = (fine(point.x, level), fine(point.y, level));
        Self((127 - x) << 24 | (127 - y) << 16 | x << 8 | y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: u32 = 20;

    fn bounds(west: i32, south: i32, east: i32, north: i32) -> Bounds {
        Bounds {
            west,
            south,
            east,
            north,
        }
    }

    #[test]
    fn a_box_reaches_over_two_cells_at_most() {
        let boxes = [
            bounds(0, 0, 0, 0),
            bounds(-1, -1, 1, 1),
            bounds(0, 0, 100_000, 5),
            bounds(MAX_X - 5, 0, -MAX_X, 1000),
            bounds(10, -900, -10, 900),
            Bounds::WORLD,
        ];
        for one in boxes {
            let level = level_of(&one);
            for half in one.halves() {
                let cells: Vec<_> = Range::new(level, &half).cells().collect();
                assert!(cells.len() <= 4);
                assert_eq!(cells.len() as u64, Range::new(level, &half).len());
                assert!(cells.iter().all(|&cell| Extent::of(&half, cell).is_some()));
            }
        }
        assert_eq!(level_of(&Bounds::WORLD), 31);
        assert_eq!(level_of(&bounds(5, 5, 5, 5)), MIN_LEVEL);
    }

    #[test]
    fn extents_hold_what_they_stand_for() {
        let steps: Vec<i32> = (-9..=9).map(|step| step * 100_003).collect();
        let some = bounds(-200_000, -300_000, 400_000, 123_456);
        let other = bounds(390_000, 100_000, 500_000, 900_000);
        for (&x, &y) in steps.iter().flat_map(|x| steps.iter().map(move |y| (x, y))) {
            let point = Point { x, y };
            let cell = Cell::of(LEVEL, point);
            assert!(cell.bounds().unwrap().contains(point));
            let spot = Spot::of(LEVEL, point);
            let [one, two] = [some, other].map(|bounds| Extent::of(&bounds, cell));
            for (extent, bounds) in [(one, some), (two, other)] {
                assert!(!bounds.contains(point) || extent.is_some_and(|e| e.contains(spot)));
                let near = bounds.west - (1 << 13) <= x
                    && x <= bounds.east + (1 << 13)
                    && bounds.south - (1 << 13) <= y
                    && y <= bounds.north + (1 << 13);
                assert!(near || extent.is_none_or(|e| !e.contains(spot)));
                let place = Extent::of(
                    &Bounds {
                        west: x,
                        south: y,
                        east: x,
                        north: y,
                    },
                    cell,
                )
                .unwrap();
                assert_eq!(
                    extent.is_some_and(|e| e.contains(spot)),
                    extent.is_some_and(|e| e.meets(place))
                );
            }
            if let (Some(one), Some(two)) = (one, two) {
                let both = one.joined(two);
                assert!(both.meets(one) && both.meets(two));
                let inside = bounds(-200_000, -300_000, 500_000, 900_000);
                assert_eq!(Some(both), Extent::of(&inside, cell));
            }
        }
        assert!(Extent::WHOLE.is_whole() && Extent::WHOLE.joined(Extent(0x0101_0101)).is_whole());
    }
}
