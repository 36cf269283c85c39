//! A box between two meridians and two parallels.

use std::f64::consts::FRAC_PI_2;

use super::geodesy::{LEAST_UNIT_M, Metric, RADIANS, float};
use super::longitude::{HALF, TURN, wrapped};
use super::point::{MAX_X, MAX_Y, Point};
use super::segment::Edge;
use super::shape::Cover;

/// A box, its border included. It crosses the antimeridian where `west` is greater than `east`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The western meridian, in units.
    pub west: i32,
    /// The southern parallel, in units.
    pub south: i32,
    /// The eastern meridian, in units.
    pub east: i32,
    /// The northern parallel, in units.
    pub north: i32,
}

impl From<Point> for Bounds {
    fn from(point: Point) -> Self {
        Self {
            west: point.x,
            south: point.y,
            east: point.x,
            north: point.y,
        }
    }
}

impl Bounds {
    /// All there is.
    pub const WORLD: Self = Self {
        west: -MAX_X,
        south: -MAX_Y,
        east: MAX_X,
        north: MAX_Y,
    };

    /// Whether it crosses the antimeridian.
    pub const fn is_crossing(&self) -> bool {
        self.west > self.east
    }

    /// Whether a point lies in it or on its border. Longitudes 180 and -180 are the same, and so are all
    /// longitudes of a pole.
    pub const fn contains(&self, point: Point) -> bool {
        if point.y < self.south || point.y > self.north {
            return false;
        }
        self.spans(point.x)
            || ((point.x == MAX_X || point.x == -MAX_X) && self.spans(-point.x))
            || point.y == MAX_Y
            || point.y == -MAX_Y
    }

    const fn spans(&self, x: i32) -> bool {
        if self.is_crossing() {
            x >= self.west || x <= self.east
        } else {
            x >= self.west && x <= self.east
        }
    }

    /// Units from its western to its eastern meridian.
    pub(super) const fn width(&self) -> i64 {
        let width = self.east as i64 - self.west as i64;
        if width < 0 { width + TURN } else { width }
    }

    /// Whether two boxes have a point in common.
    pub fn meets(&self, other: &Self) -> bool {
        if self.south > other.north || other.south > self.north {
            return false;
        }
        let reach = |from: i32, to: i32| (i64::from(to) - i64::from(from)).rem_euclid(TURN);
        let is_whole = self.width() == TURN || other.width() == TURN;
        is_whole
            || reach(self.west, other.west) <= self.width()
            || reach(other.west, self.west) <= other.width()
            || (self.north == MAX_Y && other.north == MAX_Y)
            || (self.south == -MAX_Y && other.south == -MAX_Y)
    }

    /// How it lies to a box that does not cross the antimeridian.
    pub fn cover(&self, cell: &Self) -> Cover {
        if !self.meets(cell) {
            return Cover::Outside;
        }
        let is_along = self.south <= cell.south && cell.north <= self.north;
        let is_across = self
            .halves()
            .any(|half| half.west <= cell.west && cell.east <= half.east);
        if is_along && is_across {
            Cover::Covers
        } else {
            Cover::Touches
        }
    }

    /// A box around all that is within a distance of it, in metres.
    ///
    /// On a sphere of the earth's least radius that distance goes farther than on the ellipsoid. There
    /// the meridians that touch a cap of angle `a` around latitude `f` are `asin (sin a / cos f)` away.
    pub fn grown(&self, distance_m: f64) -> Self {
        let angle = distance_m / LEAST_UNIT_M * RADIANS;
        let dy = units_above(angle);
        let south = i64::from(self.south) - dy;
        let north = i64::from(self.north) + dy;
        let limit = i64::from(MAX_Y);
        let outermost = float(i64::from(self.south.abs().max(self.north.abs())));
        let (sin, cos) = (angle.min(FRAC_PI_2).sin(), (outermost * RADIANS).cos());
        let holds_pole = north >= limit || south <= -limit;
        let dx = if holds_pole || sin >= cos {
            HALF
        } else {
            units_above((sin / cos).asin())
        };
        let (west, east) = if self.width() + 2 * dx >= TURN {
            (-MAX_X, MAX_X)
        } else {
            (
                wrapped(i64::from(self.west) - dx),
                wrapped(i64::from(self.east) + dx),
            )
        };
        Self {
            west,
            south: clamped(south),
            east,
            north: clamped(north),
        }
    }

