//! Requests and the replies they get, as data: every file of `tests/commands` is played to a real
//! server, each case on an empty key space, in RESP2 and in RESP3.
//!
//! A case has a `name` and `steps`. A line `> words` is sent; the lines up to the next request are
//! the expected reply in the notation of [`support::notation`]. `// ...` is a comment.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::notation;
use support::server::Server;

/// The settings of the module as they are when nobody has set any.
const DEFAULT_SETTINGS: [(&str, &str); 17] = [
    ("redis-iot.max-series", "100000"),
    ("redis-iot.retention", "0"),
    ("redis-iot.duplicate-policy", "block"),
    ("redis-iot.encoding", "compressed"),
    ("redis-iot.chunk-size", "4096"),
    ("redis-iot.ignore-max-time-diff", "0"),
    ("redis-iot.ignore-max-val-diff", "0"),
    ("redis-iot.threads", "0"),
    ("redis-iot.inline-samples", "5000"),
    ("redis-iot.max-samples", "1000000000"),
    ("redis-iot.query-timeout", "30000"),
    ("redis-iot.inline-timeout", "500"),
    ("redis-iot.max-queries", "128"),
    ("redis-iot.max-vertices", "10000"),
    ("redis-iot.max-fences", "10000000"),
    ("redis-iot.max-devices", "100000000"),
    ("redis-iot.max-results", "100000"),
];

/// Plays all cases of a file and fails with everything that differs.
fn play(file: &str) {
    let path = format!("{}/tests/commands/{file}.toml", env!("CARGO_MANIFEST_DIR"));
    let document: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    let cases = document["case"].as_array().unwrap();
    assert!(!cases.is_empty(), "{path} has no case");
    let mut server = Server::start();
    let mut differences = Vec::new();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        for protocol in Protocol::BOTH {
            let mut client = server.connect(protocol);
            reset(&mut client);
            if let Err(difference) = play_case(&mut client, case["steps"].as_str().unwrap()) {
                differences.push(format!("{file}: {name}\n{difference}"));
            }
            server.assert_alive(&|| format!("{file}: {name}"));
        }
    }
    assert!(
        differences.is_empty(),
        "{} replies differ\n\n{}",
        differences.len(),
        differences.join("\n\n")
    );
}

fn reset(client: &mut Client) {
    client.expect("FLUSHALL", "+OK");
    for (name, value) in DEFAULT_SETTINGS {
        client.expect(&format!("CONFIG SET {name} {value}"), "+OK");
    }
}

fn play_case(client: &mut Client, steps: &str) -> Result<(), String> {
    let mut lines = steps
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .peekable();
    while let Some(line) = lines.next() {
        let request = line
            .strip_prefix("> ")
            .unwrap_or_else(|| panic!("{line} is no request"));
        let mut expected = String::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("> ")) {
            expected.push_str(line);
            expected.push('\n');
        }
        let reply = client
            .try_call(&notation::words(request))
            .map_err(|lost| format!("  > {request}\n  lost: {}", lost.0))?;
        notation::compare(&expected, &reply, client.protocol)
            .map_err(|difference| format!("  > {request}\n{difference}"))?;
    }
    Ok(())
}

#[test]
fn creating_and_altering_a_series() {
    play("create_alter");
}

#[test]
fn adding_samples_one_by_one_and_in_lists() {
    play("add_madd_ingest");
}

#[test]
fn adding_samples_to_one_series_in_bulk() {
    play("addbulk");
}

#[test]
fn resolving_duplicates_and_ignoring_what_says_nothing_new() {
    play("duplicates");
}

#[test]
fn incrementing_and_decrementing_the_newest_value() {
    play("increment");
}

#[test]
fn deleting_samples() {
    play("del");
}

#[test]
fn reading_the_newest_sample() {
    play("get");
}

#[test]
fn stats() {
    play("stats");
}

#[test]
fn reading_ranges_of_raw_samples() {
    play("range");
}

#[test]
fn giving_spans_of_time_with_units() {
    play("durations");
}

#[test]
fn aggregating_samples_in_buckets() {
    play("aggregation");
}

#[test]
fn filling_gaps_with_what_lies_around_them() {
    play("fill");
}

#[test]
fn cutting_buckets_by_the_calendar() {
    play("calendar");
}

