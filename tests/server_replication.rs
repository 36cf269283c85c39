//! A replica holds what its master holds, whatever was refused, ignored or left to the clock; and
//! transactions, scripts and databases behave as with the server's own types.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::render;
use support::seeds::REPLICATION_SEED;
use support::server::Server;
use support::traffic::Traffic;

/// Random commands to the master.
const COMMANDS: usize = 8_000;

/// Settings of the master, and other ones of its replica, which must not matter.
const MASTER_SETTINGS: [&str; 12] = [
    "--redis-iot.retention",
    "600000",
    "--redis-iot.duplicate-policy",
    "last",
    "--redis-iot.chunk-size",
    "128",
    "--redis-iot.ignore-max-time-diff",
    "50",
    "--redis-iot.ignore-max-val-diff",
    "0.5",
    "--repl-ping-replica-period",
    "3600",
];
const REPLICA_SETTINGS: [&str; 14] = [
    "--redis-iot.idle-seal",
    "1",
    "--redis-iot.retention",
    "1000",
    "--redis-iot.duplicate-policy",
    "block",
    "--redis-iot.chunk-size",
    "4096",
    "--redis-iot.encoding",
    "uncompressed",
    "--redis-iot.ignore-max-time-diff",
    "100000",
    "--redis-iot.ignore-max-val-diff",
    "1000",
];

fn pair() -> (Server, Server) {
    let master = Server::start_with(&MASTER_SETTINGS);
    let replica = Server::start_with(&REPLICA_SETTINGS);
    replica.replica_of(&master);
    (master, replica)
}

/// Waits until the replica has everything and compares all keys of all databases.
#[track_caller]
fn check_equal(master: &mut Client, replica: &mut Client) {
    master.expect("WAIT 1 30000", "1");
    if master.digest() == replica.digest() {
        return;
    }
    for database in 0..16 {
        for client in [&mut *master, &mut *replica] {
            client.expect(&format!("SELECT {database}"), "+OK");
        }
        let mut keys: Vec<String> = redis::from_redis_value(master.run("KEYS *")).unwrap();
        keys.sort();
        for key in keys {
            if master.digest_of(&key) != replica.digest_of(&key) {
                let [ours, theirs] = [master, replica].map(|client| {
                    ["INFO", "RANGE"].map(|name| {
                        let ends = if name == "RANGE" { " - +" } else { "" };
                        render(&client.run(&format!("IOT.{name} {key}{ends}")))
                    })
                });
                panic!("{key} differs\nmaster:  {ours:?}\nreplica: {theirs:?}");
            }
        }
    }
    panic!("the replica has keys that the master does not have");
}

#[test]
fn a_replica_follows_a_random_mix_of_all_writes() {
    let (master, replica) = pair();
    let mut client = master.connect(Protocol::Resp2);
    let mut replica = replica.connect(Protocol::Resp2);
    let mut traffic = Traffic::new(REPLICATION_SEED, 12);
    for step in 0..COMMANDS {
        match step % 40 {
            10 => client.expect(&format!("SELECT {}", step % 3), "+OK"),
            20 => {
                client.expect("MULTI", "+OK");
                for _ in 0..5 {
                    client.call(&traffic.command());
                }
                client.run("EXEC");
            }
            30 => {
                let mut script = support::notation::words(
                    "EVAL \"for _ = 1, 3 do redis.pcall(unpack(ARGV)) end return 1\" 0",
                );
                script.extend(traffic.command());
                client.call(&script);
            }
            _ => {
                client.call(&traffic.command());
            }
        }
        if step % 400 == 399 {
            check_equal(&mut client, &mut replica);
        }
    }
    assert!(
        client.integer("DBSIZE") > 5,
        "there is something to compare"
    );
}

