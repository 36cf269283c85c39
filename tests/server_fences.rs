//! Positions of a fleet that is bound to a set of fences, and the events that come of them.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::events::{Events, STREAM, show};
use support::notation::{render, words};
use support::server::Server;

/// What most tests look at.
const FIELDS: [&str; 3] = ["event", "device", "fence"];
/// The same with times.
const TIMES: [&str; 4] = ["event", "ts", "enter_ts", "dwell_ms"];

/// A server with a fleet `f` that is bound to the set `z` of these fences.
fn start(fences: &[&str]) -> (Server, Client, Events) {
    start_bound(fences, "")
}

/// The same with more words in the binding.
fn start_bound(fences: &[&str], how: &str) -> (Server, Client, Events) {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for fence in fences {
        client.expect(&format!("IOT.FENCE ADD z {fence}"), "1");
    }
    let line = format!("IOT.FENCE BIND f z {how} STREAM {STREAM}");
    client.expect(&line, "+OK");
    let events = Events::of(&server);
    (server, client, events)
}

/// Sends fixes of a device `d`: longitude, latitude, time, and perhaps more.
#[track_caller]
fn track(client: &mut Client, fixes: &[&str]) {
    for fix in fixes {
        let mut words = fix.splitn(4, ' ');
        let mut next = || words.next().unwrap_or_default();
        let (lon, lat, ts, rest) = (next(), next(), next(), next());
        client.expect(&format!("IOT.TRACK f d {lon} {lat} TS {ts} {rest}"), "1");
    }
}

#[test]
fn entering_and_leaving_take_turns() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000"]);
    track(&mut client, &["1 0 1000"]);
    events.expect(&FIELDS, &[]);
    track(&mut client, &["0 0 2000"]);
    events.expect(&TIMES, &["enter 2000 2000 -"]);
    track(&mut client, &["0.001 0 3000", "0 0.001 4000"]);
    events.expect(&FIELDS, &[]);
    track(&mut client, &["1 0 5500"]);
    events.expect(
        &["event", "ts", "enter_ts", "dwell_ms", "reason"],
        &["exit 5500 2000 3500 moved"],
    );
    track(&mut client, &["2 0 6000", "0 0 7000", "1 0 8000"]);
    events.expect(&TIMES, &["enter 7000 7000 -", "exit 8000 7000 1000"]);
}

#[test]
fn a_first_position_inside_enters() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000", "b CIRCLE 0 0 10"]);
    track(&mut client, &["0 0.001 1000"]);
    events.expect(&FIELDS, &["enter d a"]);
    client.expect("IOT.TRACK f e 0 0 TS 1", "1");
    events.expect(&FIELDS, &["enter e a", "enter e b"]);
}

