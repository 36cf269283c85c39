//! Memory and speed of a fleet of 1,000,000 vehicles in 300 cities.
//!
//! `cargo bench --bench fleet`. The cities are of very different sizes (Zipf, 0.7), and the vehicles of
//! one lie around its middle (normally, 3 to 15 km); a step is 20 to 300 m. Bytes are shown as the
//! fleet counts them and as the process has grown; times are means over the whole run.
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#![allow(clippy::cast_precision_loss, reason = "figures of three digits")]

use std::f64::consts::TAU;
use std::fs;
use std::hint::black_box;
use std::time::Instant;

use redis_iot::engine::TimeRange;
use redis_iot::engine::fleet::{
    Condition, Cursor, Fix, Fleet, Near, Operator, Options, Position, Readings, Size, Wanted,
};
use redis_iot::engine::geo::{Bounds, Point, Shape};
use redis_iot::engine::persist::{Buffer, FLEET_VERSION, read_fleet, write_fleet};
use redis_iot::engine::query::Unwatched;

/// Vehicles of the large fleet.
const VEHICLES: usize = 1_000_000;
const CITIES: usize = 300;
const QUERIES: usize = 20_000;

/// Numbers that look random, the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.share()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.between(1e-12, 1.0).ln()).sqrt() * (TAU * self.share()).cos()
    }
}

struct City {
    lon: f64,
    lat: f64,
    sigma_m: f64,
    /// Share of the vehicles in this and all before.
    until: f64,
}

struct World {
    dice: Dice,
    cities: Vec<City>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut until = 0.0;
        let cities = (1..=CITIES).map(|rank| {
            until += (rank as f64).powf(-0.7);
            City {
                lon: dice.between(-179.0, 179.0),
                lat: dice.between(-55.0, 65.0),
                sigma_m: dice.between(3000.0, 15_000.0),
                until,
            }
        });
        let mut cities: Vec<City> = cities.collect();
        for city in &mut cities {
            city.until /= until;
        }
        Self { dice, cities }
    }

    fn place(&mut self) -> Point {
        let share = self.dice.share();
        let at = self.cities.partition_point(|city| city.until < share);
        let City {
            lon, lat, sigma_m, ..
        } = self.cities[at.min(CITIES - 1)];
        let (east_m, north_m) = (self.dice.normal() * sigma_m, self.dice.normal() * sigma_m);
        moved(lon, lat, east_m, north_m)
    }

    /// A step from a place.
    fn step(&mut self, from: Point) -> Point {
        let (angle, step_m) = (self.dice.between(0.0, TAU), self.dice.between(20.0, 300.0));
        moved(
            from.lon(),
            from.lat(),
            step_m * angle.sin(),
            step_m * angle.cos(),
        )
    }
}

fn moved(lon: f64, lat: f64, east_m: f64, north_m: f64) -> Point {
    let degree_m = 111_320.0;
    let lat_now = (lat + north_m / degree_m).clamp(-89.0, 89.0);
    let lon_now = (lon + east_m / (degree_m * lat.to_radians().cos())).clamp(-180.0, 180.0);
    Point::from_degrees(lon_now, lat_now).unwrap()
}

/// Memory of this process, in bytes.
fn resident() -> f64 {
    const PAGE: f64 = 4096.0;
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<f64>().ok());
    pages.unwrap_or(f64::NAN) * PAGE
}

/// Times `runs` calls and tells the mean.
fn timed(what: &str, runs: usize, mut run: impl FnMut(usize) -> usize) {
    let start = Instant::now();
    let mut found = 0;
    for at in 0..runs {
        found += black_box(run(at));
    }
    let each = start.elapsed().as_nanos() as f64 / runs as f64;
    println!(
        "{what:52} {each:12.0} ns {:10.2} found",
        found as f64 / runs as f64
    );
}

fn position(time_ms: i64, point: Point) -> Position {
    Position { time_ms, point }
}

fn ids() -> Vec<String> {
    (0..VEHICLES)
        .map(|one| format!("vehicle:{one:07}"))
        .collect()
}

fn filled(world: &mut World, ids: &[String]) -> (Fleet, Vec<Point>) {
    let places: Vec<Point> = ids.iter().map(|_| world.place()).collect();
    let before = resident();
    let mut fleet = Fleet::new(Options::default());
    let mut slowest = 0;
    let start = Instant::now();
    for (id, &point) in ids.iter().zip(&places) {
        let start = Instant::now();
        fleet
            .track(id.as_bytes(), &Fix::at(position(0, point)), 0)
            .unwrap();
        slowest = slowest.max(start.elapsed().as_micros());
    }
    let each = start.elapsed().as_nanos() / VEHICLES as u128;
    let counted = fleet.heap_bytes() as f64 / VEHICLES as f64;
    let grown = (resident() - before) / VEHICLES as f64;
    println!(
        "enter: {each} ns, {slowest} us at most; {counted:.1} bytes each as counted, {grown:.1} grown"
    );
    (fleet, places)
}

