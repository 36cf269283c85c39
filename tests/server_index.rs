//! The index of labels is exact whatever happens to a key, after a restart and on a replica.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Lost, Protocol};
use support::filters::{Filter, Pairs, Vocabulary};
use support::notation::{render, words};
use support::seeds::{INDEX_SEED, Random};
use support::server::{Server, await_that};

/// Random commands of each mix.
const STEPS: usize = 2_000;
/// Commands between two comparisons.
const STEPS_BETWEEN_CHECKS: usize = 8;
/// Databases in use.
const DATABASES: usize = 3;

const VOCABULARY: Vocabulary = Vocabulary {
    names: &[
        b"site",
        b"floor",
        b"kind",
        b"a \"long\" label, longer than others",
    ],
    value: |random, label| match label {
        1 => random.within(-4..5).to_string().into_bytes(),
        3 => format!("a value beyond what lies inside {}", random.within(0..9)).into_bytes(),
        _ => format!("v{}", random.within(0..4)).into_bytes(),
    },
};

fn random_labels(random: &mut Random) -> Vec<Vec<u8>> {
    let pairs = VOCABULARY.pairs(random, |_| 60).into_iter();
    let texts = pairs.flat_map(|(name, value)| [name, value]);
    [words("LABELS"), texts.collect()].concat()
}

fn key(random: &mut Random) -> String {
    format!("key:{}", random.index(12))
}

/// Commands that create, change and remove series in every way there is.
struct Mix {
    random: Random,
    /// A dump of some series.
    dump: Vec<u8>,
}

impl Mix {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            dump: Vec::new(),
        }
    }

    /// One command, or several as a transaction or a script.
    fn step(&mut self, client: &mut Client) {
        match self.random.index(20) {
            0 => {
                client.expect("MULTI", "+OK");
                for _ in 0..4 {
                    client.call(&self.command());
                }
                client.run("EXEC");
            }
            1 => {
                let script = "EVAL \"for _ = 1, 2 do redis.pcall(unpack(ARGV)) end\" 0";
                client.call(&[words(script), self.command()].concat());
            }
            2 => {
                let dump = client.run(&format!("DUMP {}", key(&mut self.random)));
                if let Value::BulkString(dump) = dump {
                    self.dump = dump;
                }
            }
            _ => {
                let command = self.command();
                client.call(&command);
            }
        }
    }

    fn command(&mut self) -> Vec<Vec<u8>> {
        let random = &mut self.random;
        let (one, other, number) = (key(random), key(random), random.index(DATABASES));
        let line = match random.index(40) {
            0..=3 => return self.with_labels(&format!("IOT.CREATE {one}")),
            4..=7 => return self.with_labels(&format!("IOT.ADD {one} * 1")),
            8 => return self.with_labels(&format!("IOT.INCRBY {one} 1")),
            9 => return self.with_labels(&format!("IOT.CREATE {one} IDLE_TTL 20")),
            10 | 11 => return self.with_labels(&format!("IOT.ALTER {one}")),
            12 | 13 => {
                let line = format!("IOT.MALTER FILTER site=v{} SET", random.index(4));
                return self.with_labels(&line);
            }
            14 => format!("DEL {one} {other}"),
            15 => format!("UNLINK {one}"),
            16 => format!("PEXPIRE {one} {}", random.within(-1..20)),
            17 => format!("RENAME {one} {other}"),
            18 => format!("RENAMENX {one} {other}"),
            19 | 20 => format!("COPY {one} {other} DB {number} REPLACE"),
            21 => format!("COPY {one} {other} DB {number}"),
            22 | 23 => format!("MOVE {one} {number}"),
            24 | 25 => return self.restore(&one),
            26 => format!("SWAPDB {number} {}", random.index(DATABASES)),
            27 => format!("SET {one} text"),
            28 => format!("GETDEL {one}"),
            29 => format!("SORT list BY nosort STORE {one}"),
            30 => format!("SELECT {number}"),
            31 => random
                .pick(&["FLUSHDB", "FLUSHDB ASYNC", "FLUSHDB SYNC"])
                .into(),
            32 if random.chance(30) => random.pick(&["FLUSHALL", "FLUSHALL ASYNC"]).into(),
            33 => format!("SET {one} text PX 10"),
            34 => format!("PERSIST {one}"),
            35 => format!("MSET {one} text {other} text"),
            36 => format!("SUNIONSTORE {one} set none"),
            37 => format!("BITOP NOT {one} bits"),
            38 => "SADD set 1".into(),
            _ => format!("RPUSH {} 1", random.pick(&["list", &one[..]])),
        };
        words(&line)
    }

    fn with_labels(&mut self, line: &str) -> Vec<Vec<u8>> {
        [words(line), random_labels(&mut self.random)].concat()
    }

    fn restore(&mut self, key: &str) -> Vec<Vec<u8>> {
        let ttl = self.random.pick(&["0", "15", "100000"]);
        let mut args = words(&format!("RESTORE {key} {ttl}"));
        args.push(self.dump.clone());
        if self.random.chance(20) {
            // In the past, but for 0.
            args.push(b"ABSTTL".to_vec());
        }
        if self.random.chance(80) {
            args.push(b"REPLACE".to_vec());
        }
        args
    }
}

