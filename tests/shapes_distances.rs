//! Distances, circles and corridors against geodesics.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "random places are far inside their ranges"
)]

mod support;

use geographiclib_rs::{DirectGeodesic, Geodesic, InverseGeodesic};
use redis_iot::engine::geo::point::{MAX_X, MAX_Y};
use redis_iot::engine::geo::{Bounds, Cover, Metric, Point, Shape, distance_m, least_distance_m};
use support::places::{anywhere, check_written, share, wrapped};
use support::seeds::{Random, SHAPES_SEED};

/// A place at a distance from another, by a geodesic.
fn away(from: Point, bearing: f64, distance_m: f64) -> (f64, f64) {
    let (lat, lon) = Geodesic::wgs84().direct(from.lat(), from.lon(), bearing, distance_m);
    (lon, lat)
}

fn karney_m(a: Point, b: Point) -> f64 {
    Geodesic::wgs84().inverse(a.lat(), a.lon(), b.lat(), b.lon())
}

#[test]
fn distances_are_those_of_geodesics() {
    let mut random = Random::new(SHAPES_SEED + 4);
    let mut worst = [0.0_f64; 7];
    for _ in 0..60_000 {
        let from = anywhere(&mut random);
        let power = random.index(7);
        let distance_m = 10f64.powf(power as f64 + 1.0) * (0.1 + 0.9 * share(&mut random)) * 2.0;
        let (lon, lat) = away(from, 360.0 * share(&mut random), distance_m.min(1.9e7));
        let to = Point::from_degrees(lon, lat).unwrap();
        let error = (distance_m_of(from, to) - karney_m(from, to)).abs();
        worst[power] = worst[power].max(error);
    }
    println!("{worst:?}");
    let limits = [1e-6, 1e-6, 1e-4, 0.01, 0.2, 1e-6, 1e-6];
    for (power, (worst, limit)) in worst.iter().zip(limits).enumerate() {
        assert!(*worst <= limit, "{worst} m at 2 * 10^{} m", power + 1);
    }
}

fn distance_m_of(a: Point, b: Point) -> f64 {
    let there = distance_m(a, b);
    assert!((there - Metric::new(b).distance_m(a)).abs() < 1e-3 + there * 1e-6);
    there
}

#[test]
fn no_point_of_a_box_is_nearer_than_its_bound() {
    let mut random = Random::new(SHAPES_SEED + 5);
    let mut sum = 0.0;
    for _ in 0..20_000 {
        let (from, corner) = (anywhere(&mut random), anywhere(&mut random));
        let size = 1 << random.index(30);
        let north = i64::from(corner.y) + random.within(0..size);
        let bounds = Bounds {
            west: corner.x,
            south: corner.y,
            east: wrapped(i64::from(corner.x) + random.within(0..size)) as i32,
            north: north.min(i64::from(MAX_Y)) as i32,
        };
        let width = wrapped(i64::from(bounds.east) - i64::from(bounds.west));
        let point = Point {
            x: wrapped(i64::from(bounds.west) + random.within(0..width.max(0) + 1)) as i32,
            y: random.within(i64::from(bounds.south)..i64::from(bounds.north) + 1) as i32,
        };
        let least_m = least_distance_m(from, &bounds);
        let true_m = karney_m(from, point);
        assert!(
            least_m <= true_m,
            "{from} {bounds:?} {point}: {least_m} {true_m}"
        );
        assert!(least_m <= distance_m(from, point));
        let box_m = Shape::Box(bounds).distance_m(from);
        assert!(
            least_m <= box_m * (1.0 + 1e-9),
            "{from} {bounds:?}: {least_m} {box_m}"
        );
        assert!(
            box_m <= true_m * (1.0 + 1e-6) + 0.1,
            "{from} {bounds:?}: {box_m} {true_m}"
        );
        sum += least_m / true_m.max(1.0);
    }
    println!("bound to distance: {}", sum / 20_000.0);
}