#[test]
fn a_replica_takes_the_options_that_the_master_chose() {
    let (master, replica) = pair();
    let mut client = master.connect(Protocol::Resp2);
    let mut replica = replica.connect(Protocol::Resp2);
    for line in [
        "IOT.CREATE a",
        "IOT.ADD b 100 1",
        "IOT.ADDBULK c SAMPLES 100 1 100 2 101 2",
        "IOT.INGEST ITEMS d 100 1 d 100 2 e 5 5",
        "IOT.INCRBY f 1",
        "IOT.DECRBY g 1 TIMESTAMP 100",
        "IOT.ADD b 100 2",
        "IOT.MADD b 120 2.25 d 2000000 1 d 3 1",
        "IOT.ADD b * 3",
    ] {
        let reply = client.run(line);
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{line}: {}",
            render(&reply)
        );
        check_equal(&mut client, &mut replica);
    }
    let retention = render(&replica.run("IOT.INFO a"));
    assert!(retention.contains("600000"), "{retention}");
}

/// The first samples of an empty series took the rules of the replica where two of one call have one time:
/// sums had the first twice, and what the replica's setting blocks was missing.
#[test]
fn samples_of_one_time_come_into_an_empty_series_as_the_master_took_them() {
    let master = Server::start_with(&["--appendonly", "yes"]);
    let replica = Server::start_with(&["--redis-iot.duplicate-policy", "block"]);
    replica.replica_of(&master);
    let mut client = master.connect(Protocol::Resp2);
    let mut replica = replica.connect(Protocol::Resp2);
    for policy in ["FIRST", "LAST", "MIN", "MAX", "SUM"] {
        client.expect(
            &format!("IOT.CREATE {policy} DUPLICATE_POLICY {policy}"),
            "+OK",
        );
        for line in [
            format!("IOT.ADDBULK {policy} SAMPLES 100 4 100 2 100 8 50 1 50 2"),
            format!("IOT.ADDBULK new:{policy} ON_DUPLICATE {policy} SAMPLES 100 4 100 2 100 8"),
        ] {
            client.expect(&line, "_");
            check_equal(&mut client, &mut replica);
        }
    }
    client.expect("IOT.RANGE SUM - +", "[[50, #3], [100, #14]]");
    let before = client.digest();
    client.expect("DEBUG LOADAOF", "+OK");
    assert_eq!(client.digest(), before);
}

#[test]
fn what_is_refused_or_ignored_sends_nothing() {
    let (master, replica) = pair();
    let mut client = master.connect(Protocol::Resp2);
    let mut replica = replica.connect(Protocol::Resp2);
    client.expect("IOT.CREATE t RETENTION 100 DUPLICATE_POLICY BLOCK", "+OK");
    client.expect("IOT.CREATE i DUPLICATE_POLICY LAST IGNORE 10 1", "+OK");
    client.expect("IOT.MADD t 1000 1 i 1000 1", "[1000, 1000]");
    check_equal(&mut client, &mut replica);
    for line in [
        "IOT.CREATE t",
        "IOT.ADD t 1000 2",
        "IOT.ADD t 5 2",
        "IOT.ADD i 1005 1.5",
        "IOT.ADD t x 1",
        "IOT.ADD t 2000 x",
        "IOT.MADD t 1000 2 i 1005 1.5 missing 1 1",
        "IOT.INGEST ITEMS t 1000 2 i 1005 1.5 new x 1",
        "IOT.ADDBULK t SAMPLES 1000 2 5 2",
        "IOT.ADDBULK i SAMPLES 1005 1.5",
        "IOT.INCRBY t 1 TIMESTAMP 999",
        "IOT.INCRBY i 0.5 TIMESTAMP 1005",
        "IOT.DEL t 5 500",
        "IOT.DEL missing 5 500",
        "IOT.ALTER t RETENTION x",
        "IOT.ALTER missing RETENTION 5",
        "IOT.GET t",
        "IOT.RANGE t - +",
        "IOT.INFO t",
    ] {
        let before = offset(&mut client);
        client.run(line);
        assert_eq!(offset(&mut client), before, "{line} was replicated");
    }
    check_equal(&mut client, &mut replica);
}

