//! Clients that wait for samples: what wakes them, what does not, and how else it ends.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::time::{Duration, Instant};

use support::client::{Client, Protocol};
use support::notation::{compare, render, words};
use support::server::Server;

/// A server, one that writes, and nobody who waits yet.
fn start() -> (Server, Client) {
    let server = Server::start();
    let mut writer = server.connect(Protocol::Resp2);
    writer.expect("IOT.CREATE k", "+OK");
    (server, writer)
}

/// A client that waits after this command, one of `count` that do.
fn waiting(server: &Server, protocol: Protocol, line: &str, count: usize) -> Client {
    let mut client = server.connect(protocol);
    client.send(line);
    server.await_info("clients", &format!("blocked_clients:{count}"));
    client
}

#[track_caller]
fn receives(client: &mut Client, expected: &str) {
    let reply = client.receive().unwrap();
    if let Err(difference) = compare(expected, &reply, client.protocol) {
        panic!("{difference}");
    }
}

/// Whether a client still waits: what it waits for comes after this.
fn still_waits(server: &Server, count: usize) {
    server.await_info("clients", &format!("blocked_clients:{count}"));
}

#[test]
fn the_first_matching_sample_wakes() {
    for protocol in Protocol::BOTH {
        let (server, mut writer) = start();
        writer.expect("IOT.ADD k 10 1", "10");
        let mut reader = waiting(&server, protocol, "IOT.READ k $ BLOCK 0 1", 1);
        // The newest sample again, and late ones, are before `$`.
        writer.expect("IOT.ADD k 10 2 ON_DUPLICATE LAST", "10");
        writer.expect("IOT.ADD k 5 5", "5");
        writer.expect("IOT.ADD other 20 5", "20");
        still_waits(&server, 1);
        writer.expect("IOT.ADD k 20 3", "20");
        receives(&mut reader, "[[20, #3]]");
        reader.expect("PING", "+PONG");
    }
}

#[test]
fn one_that_waited_is_held_to_the_limits_of_queries() {
    for command in ["IOT.READ k 0 BLOCK 0 3", "IOT.MREAD 1 k 0 BLOCK 0 3"] {
        let (server, mut writer) = start();
        writer.expect("CONFIG SET redis-iot.max-samples 2", "+OK");
        let mut reader = waiting(&server, Protocol::Resp2, command, 1);
        writer.run("IOT.ADDBULK k SAMPLES 10 1 20 2 30 3");
        receives(
            &mut reader,
            "-ERR the query would scan 3 samples, more than redis-iot.max-samples 2",
        );
        reader.expect("PING", "+PONG");
    }
}

#[test]
fn every_command_that_writes_wakes() {
    let (server, mut writer) = start();
    let mut time = 100;
    for write in [
        "IOT.ADD k %t 1",
        "IOT.MADD k %t 1",
        "IOT.INGEST ITEMS k %t 1",
        "IOT.ADDBULK k SAMPLES %t 1",
        "IOT.INCRBY k 0 TIMESTAMP %t",
        "IOT.DECRBY k 0 TIMESTAMP %t",
        "EVAL \"return redis.call('IOT.ADD', 'k', '%t', '1')\" 0",
    ] {
        let mut reader = waiting(&server, Protocol::Resp2, "IOT.READ k $ BLOCK 0 1", 1);
        time += 10;
        writer.run(&write.replace("%t", &time.to_string()));
        receives(&mut reader, &format!("[[{time}, #1]]"));
    }
}

#[test]
fn it_takes_as_many_samples_as_were_asked_for() {
    let (server, mut writer) = start();
    writer.expect("IOT.ADDBULK k SAMPLES 1 1 2 2", "_");
    let mut reader = waiting(
        &server,
        Protocol::Resp3,
        "IOT.READ k 2 BLOCK 0 3 MAX_COUNT 3",
        1,
    );
    writer.expect("IOT.ADD k 3 3", "3");
    still_waits(&server, 1);
    // One goes, so two more are needed.
    writer.expect("IOT.DEL k 3 3", "1");
    writer.expect("IOT.ADD k 4 4", "4");
    still_waits(&server, 1);
    writer.expect("IOT.ADDBULK k SAMPLES 5 5 6 6", "_");
    receives(&mut reader, "[[2, #2], [4, #4], [5, #5]]");
}

