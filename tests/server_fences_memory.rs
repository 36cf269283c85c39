//! What fleets and fences cost, and that `MEMORY USAGE` says so.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::{render, words};
use support::server::{Server, await_that};

/// Devices or fences of a case.
const COUNT: usize = 30_000;
/// By how much `MEMORY USAGE` may be wrong.
const TOLERANCE: f64 = 0.05;
/// What the server allocates more or less from one moment to another, for its clients.
const SLACK_BYTES: f64 = 100_000.0;

fn used_memory(client: &mut Client) -> f64 {
    let memory = client.text("INFO memory");
    let line = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    line.unwrap().parse().unwrap()
}

/// Sends a request for each number, by a client that is gone then.
fn load(server: &Server, meter: &mut Client, count: usize, request: &dyn Fn(usize) -> String) {
    {
        let mut loader = server.connect(Protocol::Resp2);
        for first in (0..count).step_by(200) {
            let batch: Vec<_> = (first..(first + 200).min(count))
                .map(|number| words(&request(number)))
                .collect();
            for reply in loader.pipeline(&batch).unwrap() {
                assert!(
                    !matches!(reply, Value::ServerError(_)),
                    "{}",
                    render(&reply)
                );
            }
        }
    }
    await_that("the loader is gone", || {
        meter.text("CLIENT LIST").lines().count() == 1
    });
}

/// A server whose memory is what its keys take.
fn quiet() -> Server {
    Server::start_with(&["--activedefrag", "no", "--hz", "1"])
}

/// Compares `MEMORY USAGE` of a key with the growth of the server.
#[track_caller]
fn check(before: &[&str], key: &str, request: &dyn Fn(usize) -> String) {
    let server = quiet();
    let mut meter = server.connect(Protocol::Resp2);
    // The first value, and the first client that goes, bring tables into being that stay.
    load(&server, &mut meter, 1, request);
    meter.expect(&format!("DEL {key}"), "1");
    for line in before {
        meter.expect(line, "_");
    }
    load(&server, &mut meter, 1, &|_| "PING".into());
    let empty = used_memory(&mut meter);
    load(&server, &mut meter, COUNT, request);
    let grown = used_memory(&mut meter) - empty;
    let said = meter.integer(&format!("MEMORY USAGE {key} SAMPLES 0")) as f64;
    assert!(
        (said - grown).abs() <= TOLERANCE * grown,
        "{}: MEMORY USAGE says {said:.0}, the server grew by {grown:.0}",
        request(0)
    );
    meter.expect(&format!("DEL {key}"), "1");
    // A server may do it in the background.
    await_that(&format!("the memory of {key} is back"), || {
        used_memory(&mut meter) - empty <= 0.01 * grown + SLACK_BYTES
    });
}

/// A place for a number: all over the world.
fn place(number: usize) -> String {
    let (x, y) = (number * 7_919 % 36_000, number * 104_729 % 17_000);
    format!(
        "{:.4} {:.4}",
        x as f64 / 100.1 - 179.9,
        y as f64 / 100.0 - 84.9
    )
}

#[test]
fn memory_usage_is_true_for_fleets() {
    check(&[], "cars", &|number| {
        format!("IOT.TRACK cars van{number} {} TS 1000", place(number))
    });
    check(&[], "cars", &|number| {
        format!(
            "IOT.TRACK cars a-long-name-of-a-device-{number} {} TS 1000 SPEED 20 ACC 3",
            place(number)
        )
    });
    check(&[], "cars", &|number| {
        format!(
            "IOT.TRACK cars van{number} {} TS 1000 EXPIREAT {} FIELDS 2 load {number} driver name{number}",
            place(number),
            99_999_999_000_000 + number
        )
    });
    check(&["IOT.FLEET CREATE trails TRAIL 50"], "trails", &|number| {
        let device = number % 3_000;
        format!("IOT.TRACK trails van{device} {} TS {number}", place(number))
    });
}

#[test]
fn memory_usage_is_true_for_fleets_in_fences() {
    let fences = [
        "IOT.FENCE ADD zones east BBOX 0 -90 180 90",
        "IOT.FENCE ADD zones north BBOX -180 0 180 90",
        "IOT.FENCE ADD zones world BBOX -180 -90 180 90",
        "IOT.FENCE BIND cars zones PUBLISH news",
    ];
    check(&fences, "cars", &|number| {
        format!("IOT.TRACK cars van{number} {} TS 1000", place(number))
    });
}