#[test]
fn aggregating_by_rank_by_change_and_by_time() {
    play("aggregators");
}

#[test]
fn filling_gaps_between_buckets() {
    play("empty");
}

#[test]
fn finding_series_by_their_labels() {
    play("many");
}

#[test]
fn putting_series_side_by_side() {
    play("nrange");
}

#[test]
fn reading_from_a_time_on() {
    play("read");
}

#[test]
fn describing_a_series() {
    play("info");
}

#[test]
fn keeping_aggregates_in_another_series() {
    play("rules");
}

#[test]
fn giving_rules_by_labels() {
    play("policy");
}

#[test]
fn setting_defaults_for_new_series() {
    play("configs");
}

#[test]
fn describing_a_fleet_and_what_it_takes() {
    play("fleet");
}

#[test]
fn telling_where_devices_are() {
    play("track");
}

#[test]
fn finding_devices_by_place() {
    play("nearby_within");
}

#[test]
fn reading_where_a_device_was() {
    play("trail");
}

#[test]
fn keeping_fences_and_asking_them() {
    play("fence");
}

#[test]
fn binding_fleets_to_fences_and_to_each_other() {
    play("bind");
}

#[test]
fn refusing_shapes_that_are_none() {
    play("geo_errors");
}

#[test]
fn refusing_what_makes_no_sense() {
    play("errors");
}

