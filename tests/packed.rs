//! The packed block: bit-exact for every sample, patient with every byte, the same bytes for ever.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use redis_iot::engine::Error;
use redis_iot::engine::codec::packed::{self, MAX_SAMPLES, Scratch};
use redis_iot::engine::codec::{Columns, gorilla};

#[path = "support/series_data.rs"]
mod series_data;
use series_data::{Recording, SplitMix64};

/// Samples in a block; as in the engine.
const BLOCK_SAMPLES: usize = 512;
const SEED_MUTATION: u64 = 0x7061_636b;
const SEED_GARBAGE: u64 = 0x6761_7262;
const MUTANTS: usize = 300;

/// A sentinel before the decoded samples: decoding appends, and a failure leaves it alone.
const SENTINEL: (i64, f64) = (-7, 0.125);

fn with_sentinel() -> Columns {
    let mut columns = Columns::default();
    columns.push(SENTINEL.0, SENTINEL.1);
    columns
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Encodes with buffers that were used before, decodes in every way, and returns the block.
#[track_caller]
fn check(times: &[i64], values: &[f64], scratch: &mut Scratch) -> Vec<u8> {
    let bytes = packed::encode(times, values, scratch);
    assert_eq!(
        bytes,
        packed::encode(times, values, &mut Scratch::default())
    );
    let mut columns = with_sentinel();
    packed::decode(&bytes, times.len(), &mut columns).unwrap();
    assert_eq!(columns.times[0], SENTINEL.0);
    assert_eq!(&columns.times[1..], times);
    assert_eq!(bits(&columns.values[1..]), bits(values));
    let mut alone = Vec::new();
    packed::decode_values(&bytes, times.len(), &mut alone).unwrap();
    assert_eq!(bits(&alone), bits(values));
    let first = packed::first_value(&bytes).unwrap();
    assert_eq!(first.to_bits(), values[0].to_bits());
    bytes
}

#[track_caller]
fn check_refused(bytes: &[u8], count: usize) {
    let mut columns = with_sentinel();
    let result = packed::decode(bytes, count, &mut columns);
    assert!(matches!(result, Err(Error::Corrupt { .. })), "{result:?}");
    assert_eq!(columns.times, [SENTINEL.0]);
    assert_eq!(columns.values, [SENTINEL.1]);
}

/// Hostile bytes give so many samples or none, and never a panic.
fn check_hostile(bytes: &[u8], count: usize) {
    let mut columns = with_sentinel();
    let result = packed::decode(bytes, count, &mut columns);
    let len = columns.times.len() - 1;
    assert_eq!(columns.times.len(), columns.values.len());
    assert_eq!(len, if result.is_ok() { count } else { 0 });
}

fn blocks(recording: &Recording) -> impl Iterator<Item = (&[i64], &[f64])> {
    let times = recording.times.chunks(BLOCK_SAMPLES);
    times.zip(recording.values.chunks(BLOCK_SAMPLES))
}

/// Values of one kind: what devices send, and what none would.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let any_bits = any::<u64>().prop_map(f64::from_bits);
    let hard = prop::sample::select(vec![
        0.0,
        -0.0,
        f64::NAN,
        f64::from_bits(0xfff8_0000_dead_beef),
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e-324,
        f64::MAX,
        f64::MIN_POSITIVE,
        0.1 + 0.2,
        9_007_199_254_740_993.0,
    ]);
    let decimal =
        (any::<i32>(), 0..=9_i32).prop_map(|(n, places)| f64::from(n) / 10f64.powi(places));
    let element = prop_oneof![decimal, hard.clone(), any_bits];
    let anything = prop::collection::vec(element, 1..=MAX_SAMPLES);
    let walk = (
        1..=MAX_SAMPLES,
        0..=7_i32,
        1..2_000_i64,
        any::<u64>(),
        0..4_u8,
    )
        .prop_map(|(len, places, spread, seed, multiply)| {
            let mut random = SplitMix64::new(seed);
            let mut number = 20_000_i64;
            let spread = u32::try_from(spread).unwrap();
            let step = move |_| {
                number += random.jitter(spread);
                let number = f64::from(i32::try_from(number).unwrap());
                match multiply {
                    0 => number / 10f64.powi(places),
                    1 => number * 0.1,
                    2 => number / 3.0,
                    _ => (number - 32.0) / 1.8,
                }
            };
            (0..len).map(step).collect::<Vec<f64>>()
        });
    let states = (1..=MAX_SAMPLES, any::<u64>(), 1..100_u64).prop_map(|(len, seed, often)| {
        let mut random = SplitMix64::new(seed);
        let mut state = 0.0;
        let step = move |_| {
            if random.below(100) < often {
                state =
                    [0.0, 1.5, 20.25, -3.0, f64::NAN][usize::try_from(random.below(5)).unwrap()];
            }
            state
        };
        (0..len).map(step).collect()
    });
    let spoiled = (walk.clone(), hard, any::<prop::sample::Index>()).prop_map(
        |(mut values, spike, index): (Vec<f64>, f64, prop::sample::Index)| {
            *index.get_mut(&mut values) = spike;
            values
        },
    );
    prop_oneof![anything, walk, states, spoiled]
}

