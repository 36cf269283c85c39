//! Fleets and fences on replicas: they have what the master has, and tell of nothing by themselves.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::fences_events::{events, items_of, text_of};
use support::fences_mix::{Mix, check_equal};
use support::notation::render;
use support::seeds::FENCES_SEED;
use support::server::{Server, await_that};

/// Commands of the mix.
const STEPS: usize = 600;
/// Commands between two comparisons.
const STEPS_BETWEEN_CHECKS: usize = 20;

/// Settings of a replica that would refuse what its master has taken.
const NARROW: [&str; 8] = [
    "--redis-iot.max-vertices",
    "3",
    "--redis-iot.max-fences",
    "1",
    "--redis-iot.max-devices",
    "1",
    "--appendonly",
    "yes",
];

#[test]
fn replicas_and_their_replicas_are_equal_whatever_their_settings_are() {
    let mut servers = [
        Server::start(),
        Server::start_with(&NARROW),
        Server::start(),
    ];
    servers[1].replica_of(&servers[0]);
    servers[2].replica_of(&servers[1]);
    let mut clients = servers.each_ref().map(|one| one.connect(Protocol::Resp2));
    let [master, near, far] = &mut clients;
    let mut mix = Mix::new(FENCES_SEED + 10_000, master);
    for step in 1..=STEPS {
        mix.step(master);
        if step % STEPS_BETWEEN_CHECKS == 0 {
            check_equal(&mix, master, &mut [near, far]);
        }
    }
    mix.settle(master);
    check_equal(&mix, master, &mut [near, far]);
    // What the file of a replica says is the same, too. As a master it would do what is due meanwhile.
    servers[0].kill9();
    servers[1].await_info("replication", "master_link_status:down");
    let before = near.digest();
    near.expect("DEBUG LOADAOF", "+OK");
    assert_eq!(near.digest(), before);
}

#[test]
fn a_replica_that_was_away_is_equal_again() {
    let (master, replica) = (Server::start(), Server::start());
    replica.replica_of(&master);
    let [mut client, mut other] = [&master, &replica].map(|one| one.connect(Protocol::Resp2));
    let mut mix = Mix::new(FENCES_SEED + 10_100, &mut client);
    for round in 1..=10 {
        other.expect("CLIENT KILL TYPE master", "1");
        for _ in 0..STEPS_BETWEEN_CHECKS {
            mix.step(&mut client);
        }
        await_that("the replica is back", || {
            client.info("stats", "sync_partial_ok") == round
        });
        replica.await_info("replication", "master_link_status:up");
        check_equal(&mix, &mut client, &mut [&mut other]);
    }
    assert_eq!(client.info("stats", "sync_full"), 1);
}

#[test]
fn a_new_replica_of_a_full_master_has_everything_and_can_take_over() {
    for (seed, loading) in (0..).zip(["disabled", "on-empty-db", "swapdb"]) {
        let (mut master, replica) = (
            Server::start(),
            Server::start_with(&["--repl-diskless-load", loading]),
        );
        let mut client = master.connect(Protocol::Resp2);
        let mut mix = Mix::new(FENCES_SEED + 10_200 + seed, &mut client);
        for _ in 0..STEPS / 4 {
            mix.step(&mut client);
        }
        replica.replica_of(&master);
        let mut other = replica.connect(Protocol::Resp2);
        check_equal(&mix, &mut client, &mut [&mut other]);
        for _ in 0..STEPS / 20 {
            mix.step(&mut client);
        }
        check_equal(&mix, &mut client, &mut [&mut other]);
        // The master is gone before it has done what is due.
        mix.step(&mut client);
        client.expect("WAIT 1 30000", "1");
        master.kill9();
        other.expect("REPLICAOF NO ONE", "+OK");
        mix.settle(&mut other);
        for _ in 0..STEPS / 4 {
            mix.step(&mut other);
        }
        mix.settle(&mut other);
        mix.end(&mut other);
    }
}

