//! Active defragmentation: allocations of values move, and the values stay what they are.
//!
//! Each case runs on two servers, which get the same requests. One of them defragments; what both answer,
//! and the digests of what they hold, must be the same. There are no keys but ours, so what moves is ours
//! but for the names of the keys.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(clippy::cast_precision_loss, reason = "angles are of some vertices")]

mod support;

use std::io::Write;

use redis::Value;
use support::client::{Client, Protocol};
use support::fences_events::events;
use support::notation::{render, words};
use support::seeds::{DEFRAG_SEED, Random};
use support::server::{Server, await_that};

/// Small values of a case.
const VALUES: usize = 3_000;
/// Of small values, so many of a hundred go. Which ones is random: the server moves what lies in
/// stretches of memory that are emptier than others.
const GONE_PERCENT: u64 = 85;
/// Large values of a case, which grow in turn; all but the first go.
const LARGE: usize = 8;
/// Parts of a large value from which on the server goes through it in steps, as its default is.
const STEPWISE: usize = 1_000;
/// Bytes that a case wastes at least.
const WASTE_BYTES: u64 = 2_000_000;

/// Settings with which the server defragments at once, and with most of its time.
const EAGER: [(&str, u32); 5] = [
    ("active-defrag-ignore-bytes", 1),
    ("active-defrag-threshold-lower", 1),
    ("active-defrag-threshold-upper", 2),
    ("active-defrag-cycle-max", 75),
    ("active-defrag-cycle-min", 50),
];

/// The words of a request.
type Line = Vec<Vec<u8>>;

/// A server that defragments and one that does not.
struct Pair {
    _servers: [Server; 2],
    clients: [Client; 2],
}

impl Pair {
    /// Two servers; none, said loudly, where the server cannot defragment.
    fn start() -> Option<Self> {
        // What rests is packed some time later; that is no part of the question.
        let args = ["--redis-iot.idle-seal", "0"];
        let servers = [Server::start_with(&args), Server::start_with(&args)];
        let clients = servers.each_ref().map(|one| one.connect(Protocol::Resp2));
        let mut pair = Self {
            _servers: servers,
            clients,
        };
        if let Value::ServerError(_) = pair.clients[0].run("CONFIG SET activedefrag yes") {
            // The macros' output is captured while a test passes; this is not.
            let line =
                "\nLEFT OUT: no test of active defragmentation, the server was built without\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        }
        pair.clients[0].expect("CONFIG SET activedefrag no", "+OK");
        Some(pair)
    }

    /// Sends requests to both, which must reply the same and no error.
    #[track_caller]
    fn send(&mut self, lines: &[Line]) {
        for lines in lines.chunks(200) {
            let [ours, theirs] = self
                .clients
                .each_mut()
                .map(|client| client.pipeline(lines).unwrap());
            let error = ours.iter().find(|one| matches!(one, Value::ServerError(_)));
            assert_eq!(error, None);
            assert_eq!(ours, theirs);
        }
    }

    /// Compares what both hold and answer.
    #[track_caller]
    fn check(&mut self, questions: &[&str]) {
        let [keys, _] = self.clients.each_mut().map(|client| {
            let keys: Vec<String> = redis::from_redis_value(client.run("KEYS *")).unwrap();
            keys
        });
        for key in keys.iter().filter(|key| *key != "events") {
            let [ours, theirs] = self.clients.each_mut().map(|client| client.digest_of(key));
            assert_eq!(ours, theirs, "{key}");
        }
        for question in questions {
            let [ours, theirs] = self.clients.each_mut().map(|client| client.run(question));
            assert!(!matches!(ours, Value::ServerError(_)), "{}", render(&ours));
            assert_eq!(render(&ours), render(&theirs), "{question}");
        }
        let [ours, theirs] = self.clients.each_mut().map(|client| {
            let all = events(client, "events").into_iter();
            all.map(|one| (one.get("event").to_owned(), one.who()))
                .collect::<Vec<_>>()
        });
        assert_eq!(ours, theirs);
    }

    fn wasted(&mut self) -> u64 {
        self.clients[0].info("memory", "allocator_frag_bytes")
    }

    /// Defragments until less than half of the waste is left: of the rest much is the server's own.
    fn defragment(&mut self) {
        // The server looks at its memory ten times a second.
        await_that("the waste is seen", || self.wasted() > WASTE_BYTES);
        let before = self.wasted();
        for (name, value) in EAGER {
            self.clients[0].expect(&format!("CONFIG SET {name} {value}"), "+OK");
        }
        self.clients[0].expect("CONFIG SET activedefrag yes", "+OK");
        await_that("half of the waste is gone", || self.wasted() < before / 2);
    }
}

/// One case.
struct Case {
    /// What both servers are loaded with.
    load: Vec<Line>,
    /// Keys that go then.
    gone: Vec<String>,
    /// Requests by the number of their round, for while one server defragments and for after it.
    requests: fn(i64) -> Vec<String>,
    questions: &'static [&'static str],
    /// Allocations that move at least.
    moves: u64,
}

