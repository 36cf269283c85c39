//! Everything that a client can let grow: as much as the manual says is taken, one more is refused in its
//! words, and changes nothing.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::{error_text, packed, render, words};
use support::server::Server;

/// The words of a command.
type Line = Vec<Vec<u8>>;
/// Lines of which the last has so many of something.
type Lines = fn(usize) -> Vec<Line>;

/// What the manual says of one size.
struct Row {
    what: String,
    most: String,
    error: String,
}

/// The rows of a table of the manual, below a heading.
fn table(heading: &str) -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/limits.md");
    let page = std::fs::read_to_string(path).unwrap();
    let part = page.split(heading).nth(1).expect("the heading is there");
    let lines = part.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [what, most, error] = cells[..] else {
            panic!("three cells: {line}");
        };
        let [what, most, error] = [what, most, error].map(str::to_owned);
        Row { what, most, error }
    };
    rows.map(row).collect()
}

/// Words, and `count` times more words, in which `#` is the number of the time.
fn many(begin: &str, count: usize, each: &str, end: &str) -> Line {
    let mut line = words(begin);
    for number in 0..count {
        line.extend(words(&each.replace('#', &number.to_string())));
    }
    line.extend(words(end));
    line
}

/// Lines that are written out.
fn lines<const N: usize>(lines: [String; N]) -> Vec<Line> {
    lines.into_iter().map(|line| words(&line)).collect()
}

fn x(count: usize) -> String {
    "x".repeat(count)
}

