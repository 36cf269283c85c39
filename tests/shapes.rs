//! Areas against the geometry of others: `geo`, whose predicates are exact on whole numbers.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "random places are far inside their ranges"
)]

mod support;

use geo::coordinate_position::{CoordPos, CoordinatePosition};
use geo::line_intersection::{LineIntersection, line_intersection};
use geo::{Contains, Intersects, Relate};
use redis_iot::engine::geo::point::{MAX_X, MAX_Y};
use redis_iot::engine::geo::{Bounds, Cover, Point, Shape};
use support::places::{anywhere, at, check_written, near, star, wrapped};
use support::seeds::{Random, SHAPES_SEED};
use theirs::{coord, line, multi, planar, rect};

type Rings = Vec<Vec<Point>>;

/// Ours as theirs, east of an origin.
mod theirs {
    use super::{Point, Rings, wrapped};

    pub(super) fn coord(point: Point, origin: i64) -> geo::Coord<f64> {
        let x = wrapped(i64::from(point.x) - origin);
        geo::coord! { x: x as f64, y: f64::from(point.y) }
    }

    pub(super) fn line(a: Point, b: Point, origin: i64) -> geo::Line<f64> {
        geo::Line::new(coord(a, origin), coord(b, origin))
    }

    pub(super) fn planar(rings: &[Vec<Point>], origin: i64) -> geo::Polygon<f64> {
        let mut strings = rings.iter().map(|ring| {
            let coords = ring.iter().map(|&point| coord(point, origin));
            geo::LineString::new(coords.collect())
        });
        let outer = strings.next().unwrap();
        geo::Polygon::new(outer, strings.collect())
    }

    pub(super) fn multi(polygons: &[Rings], origin: i64) -> geo::MultiPolygon<f64> {
        geo::MultiPolygon::new(polygons.iter().map(|rings| planar(rings, origin)).collect())
    }

    pub(super) fn rect(a: Point, b: Point, origin: i64) -> geo::Polygon<f64> {
        geo::Rect::new(coord(a, origin), coord(b, origin)).to_polygon()
    }
}

/// Places that tell most: in and around a box, vertices, middles of edges and what is beside them.
fn places(random: &mut Random, polygons: &[Rings], origin: i64, most: i64) -> Vec<Point> {
    let mut places: Vec<_> = (0..60)
        .map(|_| {
            near(
                origin,
                random.within(-most..most),
                random.within(-most..most),
            )
        })
        .collect();
    for ring in polygons.iter().flatten() {
        for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
            let dx = wrapped(i64::from(b.x) - i64::from(a.x));
            let middle = Point {
                x: wrapped(i64::from(a.x) + dx / 2) as i32,
                y: i32::midpoint(a.y, b.y),
            };
            let level = Point {
                x: middle.x,
                y: a.y,
            };
            let beside = Point {
                y: middle.y + 1,
                ..middle
            };
            places.extend([*a, middle, level, beside]);
        }
    }
    places
}

#[test]
fn areas_contain_what_geo_says() {
    let mut random = Random::new(SHAPES_SEED);
    for round in 0..300 {
        let origin = [0, 133_770_000, i64::from(MAX_X), 1_799_990_000][round % 4];
        let most = [1_000, 100_000, 300_000_000][round % 3];
        let len = [3, 8, 36, 63, 64, 65, 200, 1000][round % 8];
        let mut rings = vec![star(
            &mut random,
            origin,
            (most as f64 * 0.5, most as f64),
            len,
        )];
        if random.chance(60) {
            let hole = (most as f64 * 0.1, most as f64 * 0.3);
            rings.push(star(&mut random, origin, hole, len));
        }
        let mut polygons = vec![rings];
        if random.chance(30) {
            // An island in the hole, or what overlaps where there is none.
            let island = star(&mut random, origin, (1.0, most as f64 * 0.05), 5);
            polygons.push(vec![island]);
        }
        let has_overlap = polygons.len() == 2 && polygons[0].len() == 1;
        let shape = Shape::area(polygons.clone());
        let Ok(shape) = shape else {
            // Small stars may meet themselves when they are rounded, triangles cross their hole.
            assert!(has_overlap || most == 1_000 || len == 3, "{shape:?}");
            continue;
        };
        assert!(!has_overlap || len == 3);
        let theirs = multi(&polygons, origin);
        for place in places(&mut random, &polygons, origin, most) {
            let position = theirs.coordinate_position(&coord(place, origin));
            assert_eq!(
                shape.contains(place),
                position != CoordPos::Outside,
                "{place} in {polygons:?}"
            );
            assert!(shape.bounds().contains(place) || !shape.contains(place));
        }
        check_written(&shape);
    }
}

