//! Questions to many series are bounded, and end well whatever happens to the series or the client.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::Protocol;
use support::notation;
use support::queries::{SLOW_MANY, add, during_query, make_slow, stat};
use support::server::{Server, await_that};

#[test]
fn a_filter_matches_no_more_series_than_permitted() {
    let server = Server::start_with(&["--redis-iot.max-series", "2"]);
    for protocol in Protocol::BOTH {
        let mut client = server.connect(protocol);
        client.expect("FLUSHALL", "+OK");
        for key in ["a", "b", "c"] {
            client.expect(
                &format!("IOT.ADD {key} 1 1 LABELS kind temp key {key}"),
                "1",
            );
        }
        let before = client.digest();
        for line in [
            "IOT.MGET FILTER kind=temp",
            "IOT.MRANGE - + FILTER kind=temp",
            "IOT.MRANGE - + FILTER kind=temp LIMIT 0 1",
            "IOT.MREVRANGE - + FILTER kind=temp GROUPBY kind REDUCE max",
            "IOT.QUERYINDEX kind=temp",
            "IOT.MDEL FILTER kind=temp",
            "IOT.MDEL FILTER kind=temp DRYRUN",
            "IOT.MALTER FILTER kind=temp SET RETENTION 1",
        ] {
            let error = "-ERR the filter matches 3 series, more than redis-iot.max-series 2";
            client.expect(line, error);
            client.expect(&line.replace("kind=temp", "kind=temp key!=b"), "_");
        }
        client.expect("IOT.MADD a 1 1 c 1 1", "[1, 1]");
        client.run("IOT.MALTER FILTER key!=b SET RETENTION 0");
        assert_eq!(client.digest(), before);
        client.expect("IOT.CARD FILTER kind=temp", "3");
        client.expect(
            "IOT.QUERYLABELS VALUES key FILTER kind=temp",
            r#"["a", "b", "c"]"#,
        );
    }
    let mut client = server.connect(Protocol::Resp2);
    client.expect("CONFIG SET redis-iot.max-series 0", "+OK");
    client.expect("IOT.QUERYINDEX kind=temp", r#"["a", "b", "c"]"#);
}

#[test]
fn the_empty_buckets_of_all_series_together_are_bounded() {
    let server = Server::start();
    for inline in ["0", "5000"] {
        let mut client = server.connect(Protocol::Resp2);
        client.expect("FLUSHALL", "+OK");
        client.expect(
            &format!("CONFIG SET redis-iot.inline-samples {inline}"),
            "+OK",
        );
        for (key, last) in [("a", 4_000_000), ("b", 200_000)] {
            let line = format!("IOT.ADDBULK {key} LABELS kind wide SAMPLES 0 1 {last} 1");
            client.expect(&line, "_");
        }
        let query = "IOT.MRANGE - + AGGREGATION count 1 EMPTY FILTER kind=wide";
        let error = "-ERR *buckets with EMPTY*";
        client.expect(query, error);
        client.expect(
            &format!("{query} COUNT 1"),
            "[[\"a\", [], [[0, #1]]], [\"b\", [], [[0, #1]]]]",
        );
        // The count is one of the rows of a group, which need all rows of its series.
        client.expect(&format!("{query} COUNT 1 GROUPBY kind REDUCE max"), error);
        client.expect(&format!("{query} TOP 1 BY count"), error);
        // Results that are passed over are not made.
        let Value::Array(results) = client.run(&format!("{query} LIMIT 1 5")) else {
            panic!("no array");
        };
        assert_eq!(results.len(), 1);
    }
}

#[test]
fn the_samples_of_all_series_together_are_bounded() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for key in ["a", "b", "c"] {
        client.expect(
            &format!("IOT.CREATE {key} LABELS kind temp key {key}"),
            "+OK",
        );
        add(&mut client, key, 0, (0..1_000).map(f64::from));
    }
    client.expect("CONFIG SET redis-iot.max-samples 2999", "+OK");
    let error = "-ERR the query would scan 3000 samples, more than redis-iot.max-samples 2999";
    for inline in [0, 1_000_000] {
        client.expect(
            &format!("CONFIG SET redis-iot.inline-samples {inline}"),
            "+OK",
        );
        for options in [
            "",
            " AGGREGATION twa 10",
            " GROUPBY kind REDUCE sum",
            " TOP 1 BY sum",
        ] {
            let query = format!("IOT.MREVRANGE - + FILTER kind=temp{options}");
            client.expect(&query, error);
            client.expect("MULTI", "+OK");
            client.expect(&query, "+QUEUED");
            client.expect("EXEC", &format!("[-\"{}\"]", &error[1..]));
            client.expect(&query.replace("kind=temp", "kind=temp key!=b"), "_");
        }
        client.expect("IOT.MRANGE - + FILTER kind=temp LIMIT 0 2", "_");
        client.expect("IOT.MREAD 3 a b c - - -", error);
        client.expect(
            "IOT.MREAD 2 a b 998 $",
            "{\"a\": [[998, #998], [999, #999]]}",
        );
    }
}