    /// From a point to its border in metres; 0 inside.
    pub(super) fn distance_from_m(&self, metric: &Metric) -> f64 {
        let point = metric.center();
        if self.contains(point) {
            return 0.0;
        }
        if self.spans(point.x) || (point.x.abs() == MAX_X && self.spans(-point.x)) {
            // The nearest point of a parallel is on the same meridian.
            let border = point.y.clamp(self.south, self.north);
            return metric.reach_m(0.0, float(i64::from(border) - i64::from(point.y)));
        }
        [self.west, self.east]
            .map(|x| self.meridian(x).distance_m(metric))
            .into_iter()
            .fold(f64::INFINITY, f64::min)
    }

    /// A side of it.
    fn meridian(&self, x: i32) -> Edge {
        Edge {
            x: x.into(),
            y: self.south.into(),
            dx: 0,
            dy: i64::from(self.north) - i64::from(self.south),
        }
    }

    /// Its sides; the parallels in three parts each, so that none is longer than half a turn.
    pub(super) fn edges(&self) -> impl Iterator<Item = Edge> {
        let (west, width) = (i64::from(self.west), self.width());
        let parallels = [self.south, self.north].into_iter().flat_map(move |y| {
            (0..3).map(move |part| {
                let from = width * part / 3;
                Edge {
                    x: west + from,
                    y: y.into(),
                    dx: width * (part + 1) / 3 - from,
                    dy: 0,
                }
            })
        });
        parallels.chain([self.west, self.east].map(|x| self.meridian(x)))
    }

    /// Whether an edge has a point in it.
    pub(super) fn meets_edge(&self, edge: &Edge) -> bool {
        let along = (i64::from(self.south), i64::from(self.north));
        let meets =
            |half: &Self, edge: &Edge| edge.meets_box((half.west.into(), half.east.into()), along);
        self.contains(edge.start())
            || self.contains(edge.end())
            || self
                .halves()
                .any(|half| edge.in_frame(0).any(|edge| meets(&half, &edge)))
    }

    /// The same as one box, or two where it crosses the antimeridian.
    pub fn halves(self) -> impl Iterator<Item = Self> {
        let (first, second) = if self.is_crossing() {
            let east = Self {
                east: MAX_X,
                ..self
            };
            let west = Self {
                west: -MAX_X,
                ..self
            };
            (east, Some(west))
        } else {
            (self, None)
        };
        std::iter::once(first).chain(second)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a few turns at most, in units"
)]
fn units_above(angle: f64) -> i64 {
    (angle / RADIANS * (1.0 + 1e-9)).ceil() as i64 + 1
}

#[expect(clippy::cast_possible_truncation, reason = "within the latitudes")]
fn clamped(y: i64) -> i32 {
    y.clamp(-i64::from(MAX_Y), i64::from(MAX_Y)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_across_the_antimeridian_is_two() {
        let bounds = Bounds {
            west: MAX_X - 10,
            south: 0,
            east: 10 - MAX_X,
            north: 10,
        };
        let at = |x| bounds.contains(Point { x, y: 5 });
        assert!(at(MAX_X) && at(-MAX_X) && at(MAX_X - 10) && at(10 - MAX_X));
        assert!(!at(0) && !at(MAX_X - 11) && !at(11 - MAX_X));
        assert_eq!(bounds.halves().count(), 2);
        let east = bounds.halves().next().unwrap();
        assert!(east.contains(Point { x: -MAX_X, y: 0 }));
    }
}