/// The series of the database in use and their labels, as the keys themselves have them; `None` if
/// one expired meanwhile.
fn series(client: &mut Client) -> Option<Vec<(String, Pairs)>> {
    let mut keys: Vec<String> = redis::from_redis_value(client.run("KEYS *")).unwrap();
    keys.sort();
    let mut all = Vec::new();
    for key in keys {
        match client.text(&format!("TYPE {key}")).as_str() {
            "iotseries" => {}
            "none" => return None,
            _ => continue,
        }
        let labels = match client.run(&format!("IOT.INFO {key}")) {
            Value::Array(fields) => fields
                .chunks(2)
                .find(|pair| pair[0] == Value::BulkString(b"labels".into()))
                .map(|pair| redis::from_redis_value::<Pairs>(pair[1].clone()).unwrap()),
            _ => None,
        };
        all.push((key, labels?));
    }
    Some(all)
}

/// Compares the index of each database with its keys, and filters with the model.
#[track_caller]
fn check(client: &mut Client, random: &mut Random, after: &str) {
    // The first comes last, and stays in use.
    for database in (0..DATABASES).rev() {
        client.expect(&format!("SELECT {database}"), "+OK");
        let report = client.run("IOT.DEBUG INDEX");
        let Value::Array(fields) = &report else {
            panic!("no report: {}", render(&report));
        };
        assert!(
            fields[1] == fields[3] && fields[7] == Value::Nil,
            "after {after} in database {database}: {}",
            render(&report)
        );
        let filters = Filter::several(random, &VOCABULARY);
        let mut query = words("IOT.QUERYINDEX");
        query.extend(filters.iter().map(Filter::text));
        await_that("no key expires meanwhile", || {
            let Some(before) = series(client) else {
                return false;
            };
            let found: Vec<String> = redis::from_redis_value(client.call(&query)).unwrap();
            if series(client).as_ref() != Some(&before) {
                return false;
            }
            let matching = before.iter();
            let matching = matching.filter(|(_, labels)| Filter::all_hold(&filters, labels));
            let matching: Vec<&String> = matching.map(|(key, _)| key).collect();
            assert!(
                found.iter().eq(matching.iter().copied()),
                "after {after} in database {database}: {filters:?} found {found:?}, not {matching:?}"
            );
            true
        });
    }
}

/// Runs a mix of commands, and checks every few of them.
fn run(client: &mut Client, seed: u64, steps: usize, reload: bool) {
    let (mut mix, mut random) = (Mix::new(seed), Random::new(seed + 1));
    let mut series_seen = 0;
    for step in 0..steps {
        mix.step(client);
        if step % STEPS_BETWEEN_CHECKS == 0 {
            if reload && step % (20 * STEPS_BETWEEN_CHECKS) == 0 {
                client.expect("DEBUG RELOAD", "+OK");
            }
            check(client, &mut random, &format!("{step} steps"));
            client.expect(&format!("SELECT {}", step % DATABASES), "+OK");
            series_seen += series(client).map_or(0, |all| all.len());
        }
    }
    assert!(
        series_seen > steps / STEPS_BETWEEN_CHECKS || steps < STEPS,
        "there is something to compare"
    );
}

/// Fills all databases with series.
fn fill(client: &mut Client, seed: u64) {
    let mut mix = Mix::new(seed);
    for database in 0..DATABASES {
        client.expect(&format!("SELECT {database}"), "+OK");
        for at in 0..40 {
            let mut line = format!("IOT.ADD sensor:{seed}:{at} 1 1");
            if at % 10 == 0 {
                line += " IDLE_TTL 1000000";
            }
            let filled = words("stays 1");
            client.call(&[mix.with_labels(&line), filled].concat());
        }
    }
}

#[test]
fn the_index_follows_all_that_happens_to_keys() {
    let server = Server::start();
    run(
        &mut server.connect(Protocol::Resp2),
        INDEX_SEED,
        STEPS,
        true,
    );
}