#[test]
fn an_event_is_published_as_one_json_object() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut listener = server.connect(Protocol::Resp2);
    let line = "IOT.FENCE ADD z depot CIRCLE 13.4 52.5 1000 META 2 kind depot \"a \\\"b\\\"\" \"\\x01\\xff\" \
                GROUPS 2 south north DWELL 1m SPEEDLIMIT 10";
    client.expect(line, "1");
    client.expect("IOT.FENCE BIND f z PUBLISH events", "+OK");
    listener.expect("SUBSCRIBE events", r#"["subscribe", "events", 1]"#);
    let meta = r#""meta":{"kind":"depot","a \"b\"":"\u0001�"},"groups":["north","south"]"#;
    let head = |event: &str, ts: &str, place: &str| {
        format!(
            r#"{{"id":"f:van7:depot:1000","event":"{event}","fleet":"f","fences":"z","fence":"depot","device":"van7","ts":{ts},{place},"enter_ts":1000,"#
        )
    };
    let at = r#""lon":13.4,"lat":52.5"#;
    let cases = [
        (
            "IOT.TRACK f van7 13.4 52.5 TS 1000",
            format!("{}{meta}}}", head("enter", "1000", at)),
        ),
        (
            "IOT.TRACK f van7 13.4 52.5 TS 2000 SPEED 12.5",
            format!(
                r#"{}"speed":12.5,"limit":10,{meta}}}"#,
                head("overspeed", "2000", at)
            ),
        ),
        (
            "IOT.TRACK f van7 13.4 52.5 TS 70000",
            format!(r#"{}"dwell_ms":60000,{meta}}}"#, head("dwell", "61000", at)),
        ),
        (
            "IOT.TRACK f van7 -0.1 -51 TS 71000",
            format!(
                r#"{}"dwell_ms":70000,"reason":"moved",{meta}}}"#,
                head("exit", "71000", r#""lon":-0.1,"lat":-51"#)
            ),
        ),
    ];
    for (line, json) in cases {
        client.expect(line, "1");
        let message = listener.receive().unwrap();
        let Value::Array(parts) = message else {
            panic!("no message");
        };
        assert_eq!(parts[2], Value::BulkString(json.into_bytes()), "{line}");
    }
}

#[test]
fn an_entry_of_a_stream_has_the_same_as_fields() {
    let (_server, mut client, _events) =
        start(&["depot CIRCLE 13.4 52.5 1000 META 1 kind depot GROUPS 1 north"]);
    client.expect("IOT.TRACK f van7 13.4 52.5 TS 1000", "1");
    client.expect("IOT.TRACK f van7 14 52.5 TS 2500", "1");
    client.expect(
        "XRANGE events - +",
        r#"[[_, ["id", "f:van7:depot:1000", "event", "enter", "fleet", "f", "fences", "z",
            "fence", "depot", "device", "van7", "ts", "1000", "lon", "13.4", "lat", "52.5",
            "enter_ts", "1000", "meta", "{\"kind\":\"depot\"}", "groups", "[\"north\"]"]],
            [_, ["id", "f:van7:depot:1000", "event", "exit", "fleet", "f", "fences", "z",
            "fence", "depot", "device", "van7", "ts", "2500", "lon", "14", "lat", "52.5",
            "enter_ts", "1000", "dwell_ms", "1500", "reason", "moved",
            "meta", "{\"kind\":\"depot\"}", "groups", "[\"north\"]"]]]"#,
    );
}

#[test]
fn all_events_of_a_visit_have_its_id() {
    let (_server, mut client, mut events) =
        start(&["a CIRCLE 0 0 1000 DETECT enter exit inside dwell DWELL 5s MINFIXES 2"]);
    track(
        &mut client,
        &["0 0 1000", "0 0 2000", "0 0 7000", "1 0 8000", "1 0 9000"],
    );
    events.expect(
        &["event", "id", "ts"],
        &[
            "enter f:d:a:1000 2000",
            "inside f:d:a:1000 7000",
            "dwell f:d:a:1000 6000",
            "exit f:d:a:1000 9000",
        ],
    );
    track(&mut client, &["0 0 10000", "0 0 11000"]);
    events.expect(&["event", "id"], &["enter f:d:a:10000"]);
}

#[test]
fn kinds_are_those_that_both_fence_and_binding_name() {
    for (fence, binding, wanted) in [
        ("", "", "enter exit"),
        ("", "DETECT exit", "exit"),
        ("", "DETECT inside", "inside"),
        ("DETECT enter", "", "enter"),
        ("DETECT enter", "DETECT exit", ""),
        (
            "DETECT exit inside enter",
            "DETECT enter inside",
            "enter inside",
        ),
        ("DWELL 1s", "", "enter dwell exit"),
        ("DWELL 1s", "DETECT enter", "enter"),
        ("DETECT enter DWELL 1s", "", "enter"),
        ("DETECT enter dwell DWELL 1s", "", "enter dwell"),
        ("DETECT enter dwell", "", "enter"),
        ("SPEEDLIMIT 10", "", "enter overspeed exit"),
        ("DETECT overspeed SPEEDLIMIT 10", "", "overspeed"),
        ("SPEEDLIMIT 10", "DETECT enter", "enter"),
    ] {
        let line = format!("a CIRCLE 0 0 1000 {fence}");
        let (_server, mut client, mut events) = start_bound(&[&line], binding);
        track(
            &mut client,
            &["1 0 0", "0 0 1000", "0 0 5000 SPEED 11", "1 0 6000"],
        );
        let all = events.all();
        let kinds: Vec<String> = all.iter().map(|event| show(event, &["event"])).collect();
        assert_eq!(kinds.join(" "), wanted, "{fence}, {binding}");
    }
}