#[test]
fn memory_usage_is_true_for_fences() {
    let check = |request: &dyn Fn(usize) -> String| check(&[], "zones", request);
    check(&|number| {
        format!(
            "IOT.FENCE ADD zones depot{number} CIRCLE {} 500",
            place(number)
        )
    });
    check(&|number| {
        format!(
            "IOT.FENCE ADD zones depot{number} CIRCLE {} 500 META 2 kind depot city c{number} \
             GROUPS 2 all g{} DEVICES 1 van{number} EXPIREAT {}",
            place(number),
            number % 100,
            99_999_999_000_000 + number
        )
    });
    check(&|number| {
        format!(
            "IOT.FENCE ADD zones depot{number} CIRCLE {} 5000 DETECT enter exit \
             SCHEDULE \"mon-fri 08:00-18:00\" TZ Europe/Berlin",
            place(number)
        )
    });
    check(&|number| {
        let (x, y) = ((number % 300) as f64, (number / 300) as f64);
        let vertices: Vec<String> = (0..30)
            .map(|vertex| {
                let angle = f64::from(vertex) / 30.0 * std::f64::consts::TAU;
                format!(
                    "{:.6} {:.6}",
                    x / 2.0 + angle.cos() / 9.0,
                    y / 2.0 + angle.sin() / 9.0
                )
            })
            .collect();
        format!(
            "IOT.FENCE ADD zones field{number} POLYGON 30 {}",
            vertices.join(" ")
        )
    });
}

#[test]
fn memory_of_fleets_and_fences_comes_back_from_the_background() {
    let server = quiet();
    let mut meter = server.connect(Protocol::Resp2);
    let fill = |meter: &mut Client| {
        load(&server, meter, COUNT, &|number| {
            format!(
                "IOT.FENCE ADD zones depot{number} CIRCLE {} 500",
                place(number)
            )
        });
        load(&server, meter, 1, &|_| {
            "IOT.FENCE BIND cars zones PUBLISH news".into()
        });
        load(&server, meter, COUNT, &|number| {
            format!(
                "IOT.TRACK cars van{number} {} TS 1000 FIELDS 1 name n{number}",
                place(number)
            )
        });
    };
    let before = used_memory(&mut meter);
    fill(&mut meter);
    let grown = used_memory(&mut meter) - before;
    meter.expect("UNLINK cars zones", "2");
    server.await_info("memory", "lazyfreed_objects:2");
    let rest = used_memory(&mut meter) - before;
    assert!(
        rest < 0.02 * grown,
        "{rest} of {grown} bytes stay after UNLINK"
    );
    fill(&mut meter);
    meter.expect("FLUSHALL ASYNC", "+OK");
    server.await_info("memory", "lazyfreed_objects:4");
    let rest = used_memory(&mut meter) - before;
    assert!(
        rest < 0.02 * grown,
        "{rest} of {grown} bytes stay after FLUSHALL"
    );
    // And nothing that hears of the fleet has kept it.
    meter.expect("IOT.FLEET LIST cars", "[0, []]");
}

#[test]
fn memory_of_devices_and_fences_that_go_one_by_one_comes_back() {
    let server = quiet();
    let mut meter = server.connect(Protocol::Resp2);
    meter.expect("IOT.FENCE ADD zones stays CIRCLE 1 1 500", "1");
    meter.expect("IOT.FENCE BIND cars zones PUBLISH news", "+OK");
    let before = used_memory(&mut meter);
    load(&server, &mut meter, COUNT, &|number| {
        format!("IOT.TRACK cars van{number} {} TS 1000", place(number))
    });
    load(&server, &mut meter, COUNT, &|number| {
        format!(
            "IOT.FENCE ADD zones depot{number} CIRCLE {} 500",
            place(number)
        )
    });
    let grown = used_memory(&mut meter) - before;
    load(&server, &mut meter, COUNT, &|number| {
        format!("IOT.UNTRACK cars van{number}")
    });
    load(&server, &mut meter, COUNT, &|number| {
        format!("IOT.FENCE DEL zones depot{number}")
    });
    let rest = used_memory(&mut meter) - before;
    assert!(rest < 0.35 * grown, "{rest} of {grown} bytes stay");
    let said = meter.integer("MEMORY USAGE zones") + meter.integer("MEMORY USAGE cars");
    assert!(
        (said as f64 - rest).abs() < 0.1 * rest.max(50_000.0),
        "MEMORY USAGE says {said}, {rest} bytes stay"
    );
}