/// Runs lines and compares the keyspace events that each of them causes.
#[track_caller]
fn check_events(lines: &[(&str, &[(&str, &str)])]) {
    let server = Server::start();
    let mut writer = server.connect(Protocol::Resp2);
    let mut listener = server.connect(Protocol::Resp2);
    writer.expect("CONFIG SET notify-keyspace-events Ed", "+OK");
    listener.expect(
        "PSUBSCRIBE __keyevent@*__:*",
        r#"["psubscribe", "__keyevent@*__:*", 1]"#,
    );
    let publish = "PUBLISH __keyevent@0__:end end";
    for (line, events) in lines {
        writer.run(line);
        writer.expect(publish, "1");
        let mut seen = Vec::new();
        loop {
            let message = listener.receive().unwrap();
            let text = notation::render(&message);
            if text.contains("__:end") {
                break;
            }
            seen.push(text);
        }
        let wanted: Vec<String> = events
            .iter()
            .map(|(event, key)| {
                format!(r#"["pmessage", "__keyevent@*__:*", "__keyevent@0__:{event}", "{key}"]"#)
            })
            .collect();
        assert_eq!(seen, wanted, "{line}");
    }
}

#[test]
fn telling_subscribers_of_keyspace_events_is_off_by_default_and_on_when_asked() {
    check_events(&[
        ("IOT.CREATE a", &[("iot.create", "a")][..]),
        ("IOT.CREATE a", &[]),
        ("IOT.ALTER a RETENTION 10", &[("iot.alter", "a")]),
        ("IOT.ADD a 100 1", &[("iot.add", "a")]),
        ("IOT.ADD a 100 2", &[]),
        ("IOT.ADD a 1 2", &[]),
        ("IOT.ADD b 100 1 LABELS x y", &[("iot.add", "b")]),
        (
            "IOT.MADD a 101 1 b 101 1 c 101 1",
            &[("iot.add", "a"), ("iot.add", "b")],
        ),
        (
            "IOT.INGEST ITEMS a 102 1 d 1 1",
            &[("iot.add", "a"), ("iot.add", "d")],
        ),
        ("IOT.ADDBULK a SAMPLES 103 1 104 2", &[("iot.add", "a")]),
        ("IOT.INCRBY a 1 TIMESTAMP 105", &[("iot.incrby", "a")]),
        ("IOT.DECRBY a 1 TIMESTAMP 106", &[("iot.decrby", "a")]),
        ("IOT.DEL a 105 106", &[("iot.del", "a")]),
        ("IOT.GET a", &[]),
        ("IOT.RANGE a - +", &[]),
        ("IOT.INFO a", &[]),
    ]);
}

#[test]
fn telling_subscribers_of_what_rules_do() {
    check_events(&[
        ("IOT.CREATE d", &[("iot.create", "d")]),
        (
            "IOT.CREATERULE d e AGGREGATION sum 10 CREATE",
            &[("iot.createrule:src", "d"), ("iot.createrule:dest", "e")],
        ),
        (
            "IOT.CREATERULE e f AGGREGATION sum 10 CREATE",
            &[("iot.createrule:src", "e"), ("iot.createrule:dest", "f")],
        ),
        ("IOT.ADD d 5 1", &[("iot.add", "d")]),
        ("IOT.ADD e 5 1", &[]),
        ("IOT.ADD d 15 1", &[("iot.add", "d"), ("iot.add:dest", "e")]),
        (
            "IOT.ADD d 25 1",
            &[
                ("iot.add", "d"),
                ("iot.add:dest", "e"),
                ("iot.add:dest", "f"),
            ],
        ),
        (
            "IOT.DEL d 15 15",
            &[
                ("iot.del", "d"),
                ("iot.add:dest", "e"),
                ("iot.add:dest", "f"),
            ],
        ),
        ("IOT.DELETERULE e d", &[]),
        (
            "IOT.DELETERULE d e",
            &[("iot.deleterule:src", "d"), ("iot.deleterule:dest", "e")],
        ),
    ]);
}

#[test]
fn telling_subscribers_of_fleets_and_fences() {
    check_events(&[
        (
            "IOT.FLEET CREATE f TRAIL 5",
            &[("iot.fleet.create", "f")][..],
        ),
        ("IOT.FLEET CREATE f", &[]),
        ("IOT.FLEET ALTER f TRAIL 6", &[("iot.fleet.alter", "f")]),
        ("IOT.TRACK f d 0 0 TS 1000", &[("iot.track", "f")]),
        ("IOT.TRACK f d 0 0 TS 900", &[]),
        ("IOT.TRACK f d 0 99 TS 900", &[]),
        ("IOT.MTRACK f d 0 0 2000 e 0 0 1", &[("iot.track", "f")]),
        ("IOT.MTRACK f d 0 99 2000", &[]),
        ("IOT.MTRACK f d 0 0 1500 e 0 0 0", &[]),
        ("IOT.UNTRACK f nobody", &[]),
        ("IOT.UNTRACK f e", &[("iot.untrack", "f")]),
        (
            "IOT.FENCE ADD z a CIRCLE 0 0 1000",
            &[("iot.fence.add", "z")],
        ),
        ("IOT.FENCE ADD z b CIRCLE 0 0 0", &[]),
        ("IOT.FENCE BIND f z PUBLISH c", &[("iot.fence.bind", "f")]),
        ("IOT.FENCE UNBIND f y", &[]),
        ("IOT.FENCE UNBIND f z", &[("iot.fence.unbind", "f")]),
        (
            "IOT.ROAM BIND f f RADIUS 5 PUBLISH c",
            &[("iot.roam.bind", "f")],
        ),
        ("IOT.ROAM UNBIND f z", &[]),
        ("IOT.ROAM UNBIND f f", &[("iot.roam.unbind", "f")]),
        ("IOT.FENCE DEL z b", &[]),
        ("IOT.FENCE DEL z a", &[("iot.fence.del", "z")]),
        ("IOT.NEARBY f 0 0", &[]),
        ("IOT.POSITION f d", &[]),
    ]);
}

#[test]
fn numbers_are_shortest_round_trip_decimals_in_resp2() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let texts = [
        ("0.5", "0.5"),
        ("1100", "1100"),
        ("1.1e3", "1100"),
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("-21.50", "-21.5"),
        ("nan", "NaN"),
        ("123456789", "123456789"),
    ];
    for (index, (sent, replied)) in texts.into_iter().enumerate() {
        client.expect(&format!("IOT.ADD t {index} {sent}"), &index.to_string());
        let wanted = redis::Value::Array(vec![
            redis::Value::Int(i64::try_from(index).unwrap()),
            redis::Value::SimpleString(replied.into()),
        ]);
        assert_eq!(client.run("IOT.GET t"), wanted, "{sent}");
    }
    client.run("IOT.ADDBULK t PACKED packed:100=inf,101=-inf");
    client.expect("IOT.RANGE t 100 101", "[[100, #inf], [101, #-inf]]");
    assert!(
        format!("{:?}", client.run("IOT.RANGE t 100 101")).contains(r#"simple-string("inf")"#),
        "infinity is written inf"
    );
}