#[test]
fn a_query_of_many_series_takes_no_longer_than_permitted() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    make_slow(&mut client, 1 << 20);
    client.expect("CONFIG SET redis-iot.query-timeout 1", "+OK");
    let error = "-ERR the query took longer than redis-iot.query-timeout 1 ms";
    for inline in [0, 1_000_000_000] {
        client.expect(
            &format!("CONFIG SET redis-iot.inline-samples {inline}"),
            "+OK",
        );
        client.expect(SLOW_MANY, error);
        client.expect(&format!("{SLOW_MANY} GROUPBY kind REDUCE max"), error);
        client.expect("IOT.MRANGE - + FILTER kind=slow", error);
    }
    assert_eq!(stat(&mut client, "queries_timed_out"), 3);
    client.expect("CONFIG SET redis-iot.query-timeout 0", "+OK");
    client.expect(SLOW_MANY, "[[\"slow\", [], [[0, _], [1048575, _]]]]");
}

#[test]
fn a_client_that_goes_takes_its_query_of_many_series_along() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    make_slow(&mut client, 1 << 20);
    client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
    for mut goner in (1..=20).map(|_| server.connect(Protocol::Resp3)) {
        goner.send(SLOW_MANY);
    }
    await_that("all queries end", || {
        stat(&mut client, "queries_ended") == 20
    });
    assert!(stat(&mut client, "queries_cancelled") >= 10);
    assert_eq!(stat(&mut client, "queries_waiting"), 0);
    assert_eq!(stat(&mut client, "queries_running"), 0);
    client.run(SLOW_MANY);
}

#[test]
fn a_query_of_many_series_answers_from_what_it_found() {
    let mut server = Server::start();
    for line in [
        "FLUSHALL ASYNC",
        "UNLINK slow",
        "RENAME slow other",
        "SWAPDB 0 1",
        "IOT.MDEL FILTER kind=slow",
        "IOT.MALTER FILTER kind=slow SET LABELS kind other",
        "DEBUG RELOAD",
    ] {
        let (mut waiting, expected) = during_query(&server, SLOW_MANY, |client| {
            let reply = client.run(line);
            assert!(!matches!(reply, Value::ServerError(_)), "{line}: {reply:?}");
        });
        let reply = waiting.receive().unwrap();
        assert!(reply == expected, "{line}: {}", notation::render(&reply));
        server.assert_alive(&|| line.into());
        let mut client = server.connect(Protocol::Resp2);
        let report = notation::render(&client.run("IOT.DEBUG INDEX"));
        assert!(report.contains("\"difference\", nil"), "{line}: {report}");
    }
}

#[test]
fn a_huge_query_of_many_series_is_shared_between_idle_threads() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp3);
    for at in 0..70 {
        let line = format!("IOT.CREATE t:{at} LABELS kind temp room {}", at % 3);
        client.expect(&line, "+OK");
        let values = (0..40_000).map(|step| f64::from((at * step) % 1_013) / 8.0);
        add(&mut client, &format!("t:{at}"), 0, values);
    }
    client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
    let mut helpers = 0;
    for query in [
        "IOT.MRANGE - + AGGREGATION avg,twa,std.s,last 10007 EMPTY FILTER kind=temp",
        "IOT.MREVRANGE - + AGGREGATION twa 10007 FILTER kind=temp GROUPBY room REDUCE sum",
        "IOT.MREVRANGE - + AGGREGATION max 9 COUNT 2 FILTER kind=temp TOP 5 BY avg",
        "IOT.MRANGE - + COUNT 2 FILTER kind=temp GROUPBY room REDUCE std.p",
    ] {
        client.expect("CONFIG SET redis-iot.threads 1", "+OK");
        let alone = client.run(query);
        client.expect("CONFIG SET redis-iot.threads 4", "+OK");
        let together = client.run(query);
        assert!(alone == together, "{query}");
        helpers = stat(&mut client, "query_helpers").max(helpers);
    }
    assert!(helpers > 0, "threads helped");
}