#[test]
fn the_index_follows_keys_that_expire_only_when_they_are_looked_at() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    run(&mut client, INDEX_SEED + 10, STEPS, false);
}

/// The server's clock.
fn now_ms(client: &mut Client) -> u64 {
    let (seconds, micros): (u64, u64) = redis::from_redis_value(client.run("TIME")).unwrap();
    seconds * 1000 + micros / 1000
}

#[test]
fn a_key_that_has_expired_is_not_found() {
    let server = Server::start();
    for protocol in Protocol::BOTH {
        let mut client = server.connect(protocol);
        client.expect("FLUSHALL", "+OK");
        client.expect("DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
        client.expect("IOT.ADD a 1 1 LABELS kind temp", "1");
        client.expect("IOT.ADD b 1 1 LABELS kind temp old 1", "1");
        for (line, found) in [
            ("IOT.QUERYINDEX kind=temp", "[\"a\"]"),
            ("IOT.MGET FILTER kind=temp", "_"),
            ("IOT.MRANGE - + FILTER kind=temp", "_"),
            (
                "IOT.MDEL FILTER kind=temp DRYRUN",
                "{\"series\": 1, \"samples\": 1}",
            ),
            ("IOT.MALTER FILTER kind=temp SET RETENTION 0", "1"),
            ("IOT.CARD FILTER old=1", "_"),
        ] {
            client.expect("IOT.INCRBY b 1 TIMESTAMP 1 LABELS kind temp old 1", "1");
            client.expect("PEXPIRE b 20", "1");
            // Anything that looks the key up would remove it.
            let expired_at = now_ms(&mut client) + 20;
            await_that("the key expires", || now_ms(&mut client) > expired_at);
            assert_eq!(client.integer("DBSIZE"), 2, "it is not removed yet");
            client.expect(line, found);
            let shown = render(&client.run(line));
            assert!(!shown.contains("\"b\""), "{line}: {shown}");
            let mut checker = server.connect(Protocol::Resp2);
            check(&mut checker, &mut Random::new(INDEX_SEED), line);
            client.run("DEL b");
        }
    }
}

#[test]
fn a_replica_does_not_find_what_its_master_has_not_removed_yet() {
    let master = Server::start();
    let replica = Server::start();
    replica.replica_of(&master);
    let mut client = master.connect(Protocol::Resp2);
    client.expect("DEBUG SET-ACTIVE-EXPIRE 0", "+OK");
    client.expect("IOT.ADD a 1 1 LABELS kind temp", "1");
    client.expect("IOT.ADD b 1 1 LABELS kind temp", "1");
    client.expect("PEXPIRE b 20", "1");
    let expired_at = now_ms(&mut client) + 20;
    client.expect("WAIT 1 30000", "1");
    for protocol in Protocol::BOTH {
        let mut other = replica.connect(protocol);
        await_that("the key expires", || now_ms(&mut other) > expired_at);
        assert_eq!(other.integer("DBSIZE"), 2);
        for (line, found) in [
            ("IOT.QUERYINDEX kind=temp", "[\"a\"]"),
            ("IOT.MGET FILTER kind=temp", "_"),
            ("IOT.MRANGE - + FILTER kind=temp", "_"),
            (
                "IOT.MRANGE - + FILTER kind=temp GROUPBY kind REDUCE countall",
                "_",
            ),
            ("IOT.MDEL FILTER kind=temp", "-READONLY *"),
            ("IOT.MALTER FILTER kind=temp SET RETENTION 1", "-READONLY *"),
        ] {
            other.expect(line, found);
            let shown = render(&other.run(line));
            assert!(
                !shown.contains("\"b\"") && !shown.contains("#2"),
                "{line}: {shown}"
            );
        }
        assert_eq!(other.integer("DBSIZE"), 2, "a replica removes nothing");
    }
    // The master removes it when somebody looks, and the replica follows.
    client.expect("IOT.QUERYINDEX kind=temp", "[\"a\"]");
    let mut other = replica.connect(Protocol::Resp2);
    check_both(
        &mut client,
        &mut other,
        &mut Random::new(INDEX_SEED),
        "expiry",
    );
    assert_eq!(other.integer("DBSIZE"), 1);
}

#[test]
fn the_index_follows_keys_that_are_evicted() {
    let server = Server::start_with(&["--maxmemory-policy", "allkeys-random"]);
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client, INDEX_SEED + 20);
    let limit = client.info("memory", "used_memory") + 400_000;
    client.expect(&format!("CONFIG SET maxmemory {limit}"), "+OK");
    let mut mix = Mix::new(INDEX_SEED + 21);
    for at in 0..40_000 {
        client.call(&mix.with_labels(&format!("IOT.ADD many:{at} 1 1")));
        if at % 100 == 0 && client.info("stats", "evicted_keys") > 500 {
            break;
        }
    }
    assert!(client.info("stats", "evicted_keys") > 500);
    client.expect("CONFIG SET maxmemory 0", "+OK");
    check(&mut client, &mut mix.random, "eviction");
}

