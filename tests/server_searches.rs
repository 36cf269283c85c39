//! Long searches of fleets and fences beside the main thread: the same answers, under limits, and
//! nothing that happens meanwhile does harm.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::fmt::Write as _;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::render;
use support::queries::stat;
use support::seeds::{FLEETS_SEED, Random};
use support::server::{Server, await_that};

/// Degrees around a place.
fn around(random: &mut Random, most: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let degrees = random.within(-most..most + 1) as f64 / 1e6;
    degrees
}

/// Fills a fleet with devices with fields and readings, in a city, all over the world and at the
/// antimeridian, and gives one of them a trail.
fn fill_fleet(client: &mut Client, random: &mut Random, devices: usize) {
    client.expect("IOT.FLEET CREATE f TRAIL 3000", "+OK");
    for at in 0..devices {
        let (lon, lat) = match at % 4 {
            0 => (around(random, 180_000_000), around(random, 90_000_000)),
            1 => (
                179.9 + around(random, 100_000).abs(),
                around(random, 200_000),
            ),
            _ => (13.4 + around(random, 90_000), 52.5 + around(random, 90_000)),
        };
        let mut line = format!("IOT.TRACK f d{at} {lon} {lat} TS {at}");
        if at % 3 == 0 {
            write!(line, " SPEED {}", at % 90).unwrap();
        }
        if at % 2 == 0 {
            let color = if at % 5 == 0 { "red" } else { "blue" };
            write!(line, " FIELDS 2 color {color} load {}", at % 13).unwrap();
        }
        client.expect(&line, "1");
    }
    client.expect(
        "IOT.TRACK f a-device-with-a-name-that-is-not-short 13.4 52.5 TS 7",
        "1",
    );
    let mut positions = String::new();
    for at in 0..2_000 {
        let (lon, lat) = (around(random, 9_000), around(random, 9_000));
        write!(
            positions,
            " walker {} {} {}",
            13.4 + lon,
            52.5 + lat,
            at * 10
        )
        .unwrap();
    }
    client.run(&format!("IOT.MTRACK f{positions}"));
}

/// Fills a set with fences of all kinds.
fn fill_fences(client: &mut Client, random: &mut Random, fences: usize) {
    for at in 0..fences {
        let (x, y) = (
            13.4 + around(random, 400_000),
            52.5 + around(random, 400_000),
        );
        let shape = match at % 4 {
            0 => format!("CIRCLE {x} {y} {}", 10 + at % 900),
            1 => format!("BBOX {x} {y} {} {}", x + 0.01, y + 0.02),
            2 => format!(
                "CORRIDOR 90 3 {x} {y} {} {y} {} {}",
                x + 0.1,
                x + 0.05,
                y + 0.1
            ),
            _ => {
                let (right, top) = (x + 0.02, y + 0.02);
                format!(
                    "POLYGON 4 {x} {y} {right} {y} {right} {top} {x} {top} HOLE 3 {} {} {} {} {} {}",
                    x + 0.005,
                    y + 0.005,
                    x + 0.01,
                    y + 0.005,
                    x + 0.005,
                    y + 0.01
                )
            }
        };
        client.expect(&format!("IOT.FENCE ADD z zone{at} {shape}"), "1");
    }
    client.expect(
        "IOT.FENCE ADD z a-fence-with-a-long-name CORRIDOR 800 4 13.3 52.4 13.4 52.5 13.5 52.4 14 53",
        "1",
    );
}

/// A corridor in a zigzag, in the words of a command.
fn zigzag(points: usize, width_m: u32, (west, south): (f64, f64), (dx, dy): (f64, f64)) -> String {
    let mut shape = format!("CORRIDOR {width_m} {points}");
    let mut x = west;
    for at in 0..points {
        let y = if at % 2 == 0 { south } else { south + dy };
        write!(shape, " {x:.6} {y:.6}").unwrap();
        x += dx;
    }
    shape
}

