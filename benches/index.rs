//! Memory and speed of the label index, with 1,000,000 series of five labels.
//!
//! `cargo bench --bench index`. Bytes are shown as the index counts them and as the process has
//! grown; times are the fastest of several runs. The last column is a walk over all labels, which
//! is what there is without an index.
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]
#![allow(clippy::cast_precision_loss, reason = "figures of three digits")]

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use redis_iot::command::filter;
use redis_iot::engine::index::{Index, Limits};
use redis_iot::engine::labels::Labels;

/// Series of the large index.
const SERIES: u64 = 1_000_000;
/// Runs of which the fastest counts.
const RUNS: usize = 15;

/// What is asked of the large index; two spaces part the arguments.
const FILTERS: [&str; 18] = [
    "serial=sn-00777777",
    "device=dev777",
    "site=site-7",
    "kind=kind-7",
    "region=r3",
    "site=site-7  region=r3",
    "site=site-7  region!=r3  kind!=kind-1",
    "kind=kind-7  site=(site-1,site-2,site-3)",
    "kind=(kind-1,kind-2)  region=r1  device~dev77*",
    "(site=site-7 OR site=site-8)  kind!=",
    "region=r1  site~=site-1.",
    "site~site-77*",
    "device~=dev.*77",
    "site=site-7  serial~*7",
    "site=site-7  serial~=.*7",
    "serial~=.*77777",
    "serial=",
    "region!=r3",
];

/// A number that looks random, the same in every run.
fn scattered(number: u64, salt: u64) -> u64 {
    let mixed = (number ^ salt << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33
}

/// The labels of the large index: one value of its own, others shared by 20 to 250,000 series.
fn labels(number: u64) -> Labels {
    let device = scattered(number, 1) % 50_000;
    let values = [
        ("serial", format!("sn-{number:08}")),
        ("device", format!("dev{device}")),
        ("site", format!("site-{}", scattered(number, 2) % 1000)),
        ("kind", format!("kind-{}", scattered(number, 3) % 20)),
        ("region", format!("r{}", scattered(number, 4) % 4)),
    ];
    packed(&values)
}

/// The labels of the fleet for which the design gives a figure.
fn fleet(number: u64) -> Labels {
    let values = [
        ("a", "b".to_owned()),
        ("dev", format!("{}", number % 100)),
        ("region", format!("r{}", number / 100 % 40)),
    ];
    packed(&values)
}

fn packed(values: &[(&str, String)]) -> Labels {
    let pairs = values.iter();
    Labels::new(pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes()))).unwrap()
}

fn key(number: u64) -> String {
    format!(
        "sensor:{:09}",
        scattered(number, 5) % 1000 * SERIES + number
    )
}

/// Memory of this process, in bytes.
fn resident() -> f64 {
    const PAGE: f64 = 4096.0;
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<f64>().ok());
    pages.unwrap_or(f64::NAN) * PAGE
}

/// Series with their keys and labels.
fn generated(series: u64, labels: fn(u64) -> Labels) -> Vec<(String, Labels)> {
    let numbers = 0..series;
    numbers
        .map(|number| (key(number), labels(number)))
        .collect()
}

fn filled(series: &[(String, Labels)]) -> Index {
    let before = resident();
    let start = Instant::now();
    let mut index = Index::new();
    let mut slowest = Duration::ZERO;
    for (key, labels) in series {
        let start = Instant::now();
        index.insert(key.as_bytes(), labels);
        slowest = slowest.max(start.elapsed());
    }
    let count = series.len();
    let each = start.elapsed().as_nanos() / count as u128;
    let grown = (resident() - before) / count as f64;
    let counted = index.heap_bytes() as f64 / count as f64;
    println!(
        "{count} series: {counted:.1} bytes each as counted, {grown:.1} as the process grew, \
         {each} ns to insert, {:.1} ms at most",
        milliseconds(slowest)
    );
    index
}

fn fastest<T>(runs: usize, mut run: impl FnMut() -> T) -> Duration {
    let time = |_| {
        let start = Instant::now();
        black_box(run());
        start.elapsed()
    };
    (0..runs).map(time).min().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Times filters over an index, and the walk over all labels that each replaces.
fn filters(index: &Index, series: &[(String, Labels)], filters: &[&str]) {
    println!(
        "{:52} {:>9} {:>10} {:>10}",
        "filter", "series", "index ms", "walk ms"
    );
    for text in filters {
        let arguments: Vec<&[u8]> = text.split("  ").map(str::as_bytes).collect();
        let select = || {
            let selector = filter::parse(&arguments).unwrap();
            index.select(&selector, Limits::NONE).unwrap()
        };
        let selector = filter::parse(&arguments).unwrap();
        let matches = |(_, labels): &&(String, Labels)| selector.matches(|name| labels.get(name));
        let found = select().len();
        let fast = milliseconds(fastest(RUNS, select));
        let walk = milliseconds(fastest(1, || series.iter().filter(matches).count()));
        println!("{text:52} {found:9} {fast:10.3} {walk:10.1}");
    }
}

/// What else commands ask for.
fn tasks(index: &Index) {
    let site = filter::parse(&[b"site=site-7"]).unwrap();
    let found = index.select(&site, Limits::NONE).unwrap();
    let tasks: [(&str, &dyn Fn() -> usize); 4] = [
        ("QUERYINDEX site=site-7, keys in order", &|| {
            let found = index.select(&site, Limits::NONE).unwrap();
            index.sorted_keys(&found).len()
        }),
        ("names in site=site-7", &|| index.names(Some(&found)).len()),
        ("values of device in site=site-7", &|| {
            index.values_of(b"device", Some(&found)).len()
        }),
        ("values of serial in site=site-7", &|| {
            index.values_of(b"serial", Some(&found)).len()
        }),
    ];
    for (name, task) in tasks {
        let time = milliseconds(fastest(RUNS, task));
        println!("{name:52} {:9} {time:10.3}", task());
    }
}

fn changes(mut index: Index, series: &[(String, Labels)]) {
    let (last, rest) = series.split_last().unwrap();
    let other = fastest(1, || index.insert(last.0.as_bytes(), &labels(7)));
    println!(
        "{:.3} ms to insert over a series with unknown labels",
        milliseconds(other)
    );
    let some = &rest[..series.len() / 10];
    let start = Instant::now();
    for (key, labels) in some {
        index.remove(key.as_bytes(), labels);
    }
    let each = start.elapsed().as_nanos() / some.len() as u128;
    println!("{each} ns to remove a series");
}

fn main() {
    let series = generated(40_000, fleet);
    let index = filled(&series);
    let design = ["a=b  dev!=33  region=r3", "a=b", "dev!=33"];
    filters(&index, &series, &design);
    println!();

    let series = generated(SERIES, labels);
    let index = filled(&series);
    filters(&index, &series, &FILTERS);
    tasks(&index);
    changes(index, &series);
}