/// Requests whose replicated form is another, or that are read otherwise at another time.
const REQUESTS: &[&str] = &[
    "IOT.FLEET CREATE plain",
    "IOT.TRACK plain a 1 1",
    "IOT.TRACK plain a 1 1 TS *",
    "IOT.TRACK plain a 1.5 1 EXPIRE 1000000",
    "IOT.TRACK plain a 1.5 1 TS 5 EXPIRE 1000000",
    "IOT.TRACK plain a 1.5 1 TS 5",
    "IOT.TRACK plain a 1.5 1 TS 5 EXPIREAT 99999999999999",
    "IOT.TRACK plain a 1.5 1 TS * IFNEWER EXPIREAT 0",
    "IOT.TRACK plain b 1 1 TS 5 FIELDS 3 TS 6 EXPIRE 7 IFNEWER x EXPIRE 1000000",
    "IOT.TRACK plain EXPIRE 1 1 EXPIRE 1000000 fields 1 expire 7 ts 8 alt 3 ifnewer",
    "IOT.MTRACK plain c 1 1 5 c 2 2 * c 3 3 4 d 1 1 *",
    "IOT.MTRACK plain c 1 1 5 x y z 4 d 1 1 999999999999999",
    "IOT.FLEET ALTER plain TRAIL 10",
    "IOT.MTRACK plain c 1 1 99999999999990 c 2 2 99999999999999 c 3 3 99999999999995",
    "IOT.FLEET CREATE silent EXPIRE 1000000 MINDIST 100 MINTIME 10 MAXACC 50 JITTER yes",
    "IOT.TRACK silent a 1 1 TS 1000",
    "IOT.TRACK silent a 1 1 TS 1005",
    "IOT.TRACK silent a 1 1 TS 1005 EXPIREAT 0",
    "IOT.TRACK silent a 1.5 1 TS 2000 ACC 60",
    "IOT.TRACK silent a 1.5 1 TS 2000 EXPIREAT 0",
    "IOT.TRACK silent a 1.5 1 TS 500",
    "IOT.TRACK silent a 1.6 1 TS 500 IFNEWER EXPIRE 5000000",
    "IOT.MTRACK silent a 1.6 1 3000 a 1.6 1 3001 b 1 1 1 b 1 1 2",
    "IOT.FENCE ADD zones a CIRCLE 1 1 1000 EXPIRE 1000000 GROUPS 1 expire",
    "IOT.FENCE ADD zones b CIRCLE 1 1 1000 EXPIRE 1000000 META 2 EXPIRE 5 x EXPIRE",
    "IOT.FENCE ADD zones c CIRCLE 1 1 1000 GROUPS 1 EXPIRE EXPIRE 1000s DEVICES 1 EXPIRE",
    "IOT.FENCE ADD zones EXPIRE CIRCLE 1 1 1000 expire 1000s",
    "IOT.FENCE ADD zones d BBOX 1 1 2 2 EXPIREAT 99999999999999 SCHEDULE \"mon-fri 08:00-18:00\" TZ Europe/Berlin",
    "IOT.FENCE ADD zones e POLYGON 4 0 0 2 0 2 2 0 2 HOLE 4 0.5 0.5 1.5 0.5 1.5 1.5 0.5 1.5",
    "IOT.FENCE ADD zones f CORRIDOR 500 3 0 0 1 1 2 3 DETECT enter exit dwell DWELL 500s BUFFER 3 MINFIXES 2",
    "IOT.FENCE BIND plain zones STREAM events MAXLEN 3 PUBLISH news",
    "IOT.TRACK plain a 1 1 TS *",
    "IOT.TRACK plain a 1 1.00001 TS *",
    "IOT.FENCE DEL zones a missing a d",
    "IOT.UNTRACK plain missing a missing b b",
    "IOT.FENCE BIND silent others GROUP red DETECT enter exit STREAM events",
    "IOT.ROAM BIND plain silent RADIUS 1000 STREAM meetings",
    "IOT.TRACK plain z 1 1",
    "IOT.FENCE UNBIND plain zones",
    "IOT.ROAM UNBIND plain silent",
];