#[track_caller]
fn check(case: impl FnOnce(&mut Random) -> Case) {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let case = case(&mut Random::new(DEFRAG_SEED));
    pair.send(&case.load);
    let gone = case.gone.iter().map(|key| words(&format!("DEL {key}")));
    pair.send(&gone.collect::<Vec<_>>());
    // First while nothing else happens to the values, then while they are written.
    pair.defragment();
    pair.check(case.questions);
    let moved = pair.clients[0].info("stats", "active_defrag_hits");
    assert!(moved > case.moves, "{moved} allocations have moved");
    let requests = |round| -> Vec<Line> {
        (case.requests)(round)
            .iter()
            .map(|line| words(line))
            .collect()
    };
    for round in 0..200 {
        pair.send(&requests(round));
    }
    pair.check(case.questions);
    pair.clients[0].expect("CONFIG SET activedefrag no", "+OK");
    pair.send(&requests(200));
    pair.check(case.questions);
}

/// Small values, by their number: all are made, most go.
fn small(
    random: &mut Random,
    make: &dyn Fn(&mut Random, usize) -> Vec<Line>,
) -> (Vec<Line>, Vec<usize>) {
    let load = (0..VALUES)
        .flat_map(|number| make(random, number))
        .collect();
    // The first stays, for the questions.
    let gone = (1..VALUES)
        .filter(|_| random.chance(GONE_PERCENT))
        .collect();
    (load, gone)
}

fn all_but_the_first(prefix: &str) -> Vec<String> {
    (1..LARGE)
        .map(|value| format!("{prefix}:{value}"))
        .collect()
}

/// `IOT.ADDBULK` of so many samples, a second apart.
fn samples(random: &mut Random, key: &str, options: &str, from: usize, count: usize) -> Line {
    let samples = (from..from + count).map(|at| format!(" {}000 {}", at, random.reading()));
    words(&format!(
        "IOT.ADDBULK {key} {options} SAMPLES{}",
        samples.collect::<String>()
    ))
}

/// Adds in order and late, and ends a rule: the first series of each case has one.
fn series_requests(round: i64) -> Vec<String> {
    let time_ms = 100_000_000 + 1000 * round;
    vec![
        format!("IOT.ADD series:0 {time_ms} {round}"),
        format!("IOT.ADD series:0 {} {round}", 1000 * round + 500),
        format!("IOT.DEL series:0 {0}001 {0}999", 2 * round),
        format!("IOT.ALTER series:0 LABELS kind first round {round}"),
    ]
}

const SERIES_QUESTIONS: [&str; 6] = [
    "IOT.RANGE series:0 - +",
    "IOT.RANGE series:0 - + AGGREGATION std.p,median 7000",
    "IOT.RANGE series:0:avg - +",
    "IOT.GET series:0",
    "IOT.QUERYINDEX kind=first",
    "IOT.MGET FILTER kind=first kind=temp",
];