#[test]
fn a_way_through_a_fence_crosses_it() {
    let (_server, mut client, mut events) = start(&[
        "gate BBOX 1 -1 2 1 DETECT cross enter exit",
        "road CORRIDOR 200 2 5 -1 5 1 DETECT cross",
        "mute BBOX 1 -1 2 1",
    ]);
    track(&mut client, &["0 0 1000"]);
    events.expect(&FIELDS, &[]);
    track(&mut client, &["3 0 2000"]);
    events.expect(
        &["event", "fence", "ts", "enter_ts", "lon"],
        &["cross gate 2000 2000 3"],
    );
    // Past it, and along a part of it: not through.
    track(&mut client, &["3 2 3000", "0 2 4000", "0 0 5000"]);
    events.expect(&FIELDS, &[]);
    track(&mut client, &["1.5 0 6000", "3 0 7000"]);
    events.expect(
        &FIELDS,
        &["enter d gate", "enter d mute", "exit d gate", "exit d mute"],
    );
    track(&mut client, &["6 0 8000", "6 0 9000"]);
    events.expect(&FIELDS, &["cross d road"]);
    track(&mut client, &["0 0 10000"]);
    events.expect(&FIELDS, &["cross d gate", "cross d road"]);
}

#[test]
fn a_way_goes_the_shorter_way_around_the_earth() {
    let (_server, mut client, mut events) = start(&[
        "fiji BBOX 179.5 -1 -179.5 1 DETECT cross",
        "africa BBOX 10 -1 20 1 DETECT cross",
    ]);
    track(&mut client, &["179 0 1000", "-179 0 2000"]);
    events.expect(&FIELDS, &["cross d fiji"]);
}

#[test]
fn outside_is_told_of_fences_that_name_the_device_or_with_a_cap() {
    let fences = [
        "a BBOX 0 0 1 1 DETECT outside",
        "b BBOX 0 0 1 1 DETECT outside DEVICES 1 d",
        "c BBOX 5 5 6 6 DETECT outside DEVICES 1 d",
        "e BBOX 5 5 6 6 DETECT outside DEVICES 1 e",
        "g BBOX 5 5 6 6 DETECT outside",
    ];
    let (_server, mut client, mut events) = start(&fences);
    track(&mut client, &["0.5 0.5 1000"]);
    events.expect(&FIELDS, &["outside d c"]);
    track(&mut client, &["2 2 2000"]);
    events.expect(&FIELDS, &["outside d b", "outside d c"]);
    client.expect("IOT.TRACK f x 2 2 TS 1", "1");
    events.expect(&FIELDS, &[]);
    client.expect("IOT.FENCE BIND f z OUTSIDE 1 STREAM events", "+OK");
    track(&mut client, &["2 2 3000"]);
    events.expect(&FIELDS, &["outside d b", "outside d c", "outside d a"]);
    client.expect("IOT.FENCE BIND f z OUTSIDE 100 STREAM events", "+OK");
    client.expect("IOT.TRACK f x 2 2 TS 2", "1");
    events.expect(&FIELDS, &["outside x a", "outside x g"]);
}