/// Valkey 9.1 tells modules in a transaction which database it will have selected in the end.
#[test]
fn a_transaction_may_change_the_database_on_its_way() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.ADD moved 1 1 LABELS kind temp", "1");
    client.expect("MULTI", "+OK");
    for line in [
        "IOT.ADD first 1 1 LABELS kind temp",
        "IOT.CARD FILTER kind=temp",
        "MOVE moved 1",
        "COPY first copied DB 1",
        "SELECT 1",
        "IOT.CARD FILTER kind=temp",
        "IOT.ADD second 1 1 LABELS kind temp",
        "SELECT 2",
    ] {
        client.expect(line, "+QUEUED");
    }
    client.expect("EXEC", "[1, 2, 1, 1, +OK, 2, 1, +OK]");
    client.expect("IOT.CARD FILTER kind=temp", "0");
    check(&mut client, &mut Random::new(INDEX_SEED), "a transaction");
    client.expect("IOT.QUERYINDEX kind=temp", "[\"first\"]");
}

/// Adds so many series at once, from a number on.
fn add_many(client: &mut Client, first: usize, count: usize) {
    let mut line = words("IOT.INGEST LABELS kind many ITEMS");
    for at in first..first + count {
        line.extend([
            format!("many:{at}").into_bytes(),
            b"1".to_vec(),
            b"1".to_vec(),
        ]);
    }
    assert!(matches!(client.call(&line), Value::Array(_)));
}

#[test]
fn a_large_index_is_emptied_as_a_small_one_is() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut random = Random::new(INDEX_SEED + 25);
    for line in ["FLUSHALL", "FLUSHDB ASYNC", "FLUSHALL ASYNC"] {
        // From 10,000 series on another thread frees it.
        add_many(&mut client, 0, 12_000);
        assert_eq!(client.integer("IOT.CARD FILTER kind=many"), 12_000);
        client.expect(line, "+OK");
        client.expect("IOT.QUERYLABELS LABELS", "[]");
        add_many(&mut client, 6_000, 10);
        check(&mut client, &mut random, line);
        assert_eq!(client.integer("IOT.CARD FILTER kind=many"), 10);
    }
}

#[test]
fn the_index_follows_keys_that_migrate() {
    let (from, to) = (Server::start(), Server::start());
    let mut client = from.connect(Protocol::Resp2);
    let mut other = to.connect(Protocol::Resp2);
    let mut random = Random::new(INDEX_SEED + 26);
    for replace in ["", "COPY REPLACE", "REPLACE"] {
        add_many(&mut client, 0, 20);
        let keys: Vec<String> = (5..15).map(|at| format!("many:{at}")).collect();
        client.expect("IOT.MALTER FILTER kind=many SET LABELS kind moved", "20");
        let line = format!(
            "MIGRATE 127.0.0.1 {} \"\" 1 5000 {replace} KEYS {}",
            to.port(),
            keys.join(" ")
        );
        other.expect("SELECT 1", "+OK");
        client.expect(&line, "+OK");
        other.expect("IOT.CARD FILTER kind=moved", "10");
        let left = if replace.starts_with("COPY") { 20 } else { 10 };
        assert_eq!(client.integer("IOT.CARD FILTER kind=moved"), left);
        check(&mut client, &mut random, &line);
        check(&mut other, &mut random, &line);
        client.expect("FLUSHALL", "+OK");
    }
}

#[test]
fn the_index_is_back_after_a_restart() {
    let with_file: [&[&str]; 4] = [
        &["--save", "3600 1"],
        &["--appendonly", "yes", "--aof-use-rdb-preamble", "yes"],
        &["--appendonly", "yes", "--aof-use-rdb-preamble", "no"],
        &["--appendonly", "yes", "--appendfsync", "always"],
    ];
    for (at, args) in (0..).zip(with_file) {
        let mut server = Server::start_with(args);
        let mut client = server.connect(Protocol::Resp2);
        let mut random = Random::new(INDEX_SEED + 30 + at);
        fill(&mut client, INDEX_SEED + 30 + at);
        if args.contains(&"--aof-use-rdb-preamble") {
            client.run("BGREWRITEAOF");
            server.await_info("persistence", "aof_rewrite_in_progress:0");
            server.await_info("persistence", "aof_rewrite_scheduled:0");
        }
        run(&mut client, INDEX_SEED + 40 + at, 100, false);
        fill(&mut client, INDEX_SEED + 50 + at);
        let before: Vec<_> = all_labels(&mut client);
        if args.contains(&"always") {
            server.kill9();
        } else {
            server.shut_down("");
        }
        server.restart();
        let mut client = server.connect(Protocol::Resp2);
        check(&mut client, &mut random, &args.join(" "));
        assert_eq!(all_labels(&mut client), before, "{args:?}");
    }
}

