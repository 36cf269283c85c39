//! Straight edges in longitude and latitude: how they lie to each other, and how far from a point.
//!
//! How they lie is decided in whole numbers. A side is the comparison of two products, which are
//! never subtracted: `dx` is at most half a turn and `dy` the latitudes, so that with a point whose
//! longitude is within a turn of the edge, both are below 2^63.
//!
//! How far is a search for the nearest point of the edge: the projection in the plane that is as wide
//! as the earth halfway between, and one step of a parabola through true distances. Over 100 km, and
//! beyond 80 degrees of latitude, the edge is first sampled, since it bends around the point.

use std::cmp::Ordering;

use super::geodesy::{LOCAL_M, Metric, float};
use super::longitude::{HALF, TURN, shorter, wrapped};
use super::{Bounds, Point};

/// Latitude beyond which nearest points are searched along the whole edge, in units.
const POLAR_Y: i32 = 800_000_000;

/// An edge. Its longitudes may lie beyond half a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) dx: i64,
    pub(super) dy: i64,
}

/// What two edges have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    Nothing,
    /// An end of one lies on the other.
    Touch,
    /// Each goes from one side of the other to the other side.
    Cross,
}

impl Edge {
    /// From a to b, the shorter way around.
    pub(super) const fn shorter(a: Point, b: Point) -> Self {
        Self {
            x: a.x as i64,
            y: a.y as i64,
            dx: shorter(b.x as i64 - a.x as i64),
            dy: b.y as i64 - a.y as i64,
        }
    }

    /// From a to b in the plane.
    pub(super) const fn plain(a: Point, b: Point) -> Self {
        Self {
            x: a.x as i64,
            y: a.y as i64,
            dx: b.x as i64 - a.x as i64,
            dy: b.y as i64 - a.y as i64,
        }
    }

    pub(super) const fn moved(self, by: i64) -> Self {
        Self {
            x: self.x + by,
            ..self
        }
    }

    /// Whether both of its ends are one place.
    pub(super) const fn is_point(&self) -> bool {
        self.dx == 0 && self.dy == 0
    }

    /// The same, as far around the earth as it may be beside another edge.
    pub(super) fn near(&self, other: &Self) -> [Self; 3] {
        let x = other.x + shorter(shorter(self.x) - shorter(other.x));
        let near = Self { x, ..*self };
        [near, near.moved(TURN), near.moved(-TURN)]
    }

    /// Where it begins.
    pub(super) fn start(&self) -> Point {
        point(self.x, self.y)
    }

    /// Where it ends.
    pub(super) fn end(&self) -> Point {
        point(self.x + self.dx, self.y + self.dy)
    }

    /// The same in a frame around an origin, so that it begins within it; then as often as the frame
    /// may hold a part of it.
    pub(super) fn in_frame(self, origin: i32) -> impl Iterator<Item = Self> {
        let x = shorter(shorter(self.x) - i64::from(origin));
        let first = Self { x, ..self };
        let (west, east) = first.across();
        let back = (east >= HALF).then(|| first.moved(-TURN));
        let forth = (west <= -HALF).then(|| first.moved(TURN));
        std::iter::once(first).chain(back).chain(forth)
    }

    pub(super) fn across(&self) -> (i64, i64) {
        (self.x.min(self.x + self.dx), self.x.max(self.x + self.dx))
    }

    pub(super) fn along(&self) -> (i64, i64) {
        (self.y.min(self.y + self.dy), self.y.max(self.y + self.dy))
    }

    /// A box around it, whose longitudes are those of points.
    pub(super) fn bounds(&self) -> Bounds {
        let ((west, east), (south, north)) = (self.across(), self.along());
        let (south_west, north_east) = (point(west, south), point(east, north));
        Bounds {
            west: south_west.x,
            south: south_west.y,
            east: north_east.x,
            north: north_east.y,
        }
    }

    /// On which side of its line a point lies: `Greater` is left of it.
    pub(super) fn side(&self, x: i64, y: i64) -> Ordering {
        (self.dx * (y - self.y)).cmp(&(self.dy * (x - self.x)))
    }

    fn boxes_meet(&self, other: &Self) -> bool {
        let ((west, east), (south, north)) = (self.across(), self.along());
        let ((other_west, other_east), (other_south, other_north)) =
            (other.across(), other.along());
        west <= other_east && other_west <= east && south <= other_north && other_south <= north
    }

    /// What it has in common with another edge.
    pub(super) fn meet(&self, other: &Self) -> Meeting {
        if !self.boxes_meet(other) {
            return Meeting::Nothing;
        }
        let start = self.side(other.x, other.y);
        let end = self.side(other.x + other.dx, other.y + other.dy);
        if start == end && start != Ordering::Equal {
            return Meeting::Nothing;
        }
        let other_start = other.side(self.x, self.y);
        let other_end = other.side(self.x + self.dx, self.y + self.dy);
        if other_start == other_end && other_start != Ordering::Equal {
            return Meeting::Nothing;
        }
        if [start, end, other_start, other_end].contains(&Ordering::Equal) {
            Meeting::Touch
        } else {
            Meeting::Cross
        }
    }

    /// Whether a point lies on it.
    pub(super) fn holds(&self, x: i64, y: i64) -> bool {
        let ((west, east), (south, north)) = (self.across(), self.along());
        (west..=east).contains(&x)
            && (south..=north).contains(&y)
            && self.side(x, y) == Ordering::Equal
    }

