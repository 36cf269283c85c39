//! Fleets against a naive model: a list of devices that is searched from end to end.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/fleets.rs"]
mod fleets;
#[path = "support/seeds.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod seeds;

use std::collections::BTreeMap;

use fleets::{REGIONS, Region, anywhere, check_searches, place, position, units};
use redis_iot::engine::fleet::{
    Cursor, Filter, Fix, Fleet, Late, MAX_DEVICE_ID_BYTES, MAX_FIELDS, Near, Options, Outcome,
    Position, Readings, Size, Value, Wanted,
};
use redis_iot::engine::geo::{Bounds, Point, Shape, distance_m};
use redis_iot::engine::index::Glob;
use redis_iot::engine::persist::{Buffer, FLEET_VERSION, Owner, read_fleet, write_fleet};
use redis_iot::engine::query::{Budget, Halted};
use redis_iot::engine::{Error, TimeRange};
use seeds::Random;

const SEARCH_SEED: u64 = 0x10D5_0030;
const OPERATIONS_SEED: u64 = 0x10D5_0031;
const HOSTILE_SEED: u64 = 0x10D5_0032;
const EVER: TimeRange = TimeRange {
    from: i64::MIN,
    to: i64::MAX,
};

#[test]
fn searches_find_what_a_scan_finds() {
    let mut random = Random::new(SEARCH_SEED);
    for size in [0, 1, 30, 1000, 4000] {
        let mut fleet = Fleet::default();
        let region = REGIONS[random.index(REGIONS.len())];
        for number in 0..size {
            let point = if random.chance(50) {
                place(&mut random, region)
            } else {
                anywhere(&mut random)
            };
            let color: &[u8] = if random.chance(50) { b"red" } else { b"blue" };
            let fields = [(&b"color"[..], Value::Text(color))];
            let fix = Fix {
                readings: Readings {
                    speed: random.chance(70).then_some(f64::from(number % 9)),
                    ..Readings::default()
                },
                fields: &fields[..random.index(2)],
                ..Fix::at(position(0, point))
            };
            fleet
                .track(format!("v{number}").as_bytes(), &fix, 0)
                .unwrap();
        }
        for _ in 0..150 {
            check_searches(&fleet, &mut random);
        }
    }
}