/// How each size of the first table is reached.
const SIZES: [(&str, Lines); 37] = [
    ("labels of a series", |n| {
        vec![many("IOT.CREATE k LABELS", n, "l# v", "")]
    }),
    ("bytes of a label's name or value", |n| {
        lines([format!("IOT.CREATE k LABELS a {}", x(n))])
    }),
    ("bytes of `CHUNK_SIZE`", |n| {
        lines([format!("IOT.CREATE k CHUNK_SIZE {}", n.div_ceil(8) * 8)])
    }),
    ("samples of one `IOT.ADDBULK`", |n| {
        let mut line = words("IOT.ADDBULK k PACKED");
        line.push(packed(
            (0..i64::try_from(n).unwrap()).map(|time| (time, 1.0)),
        ));
        vec![line]
    }),
    (
        "late samples of one `IOT.ADDBULK` that are far from the one before",
        |n| {
            let mut line = words("IOT.ADDBULK k PACKED");
            // To and fro, and each but the first is late.
            let n = i64::try_from(n).unwrap();
            let times = (0..n).map(|at| if at % 2 == 0 { at } else { 5 * n + at });
            line.push(packed(
                [9 * n].into_iter().chain(times).map(|time| (time, 1.0)),
            ));
            vec![line]
        },
    ),
    ("rules of a series", |n| {
        let mut all = lines(["IOT.CREATE k".into()]);
        all.extend(
            (0..n).map(|at| words(&format!("IOT.CREATERULE k d{at} AGGREGATION avg 10 CREATE"))),
        );
        all
    }),
    ("rules in a chain", |n| {
        let mut all = lines(["IOT.CREATE c0".into()]);
        all.extend((0..n).map(|at| {
            words(&format!(
                "IOT.CREATERULE c{at} c{} AGGREGATION avg 10 CREATE",
                at + 1
            ))
        }));
        all
    }),
    ("rules of a policy", |n| {
        vec![many("IOT.POLICY SET p FILTER a=b RULES", n, "avg 1#m", "")]
    }),
    ("policies of a database", |n| {
        (0..n)
            .map(|at| words(&format!("IOT.POLICY SET p{at} FILTER a=b RULES avg 1m")))
            .collect()
    }),
    ("aggregators of a query", |n| {
        let list = vec!["avg"; n].join(",");
        lines([
            "IOT.CREATE k".into(),
            format!("IOT.RANGE k - + AGGREGATION {list} 10"),
        ])
    }),
    ("times in `FILTER_BY_TS`", |n| {
        vec![
            words("IOT.CREATE k"),
            many("IOT.RANGE k - + FILTER_BY_TS", n, "#", ""),
        ]
    }),
    ("buckets of `EMPTY` and `FILL`", |n| {
        let last = n - 1;
        lines([
            format!("IOT.ADDBULK k SAMPLES 0 1 {last} 1"),
            "IOT.RANGE k - + AGGREGATION count 1 EMPTY".into(),
        ])
    }),
    ("matchers of a command", |n| {
        vec![many("IOT.QUERYINDEX", n, "l#=1", "")]
    }),
    ("bytes of all filters", |n| {
        lines([format!("IOT.QUERYINDEX a={}", x(n - 2))])
    }),
    ("values in a list of a filter", |n| {
        let list: Vec<String> = (0..n).map(|at| at.to_string()).collect();
        lines([format!("IOT.QUERYINDEX a=({})", list.join(","))])
    }),
    ("bytes of a glob pattern", |n| {
        lines([format!("IOT.QUERYINDEX a~{}", x(n))])
    }),
    ("bytes of a regular expression", |n| {
        lines([format!("IOT.QUERYINDEX a~={}", x(n))])
    }),
    ("labels in `SELECTED_LABELS`", |n| {
        vec![many("IOT.MGET SELECTED_LABELS", n, "l#", "FILTER a=b")]
    }),
    ("labels in `GROUPBY`", |n| {
        vec![many(
            "IOT.MRANGE - + FILTER a=b GROUPBY",
            n,
            "l#",
            "REDUCE max",
        )]
    }),
    ("keys of `IOT.NRANGE` and `IOT.MREAD`", |n| {
        vec![
            words("IOT.CREATE k"),
            many(&format!("IOT.NRANGE {n}"), n, "k", "- +"),
        ]
    }),
    ("samples to wait for", |n| {
        lines(["IOT.CREATE k".into(), format!("IOT.READ k - BLOCK 1 {n}")])
    }),
    ("bytes of a device's id", |n| {
        lines([format!("IOT.TRACK f {} 1 1", x(n))])
    }),
    ("fields of a device", |n| {
        vec![many(
            &format!("IOT.TRACK f d 1 1 FIELDS {n}"),
            n,
            "f# 1",
            "",
        )]
    }),
    ("bytes of a field's name", |n| {
        lines([format!("IOT.TRACK f d 1 1 FIELDS 1 {} 1", x(n))])
    }),
    ("bytes of a field's text", |n| {
        lines([format!("IOT.TRACK f d 1 1 FIELDS 1 a {}", x(n))])
    }),
    ("positions of a trail", |n| {
        lines([format!("IOT.FLEET CREATE f TRAIL {n}")])
    }),
    ("conditions of a search", |n| {
        vec![
            words("IOT.TRACK f d 1 1"),
            many("IOT.NEARBY f 1 1", n, "WHERE a = #", ""),
        ]
    }),
    ("bytes of a fence's id", |n| {
        lines([format!("IOT.FENCE ADD z {} CIRCLE 1 1 1", x(n))])
    }),
    ("pairs in `META` of a fence", |n| {
        vec![many(
            &format!("IOT.FENCE ADD z a CIRCLE 1 1 1 META {n}"),
            n,
            "m# v",
            "",
        )]
    }),
    ("groups of a fence", |n| {
        vec![many(
            &format!("IOT.FENCE ADD z a CIRCLE 1 1 1 GROUPS {n}"),
            n,
            "g#",
            "",
        )]
    }),
    ("bytes of a group", |n| {
        lines([format!("IOT.FENCE ADD z a CIRCLE 1 1 1 GROUPS 1 {}", x(n))])
    }),
    ("devices that a fence names", |n| {
        vec![many(
            &format!("IOT.FENCE ADD z a CIRCLE 1 1 1 DEVICES {n}"),
            n,
            "d#",
            "",
        )]
    }),
    ("windows of a schedule", |n| {
        // A minute of each two, so that none of them meet.
        let clock = |minute: usize| format!("{:02}:{:02}", minute / 60, minute % 60);
        let window = |at: usize| format!("mon {}-{}", clock(2 * at), clock(2 * at + 1));
        let windows = (0..n).map(window).collect::<Vec<_>>().join("; ");
        lines([format!(
            "IOT.FENCE ADD z a CIRCLE 1 1 1 SCHEDULE \"{windows}\""
        )])
    }),
    ("sinks of a binding", |n| {
        vec![
            words("IOT.TRACK f d 1 1"),
            many("IOT.FENCE BIND f z", n, "STREAM x#", ""),
        ]
    }),
    ("sets of fences that a fleet is bound to", |n| {
        let mut all = lines(["IOT.TRACK f d 1 1".into()]);
        all.extend((0..n).map(|at| words(&format!("IOT.FENCE BIND f z{at} STREAM x"))));
        all
    }),
    ("fleets that a fleet roams among", |n| {
        let mut all = lines(["IOT.TRACK f d 1 1".into()]);
        all.extend((0..n).map(|at| words(&format!("IOT.ROAM BIND f g{at} RADIUS 5 STREAM x"))));
        all
    }),
    ("fences looked at for `OUTSIDE`", |n| {
        lines([
            "IOT.TRACK f d 1 1".into(),
            format!("IOT.FENCE BIND f z OUTSIDE {n} STREAM x"),
        ])
    }),
];

