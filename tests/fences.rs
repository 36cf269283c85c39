//! The set of fences against a naive model: a list that is searched from end to end.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/seeds.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod seeds;
#[path = "support/world.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod world;

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use redis_iot::engine::Error;
use redis_iot::engine::fence::{
    Detect, Fence, FenceSet, Group, MAX_GROUPS, MAX_ID_BYTES, Options, Schedule, Texts,
};
use redis_iot::engine::geo::{Point, Shape};
use redis_iot::engine::labels::Labels;
use redis_iot::engine::persist::{Buffer, FENCES_VERSION, read_fences, write_fences};
use redis_iot::engine::query::{Unwatched, Zone};
use seeds::Random;
use world::World;

/// The seed of the mixed operations.
const MIX_SEED: u64 = 0x10D5_0040;
/// The seed of the set of a city.
const CITY_SEED: u64 = 0x10D5_0041;
/// The seed of the bytes that are broken.
const BROKEN_SEED: u64 = 0x10D5_0042;

/// Around where everything lies, in degrees: also where the earth has its seams.
const PLACES: [(f64, f64); 8] = [
    (13.4, 52.5),
    (13.4, 52.5),
    (180.0, 0.0),
    (-180.0, -17.0),
    (179.99, 65.0),
    (0.0, 89.999),
    (-90.0, -90.0),
    (0.0, 0.0),
];

#[expect(clippy::cast_precision_loss, reason = "53 bits")]
fn unit(random: &mut Random) -> f64 {
    (random.bits() >> 11) as f64 / (1u64 << 53) as f64
}

/// From `least` to `most`, every size as likely on a logarithmic scale.
fn size(random: &mut Random, least: f64, most: f64) -> f64 {
    least * (most / least).powf(unit(random))
}

fn wrapped(lon: f64, lat: f64) -> Point {
    let lon = if lon.abs() > 180.0 {
        (lon + 540.0).rem_euclid(360.0) - 180.0
    } else {
        lon
    };
    Point::from_degrees(lon, lat.clamp(-90.0, 90.0)).unwrap()
}

/// A point beside one of the places, often very near and often on one of its lines.
fn beside(random: &mut Random, place: (f64, f64), reach: f64) -> Point {
    let mut offset = || {
        let sign = [0.0, -1.0, 1.0, 1.0][random.index(4)];
        sign * size(random, 1e-7, reach)
    };
    wrapped(place.0 + offset(), place.1 + offset())
}

fn star(random: &mut Random, center: Point, radius: f64, from: f64) -> Vec<Point> {
    let vertices = 3 + random.index(20);
    let vertex = |at: usize| {
        let angle = f64::from(u32::try_from(at).unwrap())
            / f64::from(u32::try_from(vertices).unwrap())
            * TAU;
        let far = radius * (from + (1.0 - from) * unit(random));
        wrapped(
            center.lon() + far * angle.cos(),
            center.lat() + far * angle.sin(),
        )
    };
    (0..vertices).map(vertex).collect()
}

/// A shape of any kind, of any size from a centimetre to half the earth.
fn shape(random: &mut Random, place: (f64, f64)) -> Shape {
    loop {
        let center = beside(random, place, 10.0);
        let radius = size(random, 1e-5, 60.0);
        let made = match random.index(12) {
            0..=2 => Shape::circle(center, size(random, 0.5, 3_000_000.0)),
            3 | 4 => Shape::bounding_box(
                wrapped(center.lon() - radius, center.lat() - radius / 2.0),
                wrapped(center.lon() + radius, center.lat() + radius / 2.0),
            ),
            5 => {
                let width = size(random, 1.0, 179.0);
                let from = wrapped(center.lon() - width, -90.0);
                Shape::bounding_box(from, wrapped(center.lon() + width, 90.0))
            }
            6 => {
                let line = star(random, center, radius / 4.0, 0.1);
                Shape::corridor(line, size(random, 1.0, 10_000.0))
            }
            7 | 8 => {
                let outer = star(random, center, radius, 0.6);
                Shape::area(vec![vec![outer, star(random, center, radius / 4.0, 0.5)]])
            }
            9 => {
                let other = wrapped(center.lon() + 3.0 * radius, center.lat());
                let one = star(random, center, radius, 0.5);
                Shape::area(vec![vec![one], vec![star(random, other, radius, 0.5)]])
            }
            _ => {
                let one = star(random, center, radius, 0.3);
                Shape::area(vec![vec![one]])
            }
        };
        if let Ok(shape) = made {
            return shape;
        }
    }
}