#[test]
fn a_transaction_is_seen_as_a_whole() {
    let (server, mut writer) = start();
    let mut reader = waiting(&server, Protocol::Resp2, "IOT.READ k - BLOCK 0 1", 1);
    for line in [
        "MULTI",
        "IOT.ADD k 1 1",
        "IOT.ADD k 2 2",
        "IOT.DEL k 1 1",
        "IOT.ADD k 3 3",
    ] {
        writer.run(line);
    }
    writer.expect("EXEC", "[1, 2, 1, 3]");
    receives(&mut reader, "[[2, #2], [3, #3]]");
}

#[test]
fn samples_of_several_series_count_together() {
    for protocol in Protocol::BOTH {
        let (server, mut writer) = start();
        writer.expect("IOT.ADD j 10 1", "10");
        let line = "IOT.MREAD 3 k j k - $ 100 BLOCK 0 3";
        let mut reader = waiting(&server, protocol, line, 1);
        writer.expect("IOT.ADD k 10 1", "10");
        writer.expect("IOT.ADD j 20 2", "20");
        still_waits(&server, 1);
        // Counts twice, since it is asked for twice.
        writer.expect("IOT.ADD k 100 3", "100");
        let k = "[[10, #1], [100, #3]]";
        receives(
            &mut reader,
            match protocol {
                Protocol::Resp2 => {
                    r#"["k", [[10, #1], [100, #3]], "j", [[20, #2]], "k", [[100, #3]]]"#
                }
                // A client keeps one of two entries of a name; which is its own affair.
                Protocol::Resp3 => "_",
            },
        );
        reader.expect("IOT.READ k -", k);
    }
}

#[test]
fn the_time_is_up_exactly() {
    let (server, mut writer) = start();
    writer.expect("IOT.ADD k 1 1", "1");
    let begun = Instant::now();
    let mut reader = waiting(&server, Protocol::Resp2, "IOT.READ k - BLOCK 200 2", 1);
    receives(&mut reader, "[[1, #1]]");
    assert!(begun.elapsed() >= Duration::from_millis(200));
    writer.expect("IOT.ADD k 2 2", "2");
    reader.expect("PING", "+PONG");
    // Nothing is left that a later write could wake.
    reader.expect("IOT.READ k $ BLOCK 1 1", "[]");
    writer.expect("IOT.ADD k 3 3", "3");
    reader.expect("PING", "+PONG");
}

#[test]
fn a_key_that_loses_its_value_wakes() {
    for end in [
        "DEL k",
        "UNLINK k",
        "RENAME k other",
        "SET k text",
        "FLUSHDB",
        "FLUSHALL ASYNC",
        "MOVE k 3",
        "PEXPIRE k 1",
        "SWAPDB 0 1",
    ] {
        let (server, mut writer) = start();
        writer.expect("IOT.ADD k 1 1", "1");
        let mut reader = waiting(&server, Protocol::Resp2, "IOT.READ k - BLOCK 0 5", 1);
        writer.expect("SWAPDB 1 2", "+OK");
        still_waits(&server, 1);
        writer.run(end);
        receives(&mut reader, "[]");
        reader.expect("PING", "+PONG");
    }
}

#[test]
fn a_key_of_another_database_is_another_key() {
    let (server, mut writer) = start();
    let mut reader = waiting(&server, Protocol::Resp2, "IOT.READ k $ BLOCK 0 1", 1);
    writer.expect("SELECT 1", "+OK");
    writer.expect("IOT.ADD k 1 1", "1");
    writer.expect("DEL k", "1");
    still_waits(&server, 1);
    writer.expect("SELECT 0", "+OK");
    writer.expect("IOT.ADD k 2 2", "2");
    receives(&mut reader, "[[2, #2]]");
}