#[test]
fn distances_to_borders_are_the_least_to_their_points() {
    let mut random = Random::new(SHAPES_SEED + 6);
    let mut worst = 0.0_f64;
    for round in 0..400 {
        let center = anywhere(&mut random);
        if center.y.abs() > 880_000_000 {
            continue;
        }
        // An edge of 100 m to 30 km, and a point some kilometres from it.
        let length_m = 100.0 * 300f64.powf(share(&mut random));
        let corner = |random: &mut Random, most_m: f64| {
            let (lon, lat) = away(center, 360.0 * share(random), most_m * share(random));
            Point::from_degrees(lon, lat).unwrap()
        };
        let ring: Vec<_> = (0..3).map(|_| corner(&mut random, length_m)).collect();
        let from = corner(&mut random, length_m.min(2_000.0) * 3.0);
        let Ok(area) = Shape::area(vec![vec![ring.clone()]]) else {
            continue;
        };
        if area.contains(from) {
            assert_eq!(area.distance_m(from), 0.0);
            continue;
        }
        let edges = ring.iter().zip(ring.iter().cycle().skip(1));
        let true_m = edges
            .map(|(a, b)| to_edge_m(from, *a, *b))
            .fold(f64::INFINITY, f64::min);
        let error = (area.distance_m(from) - true_m).abs() / true_m.max(1000.0) * 1000.0;
        worst = worst.max(error);
        assert!(
            error < 0.01,
            "round {round}: {from} {ring:?} {true_m} {error}"
        );
    }
    println!("worst: {worst} m at 1 km");
}

