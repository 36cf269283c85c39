//! The cells that a segment passes.
//!
//! ```text
//!            __--o        each column of cells has the rows between the heights at which
//!       __---             the segment comes in and goes out, and no others
//!  o---
//! ```

use super::cell::{Cell, Range, raised};
use crate::engine::geo::point::{MAX_X, MAX_Y};
use crate::engine::geo::{Bounds, Point};

/// A part of a segment on one side of the antimeridian, from west to east.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    west: i32,
    east: i32,
    /// Where a straight line through it has its ends, which may lie beyond the piece.
    from: (i64, i64),
    to: (i64, i64),
}

/// A segment that goes the shorter way around, in pieces; both ways where they are equally long.
pub(super) fn pieces(from: Point, to: Point) -> Vec<Piece> {
    const TURN: i64 = 2 * MAX_X as i64;
    let (from, to) = if from.x <= to.x {
        (from, to)
    } else {
        (to, from)
    };
    let (start, end) = (
        (from.x.into(), from.y.into()),
        (i64::from(to.x), to.y.into()),
    );
    let width = end.0 - i64::from(from.x);
    let mut pieces = Vec::new();
    if width <= TURN / 2 {
        pieces.push(Piece {
            west: from.x,
            east: to.x,
            from: start,
            to: end,
        });
    }
    if width >= TURN / 2 {
        // The line goes west from `from`: once as it is left there, once as it comes to `to`.
        pieces.push(Piece {
            west: -MAX_X,
            east: from.x,
            from: (end.0 - TURN, end.1),
            to: start,
        });
        pieces.push(Piece {
            west: to.x,
            east: MAX_X,
            from: end,
            to: (start.0 + TURN, start.1),
        });
    }
    // Where an end lies on the antimeridian it lies on its other side as well.
    for point in [from, to] {
        if point.x.abs() == MAX_X {
            let place = (i64::from(-point.x), point.y.into());
            pieces.push(Piece {
                west: -point.x,
                east: -point.x,
                from: place,
                to: place,
            });
        }
    }
    pieces
}

impl Piece {
    /// About how many cells of a level it passes: no fewer.
    pub(super) fn cells(&self, level: u32) -> u64 {
        let (south, north) = self.heights(self.west, self.east);
        let columns = (raised(self.east) >> level) - (raised(self.west) >> level);
        let rows = (raised(north) >> level) - (raised(south) >> level);
        u64::from(columns) + u64::from(rows) + 1
    }

    /// Calls for every cell it passes, with the box around what of it lies in that column.
    pub(super) fn walk(&self, level: u32, mut visit: impl FnMut(Cell, &Bounds)) {
        let columns = raised(self.west) >> level..=raised(self.east) >> level;
        for column in columns {
            let Some(inside) = Cell::new(level, column, 1 << (31 - level)).bounds() else {
                continue;
            };
            let (west, east) = (inside.west.max(self.west), inside.east.min(self.east));
            // The line goes on between the last unit of a column and the first of the next.
            let (south, north) = self.heights(west.saturating_sub(1), east.saturating_add(1));
            let bounds = Bounds {
                west,
                south,
                east,
                north,
            };
            for cell in Range::new(level, &bounds).cells() {
                visit(cell, &bounds);
            }
        }
    }

    /// Between which heights it lies between two meridians, with a unit to spare.
    fn heights(&self, west: i32, east: i32) -> (i32, i32) {
        let (least, most) = (self.from.1.min(self.to.1), self.from.1.max(self.to.1));
        let width = i128::from(self.to.0 - self.from.0);
        let height = |x: i32| {
            let along = i128::from(i64::from(x) - self.from.0);
            let rise = i128::from(self.to.1 - self.from.1);
            i64::try_from(along * rise / width).unwrap_or(0) + self.from.1
        };
        let (south, north) = if width == 0 {
            (least, most)
        } else {
            let (one, other) = (height(west), height(east));
            (
                (one.min(other) - 1).max(least),
                (one.max(other) + 1).min(most),
            )
        };
        let unit = |y: i64| i32::try_from(y.clamp((-MAX_Y).into(), MAX_Y.into())).unwrap_or(0);
        (unit(south), unit(north))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: (i32, i32), to: (i32, i32), expected: u64) {
        let [from, to] = [from, to].map(|(x, y)| Point { x, y });
        for level in [20, 24, 28] {
            let mut cells = Vec::new();
            for piece in pieces(from, to) {
                let before = cells.len();
                piece.walk(level, |cell, bounds| {
                    assert!(cell.bounds().unwrap().west <= bounds.east);
                    cells.push(cell);
                });
                assert!((cells.len() - before) as u64 <= 3 * piece.cells(level));
            }
            for point in [from, to] {
                assert!(cells.contains(&Cell::of(level, point)));
            }
            if level == 28 {
                assert_eq!(cells.len() as u64, expected, "{cells:?}");
            }
        }
    }

    #[test]
    fn a_segment_passes_the_cells_between_its_ends() {
        check((1, 1), (2, 2), 1);
        check((-1, -1), (1, 1), 4);
        check((-1, 5), (1, 5), 2);
        check((5, 900_000_000), (5, -900_000_000), 8);
        check((-900_000_000, 5), (899_999_999, 6), 8);
        check((MAX_X - 5, 10), (5 - MAX_X, 20), 2);
        check((MAX_X, 10), (5 - MAX_X, 20), 3);
    }
}