/// The labels in use in each database, of series that do not expire.
fn all_labels(client: &mut Client) -> Vec<String> {
    let databases = 0..DATABASES;
    databases
        .flat_map(|database| {
            client.expect(&format!("SELECT {database}"), "+OK");
            ["LABELS", "VALUES site", "VALUES floor"]
                .map(|what| render(&client.run(&format!("IOT.QUERYLABELS {what} FILTER stays=1"))))
        })
        .collect()
}

/// Waits until a replica has all that its master has, and checks both.
#[track_caller]
fn check_both(master: &mut Client, replica: &mut Client, random: &mut Random, after: &str) {
    master.expect("WAIT 1 30000", "1");
    for client in [master, replica] {
        check(client, random, after);
    }
}

#[test]
fn the_index_of_a_replica_is_exact_and_stays_so_when_it_becomes_a_master() {
    for (at, loading) in (0..).zip(["disabled", "on-empty-db", "swapdb"]) {
        let master = Server::start();
        let replica = Server::start_with(&["--repl-diskless-load", loading]);
        let mut client = master.connect(Protocol::Resp2);
        let mut random = Random::new(INDEX_SEED + 60 + at);
        fill(&mut client, INDEX_SEED + 60 + at);
        // What the replica has of its own goes with the full synchronisation.
        let mut other = replica.connect(Protocol::Resp2);
        if loading != "on-empty-db" {
            fill(&mut other, INDEX_SEED + 70 + at);
            other.expect("IOT.CREATE own LABELS site own", "+OK");
        }
        replica.replica_of(&master);
        check_both(&mut client, &mut other, &mut random, loading);
        assert_eq!(all_labels(&mut client), all_labels(&mut other));

        run(&mut client, INDEX_SEED + 80 + at, 150, false);
        check_both(
            &mut client,
            &mut other,
            &mut random,
            "commands of the master",
        );

        // The link breaks, and the replica goes on where it was.
        let partial = client.info("stats", "sync_partial_ok");
        client.expect("CLIENT KILL TYPE replica", "1");
        run(&mut client, INDEX_SEED + 90 + at, 50, false);
        await_that("the replica comes back", || {
            client.info("stats", "sync_partial_ok") > partial
        });
        check_both(
            &mut client,
            &mut other,
            &mut random,
            "a partial synchronisation",
        );

        other.expect("REPLICAOF NO ONE", "+OK");
        check(&mut other, &mut random, "its promotion");
        run(&mut other, INDEX_SEED + 100 + at, 150, false);
        fill(&mut other, INDEX_SEED + 110 + at);
        master.replica_of(&replica);
        check_both(
            &mut other,
            &mut client,
            &mut random,
            "the roles are exchanged",
        );
        assert_eq!(all_labels(&mut client), all_labels(&mut other));
    }
}

#[test]
fn a_synchronisation_that_breaks_off_leaves_an_exact_index() -> Result<(), Lost> {
    let master = Server::start_with(&["--rdb-key-save-delay", "20000"]);
    let replica = Server::start_with(&["--repl-diskless-load", "swapdb"]);
    let mut client = master.connect(Protocol::Resp2);
    let mut other = replica.connect(Protocol::Resp2);
    let mut random = Random::new(INDEX_SEED + 120);
    fill(&mut client, INDEX_SEED + 120);
    fill(&mut other, INDEX_SEED + 121);
    other.expect(&format!("REPLICAOF 127.0.0.1 {}", master.port()), "+OK");
    replica.await_info("replication", "master_sync_in_progress:1");
    other.expect("REPLICAOF NO ONE", "+OK");
    other.try_call(&[b"PING"])?;
    check(&mut other, &mut random, "half a synchronisation");
    client.expect("CONFIG SET rdb-key-save-delay 0", "+OK");
    replica.replica_of(&master);
    check_both(&mut client, &mut other, &mut random, "a whole one");
    Ok(())
}