#[test]
fn areas_meet_cells_segments_and_areas_as_geo_says() {
    let mut random = Random::new(SHAPES_SEED + 1);
    for round in 0..200 {
        let origin = [0, i64::from(MAX_X), -1_799_000_000][round % 3];
        let most = [40, 100_000, 400_000_000][round % 3];
        let len = [3, 8, 36, 80, 300][round % 5];
        let mut rings = vec![star(
            &mut random,
            origin,
            (most as f64 * 0.6, most as f64),
            len,
        )];
        if random.chance(50) {
            rings.push(star(
                &mut random,
                origin,
                (most as f64 * 0.2, most as f64 * 0.4),
                9,
            ));
        }
        let Ok(shape) = Shape::area(vec![rings.clone()]) else {
            continue;
        };
        let theirs = planar(&rings, origin);
        for _ in 0..100 {
            check_cells(&mut random, (&shape, &theirs), origin, most);
            check_areas(&mut random, (&shape, &theirs), origin, most);
        }
    }
}

type Both<'a> = (&'a Shape, &'a geo::Polygon<f64>);

#[track_caller]
fn check_cells(random: &mut Random, (shape, theirs): Both, origin: i64, most: i64) {
    let mut any = || {
        near(
            origin,
            random.within(-most..most),
            random.within(-most..most),
        )
    };
    let (a, b) = (any(), any());
    let segment = line(a, b, origin);
    assert_eq!(
        shape.meets_segment(a, b),
        theirs.intersects(&segment),
        "{a}, {b}: {shape:?}"
    );
    let size = random.within(1..most);
    let south_west = near(
        origin,
        random.within(-most..most),
        random.within(-most..most),
    );
    let Some(north_east) = Point::from_units(
        wrapped(i64::from(south_west.x) + size) as i32,
        south_west.y + size as i32,
    ) else {
        return;
    };
    let cell = Shape::bounding_box(south_west, north_east).unwrap();
    let their_cell = rect(south_west, north_east, origin);
    let does_meet = theirs.intersects(&their_cell);
    assert_eq!(shape.meets(&cell), does_meet, "{cell:?} {shape:?}");
    assert_eq!(cell.meets(shape), does_meet);
    if south_west.x <= north_east.x {
        let cover = shape.cover(&cell.bounds());
        assert_eq!(cover != Cover::Outside, does_meet);
        // What touches the border from inside is said to be touched.
        assert!(cover != Cover::Covers || theirs.contains(&their_cell));
        let is_inside = theirs.relate(&their_cell).is_contains_properly();
        assert!(!is_inside || cover == Cover::Covers, "{cell:?} {shape:?}");
    }
}

#[track_caller]
fn check_areas(random: &mut Random, (shape, theirs): Both, origin: i64, most: i64) {
    let other_origin = origin + random.within(-2 * most..2 * most);
    let other = star(random, other_origin, (most as f64 * 0.1, most as f64), 7);
    if let Ok(other_shape) = Shape::area(vec![vec![other.clone()]]) {
        let does_meet = theirs.intersects(&planar(std::slice::from_ref(&other), origin));
        assert_eq!(shape.meets(&other_shape), does_meet, "{shape:?} {other:?}");
        assert_eq!(other_shape.meets(shape), does_meet);
    }
}

/// A ring on a small lattice, where everything touches everything.
fn lattice(random: &mut Random) -> Vec<Point> {
    let len = 3 + random.index(4);
    let corner = |random: &mut Random| near(0, random.within(0..6), random.within(0..6));
    (0..len).map(|_| corner(random)).collect()
}

/// Whether no two edges of a ring meet, but for neighbours at their common end.
fn is_simple(ring: &[Point]) -> bool {
    let len = ring.len();
    let edge = |at: usize| line(ring[at % len], ring[(at + 1) % len], 0);
    (0..len).all(|first| {
        let is_degenerate = ring[first] == ring[(first + 1) % len];
        !is_degenerate
            && (first + 1..len).all(|second| {
                let (a, b) = (edge(first), edge(second));
                let common = if second == first + 1 {
                    a.end
                } else if (second + 1) % len == first {
                    a.start
                } else {
                    return !a.intersects(&b);
                };
                matches!(line_intersection(a, b),
                    Some(LineIntersection::SinglePoint { intersection, .. }) if intersection == common)
            })
    })
}

