//! A place, in whole numbers.

use std::fmt;

/// Units of a coordinate in one degree.
pub const UNITS_PER_DEGREE: i32 = 10_000_000;
/// The greatest longitude, in units.
pub const MAX_X: i32 = 180 * UNITS_PER_DEGREE;
/// The greatest latitude, in units.
pub const MAX_Y: i32 = 90 * UNITS_PER_DEGREE;

/// A place on the earth: longitude and latitude in units of 10^-7 degrees.
///
/// Longitudes 180 and -180 are the same place; a point keeps the one that it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// Longitude, from `-MAX_X` to `MAX_X`.
    pub x: i32,
    /// Latitude, from `-MAX_Y` to `MAX_Y`.
    pub y: i32,
}

impl Point {
    /// The nearest point to a longitude and a latitude in degrees; `None` where they are none.
    pub fn from_degrees(lon: f64, lat: f64) -> Option<Self> {
        // A comparison with NaN is false.
        let is_place = (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat);
        is_place.then(|| Self {
            x: units(lon),
            y: units(lat),
        })
    }

    /// A point by its units; `None` where they are none.
    pub const fn from_units(x: i32, y: i32) -> Option<Self> {
        if x < -MAX_X || x > MAX_X || y < -MAX_Y || y > MAX_Y {
            return None;
        }
        Some(Self { x, y })
    }

    /// Longitude in degrees: the shortest decimal that leads back here.
    pub fn lon(self) -> f64 {
        f64::from(self.x) / f64::from(UNITS_PER_DEGREE)
    }

    /// Latitude in degrees.
    pub fn lat(self) -> f64 {
        f64::from(self.y) / f64::from(UNITS_PER_DEGREE)
    }
}

/// Degrees within their bounds, in units.
fn units(degrees: f64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most 180 degrees are 1.8e9 units"
    )]
    let units = (degrees * f64::from(UNITS_PER_DEGREE)).round() as i32;
    units
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.lon(), self.lat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_go_there_and_back() {
        for (lon, lat) in [(13.377_704_1, 52.516_275_3), (-180.0, 90.0), (180.0, -90.0)] {
            let point = Point::from_degrees(lon, lat).unwrap();
            assert_eq!((point.lon(), point.lat()), (lon, lat));
        }
        for (lon, lat) in [
            (180.000_000_1, 0.0),
            (0.0, -90.1),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert_eq!(Point::from_degrees(lon, lat), None);
        }
    }
}
