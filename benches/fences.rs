//! Memory and speed of the index of fences, up to a million.
//!
//! `cargo bench --bench fences`, or `FENCES=100000 cargo bench --bench fences` for so many. Bytes are
//! shown as the set counts them and as the process has grown; times are of the processor, the fastest
//! of several runs. `rstar`, a tree of boxes, is beside it with the same exact test behind its boxes.
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#![allow(clippy::cast_precision_loss, reason = "figures of three digits")]

#[path = "../tests/support/seeds.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod seeds;
#[path = "../tests/support/world.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod world;

use std::env;
use std::fs;
use std::hint::black_box;
use std::time::Instant;

use redis_iot::engine::fence::{FenceSet, Options};
use redis_iot::engine::geo::{Point, Shape};
use redis_iot::engine::query::Unwatched;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use world::World;

/// The seed of the world.
const SEED: u64 = 42;
/// How many fences there are.
const SIZES: [usize; 4] = [1000, 10_000, 100_000, 1_000_000];
/// Points that are asked for.
const POINTS: usize = 200_000;
/// Fences that are made at once.
const CHUNK: usize = 1000;
/// Runs of which the fastest counts.
const RUNS: usize = 3;

type Entry = GeomWithData<Rectangle<[f64; 2]>, u32>;

/// Memory of this process, in bytes.
fn resident() -> f64 {
    const PAGE: f64 = 4096.0;
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1);
    pages
        .and_then(|pages| pages.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        * PAGE
}

/// Nanoseconds that this thread has had a processor: others on the machine do not count.
fn spent() -> f64 {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = statistics.split(' ').next();
    spent
        .and_then(|spent| spent.parse().ok())
        .unwrap_or(f64::NAN)
}

fn filled(world: &mut World, fences: usize) -> FenceSet {
    let before = resident();
    let mut set = FenceSet::new();
    let (mut time, mut slowest) = (0.0, 0.0f64);
    let mut number = 0;
    while number < fences {
        let some: Vec<Shape> = (0..CHUNK).map(|_| world.fence()).collect();
        let start = spent();
        for shape in some {
            let id = format!("fence:{number}");
            let start = Instant::now();
            set.insert(id.as_bytes(), shape, Options::default(), 0)
                .unwrap();
            slowest = slowest.max(start.elapsed().as_secs_f64());
            number += 1;
        }
        time += spent() - start;
    }
    let each = |bytes: f64| bytes / fences as f64;
    println!(
        "{fences} fences: {:.0} bytes each as counted, {:.0} as the process grew; the index has {:.0} \
         of them and {:.2} cells a fence; {:.0} ns to insert, {:.2} ms at most",
        each(set.heap_bytes() as f64),
        each(resident() - before),
        each(set.index_bytes() as f64),
        each(set.cells() as f64),
        each(time),
        slowest * 1e3,
    );
    set
}

fn nanoseconds(count: usize, mut run: impl FnMut() -> usize) -> (f64, usize) {
    let mut best = f64::INFINITY;
    let mut found = 0;
    for _ in 0..RUNS {
        let start = spent();
        found = black_box(run());
        best = best.min((spent() - start) / count as f64);
    }
    (best, found)
}

fn queries(set: &FenceSet, points: &[Point]) -> usize {
    let mut numbers = Vec::new();
    let (each, found) = nanoseconds(points.len(), || {
        let found = points.iter().map(|&point| {
            set.at(point, &mut numbers);
            numbers.len()
        });
        found.sum()
    });
    println!(
        "    at      {each:8.0} ns, {:.3} hits",
        found as f64 / points.len() as f64
    );
    found
}

fn beside(set: &FenceSet, points: &[Point], expected: usize) {
    let entries = set.from(0).map(|(number, fence)| {
        let bounds = fence.shape.bounds();
        let corners = [(bounds.west, bounds.south), (bounds.east, bounds.north)];
        let [from, to] = corners.map(|(x, y)| [f64::from(x), f64::from(y)]);
        Entry::new(Rectangle::from_corners(from, to), number)
    });
    let tree = RTree::bulk_load(entries.collect());
    let contains = |number: u32, point| set.fence(number).unwrap().shape.contains(point);
    let (each, found) = nanoseconds(points.len(), || {
        let found = points.iter().map(|&point| {
            let place = AABB::from_point([f64::from(point.x), f64::from(point.y)]);
            let boxes = tree.locate_in_envelope_intersecting(&place);
            boxes.filter(|entry| contains(entry.data, point)).count()
        });
        found.sum()
    });
    assert_eq!(found, expected, "rstar finds the same");
    println!("    rstar   {each:8.0} ns");
}

fn searches(set: &FenceSet, points: &[Point]) {
    let some = &points[..points.len() / 20];
    let mut numbers = Vec::new();
    let pairs = || some.iter().zip(&points[1..]);
    let near = |from: &Point| Point {
        x: from.x + 15_000,
        y: from.y + 10_000,
    };
    let searches: [(&str, &mut dyn FnMut() -> usize); 3] = [
        ("along 200 m", &mut || {
            let along = pairs().map(|(from, _)| {
                set.along(*from, near(from), 1000, &mut numbers);
                numbers.len()
            });
            along.sum()
        }),
        ("near 10, 1 km", &mut || {
            some.iter()
                .map(|&point| set.near(point, 1000.0, 10, &Unwatched).unwrap().len())
                .sum()
        }),
        ("meeting 1 km", &mut || {
            let circles = some
                .iter()
                .map(|&point| Shape::circle(point, 1000.0).unwrap());
            circles
                .map(|circle| {
                    let all = (usize::MAX, usize::MAX);
                    let meeting = set.meeting(&circle, 0, all, &Unwatched);
                    meeting.unwrap().numbers.len()
                })
                .sum()
        }),
    ];
    for (name, search) in searches {
        let (each, found) = nanoseconds(some.len(), search);
        println!(
            "    {name:14} {each:8.0} ns, {:.2} found",
            found as f64 / some.len() as f64
        );
    }
}

fn removals(set: &mut FenceSet, fences: usize) {
    let ids: Vec<String> = (0..fences / 10)
        .map(|at| format!("fence:{}", at * 7919 % fences))
        .collect();
    let start = spent();
    for id in &ids {
        black_box(set.remove(id.as_bytes()));
    }
    println!(
        "    remove  {:8.0} ns",
        (spent() - start) / ids.len() as f64
    );
}

fn main() {
    let only: Option<usize> = env::var("FENCES").ok().and_then(|only| only.parse().ok());
    for fences in only.map_or(SIZES.to_vec(), |only| vec![only]) {
        let mut world = World::new(SEED, world::CITIES);
        let mut set = filled(&mut world, fences);
        let points: Vec<Point> = (0..POINTS).map(|_| world.place().point()).collect();
        let found = queries(&set, &points);
        beside(&set, &points, found);
        searches(&set, &points);
        removals(&mut set, fences);
    }
}