/// Rising times: regular, with jitter and gaps, up to the ends of the range.
fn times(len: usize) -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![
        Just(1_000_i64),
        1..=3_i64,
        900..1_100_i64,
        1..=(i64::MAX / 1_000)
    ];
    let regular = (0..1_i64 << 50, 1..1_i64 << 40).prop_map(move |(start, step)| {
        let steps = 0..i64::try_from(len).unwrap();
        steps.map(|index| start + index * step).collect()
    });
    let uneven = prop::collection::vec(step, len).prop_map(|steps| {
        let rise = |time: &mut i64, step: i64| {
            *time += step;
            Some(*time)
        };
        steps.into_iter().scan(0, rise).collect()
    });
    prop_oneof![regular, uneven]
}

fn samples() -> impl Strategy<Value = (Vec<i64>, Vec<f64>)> {
    values().prop_flat_map(|values| (times(values.len()), Just(values)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_samples_come_back_bit_for_bit((times, values) in samples()) {
        check(&times, &values, &mut Scratch::default());
    }

    #[test]
    fn times_need_not_even_rise(
        samples in prop::collection::vec((any::<i64>(), any::<u64>()), 1..200),
    ) {
        let (times, bits): (Vec<i64>, Vec<u64>) = samples.into_iter().unzip();
        let values: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
        check(&times, &values, &mut Scratch::default());
    }

    #[test]
    fn a_block_refuses_another_length((times, values) in samples(), cut in any::<prop::sample::Index>()) {
        let bytes = check(&times, &values, &mut Scratch::default());
        check_refused(&[&bytes[..], &[0]].concat(), times.len());
        check_refused(&bytes[..cut.index(bytes.len())], times.len());
        check_refused(&bytes, 0);
        check_refused(&bytes, MAX_SAMPLES + 1);
        check_refused(&bytes, usize::MAX);
    }
}

#[test]
fn every_length_comes_back() {
    let mut scratch = Scratch::default();
    for recording in series_data::generated() {
        for len in 1..=MAX_SAMPLES {
            check(
                &recording.times[..len],
                &recording.values[..len],
                &mut scratch,
            );
        }
    }
}

/// Bytes of all blocks, packed, and as Gorilla streams.
fn sizes(recording: &Recording) -> (usize, usize) {
    let mut scratch = Scratch::default();
    let (mut packed, mut streams) = (0, 0);
    for (times, values) in blocks(recording) {
        packed += check(times, values, &mut scratch).len();
        let mut encoder = gorilla::Encoder::new();
        for (&time, &value) in times.iter().zip(values) {
            encoder.push(time, value);
        }
        streams += encoder.size_bytes();
    }
    (packed, streams)
}

#[test]
fn generated_series_come_back_and_are_smaller_than_streams() {
    for recording in series_data::generated() {
        let (packed, stream) = sizes(&recording);
        assert!(packed < stream, "{}: {packed} {stream}", recording.name);
    }
}

#[test]
fn recorded_series_come_back() {
    let Some((_, recordings)) = series_data::recorded().unwrap() else {
        eprintln!("no recorded series here: this test has nothing to read");
        return;
    };
    for recording in recordings {
        let (packed, stream) = sizes(&recording);
        assert!(packed < stream, "{}: {packed} {stream}", recording.name);
    }
}

#[test]
fn mutated_blocks_never_give_a_wrong_count() {
    let mut random = SplitMix64::new(SEED_MUTATION);
    let mut scratch = Scratch::default();
    let mut below = |bound: usize| usize::try_from(random.below(bound as u64)).unwrap();
    for recording in series_data::generated() {
        for (times, values) in blocks(&recording).take(4) {
            let bytes = packed::encode(times, values, &mut scratch);
            for _ in 0..MUTANTS {
                let mut mutant = bytes.clone();
                for _ in 0..=below(3) {
                    // The heads of the columns are where it hurts most.
                    let end = if below(2) == 0 { mutant.len() } else { 24 };
                    let at = below(end.min(mutant.len()));
                    mutant[at] ^= 1 << below(8);
                }
                check_hostile(&mutant, times.len());
                check_hostile(&mutant, 1 + below(MAX_SAMPLES));
            }
        }
    }
}

#[test]
fn garbage_never_gives_a_wrong_count() {
    let mut random = SplitMix64::new(SEED_GARBAGE);
    for _ in 0..100_000 {
        let len = usize::try_from(random.below(80)).unwrap();
        let bytes: Vec<u8> = (0..len)
            .map(|_| {
                let byte = random.next_u64().to_le_bytes()[0];
                // Small numbers pass more checks than large ones.
                if byte & 1 == 0 { byte >> 4 } else { byte }
            })
            .collect();
        let count = 1 + usize::try_from(random.below(MAX_SAMPLES as u64)).unwrap();
        check_hostile(&bytes, count);
    }
}

/// One line of hexadecimal digits for each generated series: its first block.
fn golden_lines() -> String {
    let mut scratch = Scratch::default();
    let mut lines = String::new();
    for recording in series_data::generated() {
        let (times, values) = blocks(&recording).next().unwrap();
        let bytes = packed::encode(times, values, &mut scratch);
        lines.push_str(&recording.name);
        lines.push(' ');
        for byte in bytes {
            write!(lines, "{byte:02x}").unwrap();
        }
        lines.push('\n');
    }
    lines
}

#[test]
fn golden_blocks_are_read_and_written_as_ever() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/packed.hex");
    if std::env::var_os("IOT_WRITE_GOLDEN").is_some() && !file.exists() {
        fs::write(&file, golden_lines()).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), golden_lines());
}