fn updates(world: &mut World, fleet: &mut Fleet, ids: &[String], places: &mut [Point]) {
    let order: Vec<usize> = (0..VEHICLES)
        .map(|_| usize::try_from(world.dice.next() % VEHICLES as u64).unwrap())
        .collect();
    for round in 1..=3 {
        let steps: Vec<(usize, Point)> = order
            .iter()
            .map(|&at| {
                places[at] = world.step(places[at]);
                (at, places[at])
            })
            .collect();
        timed("update of a random vehicle", VEHICLES, |at| {
            let (vehicle, point) = steps[at];
            let fix = Fix::at(position(round, point));
            usize::from(fleet.track(ids[vehicle].as_bytes(), &fix, 0).is_ok())
        });
    }
    timed("the same without a move", VEHICLES, |at| {
        let vehicle = order[at];
        let fix = Fix::at(position(4, places[vehicle]));
        usize::from(fleet.track(ids[vehicle].as_bytes(), &fix, 0).is_ok())
    });
    let steps: Vec<Point> = (0..VEHICLES).map(|at| world.step(places[at])).collect();
    timed("update of all vehicles, in order", VEHICLES, |at| {
        let fix = Fix::at(position(5, steps[at]));
        usize::from(fleet.track(ids[at].as_bytes(), &fix, 0).is_ok())
    });
    places.copy_from_slice(&steps);
    timed("the same without a move", VEHICLES, |at| {
        let fix = Fix::at(position(6, steps[at]));
        usize::from(fleet.track(ids[at].as_bytes(), &fix, 0).is_ok())
    });
    let counted = fleet.heap_bytes() as f64 / VEHICLES as f64;
    println!("{counted:.1} bytes each as counted after the updates");
}

fn nearest(fleet: &Fleet, places: &[Point]) {
    let any = Wanted::default();
    for radius_m in [200.0, 1000.0, 5000.0, f64::INFINITY] {
        let what = format!("nearest 10 within {radius_m} m");
        timed(&what, QUERIES, |at| {
            let near = Near {
                center: places[at * 37 % VEHICLES],
                radius_m,
                count: 10,
            };
            fleet.nearest(&near, &any, &Unwatched).unwrap().len()
        });
    }
    timed("nearest 10 of a place anywhere", 2000, |at| {
        let center = Point {
            x: i32::try_from((at * 7_919_337) % 1_800_000_000).unwrap(),
            y: i32::try_from((at * 3_919_337) % 800_000_000).unwrap(),
        };
        let near = Near {
            center,
            radius_m: f64::INFINITY,
            count: 10,
        };
        fleet.nearest(&near, &any, &Unwatched).unwrap().len()
    });
    let conditions = [Condition::new(b"speed", Operator::Greater, b"5").unwrap()];
    let wanted = Wanted {
        conditions: &conditions,
        ..any
    };
    timed("nearest 10, where none holds", 3, |at| {
        let near = Near {
            center: places[at],
            radius_m: f64::INFINITY,
            count: 10,
        };
        fleet.nearest(&near, &wanted, &Unwatched).unwrap().len()
    });
}

fn within(fleet: &Fleet, places: &[Point]) {
    let any = Wanted::default();
    let all = Size {
        limit: usize::MAX,
        budget: usize::MAX,
    };
    for radius_m in [200.0, 1000.0, 5000.0, 20_000.0] {
        let what = format!("all within {radius_m} m");
        timed(&what, QUERIES / 20, |at| {
            let shape = Shape::circle(places[at * 37 % VEHICLES], radius_m).unwrap();
            fleet
                .within(&shape, &any, (all, Cursor::default()), &Unwatched)
                .unwrap()
                .devices
                .len()
        });
    }
    let world = Shape::Box(Bounds::WORLD);
    let copy = |wanted: &Wanted<'_>| {
        let page = (all, Cursor::default());
        fleet.candidates_within(&world, wanted, page, false).len()
    };
    timed("candidates of the world", 3, |_| copy(&any));
    let conditions = [Condition::new(b"speed", Operator::Greater, b"5").unwrap()];
    let wanted = Wanted {
        conditions: &conditions,
        ..any
    };
    timed("candidates of the world, with a condition", 3, |_| {
        copy(&wanted)
    });
    for count in [10, 1000, 100_000] {
        let near = |at: usize| Near {
            center: places[at * 37 % VEHICLES],
            radius_m: f64::INFINITY,
            count,
        };
        timed(&format!("nearest {count}"), 20, |at| {
            fleet.nearest(&near(at), &any, &Unwatched).unwrap().len()
        });
        timed("candidates for these", 20, |at| {
            fleet.candidates_near(&near(at), &any, false).len()
        });
    }
    timed("clone", 2, |_| fleet.clone().len());
}