#[test]
fn a_replica_takes_what_the_master_decided() {
    let (master, replica) = (Server::start(), Server::start_with(&NARROW));
    replica.replica_of(&master);
    let [mut client, mut other] = [&master, &replica].map(|one| one.connect(Protocol::Resp2));
    for line in REQUESTS {
        let reply = client.run(line);
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{line}: {}",
            render(&reply)
        );
        // Fleets that are bound are compared by the timer; that is replicated, too.
        await_that(line, || {
            let before = client.digest();
            client.expect("WAIT 1 30000", "1");
            let theirs = other.digest();
            assert!(
                theirs == before || client.digest() != before,
                "{line}: the replica differs"
            );
            theirs == before
        });
        // When a device expires is no part of the digest.
        for fleet in ["plain", "silent"] {
            let line = format!("IOT.POSITION {fleet} a b c d EXPIRE z");
            assert_eq!(render(&client.run(&line)), render(&other.run(&line)));
        }
    }
}

#[test]
fn what_changes_nothing_sends_nothing() {
    let master = Server::start_with(&["--repl-ping-replica-period", "3600"]);
    let replica = Server::start();
    replica.replica_of(&master);
    let mut client = master.connect(Protocol::Resp2);
    for line in [
        "IOT.FLEET CREATE cars MINDIST 100",
        "IOT.TRACK cars a 1 1 TS 1000",
        "IOT.FENCE ADD zones z CIRCLE 1 1 1000",
        "IOT.FENCE BIND cars zones STREAM events",
    ] {
        client.run(line);
    }
    await_that("the device is inside", || {
        events(&mut client, "events").len() == 1
    });
    for line in [
        "IOT.TRACK cars a 1 1.00001 TS 2000",
        "IOT.TRACK cars a 2 2 TS 500",
        "IOT.TRACK cars a 2 2 TS 1000 IFNEWER",
        "IOT.TRACK cars a 200 2 TS 3000",
        "IOT.TRACK cars a 2 2 TS x",
        "IOT.MTRACK cars a 2 2 500 a 1 1.00001 2000 a x 2 3000",
        "IOT.UNTRACK cars b",
        "IOT.UNTRACK missing b",
        "IOT.FENCE DEL zones y",
        "IOT.FENCE DEL missing y",
        "IOT.FENCE ADD zones z CIRCLE 1 1",
        "IOT.FENCE UNBIND cars missing",
        "IOT.ROAM UNBIND cars missing",
        "IOT.FLEET CREATE cars",
        "IOT.FLEET ALTER cars TRAIL x",
        "IOT.POSITION cars a",
        "IOT.FENCE AT zones 1 1",
    ] {
        let before = client.info("replication", "master_repl_offset");
        client.run(line);
        let after = client.info("replication", "master_repl_offset");
        assert_eq!(after, before, "{line} was replicated");
    }
}

/// The messages that a subscriber gets up to the one that says so.
fn messages(subscriber: &mut Client) -> Vec<String> {
    let mut messages = Vec::new();
    loop {
        let message = match subscriber.receive().unwrap() {
            Value::Push { data, .. } => Value::Array(data),
            message => message,
        };
        let [kind, _, payload] = items_of(&message) else {
            panic!("no message: {}", render(&message));
        };
        if text_of(kind) != "message" {
            continue;
        }
        match text_of(payload).as_str() {
            "end" => return messages,
            payload => messages.push(payload.to_owned()),
        }
    }
}

/// The field of a message that comes first: the id.
fn id_in(message: &str) -> String {
    let id = message.split("\"id\":\"").nth(1).unwrap();
    id.split('"').next().unwrap().to_owned()
}

