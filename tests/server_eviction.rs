//! A server at its limit of memory: what it refuses, what it evicts, and what becomes of what was tied to
//! evicted keys.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::BTreeSet;

use redis::Value;
use support::client::{Client, Protocol};
use support::fences_events::{events, items_of};
use support::notation::{render, words};
use support::seeds::{DEFRAG_SEED, Random};
use support::server::{Server, await_that};

/// The words of a request.
type Line = Vec<Vec<u8>>;

/// What is there before the memory is full.
const WORLD: [&str; 14] = [
    "IOT.CREATE series DUPLICATE_POLICY LAST LABELS kind temp",
    "IOT.ADD series 1000 20",
    "IOT.ADD series 2000 21",
    "IOT.CREATE mean",
    "IOT.CREATERULE series mean AGGREGATION avg 1000 BACKFILL",
    "IOT.CREATE other LABELS kind temp",
    "IOT.POLICY SET policy FILTER kind=dust RULES avg 1h",
    "IOT.FENCE ADD fences a CIRCLE 13 52 1000",
    "IOT.FENCE ADD fences b CIRCLE 13 52 2000",
    "IOT.FLEET CREATE fleet TRAIL 10",
    "IOT.FENCE BIND fleet fences STREAM events",
    "IOT.ROAM BIND fleet fleet RADIUS 100 STREAM meetings",
    "IOT.TRACK fleet van 13 52 TS 1000",
    "IOT.TRACK fleet bus 14 52 TS 1000",
];

/// Every command that may need memory.
const GROWING: [&str; 31] = [
    "IOT.CREATE new LABELS kind temp",
    "IOT.ALTER series RETENTION 1",
    "IOT.ADD series 3000 22",
    "IOT.ADD new 3000 22",
    "IOT.ADD series 1000 22",
    "IOT.MADD series 3000 22 other 1 1",
    "IOT.INGEST LABELS kind temp ITEMS series 3000 22 new 1 1",
    "IOT.ADDBULK series SAMPLES 3000 22 4000 23",
    "IOT.INCRBY series 1",
    "IOT.DECRBY new 1",
    "IOT.MALTER FILTER kind=temp SET RETENTION 1",
    "IOT.CREATERULE series other AGGREGATION max 1000 BACKFILL",
    "IOT.CREATERULE series new AGGREGATION max 1000 BACKFILL CREATE",
    "IOT.POLICY SET policy FILTER kind=temp RULES avg 1h BACKFILL",
    "IOT.POLICY SET more FILTER kind=temp RULES avg 1h BACKFILL",
    "IOT.TRACK fleet van 14 52 TS 2000",
    "IOT.TRACK new van 14 52 TS 2000",
    "IOT.MTRACK fleet van 14 52 2000 new 13 52 2000",
    "IOT.FLEET CREATE new TRAIL 5",
    "IOT.FLEET ALTER fleet TRAIL 1",
    "IOT.FENCE ADD fences a CIRCLE 14 52 1000",
    "IOT.FENCE ADD fences c CIRCLE 13 52 1000",
    "IOT.FENCE ADD new c CIRCLE 13 52 1000",
    "IOT.FENCE BIND fleet others PUBLISH news",
    "IOT.FENCE BIND new fences PUBLISH news",
    "IOT.ROAM BIND fleet others RADIUS 100 PUBLISH news",
    "IOT.RESTORE new x",
    "IOT.FLEET RESTORE new x",
    "IOT.FENCE RESTORE new x",
    "IOT.FLEET VISITS fleet van x",
    "COPY series new",
];

/// Reads, and writes that only free memory, the later after the earlier.
const ALLOWED: [(&str, &str); 27] = [
    ("IOT.GET series", "[2000, _]"),
    ("IOT.RANGE series - + AGGREGATION max 10000", "[[0, _]]"),
    ("IOT.READ series -", "_"),
    (
        "IOT.MRANGE - + FILTER kind=temp GROUPBY kind REDUCE max",
        "_",
    ),
    ("IOT.NRANGE 2 series mean - +", "_"),
    ("IOT.QUERYINDEX kind=temp", "[\"other\", \"series\"]"),
    ("IOT.INFO series DEBUG", "_"),
    ("IOT.STATS", "_"),
    ("IOT.DEBUG INDEX", "_"),
    ("IOT.POLICY GET policy", "_"),
    ("IOT.POSITION fleet van", "_"),
    ("IOT.TRAIL fleet van - +", "_"),
    ("IOT.NEARBY fleet 13 52 RADIUS 1000", "[\"van\"]"),
    ("IOT.FENCE AT fences 13 52", "[\"a\", \"b\"]"),
    ("IOT.FENCE BINDINGS fleet", "_"),
    ("DUMP series", "_"),
    ("IOT.DEL series 1000 1000", "1"),
    ("IOT.MDEL 2000 2000 FILTER kind=temp", "_"),
    ("IOT.DELETERULE series mean", "+OK"),
    ("IOT.POLICY DEL policy", "1"),
    ("IOT.UNTRACK fleet van", "1"),
    ("IOT.FENCE DEL fences a", "1"),
    ("IOT.FENCE UNBIND fleet fences", "1"),
    ("IOT.ROAM UNBIND fleet fleet", "1"),
    ("DEL series", "1"),
    ("UNLINK fleet fences", "2"),
    ("IOT.QUERYINDEX kind=temp", "[\"other\"]"),
];

