//! A circle: a centre and a radius in metres, never a polygon.

use super::geodesy::{HALF_EARTH_M, LEAST_UNIT_M, Metric, float};
use super::longitude::{HALF, wrapped};
use super::{Bounds, Cover, Point};
use crate::engine::{Error, Result};

/// Everything within a distance of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    center: Point,
    radius_m: f64,
}

impl Circle {
    /// A circle of more than 0 metres and at most half the earth.
    ///
    /// # Errors
    /// `Geometry` for another radius.
    pub fn new(center: Point, radius_m: f64) -> Result<Self> {
        if radius_m > 0.0 && radius_m <= HALF_EARTH_M {
            return Ok(Self { center, radius_m });
        }
        Err(Error::Geometry {
            what: "a radius must be more than 0 and at most 20037508 metres",
        })
    }

    /// Its centre.
    pub const fn center(&self) -> Point {
        self.center
    }

    /// Its radius in metres.
    pub const fn radius_m(&self) -> f64 {
        self.radius_m
    }

    /// Whether a point lies in it or on it.
    pub fn contains(&self, point: Point) -> bool {
        let dy = i64::from(point.y) - i64::from(self.center.y);
        float(dy.abs()) * LEAST_UNIT_M <= self.radius_m
            && Metric::new(self.center).distance_m(point) <= self.radius_m
    }

    /// From a point to its border, 0 inside. Metres.
    pub fn distance_m(&self, point: Point) -> f64 {
        (Metric::new(self.center).distance_m(point) - self.radius_m).max(0.0)
    }

    /// A box around it.
    pub fn bounds(&self) -> Bounds {
        Bounds::from(self.center).grown(self.radius_m)
    }

    /// How it lies to a box that does not cross the antimeridian.
    pub fn cover(&self, cell: &Bounds) -> Cover {
        let metric = Metric::new(self.center);
        if metric.least_m(cell) > self.radius_m {
            return Cover::Outside;
        }
        let nearest_m = cell.distance_from_m(&metric);
        if nearest_m - slack_m(nearest_m) > self.radius_m {
            return Cover::Outside;
        }
        match farthest_m(&metric, cell) {
            Some(farthest_m) if farthest_m + slack_m(farthest_m) < self.radius_m => Cover::Covers,
            _ => Cover::Touches,
        }
    }
}

/// By how much a nearest or farthest distance to a box may be wrong. On a sphere the corners decide;
/// the ellipsoid differs by less than 0.4 % where a distance hardly changes along an edge.
fn slack_m(distance_m: f64) -> f64 {
    if distance_m < 1e6 {
        0.02 + distance_m * 1e-6
    } else {
        distance_m * 0.004
    }
}

/// The distance to the farthest corner, which is the farthest point of a box within a quarter turn.
fn farthest_m(metric: &Metric, cell: &Bounds) -> Option<f64> {
    let x = i64::from(metric.center().x);
    let far = [cell.west, cell.east].map(|east| i64::from(wrapped(i64::from(east) - x)).abs());
    let width = i64::from(cell.east) - i64::from(cell.west);
    if width > HALF / 2 || far[0].max(far[1]) > HALF / 2 {
        return None;
    }
    let dx = float(far[0].max(far[1]));
    let y = i64::from(metric.center().y);
    let [south, north] =
        [cell.south, cell.north].map(|north| metric.reach_m(dx, float(i64::from(north) - y)));
    Some(south.max(north))
}