/// How many bytes the master has sent to its replicas so far.
fn offset(client: &mut Client) -> i64 {
    let text = client.text("INFO replication");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("master_repl_offset:"));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_new_replica_of_a_full_master_gets_everything() {
    for loading in ["disabled", "on-empty-db"] {
        let master = Server::start_with(&MASTER_SETTINGS);
        let mut client = master.connect(Protocol::Resp2);
        let mut traffic = Traffic::new(REPLICATION_SEED + 1, 12);
        for _ in 0..500 {
            client.call(&traffic.command());
        }
        let args = [&REPLICA_SETTINGS[..], &["--repl-diskless-load", loading]].concat();
        let replica = Server::start_with(&args);
        replica.replica_of(&master);
        let mut replica = replica.connect(Protocol::Resp2);
        check_equal(&mut client, &mut replica);
        for _ in 0..200 {
            client.call(&traffic.command());
        }
        check_equal(&mut client, &mut replica);
    }
}

#[test]
fn a_replica_answers_reads_and_refuses_writes() {
    let (master, replica) = pair();
    let mut client = master.connect(Protocol::Resp2);
    client.expect("IOT.ADD t 100 1", "100");
    client.expect("WAIT 1 30000", "1");
    let mut replica = replica.connect(Protocol::Resp3);
    replica.expect("IOT.RANGE t - +", "[[100, #1]]");
    replica.expect("IOT.REVRANGE t - + AGGREGATION sum 10", "[[100, #1]]");
    replica.expect("IOT.GET t", "[100, #1]");
    for line in [
        "IOT.CREATE u",
        "IOT.ALTER t RETENTION 5",
        "IOT.ADD t 200 1",
        "IOT.MADD t 200 1",
        "IOT.INGEST ITEMS t 200 1",
        "IOT.ADDBULK t SAMPLES 200 1",
        "IOT.INCRBY t 1",
        "IOT.DECRBY t 1",
        "IOT.DEL t - +",
    ] {
        replica.expect(line, "-READONLY*");
    }
}

#[test]
fn a_transaction_runs_as_a_whole_or_not_at_all() {
    let server = Server::start();
    for protocol in Protocol::BOTH {
        let mut client = server.connect(protocol);
        client.expect("FLUSHALL", "+OK");
        client.expect("MULTI", "+OK");
        client.expect("IOT.ADD t 100 1", "+QUEUED");
        client.expect("IOT.ADD t 100 2", "+QUEUED");
        client.expect("IOT.MADD t 200 2 u 1 1", "+QUEUED");
        client.expect("IOT.RANGE t - + AGGREGATION sum 1000", "+QUEUED");
        client.expect("IOT.GET t", "+QUEUED");
        client.expect(
            "EXEC",
            r#"[100, -"ERR *", [200, -"ERR the key does not exist"], [[0, #3]], [200, #2]]"#,
        );
        client.expect("MULTI", "+OK");
        client.expect("IOT.ADD t 300 1", "+QUEUED");
        client.expect("DISCARD", "+OK");
        client.expect("IOT.GET t", "[200, #2]");
        client.expect("MULTI", "+OK");
        client.expect("IOT.ADD t 300 1", "+QUEUED");
        client.expect("IOT.ADD t", "-ERR wrong number of arguments*");
        client.expect("EXEC", "-EXECABORT*");
        client.expect("IOT.GET t", "[200, #2]");
    }
}

#[test]
fn a_watched_series_that_changes_stops_the_transaction() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut other = server.connect(Protocol::Resp2);
    client.expect("IOT.ADD t 100 1", "100");
    for (line, reply, goes_on) in [
        ("IOT.ADD t 200 1", "200", false),
        ("IOT.DEL t 200 200", "1", false),
        ("IOT.ALTER t RETENTION 50", "+OK", false),
        ("IOT.GET t", "[100, #1]", true),
        ("IOT.INFO t", "_", true),
        ("IOT.ALTER t LABELS kind temp RETENTION 0", "+OK", false),
        ("IOT.MALTER FILTER kind=temp SET CHUNK_SIZE 64", "1", false),
        ("IOT.MDEL FILTER kind=temp DRYRUN", "_", true),
        (
            "IOT.MALTER FILTER kind=temp DRYRUN SET RETENTION 5",
            "1",
            true,
        ),
        ("IOT.MGET FILTER kind=temp", "_", true),
        ("IOT.MRANGE - + FILTER kind=temp", "_", true),
        ("IOT.QUERYINDEX kind=temp", "[\"t\"]", true),
        // What finds nothing to change changes nothing.
        ("IOT.DEL t 200 300", "0", true),
        ("IOT.MDEL 200 300 FILTER kind=temp", "_", true),
        ("IOT.ADD t 100 2", "-ERR *", true),
        ("IOT.MADD t 100 2", "[-\"ERR *\"]", true),
        ("IOT.INGEST ITEMS t 100 2", "[-\"ERR *\"]", true),
        ("IOT.ADDBULK t SAMPLES 100 2", "_", true),
        ("IOT.INCRBY t 2 TIMESTAMP 50", "-ERR *", true),
        ("IOT.MDEL FILTER kind=temp", "_", false),
    ] {
        client.expect("WATCH t", "+OK");
        other.expect(line, reply);
        client.expect("MULTI", "+OK");
        client.expect("PING", "+QUEUED");
        let went_on = client.run("EXEC") != Value::Nil;
        assert_eq!(went_on, goes_on, "{line}");
    }
}