/// A set and its model.
#[derive(Default)]
struct Pair {
    set: FenceSet,
    model: BTreeMap<Vec<u8>, (Shape, Options, i64)>,
}

impl Pair {
    fn insert(&mut self, id: &[u8], shape: Shape, options: Options, expires_ms: i64) {
        let known = self
            .model
            .insert(id.to_vec(), (shape.clone(), options.clone(), expires_ms));
        let before = self.set.get(id).map(|(number, _)| number);
        let inserted = self.set.insert(id, shape, options, expires_ms).unwrap();
        assert_eq!(inserted.replaced.is_some(), known.is_some());
        assert!(before.is_none_or(|number| number == inserted.number));
    }

    fn remove(&mut self, id: &[u8]) {
        let removed = self.set.remove(id);
        assert_eq!(removed.is_some(), self.model.remove(id).is_some());
    }

    /// The ids of the fences for which something holds.
    fn expected(&self, holds: impl Fn(&Shape) -> bool) -> Vec<&[u8]> {
        let fences = self.model.iter();
        fences
            .filter(|(_, (shape, ..))| holds(shape))
            .map(|(id, _)| &id[..])
            .collect()
    }

    fn ids(&self, numbers: &[u32]) -> Vec<&[u8]> {
        assert!(
            numbers.is_sorted_by(|one, other| one < other),
            "{numbers:?}"
        );
        let fence = |&number: &u32| self.set.fence(number).unwrap().id.as_bytes();
        let mut ids: Vec<&[u8]> = numbers.iter().map(fence).collect();
        ids.sort_unstable();
        ids
    }

    #[track_caller]
    fn check_at(&self, point: Point) {
        let mut numbers = vec![7];
        self.set.at(point, &mut numbers);
        let other = Point {
            x: -point.x,
            ..point
        };
        let is_seam = point.x.abs() == 1_800_000_000;
        let expected =
            self.expected(|shape| shape.contains(point) || (is_seam && shape.contains(other)));
        assert_eq!(self.ids(&numbers), expected, "at {point}");
    }

    #[track_caller]
    fn check_along(&self, from: Point, to: Point) {
        let mut numbers = vec![7];
        if self.set.along(from, to, 100_000, &mut numbers) {
            let expected = self.expected(|shape| shape.meets_segment(from, to));
            assert_eq!(self.ids(&numbers), expected, "from {from} to {to}");
        }
        assert!(self.set.along(from, to, self.model.len(), &mut numbers));
    }

    #[track_caller]
    fn check_meeting(&self, shape: &Shape) {
        let all = (usize::MAX, usize::MAX);
        let meeting = self.set.meeting(shape, 0, all, &Unwatched).unwrap();
        assert_eq!(meeting.next, None);
        let numbers = meeting.numbers;
        assert_eq!(
            self.ids(&numbers),
            self.expected(|other| other.meets(shape)),
            "{shape:?}"
        );
        let half = numbers.len() / 2;
        if let Some(&first) = numbers.get(half) {
            let page = self.set.meeting(shape, first, (3, usize::MAX), &Unwatched);
            let page = page.unwrap();
            let rest = &numbers[half..];
            assert_eq!(page.numbers, rest[..rest.len().min(3)]);
            assert_eq!(page.next, rest.get(3).copied());
        }
        // Pages of few looks, of the set and of a copy.
        let (mut found, mut next) = (Vec::new(), Some(0));
        while let Some(first) = next {
            let page = self.set.meeting(shape, first, (3, 5), &Unwatched).unwrap();
            let copy = self.set.candidates_meeting(shape, first, 5);
            assert_eq!(copy.meeting(shape, 3, &Unwatched).as_ref(), Ok(&page));
            found.extend(page.numbers);
            next = page.next;
        }
        assert_eq!(found, numbers, "{shape:?}");
    }

