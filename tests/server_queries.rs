//! Long queries beside the main thread: the same answers, under limits, and nothing that happens
//! meanwhile does harm.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

use support::client::{Client, Protocol};
use support::notation;
use support::queries::{add, during, stat};
use support::server::{PATIENCE, Server};

/// A reading with a decimal that is NaN now and then.
fn reading(at: u32) -> f64 {
    match at % 97 {
        13 => f64::NAN,
        turn => f64::from(turn * at % 1_009) / 10.0,
    }
}

/// Runs `act` while a query runs, whose answer must not change by it.
#[track_caller]
fn answers_all_the_same(act: impl FnMut(&mut Client)) {
    let mut server = Server::start_with(&["--redis-iot.idle-seal", "1"]);
    let (mut waiting, expected) = during(&server, act);
    assert_eq!(waiting.receive(), Ok(expected));
    server.assert_alive(&|| "the query".into());
}

#[test]
fn answers_are_the_same_on_the_main_thread_and_beside_it() {
    let server = Server::start();
    let queries = [
        "IOT.RANGE t - +",
        "IOT.REVRANGE t - +",
        "IOT.RANGE t 100 15000 COUNT 300",
        "IOT.RANGE t - + FILTER_BY_TS 5 7 19000 FILTER_BY_VALUE 0 1000",
        "IOT.RANGE t - + FILTER_BY_VALUE 1e300 1e301",
        "IOT.REVRANGE t 77 + AGGREGATION avg,min,max,sum,count,first,last 100",
        "IOT.RANGE t - + ALIGN 3 AGGREGATION std.p,std.s,var.p,var.s,range,countnan,countall 7",
        "IOT.RANGE t - + AGGREGATION twa,last 13 BUCKETTIMESTAMP mid EMPTY",
        "IOT.REVRANGE t 5 30000 AGGREGATION twa,sum 10 EMPTY COUNT 2500",
        "IOT.RANGE t 30000 40000",
        "IOT.RANGE t - + AGGREGATION sum 1 EMPTY ALIGN 0",
        "IOT.RANGE t - + AGGREGATION nothing 1",
        "IOT.RANGE sparse - + AGGREGATION sum 1 EMPTY",
        "IOT.RANGE missing - +",
        "IOT.RANGE text - +",
    ];
    for protocol in Protocol::BOTH {
        for encoding in ["COMPRESSED", "UNCOMPRESSED"] {
            let mut client = server.connect(protocol);
            client.expect("FLUSHALL", "+OK");
            client.expect("SET text x", "+OK");
            client.expect(&format!("IOT.CREATE t ENCODING {encoding}"), "+OK");
            add(&mut client, "t", 0, (0..20_000).map(reading));
            client.run("IOT.ADDBULK sparse SAMPLES 1 1 9000000000000 1");
            for query in queries {
                client.expect("CONFIG SET redis-iot.inline-samples 1000000000", "+OK");
                let inline = client.run(query);
                client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
                let beside = client.run(query);
                // As text, in which NaN equals NaN.
                assert!(
                    notation::render(&inline) == notation::render(&beside),
                    "{query} {protocol:?}"
                );
            }
        }
    }
    let mut client = server.connect(Protocol::Resp2);
    // Four rounds; in each there are some that find nothing to do.
    assert_eq!(stat(&mut client, "queries_ended"), 4 * 10);
}

/// Sends a line of words without spaces as it is, and compares the bytes of the reply.
#[track_caller]
fn check_bytes(server: &Server, line: &str, expected: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    let mut reply = vec![0; expected.len()];
    stream.read_exact(&mut reply).unwrap();
    assert!(reply == expected.as_bytes(), "{line}");
    // Nothing is left over.
    stream.write_all(b"PING\r\n").unwrap();
    let mut pong = [0; 7];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"+PONG\r\n", "{line}");
}

#[test]
fn rows_have_the_bytes_that_the_protocol_wants() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let count = 30_000;
    let value = |at: u32| f64::from(at % 4_001 + 1) / [1.0, -10.0, 100.0, 7.0][at as usize % 4];
    add(&mut client, "t", 0, (0..count).map(value));
    for inline in [0, 1_000_000] {
        client.expect(
            &format!("CONFIG SET redis-iot.inline-samples {inline}"),
            "+OK",
        );
        let mut rows = format!("*{count}\r\n");
        let mut wide = rows.clone();
        for at in 0..count {
            write!(rows, "*2\r\n:{at}\r\n+{}\r\n", value(at)).unwrap();
            write!(wide, "*3\r\n:{at}\r\n+{}\r\n+1\r\n", value(at)).unwrap();
        }
        check_bytes(&server, "IOT.RANGE t - +", &rows);
        check_bytes(&server, "IOT.RANGE t - + AGGREGATION sum,count 1", &wide);
        let mut first_row = "*1\r\n*2\r\n:0\r\n+".to_string();
        write!(first_row, "{}\r\n", value(0)).unwrap();
        check_bytes(&server, "IOT.RANGE t - + COUNT 1", &first_row);
        check_bytes(&server, "IOT.RANGE t 30000 +", "*0\r\n");
    }
}

