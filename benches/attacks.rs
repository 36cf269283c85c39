//! Attacks on the time of the server, each beside the same thing as it is meant.
//!
//! `cargo bench --bench attacks` starts a server with the release build of the module. A figure is how long
//! the server was held: the longest of some thousand `PING` of another connection while the command ran. So
//! what runs beside the main thread counts only as far as it is in the way.
//! `cargo bench --bench attacks -- fences late` runs only the named parts.
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::{packed, words};
use support::seeds::{HOSTILE_SEED, Random};
use support::server::Server;

/// The words of a command.
type Line = Vec<Vec<u8>>;
/// A part of the bench.
type Part = fn(&mut Bench);

fn main() {
    let parts: [(&str, Part); 7] = [
        ("rings", rings),
        ("fences", fences),
        ("devices", devices),
        ("late", late),
        ("rules", rules),
        ("queries", queries),
        ("labels", labels),
    ];
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let server = Server::start();
    let mut bench = Bench {
        client: server.connect(Protocol::Resp2),
        watcher: server.connect(Protocol::Resp2),
    };
    println!(
        "{:<58} {:>10} {:>10} {:>9}  bounded by",
        "attack", "normal", "attack", "ratio"
    );
    for (name, part) in parts {
        if chosen.is_empty() || chosen.iter().any(|wanted| wanted == name) {
            bench.client.expect("FLUSHALL SYNC", "+OK");
            part(&mut bench);
        }
    }
}

struct Bench {
    client: Client,
    /// Asks again and again whether the server answers.
    watcher: Client,
}

impl Bench {
    /// How long the server is held by some lines that are sent at once.
    fn held(&mut self, lines: &[Line]) -> Duration {
        let mut longest = Duration::ZERO;
        std::thread::scope(|scope| {
            let client = &mut self.client;
            let replies = scope.spawn(move || client.pipeline(lines).unwrap());
            while !replies.is_finished() {
                let begun = Instant::now();
                self.watcher.expect("PING", "+PONG");
                longest = longest.max(begun.elapsed());
            }
        });
        longest
    }

    /// How long one of so many lines takes, sent at once.
    fn each(&mut self, lines: &[Line]) -> Duration {
        let begun = Instant::now();
        self.client.pipeline(lines).unwrap();
        begun.elapsed() / u32::try_from(lines.len()).unwrap()
    }

    fn run(&mut self, line: &str) -> Value {
        self.client.run(line)
    }

    fn all(&mut self, lines: impl Iterator<Item = String>) {
        let lines: Vec<Line> = lines.map(|line| words(&line)).collect();
        for some in lines.chunks(10_000) {
            self.client.pipeline(some).unwrap();
        }
    }
}

fn row(what: &str, normal: Duration, attack: Duration, bound: &str) {
    let [normal, attack] = [normal, attack].map(|time| time.as_secs_f64() * 1e3);
    println!(
        "{what:<58} {normal:>7.3} ms {attack:>7.3} ms {:>8.1}x  {bound}",
        attack / normal
    );
}

fn one(line: &str) -> [Line; 1] {
    [words(line)]
}

/// A ring as `POLYGON` takes it.
fn polygon(id: &str, points: &[(f64, f64)]) -> [Line; 1] {
    let points: Vec<String> = points
        .iter()
        .map(|(x, y)| format!("{x:.7} {y:.7}"))
        .collect();
    one(&format!(
        "IOT.FENCE ADD z {id} POLYGON {} {}",
        points.len(),
        points.join(" ")
    ))
}