/// The commands of some lines, those with subcommands by both words.
fn names<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let name = |line: &str| {
        let mut words = line.split(' ');
        let first = words.next().unwrap();
        match first {
            "IOT.FENCE" | "IOT.FLEET" | "IOT.POLICY" | "IOT.ROAM" => {
                format!("{first}|{}", words.next().unwrap()).to_lowercase()
            }
            _ => first.to_lowercase(),
        }
    };
    lines
        .map(name)
        .filter(|name| name.starts_with("iot."))
        .collect()
}

/// Our commands with this flag, subcommands by both words; containers of these are no commands themselves.
fn flagged(client: &mut Client, flag: &str) -> BTreeSet<String> {
    let mut names = client.module_commands();
    names.retain(|name| {
        let Value::Array(infos) = client.run(&format!("COMMAND INFO {name}")) else {
            panic!("nothing is known of {name}");
        };
        let fields = items_of(&infos[0]);
        items_of(&fields[9]).is_empty() && render(&fields[2]).contains(flag)
    });
    names.into_iter().map(|name| name.to_lowercase()).collect()
}

/// Waits until the timer has nothing to do any more.
fn await_rest(client: &mut Client) {
    await_that("the device has entered", || {
        events(client, "events").len() >= 2
    });
}

/// A server with the world, that evicts nothing yet.
fn world() -> (Server, Client) {
    let server = Server::start_with(&["--maxmemory-policy", "noeviction"]);
    let mut client = server.connect(Protocol::Resp2);
    for line in WORLD {
        let reply = client.run(line);
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{line}: {}",
            render(&reply)
        );
    }
    await_rest(&mut client);
    (server, client)
}

#[test]
fn what_may_need_memory_is_refused_as_a_whole_and_the_rest_works() {
    let (server, mut client) = world();
    assert_eq!(names(GROWING.into_iter()), flagged(&mut client, "denyoom"));
    let before = client.digest();
    let sent = client.info("replication", "master_repl_offset");
    let mut admin = server.connect(Protocol::Resp2);
    for line in GROWING {
        client.expect("CONFIG SET maxmemory 0", "+OK");
        client.expect("MULTI", "+OK");
        client.expect("IOT.DEL series 1000 2000", "+QUEUED");
        client.expect(line, "+QUEUED");
        admin.expect("CONFIG SET maxmemory 1", "+OK");
        client.expect("EXEC", "-*OOM*");
        client.expect(line, "-OOM *");
        let script = "EVAL \"return redis.call(unpack(ARGV))\" 0";
        client.expect(&format!("{script} {line}"), "-*OOM*");
        assert_eq!(client.digest(), before, "{line}");
    }
    assert_eq!(client.info("replication", "master_repl_offset"), sent);
    for (line, reply) in ALLOWED {
        client.expect(line, reply);
    }
    let freeing: BTreeSet<String> = flagged(&mut client, "write")
        .difference(&flagged(&mut client, "denyoom"))
        .cloned()
        .collect();
    let allowed = names(ALLOWED.iter().map(|(line, _)| *line));
    assert!(freeing.is_subset(&allowed), "{freeing:?}");
    client.expect("CONFIG SET maxmemory 0", "+OK");
    client.expect("IOT.ADD other 3000 22", "3000");
}

/// Keys of each type that a mix has at a time, about.
const KEYS: usize = 300;
/// Keys that must be evicted under each policy.
const EVICTED: u64 = 300;
/// Beyond its limit a server has what one batch of requests takes, and what is freed beside it.
const SLACK_BYTES: u64 = 1_500_000;