fn stored(fleet: &Fleet) {
    let mut buffer = Buffer::default();
    timed("write", 1, |_| {
        write_fleet(fleet, &mut buffer, &mut |_, _| {});
        fleet.len()
    });
    println!(
        "{:.1} bytes each as stored",
        buffer.bytes.len() as f64 / VEHICLES as f64
    );
    timed("read", 1, |_| {
        let fleet = read_fleet(&mut &buffer.bytes[..], FLEET_VERSION, &mut |_, _| Ok(()));
        fleet.unwrap().len()
    });
}

/// A trail of a drive: a fix each second or ten, turns, and the noise of GPS.
fn trail(seconds: i64) {
    const LEN: u32 = 1000;
    let mut dice = Dice(9);
    let mut fleet = Fleet::new(Options {
        trail_len: LEN,
        ..Options::default()
    });
    let bare = fleet.heap_bytes();
    let (mut lon, mut lat, mut heading, mut speed) = (13.4, 52.5, 0.0f64, 10.0);
    for step in 0..i64::from(LEN) {
        heading += dice.normal() * 0.1;
        speed = (speed + dice.normal()).clamp(0.0, 25.0);
        let way_m = speed * seconds as f64;
        let point = moved(lon, lat, way_m * heading.sin(), way_m * heading.cos());
        (lon, lat) = (point.lon(), point.lat());
        let seen = moved(lon, lat, dice.normal() * 2.0, dice.normal() * 2.0);
        let time_ms = step * 1000 * seconds;
        fleet
            .track(b"car", &Fix::at(position(time_ms, seen)), 0)
            .unwrap();
    }
    let bytes = (fleet.heap_bytes() - bare) as f64 / f64::from(LEN);
    println!("a fix every {seconds} s: {bytes:.2} bytes a place of a trail, all included");
    timed("read a trail of 1000", 1000, |_| {
        fleet.trail(0, TimeRange::ALL).len()
    });
    timed("a late fix into it", 1000, |at| {
        let time_ms = 1000 * seconds * i64::try_from(at).unwrap() + 1;
        let fix = Fix::at(position(
            time_ms,
            Point {
                x: 134_000_000,
                y: 525_000_000,
            },
        ));
        usize::from(fleet.track(b"car", &fix, 0).is_ok())
    });
}

/// Updates with speed, heading and a field, a trail of 20 and an expiry.
fn rich(world: &mut World, ids: &[String], places: &mut [Point]) {
    let mut fleet = Fleet::new(Options {
        trail_len: 20,
        expire_ms: 60_000,
        min_distance_m: 5.0,
        ..Options::default()
    });
    let before = resident();
    for round in 0..40i32 {
        let steps: Vec<Point> = (0..ids.len())
            .map(|at| {
                places[at] = world.step(places[at]);
                places[at]
            })
            .collect();
        let now_ms = i64::from(round) * 10_000;
        let mut run = |at: usize| {
            let fields = [(
                &b"battery"[..],
                redis_iot::engine::fleet::Value::Number(f64::from(round)),
            )];
            let fix = Fix {
                readings: Readings {
                    speed: Some(13.5),
                    heading: Some(271.0),
                    ..Readings::default()
                },
                fields: &fields,
                ..Fix::at(position(now_ms, steps[at]))
            };
            usize::from(fleet.track(ids[at].as_bytes(), &fix, now_ms).is_ok())
        };
        if round % 13 == 0 {
            timed("update with all there is, in order", ids.len(), run);
        } else {
            for at in 0..ids.len() {
                run(at);
            }
        }
    }
    let counted = fleet.heap_bytes() as f64 / ids.len() as f64;
    let grown = (resident() - before) / ids.len() as f64;
    println!("with all there is: {counted:.1} bytes each as counted, {grown:.1} grown");
}

fn main() {
    let mut world = World::new(42);
    let ids = ids();
    let mut some: Vec<Point> = (0..VEHICLES / 4).map(|_| world.place()).collect();
    rich(&mut world, &ids[..VEHICLES / 4], &mut some);
    let (mut fleet, mut places) = filled(&mut world, &ids);
    updates(&mut world, &mut fleet, &ids, &mut places);
    nearest(&fleet, &places);
    within(&fleet, &places);
    stored(&fleet);
    timed("remove", VEHICLES, |at| {
        let number = fleet.number(ids[at].as_bytes()).unwrap();
        usize::from(fleet.remove(number).is_some())
    });
    trail(1);
    trail(10);
}
