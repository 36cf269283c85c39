//! Places of devices, searches of them, and what a scan of all finds.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use redis_iot::engine::fleet::{
    Condition, Cursor, Fleet, Found, Near, Operator, Position, Size, Value, Wanted,
};
use redis_iot::engine::geo::{Bounds, Point, Shape, distance_m, point};
use redis_iot::engine::index::Glob;
use redis_iot::engine::query::Unwatched;

use super::seeds::Random;

/// All that a search may find and look at.
const ALL: Size = Size {
    limit: usize::MAX,
    budget: usize::MAX,
};

/// Where devices are, and where searches begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Region {
    World,
    City,
    Spot,
    NorthPole,
    SouthPole,
    Antimeridian,
}

pub(crate) const REGIONS: [Region; 6] = [
    Region::World,
    Region::City,
    Region::Spot,
    Region::NorthPole,
    Region::SouthPole,
    Region::Antimeridian,
];

pub(crate) fn units(random: &mut Random, from: i64, to: i64) -> i32 {
    i32::try_from(random.within(from..to + 1)).unwrap()
}

pub(crate) fn place(random: &mut Random, region: Region) -> Point {
    let (max_x, max_y) = (i64::from(point::MAX_X), i64::from(point::MAX_Y));
    let wide = 200_000;
    match region {
        Region::World => Point {
            x: units(random, -max_x, max_x),
            y: units(random, -max_y, max_y),
        },
        Region::City => Point {
            x: 134_000_000 + units(random, -wide, wide),
            y: 525_000_000 + units(random, -wide, wide),
        },
        Region::Spot => Point { x: 5, y: -7 },
        Region::NorthPole => Point {
            x: units(random, -max_x, max_x),
            y: units(random, max_y - wide, max_y),
        },
        Region::SouthPole => Point {
            x: units(random, -max_x, max_x),
            y: if random.chance(20) {
                -point::MAX_Y
            } else {
                units(random, -max_y, -max_y + 10 * wide)
            },
        },
        Region::Antimeridian => {
            let far = if random.chance(20) { 0 } else { wide };
            let x = units(random, max_x - far, max_x);
            Point {
                x: if random.chance(50) { x } else { -x },
                y: units(random, -wide, wide),
            }
        }
    }
}

pub(crate) fn anywhere(random: &mut Random) -> Point {
    let region = REGIONS[random.index(REGIONS.len())];
    place(random, region)
}

pub(crate) fn position(time_ms: i64, point: Point) -> Position {
    Position { time_ms, point }
}

fn shape(random: &mut Random) -> Shape {
    let center = anywhere(random);
    let reach = [300, 30_000, 3_000_000, 300_000_000][random.index(4)];
    let around = |random: &mut Random| {
        let turned = |x: i32| {
            let (max, x) = (i64::from(point::MAX_X), i64::from(x));
            i32::try_from((x + 3 * max).rem_euclid(2 * max) - max).unwrap()
        };
        let x = turned(center.x.saturating_add(units(random, -reach, reach)));
        let y = center.y + units(random, -reach, reach);
        Point {
            x,
            y: y.clamp(-point::MAX_Y, point::MAX_Y),
        }
    };
    match random.index(5) {
        0 => {
            let radius_m = [5.0, 500.0, 50_000.0, 5_000_000.0][random.index(4)];
            Shape::circle(center, radius_m).unwrap()
        }
        1 => {
            let (one, other) = (around(random), around(random));
            Shape::Box(Bounds {
                west: one.x,
                south: one.y.min(other.y),
                east: other.x,
                north: one.y.max(other.y),
            })
        }
        2 => {
            let ring = vec![around(random), around(random), around(random)];
            Shape::area(vec![vec![ring]]).unwrap_or(Shape::Box(Bounds::WORLD))
        }
        3 => {
            // A line that is slow to compare with, as it has many points.
            let width_m = [5.0, 900.0, 50_000.0][random.index(3)];
            let points = 100 + random.index(200);
            let line = (0..points).map(|_| around(random)).collect();
            Shape::corridor(line, width_m).unwrap()
        }
        _ => {
            let line = vec![around(random), around(random)];
            Shape::corridor(line, 900.0).unwrap_or(Shape::Box(Bounds::WORLD))
        }
    }
}