fn questions() -> Vec<String> {
    let mut questions: Vec<String> = [
        "IOT.NEARBY f 13.4 52.5",
        "IOT.NEARBY f 13.4 52.5 COUNT 700 WITHDIST WITHCOORD WITHFIELDS WITHTS",
        "IOT.NEARBY f 13.4 52.5 COUNT 100000 WITHDIST DESC",
        "IOT.NEARBY f FROM d2 COUNT 50 WITHDIST WITHFIELDS",
        "IOT.NEARBY f FROM d1 RADIUS 30000 COUNT 5000 WITHCOORD",
        "IOT.NEARBY f 180 0 COUNT 100 WITHDIST DESC WHERE color = red",
        "IOT.NEARBY f -70 -89.9 COUNT 9 WITHDIST WHERE speed > 30 WHERE ts < 2000",
        "IOT.NEARBY f 0 0 RADIUS 1 WITHDIST",
        "IOT.NEARBY f 13.4 52.5 COUNT 3 WHERE color = green",
        "IOT.NEARBY f FROM nobody",
        "IOT.NEARBY missing 1 1",
        "IOT.NEARBY z 1 1",
        "IOT.WITHIN f BBOX -180 -90 180 90 LIMIT 100000",
        "IOT.WITHIN f BBOX -180 -90 180 90 WITHFIELDS WITHCOORD WITHTS WHERE color != red",
        "IOT.WITHIN f CIRCLE 13.4 52.5 4000 WITHCOORD",
        "IOT.WITHIN f BBOX 179 -1 -179 1 LIMIT 77",
        "IOT.WITHIN f POLYGON 4 13.3 52.4 13.5 52.45 13.45 52.6 13.32 52.55 LIMIT 10",
        "IOT.WITHIN f FENCE z a-fence-with-a-long-name LIMIT 33 WITHTS",
        "IOT.WITHIN f FENCE z nothing",
        "IOT.WITHIN missing CIRCLE 1 1 1",
        "IOT.INTERSECTS z CIRCLE 13.4 52.5 9000",
        "IOT.INTERSECTS z BBOX -180 -90 180 90 LIMIT 100",
        "IOT.INTERSECTS z BBOX 13 52 13.4 52.5 CURSOR 50",
        "IOT.INTERSECTS z POLYGON 3 13.3 52.4 13.5 52.4 13.4 52.6 LIMIT 7",
        "IOT.INTERSECTS missing CIRCLE 1 1 1",
        "IOT.FENCE NEAR z 13.4 52.5",
        "IOT.FENCE NEAR z 13.4 52.5 COUNT 1000 WITHDIST",
        "IOT.FENCE NEAR z 13.4 52.5 RADIUS 5000 COUNT 1000 WITHDIST",
        "IOT.FENCE NEAR z -120 -30 COUNT 20 WITHDIST",
        "IOT.FENCE NEAR missing 1 1",
        "IOT.TRAIL f walker - +",
        "IOT.TRAIL f walker 5000 15000 COUNT 100",
        "IOT.TRAIL f walker - + SIMPLIFY 100",
        "IOT.TRAIL f walker - + SIMPLIFY 100 GEOJSON",
        "IOT.TRAIL f walker 100000 + GEOJSON",
        "IOT.TRAIL f nobody - +",
    ]
    .map(str::to_owned)
    .into();
    let line = zigzag(300, 500, (13.3, 52.4), (0.001, 0.2));
    questions.push(format!("IOT.WITHIN f {line} LIMIT 50"));
    questions.push(format!("IOT.INTERSECTS z {line} LIMIT 50"));
    questions
}

/// A page's cursor, where a reply is a page that has another behind it.
fn next(question: &str, reply: &Value) -> Option<String> {
    let is_paged = question.contains("LIMIT");
    let Value::Array(parts) = reply else {
        return None;
    };
    let cursor = match parts.first()? {
        Value::BulkString(text) => String::from_utf8(text.clone()).unwrap(),
        Value::Int(number) => number.to_string(),
        _ => return None,
    };
    (is_paged && cursor != "0").then_some(cursor)
}