/// Requests that fill a key of each type, and tie them to each other: rules from one series to the next,
/// bindings of a fleet to a set of fences.
fn filled(random: &mut Random) -> Vec<String> {
    let (one, other) = (random.index(KEYS), random.index(KEYS));
    let from = 1000 * random.within(0..1000);
    let samples = (0..100).map(|at| format!(" {} {}", from + at, random.reading()));
    let samples: String = samples.collect();
    vec![
        format!(
            "IOT.ADDBULK series:{one} DUPLICATE_POLICY LAST LABELS kind temp n {one} SAMPLES{samples}"
        ),
        format!("IOT.CREATERULE series:{one} mean:{other} AGGREGATION avg 1000 CREATE"),
        format!("IOT.FENCE ADD fences:{one} a BBOX 13 52 13.5 52.5"),
        format!("IOT.FENCE ADD fences:{one} {from} CIRCLE 13.1 52.1 100 META 1 n {from}"),
        format!("IOT.FENCE BIND fleet:{other} fences:{one} PUBLISH news"),
        format!("IOT.MTRACK fleet:{other} van{from} 13.1 52.1 {from} bus{from} 14 52 {from}"),
        format!(
            "IOT.TRACK fleet:{one} van 13.{} 52.2 TS {from} FIELDS 1 load {from}",
            random.index(9)
        ),
        format!("IOT.POLICY SET policy:{one} FILTER kind=dust{one} RULES avg 1h"),
    ]
}

/// The keys of those requests, to be given a time to live.
fn expiries(lines: &[String]) -> Vec<Line> {
    let kinds = ["series:", "mean:", "fences:", "fleet:", "policy:"];
    let keys = lines.iter().flat_map(|line| line.split(' '));
    let keys = keys.filter(|word| kinds.iter().any(|kind| word.starts_with(kind)));
    keys.map(|key| words(&format!("EXPIRE {key} 100000")))
        .collect()
}

/// Fills until enough keys are evicted, and looks at the memory that is in use.
#[track_caller]
fn fill_until_evicted(client: &mut Client, random: &mut Random, limit: u64, volatile: bool) {
    let before = client.info("stats", "evicted_keys");
    await_that("enough is evicted", || {
        for _ in 0..20 {
            let lines = filled(random);
            let mut batch: Vec<_> = lines.iter().map(|line| words(line)).collect();
            if volatile {
                batch.extend(expiries(&lines));
            }
            client.pipeline(&batch).unwrap();
        }
        let [all, beside] =
            ["used_memory", "mem_not_counted_for_evict"].map(|name| client.info("memory", name));
        let used = all - beside;
        assert!(
            used < limit + SLACK_BYTES,
            "{used} bytes are in use, not {limit}"
        );
        client.info("stats", "evicted_keys") >= before + EVICTED
    });
}

/// Compares the index with the keys.
#[track_caller]
fn check_index(client: &mut Client) {
    let report = client.run("IOT.DEBUG INDEX");
    let Value::Array(fields) = &report else {
        panic!("no report: {}", render(&report));
    };
    assert!(
        fields[1] == fields[3] && fields[7] == Value::Nil,
        "{}",
        render(&report)
    );
    let found: Vec<String> =
        redis::from_redis_value(client.run("IOT.QUERYINDEX kind=temp")).unwrap();
    let mut keys: Vec<String> = redis::from_redis_value(client.run("KEYS series:*")).unwrap();
    keys.sort();
    assert_eq!(found, keys);
}

#[test]
fn keys_of_all_types_are_evicted_and_replicas_follow() {
    let (master, replica) = (Server::start(), Server::start());
    replica.replica_of(&master);
    let [mut client, mut other] = [&master, &replica].map(|one| one.connect(Protocol::Resp2));
    let mut random = Random::new(DEFRAG_SEED);
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        client.expect("CONFIG SET maxmemory 0", "+OK");
        client.expect("FLUSHALL SYNC", "+OK");
        client.expect(&format!("CONFIG SET maxmemory-policy {policy}"), "+OK");
        for _ in 0..KEYS {
            for line in filled(&mut random) {
                client.run(&line);
            }
        }
        let before: BTreeSet<String> = redis::from_redis_value(client.run("KEYS *")).unwrap();
        let limit = client.info("memory", "used_memory") + 200_000;
        client.expect(&format!("CONFIG SET maxmemory {limit}"), "+OK");
        let volatile = policy.starts_with("volatile");
        fill_until_evicted(&mut client, &mut random, limit, volatile);
        client.expect("CONFIG SET maxmemory 0", "+OK");
        for kind in ["series:", "mean:", "fleet:", "fences:", "policy:"] {
            let mut keys = before.iter().filter(|key| key.starts_with(kind));
            let is_gone = |key| client.integer(&format!("EXISTS {key}")) == 0;
            assert!(keys.any(is_gone), "no {kind} was evicted under {policy}");
        }
        check_index(&mut client);
        // The timer sends the devices out of sets that are gone.
        await_that("the replica is equal", || client.digest() == other.digest());
        check_index(&mut other);
        let evicted = client.info("stats", "evicted_keys");
        assert_eq!(
            other.info("stats", "evicted_keys"),
            0,
            "after {evicted} under {policy}"
        );
    }
}