/// All numbers of devices in a shape, in order, put together from pages.
fn in_pages(fleet: &Fleet, shape: &Shape, wanted: &Wanted<'_>, size: Size) -> Vec<u32> {
    let (mut found, mut from) = (Vec::new(), Cursor::default());
    loop {
        let page = fleet.within(shape, wanted, (size, from), &Unwatched);
        let copy = fleet.candidates_within(shape, wanted, (size, from), false);
        let of_copy = copy.within(shape, wanted, (size, from), &Unwatched);
        assert_eq!(page, of_copy, "{shape:?} {wanted:?} {size:?} {from:?}");
        let page = page.unwrap();
        assert!(page.devices.len() <= size.limit);
        found.extend(page.devices);
        match page.next {
            Some(next) => {
                assert!(next > from || from == Cursor::default());
                from = next;
            }
            None => break,
        }
    }
    let len = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), len, "no device comes twice");
    found
}

#[track_caller]
pub(crate) fn check_searches(fleet: &Fleet, random: &mut Random) {
    let slow = Condition::new(b"speed", Operator::Less, b"3").unwrap();
    let red = Condition::new(b"color", Operator::Equal, b"red").unwrap();
    let conditions = [slow, red];
    let glob = Glob::new(b"*[1-7]").unwrap();
    let wanted = Wanted {
        conditions: &conditions[..random.index(3)],
        glob: random.chance(30).then_some(&glob),
        except: random.chance(30).then_some(3),
    };
    let takes = |number: u32| {
        let device = fleet.device(number).unwrap();
        let is_slow = device.readings().speed.is_some_and(|speed| speed < 3.0);
        let is_red = device.fields().get(b"color") == Some(Value::Text(b"red"));
        let holds = [is_slow, is_red];
        wanted.except != Some(number)
            && holds[..wanted.conditions.len()].iter().all(|one| *one)
            && (wanted.glob.is_none() || matches!(device.id().last(), Some(b'1'..=b'7')))
    };
    let near = Near {
        center: anywhere(random),
        radius_m: [50.0, 5000.0, 500_000.0, f64::INFINITY][random.index(4)],
        count: [1, 3, 10, 200][random.index(4)],
    };
    let measured = fleet.iter().filter(|(number, _)| takes(*number));
    let measured = measured.map(|(number, one)| (distance_m(near.center, one.point()), number));
    let mut naive: Vec<_> = measured.filter(|one| one.0 <= near.radius_m).collect();
    naive.sort_by(|a, b| a.partial_cmp(b).unwrap());
    naive.truncate(near.count);
    let found = fleet.nearest(&near, &wanted, &Unwatched).unwrap();
    let pairs = |found: &[Found]| -> Vec<(f64, u32)> {
        found
            .iter()
            .map(|one| (one.distance_m, one.device))
            .collect()
    };
    assert_eq!(pairs(&found), naive, "{near:?} {wanted:?}");
    let copy = fleet.candidates_near(&near, &wanted, false);
    let of_copy = copy.nearest(&near, &wanted, &Unwatched).unwrap();
    assert_eq!(pairs(&of_copy), naive, "{near:?} {wanted:?}");
    for (known, found) in copy
        .known(found.iter().map(|one| one.device))
        .iter()
        .zip(&found)
    {
        let device = fleet.device(found.device).unwrap();
        assert_eq!((known.id, known.position), (device.id(), device.position()));
    }

    let shape = shape(random);
    let inside = fleet
        .iter()
        .filter(|(number, one)| takes(*number) && shape.contains(one.point()));
    let inside: Vec<u32> = inside.map(|(number, _)| number).collect();
    let size = Size {
        limit: 1 + random.index(100),
        budget: 1 + random.index(300),
    };
    for size in [ALL, size] {
        assert_eq!(in_pages(fleet, &shape, &wanted, size), inside, "{shape:?}");
    }
}