    #[track_caller]
    fn check_near(&self, point: Point, radius_m: f64, count: usize) {
        let found = self.set.near(point, radius_m, count, &Unwatched).unwrap();
        let copy = self.set.candidates_near(point, radius_m, count);
        let of_copy = copy.near(point, radius_m, count, &Unwatched).unwrap();
        assert_eq!(found, of_copy, "near {point}, {radius_m} m");
        for &(_, number) in &found {
            let fence = self.set.fence(number).unwrap();
            assert_eq!(copy.id(number), Some(&fence.id));
        }
        let found: Vec<f64> = found.iter().map(|one| one.0).collect();
        let distances = self
            .model
            .values()
            .map(|(shape, ..)| shape.distance_m(point));
        let mut expected: Vec<f64> = distances
            .filter(|&distance_m| distance_m <= radius_m)
            .collect();
        expected.sort_unstable_by(f64::total_cmp);
        expected.truncate(count);
        assert_eq!(found, expected, "near {point}, {radius_m} m");
    }

    fn check_members(&self) {
        for name in 0..6u8 {
            let named = self
                .model
                .iter()
                .filter(|(_, (_, options, _))| options.groups.contains(&[name]));
            let named: Vec<&[u8]> = named.map(|(id, _)| &id[..]).collect();
            let group = self.set.group(&[name]);
            let numbers: Vec<u32> = group
                .map(|group| group.from(0).collect())
                .unwrap_or_default();
            assert_eq!(self.ids(&numbers), named);
            assert_eq!(group.map_or(0, Group::count), named.len() as u64);
            let for_it = self
                .model
                .iter()
                .filter(|(_, (_, options, _))| options.devices.contains(&[name]));
            let for_it: Vec<&[u8]> = for_it.map(|(id, _)| &id[..]).collect();
            assert_eq!(self.ids(self.set.naming(&[name])), for_it);
        }
        let deadlines = self.model.values().map(|&(.., at_ms)| at_ms);
        assert_eq!(
            self.set.next_expiry_ms(),
            deadlines.filter(|&at_ms| at_ms != 0).min()
        );
    }
}

fn options(random: &mut Random) -> Options {
    let texts = |random: &mut Random| {
        let names: Vec<[u8; 1]> = (0..6)
            .filter(|_| random.chance(20))
            .map(|name| [name])
            .collect();
        Texts::new(names.iter().map(|name| &name[..]))
    };
    let mut options = Options::default();
    if random.chance(40) {
        options.groups = texts(random);
        options.devices = texts(random);
    }
    if random.chance(20) {
        options.detect = Some(Detect::ENTER | Detect::DWELL);
        options.dwell_ms = random.within(0..100_000);
        options.speed_limit = random.chance(50).then_some(13.9);
        options.meta = Labels::new([(&b"kind"[..], &b"depot"[..])]).unwrap();
        let zone = Zone::by_name(random.pick(&["Europe/Berlin", "Asia/Tokyo"]).as_bytes()).unwrap();
        options.schedule =
            Some(Schedule::parse("mon-fri 08:00-18:00; sun 22:00-06:00", zone).unwrap());
    }
    options
}