#[test]
fn a_search_over_its_budget_says_so() {
    let mut fleet = Fleet::default();
    for number in 0..1000 {
        let point = Point {
            x: number * 1000,
            y: 0,
        };
        let fix = Fix::at(position(0, point));
        fleet.track(number.to_string().as_bytes(), &fix, 0).unwrap();
    }
    let near = Near {
        center: Point::default(),
        radius_m: f64::INFINITY,
        count: 2000,
    };
    let any = Wanted::default();
    assert_eq!(fleet.nearest(&near, &any, &Budget::new(500)), Err(Halted));
    let budget = Budget::new(100_000);
    let found = fleet.nearest(&near, &any, &budget);
    assert_eq!(found.unwrap().len(), 1000);
    assert!((1000..10_000).contains(&budget.spent()), "{budget:?}");
    // The nearest few are copied with few beside.
    let few = Near { count: 10, ..near };
    let copy = fleet.candidates_near(&few, &any, false);
    assert!((10..300).contains(&copy.len()), "{}", copy.len());
    // What costs is the comparison with a shape.
    let world = (
        Size {
            limit: usize::MAX,
            budget: usize::MAX,
        },
        Cursor::default(),
    );
    let corners: Vec<Point> = (0..1000)
        .map(|at| Point {
            x: at * 1000,
            y: at % 2 * 1000,
        })
        .collect();
    let line = Shape::corridor(corners, 1.0).unwrap();
    let budget = Budget::new(50_000);
    assert_eq!(fleet.within(&line, &any, world, &budget), Err(Halted));
    let page = fleet.within(&Shape::Box(Bounds::WORLD), &any, world, &Budget::new(1000));
    assert_eq!(page.unwrap().devices.len(), 1000);
    let glob = Glob::new(b"*7").unwrap();
    let sevens = Wanted {
        glob: Some(&glob),
        ..any
    };
    let size = Size {
        limit: 7,
        budget: 100,
    };
    let (mut found, mut from, mut pages) = (0, Cursor::default(), 0);
    loop {
        let page = fleet.list(&sevens, size, from);
        found += page.devices.len();
        pages += 1;
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert!(found == 100 && pages > 14, "{found} {pages}");
}

/// A device of the model.
#[derive(Clone, Debug, Default)]
struct Model {
    trail: BTreeMap<i64, Point>,
    readings: Readings,
    fields: BTreeMap<Vec<u8>, Vec<u8>>,
    due_ms: Option<i64>,
}

impl Model {
    fn now(&self) -> Position {
        let (&time_ms, &point) = self.trail.last_key_value().unwrap();
        position(time_ms, point)
    }

    /// What holds a fix back.
    fn filter(&self, options: &Options, fix: &Fix<'_>) -> Option<Filter> {
        let accuracy_m = fix.readings.accuracy_m;
        if options.max_accuracy_m > 0.0
            && accuracy_m.is_some_and(|one| one > options.max_accuracy_m)
        {
            return Some(Filter::Accuracy);
        }
        if self.trail.is_empty() || fix.position.time_ms <= self.now().time_ms {
            return None;
        }
        let elapsed_ms = fix.position.time_ms - self.now().time_ms;
        let moved_m = distance_m(self.now().point, fix.position.point);
        let seconds = f64::from(i32::try_from(elapsed_ms).unwrap()) / 1000.0;
        let blur_m = self.readings.accuracy_m.unwrap_or(0.0) + accuracy_m.unwrap_or(0.0);
        if elapsed_ms < options.min_time_ms {
            Some(Filter::Time)
        } else if moved_m < options.min_distance_m {
            Some(Filter::Distance)
        } else if options.max_speed_mps > 0.0 && moved_m > options.max_speed_mps * seconds {
            Some(Filter::Speed)
        } else if options.jitter && moved_m < blur_m {
            Some(Filter::Jitter)
        } else {
            None
        }
    }

    /// Takes a fix that was not held back; returns whether it is the newest, and whether it is kept.
    fn take(&mut self, options: &Options, fix: &Fix<'_>) -> (bool, bool) {
        let Position { time_ms, point } = fix.position;
        let is_now = self.trail.is_empty() || time_ms >= self.now().time_ms;
        if is_now {
            self.readings = fix.readings;
            for &(name, value) in fix.fields {
                let Value::Text(text) = value else { continue };
                if text.is_empty() {
                    self.fields.remove(name);
                } else {
                    self.fields.insert(name.to_vec(), text.to_vec());
                }
            }
        } else if options.late == Late::Drop {
            return (false, false);
        }
        self.trail.insert(time_ms, point);
        let newest_ms = self.now().time_ms;
        if options.retention_ms > 0 {
            self.trail = self.trail.split_off(&(newest_ms - options.retention_ms));
        }
        while self.trail.len() > (options.trail_len as usize).max(1) {
            self.trail.pop_first();
        }
        (is_now, self.trail.contains_key(&time_ms))
    }
}

fn options(random: &mut Random) -> Options {
    let some = |random: &mut Random, value: f64| if random.chance(30) { value } else { 0.0 };
    Options {
        trail_len: [0, 1, 2, 10, 70, 600][random.index(6)],
        retention_ms: [0, 0, 50_000][random.index(3)],
        min_distance_m: some(random, 200.0),
        min_time_ms: [0, 0, 200][random.index(3)],
        max_speed_mps: some(random, 4000.0),
        max_accuracy_m: some(random, 90.0),
        jitter: random.chance(30),
        late: if random.chance(70) {
            Late::Trail
        } else {
            Late::Drop
        },
        expire_ms: [0, 100_000][random.index(2)],
    }
}

fn digest(fleet: &Fleet) -> Vec<u8> {
    let mut bytes = Vec::new();
    fleet.digest(&mut |piece| {
        bytes.extend(u32::try_from(piece.len()).unwrap().to_le_bytes());
        bytes.extend(piece);
    });
    bytes
}

fn stored(fleet: &Fleet) -> Vec<u8> {
    let mut buffer = Buffer::default();
    write_fleet(fleet, &mut buffer, &mut |owner, section| match owner {
        Owner::Fleet => section.extend(b"bindings"),
        Owner::Device(number) if number % 2 == 0 => section.extend(number.to_le_bytes()),
        Owner::Device(_) => {}
    });
    buffer.bytes
}

/// Reads a fleet back, and checks that the sections belong to the devices they were written for.
fn restored(bytes: &[u8], written: &Fleet) -> Fleet {
    let mut sections = Vec::new();
    let fleet = read_fleet(&mut &bytes[..], FLEET_VERSION, &mut |owner, section| {
        sections.push((owner, section.to_vec()));
        Ok(())
    });
    let fleet = fleet.unwrap();
    assert_eq!(sections[0], (Owner::Fleet, b"bindings".to_vec()));
    for (owner, section) in &sections[1..] {
        let Owner::Device(number) = owner else {
            panic!()
        };
        let id = fleet.device(*number).unwrap().id();
        let old = written.number(id).unwrap();
        let wanted = if old.is_multiple_of(2) {
            old.to_le_bytes().to_vec()
        } else {
            Vec::new()
        };
        assert_eq!(*section, wanted);
    }
    fleet
}

#[track_caller]
fn check_devices(fleet: &Fleet, models: &BTreeMap<Vec<u8>, Model>, random: &mut Random) {
    assert_eq!(fleet.len(), models.len());
    let trail_len = fleet.options().trail_len;
    for (id, model) in models {
        let number = fleet.number(id).unwrap();
        let device = fleet.device(number).unwrap();
        assert_eq!((device.id(), device.position()), (&id[..], model.now()));
        assert_eq!(device.readings(), model.readings);
        let fields = device.fields().iter();
        let fields: BTreeMap<_, _> = fields
            .map(|(name, value)| match value {
                Value::Text(text) => (name.to_vec(), text.to_vec()),
                Value::Number(_) => panic!(),
            })
            .collect();
        assert_eq!(fields, model.fields);
        assert_eq!(fleet.expires_ms(number), model.due_ms);
        let wanted = model
            .trail
            .iter()
            .map(|(&time_ms, &point)| position(time_ms, point));
        let wanted: Vec<_> = wanted.filter(|_| trail_len > 0).collect();
        assert_eq!(fleet.trail(number, EVER), wanted);
        let from = random.within(0..200_000);
        let range = TimeRange::new(from, from + 20_000);
        let some: Vec<_> = wanted
            .into_iter()
            .filter(|one| range.contains(one.time_ms))
            .collect();
        assert_eq!(fleet.trail(number, range), some);
    }
}

/// One fix of one device, taken by both.
fn track(
    fleet: &mut Fleet,
    models: &mut BTreeMap<Vec<u8>, Model>,
    random: &mut Random,
    now_ms: i64,
) {
    let options = *fleet.options();
    let id = match random.index(40) {
        number if number % 7 == 0 => format!("a device with a long name {number}"),
        number => number.to_string(),
    };
    let time_ms = if random.chance(70) {
        now_ms
    } else {
        (now_ms - random.within(0..60_000)).max(0)
    };
    let texts: [&[u8]; 3] = [b"", b"red", b"rather blue than green"];
    let fields = [
        (&b"color"[..], Value::Text(texts[random.index(3)])),
        (&b"b"[..], Value::Text(texts[random.index(3)])),
    ];
    let fix = Fix {
        readings: Readings {
            accuracy_m: random.chance(50).then(|| f64::from(units(random, 0, 100))),
            alt: random.chance(20).then_some(7.5),
            ..Readings::default()
        },
        fields: &fields[..random.index(3)],
        expires_ms: random.chance(10).then(|| match random.within(0..30_000) {
            short if short < 3_000 => 0,
            long => now_ms + long,
        }),
        ..Fix::at(position(time_ms, place(random, Region::City)))
    };
    let model = models.get(id.as_bytes()).cloned();
    let outcome = fleet.track(id.as_bytes(), &fix, now_ms).unwrap();
    let before = model.as_ref().map(Model::now);
    let is_first = model.is_none();
    let mut model = model.unwrap_or_default();
    let filter = model.filter(&options, &fix);
    if !(is_first && filter.is_some()) {
        let own_ms = match options.expire_ms {
            0 => 0,
            expire_ms => now_ms + expire_ms,
        };
        let expires_ms = fix.expires_ms.unwrap_or(own_ms);
        model.due_ms = (expires_ms > 0).then_some(expires_ms);
    }
    if let Some(filter) = filter {
        assert_eq!(outcome, Outcome::Filtered(filter));
        if is_first {
            return;
        }
    } else {
        let (is_now, is_kept) = model.take(&options, &fix);
        match outcome {
            Outcome::Now {
                device,
                before: was,
            } => {
                assert!(is_now && was == before && fleet.number(id.as_bytes()) == Some(device));
            }
            Outcome::Late { in_trail, .. } => {
                assert!(!is_now);
                assert_eq!(in_trail, is_kept && options.trail_len > 1);
            }
            Outcome::Filtered(_) => panic!("{fix:?}"),
        }
    }
    models.insert(id.into_bytes(), model);
}

#[test]
fn random_operations_do_what_the_model_does() {
    let mut random = Random::new(OPERATIONS_SEED);
    for _ in 0..40 {
        let mut fleet = Fleet::new(options(&mut random));
        let mut models = BTreeMap::new();
        for step in 0..4000 {
            let now_ms = step * 50;
            track(&mut fleet, &mut models, &mut random, now_ms);
            for id in fleet.take_expired(now_ms, usize::MAX) {
                let number = fleet.number(&id).unwrap();
                let model = models.remove(&*id).unwrap();
                assert!(model.due_ms.unwrap() <= now_ms);
                assert_eq!(fleet.remove(number), Some(model.now()));
            }
            assert!(
                models
                    .values()
                    .all(|one| one.due_ms.is_none_or(|due_ms| due_ms > now_ms))
            );
            if random.chance(1) {
                let id = random.index(40).to_string().into_bytes();
                let number = fleet.number(&id);
                let removed = number.and_then(|number| fleet.remove(number));
                assert_eq!(removed, models.remove(&id).map(|one| one.now()));
            }
            if step % 1000 == 999 {
                check_devices(&fleet, &models, &mut random);
                let back = restored(&stored(&fleet), &fleet);
                assert_eq!(digest(&back), digest(&fleet));
                assert_eq!(back.counters(), fleet.counters());
                check_devices(&back, &models, &mut random);
                check_searches(&back, &mut random);
                if random.chance(50) {
                    fleet = back;
                }
            }
        }
    }
}

#[test]
fn hostile_bytes_are_refused_or_make_a_sound_fleet() {
    let mut random = Random::new(HOSTILE_SEED);
    let mut fleet = Fleet::new(Options {
        trail_len: 40,
        ..Options::default()
    });
    let mut models = BTreeMap::new();
    for step in 0..600 {
        track(&mut fleet, &mut models, &mut random, step * 50);
    }
    let bytes = stored(&fleet);
    let read = |bytes: &[u8]| read_fleet(&mut &bytes[..], FLEET_VERSION, &mut |_, _| Ok(()));
    for len in 0..bytes.len() {
        assert!(
            matches!(read(&bytes[..len]), Err(Error::Corrupt { .. })),
            "{len}"
        );
    }
    for _ in 0..20_000 {
        let mut flipped = bytes.clone();
        for _ in 0..=random.index(3) {
            let at = random.index(bytes.len());
            flipped[at] ^= 1 << random.index(8);
        }
        if let Ok(fleet) = read(&flipped) {
            assert_eq!(digest(&read(&stored(&fleet)).unwrap()), digest(&fleet));
        }
    }
    assert!(read_fleet(&mut &bytes[..], FLEET_VERSION + 1, &mut |_, _| Ok(())).is_err());
}

#[test]
fn a_device_does_not_come_twice() {
    let mut fleet = Fleet::default();
    for id in [b"a", b"b"] {
        fleet
            .track(id, &Fix::at(position(0, Point::default())), 0)
            .unwrap();
    }
    let mut bytes = stored(&fleet);
    let second = |bytes: &[u8]| bytes == [1, 0, b'b'];
    let at = bytes.windows(3).position(second).unwrap();
    bytes[at + 2] = b'a';
    let read = read_fleet(&mut &bytes[..], FLEET_VERSION, &mut |_, _| Ok(()));
    assert_eq!(
        read.unwrap_err(),
        Error::Corrupt {
            what: "a device comes twice"
        }
    );
}

#[test]
fn the_same_time_replaces_unless_only_newer_is_wanted() {
    let mut fleet = Fleet::new(Options {
        min_time_ms: 10,
        trail_len: 5,
        ..Options::default()
    });
    let at = |time_ms, x| Fix::at(position(time_ms, Point { x, y: 0 }));
    let only_newer = |fix| Fix {
        if_newer: true,
        ..fix
    };
    let mut track = |fix: &Fix<'_>| fleet.track(b"a", fix, 0).unwrap();
    let now = |before| Outcome::Now { device: 0, before };
    let late = |in_trail| Outcome::Late {
        device: 0,
        in_trail,
    };
    assert_eq!(track(&at(100, 1)), now(None));
    assert_eq!(
        track(&at(100, 2)),
        now(Some(position(100, Point { x: 1, y: 0 })))
    );
    assert_eq!(track(&only_newer(at(100, 3))), late(false));
    assert_eq!(track(&only_newer(at(50, 4))), late(false));
    assert_eq!(track(&at(50, 5)), late(true));
    assert_eq!(track(&at(109, 6)), Outcome::Filtered(Filter::Time));
    assert_eq!(
        track(&only_newer(at(110, 7))),
        now(Some(position(100, Point { x: 2, y: 0 })))
    );
    let places = fleet.trail(0, EVER).into_iter();
    let places: Vec<i32> = places.map(|one| one.point.x).collect();
    assert_eq!(places, [5, 2, 7]);
    let counters = fleet.counters();
    assert_eq!(
        (counters.updates, counters.late, counters.filtered),
        (3, 3, [0, 1, 0, 0, 0])
    );
}

#[test]
fn sizes_have_limits() {
    let mut fleet = Fleet::default();
    let fix = Fix::at(position(0, Point::default()));
    let long = [b'a'; MAX_DEVICE_ID_BYTES + 1];
    assert!(fleet.track(&long[1..], &fix, 0).is_ok());
    assert!(matches!(
        fleet.track(&long, &fix, 0),
        Err(Error::Limit { .. })
    ));
    let names: Vec<String> = (0..=MAX_FIELDS).map(|one| one.to_string()).collect();
    let fields: Vec<_> = names
        .iter()
        .map(|name| (name.as_bytes(), Value::Number(1.0)))
        .collect();
    let fix = Fix {
        fields: &fields,
        ..fix
    };
    assert!(matches!(
        fleet.track(b"a", &fix, 0),
        Err(Error::Limit { .. })
    ));
    assert_eq!((fleet.len(), fleet.number(b"a")), (1, None));
}
