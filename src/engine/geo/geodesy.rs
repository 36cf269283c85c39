//! Distances on WGS 84.
//!
//! ```text
//! below 100 km   haversines with the radii of curvature M (north) and N (east) at the mid latitude
//! above          Karney's geodesic
//! ```
//!
//! With `u` and `v` half the differences of latitude and longitude, `f` the mid latitude:
//!
//! ```text
//! chord^2 = (2 M sin u cos v)^2 + (2 N cos f sin v)^2,    distance = chord (1 + chord^2 / 24 M N)
//! ```
//!
//! On a sphere this is exact, at the poles too; on the ellipsoid it stays within a millimetre at
//! 1 km and some centimetres at 100 km, where the plain local metric `(M dlat, N cos f dlon)` is off
//! by metres. The sines of small angles are polynomials, and [`Metric`] keeps those of its own
//! latitude, so a distance from it has no trigonometry (`tests/shapes.rs` compares with Karney;
//! C. F. F. Karney, "Algorithms for geodesics", J. Geodesy 87, 2013).

use std::f64::consts::PI;

use geographiclib_rs::{Geodesic, InverseGeodesic};

use super::longitude::{TURN, shorter};
use super::{Bounds, Point};

/// Equatorial radius of WGS 84.
const EQUATOR_M: f64 = 6_378_137.0;
/// Square of the eccentricity, f (2 - f) with f = 1 / 298.257223563.
const ECCENTRICITY_2: f64 = 0.006_694_379_990_141_317;
/// The smallest radius of curvature, M at the equator, less a millionth: bounds stay bounds where
/// sums are rounded.
const LEAST_RADIUS_M: f64 = 6_335_433.0;
/// One unit of a coordinate in radians.
pub(super) const RADIANS: f64 = PI / 1.8e9;
/// The least way in metres that one unit of latitude, or one of longitude at the equator, can be.
pub(super) const LEAST_UNIT_M: f64 = LEAST_RADIUS_M * RADIANS;
/// Half the equator: no two places are farther apart.
pub const HALF_EARTH_M: f64 = 20_037_508.342_789_244;
/// Where the local metric ends.
pub(super) const LOCAL_M: f64 = 100_000.0;

/// The distance of two points in metres.
pub fn distance_m(a: Point, b: Point) -> f64 {
    Metric::new(a).distance_m(b)
}

/// A lower bound of the distance from a point to a box, in metres: see [`Metric::least_m`].
pub fn least_distance_m(point: Point, bounds: &Bounds) -> f64 {
    Metric::new(point).least_m(bounds)
}

/// Distances from one point.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    center: Point,
    /// Of its latitude.
    sin: f64,
    cos: f64,
}

impl Metric {
    /// Distances from `center`.
    pub fn new(center: Point) -> Self {
        let (sin, cos) = (f64::from(center.y) * RADIANS).sin_cos();
        Self { center, sin, cos }
    }

    /// The point that it measures from.
    pub const fn center(&self) -> Point {
        self.center
    }

    /// The distance to a point in metres.
    pub fn distance_m(&self, point: Point) -> f64 {
        let dx = shorter(i64::from(point.x) - i64::from(self.center.x));
        let dy = i64::from(point.y) - i64::from(self.center.y);
        self.reach_m(float(dx), float(dy))
    }

    /// The distance to what lies so many units to the east and to the north.
    pub(super) fn reach_m(&self, dx: f64, dy: f64) -> f64 {
        self.local_m(dx, dy)
            .unwrap_or_else(|| self.geodesic_m(dx, dy))
    }

    fn geodesic_m(&self, dx: f64, dy: f64) -> f64 {
        let (lon, lat) = (self.center.lon(), self.center.lat());
        let to = (lat + dy / 1e7).clamp(-90.0, 90.0);
        Geodesic::wgs84().inverse(lat, lon, to, lon + dx / 1e7)
    }

    /// The same where it is less than 100 km.
    fn local_m(&self, dx: f64, dy: f64) -> Option<f64> {
        /// Half of 110 km to the north, in radians.
        const FAR: f64 = 0.0088;
        let (u, v) = (dy * (RADIANS / 2.0), dx * (RADIANS / 2.0));
        if u.abs() > FAR {
            return None;
        }
        let (sin_u, cos_u) = small_sin_cos(u);
        let (sin_v, cos_v) = sin_cos(v);
        let sin = self.sin * cos_u + self.cos * sin_u;
        let cos = self.cos * cos_u - self.sin * sin_u;
        let (across, along) = curvature(sin);
        let north = 2.0 * along * sin_u * cos_v;
        let east = 2.0 * across * cos * sin_v;
        let chord_2 = north * north + east * east;
        (chord_2 < LOCAL_M * LOCAL_M)
            .then(|| chord_2.sqrt() * (1.0 + chord_2 / (24.0 * along * across)))
    }