/// Has the server evict one key and no other.
#[track_caller]
fn evict(client: &mut Client, key: &str) {
    client.expect(&format!("EXPIRE {key} 100000"), "1");
    client.expect("CONFIG SET maxmemory-policy volatile-random", "+OK");
    client.expect("CONFIG SET maxmemory 1", "+OK");
    await_that("the key is evicted", || {
        client.integer(&format!("EXISTS {key}")) == 0
    });
    client.expect("CONFIG SET maxmemory 0", "+OK");
}

#[test]
fn an_evicted_source_leaves_a_series_like_any_other() {
    let (_server, mut client) = world();
    client.expect("IOT.RANGE mean - +", "[[1000, _]]");
    evict(&mut client, "series");
    client.expect("IOT.QUERYINDEX kind=temp", "[\"other\"]");
    client.expect("IOT.RANGE mean - +", "[[1000, _]]");
    // It has no source any more, and may have another.
    client.expect("IOT.DEL mean - +", "1");
    client.expect("IOT.CREATERULE other mean AGGREGATION avg 1000", "+OK");
    client.expect("IOT.MADD other 5000 1 other 7000 2", "[5000, 7000]");
    client.expect("IOT.RANGE mean - +", "[[5000, _]]");
    // A series that comes by the name has no rule.
    client.expect("IOT.ADD series 1000 1", "1000");
    client.expect("IOT.DELETERULE series mean", "-*");
}

#[test]
fn a_rule_to_an_evicted_series_ends_when_it_is_to_store() {
    let (_server, mut client) = world();
    evict(&mut client, "mean");
    client.expect("IOT.ADD series 2500 22", "2500");
    client.expect("IOT.ADD series 9000 22", "9000");
    assert_eq!(client.integer("EXISTS mean"), 0);
    client.expect("IOT.DELETERULE series mean", "-*");
}

#[test]
fn devices_leave_the_fences_of_an_evicted_set() {
    let (_server, mut client) = world();
    evict(&mut client, "fences");
    await_that("the device has left both", || {
        events(&mut client, "events").len() == 4
    });
    let left = events(&mut client, "events").into_iter().skip(2);
    let left: Vec<_> = left
        .map(|one| {
            (
                one.get("event").to_owned(),
                one.get("reason").to_owned(),
                one.who(),
            )
        })
        .collect();
    let gone = |fence: &str| {
        (
            "exit".to_owned(),
            "fence removed".to_owned(),
            ("van".to_owned(), fence.to_owned()),
        )
    };
    assert_eq!(left, [gone("a"), gone("b")]);
    // The binding waits for a set of that name.
    client.expect("IOT.FENCE ADD fences c CIRCLE 13 52 1000", "1");
    await_that("the device has entered", || {
        events(&mut client, "events").len() == 5
    });
}

#[test]
fn an_evicted_fleet_takes_its_bindings_along() {
    let (_server, mut client) = world();
    let before = events(&mut client, "events");
    evict(&mut client, "fleet");
    client.expect("IOT.TRACK fleet van 13 52 TS 9000", "1");
    client.expect("IOT.FENCE BINDINGS fleet", "[]");
    client.expect("IOT.FENCE ADD fences c CIRCLE 13 52 1000", "1");
    assert_eq!(events(&mut client, "events"), before);
}

#[test]
fn an_evicted_policy_gives_rules_to_no_new_series() {
    let (_server, mut client) = world();
    client.expect("IOT.ADD hall:1 1 1 LABELS kind dust", "1");
    client.expect("EXISTS hall:1:avg:1h", "_");
    evict(&mut client, "policy");
    client.expect("IOT.POLICY LIST", "[]");
    client.expect("IOT.ADD hall:2 1 1 LABELS kind dust", "1");
    client.expect(
        "IOT.QUERYINDEX kind=dust aggregation=\"\"",
        "[\"hall:1\", \"hall:2\"]",
    );
    let keys: Vec<String> = redis::from_redis_value(client.run("KEYS hall:2*")).unwrap();
    assert_eq!(keys, ["hall:2"]);
    let keys: Vec<String> = redis::from_redis_value(client.run("KEYS hall:1*")).unwrap();
    assert_eq!(keys.len(), 2, "{keys:?}");
}
