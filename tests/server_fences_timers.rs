//! What is due by the server's clock: dwells, and the expiry of devices and fences. It comes once, from the
//! master of the moment, also where it was due while no server ran.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::fences_events::{Event, events};
use support::notation::{render, words};
use support::server::{Server, await_that};

/// How long after the fixes everything is due, in milliseconds.
const DUE_MS: i64 = 800;
/// Ticks of the timer after which nothing is left to come, in milliseconds.
const TICKS_MS: i64 = 400;

/// Devices that are due at once: more than a timer that is not in a hurry attends to in half a minute.
const MANY: i64 = 30_000;

/// Settings of a server that loses nothing.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Settings of a server, and how it ends.
type Restart = (&'static [&'static str], fn(&mut Server));

/// Lets a device dwell, another expire, and a fence around a third end, all soon. Returns when.
fn prepare(client: &mut Client) -> i64 {
    for line in [
        format!("IOT.FENCE ADD zones dwell CIRCLE 1 1 1000 DETECT enter exit dwell DWELL {DUE_MS}"),
        "IOT.FENCE ADD zones plain CIRCLE 2 2 1000".into(),
        format!("IOT.FENCE ADD zones short CIRCLE 3 3 1000 EXPIRE {DUE_MS}"),
        "IOT.FENCE BIND cars zones STREAM events".into(),
        "IOT.TRACK cars dweller 1 1 TS *".into(),
        format!("IOT.TRACK cars silent 2 2 TS * EXPIRE {DUE_MS}"),
        "IOT.TRACK cars parked 3 3 TS *".into(),
    ] {
        client.expect(&line, "_");
    }
    now_ms(client) + DUE_MS
}

/// The clock of a server.
fn now_ms(client: &mut Client) -> i64 {
    let script = "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)";
    client.integer(&format!("EVAL_RO \"{script}\" 0"))
}

fn await_time(client: &mut Client, time_ms: i64) {
    await_that("the time has come", || now_ms(client) >= time_ms);
}

/// What was due: the events but the three enters.
const COMES: [(&str, &str, &str); 3] = [
    ("dwell", "dweller", ""),
    ("exit", "silent", "expired"),
    ("exit", "parked", "fence removed"),
];

fn told(client: &mut Client) -> Vec<Event> {
    events(client, "events")
}

/// Waits until all has come, and a while longer: it comes once.
#[track_caller]
fn check_that_all_comes(client: &mut Client) {
    await_that("all that is due has come", || {
        told(client).len() >= 3 + COMES.len()
    });
    let end_ms = now_ms(client) + TICKS_MS;
    await_time(client, end_ms);
    let told = told(client);
    assert_eq!(told.len(), 3 + COMES.len(), "{told:#?}");
    for (kind, device, reason) in COMES {
        let is_one = |event: &&Event| {
            event.get("event") == kind
                && event.get("device") == device
                && event.get("reason") == reason
        };
        assert_eq!(told.iter().filter(is_one).count(), 1, "{kind} {told:#?}");
    }
    client.expect("IOT.POSITION cars silent", "[nil]");
    client.expect("IOT.FENCE COUNT zones", "2");
}

#[test]
fn what_is_due_comes_once_in_every_database() {
    let (server, replica) = (Server::start(), Server::start());
    replica.replica_of(&server);
    let [mut client, mut other] = [&server, &replica].map(|one| one.connect(Protocol::Resp2));
    for database in [0, 9] {
        for client in [&mut client, &mut other] {
            client.expect(&format!("SELECT {database}"), "+OK");
        }
        let due_ms = prepare(&mut client);
        assert_eq!(told(&mut client).len(), 3);
        check_that_all_comes(&mut client);
        assert!(now_ms(&mut client) >= due_ms);
        client.expect("WAIT 1 30000", "1");
        check_that_all_comes(&mut other);
        client.expect("DBSIZE", "3");
    }
    assert_eq!(client.digest(), other.digest());
}