#[test]
fn every_shape_is_found_where_it_lies_and_not_once_it_is_gone() {
    let random = &mut Random::new(MIX_SEED);
    let mut pair = Pair::default();
    for step in 0..2500 {
        let id = random.within(0..400).to_string();
        let place = PLACES[random.index(PLACES.len())];
        if random.chance(if step / 600 % 2 == 0 { 25 } else { 60 }) {
            pair.remove(id.as_bytes());
        } else {
            let expires_ms = if random.chance(20) {
                random.within(1..1000)
            } else {
                0
            };
            let (shape, options) = (shape(random, place), options(random));
            pair.insert(id.as_bytes(), shape, options, expires_ms);
        }
        let place = PLACES[random.index(PLACES.len())];
        for reach in [1e-4, 0.1, 100.0] {
            pair.check_at(beside(random, place, reach));
        }
        let reach = size(random, 1e-4, 30.0);
        let (from, to) = (beside(random, place, reach), beside(random, place, reach));
        pair.check_along(from, to);
        if step % 8 == 0 {
            pair.check_meeting(&shape(random, place));
            pair.check_near(from, size(random, 1.0, 3e7), 1 + random.index(20));
        }
        if step % 50 == 0 {
            pair.check_members();
        }
        assert_eq!(pair.set.len(), pair.model.len());
    }
}

#[test]
fn a_city_of_fences_gives_every_point_its_own() {
    let mut world = World::new(CITY_SEED, 3);
    let mut pair = Pair::default();
    for number in 0..3000 {
        pair.insert(
            number.to_string().as_bytes(),
            world.fence(),
            Options::default(),
            0,
        );
    }
    for number in (0..3000).step_by(3) {
        pair.remove(number.to_string().as_bytes());
    }
    let mut vehicle = world.vehicle();
    for step in 0..300 {
        let before = vehicle.place.point();
        world.step(&mut vehicle);
        pair.check_at(before);
        pair.check_along(before, vehicle.place.point());
        if step % 10 == 0 {
            pair.check_near(before, 500.0, 5);
        }
    }
    for vertex in world.star() {
        pair.check_at(vertex);
    }
}

fn print(fences: &[(u32, Fence)]) -> Vec<&[u8]> {
    fences
        .iter()
        .map(|(_, fence)| fence.id.as_bytes())
        .collect()
}

#[test]
fn fences_end_in_the_order_of_their_deadlines() {
    let mut set = FenceSet::new();
    let shape = || Shape::circle(Point { x: 0, y: 0 }, 10.0).unwrap();
    for (id, at_ms) in [("c", 30), ("a", 10), ("b", 20), ("never", 0)] {
        set.insert(id.as_bytes(), shape(), Options::default(), at_ms)
            .unwrap();
    }
    assert_eq!(set.next_expiry_ms(), Some(10));
    assert!(set.take_expired(9, 10).is_empty());
    assert_eq!(print(&set.take_expired(20, 1)), [b"a"]);
    set.insert(b"c", shape(), Options::default(), 15).unwrap();
    let epoch = set.epoch();
    assert_eq!(print(&set.take_expired(20, 10)), [b"c", b"b"]);
    assert!(set.epoch() > epoch);
    assert_eq!((set.next_expiry_ms(), set.len()), (None, 1));
}

#[test]
fn what_is_too_much_is_refused_and_changes_nothing() {
    let mut set = FenceSet::new();
    let shape = || Shape::circle(Point { x: 0, y: 0 }, 10.0).unwrap();
    let names: Vec<[u8; 1]> = (0..=MAX_GROUPS)
        .map(|name| [u8::try_from(name).unwrap()])
        .collect();
    let options = |count: usize| Options {
        groups: Texts::new(names[..count].iter().map(|name| &name[..])),
        ..Options::default()
    };
    assert!(
        set.insert(&[b'x'; MAX_ID_BYTES], shape(), options(MAX_GROUPS), 0)
            .is_ok()
    );
    let epoch = set.epoch();
    let refusals = [
        set.insert(&[b'x'; MAX_ID_BYTES + 1], shape(), Options::default(), 0),
        set.insert(b"y", shape(), options(MAX_GROUPS + 1), 0),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(Error::Limit { .. })));
    }
    assert_eq!((set.epoch(), set.len()), (epoch, 1));
}