#[test]
fn overspeed_is_told_once_until_the_device_is_slower() {
    let (_server, mut client, mut events) =
        start(&["a CIRCLE 0 0 1000 SPEEDLIMIT 10 DETECT overspeed"]);
    track(&mut client, &["0 0 1000 SPEED 10", "0 0 2000 SPEED 10.5"]);
    let fields = ["event", "ts", "speed", "limit", "enter_ts"];
    events.expect(&fields, &["overspeed 2000 10.5 10 1000"]);
    // Who does not say how fast it is says nothing new.
    track(
        &mut client,
        &["0 0 3000 SPEED 20", "0 0 4000", "0 0 5000 SPEED 20"],
    );
    events.expect(&fields, &[]);
    track(&mut client, &["0 0 6000 SPEED 9", "0 0 7000 SPEED 11"]);
    events.expect(&fields, &["overspeed 7000 11 10 1000"]);
    // Fast outside, and fast at once inside.
    track(&mut client, &["1 0 8000 SPEED 99", "0 0 9000 SPEED 12"]);
    events.expect(&fields, &["overspeed 9000 12 10 9000"]);
}

#[test]
fn who_is_inside_leaves_only_beyond_the_buffer_and_the_accuracy() {
    // 0.001 degrees of a meridian at the equator are 110.57 metres.
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000 BUFFER 100"]);
    // In the buffer, but never inside.
    track(&mut client, &["0 0.0095 1000"]);
    events.expect(&FIELDS, &[]);
    track(&mut client, &["0 0.009 2000"]);
    events.expect(&FIELDS, &["enter d a"]);
    // 1050.5 metres, and 1094.7.
    track(&mut client, &["0 0.0095 3000", "0 0.0099 4000"]);
    events.expect(&FIELDS, &[]);
    // 1161 metres: within the accuracy of 62 metres, not of 60.
    track(&mut client, &["0 0.0105 5000 ACC 62"]);
    events.expect(&FIELDS, &[]);
    track(&mut client, &["0 0.0105 6000 ACC 60"]);
    events.expect(&FIELDS, &["exit d a"]);
    // No way back but through the border.
    track(&mut client, &["0 0.0095 7000"]);
    events.expect(&FIELDS, &[]);
    // 1105.7 metres are beyond it.
    track(&mut client, &["0 0 8000", "0 0.01 9000"]);
    events.expect(&FIELDS, &["enter d a", "exit d a"]);
    // Nobody stays who says nothing: an accuracy counts up to a kilometre.
    track(&mut client, &["0 0 10000", "0 0.0189 11000 ACC 5000"]);
    events.expect(&FIELDS, &["enter d a"]);
    track(&mut client, &["0 0.0191 12000 ACC 5000"]);
    events.expect(&FIELDS, &["exit d a"]);
}

#[test]
fn without_a_buffer_the_accuracy_does_not_count() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000"]);
    track(&mut client, &["0 0 1000", "0 0.0095 2000 ACC 500"]);
    events.expect(&FIELDS, &["enter d a", "exit d a"]);
}

#[test]
fn so_many_fixes_in_a_row_enter_and_leave() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000 MINFIXES 3"]);
    track(
        &mut client,
        &["0 0 1000", "0 0 2000", "1 0 3000", "0 0 4000"],
    );
    track(&mut client, &["0 0 5000"]);
    client.expect("IOT.POSITION f d", "[_]");
    events.expect(&FIELDS, &[]);
    track(&mut client, &["0 0 6000"]);
    events.expect(&TIMES, &["enter 6000 4000 -"]);
    track(
        &mut client,
        &["1 0 7000", "1 0 8000", "0 0 9000", "1 0 10000"],
    );
    track(&mut client, &["1 0 11000"]);
    events.expect(&FIELDS, &[]);
    track(&mut client, &["1 0 12000"]);
    events.expect(&TIMES, &["exit 12000 4000 8000"]);
}