    /// Whether it has a point in a box of the plane.
    pub(super) fn meets_box(&self, (west, east): (i64, i64), (south, north): (i64, i64)) -> bool {
        let ((own_west, own_east), (own_south, own_north)) = (self.across(), self.along());
        // What is beyond the edge cannot decide; without it the products are small enough.
        let (west, east) = (west.max(own_west), east.min(own_east));
        let (south, north) = (south.max(own_south), north.min(own_north));
        if west > east || south > north {
            return false;
        }
        let first = self.side(west, south);
        first == Ordering::Equal
            || [(west, north), (east, south), (east, north)]
                .iter()
                .any(|&(x, y)| self.side(x, y) != first)
    }

    /// The distance from a point in metres.
    pub(super) fn distance_m(&self, metric: &Metric) -> f64 {
        let center = metric.center();
        let near = Self {
            x: shorter(shorter(self.x) - i64::from(center.x)),
            y: self.y - i64::from(center.y),
            ..*self
        };
        let (west, east) = near.across();
        let distance_m = near.nearest_m(metric);
        if east > HALF {
            distance_m.min(near.moved(-TURN).nearest_m(metric))
        } else if west < -HALF {
            distance_m.min(near.moved(TURN).nearest_m(metric))
        } else {
            distance_m
        }
    }

    /// The square of the distance from a point in a plane with its units.
    pub(super) fn plain_m_squared(&self, metric: &Metric, unit_m: (f64, f64)) -> f64 {
        let center = metric.center();
        let near = Self {
            x: shorter(shorter(self.x) - i64::from(center.x)),
            y: self.y - i64::from(center.y),
            ..*self
        };
        let (x, y) = near.at(near.projected(unit_m));
        (x * unit_m.0).powi(2) + (y * unit_m.1).powi(2)
    }

    /// The same of an edge that is relative to the point.
    fn nearest_m(&self, metric: &Metric) -> f64 {
        if metric.center().y.abs() < POLAR_Y {
            let t = self.project(metric);
            let nearest_m = self.reach_m(metric, t);
            if nearest_m < LOCAL_M {
                return nearest_m;
            }
        }
        let t = self.search(metric);
        self.reach_m(metric, t)
    }

    fn at(&self, t: f64) -> (f64, f64) {
        (
            float(self.x) + t * float(self.dx),
            float(self.y) + t * float(self.dy),
        )
    }

    fn reach_m(&self, metric: &Metric, t: f64) -> f64 {
        let (dx, dy) = self.at(t);
        metric.reach_m(dx, dy)
    }

    /// Where on the edge the nearest point is, from 0 to 1, if that is near.
    fn project(&self, metric: &Metric) -> f64 {
        let rough = self.projected(metric.unit_m(0.0));
        let t = self.projected(metric.unit_m(self.at(rough).1 / 2.0));
        let (across_m, along_m) = metric.unit_m(0.0);
        let length_m = (float(self.dx) * across_m).hypot(float(self.dy) * along_m);
        let here_m = self.reach_m(metric, t);
        // The plane is right to a few millionths at a kilometre.
        if !(500.0..2.0 * LOCAL_M).contains(&here_m) || length_m == 0.0 {
            return t;
        }
        let step = here_m / 50.0 / length_m;
        let square = |t| self.reach_m(metric, t).powi(2);
        let (before, here, after) = (square(t - step), here_m * here_m, square(t + step));
        let bend = before - 2.0 * here + after;
        if bend <= 0.0 {
            return t;
        }
        (t + step * (before - after) / (2.0 * bend)).clamp(0.0, 1.0)
    }

    fn projected(&self, (across_m, along_m): (f64, f64)) -> f64 {
        let (x, y) = (float(self.x) * across_m, float(self.y) * along_m);
        let (dx, dy) = (float(self.dx) * across_m, float(self.dy) * along_m);
        let square = dx * dx + dy * dy;
        if square == 0.0 {
            return 0.0;
        }
        (-(x * dx + y * dy) / square).clamp(0.0, 1.0)
    }

    /// The same wherever it is: the nearest of samples, then golden sections around it, by chords.
    fn search(&self, metric: &Metric) -> f64 {
        /// Units between two samples: one degree.
        const STEP: i64 = 10_000_000;
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        const SECTIONS: usize = 45;
        let samples = (self.dx.abs().max(self.dy.abs()) / STEP + 1).min(360);
        let chord_2 = |t| {
            let (dx, dy) = self.at(t);
            metric.chord_2(dx, dy)
        };
        let share = |sample: i64| float(sample) / float(samples);
        let nearest = (0..=samples)
            .min_by(|&a, &b| chord_2(share(a)).total_cmp(&chord_2(share(b))))
            .unwrap_or(0);
        let (mut low, mut high) = (
            share((nearest - 1).max(0)),
            share((nearest + 1).min(samples)),
        );
        for _ in 0..SECTIONS {
            let step = (high - low) * GOLDEN;
            if chord_2(high - step) < chord_2(low + step) {
                high = low + step;
            } else {
                low = high - step;
            }
        }
        let middle = f64::midpoint(low, high);
        [0.0, middle, 1.0]
            .into_iter()
            .min_by(|&a, &b| chord_2(a).total_cmp(&chord_2(b)))
            .unwrap_or(middle)
    }
}

/// Coordinates of the plane as a point.
fn point(x: i64, y: i64) -> Point {
    Point {
        x: wrapped(shorter(x)),
        y: i32::try_from(y).expect("BUG: a latitude out of its range"),
    }
}
