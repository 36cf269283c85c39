//! Positions and fences on a server, beside the server's own points.
//!
//! The data are those of `tests/support/world.rs`: a million vehicles in 300 cities, and fences of 8 to
//! 64 vertices in the same cities. All at pipeline 64 on four connections.

use std::fmt::Write;

use super::load::{self, Batch, Cost};
use super::support::world::{CITIES, Vehicle, World};
use super::{Bench, CLIENTS, ROUNDS, header, row};

const VEHICLES: usize = 1_000_000;
const MOVES: usize = 200_000;
const LOOKS: usize = 100_000;
const DEPTH: usize = 64;
const SEED: u64 = 42;

/// The numbers of the parts of a load, one list a client.
fn shares(count: usize) -> impl Iterator<Item = impl Iterator<Item = usize>> {
    (0..CLIENTS).map(move |client| (client..count).step_by(CLIENTS))
}

/// Vehicles that move.
struct Fleet {
    world: World,
    vehicles: Vec<Vehicle>,
    next: usize,
    time_ms: i64,
}

impl Fleet {
    fn new() -> Self {
        let mut world = World::new(SEED, CITIES);
        let vehicles = (0..VEHICLES).map(|_| world.vehicle()).collect();
        Self {
            world,
            vehicles,
            next: 0,
            time_ms: super::START_MS,
        }
    }

    /// The next `count` moves as requests.
    fn moves(
        &mut self,
        count: usize,
        request: impl Fn(usize, &str, &str, i64) -> String,
    ) -> Vec<String> {
        let mut one = || {
            // A stride that meets every vehicle, in no order that a cache could guess.
            self.next = (self.next + 618_033) % VEHICLES;
            self.time_ms += 1;
            let vehicle = &mut self.vehicles[self.next];
            self.world.step(vehicle);
            let (lon, lat) = (
                format!("{:.6}", vehicle.place.lon),
                format!("{:.6}", vehicle.place.lat),
            );
            request(self.next, &lon, &lat, self.time_ms)
        };
        (0..count).map(|_| one()).collect()
    }
}

fn geoadd(vehicle: usize, lon: &str, lat: &str, _: i64) -> String {
    format!("GEOADD geo {lon} {lat} v{vehicle}")
}

fn track(vehicle: usize, lon: &str, lat: &str, time_ms: i64) -> String {
    format!("IOT.TRACK fleet v{vehicle} {lon} {lat} TS {time_ms}")
}

fn batches(requests: &[String]) -> Vec<Vec<Batch>> {
    shares(requests.len())
        .map(|share| {
            let words = share.map(|at| super::words(&requests[at]));
            Batch::pipeline(DEPTH, words)
        })
        .collect()
}

impl Bench {
    /// Runs requests whose replies have a line each.
    fn run_all(&self, requests: &[String]) -> Cost {
        load::run(self.server.port(), self.server.pid(), &batches(requests))
    }

    #[expect(clippy::cast_precision_loss, reason = "some gigabytes")]
    fn used_bytes(&mut self) -> f64 {
        self.client.info("memory", "used_memory") as f64
    }
}

/// The best of several runs of loads that take turns.
fn take_turns(bench: &mut Bench, loads: &mut [&mut dyn FnMut(&mut Bench) -> Cost]) -> Vec<Cost> {
    let mut best: Vec<Option<Cost>> = vec![None; loads.len()];
    for _ in 0..ROUNDS {
        for (load, best) in loads.iter_mut().zip(&mut best) {
            let cost = load(bench);
            *best = Some(best.map_or(cost, |known| known.best(cost)));
        }
    }
    best.into_iter().map(Option::unwrap).collect()
}

fn per_item(bytes: f64, items: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a million items")]
    let items = items as f64;
    bytes / items
}

pub(crate) fn fleet(bench: &mut Bench) {
    header("a fleet of 1,000,000: theirs is GEOADD, or GEOSEARCH");
    let mut fleet = Fleet::new();
    let before = bench.used_bytes();
    bench.run_all(&fleet.moves(VEHICLES, geoadd));
    let between = bench.used_bytes();
    bench.run_all(&fleet.moves(VEHICLES, track));
    let after = bench.used_bytes();
    let moves = std::cell::RefCell::new(fleet);
    let costs = take_turns(
        bench,
        &mut [
            &mut |bench| bench.run_all(&moves.borrow_mut().moves(MOVES, geoadd)),
            &mut |bench| bench.run_all(&moves.borrow_mut().moves(MOVES, track)),
        ],
    );
    row("a device moves, no fences", (costs[0], costs[1]));
    for radius_m in [200, 1_000, 5_000] {
        searches(bench, radius_m);
    }
    println!(
        "bytes a point, id and all: theirs {:.0}, ours {:.0}",
        per_item(between - before, VEHICLES),
        per_item(after - between, VEHICLES)
    );
    bench.client.call(&["DEL", "geo"]);
    fences(bench, &mut moves.into_inner());
    bench.flush();
}