#[test]
fn late_and_filtered_positions_tell_nothing() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000"]);
    client.expect("IOT.FLEET ALTER f TRAIL 10 MAXACC 50", "+OK");
    track(&mut client, &["1 0 5000"]);
    client.expect("IOT.TRACK f d 0 0 TS 4000", "0");
    client.expect("IOT.TRACK f d 0 0 TS 6000 ACC 51", "0");
    events.expect(&FIELDS, &[]);
    track(&mut client, &["0 0 7000"]);
    events.expect(&FIELDS, &["enter d a"]);
    client.expect("IOT.TRACK f d 1 0 TS 6500", "0");
    events.expect(&FIELDS, &[]);
    // A correction moves.
    track(&mut client, &["1 0 7000"]);
    events.expect(&FIELDS, &["exit d a"]);
}

#[test]
fn a_binding_may_be_for_one_group() {
    let fences = [
        "a CIRCLE 0 0 1000 GROUPS 2 north depots",
        "b CIRCLE 0 0 1000 GROUPS 1 south",
        "c CIRCLE 0 0 1000",
    ];
    let (_server, mut client, mut events) = start_bound(&fences, "GROUP north");
    track(&mut client, &["0 0 1000", "0 0 2000", "1 0 3000"]);
    events.expect(&FIELDS, &["enter d a", "exit d a"]);
}

#[test]
fn a_fence_may_be_for_some_devices() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000 DEVICES 2 d e"]);
    client.expect(
        "IOT.MTRACK f c 0 0 1000 d 0 0 1000 e 0 0 1000 c 1 0 2000 d 1 0 2000",
        "[1, 1, 1, 1, 1]",
    );
    events.expect(&FIELDS, &["enter d a", "enter e a", "exit d a"]);
}