/// As many vertices as there may be, on a circle, in a comb whose teeth all cross one line, and in long thin
/// bars whose boxes all overlap.
#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^53")]
fn rings(bench: &mut Bench) {
    const VERTICES: usize = 10_000;
    let share = |at: usize| at as f64 / VERTICES as f64;
    let circle: Vec<_> = (0..VERTICES)
        .map(|at| (share(at) * std::f64::consts::TAU).sin_cos())
        .map(|(sin, cos)| (50.0 * cos, 50.0 * sin))
        .collect();
    let mut comb: Vec<_> = (0..VERTICES - 2)
        .map(|at| (100.0 * share(at), if at % 2 == 0 { 0.0 } else { 50.0 }))
        .collect();
    comb.extend([(100.0, 60.0), (0.0, 60.0)]);
    let mut bars: Vec<_> = (0..VERTICES - 3)
        .map(|at| (if at % 2 == 0 { -100.0 } else { 100.0 }, 60.0 * share(at)))
        .collect();
    bars.extend([(101.0, 61.0), (101.0, -1.0), (-100.1, -1.0)]);
    let normal = bench.held(&polygon("circle", &circle));
    for (name, ring) in [("comb", &comb), ("bars", &bars)] {
        let attack = bench.held(&polygon(name, ring));
        row(
            &format!("FENCE ADD of 10,000 vertices, {name}"),
            normal,
            attack,
            "max-vertices, 2^27 comparisons",
        );
    }
    let [inside, beside] = ["IOT.FENCE AT z 0.5 0.25", "IOT.FENCE AT z 170 80"].map(words);
    let (normal, attack) = (
        bench.each(&vec![beside; 1_000]),
        bench.each(&vec![inside; 1_000]),
    );
    row(
        "FENCE AT in all of them",
        normal,
        attack,
        "max-vertices, stripes of a ring",
    );
}

fn fences(bench: &mut Bench) {
    for fences in [1_000, 100_000] {
        bench.run("FLUSHALL SYNC");
        bench.all(
            (0..fences)
                .map(|at| format!("IOT.FENCE ADD z a{at} CIRCLE 10 50 {}", 1_000 + at % 100)),
        );
        bench.run("IOT.FENCE ADD z lone CIRCLE 40 50 1000");
        bench.run("IOT.TRACK f far 0 0 TS 1");
        let sinks: Vec<String> = (0..16)
            .map(|at| format!("STREAM x{at} MAXLEN 100"))
            .collect();
        bench.run(&format!("IOT.FENCE BIND f z {}", sinks.join(" ")));
        let what = format!("{fences} fences on one place");
        let normal = bench.held(&one("IOT.FENCE AT z 40 50"));
        let attack = bench.held(&one("IOT.FENCE AT z 10 50"));
        row(
            &format!("FENCE AT of {what}"),
            normal,
            attack,
            "fences that are there: 0.1 us each",
        );
        let normal = bench.held(&one("IOT.TRACK f d 40 50 TS 1"));
        let attack = bench.held(&one("IOT.TRACK f e 10 50 TS 1"));
        row(
            &format!("TRACK into {what}, 16 sinks"),
            normal,
            attack,
            "1,024 fences a device",
        );
        let many = |at: &str| {
            let items: Vec<String> = (0..2_000)
                .map(|device| format!("m{device} {at} 1"))
                .collect();
            one(&format!("IOT.MTRACK f {}", items.join(" ")))
        };
        let (normal, attack) = (bench.held(&many("0 0")), bench.held(&many("10 50")));
        row(
            &format!("MTRACK of 2,000 into {what}"),
            normal,
            attack,
            "50,000 events a command",
        );
        let normal = bench.held(&one("IOT.FENCE UNBIND f none"));
        let attack = bench.held(&one("IOT.FENCE UNBIND f z"));
        row(
            &format!("UNBIND of {what}"),
            normal,
            attack,
            "50,000 events a command",
        );
    }
}