#[test]
fn small_series_move() {
    check(|random| {
        let (mut load, gone) = small(random, &|random, number| {
            let key = format!("series:{number}");
            let options = format!("LABELS kind temp room {} serial {number}", number % 50);
            let count = 20 + random.index(280);
            let mut lines = vec![samples(random, &key, &options, 0, count)];
            if number.is_multiple_of(10) {
                let rule =
                    format!("IOT.CREATERULE {key} {key}:avg AGGREGATION avg 10000 BACKFILL CREATE");
                lines.push(words(&rule));
                // A late one: what is not sealed becomes columns.
                lines.push(words(&format!("IOT.ADD {key} 9501 1")));
            }
            lines
        });
        load.push(words("IOT.POLICY SET hours FILTER kind=first RULES max 1h"));
        Case {
            load,
            gone: gone
                .iter()
                .map(|number| format!("series:{number} series:{number}:avg"))
                .collect(),
            requests: series_requests,
            questions: &SERIES_QUESTIONS,
            moves: 500,
        }
    });
}

#[test]
fn a_large_series_moves_in_steps() {
    check(|random| {
        let mut at = [0; LARGE];
        let parts = (0..5_000 * LARGE).map(|_| {
            let value = random.index(LARGE);
            let from = at[value];
            at[value] += 20;
            samples(
                random,
                &format!("series:{value}"),
                "CHUNK_SIZE 128 LABELS kind first",
                from,
                20,
            )
        });
        let mut load: Vec<Line> = parts.collect();
        let blocks = at[0] / 40;
        assert!(blocks > STEPWISE);
        load.push(words(
            "IOT.CREATERULE series:0 series:0:avg AGGREGATION avg 10000 BACKFILL CREATE",
        ));
        Case {
            load,
            gone: all_but_the_first("series"),
            requests: series_requests,
            questions: &SERIES_QUESTIONS,
            moves: STEPWISE as u64,
        }
    });
}

/// Moves devices through fences, and changes these.
fn geo_requests(round: i64) -> Vec<String> {
    let (time_ms, x) = (100_000 + 1000 * round, round % 20);
    vec![
        format!(
            "IOT.TRACK fleet:0 device:1 13.{x:02} 52.05 TS {time_ms} SPEED {x} FIELDS 1 load {round}"
        ),
        format!("IOT.TRACK fleet:0 device:2 13.05 52.{x:02} TS {time_ms}"),
        format!("IOT.TRACK fleet:0 new:{round}:with-a-name-that-is-long 13.01 52.01 TS {time_ms}"),
        format!("IOT.FENCE ADD fences:0 new:{round} CIRCLE 13.5 52.5 100 GROUPS 1 new"),
        format!("IOT.FENCE DEL fences:0 fence:{round}"),
    ]
}

const GEO_QUESTIONS: [&str; 9] = [
    "IOT.POSITION fleet:0 device:1 device:2",
    "IOT.TRAIL fleet:0 device:1 - +",
    "IOT.TRAIL fleet:0 device:3 - +",
    "IOT.NEARBY fleet:0 13.05 52.05 RADIUS 10000 COUNT 20",
    "IOT.FENCE BINDINGS fleet:0",
    "IOT.FENCE AT fences:0 13.05 52.05",
    "IOT.FENCE AT fences:0 13.12 52.03",
    "IOT.FENCE NEAR fences:0 13.05 52.05 COUNT 9",
    "IOT.FENCE GET fences:0 fence:300",
];

/// A place in the quarter of a degree where all happens.
fn place(random: &mut Random) -> (i64, i64) {
    (random.within(0..20), random.within(0..20))
}

