//! Queries by labels: a thousand series of ten thousand samples among many others.

use super::{Bench, ROUNDS, START_MS, load, others, reading, words};

const SERIES: usize = 1_000;
const SAMPLES: usize = 10_000;
/// Other series, each with one sample.
const OTHERS: usize = 100_000;

pub(crate) fn labels(bench: &mut Bench) {
    fill(bench);
    println!(
        "\n{:<60} {:>10} {:>12}",
        "queries by labels, of 101,000 series", "ms", "bytes"
    );
    let ask = |what: &str, line: &str| {
        let (time, bytes) = (0..4 * ROUNDS)
            .map(|_| load::time_one(bench.server.port(), &words(line)))
            .min()
            .unwrap();
        println!("{what:<60} {:>10.3} {bytes:>12}", time.as_secs_f64() * 1e3);
    };
    ask("PING", "PING");
    ask("IOT.CARD of 1,000", "IOT.CARD FILTER kind=temp");
    ask(
        "IOT.CARD of 100, three filters",
        "IOT.CARD FILTER kind=temp room=r3 dev!=33",
    );
    ask("IOT.QUERYINDEX of one", "IOT.QUERYINDEX dev=77");
    ask("IOT.QUERYINDEX of 1,000", "IOT.QUERYINDEX kind=temp");
    ask("IOT.MGET of 1,000", "IOT.MGET FILTER kind=temp");
    ask(
        "IOT.MRANGE max an hour, GROUPBY 10 rooms, 1,000 x 10,000",
        GROUPED,
    );
    ask(
        "IOT.MRANGE avg an hour, 1,000 x 10,000",
        "IOT.MRANGE - + AGGREGATION avg 3600000 FILTER kind=temp",
    );
    others::header("GET of one client while another asks");
    others::row(bench, "IOT.MRANGE max an hour, GROUPBY 10 rooms", GROUPED);
    bench.flush();
}

const GROUPED: &str =
    "IOT.MRANGE - + AGGREGATION max 3600000 FILTER kind=temp GROUPBY room REDUCE max";

fn fill(bench: &mut Bench) {
    let readings: Vec<f64> = (0..37).map(|n| reading(n).parse().unwrap()).collect();
    for series in 0..SERIES {
        let blob: Vec<u8> = (0..SAMPLES)
            .flat_map(|number| {
                let value = readings[(number + series) % readings.len()];
                let time = START_MS + i64::try_from(number).unwrap() * 10_000;
                [time.to_le_bytes(), value.to_le_bytes()].concat()
            })
            .collect();
        let labels = format!(
            "IOT.ADDBULK s:{series} LABELS kind temp room r{} dev {series} PACKED",
            series % 10
        );
        let mut request: Vec<Vec<u8>> = words(&labels).into_iter().map(String::into).collect();
        request.push(blob);
        bench.client.call(&request);
    }
    let others: Vec<Vec<Vec<u8>>> = (0..OTHERS)
        .map(|other| {
            let line = format!(
                "IOT.ADD o:{other} {START_MS} 1 LABELS kind other room r{} dev o{other}",
                other % 1_000
            );
            words(&line).into_iter().map(String::into).collect()
        })
        .collect();
    for batch in others.chunks(1_000) {
        bench.client.pipeline(batch).unwrap();
    }
}