fn devices(bench: &mut Bench) {
    const DEVICES: i64 = 100_000;
    let spread = |at: i64| (at % 300 - 150, at / 300 % 160 - 80);
    bench.all((0..DEVICES).map(|at| {
        let (lon, lat) = spread(at);
        format!("IOT.TRACK spread d{at} {lon} {lat}")
    }));
    let id = "a".repeat(500);
    bench.all((0..DEVICES).map(|at| format!("IOT.TRACK pile {id}{at} 10 50")));
    for rest in ["10 50", "10 50 WHERE a = b", "10 50 RADIUS 1"] {
        let normal = bench.held(&one(&format!("IOT.NEARBY spread {rest}")));
        let attack = bench.held(&one(&format!("IOT.NEARBY pile {rest}")));
        row(
            &format!("NEARBY {rest}, all devices at one point"),
            normal,
            attack,
            "inline-samples, then beside",
        );
    }
    let glob = format!("*{}x", "a".repeat(200));
    let normal = bench.held(&one("IOT.FLEET LIST spread MATCH none* COUNT 100000"));
    let attack = bench.held(&one(&format!(
        "IOT.FLEET LIST pile MATCH {glob} COUNT 100000"
    )));
    row(
        "FLEET LIST of ids of 505 bytes, MATCH of 202",
        normal,
        attack,
        "100,000 looks, linear patterns",
    );
}

fn late(bench: &mut Bench) {
    const SAMPLES: i64 = 1_000_000;
    let mut random = Random::new(HOSTILE_SEED);
    let bulk = |key: &str, samples: &[(i64, f64)]| {
        let mut line = words(&format!("IOT.ADDBULK {key} ON_DUPLICATE LAST PACKED"));
        line.push(packed(samples.iter().copied()));
        [line]
    };
    let values: Vec<(i64, f64)> = (0..SAMPLES).map(|time| (time, random.reading())).collect();
    bench.client.pipeline(&bulk("big", &values)).unwrap();
    let adds = |key: &str, times: Vec<i64>| -> Vec<Line> {
        let line = |time| words(&format!("IOT.ADD {key} {time} 1 ON_DUPLICATE LAST"));
        times.into_iter().map(line).collect()
    };
    let normal = bench.each(&adds("up", (0..20_000).collect()));
    let attack = bench.each(&adds("down", (0..20_000).rev().collect()));
    row("ADD, each older than all", normal, attack, "one block");
    let times = (0..20_000).map(|_| random.within(0..SAMPLES)).collect();
    let attack = bench.each(&adds("big", times));
    row("ADD, anywhere in a million", normal, attack, "one block");
    let attack = bench.each(&adds("one", vec![7; 20_000]));
    row("ADD, all at one time", normal, attack, "one block");
    let normal = bench.held(&bulk("bulk", &values[..100_000]));
    let mut backwards = values[..100_000].to_vec();
    backwards.reverse();
    let attack = bench.held(&bulk("backwards", &backwards));
    row(
        "ADDBULK of 100,000, each older than all",
        normal,
        attack,
        "one block a sample",
    );
    let anywhere: Vec<_> = (0..10_000)
        .map(|_| (random.within(0..SAMPLES), 1.0))
        .collect();
    let normal = bench.held(&bulk("bulk", &values[..10_000]));
    let attack = bench.held(&bulk("big", &anywhere));
    row(
        "ADDBULK of 10,000, anywhere in a million",
        normal,
        attack,
        "one block a sample",
    );
}

fn rules(bench: &mut Bench) {
    let values: Vec<(i64, f64)> = (0..1_000_000).map(|at| (at * 1_000, 1.0)).collect();
    let mut line = words("IOT.ADDBULK t PACKED");
    line.push(packed(values));
    bench.client.pipeline(&[line]).unwrap();
    for rule in 0..64 {
        bench.run(&format!(
            "IOT.CREATERULE t d{rule} AGGREGATION median 365d CREATE"
        ));
    }
    let normal = bench.held(&one("IOT.ADD t 1000000000 1"));
    let attack = bench.held(&one("IOT.ADD t 500 1"));
    row(
        "ADD late, 64 rules of a year's median",
        normal,
        attack,
        "64 rules of one bucket each",
    );
    bench.run("IOT.ADDBULK c0 SAMPLES 1 1 2 2 3 3");
    for rule in 0..64 {
        let next = rule + 1;
        bench.run(&format!(
            "IOT.CREATERULE c{rule} c{next} AGGREGATION sum 1 BACKFILL CREATE"
        ));
    }
    let attack = bench.held(&one("IOT.ADD c0 2 5 ON_DUPLICATE LAST"));
    row(
        "ADD late at the head of a chain of 64",
        normal,
        attack,
        "64 rules in a chain",
    );
}

