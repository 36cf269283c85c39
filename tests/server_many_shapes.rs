//! The shapes of replies over many series, as clients of both protocols know them.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::server::Server;

/// Two sites with a series each, and one that is empty and has no site.
fn sites(server: &Server, protocol: Protocol) -> Client {
    let mut client = server.connect(protocol);
    client.expect("FLUSHALL", "+OK");
    client.expect("IOT.CREATE a LABELS site eu kind temp", "+OK");
    client.expect("IOT.CREATE b LABELS kind temp site us", "+OK");
    client.expect("IOT.CREATE none LABELS kind temp", "+OK");
    client.expect("IOT.MADD a 10 1.5 a 20 nan b 10 -3", "[10, 20, 10]");
    client
}

/// Sends lines, each with its reply in the older and in the newer protocol.
fn expect_shapes(lines: &[(&str, &str, &str)]) {
    let server = Server::start();
    for protocol in Protocol::BOTH {
        let mut client = sites(&server, protocol);
        for (line, resp2, resp3) in lines {
            let expected = match protocol {
                Protocol::Resp2 => resp2,
                Protocol::Resp3 => resp3,
            };
            client.expect(line, expected);
        }
    }
}

#[test]
fn mget_has_the_shape_that_clients_know() {
    expect_shapes(&[
        (
            "IOT.MGET FILTER kind=temp",
            r#"[["a", [], [20, #nan]], ["b", [], [10, #-3]], ["none", [], []]]"#,
            r#"{"a": [{}, [20, #nan]], "b": [{}, [10, #-3]], "none": [{}, []]}"#,
        ),
        (
            "IOT.MGET WITHLABELS FILTER site!=",
            r#"[["a", [["site", "eu"], ["kind", "temp"]], [20, #nan]],
                ["b", [["kind", "temp"], ["site", "us"]], [10, #-3]]]"#,
            r#"{"a": [{"site": "eu", "kind": "temp"}, [20, #nan]],
                "b": [{"kind": "temp", "site": "us"}, [10, #-3]]}"#,
        ),
        (
            "IOT.MGET SELECTED_LABELS SITE other FILTER site=eu",
            r#"[["a", [["SITE", "eu"], ["other", nil]], [20, #nan]]]"#,
            r#"{"a": [{"SITE": "eu", "other": nil}, [20, #nan]]}"#,
        ),
        ("IOT.MGET FILTER site=none", "[]", "{}"),
    ]);
}

#[test]
fn mrange_has_the_shape_that_clients_know() {
    expect_shapes(&[
        (
            "IOT.MRANGE - + FILTER kind=temp",
            r#"[["a", [], [[10, #1.5], [20, #nan]]], ["b", [], [[10, #-3]]], ["none", [], []]]"#,
            r#"{"a": [{}, {"aggregators": []}, [[10, #1.5], [20, #nan]]],
                "b": [{}, {"aggregators": []}, [[10, #-3]]],
                "none": [{}, {"aggregators": []}, []]}"#,
        ),
        (
            "IOT.MREVRANGE - + WITHLABELS FILTER site=eu",
            r#"[["a", [["site", "eu"], ["kind", "temp"]], [[20, #nan], [10, #1.5]]]]"#,
            r#"{"a": [{"site": "eu", "kind": "temp"}, {"aggregators": []}, [[20, #nan], [10, #1.5]]]}"#,
        ),
        (
            "IOT.MRANGE - + SELECTED_LABELS site other AGGREGATION min,CountAll 100 EXCLUDEEMPTY FILTER kind=temp",
            r#"[["a", [["site", "eu"], ["other", nil]], [[0, #1.5, #2]]],
                ["b", [["site", "us"], ["other", nil]], [[0, #-3, #1]]]]"#,
            r#"{"a": [{"site": "eu", "other": nil}, {"aggregators": ["min", "countall"]}, [[0, #1.5, #2]]],
                "b": [{"site": "us", "other": nil}, {"aggregators": ["min", "countall"]}, [[0, #-3, #1]]]}"#,
        ),
        ("IOT.MRANGE - + FILTER site=none", "[]", "{}"),
    ]);
}

#[test]
fn groups_have_the_shape_that_clients_know() {
    expect_shapes(&[
        (
            "IOT.MRANGE - + FILTER kind=temp GROUPBY kind REDUCE Sum",
            r#"[["kind=temp", [], [[10, #-1.5], [20, #nan]]]]"#,
            r#"{"kind=temp": [{}, {"reducers": ["sum"]}, {"sources": ["a", "b", "none"]},
                [[10, #-1.5], [20, #nan]]]}"#,
        ),
        (
            "IOT.MRANGE - + WITHLABELS AGGREGATION count 100 FILTER kind=temp GROUPBY kind REDUCE max",
            r#"[["kind=temp", [["kind", "temp"], ["__reducer__", "max"], ["__source__", "a,b,none"]],
                [[0, #1]]]]"#,
            r#"{"kind=temp": [{"kind": "temp"}, {"reducers": ["max"]}, {"sources": ["a", "b", "none"]},
                [[0, #1]]]}"#,
        ),
        // A series that lacks one of the labels is in no group.
        (
            "IOT.MREVRANGE - + SELECTED_LABELS site x COUNT 1 FILTER kind=temp GROUPBY site kind REDUCE min",
            r#"[["site=eu,kind=temp", [["site", "eu"], ["x", nil]], [[20, #nan]]],
                ["site=us,kind=temp", [["site", "us"], ["x", nil]], [[10, #-3]]]]"#,
            r#"{"site=eu,kind=temp": [{"site": "eu", "x": nil}, {"reducers": ["min"]},
                {"sources": ["a"]}, [[20, #nan]]],
                "site=us,kind=temp": [{"site": "us", "x": nil}, {"reducers": ["min"]},
                {"sources": ["b"]}, [[10, #-3]]]}"#,
        ),
        (
            "IOT.MRANGE - + FILTER site!= GROUPBY other REDUCE max",
            "[]",
            "{}",
        ),
    ]);
}

#[test]
fn the_top_is_that_of_the_values_shown_and_what_has_none_comes_last() {
    let server = Server::start();
    let mut client = sites(&server, Protocol::Resp2);
    client.expect("IOT.MADD a 30 -9 b 30 -1", "[30, 30]");
    for (line, first) in [
        ("IOT.MRANGE - + TOP 1 BY last", "b"),
        ("IOT.MREVRANGE - + TOP 1 BY last", "b"),
        ("IOT.MRANGE - + TOP 1 BY first", "a"),
        ("IOT.MREVRANGE - + TOP 1 BY first", "a"),
        ("IOT.MREVRANGE - + COUNT 1 TOP 1 BY first", "b"),
        // The empty series has no sum, and both others are below zero.
        ("IOT.MRANGE - + TOP 1 BY sum", "b"),
        ("IOT.MRANGE - + TOP 1 BY twa", "b"),
        ("IOT.MREVRANGE - + TOP 1 BY twa", "b"),
    ] {
        let expected = format!("[[\"{first}\", [], _]]");
        client.expect(&format!("{line} FILTER kind=temp"), &expected);
    }
}