/// A polygon with so many vertices, and options.
fn polygon(random: &mut Random, fences: &str, id: usize) -> Line {
    let ((x, y), corners) = (place(random), 3 + random.index(40));
    let corner = |at: usize| {
        let angle = at as f64 / corners as f64 * std::f64::consts::TAU;
        let (x, y) = (13.0 + x as f64 / 100.0, 52.0 + y as f64 / 100.0);
        format!(
            " {:.5} {:.5}",
            x + angle.cos() / 50.0,
            y + angle.sin() / 80.0
        )
    };
    let corners_text: String = (0..corners).map(corner).collect();
    words(&format!(
        "IOT.FENCE ADD {fences} fence:{id} POLYGON {corners}{corners_text} GROUPS 1 group{} META 1 serial {id}",
        id % 7
    ))
}

/// Positions of some devices; a quarter of them have readings and fields.
fn fixes(random: &mut Random, fleet: &str, device: usize, step: usize) -> Line {
    let (x, y) = place(random);
    let more = if device.is_multiple_of(4) {
        " SPEED 20 FIELDS 2 driver somebody load 7"
    } else {
        ""
    };
    words(&format!(
        "IOT.TRACK {fleet} device:{device} 13.{x:02} 52.{y:02} TS {}{more}",
        step * 1000
    ))
}

#[test]
fn small_fleets_move() {
    check(|random| {
        let (mut load, gone) = small(random, &|random, number| {
            let fleet = format!("fleet:{number}");
            let mut lines = vec![words(&format!("IOT.FLEET CREATE {fleet} TRAIL 40"))];
            lines.extend((0..60).map(|step| fixes(random, &fleet, step % 5, step)));
            lines
        });
        load.insert(1, words("IOT.FENCE BIND fleet:0 fences:0 STREAM events"));
        load.insert(
            1,
            words("IOT.FENCE ADD fences:0 fence:300 CIRCLE 13.05 52.05 2000"),
        );
        Case {
            load,
            gone: gone
                .iter()
                .map(|number| format!("fleet:{number}"))
                .collect(),
            requests: geo_requests,
            questions: &GEO_QUESTIONS,
            moves: 2_000,
        }
    });
}

#[test]
fn a_large_fleet_moves_in_steps() {
    check(|random| {
        let mut load: Vec<Line> = (0..LARGE)
            .map(|value| words(&format!("IOT.FLEET CREATE fleet:{value} TRAIL 40")))
            .collect();
        load.push(words(
            "IOT.FENCE ADD fences:0 fence:300 CIRCLE 13.05 52.05 2000",
        ));
        load.push(words("IOT.FENCE BIND fleet:0 fences:0 STREAM events"));
        for step in 0..10 {
            let mut devices = [0; LARGE];
            let turns = (0..2 * STEPWISE * LARGE).map(|_| {
                let value = random.index(LARGE);
                devices[value] += 1;
                fixes(random, &format!("fleet:{value}"), devices[value], step)
            });
            load.extend(turns);
        }
        Case {
            load,
            gone: all_but_the_first("fleet"),
            requests: geo_requests,
            questions: &GEO_QUESTIONS,
            moves: STEPWISE as u64,
        }
    });
}

#[test]
fn small_sets_of_fences_move() {
    check(|random| {
        let (mut load, gone) = small(random, &|random, number| {
            let fences = format!("fences:{number}");
            (0..6).map(|id| polygon(random, &fences, 50 * id)).collect()
        });
        load.insert(0, words("IOT.FENCE BIND fleet:0 fences:0 STREAM events"));
        Case {
            load,
            gone: gone
                .iter()
                .map(|number| format!("fences:{number}"))
                .collect(),
            requests: geo_requests,
            questions: &GEO_QUESTIONS,
            moves: 2_000,
        }
    });
}

#[test]
fn a_large_set_of_fences_moves_in_steps() {
    check(|random| {
        let mut load = vec![words("IOT.FENCE BIND fleet:0 fences:0 STREAM events")];
        load.extend((0..2 * STEPWISE * LARGE).map(|part| {
            let value = random.index(LARGE);
            polygon(random, &format!("fences:{value}"), part / LARGE)
        }));
        Case {
            load,
            gone: all_but_the_first("fences"),
            requests: geo_requests,
            questions: &GEO_QUESTIONS,
            moves: STEPWISE as u64,
        }
    });
}