fn queries(bench: &mut Bench) {
    bench.run("IOT.ADDBULK t SAMPLES 0 1 4194303 1");
    let query = "IOT.RANGE t - + AGGREGATION avg,twa,std.s 1 EMPTY";
    let normal = bench.held(&one("IOT.RANGE t - + AGGREGATION avg,twa,std.s 1000 EMPTY"));
    let attack = bench.held(&one(query));
    row(
        "RANGE of two samples, 4,194,304 empty buckets",
        normal,
        attack,
        "beside the main thread",
    );
    let transaction = ["MULTI", query, "EXEC"].map(words);
    let attack = bench.held(&transaction);
    row(
        "the same in a transaction",
        normal,
        attack,
        "inline-timeout",
    );
    let normal = bench.held(&one("IOT.ADD t 5000000 1"));
    let mut waiter = words("IOT.MREAD 1024");
    waiter.extend(vec![b"t".to_vec(); 1_024]);
    waiter.extend((0..1_024).map(|at| at.to_string().into_bytes()));
    waiter.extend(words("BLOCK 1000 1000000"));
    let attack = std::thread::scope(|scope| {
        let client = &mut bench.client;
        let reply = scope.spawn(move || client.pipeline(&[waiter]).unwrap());
        let watcher = &mut bench.watcher;
        let mut longest = Duration::ZERO;
        let mut time_ms = 6_000_000;
        while !reply.is_finished() {
            let begun = Instant::now();
            watcher.run(&format!("IOT.ADD t {time_ms} 1"));
            longest = longest.max(begun.elapsed());
            time_ms += 1;
        }
        longest
    });
    row(
        "ADD to a series that an MREAD waits for 1,024 times",
        normal,
        attack,
        "1,024 keys a waiting client",
    );
}

fn labels(bench: &mut Bench) {
    const SERIES: usize = 20_000;
    let create = |prefix: &str, value: &str, count: usize| -> Vec<Line> {
        let line = |at| {
            words(&format!(
                "IOT.CREATE {prefix}{at} LABELS {prefix} {value}{at}"
            ))
        };
        (0..count).map(line).collect()
    };
    let normal = bench.each(&create("short", "v", SERIES));
    let attack = bench.each(&create("long", &"ab".repeat(1_900), SERIES));
    row(
        "CREATE with a label of 3,800 bytes",
        normal,
        attack,
        "4,096 bytes a label",
    );
    let wide = |at: usize| {
        let labels: Vec<String> = (0..64)
            .map(|label| format!("w{label} {at}.{label}"))
            .collect();
        words(&format!("IOT.CREATE wide{at} LABELS {}", labels.join(" ")))
    };
    let attack = bench.each(&(0..SERIES).map(wide).collect::<Vec<_>>());
    row(
        "CREATE with 64 labels of their own",
        normal,
        attack,
        "64 labels a series",
    );
    for pattern in [
        "~=(a|b|ab)*x",
        "~=(?:(?:a|b)*a(?:a|b){12})+x",
        "~=.*.*.*.*.*=.*",
    ] {
        let normal = bench.held(&one(&format!("IOT.CARD FILTER short{pattern}")));
        let attack = bench.held(&one(&format!("IOT.CARD FILTER long{pattern}")));
        row(
            &format!("regex {pattern} over 20,000 x 3,800 bytes"),
            normal,
            attack,
            "linear time, bytes of values",
        );
    }
    let glob = format!("~{}x", "*ab".repeat(80));
    let normal = bench.held(&one("IOT.CARD FILTER short~v1*"));
    let attack = bench.held(&one(&format!("IOT.CARD FILTER long{glob}")));
    row(
        "glob of 80 stars over 20,000 x 3,800 bytes",
        normal,
        attack,
        "linear time, bytes of values",
    );
}