#[test]
fn answers_are_the_same_on_the_main_thread_and_beside_it() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut random = Random::new(FLEETS_SEED + 20);
    fill_fleet(&mut client, &mut random, 3_000);
    fill_fences(&mut client, &mut random, 400);
    for protocol in Protocol::BOTH {
        let mut client = server.connect(protocol);
        let mut beside_before = stat(&mut client, "queries_ended");
        for question in questions() {
            let mut line = question.clone();
            loop {
                client.expect("CONFIG SET redis-iot.inline-samples 1000000000", "+OK");
                let inline = client.run(&line);
                let ended = stat(&mut client, "queries_ended");
                assert_eq!(ended, beside_before, "{line}");
                client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
                let beside = client.run(&line);
                assert!(
                    render(&inline) == render(&beside),
                    "{line} {protocol:?}:\n{}\n{}",
                    render(&inline),
                    render(&beside)
                );
                beside_before = stat(&mut client, "queries_ended");
                match next(&question, &inline) {
                    Some(cursor) => line = format!("{question} CURSOR {cursor}"),
                    None => break,
                }
            }
        }
    }
    // Nearly all of them, and many pages.
    assert!(stat(&mut client, "queries_ended") > 2 * 80);
    server.assert_no_panic();
}

#[test]
fn short_searches_stay_on_the_main_thread() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut random = Random::new(FLEETS_SEED + 21);
    fill_fleet(&mut client, &mut random, 2_000);
    fill_fences(&mut client, &mut random, 100);
    for question in [
        "IOT.NEARBY f 13.4 52.5 COUNT 100 WITHDIST",
        "IOT.NEARBY f 13.4 52.5 WHERE color = red",
        "IOT.WITHIN f BBOX -180 -90 180 90",
        "IOT.WITHIN f CIRCLE 13.4 52.5 100",
        "IOT.INTERSECTS z CIRCLE 13.4 52.5 1000",
        "IOT.FENCE NEAR z 13.4 52.5",
        "IOT.TRAIL f walker - +",
    ] {
        client.run(question);
        assert_eq!(stat(&mut client, "query_threads"), 0, "{question}");
    }
    client.run("IOT.NEARBY f 13.4 52.5 COUNT 3 WHERE color = green");
    assert_eq!(stat(&mut client, "queries_ended"), 1);
}

#[test]
fn limits_hold_on_the_main_thread_and_beside_it() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut random = Random::new(FLEETS_SEED + 22);
    fill_fleet(&mut client, &mut random, 1_000);
    fill_fences(&mut client, &mut random, 200);
    let questions = [
        "IOT.NEARBY f 13.4 52.5 COUNT 500",
        "IOT.WITHIN f BBOX -180 -90 180 90",
        "IOT.INTERSECTS z BBOX 13 52 14 53",
        "IOT.FENCE NEAR z 13.4 52.5 COUNT 150",
        "IOT.TRAIL f walker - +",
    ];
    client.expect("CONFIG SET redis-iot.max-samples 100", "+OK");
    let error = "-\"ERR the query would scan *, more than redis-iot.max-samples 100\"";
    for inline in [0, 60, 1_000_000] {
        let line = format!("CONFIG SET redis-iot.inline-samples {inline}");
        client.expect(&line, "+OK");
        for question in questions {
            client.expect(question, error);
            client.expect("MULTI", "+OK");
            client.expect(question, "+QUEUED");
            client.expect("EXEC", &format!("[{error}]"));
        }
    }
    client.expect("CONFIG SET redis-iot.max-samples 0", "+OK");
    client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
    let ended = stat(&mut client, "queries_ended");
    for question in questions {
        let beside = client.run(question);
        client.expect("MULTI", "+OK");
        client.expect(question, "+QUEUED");
        let Value::Array(replies) = client.run("EXEC") else {
            panic!("no replies");
        };
        assert_eq!(render(&replies[0]), render(&beside), "{question}");
        let words: Vec<String> = question
            .split(' ')
            .map(|word| format!("'{word}'"))
            .collect();
        let script = format!("return redis.call({})", words.join(","));
        let reply = client.call(&["EVAL", &script, "0"]);
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{question}: {reply:?}"
        );
    }
    let beside = questions.len() as u64;
    assert_eq!(stat(&mut client, "queries_ended"), ended + beside);
}

/// A search that takes long: many places, each compared with all edges of a line that passes them all.
struct Slow {
    line: String,
    expected: Value,
}

