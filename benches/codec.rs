//! Speed and size of the codecs on generated and recorded series: Gorilla against crate `tsz`, and
//! packed blocks against Gorilla.
//!
//! `cargo bench --bench codec`. Criterion reports the statistics of each pair; the table at the
//! end is of our own timing, the best of several rounds, which on a busy machine is the steadiest
//! number there is. Recorded series are looked for where `IOT_DATA` says.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use redis_iot::engine::codec::{Columns, gorilla, packed};
use tsz::stream::{BufferedReader, BufferedWriter};
use tsz::{DataPoint, Decode, Encode, StdDecoder, StdEncoder};

#[path = "../tests/support/series_data.rs"]
mod series_data;
use series_data::Recording;

/// Samples in a block; as in the engine.
const BLOCK_SAMPLES: usize = 512;
/// Rounds of which the table shows the best.
const ROUNDS: usize = 15;

/// A block by one of the codecs.
struct Block {
    bytes: Box<[u8]>,
    count: usize,
}

fn encode_gorilla(times: &[i64], values: &[f64]) -> Block {
    let mut encoder = gorilla::Encoder::new();
    for (&time, &value) in times.iter().zip(values) {
        encoder.push(time, value);
    }
    Block {
        count: encoder.len(),
        bytes: encoder.finish().into_boxed_slice(),
    }
}

fn encode_tsz(times: &[i64], values: &[f64]) -> Block {
    let start = times.first().map_or(0, |time| time.cast_unsigned());
    let mut encoder = StdEncoder::new(start, BufferedWriter::new());
    for (&time, &value) in times.iter().zip(values) {
        encoder.encode(DataPoint::new(time.cast_unsigned(), value));
    }
    Block {
        count: times.len(),
        bytes: encoder.close(),
    }
}

fn decode_gorilla(block: &Block, out: &mut Columns) {
    gorilla::decode(&block.bytes, block.count, out).unwrap();
}

/// Takes its input by value; the copy is a few per cent of what `tsz` takes.
fn decode_tsz(block: &Block, out: &mut Columns) {
    let mut decoder = StdDecoder::new(BufferedReader::new(block.bytes.clone()));
    while let Ok(point) = decoder.next() {
        out.push(point.get_time().cast_signed(), point.get_value());
    }
}

fn encode_packed(times: &[i64], values: &[f64]) -> Block {
    Block {
        count: times.len(),
        bytes: packed::encode(times, values, &mut packed::Scratch::default()).into_boxed_slice(),
    }
}

fn decode_packed(block: &Block, out: &mut Columns) {
    packed::decode(&block.bytes, block.count, out).unwrap();
}

type EncodeBlock = fn(&[i64], &[f64]) -> Block;
type DecodeBlock = fn(&Block, &mut Columns);
const CODECS: [(&str, EncodeBlock, DecodeBlock); 3] = [
    ("gorilla", encode_gorilla, decode_gorilla),
    ("tsz", encode_tsz, decode_tsz),
    ("packed", encode_packed, decode_packed),
];

fn encode_all(recording: &Recording, encode: EncodeBlock) -> Vec<Block> {
    let times = recording.times.chunks(BLOCK_SAMPLES);
    times
        .zip(recording.values.chunks(BLOCK_SAMPLES))
        .map(|(t, v)| encode(t, v))
        .collect()
}

fn decode_all(blocks: &[Block], decode: DecodeBlock, out: &mut Columns) {
    for block in blocks {
        out.clear();
        decode(block, out);
        black_box(&*out);
    }
}

/// The figures of one codec on one series, a sample.
struct Figures {
    bytes: f64,
    encode_ns: f64,
    decode_ns: f64,
}

fn measure(recording: &Recording, encode: EncodeBlock, decode: DecodeBlock) -> Figures {
    let samples = u32::try_from(recording.times.len()).map_or(f64::NAN, f64::from);
    let blocks = encode_all(recording, encode);
    let size: usize = blocks.iter().map(|block| block.bytes.len()).sum();
    let mut out = Columns::default();
    let encode_time = best_of_rounds(|| drop(black_box(encode_all(recording, encode))));
    let decode_time = best_of_rounds(|| decode_all(&blocks, decode, &mut out));
    Figures {
        bytes: u32::try_from(size).map_or(f64::NAN, f64::from) / samples,
        encode_ns: encode_time.as_secs_f64() * 1e9 / samples,
        decode_ns: decode_time.as_secs_f64() * 1e9 / samples,
    }
}

fn best_of_rounds(mut work: impl FnMut()) -> Duration {
    let timed = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(timed).min().unwrap_or_default()
}

