//! Devices that come near each other.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::events::{Events, show};
use support::server::Server;

const FIELDS: [&str; 5] = ["event", "fleet", "device", "others", "other"];

/// A server, and the reader of its events.
fn start(lines: &[&str]) -> (Server, Client, Events) {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for line in lines {
        let reply = support::notation::render(&client.run(line));
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    let events = Events::of(&server);
    (server, client, events)
}

/// Sends one fix.
#[track_caller]
fn track(client: &mut Client, fleet: &str, device: &str, place: &str, ts: i64) {
    client.expect(&format!("IOT.TRACK {fleet} {device} {place} TS {ts}"), "1");
}

#[test]
fn devices_of_a_fleet_come_near_each_other_and_part() {
    let (_server, mut client, mut events) = start(&["IOT.ROAM BIND f f RADIUS 500 STREAM events"]);
    track(&mut client, "f", "a", "0 0", 1000);
    track(&mut client, "f", "b", "1 0", 1000);
    events.expect(&FIELDS, &[]);
    track(&mut client, "f", "b", "0.001 0", 2000);
    events.expect(&FIELDS, &["nearby f b f a"]);
    // Near still, each of them moved.
    track(&mut client, "f", "a", "0.002 0", 2500);
    track(&mut client, "f", "b", "0.001 0", 3000);
    events.expect(&FIELDS, &[]);
    track(&mut client, "f", "a", "1 0", 4000);
    events.expect(&FIELDS, &["faraway f a f b"]);
    track(&mut client, "f", "a", "2 0", 5000);
    events.expect(&FIELDS, &[]);
}

#[test]
fn a_radius_is_exact_and_its_border_near() {
    // A degree of the equator is 111319.490793 metres, a ten-thousandth of it 11.131949.
    for (radius, is_near) in [("11.131950", true), ("11.131948", false)] {
        let bind = format!("IOT.ROAM BIND f f RADIUS {radius} STREAM events");
        let (_server, mut client, mut events) = start(&[&bind]);
        track(&mut client, "f", "a", "0 0", 1000);
        track(&mut client, "f", "b", "0.0001 0", 1000);
        assert_eq!(events.all().len(), usize::from(is_near), "{radius}");
    }
    // Across the antimeridian 22264 metres are between 179.9 and -179.9.
    let (_server, mut client, mut events) =
        start(&["IOT.ROAM BIND f f RADIUS 22264 STREAM events"]);
    track(&mut client, "f", "a", "179.9 0", 1000);
    track(&mut client, "f", "b", "-179.9 0", 1000);
    events.expect(&FIELDS, &["nearby f b f a"]);
}

#[test]
fn an_event_says_who_where_and_how_far() {
    let (server, mut client, _events) = start(&[
        "IOT.ROAM BIND cabs riders RADIUS 500 PUBLISH near STREAM events",
        "IOT.TRACK riders r1 13.4 52.5 TS 1000",
    ]);
    let mut listener = server.connect(Protocol::Resp2);
    listener.expect("SUBSCRIBE near", r#"["subscribe", "near", 1]"#);
    track(&mut client, "cabs", "c1", "13.4001 52.5", 2000);
    track(&mut client, "cabs", "c1", "13.5 52.5", 3000);
    let mut messages = Vec::new();
    for _ in 0..2 {
        match listener.receive().unwrap() {
            Value::Array(parts) => match &parts[2] {
                Value::BulkString(text) => messages.push(String::from_utf8(text.clone()).unwrap()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        messages[0],
        r#"{"id":"cabs:c1:r1:2000","event":"nearby","fleet":"cabs","device":"c1","others":"riders","other":"r1","ts":2000,"lon":13.4001,"lat":52.5,"distance":6.79}"#
    );
    assert!(
        messages[1].starts_with(
            r#"{"id":"cabs:c1:r1:3000","event":"faraway","fleet":"cabs","device":"c1","others":"riders","other":"r1","ts":3000,"lon":13.5,"lat":52.5,"distance":"#
        ),
        "{}",
        messages[1]
    );
    client.expect(
        "XRANGE events - + COUNT 1",
        r#"[[_, ["id", "cabs:c1:r1:2000", "event", "nearby", "fleet", "cabs", "device", "c1",
            "others", "riders", "other", "r1", "ts", "2000", "lon", "13.4001", "lat", "52.5",
            "distance", "6.79"]]]"#,
    );
}

#[test]
fn both_fleets_move_and_the_one_that_roams_is_told_of() {
    let (_server, mut client, mut events) = start(&[
        "IOT.ROAM BIND cabs riders RADIUS 500 STREAM events",
        "IOT.TRACK cabs c1 0 0 TS 1000",
        "IOT.TRACK cabs c2 0.001 0 TS 1000",
        "IOT.TRACK riders r1 5 0 TS 1000",
    ]);
    // Cabs are not told of cabs.
    track(&mut client, "cabs", "c2", "0 0", 2000);
    events.expect(&FIELDS, &[]);
    track(&mut client, "riders", "r1", "0 0", 2000);
    events.expect(
        &["event", "device", "other", "ts", "lon"],
        &["nearby c1 r1 2000 0", "nearby c2 r1 2000 0"],
    );
    track(&mut client, "cabs", "c1", "1 0", 3000);
    events.expect(&FIELDS, &["faraway cabs c1 riders r1"]);
    track(&mut client, "riders", "r1", "1 0", 4000);
    events.expect(
        &FIELDS,
        &["faraway cabs c2 riders r1", "nearby cabs c1 riders r1"],
    );
    // Late ones move nobody.
    client.expect("IOT.TRACK riders r1 0 0 TS 3500", "0");
    events.expect(&FIELDS, &[]);
}

#[test]
fn fleets_may_roam_among_each_other() {
    let (_server, mut client, mut events) = start(&[
        "IOT.ROAM BIND f g RADIUS 500 STREAM events",
        "IOT.ROAM BIND g f RADIUS 50 STREAM events",
        "IOT.TRACK f a 0 0 TS 1000",
    ]);
    track(&mut client, "g", "a", "0 0.001", 1000);
    events.expect(&FIELDS, &["nearby f a g a"]);
    track(&mut client, "g", "a", "0 0", 2000);
    events.expect(&FIELDS, &["nearby g a f a"]);
}

#[test]
fn who_goes_is_far_away() {
    let (_server, mut client, mut events) = start(&[
        "IOT.ROAM BIND f f RADIUS 500 STREAM events",
        "IOT.MTRACK f a 0 0 1000 b 0 0 1000 c 0 0 1000",
    ]);
    events.expect(&FIELDS, &[]);
    client.expect("IOT.UNTRACK f a", "1");
    events.expect(
        &["event", "device", "other", "distance"],
        &["faraway a b -", "faraway a c -"],
    );
    client.expect("IOT.TRACK f b 0 0 TS 2000 EXPIRE 50", "1");
    let event = events.next();
    assert_eq!(show(&event, &FIELDS), "faraway f b f c");
}

#[test]
fn the_last_device_of_another_fleet_is_far_away_when_it_goes() {
    let (_server, mut client, mut events) = start(&[
        "IOT.ROAM BIND cabs riders RADIUS 500 STREAM events",
        "IOT.TRACK cabs c 0 0 TS 1000",
        "IOT.TRACK riders r 0 0 TS 1000",
    ]);
    client.expect("IOT.UNTRACK riders r", "1");
    client.expect("EXISTS riders", "0");
    events.expect(&FIELDS, &["faraway cabs c riders r"]);
    client.expect("IOT.TRACK riders r 0 0 TS 1000", "1");
    events.expect(&FIELDS, &["nearby cabs c riders r"]);
    client.expect("IOT.TRACK riders r 0 0 TS 2000 EXPIRE 50", "1");
    let event = events.next();
    assert_eq!(show(&event, &FIELDS), "faraway cabs c riders r");
}

#[test]
fn moves_of_one_command_are_as_if_they_were_several() {
    for other in ["f", "g"] {
        let places = [
            ("a", "0 0"),
            ("b", "1 0"),
            // They come together at another place.
            ("a", "5 0"),
            ("b", "5 0"),
            // Part, both of them moving.
            ("a", "6 0"),
            ("b", "7 0"),
            // Change places with a third.
            ("c", "6 0"),
            ("a", "7 0"),
            ("b", "6 0"),
        ];
        let bind = format!("IOT.ROAM BIND f {other} RADIUS 500 STREAM events");
        let (_server, mut client, mut events) = start(&[&bind, "IOT.MTRACK g x 5 0 1 y 6 0 1"]);
        for (ts, (device, place)) in (0..).zip(places) {
            track(&mut client, "f", device, place, ts);
        }
        let one_by_one: Vec<String> = events
            .all()
            .iter()
            .map(|event| show(event, &FIELDS))
            .collect();
        assert!(one_by_one.len() > 3, "{one_by_one:?}");
        client.expect("IOT.UNTRACK f a", "1");
        client.expect("IOT.UNTRACK f b", "1");
        client.expect("IOT.UNTRACK f c", "1");
        let gone: Vec<String> = events
            .all()
            .iter()
            .map(|event| show(event, &FIELDS))
            .collect();
        assert!(!gone.is_empty());
        let items: Vec<String> = (0..)
            .zip(places)
            .map(|(ts, (device, place))| format!("{device} {place} {ts}"))
            .collect();
        client.run(&format!("IOT.MTRACK f {}", items.join(" ")));
        let at_once: Vec<String> = events
            .all()
            .iter()
            .map(|event| show(event, &FIELDS))
            .collect();
        assert_eq!(at_once, one_by_one, "{other}");
        client.expect("IOT.UNTRACK f a b c", "3");
        let at_once: Vec<String> = events
            .all()
            .iter()
            .map(|event| show(event, &FIELDS))
            .collect();
        assert_eq!(at_once, gone, "{other}");
    }
}

#[test]
fn who_is_near_when_a_fleet_is_bound_is_known() {
    let (_server, mut client, mut events) = start(&[
        "IOT.MTRACK f a 0 0 1000 b 0 0 1000",
        "IOT.ROAM BIND f f RADIUS 500 STREAM events",
    ]);
    track(&mut client, "f", "a", "0 0.001", 2000);
    events.expect(&FIELDS, &[]);
    track(&mut client, "f", "a", "1 0", 3000);
    events.expect(&FIELDS, &["faraway f a f b"]);
    client.expect("IOT.ROAM UNBIND f f", "1");
    track(&mut client, "f", "a", "0 0", 4000);
    events.expect(&FIELDS, &[]);
}

#[test]
fn a_fleet_of_another_database_is_another() {
    let (_server, mut client, mut events) = start(&[
        "IOT.ROAM BIND f g RADIUS 500 STREAM events",
        "IOT.TRACK f a 0 0 TS 1000",
        "SELECT 3",
    ]);
    track(&mut client, "g", "b", "0 0", 1000);
    client.expect("EXISTS events", "0");
    client.expect("SELECT 0", "+OK");
    events.expect(&FIELDS, &[]);
    client.expect("SWAPDB 0 3", "+OK");
    client.expect("SELECT 3", "+OK");
    track(&mut client, "g", "b", "0 0", 1000);
    client.expect("XLEN events", "1");
}

#[test]
fn fleets_of_other_names_are_found_by_them() {
    let (_server, mut client, mut events) = start(&[
        "IOT.ROAM BIND f g RADIUS 500 STREAM events",
        "IOT.TRACK f a 0 0 TS 1000",
        "IOT.TRACK h b 0 0 TS 1000",
        "RENAME f k",
    ]);
    track(&mut client, "g", "b", "0 0", 1000);
    events.expect(&FIELDS, &["nearby k a g b"]);
    client.expect("DEL k", "1");
    track(&mut client, "g", "b", "1 0", 2000);
    events.expect(&FIELDS, &[]);
    // A key that holds no fleet is none.
    client.expect("IOT.ROAM BIND f g RADIUS 500 STREAM events", "+OK");
    client.expect("SET g text", "+OK");
    track(&mut client, "f", "a", "1 0", 3000);
    events.expect(&FIELDS, &[]);
}