#[test]
fn what_was_due_while_the_server_was_down_comes_after_its_start() {
    let restarts: [Restart; 3] = [
        (&DURABLE, Server::kill9),
        (&["--appendonly", "no"], |server| server.shut_down("SAVE")),
        (&DURABLE, |server| server.shut_down("NOSAVE")),
    ];
    for (args, stop) in restarts {
        let mut server = Server::start_with(args);
        let other = Server::start();
        let mut client = server.connect(Protocol::Resp2);
        let due_ms = prepare(&mut client);
        stop(&mut server);
        await_time(&mut other.connect(Protocol::Resp2), due_ms + TICKS_MS);
        server.restart();
        check_that_all_comes(&mut server.connect(Protocol::Resp2));
        server.shut_down(if args == DURABLE { "NOSAVE" } else { "SAVE" });
        server.restart();
        check_that_all_comes(&mut server.connect(Protocol::Resp2));
    }
}

#[test]
fn whoever_has_dwelt_and_gone_while_the_server_was_down_has_dwelt_first() {
    let mut server = Server::start_with(&DURABLE);
    let other = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for line in [
        format!(
            "IOT.FENCE ADD zones z BBOX 0 0 1 1 DETECT enter exit dwell DWELL {}",
            DUE_MS / 2
        ),
        "IOT.FENCE BIND cars zones STREAM events".into(),
    ] {
        client.expect(&line, "_");
    }
    // More than the timer attends to at once.
    let devices: Vec<String> = (0..500).map(|number| format!("d{number}")).collect();
    let commands: Vec<_> = devices
        .iter()
        .map(|device| words(&format!("IOT.TRACK cars {device} 1 1 TS * EXPIRE {DUE_MS}")))
        .collect();
    client.pipeline(&commands).unwrap();
    let due_ms = now_ms(&mut client) + DUE_MS;
    server.kill9();
    await_time(&mut other.connect(Protocol::Resp2), due_ms + TICKS_MS);
    server.restart();
    let mut client = server.connect(Protocol::Resp2);
    await_that("all have gone", || {
        told(&mut client).len() >= 3 * devices.len()
    });
    let all = told(&mut client);
    for device in &devices {
        let own = all.iter().filter(|event| event.get("device") == device);
        let kinds: Vec<&str> = own.map(|event| event.get("event")).collect();
        assert_eq!(kinds, ["enter", "dwell", "exit"], "{device}");
    }
}

#[test]
fn a_replica_waits_until_it_is_the_master() {
    let (mut master, replica) = (Server::start(), Server::start());
    replica.replica_of(&master);
    let mut client = master.connect(Protocol::Resp2);
    // A replica that is new acknowledges nothing for a second, perhaps.
    client.expect("SET known 1", "+OK");
    client.expect("WAIT 1 30000", "1");
    let due_ms = prepare(&mut client);
    client.expect("WAIT 1 30000", "1");
    assert_eq!(told(&mut client).len(), 3, "nothing is due yet");
    master.kill9();
    let mut client = replica.connect(Protocol::Resp2);
    await_time(&mut client, due_ms + TICKS_MS);
    assert_eq!(told(&mut client).len(), 3, "a replica tells of nothing");
    client.expect("IOT.FENCE COUNT zones", "3");
    client.expect("REPLICAOF NO ONE", "+OK");
    check_that_all_comes(&mut client);
}

#[test]
fn nothing_comes_while_clients_are_made_to_wait() {
    for how in ["WRITE", "ALL"] {
        let mut server = Server::start();
        let replica = Server::start();
        replica.replica_of(&server);
        let mut client = server.connect(Protocol::Resp2);
        client.expect("SET known 1", "+OK");
        client.expect("WAIT 1 30000", "1");
        let due_ms = prepare(&mut client);
        client.expect(&format!("CLIENT PAUSE 2500 {how}"), "+OK");
        let mut other = replica.connect(Protocol::Resp2);
        await_time(&mut other, due_ms + TICKS_MS);
        assert_eq!(told(&mut other).len(), 3, "something was written");
        // It answers when the time is over, where all have to wait.
        server.assert_alive(&|| format!("CLIENT PAUSE {how}"));
        check_that_all_comes(&mut client);
        client.expect("WAIT 1 30000", "1");
        check_that_all_comes(&mut other);
    }
}