/// The distance to the nearest of points on an edge, by geodesics, as fine as floats go.
fn to_edge_m(from: Point, a: Point, b: Point) -> f64 {
    let dx = wrapped(i64::from(b.x) - i64::from(a.x)) as f64 / 1e7;
    let dy = (f64::from(b.y) - f64::from(a.y)) / 1e7;
    let distance_m = |t: f64| -> f64 {
        Geodesic::wgs84().inverse(from.lat(), from.lon(), a.lat() + t * dy, a.lon() + t * dx)
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..80 {
        let (first, second) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if distance_m(first) < distance_m(second) {
            high = second;
        } else {
            low = first;
        }
    }
    distance_m(low).min(distance_m(0.0)).min(distance_m(1.0))
}

#[test]
fn far_edges_bend_around_a_point() {
    let mut random = Random::new(SHAPES_SEED + 7);
    for _ in 0..300 {
        let (a, b, from) = (
            anywhere(&mut random),
            anywhere(&mut random),
            anywhere(&mut random),
        );
        let Ok(line) = Shape::corridor(vec![a, b], 1.0) else {
            continue;
        };
        let dx = wrapped(i64::from(b.x) - i64::from(a.x)) as f64 / 1e7;
        let dy = (f64::from(b.y) - f64::from(a.y)) / 1e7;
        let at = |t: f64| -> f64 {
            Geodesic::wgs84().inverse(from.lat(), from.lon(), a.lat() + t * dy, a.lon() + t * dx)
        };
        let true_m = (0..=4000)
            .map(|step| at(f64::from(step) / 4000.0))
            .fold(f64::INFINITY, f64::min);
        let ours_m = line.distance_m(from) + 0.5;
        assert!(
            ours_m < true_m * 1.001 + 1.0,
            "{a}, {b} from {from}: {ours_m} {true_m}"
        );
        assert!(
            ours_m > true_m * 0.99 - 5_000.0,
            "{a}, {b} from {from}: {ours_m} {true_m}"
        );
    }
}

#[test]
fn cells_of_circles_and_corridors_are_what_they_are_said_to_be() {
    let mut random = Random::new(SHAPES_SEED + 8);
    let mut counts = [0; 3];
    let mut needless = 0;
    for _ in 0..3_000 {
        let center = anywhere(&mut random);
        let radius_m = 10.0 * 1e5f64.powf(share(&mut random));
        let somewhere = |random: &mut Random, most_m: f64| {
            let (lon, lat) = away(center, 360.0 * share(random), most_m * share(random));
            Point::from_degrees(lon, lat).unwrap()
        };
        let shape = if random.chance(50) {
            Shape::circle(center, radius_m).unwrap()
        } else {
            let line = (0..3)
                .map(|_| somewhere(&mut random, radius_m * 10.0))
                .collect();
            Shape::corridor(line, radius_m).unwrap()
        };
        check_written(&shape);
        let size = ((radius_m / 0.011 * 2.0 * share(&mut random)) as i64).clamp(1, 800_000_000);
        let south_west = somewhere(&mut random, radius_m * 2.0);
        let cell = Bounds {
            west: south_west.x,
            south: south_west.y,
            east: (i64::from(south_west.x) + size).min(i64::from(MAX_X)) as i32,
            north: (i64::from(south_west.y) + size).min(i64::from(MAX_Y)) as i32,
        };
        let cover = shape.cover(&cell);
        counts[cover as usize] += 1;
        let mut hits = 0;
        for _ in 0..50 {
            let point = Point {
                x: random.within(i64::from(cell.west)..i64::from(cell.east) + 1) as i32,
                y: random.within(i64::from(cell.south)..i64::from(cell.north) + 1) as i32,
            };
            let is_inside = shape.contains(point);
            assert!(
                !is_inside || shape.bounds().contains(point),
                "{shape:?} {point}"
            );
            assert!(
                cover != Cover::Outside || !is_inside,
                "{shape:?} {cell:?} {point}"
            );
            assert!(
                cover != Cover::Covers || is_inside,
                "{shape:?} {cell:?} {point}"
            );
            assert_eq!(
                is_inside,
                shape.distance_m(point) <= 0.0,
                "{shape:?} {point}"
            );
            hits += usize::from(is_inside);
        }
        let does_meet = shape.meets(&Shape::Box(cell));
        assert!(does_meet || hits == 0);
        assert!(cover != Cover::Outside || !does_meet, "{shape:?} {cell:?}");
        needless += usize::from(cover == Cover::Touches && !does_meet);
    }
    println!("outside, touched, covered: {counts:?}, touched needlessly: {needless}");
    assert!(
        counts.iter().all(|&count| count > 50) && needless < 100,
        "{counts:?} {needless}"
    );
}

#[test]
fn shapes_that_are_near_a_line_meet_its_corridor() {
    let mut random = Random::new(SHAPES_SEED + 10);
    let mut counts = [0; 2];
    for _ in 0..600 {
        let center = anywhere(&mut random);
        let size_m = 50.0 * 1e3f64.powf(share(&mut random));
        let mut somewhere = || {
            let (bearing, distance_m) = (360.0 * share(&mut random), size_m * share(&mut random));
            let (lon, lat) = away(center, bearing, distance_m);
            Point::from_degrees(lon, lat).unwrap()
        };
        let (a, b) = (somewhere(), somewhere());
        let ring = vec![somewhere(), somewhere(), somewhere()];
        let others = [
            Shape::area(vec![vec![ring.clone()]]),
            Shape::corridor(ring, size_m / 50.0),
            Shape::circle(somewhere(), size_m / 10.0),
        ];
        let width_m = size_m * share(&mut random) + 1.0;
        let Ok(corridor) = Shape::corridor(vec![a, b], width_m) else {
            continue;
        };
        let dx = wrapped(i64::from(b.x) - i64::from(a.x)) as f64;
        let dy = f64::from(b.y) - f64::from(a.y);
        let steps = (0..=100).map(|step| Point {
            x: wrapped((f64::from(a.x) + dx * f64::from(step) / 100.0) as i64) as i32,
            y: (f64::from(a.y) + dy * f64::from(step) / 100.0) as i32,
        });
        for other in others.into_iter().flatten() {
            let nearest_m = steps
                .clone()
                .map(|step| other.distance_m(step))
                .fold(f64::MAX, f64::min);
            let does_meet = corridor.meets(&other);
            assert_eq!(does_meet, other.meets(&corridor));
            // Between two steps the line may be nearer by half of one.
            let least_m = nearest_m - distance_m(a, b) / 200.0 - 0.05;
            let what = format!("{corridor:?} {other:?} {nearest_m}");
            assert!(does_meet || nearest_m > width_m / 2.0 - 0.05, "{what}");
            assert!(!does_meet || least_m < width_m / 2.0 * 1.001, "{what}");
            counts[usize::from(does_meet)] += 1;
        }
    }
    assert!(counts.iter().all(|&count| count > 200), "{counts:?}");
}