#[test]
fn a_position_knows_the_fences_around_it() {
    let (_server, mut client, _events) = start(&[
        "a CIRCLE 0 0 1000",
        "b BBOX 0 0 1 1",
        "c CIRCLE 0 0 1000 MINFIXES 2",
    ]);
    let position = |fences: &str| {
        format!(
            r#"[{{"lon": _, "lat": _, "ts": _, "alt": nil, "speed": nil, "heading": nil, "acc": nil, "fields": {{}}, "expires": nil, "fences": {fences}}}]"#
        )
    };
    track(&mut client, &["0 0 1000"]);
    client.expect("IOT.POSITION f d", &position(r#"["a", "b"]"#));
    track(&mut client, &["0 0 2000"]);
    client.expect("IOT.POSITION f d", &position(r#"["a", "b", "c"]"#));
    track(&mut client, &["1 1 3000"]);
    client.expect("IOT.POSITION f d", &position(r#"["b", "c"]"#));
    track(&mut client, &["1 1 4000"]);
    client.expect("IOT.POSITION f d", &position(r#"["b"]"#));
}

#[test]
fn events_go_to_every_sink_of_every_binding() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut listener = server.connect(Protocol::Resp2);
    client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000", "1");
    client.expect("IOT.FENCE ADD y b CIRCLE 0 0 1000", "1");
    client.expect(
        "IOT.FENCE BIND f z STREAM events PUBLISH one PUBLISH two STREAM more",
        "+OK",
    );
    client.expect("IOT.FENCE BIND f y DETECT exit PUBLISH two", "+OK");
    listener.expect("PSUBSCRIBE *", r#"["psubscribe", "*", 1]"#);
    track(&mut client, &["0 0 1000", "1 0 2000"]);
    client.expect("PUBLISH end end", "1");
    let mut seen = Vec::new();
    loop {
        let message = render(&listener.receive().unwrap());
        if message.contains("\"end\"") {
            break;
        }
        let channel = ["one", "two"]
            .into_iter()
            .find(|name| message.contains(&format!("\"{name}\"")));
        let event = ["enter", "exit"]
            .into_iter()
            .find(|name| message.contains(&format!("\\\"{name}\\\"")));
        let set = ["z", "y"]
            .into_iter()
            .find(|name| message.contains(&format!("\\\"fences\\\":\\\"{name}\\\"")));
        seen.push([channel, event, set].map(Option::unwrap).join(" "));
    }
    assert_eq!(
        seen,
        [
            "one enter z",
            "two enter z",
            "one exit z",
            "two exit z",
            "two exit y"
        ]
    );
    client.expect("XLEN events", "2");
    client.expect("XLEN more", "2");
}

#[test]
fn a_stream_keeps_about_as_many_entries_as_it_was_told() {
    let (_server, mut client, _events) = start(&["a CIRCLE 0 0 1000"]);
    client.expect("IOT.FENCE BIND f z STREAM short MAXLEN 10", "+OK");
    for at in 0..500 {
        track(&mut client, &[&format!("{} 0 {at}", at % 2)]);
    }
    // The server cuts whole nodes, of a hundred entries.
    let len = client.integer("XLEN short");
    assert!((10..=110).contains(&len), "{len} entries");
    client.expect("XLEN events", "0");
}

#[test]
fn an_event_for_a_key_that_is_no_stream_is_dropped() {
    let (server, mut client, _events) = start(&["a CIRCLE 0 0 1000"]);
    client.expect("SET events text", "+OK");
    client.expect("IOT.FENCE BIND f z STREAM events STREAM more", "+OK");
    track(&mut client, &["0 0 1000"]);
    client.expect("GET events", "\"text\"");
    client.expect("XLEN more", "1");
    assert!(server.last_words().contains("an event was dropped"));
    // It is no reason to stay inside.
    client.expect("DEL events", "1");
    track(&mut client, &["1 0 2000"]);
    client.expect("XLEN events", "1");
}

#[test]
fn events_come_within_transactions_scripts_and_other_databases() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000"]);
    for line in [
        "MULTI",
        "IOT.TRACK f d 0 0 TS 1000",
        "XLEN events",
        "IOT.TRACK f d 1 0 TS 2000",
        "XLEN events",
    ] {
        client.run(line);
    }
    client.expect("EXEC", "[1, 1, 1, 2]");
    events.expect(&FIELDS, &["enter d a", "exit d a"]);
    let script = words(
        "EVAL \"redis.call('IOT.TRACK', 'f', 'd', '0', '0', 'TS', '3000'); return redis.call('XLEN', 'events')\" 2 f events",
    );
    assert_eq!(client.call(&script), Value::Int(3));
    events.expect(&FIELDS, &["enter d a"]);
    client.expect("SELECT 5", "+OK");
    client.expect("IOT.TRACK f d 0 0 TS 1000", "1");
    client.expect("EXISTS events", "0");
    client.expect("IOT.FENCE ADD z b CIRCLE 0 0 1000", "1");
    client.expect("IOT.FENCE BIND f z STREAM events", "+OK");
    client.expect("IOT.TRACK f e 0 0 TS 1000", "1");
    client.expect("SELECT 0", "+OK");
    events.expect(&FIELDS, &[]);
    client.expect("SELECT 5", "+OK");
    client.expect("XLEN events", "_");
    assert!(client.integer("XLEN events") >= 1);
}

#[test]
fn a_script_may_not_write_where_it_may_only_read() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000"]);
    let script = words(
        "EVAL \"#!lua flags=no-writes\\nreturn redis.call('IOT.TRACK', 'f', 'd', '0', '0')\" 1 f",
    );
    let reply = render(&client.call(&script));
    assert!(reply.starts_with('-'), "{reply}");
    events.expect(&FIELDS, &[]);
}

#[test]
fn several_devices_of_one_command_tell_in_their_order() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000", "b CIRCLE 1 0 1000"]);
    client.expect(
        "IOT.MTRACK f d 0 0 1000 e 1 0 1000 x 95 95 1000 d 1 0 2000 e 0 0 500",
        "[1, 1, -\"ERR latitude *\", 1, 0]",
    );
    events.expect(
        &FIELDS,
        &["enter d a", "enter e b", "exit d a", "enter d b"],
    );
}
