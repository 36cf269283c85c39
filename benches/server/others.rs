//! How long other clients wait while one of them asks for much.

use std::thread;
use std::time::Instant;

use super::{Bench, fill_big, load, words};

/// A hundred million samples of one series.
pub(crate) fn others(bench: &mut Bench) {
    const SAMPLES: usize = 100_000_000;
    fill_big(bench, 0, SAMPLES);
    header("GET of one client while another aggregates 100 M samples");
    row(bench, "nobody asks", "PING");
    row(
        bench,
        "avg, max a minute",
        "IOT.RANGE big - + AGGREGATION avg,max 60000",
    );
    row(
        bench,
        "std.p an hour",
        "IOT.RANGE big - + AGGREGATION std.p 3600000",
    );
    bench.flush();
}

/// Begins a table of waits.
pub(crate) fn header(title: &str) {
    println!(
        "\n{title:<60} {:>9} {:>9} {:>9}",
        "p50 ms", "p99 ms", "max ms"
    );
}

/// How long a `GET` takes from the moment at which another client asks `line` until it is answered.
pub(crate) fn row(bench: &mut Bench, what: &str, line: &'static str) {
    bench.client.call(&["SET", "key", "value"]);
    let port = bench.server.port();
    let query = thread::spawn(move || load::time_one(port, &words(line)).0);
    let mut waits = Vec::new();
    while !query.is_finished() || waits.len() < 2_000 {
        let start = Instant::now();
        bench.client.call(&["GET", "key"]);
        waits.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let took_ms = query.join().unwrap().as_secs_f64() * 1e3;
    waits.sort_by(f64::total_cmp);
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
    println!(
        "{:<60} {:>9.3} {:>9.3} {:>9.3}",
        format!("{what} ({took_ms:.0} ms)"),
        at(50),
        at(99),
        at(100)
    );
}