/// Figures side by side; ratios above 1 are in favour of `ours`.
fn print_table(recordings: &[Recording], ours: usize, theirs: usize) {
    let (ours, theirs) = (CODECS[ours], CODECS[theirs]);
    println!(
        "\n{} and {}, blocks of {BLOCK_SAMPLES}; best of {ROUNDS} rounds; ratios are {} / {}",
        ours.0, theirs.0, theirs.0, ours.0
    );
    println!(
        "{:<24}|{:^23}|{:^24}|{:^24}",
        "", "bytes/sample", "encode ns/sample", "decode ns/sample"
    );
    println!(
        "{:<24}|{:>7}{:>8}{:>8}|{:>7}{:>8}{:>9}|{:>7}{:>8}{:>9}",
        "series", ours.0, theirs.0, "", ours.0, theirs.0, "", ours.0, theirs.0, ""
    );
    let mut logs = [0.0; 3];
    let mut rows = 0.0;
    for recording in recordings {
        let [ours, theirs] =
            [ours, theirs].map(|(_, encode, decode)| measure(recording, encode, decode));
        let pairs = [
            (ours.bytes, theirs.bytes),
            (ours.encode_ns, theirs.encode_ns),
            (ours.decode_ns, theirs.decode_ns),
        ];
        let ratios = pairs.map(|(ours, theirs)| theirs / ours);
        for (log, ratio) in logs.iter_mut().zip(ratios) {
            *log += ratio.ln();
        }
        rows += 1.0;
        println!(
            "{:<24}|{:>7.2}{:>8.2}{:>7.2}x|{:>7.2}{:>8.2}{:>8.2}x|{:>7.2}{:>8.2}{:>8.2}x",
            recording.name,
            ours.bytes,
            theirs.bytes,
            ratios[0],
            ours.encode_ns,
            theirs.encode_ns,
            ratios[1],
            ours.decode_ns,
            theirs.decode_ns,
            ratios[2],
        );
    }
    let [bytes, encode, decode] = logs.map(|log: f64| (log / rows).exp());
    println!(
        "{:<24}|{bytes:>22.2}x|{encode:>23.2}x|{decode:>23.2}x",
        "geometric mean"
    );
}

/// How many samples a second of two decimals at a fixed step are decoded and summed: values alone,
/// as an aggregation over whole blocks reads them.
fn print_scan() {
    let mut random = series_data::SplitMix64::new(1);
    let mut hundredths = 2_150;
    let values: Vec<f64> = (0..BLOCK_SAMPLES * 64)
        .map(|_| {
            hundredths += i32::try_from(random.jitter(4)).unwrap();
            f64::from(hundredths) / 100.0
        })
        .collect();
    let times: Vec<i64> = (0..).step_by(10_000).take(values.len()).collect();
    let recording = Recording {
        name: "two decimals".to_owned(),
        times,
        values,
    };
    let blocks = encode_all(&recording, encode_packed);
    let mut out = Vec::new();
    let time = best_of_rounds(|| {
        for block in &blocks {
            out.clear();
            packed::decode_values(&block.bytes, block.count, &mut out).unwrap();
            black_box(out.iter().sum::<f64>());
        }
    });
    let samples = u32::try_from(recording.times.len()).map_or(f64::NAN, f64::from);
    println!(
        "\npacked, two decimals every 10 s: {:.0} M samples/s decoded and summed",
        samples / time.as_secs_f64() / 1e6
    );
}

fn bench_all(criterion: &mut Criterion, recordings: &[Recording]) {
    for recording in recordings {
        let samples = u64::try_from(recording.times.len()).unwrap();
        let mut group = criterion.benchmark_group(&recording.name);
        group.throughput(Throughput::Elements(samples));
        for (name, encode, decode) in CODECS {
            group.bench_function(BenchmarkId::new("encode", name), |bencher| {
                bencher.iter(|| encode_all(recording, encode));
            });
            let blocks = encode_all(recording, encode);
            let mut out = Columns::default();
            group.bench_function(BenchmarkId::new("decode", name), |bencher| {
                bencher.iter(|| decode_all(&blocks, decode, &mut out));
            });
        }
        group.finish();
    }
}

fn main() {
    let mut recordings = series_data::generated();
    let generated = recordings.len();
    let source = match series_data::recorded().unwrap() {
        Some((folder, mut recorded)) => {
            recordings.append(&mut recorded);
            format!(
                "{} recorded in {}",
                recordings.len() - generated,
                folder.display()
            )
        }
        None => "none recorded (set IOT_DATA to a folder of them)".to_owned(),
    };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args();
    bench_all(&mut criterion, &recordings);
    criterion.final_summary();
    println!("\nseries: {generated} generated, {source}");
    print_table(&recordings, 0, 1);
    print_table(&recordings, 2, 0);
    print_scan();
}