fn digest(set: &FenceSet) -> Vec<u8> {
    let mut bytes = Vec::new();
    set.digest(&mut |part| {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    });
    bytes
}

fn filled(random: &mut Random) -> FenceSet {
    let mut set = FenceSet::new();
    for number in 0..200 {
        let place = PLACES[random.index(PLACES.len())];
        let (shape, options) = (shape(random, place), options(random));
        set.insert(number.to_string().as_bytes(), shape, options, number % 3)
            .unwrap();
    }
    for number in (0..200).step_by(7) {
        set.remove(number.to_string().as_bytes());
    }
    set
}

fn written(set: &FenceSet) -> Vec<u8> {
    let mut buffer = Buffer::default();
    write_fences(set, &mut buffer);
    buffer.bytes
}

fn read(mut bytes: &[u8]) -> Result<FenceSet, Error> {
    read_fences(&mut bytes, FENCES_VERSION)
}

#[test]
fn what_was_written_is_read_back() {
    let set = filled(&mut Random::new(CITY_SEED));
    let bytes = written(&set);
    let back = read(&bytes).unwrap();
    assert_eq!(written(&back), bytes);
    assert_eq!(digest(&back), digest(&set));
    let ids = |set: &FenceSet| -> Vec<Vec<u8>> {
        set.from(0)
            .map(|(_, fence)| fence.id.as_bytes().to_vec())
            .collect()
    };
    assert_eq!(ids(&back), ids(&set));
    assert_eq!(
        written(&read(&written(&FenceSet::new())).unwrap()),
        [4, 0, 0, 0, 0, 0, 0, 0]
    );
    assert!(read_fences(&mut &bytes[..], FENCES_VERSION + 1).is_err());
    let copy = set.clone();
    assert_eq!(digest(&copy), digest(&set));
}

#[test]
fn broken_bytes_are_refused_or_make_a_set() {
    let random = &mut Random::new(BROKEN_SEED);
    let mut set = FenceSet::new();
    for (id, place) in (0..).zip(PLACES) {
        let (shape, options) = (shape(random, place), options(random));
        set.insert(&[id], shape, options, 5).unwrap();
    }
    let bytes = written(&set);
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err());
    }
    for _ in 0..20_000 {
        let mut broken = bytes.clone();
        for _ in 0..=random.index(2) {
            let at = random.index(broken.len());
            broken[at] = u8::try_from(random.index(256)).unwrap();
        }
        if let Ok(set) = read(&broken) {
            let again = written(&set);
            assert_eq!(written(&read(&again).unwrap()), again);
        }
    }
    // The same fence twice.
    let mut twice = 2u32.to_le_bytes().to_vec();
    let one = &bytes[12..];
    let len = {
        let mut single = FenceSet::new();
        let (_, fence) = set.get(&[0]).unwrap();
        let options = fence.options.as_deref().cloned().unwrap_or_default();
        single
            .insert(&[0], fence.shape.clone(), options, 5)
            .unwrap();
        written(&single).len() - 12
    };
    twice.splice(0..0, 4u32.to_le_bytes());
    twice.extend(u32::try_from(2 * len).unwrap().to_le_bytes());
    twice.extend([&one[..len], &one[..len]].concat());
    assert_eq!(
        read(&twice).err(),
        Some(Error::Corrupt {
            what: "two fences with one id"
        })
    );
}

#[test]
fn memory_is_given_back() {
    let mut world = World::new(CITY_SEED, 3);
    let mut set = FenceSet::new();
    let empty = set.heap_bytes();
    for number in 0..3000 {
        set.insert(
            number.to_string().as_bytes(),
            world.fence(),
            Options::default(),
            0,
        )
        .unwrap();
    }
    assert!(set.heap_bytes() > 3000 * 100);
    for number in 0..3000 {
        set.remove(number.to_string().as_bytes());
    }
    assert_eq!(set.heap_bytes(), empty);
}