#[test]
fn clients_may_be_unblocked_killed_or_gone() {
    let (server, mut writer) = start();
    let mut reader = server.connect(Protocol::Resp2);
    let id = reader.integer("CLIENT ID");
    for (how, reply) in [("TIMEOUT", "[]"), ("ERROR", "-UNBLOCKED *")] {
        reader.send("IOT.READ k $ BLOCK 0 1");
        server.await_info("clients", "blocked_clients:1");
        writer.expect(&format!("CLIENT UNBLOCK {id} {how}"), "1");
        receives(&mut reader, reply);
    }
    reader.send("IOT.READ k $ BLOCK 0 1");
    server.await_info("clients", "blocked_clients:1");
    writer.expect("CLIENT KILL TYPE normal SKIPME yes", "1");
    assert!(reader.receive().is_err());
    drop(waiting(
        &server,
        Protocol::Resp2,
        "IOT.READ k $ BLOCK 0 1",
        1,
    ));
    server.await_info("clients", "blocked_clients:0");
    writer.expect("IOT.ADD k 1 1", "1");
    writer.expect("PING", "+PONG");
}

#[test]
fn a_client_whose_time_ends_as_it_is_woken_gets_a_reply() {
    let (server, mut writer) = start();
    for (line, wakes, reply) in [
        ("IOT.READ k - BLOCK 500 1", "IOT.ADD k 5 1", "[[5, #1]]"),
        ("IOT.READ k $ BLOCK 500 1", "DEL k", "[]"),
    ] {
        let mut reader = waiting(&server, Protocol::Resp2, line, 1);
        // Both at once, so that the server sees the end of the time before the turn of the client.
        writer
            .send_all(&[words(wakes), words("DEBUG SLEEP 0.7")])
            .unwrap();
        receives(&mut reader, reply);
        reader.expect("PING", "+PONG");
        writer.receive().unwrap();
        writer.receive().unwrap();
    }
}

#[test]
fn a_time_of_any_length_is_one() {
    let (server, mut writer) = start();
    for ms in [
        "9223372036854775807",
        "9223372036854775",
        "106751991167d",
        "3153600000001",
        "100000",
    ] {
        writer.expect("IOT.DEL k - +", "_");
        let line = format!("IOT.READ k - BLOCK {ms} 1");
        let mut reader = waiting(&server, Protocol::Resp2, &line, 1);
        writer.expect("IOT.ADD k 5 1", "5");
        receives(&mut reader, "[[5, #1]]");
        reader.expect("PING", "+PONG");
    }
}

#[test]
fn many_clients_wait_for_one_series() {
    let (server, mut writer) = start();
    let mut readers: Vec<Client> = (1..=50)
        .map(|count| waiting(&server, Protocol::Resp2, "IOT.READ k $ BLOCK 0 1", count))
        .collect();
    writer.expect("IOT.ADD k 1 1", "1");
    for reader in &mut readers {
        receives(reader, "[[1, #1]]");
    }
}

#[test]
fn a_server_that_ends_or_becomes_a_replica_sends_them_away() {
    let (mut server, _writer) = start();
    let master = Server::start();
    let mut reader = waiting(&server, Protocol::Resp2, "IOT.READ k $ BLOCK 0 1", 1);
    server.replica_of(&master);
    let reply = render(&reader.receive().unwrap());
    assert!(reply.starts_with("-\"UNBLOCKED"), "{reply}");
    let mut master_client = master.connect(Protocol::Resp2);
    master_client.expect("IOT.CREATE k", "+OK");
    // A replica wakes its clients by what it gets from the master.
    master_client.expect("WAIT 1 0", "1");
    let mut reader = waiting(&server, Protocol::Resp2, "IOT.READ k $ BLOCK 0 1", 1);
    master_client.expect("IOT.ADD k 1 1", "1");
    receives(&mut reader, "[[1, #1]]");
    let _waits = waiting(&server, Protocol::Resp2, "IOT.READ k $ BLOCK 0 1", 1);
    server.shut_down("NOSAVE");
}
