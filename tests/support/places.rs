//! Random places and rings.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "random places are far inside their ranges"
)]

use redis_iot::engine::geo::point::{MAX_X, MAX_Y};
use redis_iot::engine::geo::{Point, Shape, geojson};

use super::seeds::Random;

/// A longitude that runs on as one of a point.
pub(crate) fn wrapped(x: i64) -> i64 {
    let turn = 2 * i64::from(MAX_X);
    (x + i64::from(MAX_X)).rem_euclid(turn) - i64::from(MAX_X)
}

/// A point by its degrees.
pub(crate) fn at(lon: f64, lat: f64) -> Point {
    Point::from_degrees(lon, lat).unwrap()
}

/// A point so many units from a meridian and the equator.
pub(crate) fn near(origin: i64, x: i64, y: i64) -> Point {
    Point::from_units(wrapped(origin + x) as i32, y as i32).unwrap()
}

/// From 0 to 1.
pub(crate) fn share(random: &mut Random) -> f64 {
    (random.bits() >> 11) as f64 / (1u64 << 53) as f64
}

/// A ring whose vertices go once around a centre, at distances between `least` and `most`.
pub(crate) fn star(
    random: &mut Random,
    origin: i64,
    (least, most): (f64, f64),
    len: usize,
) -> Vec<Point> {
    let corners = (0..len).map(|corner| {
        let angle = (corner as f64 + 0.8 * share(random)) / len as f64 * std::f64::consts::TAU;
        let distance = least + (most - least) * share(random);
        let (x, y) = (distance * angle.cos(), distance * angle.sin());
        near(origin, x as i64, y as i64)
    });
    corners.collect()
}

/// Any place, each latitude as often, and some at the poles and the antimeridian.
pub(crate) fn anywhere(random: &mut Random) -> Point {
    let x = random.within(-1_800_000_000..1_800_000_001) as i32;
    let y = random.within(-900_000_000..900_000_001) as i32;
    match random.index(8) {
        0 => Point {
            x,
            y: MAX_Y - y.abs() / 10_000,
        },
        1 => Point {
            x,
            y: y.abs() / 10_000 - MAX_Y,
        },
        2 => Point {
            x: MAX_X - x.abs() / 100_000,
            y,
        },
        _ => Point { x, y },
    }
}

/// The stored form and the text of a shape are read as the same one.
#[track_caller]
pub(crate) fn check_written(shape: &Shape) {
    let mut bytes = Vec::new();
    shape.write(&mut bytes);
    let mut rest = &bytes[..];
    assert_eq!(Shape::read(&mut rest).as_ref(), Ok(shape));
    assert!(rest.is_empty());
    let text = geojson::write(shape);
    assert_eq!(
        geojson::parse(text.as_bytes()).as_ref(),
        Ok(shape),
        "{text}"
    );
}