#[test]
fn what_is_no_polygon_is_refused() {
    let mut random = Random::new(SHAPES_SEED + 2);
    let mut simple = Vec::new();
    for _ in 0..20_000 {
        let mut ring = lattice(&mut random);
        ring.dedup();
        if ring.first() == ring.last() {
            continue;
        }
        let shape = Shape::area(vec![vec![ring.clone()]]);
        assert_eq!(shape.is_ok(), is_simple(&ring), "{ring:?} {shape:?}");
        if shape.is_ok() {
            simple.push(ring);
        }
    }
    assert!(simple.len() > 1000);
    let (mut accepted, mut holes) = (0, 0);
    for _ in 0..40_000 {
        let any = |random: &mut Random| simple[random.index(simple.len())].clone();
        let (a, b) = (any(&mut random), any(&mut random));
        let relation =
            planar(std::slice::from_ref(&a), 0).relate(&planar(std::slice::from_ref(&b), 0));
        let (inner, border) = dimensions(&relation);
        let shape = Shape::area(vec![vec![a.clone()], vec![b.clone()]]);
        assert_eq!(shape.is_ok(), !inner, "{a:?} {b:?} {shape:?}");
        accepted += usize::from(shape.is_ok());
        let shape = Shape::area(vec![vec![a.clone(), b.clone()]]);
        let is_hole = relation.is_covers() && border < geo::dimensions::Dimensions::OneDimensional;
        assert_eq!(shape.is_ok(), is_hole, "{a:?} {b:?} {shape:?}");
        holes += usize::from(shape.is_ok());
    }
    assert!(accepted > 1000 && holes > 10, "{accepted} {holes}");
}

/// Whether the insides meet, and what the borders have in common.
fn dimensions(relation: &geo::relate::IntersectionMatrix) -> (bool, geo::dimensions::Dimensions) {
    let inner = relation.get(CoordPos::Inside, CoordPos::Inside);
    let border = relation.get(CoordPos::OnBoundary, CoordPos::OnBoundary);
    (inner != geo::dimensions::Dimensions::Empty, border)
}

#[test]
fn a_ring_around_a_pole_holds_it() {
    let mut random = Random::new(SHAPES_SEED + 3);
    for round in 0..200 {
        let sign = if round % 2 == 0 { 1 } else { -1 };
        let len = [4, 20, 100][round % 3];
        let start = random.within(-1_799_999_999..1_800_000_000);
        // Longitudes that go on, some of them back a little, and latitudes around 70 degrees.
        let mut ring: Vec<_> = (0..len)
            .map(|corner| {
                let back = random.within(0..3_600_000_000 / len / 2);
                let x = start + 3_600_000_000 * corner / len + back;
                near(0, x, sign * random.within(650_000_000..750_000_000))
            })
            .collect();
        let first = i64::from(ring[0].x);
        let unrolled: Vec<_> = (0..=ring.len())
            .map(|corner| {
                let vertex = ring[corner % ring.len()];
                let x = (i64::from(vertex.x) - first).rem_euclid(3_600_000_000);
                let x = if corner == ring.len() {
                    3_600_000_000
                } else {
                    x
                };
                geo::coord! { x: x as f64, y: f64::from(vertex.y) }
            })
            .collect();
        let pole = f64::from(MAX_Y) * f64::from(sign as i32);
        let end = [3.6e9, 0.0].map(|x| geo::coord! { x: x, y: pole });
        let closed = unrolled.into_iter().chain(end).collect();
        let theirs = geo::Polygon::new(geo::LineString::new(closed), Vec::new());
        if random.chance(50) {
            ring.reverse();
        }
        let shape = Shape::area(vec![vec![ring.clone()]]).unwrap();
        for place in places(&mut random, &[vec![ring.clone()]], 0, i64::from(MAX_Y)) {
            let x = (i64::from(place.x) - first).rem_euclid(3_600_000_000);
            let there = geo::coord! { x: x as f64, y: f64::from(place.y) };
            // The cut of theirs is a border that ours does not have.
            let is_on_cut = x == 0;
            let is_inside = theirs.coordinate_position(&there) != CoordPos::Outside;
            assert!(
                is_on_cut || shape.contains(place) == is_inside,
                "{place} in {ring:?}"
            );
            assert!(shape.bounds().contains(place) || !shape.contains(place));
        }
        let poles = [0, 77].map(|x| {
            shape.contains(Point {
                x,
                y: sign as i32 * MAX_Y,
            })
        });
        assert_eq!(poles, [true, true]);
        assert!(!shape.contains(Point {
            x: 0,
            y: -(sign as i32) * MAX_Y
        }));
        check_written(&shape);
        let inner = Point {
            x: 5,
            y: sign as i32 * 850_000_000,
        };
        let outer = Point {
            x: -MAX_X,
            y: sign as i32 * 600_000_000,
        };
        assert!(shape.meets_segment(inner, outer) && !shape.meets_segment(outer, outer));
        assert_eq!(shape.distance_m(inner), 0.0);
        assert!(shape.distance_m(outer) > 500_000.0);
    }
}