#[test]
fn scripts_read_and_write_series() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect(
        r#"EVAL "redis.call('IOT.ADD', KEYS[1], 100, '1.5') return redis.call('IOT.RANGE', KEYS[1], '-', '+')" 1 t"#,
        "[[100, _]]",
    );
    client.expect(
        r#"EVAL "return redis.call('IOT.ADD', KEYS[1], '*', 2)" 1 t"#,
        "int",
    );
    client.expect(
        r#"EVAL "return redis.pcall('IOT.ADD', KEYS[1], 100, 2).err" 1 t"#,
        "_",
    );
    client.expect(
        r#"EVAL "return redis.call('IOT.ADD', KEYS[1], 'x', 2)" 1 t"#,
        "-ERR *timestamp*",
    );
    client.expect(
        r#"EVAL_RO "return redis.call('IOT.ADD', KEYS[1], 5, 2)" 1 t"#,
        "-ERR *",
    );
    client.expect(
        r#"EVAL_RO "return redis.call('IOT.GET', KEYS[1])[1] > 100" 1 t"#,
        "1",
    );
}

/// Most servers give a script the items. From Valkey 9 on the first item that is an error is raised in the
/// script as if the command had failed; it has run all the same.
#[test]
fn a_script_gets_the_items_of_a_reply_or_the_error_among_them() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.CREATE t DUPLICATE_POLICY LAST", "+OK");
    let madd = "'IOT.MADD', 't', 7, 1, 'nothing', 1, 1, 't', 8, 2";
    let reply = client.run(&format!(r#"EVAL "return redis.call({madd})[1]" 1 t"#));
    let caught =
        format!(r#"EVAL "local reply = redis.pcall({madd}) return reply.err or #reply" 1 t"#);
    if reply == Value::Int(7) {
        client.expect(&caught, "3");
    } else {
        let error = "the key does not exist";
        assert!(render(&reply).contains(error), "{}", render(&reply));
        assert!(render(&client.run(&caught)).contains(error));
    }
    client.expect("IOT.RANGE t - +", "[[7, #1], [8, #2]]");
}

#[test]
fn databases_are_apart() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.ADD t 100 1", "100");
    client.expect("SELECT 5", "+OK");
    client.expect("IOT.GET t", "-ERR the key does not exist");
    client.expect("IOT.ADD t 200 2", "200");
    client.expect("SELECT 0", "+OK");
    client.expect("IOT.RANGE t - +", "[[100, #1]]");
    client.expect("SWAPDB 0 5", "+OK");
    client.expect("IOT.RANGE t - +", "[[200, #2]]");
    client.expect("FLUSHDB", "+OK");
    client.expect("IOT.GET t", "-ERR the key does not exist");
    client.expect("SELECT 5", "+OK");
    client.expect("IOT.RANGE t - +", "[[100, #1]]");
    client.expect("PEXPIREAT t 1", "1");
    client.expect("IOT.GET t", "-ERR the key does not exist");
    client.expect("IOT.ADD t 5 1 RETENTION 7", "5");
    client.expect("IOT.RANGE t - +", "[[5, #1]]");
}
