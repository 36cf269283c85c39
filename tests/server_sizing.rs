//! What docs/operations.md says of memory is what a server takes: the numbers are read out of its
//! tables, and compared with the growth of `used_memory`.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]

mod support;

use std::fmt::Write;

use redis::Value;
use support::client::{Client, Protocol};
use support::manual;
use support::notation::{packed, render, words};
use support::seeds::{PERSISTENCE_SEED, Random};
use support::server::{Server, await_that};

/// By how much the formulas may be wrong; the manual says so.
const TOLERANCE: f64 = 0.2;
/// Devices or fences of a case.
const COUNT: usize = 30_000;
/// Cases of series: how many, and how many samples each has. The last has no full block.
const SERIES: [(usize, usize); 3] = [(100, 20_000), (400, 3_000), (4_000, 100)];

/// What a key of 16 bytes takes beside its value on the server of the manual, Redis 7.0; on others it is
/// less.
const PLAIN_KEY_BYTES: f64 = 110.0;

/// A request for each number.
type Requests<'a> = &'a dyn Fn(usize) -> Vec<Vec<u8>>;

/// By how many bytes a server grows with so many requests, which make keys or parts of keys.
fn growth(before: &[&str], count: usize, request: Requests<'_>) -> f64 {
    let server = Server::start_with(&["--activedefrag", "no", "--hz", "1"]);
    let mut meter = server.connect(Protocol::Resp2);
    // The first value, and the first client that goes, bring tables into being that stay.
    load(&server, &mut meter, 1, request);
    meter.expect("FLUSHALL SYNC", "+OK");
    for line in before {
        meter.expect(line, "_");
    }
    load(&server, &mut meter, 1, &|_| words("PING"));
    let empty = meter.info("memory", "used_memory");
    load(&server, &mut meter, count, request);
    meter.info("memory", "used_memory") as f64 - empty as f64
}

/// Sends the requests by a client that is gone then.
fn load(server: &Server, meter: &mut Client, count: usize, request: Requests<'_>) {
    {
        let mut loader = server.connect(Protocol::Resp2);
        for first in (0..count).step_by(50) {
            let batch: Vec<_> = (first..(first + 50).min(count)).map(request).collect();
            for reply in loader.pipeline(&batch).unwrap() {
                let is_error = matches!(reply, Value::ServerError(_));
                assert!(!is_error, "{}", render(&reply));
            }
        }
    }
    await_that("the loader is gone", || {
        meter.text("CLIENT LIST").lines().count() == 1
    });
}

/// Formulas and what was measured, compared when all are there: who corrects the manual sees every row.
#[derive(Default)]
struct Report {
    lines: String,
    is_wrong: bool,
}

impl Report {
    fn add(&mut self, what: &str, said: f64, measured: f64) {
        let error = said / measured - 1.0;
        let is_wrong = error.abs() > TOLERANCE;
        self.is_wrong |= is_wrong;
        let mark = if is_wrong { "  <-- wrong" } else { "" };
        let percent = error * 100.0;
        writeln!(
            self.lines,
            "{what}: {said:.1} bytes said, {measured:.1} measured, {percent:+.0} %{mark}"
        )
        .unwrap();
    }

    #[track_caller]
    fn check(&self) {
        assert!(!self.is_wrong, "\n{}", self.lines);
    }
}

/// The numbers of a table, by the text of the first column.
fn numbers(heading: &str) -> Vec<(String, Vec<f64>)> {
    let text = manual::text("docs/operations.md");
    let rows = manual::table(&text, heading);
    let read = |cells: Vec<&str>| {
        let numbers = cells[1..].iter().map(|cell| {
            let cell = cell.replace(',', "");
            cell.parse()
                .unwrap_or_else(|_| panic!("{cell} in {heading}"))
        });
        (cells[0].to_owned(), numbers.collect())
    };
    rows.into_iter().map(read).collect()
}

/// The only number in a row.
#[track_caller]
fn number(rows: &[(String, Vec<f64>)], name: &str) -> f64 {
    let row = rows.iter().find(|(text, _)| text == name);
    let row = row.unwrap_or_else(|| panic!("no row '{name}' in the manual: {rows:?}"));
    row.1[0]
}

/// Samples as the kinds of the table make them.
fn samples(kind: &str, count: usize, random: &mut Random) -> Vec<(i64, f64)> {
    let mut state = 200_i64;
    let mut walk = 20.0_f64;
    let mut time_ms = 1_700_000_000_000;
    let next = |_| {
        time_ms += 10_000;
        let value = match kind {
            "thermometer: one decimal, changes by steps of 0.1" => {
                state += i64::from(random.chance(10)) * (random.within(0..2) * 2 - 1);
                state as f64 / 10.0
            }
            "counter: whole numbers that rise by 0 to 99" => {
                state += random.within(0..100);
                state as f64
            }
            "noise: two decimals, any of -1,000 to 1,000" => random.reading(),
            "state: one of four, changes now and then" => {
                if random.chance(2) {
                    state = random.within(0..4);
                }
                (state % 4) as f64
            }
            "all digits: a random walk of doubles" => {
                walk += random.within(-1_000_000..1_000_001) as f64 / 1_234_567.0;
                walk
            }
            "thermometer with uneven times: up to half a second off" => {
                state += i64::from(random.chance(10)) * (random.within(0..2) * 2 - 1);
                time_ms += random.within(-500..501);
                state as f64 / 10.0
            }
            other => panic!("the manual has a kind '{other}' that is not measured"),
        };
        (time_ms, value)
    };
    (0..count).map(next).collect()
}