/// The nearest ten within a radius.
fn searches(bench: &mut Bench, radius_m: usize) {
    let world = std::cell::RefCell::new(World::new(SEED, CITIES));
    let places = |request: &dyn Fn(&str, &str) -> String| {
        let mut world = world.borrow_mut();
        let mut one = || {
            let place = world.place();
            request(&format!("{:.6}", place.lon), &format!("{:.6}", place.lat))
        };
        (0..LOOKS / 10).map(|_| one()).collect::<Vec<_>>()
    };
    let costs = take_turns(
        bench,
        &mut [
            &mut |bench| {
                let requests = places(&|lon, lat| {
                    format!(
                        "GEOSEARCH geo FROMLONLAT {lon} {lat} BYRADIUS {radius_m} m ASC COUNT 10"
                    )
                });
                bench.run_searches(&requests)
            },
            &mut |bench| {
                let requests = places(&|lon, lat| {
                    format!("IOT.NEARBY fleet {lon} {lat} RADIUS {radius_m} COUNT 10")
                });
                bench.run_searches(&requests)
            },
        ],
    );
    row(
        &format!("nearest 10 within {radius_m} m"),
        (costs[0], costs[1]),
    );
}

/// Moves with so many fences bound, and which of so many a place lies in.
fn fences(bench: &mut Bench, fleet: &mut Fleet) {
    let mut world = World::new(SEED + 1, CITIES);
    let (mut count, mut number) = (0, 0);
    bench
        .client
        .run("IOT.FENCE BIND fleet zones PUBLISH events");
    for wanted in [0, 1_000, 10_000, 100_000] {
        let mut requests = Vec::new();
        while count < wanted {
            requests.push(fence_add(&mut world, number));
            (count, number) = (count + 1, number + 1);
        }
        bench.run_all(&requests);
        // Everyone is where the fences find them before the time is taken.
        bench.run_all(&fleet.moves(VEHICLES, track));
        let mut best: Option<Cost> = None;
        for _ in 0..ROUNDS {
            let cost = bench.run_all(&fleet.moves(MOVES, track));
            best = Some(best.map_or(cost, |known| known.best(cost)));
        }
        let cost = best.unwrap();
        println!(
            "{:<56} {:>11} {:>8} {:>11.0} {:>8.3}",
            format!("a device moves, {wanted} fences bound"),
            "",
            "",
            cost.per_second,
            cost.cpu_us
        );
    }
    bench.client.run("IOT.FENCE UNBIND fleet zones");
    let bytes = bench.client.integer("MEMORY USAGE zones");
    #[expect(clippy::cast_precision_loss, reason = "some megabytes")]
    let bytes = bytes as f64;
    println!(
        "bytes a fence of 36 vertices on average, all included: {:.0}",
        per_item(bytes, count)
    );
    bench.client.call(&["DEL", "fleet"]);
    for wanted in [1_000, 10_000, 100_000, 1_000_000] {
        at(bench, wanted);
    }
}

fn fence_add(world: &mut World, number: usize) -> String {
    let star = world.star();
    let mut line = format!("IOT.FENCE ADD zones f{number} POLYGON {}", star.len());
    for point in star {
        write!(line, " {:.7} {:.7}", point.lon(), point.lat()).unwrap();
    }
    line
}

/// Which of so many fences a place lies in.
fn at(bench: &mut Bench, wanted: usize) {
    let mut world = World::new(SEED + 1, CITIES);
    bench.client.call(&["DEL", "zones"]);
    let mut number = 0;
    while number < wanted {
        let part: Vec<String> = (number..wanted.min(number + 50_000))
            .map(|number| fence_add(&mut world, number))
            .collect();
        number += part.len();
        bench.run_all(&part);
    }
    let world = std::cell::RefCell::new(world);
    let costs = take_turns(
        bench,
        &mut [
            &mut |bench| bench.run_all(&vec!["PING".to_owned(); LOOKS]),
            &mut |bench| {
                let mut world = world.borrow_mut();
                let mut one = || {
                    let place = world.place();
                    format!("IOT.FENCE AT zones {:.6} {:.6}", place.lon, place.lat)
                };
                let requests: Vec<String> = (0..LOOKS / 5).map(|_| one()).collect();
                bench.run_searches(&requests)
            },
        ],
    );
    row(
        &format!("FENCE AT of {wanted} fences; theirs is PING"),
        (costs[0], costs[1]),
    );
}

impl Bench {
    /// Runs requests with replies of any length, a pipeline at a time: the end of each is marked.
    fn run_searches(&self, requests: &[String]) -> Cost {
        let clients: Vec<Vec<Batch>> = shares(requests.len())
            .map(|share| {
                let words: Vec<Vec<String>> = share.map(|at| super::words(&requests[at])).collect();
                Batch::marked(DEPTH, &words)
            })
            .collect();
        load::run(self.server.port(), self.server.pid(), &clients)
    }
}
