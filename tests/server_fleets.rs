//! Fleets in a server: searches against looking at everybody, trails, and keys that go while they are
//! busy.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::{number, render};
use support::seeds::{FLEETS_SEED, Random};
use support::server::Server;

/// Devices of a fleet that is searched.
const DEVICES: usize = 3_000;

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::BulkString(text) => String::from_utf8(text.clone()).unwrap(),
                other => panic!("{}", render(other)),
            })
            .collect(),
        other => panic!("{}", render(other)),
    }
}

/// Metres between two places on a sphere: good for half a percent.
fn sphere_m((lon1, lat1): (f64, f64), (lon2, lat2): (f64, f64)) -> f64 {
    let (a, b) = (lat1.to_radians(), lat2.to_radians());
    let (dlat, dlon) = (b - a, (lon2 - lon1).to_radians());
    let h = (dlat / 2.0).sin().powi(2) + a.cos() * b.cos() * (dlon / 2.0).sin().powi(2);
    2.0 * 6_371_000.0 * h.sqrt().min(1.0).asin()
}

/// Fills the fleet `f` with devices all over the world, most of them near one city, and returns where
/// they are.
fn fill(client: &mut Client, random: &mut Random) -> Vec<(f64, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let mut degrees = |most: i64| random.within(-most..most + 1) as f64 / 1e6;
    let mut places: Vec<(f64, f64)> = (0..DEVICES / 3)
        .map(|_| (degrees(180_000_000), degrees(90_000_000)))
        .collect();
    places.extend((0..DEVICES / 3).map(|_| (13.4 + degrees(100_000), 52.5 + degrees(100_000))));
    // Around the antimeridian, and around a pole.
    places.extend((0..DEVICES / 6).map(|_| {
        let lon = 180.0 + degrees(500_000);
        (
            if lon > 180.0 { lon - 360.0 } else { lon },
            degrees(500_000),
        )
    }));
    places.extend((0..DEVICES / 6).map(|_| (degrees(180_000_000), 90.0 - degrees(500_000).abs())));
    for (first, chunk) in (0..).step_by(500).zip(places.chunks(500)) {
        let items: Vec<String> = (first..)
            .zip(chunk)
            .map(|(at, (lon, lat))| format!("d{at} {lon} {lat} 1"))
            .collect();
        client.run(&format!("IOT.MTRACK f {}", items.join(" ")));
    }
    places
}

#[test]
fn the_nearest_are_those_that_looking_at_everybody_finds() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let places = fill(&mut client, &mut Random::new(FLEETS_SEED + 1));
    for center in [
        (13.4, 52.5),
        (180.0, 0.0),
        (-179.9, 0.2),
        (0.0, 90.0),
        (77.0, 89.8),
        (0.0, 0.0),
        (-120.0, -89.9),
    ] {
        let (lon, lat) = center;
        let reply = client.run(&format!("IOT.NEARBY f {lon} {lat} COUNT 50 WITHDIST"));
        let Value::Array(found) = reply else {
            panic!("{}", render(&reply));
        };
        assert_eq!(found.len(), 50);
        let distances: Vec<f64> = found
            .iter()
            .map(|one| match one {
                Value::Array(pair) => number(&pair[1], Protocol::Resp2).unwrap(),
                other => panic!("{}", render(other)),
            })
            .collect();
        assert!(distances.is_sorted(), "{distances:?}");
        let mut all: Vec<f64> = places
            .iter()
            .map(|&place| sphere_m(center, place))
            .collect();
        all.sort_by(f64::total_cmp);
        for (have, want) in distances.iter().zip(&all) {
            assert!(
                (have - want).abs() <= want * 0.006 + 1.0,
                "{center:?}: {have} {want}"
            );
        }
        // With the radius of the tenth there are ten.
        let radius = distances[9] + 0.001;
        let within = client.run(&format!(
            "IOT.NEARBY f {lon} {lat} RADIUS {radius} COUNT 1000"
        ));
        assert_eq!(texts(&within).len(), 10, "{center:?}");
        let circle = client.run(&format!("IOT.WITHIN f CIRCLE {lon} {lat} {radius}"));
        let Value::Array(parts) = circle else {
            panic!("no page");
        };
        let (mut a, mut b) = (texts(&within), texts(&parts[1]));
        a.sort();
        b.sort();
        assert_eq!(a, b, "{center:?}");
    }
}