/// Makes a series with a key of 16 bytes and three labels.
fn series(kind: &str, number: usize, count: usize) -> Vec<Vec<u8>> {
    let mut random = Random::new(PERSISTENCE_SEED + number as u64);
    let (room, floor) = (number % 500, number % 10);
    let mut line = words(&format!(
        "IOT.ADDBULK sensor:{number:09} LABELS room {room} floor {floor} kind temperature PACKED"
    ));
    line.push(packed(samples(kind, count, &mut random)));
    line
}

#[test]
fn series_take_what_the_manual_says() {
    let mut report = Report::default();
    let plain = |number: usize| words(&format!("SET sensor:{number:09} \"\""));
    let saved = (PLAIN_KEY_BYTES - growth(&[], 4_000, &plain) / 4_000.0).max(0.0);
    for (kind, numbers) in numbers("### Series") {
        let [of_series, of_sample] = numbers[..] else {
            panic!("{kind}: {numbers:?}");
        };
        for (count, each) in SERIES {
            let grown = growth(&[], count, &|number| series(&kind, number, each));
            let said = of_series - saved + of_sample * each as f64;
            report.add(
                &format!("{kind}, {each} samples"),
                said,
                grown / count as f64,
            );
        }
    }
    report.check();
}

#[test]
fn fleets_take_what_the_manual_says() {
    let rows = numbers("### Fleets");
    let row = |name| number(&rows, name);
    let device = row("a device, with an id of 8 bytes");
    let mut report = Report::default();
    let mut check = |name: &str, before: &[&str], said: f64, more: &str| {
        let grown = growth(before, COUNT, &|number| {
            let more = more.replace("{}", &number.to_string());
            words(&format!(
                "IOT.TRACK vans van{number:05} {} TS 1000 {more}",
                place(number)
            ))
        });
        report.add(name, said, grown / COUNT as f64);
    };
    check("device", &[], device, "");
    let readings = row("`SPEED`, `HEADING`, `ALT` and `ACC`, some or all");
    check("readings", &[], device + readings, "SPEED 20 HEADING 90");
    let fields = row("fields, some or all, beside their bytes");
    check("field", &[], device + fields + 9.0, "FIELDS 1 load {}");
    check(
        "expiry",
        &[],
        device + row("an expiry"),
        "EXPIREAT 99999999{}",
    );
    let fence = row("being in fences, up to three");
    let fences = [
        "IOT.FENCE ADD zones world BBOX -180 -90 180 90",
        "IOT.FENCE ADD zones earth BBOX -180 -90 180 90",
        "IOT.FENCE BIND vans zones PUBLISH news",
    ];
    check("visits", &fences, device + fence, "");

    let (positions, devices) = (50, COUNT / 50);
    let grown = growth(&["IOT.FLEET CREATE vans TRAIL 50"], COUNT, &|number| {
        let (device, step) = (number % devices, number / devices);
        let [x, y] =
            [device % 300, device / 300].map(|at| at as f64 / 10.0 + step as f64 / 5_000.0);
        words(&format!(
            "IOT.TRACK vans van{device:05} {x:.5} {y:.5} TS {}",
            step * 10_000
        ))
    });
    let said = device + f64::from(positions) * row("each position of a trail");
    report.add("trail", said, grown / devices as f64);
    report.check();
}

#[test]
fn fences_take_what_the_manual_says() {
    let rows = numbers("### Sets of fences");
    let row = |name| number(&rows, name);
    let fence = row("a fence, with an id of 10 bytes: circle or box");
    let mut report = Report::default();
    let mut check = |name: &str, said: f64, shape: &dyn Fn(usize) -> String| {
        let grown = growth(&[], COUNT, &|number| {
            words(&format!(
                "IOT.FENCE ADD zones fence{number:05} {}",
                shape(number)
            ))
        });
        report.add(name, said, grown / COUNT as f64);
    };
    check("circle", fence, &|number| {
        format!("CIRCLE {} 500", place(number))
    });
    let options = row("options, some or all, beside their bytes");
    check("dwell", fence + options + 9.0, &|number| {
        format!("CIRCLE {} 500 DWELL 10m META 1 kind depot", place(number))
    });
    let (polygon_more, vertex) = (row("a polygon instead"), row("each vertex of it"));
    for vertices in [10, 50] {
        check(
            &format!("{vertices} vertices"),
            fence + polygon_more + f64::from(vertices) * vertex,
            &|number| polygon(number, vertices),
        );
    }
    report.check();
}

/// A place for a number: all over the world.
fn place(number: usize) -> String {
    let (x, y) = (number * 7_919 % 36_000, number * 104_729 % 17_000);
    let (x, y) = (x as f64 / 100.1 - 179.9, y as f64 / 100.0 - 84.9);
    format!("{x:.4} {y:.4}")
}

fn polygon(number: usize, vertices: i32) -> String {
    let [x, y] = [number % 300, number / 300].map(|at| at as f64 / 2.0);
    let mut text = format!("POLYGON {vertices}");
    for vertex in 0..vertices {
        let angle = f64::from(vertex) / f64::from(vertices) * std::f64::consts::TAU;
        let (x, y) = (x + angle.cos() / 9.0, y + angle.sin() / 9.0);
        write!(text, " {x:.6} {y:.6}").unwrap();
    }
    text
}
