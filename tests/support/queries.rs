//! Queries that take long enough for something to happen meanwhile.

use redis::Value;

use super::client::{Client, Protocol};
use super::server::{Server, await_that};

/// The section of INFO about queries.
const SECTION: &str = "redis-iot_queries";

/// A number of that section.
#[track_caller]
pub(crate) fn stat(client: &mut Client, name: &str) -> u64 {
    client.info(SECTION, &format!("redis-iot_{name}"))
}

/// Sends samples at the times from `first` on, one a millisecond.
pub(crate) fn add(client: &mut Client, key: &str, first: i64, values: impl Iterator<Item = f64>) {
    let mut blob = Vec::new();
    for (time, value) in (first..).zip(values) {
        blob.extend_from_slice(&time.to_le_bytes());
        blob.extend_from_slice(&value.to_le_bytes());
    }
    let reply = client.call(&[b"IOT.ADDBULK", key.as_bytes(), b"PACKED", &blob]);
    assert!(
        matches!(reply, Value::Array(_) | Value::Map(_)),
        "{reply:?}"
    );
}

/// The key of a series over which [`SLOW`] takes long.
const SLOW_KEY: &str = "slow";
/// A query that passes a bucket for each sample and replies with two rows: a bucket of nothing but
/// NaN has no average.
pub(crate) const SLOW: &str = "IOT.RANGE slow - + AGGREGATION twa 1";

/// The same over all series with a label, of which there is one.
pub(crate) const SLOW_MANY: &str = "IOT.MRANGE - + AGGREGATION twa 1 FILTER kind=slow";

/// Makes the series of [`SLOW`]: a number, NaN after NaN, and a number.
pub(crate) fn make_slow(client: &mut Client, size: u32) {
    client.run(&format!("DEL {SLOW_KEY}"));
    client.run(&format!("IOT.CREATE {SLOW_KEY} LABELS kind slow"));
    let piece = 1 << 19;
    for start in (0..size).step_by(piece) {
        let values = (start..size.min(start + 524_288)).map(|at| match at {
            0 => 1.0,
            at if at + 1 == size => 2.0,
            _ => f64::NAN,
        });
        add(client, SLOW_KEY, start.into(), values);
    }
}

/// Runs `act` while [`SLOW`] runs for another client: see [`during_query`].
#[track_caller]
pub(crate) fn during(server: &Server, act: impl FnMut(&mut Client)) -> (Client, Value) {
    during_query(server, SLOW, act)
}

/// Runs `act` while a query over the series of [`SLOW`] runs for another client, and returns that
/// client and what the reply should be. A machine that is faster than the query gets a larger one.
#[track_caller]
pub(crate) fn during_query(
    server: &Server,
    query: &str,
    mut act: impl FnMut(&mut Client),
) -> (Client, Value) {
    let mut client = server.connect(Protocol::Resp2);
    for size in [1 << 20, 1 << 22, 1 << 24] {
        make_slow(&mut client, size);
        client.expect("CONFIG SET redis-iot.inline-samples 1000000000", "+OK");
        let expected = client.run(query);
        client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
        let ended = stat(&mut client, "queries_ended");
        let mut waiting = server.connect(Protocol::Resp2);
        waiting.send(query);
        await_that("the query runs", || {
            stat(&mut client, "queries_running") == 1 || stat(&mut client, "queries_ended") > ended
        });
        client.expect("CONFIG SET redis-iot.inline-samples 5000", "+OK");
        act(&mut client);
        if stat(&mut client, "queries_ended") == ended || stat(&mut client, "queries_cancelled") > 0
        {
            return (waiting, expected);
        }
    }
    panic!("no query is long enough to do anything meanwhile");
}