#[test]
fn a_hole_around_a_pole_leaves_a_band() {
    let parallel = |lat: f64, step: usize| -> Vec<Point> {
        (-180..180)
            .step_by(step)
            .map(|lon| at(f64::from(lon), lat))
            .collect()
    };
    let shape = Shape::area(vec![vec![parallel(60.0, 60), parallel(80.0, 45)]]).unwrap();
    for lon in [-180.0, -179.0, -13.2, 0.0, 45.0, 100.5, 180.0] {
        let inside = [59.9, 60.0, 70.0, 80.0, 80.1, 90.0].map(|lat| shape.contains(at(lon, lat)));
        assert_eq!(inside, [false, true, true, true, false, false], "{lon}");
    }
    check_written(&shape);
    let swapped = Shape::area(vec![vec![parallel(80.0, 60), parallel(60.0, 45)]]);
    assert!(swapped.is_err());
}

#[test]
fn the_world_and_bands_around_it_are_areas() {
    let band = |south: f64, north: f64| {
        let ring = [
            (-180.0, south),
            (180.0, south),
            (180.0, north),
            (-180.0, north),
        ];
        Shape::area(vec![vec![ring.map(|(lon, lat)| at(lon, lat)).to_vec()]]).unwrap()
    };
    let world = band(-90.0, 90.0);
    let tropics = band(-23.0, 23.0);
    for (lon, lat) in [(0.0, 0.0), (180.0, 90.0), (-180.0, -90.0), (179.9, -89.0)] {
        assert!(world.contains(at(lon, lat)));
        assert_eq!(tropics.contains(at(lon, lat)), lat == 0.0);
    }
    check_written(&world);
    check_written(&tropics);
    assert_eq!(
        world.cover(&Bounds {
            west: 0,
            south: 0,
            east: 10,
            north: 10
        }),
        Cover::Covers
    );
}

#[test]
fn polygons_on_all_meridians_are_one_area() {
    let wide = |west: f64, lat: f64| {
        let corners = [
            (0.0, 0.0),
            (80.0, 0.0),
            (160.0, 0.0),
            (160.0, 5.0),
            (0.0, 5.0),
        ];
        let corner = |(dx, dy): (f64, f64)| {
            let x = wrapped(((west + dx) * 1e7) as i64);
            Point {
                x: x as i32,
                y: ((lat + dy) * 1e7) as i32,
            }
        };
        vec![corners.map(corner).to_vec()]
    };
    let polygons = vec![wide(-170.0, 0.0), wide(-20.0, 10.0), wide(130.0, 20.0)];
    let shape = Shape::area(polygons).unwrap();
    for (lon, lat, is_inside) in [
        (-100.0, 2.0, true),
        (-100.0, 12.0, false),
        (100.0, 12.0, true),
        (100.0, 22.0, false),
        (-180.0, 22.0, true),
        (180.0, 22.0, true),
        (-80.0, 22.0, true),
    ] {
        assert_eq!(shape.contains(at(lon, lat)), is_inside, "{lon} {lat}");
    }
    check_written(&shape);
}

#[test]
fn whatever_is_given_or_stored_is_a_shape_or_refused() {
    let mut random = Random::new(SHAPES_SEED + 9);
    let mut kept: Vec<Shape> = Vec::new();
    let mut accepted = 0;
    for _ in 0..30_000 {
        // Rings over half the earth, mostly of three corners, so that many are sound.
        let polygons = (0..=random.index(2)).map(|_| {
            let rings = (0..=random.index(2)).map(|_| {
                let len = 3 + random.index(3);
                (0..len).map(|_| anywhere(&mut random)).collect()
            });
            rings.collect()
        });
        let mut stored = Shape::area(polygons.collect());
        if let Some(shape) = kept.get(random.index(kept.len() + 1)) {
            let mut bytes = Vec::new();
            shape.write(&mut bytes);
            let place = random.index(bytes.len());
            bytes[place] = random.bits() as u8;
            stored = Shape::read(&mut &bytes[..]);
        }
        let Ok(shape) = stored else { continue };
        accepted += 1;
        check_written(&shape);
        let (a, b) = (anywhere(&mut random), anywhere(&mut random));
        let is_inside = shape.contains(a);
        assert_eq!(is_inside, shape.distance_m(a) == 0.0, "{shape:?} {a}");
        assert!(!is_inside || (shape.meets_segment(a, b) && shape.bounds().contains(a)));
        let cell = Bounds {
            west: a.x.min(b.x),
            south: a.y.min(b.y),
            east: a.x.max(b.x),
            north: a.y.max(b.y),
        };
        let cover = shape.cover(&cell);
        assert!(!is_inside || cover != Cover::Outside, "{shape:?} {cell:?}");
        assert!(
            is_inside || cover != Cover::Covers,
            "{shape:?} {cell:?} {a}"
        );
        assert!(shape.meets(&shape));
        if let Some(other) = kept.first() {
            assert_eq!(
                shape.meets(other),
                other.meets(&shape),
                "{shape:?} {other:?}"
            );
        }
        if kept.len() < 100 {
            kept.push(shape);
        }
    }
    assert!(accepted > 3_000, "{accepted}");
}