/// Makes the fleet `busy`, and the set `zones`, and a search of the fleet.
fn make_slow(client: &mut Client, devices: usize) -> Slow {
    client.run("DEL busy zones");
    let mut random = Random::new(FLEETS_SEED + 23);
    for first in (0..devices).step_by(2_000) {
        let mut items = String::new();
        for at in first..first + 2_000 {
            let (lon, lat) = (
                10.5 + around(&mut random, 500_000),
                50.5 + around(&mut random, 500_000),
            );
            write!(items, " d{at} {lon} {lat} 1").unwrap();
        }
        client.run(&format!("IOT.MTRACK busy{items}"));
    }
    let shape = zigzag(9_000, 1, (10.0, 50.0), (0.000_111, 1.0));
    client.expect(&format!("IOT.FENCE ADD zones line {shape}"), "1");
    client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
    let line = "IOT.WITHIN busy FENCE zones line LIMIT 100000 WITHCOORD".to_owned();
    let expected = client.run(&line);
    Slow { line, expected }
}

/// Runs `act` while the search runs for another client; returns that client and what it should get. A
/// machine that is faster than the search gets a larger fleet.
#[track_caller]
fn during(server: &Server, mut act: impl FnMut(&mut Client)) -> (Client, Value) {
    let mut client = server.connect(Protocol::Resp2);
    for devices in [10_000, 50_000, 200_000] {
        let slow = make_slow(&mut client, devices);
        let ended = stat(&mut client, "queries_ended");
        let mut waiting = server.connect(Protocol::Resp2);
        waiting.send(&slow.line);
        await_that("the search runs", || {
            stat(&mut client, "queries_running") == 1 || stat(&mut client, "queries_ended") > ended
        });
        act(&mut client);
        if stat(&mut client, "queries_ended") == ended || stat(&mut client, "queries_cancelled") > 0
        {
            return (waiting, slow.expected);
        }
    }
    panic!("no search is long enough to do anything meanwhile");
}

#[test]
fn others_are_served_and_values_go_away_while_a_search_runs() {
    let mut server = Server::start();
    let (mut waiting, expected) = during(&server, |client| {
        client.expect("PING", "+PONG");
        client.expect("SET other 1", "+OK");
        client.expect("IOT.FENCE DEL zones line", "1");
        client.expect("IOT.UNTRACK busy d1 d2 d3", "3");
        client.expect("IOT.TRACK busy d4 0 0 TS 9", "1");
        client.expect("DEL busy", "1");
        client.expect("FLUSHALL", "+OK");
    });
    assert_eq!(waiting.receive(), Ok(expected));
    server.assert_alive(&|| "a search".into());
}

#[test]
fn a_client_that_is_killed_takes_its_search_along() {
    let server = Server::start();
    let (mut waiting, _) = during(&server, |client| {
        client.expect("CLIENT KILL TYPE normal SKIPME yes", "1");
        await_that("the search is cancelled", || {
            stat(client, "queries_cancelled") == 1
        });
    });
    assert!(waiting.receive().is_err());
}

#[test]
fn a_search_takes_no_longer_than_permitted_and_has_no_more_beside_it() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let slow = make_slow(&mut client, 10_000);
    client.expect("CONFIG SET redis-iot.query-timeout 1", "+OK");
    let error = "-ERR the query took longer than redis-iot.query-timeout 1 ms";
    client.expect(&slow.line, error);
    assert_eq!(stat(&mut client, "queries_timed_out"), 1);
    client.expect("MULTI", "+OK");
    client.expect(&slow.line, "+QUEUED");
    client.expect("EXEC", &format!("[-\"{}\"]", &error[1..]));
    client.expect("CONFIG SET redis-iot.query-timeout 0", "+OK");
    client.expect("CONFIG SET redis-iot.max-queries 1", "+OK");
    let (mut waiting, expected) = during(&server, |client| {
        client.expect(
            "IOT.NEARBY busy 10.5 50.5",
            "-ERR too many queries at once: redis-iot.max-queries is 1",
        );
    });
    assert_eq!(waiting.receive(), Ok(expected));
}