/// The same of the second table, where the setting is what is tried.
const SETTINGS: [(&str, Lines); 5] = [
    ("series that a filter matches", |n| {
        let mut all: Vec<Line> = (0..n)
            .map(|at| words(&format!("IOT.CREATE k{at} LABELS a b")))
            .collect();
        all.push(words("IOT.MGET FILTER a=b"));
        all
    }),
    ("samples that a query reads", |n| {
        vec![
            many("IOT.ADDBULK k SAMPLES", n, "# 1", ""),
            words("IOT.RANGE k - +"),
        ]
    }),
    ("vertices of a shape", |n| {
        vec![many(
            &format!("IOT.FENCE ADD z a CORRIDOR 5 {n}"),
            n,
            "1# 1",
            "",
        )]
    }),
    ("fences of a set", |n| {
        (0..n)
            .map(|at| words(&format!("IOT.FENCE ADD z a{at} CIRCLE 1 1 1")))
            .collect()
    }),
    ("devices of a fleet", |n| {
        (0..n)
            .map(|at| words(&format!("IOT.TRACK f d{at} 1 1")))
            .collect()
    }),
];

/// Sends lines, all but the last of which must be taken; returns the reply to that, and what the database
/// was before it.
fn last_reply(client: &mut Client, lines: &[Line]) -> (Value, String) {
    client.expect("FLUSHALL", "+OK");
    let (last, before) = lines.split_last().unwrap();
    for line in before {
        let reply = client.call(line);
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{}",
            render(&reply)
        );
    }
    let digest = client.digest();
    (client.call(last), digest)
}

/// Tries as many as permitted, and one more. Returns what is otherwise than the manual says.
fn difference(client: &mut Client, row: &Row, most: usize, lines: Lines) -> Option<String> {
    let (reply, _) = last_reply(client, &lines(most));
    if matches!(reply, Value::ServerError(_)) {
        return Some(format!("{most}, {}: {}", row.what, render(&reply)));
    }
    let (reply, before) = last_reply(client, &lines(most + 1));
    let is_refused = matches!(&reply, Value::ServerError(_))
        && error_text(&reply).contains(&row.error)
        && client.digest() == before;
    (!is_refused).then(|| format!("{}, {}: {:.200}", most + 1, row.what, render(&reply)))
}

/// The lines that reach what a row of the manual says.
fn lines_of(all: &[(&str, Lines)], row: &Row) -> Lines {
    let found = all.iter().find(|(what, _)| *what == row.what);
    found
        .unwrap_or_else(|| panic!("nothing tries {}", row.what))
        .1
}

#[test]
fn every_size_of_the_manual_is_taken_and_one_more_is_refused() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let rows = table("## Sizes");
    assert_eq!(rows.len(), SIZES.len());
    let tried = rows.iter().filter_map(|row| {
        let most = row.most.replace(',', "").parse().unwrap();
        difference(&mut client, row, most, lines_of(&SIZES, row))
    });
    let differences: Vec<String> = tried.collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn every_size_that_is_a_setting_is_that_of_the_setting() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let rows = table("## Settings");
    assert_eq!(rows.len(), SETTINGS.len());
    for row in &rows {
        let setting = row.most.trim_matches('`');
        for most in [5, 7] {
            client.expect(&format!("CONFIG SET {setting} {most}"), "+OK");
            let difference = difference(&mut client, row, most, lines_of(&SETTINGS, row));
            assert_eq!(difference, None);
        }
    }
}