#[test]
fn pages_together_have_everybody_once() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let places = fill(&mut client, &mut Random::new(FLEETS_SEED + 2));
    for (area, is_in) in [
        (
            "BBOX 13.35 52.45 13.45 52.55",
            (|(lon, lat): (f64, f64)| {
                (13.35..=13.45).contains(&lon) && (52.45..=52.55).contains(&lat)
            }) as fn((f64, f64)) -> bool,
        ),
        ("BBOX 179.8 -90 -179.8 90", |(lon, _)| lon.abs() >= 179.8),
        ("BBOX -180 89.7 180 90", |(_, lat)| lat >= 89.7),
        ("BBOX -180 -90 180 90", |_| true),
    ] {
        let wanted: BTreeSet<String> = (0..)
            .zip(&places)
            .filter(|(_, place)| is_in(**place))
            .map(|(at, _)| format!("d{at}"))
            .collect();
        assert!(wanted.len() > 50, "{area}");
        for limit in [7, 100, 5_000] {
            let (mut found, mut cursor) = (Vec::new(), "0".to_string());
            loop {
                let line = format!("IOT.WITHIN f {area} LIMIT {limit} CURSOR {cursor}");
                let Value::Array(parts) = client.run(&line) else {
                    panic!("{line}");
                };
                let page = texts(&parts[1]);
                assert!(page.len() <= limit);
                found.extend(page);
                let Value::BulkString(next) = &parts[0] else {
                    panic!("{line}");
                };
                cursor = String::from_utf8(next.clone()).unwrap();
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(found.len(), wanted.len(), "{area}, {limit}");
            assert_eq!(BTreeSet::from_iter(found), wanted, "{area}, {limit}");
        }
    }
    let (mut found, mut cursor) = (BTreeSet::new(), 0);
    loop {
        let Value::Array(parts) = client.run(&format!("IOT.FLEET LIST f COUNT 70 CURSOR {cursor}"))
        else {
            panic!("no page");
        };
        found.extend(texts(&parts[1]));
        match parts[0] {
            Value::Int(0) => break,
            Value::Int(next) => cursor = next,
            _ => panic!("no cursor"),
        }
    }
    assert_eq!(found.len(), DEVICES);
}

#[test]
fn a_trail_knows_how_long_it_is() {
    let server = Server::start();
    for protocol in Protocol::BOTH {
        let mut client = server.connect(protocol);
        client.expect("FLUSHALL", "+OK");
        client.expect("IOT.FLEET CREATE f TRAIL 1000", "+OK");
        // Along the equator and up a meridian, a degree each: 111319.4908 and 110574.3886 metres.
        client.expect(
            "IOT.MTRACK f d 0 0 1000 d 0.5 0 2000 d 1 0 4000 d 1 1 7000",
            "[1, 1, 1, 1]",
        );
        for (range, wanted_m) in [
            ("- +", 221_893.879_4),
            ("- 4000", 111_319.490_8),
            ("4000 +", 110_574.388_6),
            ("1500 5000", 55_659.745_4),
            ("- + COUNT 1", 221_893.879_4),
            ("- + SIMPLIFY 1000", 221_893.879_4),
        ] {
            let reply = client.run(&format!("IOT.TRAIL f d {range}"));
            let distance = match &reply {
                Value::Map(pairs) => &pairs[1].1,
                Value::Array(flat) => &flat[3],
                other => panic!("{}", render(other)),
            };
            let distance_m = number(distance, protocol).unwrap();
            assert!(
                (distance_m - wanted_m).abs() < 0.01,
                "{range}: {distance_m}"
            );
        }
    }
}

#[test]
fn keys_that_go_while_everybody_is_busy_harm_nobody() {
    let mut server = Server::start();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..3_u64 {
            let mut client = server.connect(Protocol::Resp2);
            let is_over = &is_over;
            scope.spawn(move || {
                let mut random = Random::new(FLEETS_SEED + 10 + writer);
                while !is_over.load(Ordering::Relaxed) {
                    let (at, ms) = (random.index(5), 1 + random.index(50));
                    let (lon, lat) = (random.within(-2..3), random.within(-2..3));
                    let line = match random.index(12) {
                        0 => format!("IOT.FENCE BIND f{at} z STREAM events MAXLEN 100"),
                        1 => format!("IOT.ROAM BIND f{at} f0 RADIUS 1000 STREAM events MAXLEN 100"),
                        2 => format!(
                            "IOT.FENCE ADD z a{at} CIRCLE {lon} {lat} 1000 EXPIRE {ms} DWELL 5"
                        ),
                        3 => format!("IOT.FENCE ADD new a{at} CIRCLE {lon} {lat} 1000 DWELL 5"),
                        4 => format!("IOT.FENCE UNBIND f{at} z"),
                        5 => format!("IOT.UNTRACK f{at} d{at}"),
                        6 => format!("IOT.NEARBY f{at} {lon} {lat}"),
                        _ => format!("IOT.TRACK f{at} d{at} {lon} {lat} EXPIRE {ms}"),
                    };
                    client.run(&line);
                }
            });
        }
        let mut client = server.connect(Protocol::Resp2);
        for round in 0..300 {
            for line in [
                "FLUSHALL ASYNC",
                "SWAPDB 0 1",
                "RENAME new z",
                "COPY f1 f2 REPLACE",
                "RENAME f3 f4",
                "DEL f0",
                "UNLINK z",
                "SET z text",
                "PEXPIRE f1 1",
                "MOVE f2 1",
                "FLUSHDB",
                "DEBUG RELOAD",
            ] {
                if line != "DEBUG RELOAD" || round % 50 == 0 {
                    client.run(line);
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    server.assert_alive(&|| "keys that go".into());
    server.assert_no_panic();
}