#[test]
fn many_that_are_due_at_once_all_come_once() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect(
        "IOT.FENCE ADD zones z BBOX 0 0 1 1 DETECT exit dwell DWELL 1",
        "1",
    );
    client.expect("IOT.FENCE BIND cars zones STREAM events", "+OK");
    let at_ms = now_ms(&mut client) + DUE_MS;
    let commands: Vec<_> = (0..MANY)
        .map(|number| {
            words(&format!(
                "IOT.TRACK cars d{number} 1 1 TS * EXPIREAT {at_ms}"
            ))
        })
        .collect();
    for batch in commands.chunks(500) {
        client.pipeline(batch).unwrap();
    }
    await_that("all have gone", || {
        client.integer("XLEN events") >= 2 * MANY
    });
    client.expect("XLEN events", &(2 * MANY).to_string());
    client.expect("IOT.FLEET LIST cars", "[0, []]");
}

#[test]
fn fixes_that_are_filtered_or_late_put_off_the_expiry_of_a_device_everywhere() {
    let mut master = Server::start_with(&DURABLE);
    let replica = Server::start();
    replica.replica_of(&master);
    let mut client = master.connect(Protocol::Resp2);
    client.expect("IOT.FLEET CREATE cars MINDIST 100 EXPIRE 1000s", "+OK");
    client.expect("IOT.TRACK cars a 1 1 TS 1000", "1");
    let line = "IOT.POSITION cars a";
    let mut before = render(&client.run(line));
    for fix in [
        "IOT.TRACK cars a 1 1 TS 2000",
        "IOT.TRACK cars a 2 2 TS 500",
        "IOT.TRACK cars a 2 2 TS 500 IFNEWER",
        "IOT.TRACK cars a 1 1 TS 2000 EXPIREAT 99999999999999",
        "IOT.MTRACK cars a 1 1 2000 a 2 2 500",
    ] {
        // The clock of the server is to show another time.
        let begun_ms = now_ms(&mut client);
        await_time(&mut client, begun_ms + 2);
        client.expect(fix, "_");
        let after = render(&client.run(line));
        assert_ne!(after, before, "{fix}");
        client.expect("WAIT 1 30000", "1");
        let theirs = render(&replica.connect(Protocol::Resp2).run(line));
        assert_eq!(theirs, after, "{fix}");
        before = after;
    }
    master.restart();
    let mut client = master.connect(Protocol::Resp2);
    assert_eq!(render(&client.run(line)), before);
}

#[test]
fn whoever_is_about_to_leave_a_fence_leaves_it_with_the_fence() {
    for end in [
        "DEL zones slow",
        "ADD zones slow BBOX 1 1 2 2 GROUPS 1 red DEVICES 1 b",
    ] {
        let server = Server::start();
        let mut client = server.connect(Protocol::Resp2);
        let kinds = |client: &mut Client| -> Vec<String> {
            let told = told(client);
            let of = |one: &Event| {
                let [event, device, fence] = ["event", "device", "fence"].map(|name| one.get(name));
                format!("{event} {device} {fence}")
            };
            told.iter().map(of).collect()
        };
        for line in [
            "IOT.FENCE ADD zones slow BBOX 1 1 2 2 MINFIXES 3",
            "IOT.FENCE ADD zones quick BBOX 1 1 2 2",
            "IOT.TRACK cars b 1 1 TS 1000",
            "IOT.FENCE BIND cars zones STREAM events",
        ] {
            client.expect(line, "_");
        }
        await_that("all devices were looked at", || {
            kinds(&mut client) == ["enter b quick"]
        });
        client.expect("IOT.UNTRACK cars b", "1");
        client.expect("DEL events", "1");
        // The last fix is out of the fence, which is no exit yet; nor does another fence make it one.
        client.expect(
            "IOT.MTRACK cars a 1 3 1000 a 1 1 2000 a 1 1 3000 a 1 1 4000 a 9 9 5000",
            "_",
        );
        client.expect("IOT.FENCE ADD zones other BBOX 8 8 10 10", "1");
        let before = [
            "enter a quick",
            "enter a slow",
            "exit a quick",
            "enter a other",
        ];
        assert_eq!(kinds(&mut client), before);
        client.expect(&format!("IOT.FENCE {end}"), "int");
        await_that("it has left the fence that is gone", || {
            kinds(&mut client).len() > before.len()
        });
        assert_eq!(kinds(&mut client)[before.len()..], ["exit a slow"], "{end}");
    }
}