#[test]
fn nothing_runs_beside_the_main_thread_below_the_threshold() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    add(&mut client, "t", 0, (0..20_000).map(reading));
    client.run("IOT.RANGE t 0 1000");
    client.run("IOT.REVRANGE t - + COUNT 10");
    assert_eq!(stat(&mut client, "query_threads"), 0);
    client.run("IOT.RANGE t 0 10000");
    assert_eq!(stat(&mut client, "query_threads"), 1);
    assert_eq!(stat(&mut client, "queries_ended"), 1);
}

#[test]
fn others_are_served_while_a_query_runs() {
    answers_all_the_same(|client| {
        client.expect("PING", "+PONG");
        client.expect("SET other 1", "+OK");
        client.expect("IOT.RANGE slow 0 0", "[[0, #1]]");
    });
}

#[test]
fn commands_behind_a_query_wait_for_it() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
    client.run("IOT.ADD t 1 1");
    for _ in 0..200 {
        client.send("IOT.RANGE t - +");
        client.send("PING");
    }
    for _ in 0..200 {
        let rows = client.receive().unwrap();
        notation::compare("[[1, #1]]", &rows, Protocol::Resp2).unwrap();
        let pong = client.receive().unwrap();
        notation::compare("+PONG", &pong, Protocol::Resp2).unwrap();
    }
}

#[test]
fn transactions_and_scripts_are_answered_at_once() {
    let server = Server::start();
    for protocol in Protocol::BOTH {
        let mut client = server.connect(protocol);
        client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
        client.run("FLUSHALL");
        client.run("IOT.ADDBULK t SAMPLES 1 1.5 2 2");
        client.expect("MULTI", "+OK");
        client.expect("IOT.RANGE t - +", "+QUEUED");
        client.expect("DEL t", "+QUEUED");
        client.expect("EXEC", "[[[1, #1.5], [2, #2]], 1]");
        client.run("IOT.ADDBULK t SAMPLES 1 1.5 2 2");
        client.expect(
            r#"EVAL "return redis.call('IOT.RANGE', KEYS[1], '-', '+')[2][1]" 1 t"#,
            "2",
        );
        client.expect("CONFIG SET redis-iot.max-samples 1", "+OK");
        client.expect("MULTI", "+OK");
        client.expect("IOT.RANGE t - +", "+QUEUED");
        client.expect(
            "EXEC",
            r#"[-"ERR the query would scan 2 samples, more than redis-iot.max-samples 1"]"#,
        );
        client.expect("CONFIG SET redis-iot.max-samples 0", "+OK");
        assert_eq!(stat(&mut client, "queries_ended"), 0);
    }
}

#[test]
fn a_value_may_change_or_go_away_while_a_query_reads_it() {
    let changes = [
        "DEL slow",
        "UNLINK slow",
        "FLUSHALL",
        "FLUSHALL ASYNC",
        "SET slow x",
        "RENAME slow other",
        "SWAPDB 0 1",
        "MOVE slow 1",
        "COPY slow other",
        "IOT.DEL slow - +",
        "IOT.ALTER slow RETENTION 10",
        "IOT.ADD slow 0 7 ON_DUPLICATE LAST",
        "IOT.ADD slow 90000000 7",
        "BGSAVE",
        "BGREWRITEAOF",
        "DEBUG RELOAD",
        "DEBUG CHANGE-REPL-ID",
        "PEXPIREAT slow 1",
        "MEMORY USAGE slow",
        "MODULE UNLOAD redis-iot",
    ];
    for change in changes {
        answers_all_the_same(|client| {
            client.run(change);
        });
    }
}

#[test]
fn many_writes_during_a_query_are_not_seen_by_it() {
    answers_all_the_same(|client| {
        // Late and new samples, all over the series.
        for at in (0..1_000_000).step_by(10_007) {
            client.run(&format!("IOT.ADD slow {at} 5 ON_DUPLICATE LAST"));
        }
    });
}

#[test]
fn a_client_cannot_be_unblocked_but_by_the_answer() {
    answers_all_the_same(|client| {
        let list = client.text("CLIENT LIST");
        let is_query = |line: &&str| line.to_lowercase().contains("cmd=iot.range");
        let blocked = list.lines().find(is_query);
        let id = blocked.unwrap().split(' ').next().unwrap();
        let id = id.strip_prefix("id=").unwrap();
        client.expect(&format!("CLIENT UNBLOCK {id}"), "0");
        client.expect(&format!("CLIENT UNBLOCK {id} ERROR"), "0");
    });
}

#[test]
fn a_query_is_answered_while_clients_are_paused() {
    answers_all_the_same(|client| {
        client.expect("CLIENT PAUSE 60000 WRITE", "+OK");
    });
}
