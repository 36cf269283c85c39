//! A box as the grid is asked for it.
//!
//! The edges of the map are places of their own neighbours: the antimeridian is on both sides, and a pole
//! is on all meridians.

use super::grid::Part;
use crate::engine::geo::{Bounds, point};

/// Bounds as one or two spans of longitudes, and which edges of the map are in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    south: i32,
    north: i32,
    spans: [(i32, i32); 2],
    has_seam: bool,
    /// Whether the poles are in it.
    has_poles: [bool; 2],
}

impl Window {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let Bounds { west, east, .. } = *bounds;
        let spans = if bounds.is_crossing() {
            [(west, point::MAX_X), (-point::MAX_X, east)]
        } else {
            [(west, east), (west, east)]
        };
        Self {
            south: bounds.south,
            north: bounds.north,
            spans,
            has_seam: bounds.is_crossing() || west == -point::MAX_X || east == point::MAX_X,
            has_poles: [bounds.south == -point::MAX_Y, bounds.north == point::MAX_Y],
        }
    }

    /// Whether a cell has places that are the same as others in the window: a device at 180 degrees is
    /// at -180 degrees, too, and one at a pole is at every longitude.
    #[inline]
    pub(super) const fn meets_edge(&self, cell: &Bounds) -> bool {
        let is_at_seam = cell.west == -point::MAX_X || cell.east == point::MAX_X;
        let [has_south, has_north] = self.has_poles;
        (self.has_seam && is_at_seam)
            || (has_south && cell.south == -point::MAX_Y)
            || (has_north && cell.north == point::MAX_Y)
    }

    /// How much of a cell is in it.
    #[inline]
    pub(super) fn part_of(&self, cell: &Bounds) -> Part {
        if cell.south > self.north || cell.north < self.south {
            return Part::None;
        }
        let meets = |&(west, east): &(i32, i32)| cell.west <= east && cell.east >= west;
        if !self.spans.iter().any(meets) {
            return if self.meets_edge(cell) {
                Part::Some
            } else {
                Part::None
            };
        }
        let covers = |&(west, east): &(i32, i32)| west <= cell.west && cell.east <= east;
        let is_tall = self.south <= cell.south && cell.north <= self.north;
        if is_tall && self.spans.iter().any(covers) {
            Part::All
        } else {
            Part::Some
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(west: i32, east: i32) -> Bounds {
        Bounds {
            west,
            south: 0,
            east,
            north: 10,
        }
    }

    #[test]
    fn the_antimeridian_is_on_both_sides() {
        const MAX: i32 = point::MAX_X;
        let crossing = Window::new(&cell(MAX - 5, 5 - MAX));
        assert_eq!(crossing.part_of(&cell(MAX - 5, MAX)), Part::All);
        assert_eq!(crossing.part_of(&cell(-MAX, 6 - MAX)), Part::Some);
        assert_eq!(crossing.part_of(&cell(0, MAX - 6)), Part::None);
        let eastern = Window::new(&cell(MAX - 5, MAX));
        assert_eq!(eastern.part_of(&cell(-MAX, 5)), Part::Some);
        assert_eq!(eastern.part_of(&cell(-MAX + 1, 5)), Part::None);
    }
}