    /// Metres of one unit to the east and to the north, so many units to the north of here.
    pub(super) fn unit_m(&self, dy: f64) -> (f64, f64) {
        let (sin, cos) = self.latitude(dy);
        let (across, along) = curvature(sin);
        (across * cos * RADIANS, along * RADIANS)
    }

    /// Sine and cosine of the latitude so many units to the north.
    fn latitude(&self, dy: f64) -> (f64, f64) {
        let (sin, cos) = sin_cos(dy * RADIANS);
        (
            self.sin * cos + self.cos * sin,
            self.cos * cos - self.sin * sin,
        )
    }

    /// The square of the straight way through the earth to what lies so many units away.
    pub(super) fn chord_2(&self, dx: f64, dy: f64) -> f64 {
        let (sin, cos) = self.latitude(dy);
        let (here, there) = (curvature(self.sin).0, curvature(sin).0);
        let (sin_x, cos_x) = (dx * RADIANS).sin_cos();
        let out = there * cos * cos_x - here * self.cos;
        let east = there * cos * sin_x;
        let up = (1.0 - ECCENTRICITY_2) * (there * sin - here * self.sin);
        out * out + east * east + up * up
    }

    /// Never more than the distance to any point of a box, in metres; 0 inside. No trigonometry.
    ///
    /// A way on the ellipsoid is at least as long as the same way on a sphere of its least radius.
    /// There it is bounded by the least differences of latitude and longitude and the least cosine.
    pub fn least_m(&self, bounds: &Bounds) -> f64 {
        let y = self.center.y;
        let above = i64::from(y) - i64::from(bounds.north);
        let below = i64::from(bounds.south) - i64::from(y);
        let dy = above.max(below).max(0);
        let dx = gap_to(bounds, self.center.x);
        let outermost = i64::from(bounds.south)
            .abs()
            .max(i64::from(bounds.north).abs());
        let cos = cos_below(float(outermost) * RADIANS);
        let u = sin_below(float(dy) * (RADIANS / 2.0));
        let v = sin_below(float(dx) * (RADIANS / 2.0));
        let z = (u * u + self.cos.max(0.0) * cos * v * v).sqrt();
        // asin z >= z + z^3 / 6
        2.0 * LEAST_RADIUS_M * z * (1.0 + z * z / 6.0)
    }
}

/// Units from a meridian to the next one of a box, the shorter way around.
fn gap_to(bounds: &Bounds, x: i32) -> i64 {
    let width = (i64::from(bounds.east) - i64::from(bounds.west)).rem_euclid(TURN);
    let is_whole = bounds.west != bounds.east && width == 0;
    let from_west = (i64::from(x) - i64::from(bounds.west)).rem_euclid(TURN);
    if is_whole || from_west <= width {
        return 0;
    }
    (TURN - from_west).min(from_west - width)
}

/// The radii of curvature to the east and to the north where the latitude has this sine.
fn curvature(sin: f64) -> (f64, f64) {
    let w = 1.0 - ECCENTRICITY_2 * sin * sin;
    let across = EQUATOR_M / w.sqrt();
    (across, across * (1.0 - ECCENTRICITY_2) / w)
}

fn sin_cos(angle: f64) -> (f64, f64) {
    if angle.abs() < 0.05 {
        small_sin_cos(angle)
    } else {
        angle.sin_cos()
    }
}

/// Sine and cosine of at most 0.05, to the last bit or two.
fn small_sin_cos(angle: f64) -> (f64, f64) {
    let square = angle * angle;
    let sin = angle * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0)));
    let cos = 1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0));
    (sin, cos)
}

/// Never more than the sine, from 0 to a quarter turn: its series, cut after a term below 0.
fn sin_below(angle: f64) -> f64 {
    let square = angle * angle;
    angle * (1.0 - square / 6.0 * (1.0 - square / 20.0 * (1.0 - square / 42.0)))
}

/// Never more than the cosine, and never below 0.
fn cos_below(angle: f64) -> f64 {
    let square = angle * angle;
    (1.0 - square / 2.0 * (1.0 - square / 12.0 * (1.0 - square / 30.0))).max(0.0)
}

/// Units as a float.
#[expect(
    clippy::cast_precision_loss,
    reason = "a few turns are far below 2^53 units"
)]
pub(super) const fn float(units: i64) -> f64 {
    units as f64
}