/// Events of [`check_subscribers`]. Of a: two times in and out of two fences. Of b and c: in and out of one,
/// a dwell in the other, and b goes.
const EVENTS: usize = 8 + 4 + 2 + 2 + 1;

/// Lets devices move, expire and dwell, and compares what subscribers of all servers get.
#[track_caller]
fn check_subscribers(servers: &[&Server]) {
    let mut subscribers: Vec<Client> = servers
        .iter()
        .map(|server| {
            let mut client = server.connect(Protocol::Resp2);
            client.run("SUBSCRIBE {a}news");
            client
        })
        .collect();
    let mut client = servers[0].connect(Protocol::Resp2);
    // All at once, so that no stay is long enough for a dwell that should not be.
    for line in [
        "MULTI",
        "IOT.FENCE ADD {a}zones z CIRCLE 1 1 1000",
        "IOT.FENCE ADD {a}zones d CIRCLE 1 1 1000 DETECT enter exit dwell DWELL 50",
        "IOT.FENCE BIND {a}cars {a}zones PUBLISH {a}news STREAM {a}events",
        "IOT.TRACK {a}cars a 1 1 TS 1000",
        "IOT.TRACK {a}cars b 1 1 TS 1000 EXPIRE 300",
        "IOT.MTRACK {a}cars a 2 2 2000 a 1 1 3000 c 1 1 1000",
        "EVAL \"redis.call('IOT.TRACK', KEYS[1], 'a', 3, 3, 'TS', 4000)\" 1 {a}cars",
        "IOT.FENCE DEL {a}zones z",
        "EXEC",
    ] {
        let reply = client.run(line);
        assert!(!matches!(reply, Value::ServerError(_)), "{line}: {reply:?}");
    }
    await_that("all that is due has come", || {
        events(&mut client, "{a}events").len() >= EVENTS
    });
    let stored: Vec<_> = events(&mut client, "{a}events");
    let stored: Vec<String> = stored.iter().map(|one| one.get("id").to_owned()).collect();
    assert_eq!(stored.len(), EVENTS, "{stored:?}");
    client.run("PUBLISH {a}news end");
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        let heard: Vec<String> = messages(subscriber).iter().map(|one| id_in(one)).collect();
        assert_eq!(heard, stored, "at server {number}");
    }
}

#[test]
fn subscribers_of_replicas_hear_of_each_event_once() {
    let servers = [Server::start(), Server::start(), Server::start()];
    servers[1].replica_of(&servers[0]);
    servers[2].replica_of(&servers[1]);
    check_subscribers(&[&servers[0], &servers[1], &servers[2]]);
    let ids = servers.each_ref().map(|server| {
        let mut client = server.connect(Protocol::Resp2);
        let events = events(&mut client, "{a}events");
        events.into_iter().map(|one| one.entry).collect::<Vec<_>>()
    });
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
}

#[test]
fn subscribers_in_a_cluster_hear_of_each_event_once() {
    let args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
    let servers = [Server::start_with(&args), Server::start_with(&args)];
    let [mut master, mut replica] = servers.each_ref().map(|one| one.connect(Protocol::Resp2));
    master.expect("CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    replica.expect(
        &format!("CLUSTER MEET 127.0.0.1 {}", servers[0].port()),
        "+OK",
    );
    let id = master.text("CLUSTER MYID");
    await_that("the nodes know each other", || {
        let known = replica.text("CLUSTER NODES");
        known.contains(&id) && !known.contains("handshake")
    });
    replica.expect(&format!("CLUSTER REPLICATE {id}"), "+OK");
    servers[1].await_info("replication", "master_link_status:up");
    for client in [&mut master, &mut replica] {
        await_that("the cluster is whole", || {
            client.text("CLUSTER INFO").contains("cluster_state:ok")
        });
    }
    check_subscribers(&[&servers[0], &servers[1]]);
}
