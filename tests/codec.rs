//! The block formats: bit-exact for every sample, patient with every byte.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use proptest::prelude::*;
use redis_iot::engine::Error;
use redis_iot::engine::codec::{Columns, gorilla, raw};
use tsz::stream::{BufferedReader, BufferedWriter};
use tsz::{DataPoint, Decode, Encode, StdDecoder, StdEncoder};

#[path = "support/series_data.rs"]
mod series_data;
use series_data::SplitMix64;

/// Samples in a block; as in the engine.
const BLOCK_SAMPLES: usize = 512;
const SEED_MUTATION: u64 = 0x6d75_7461;
const SEED_GARBAGE: u64 = 0x6761_7262;
/// The generator of the golden block, so that its bytes have a source.
const SEED_GOLDEN: u64 = 0x676f_6c64;

/// A sentinel before the decoded samples: decoding appends, and a failure leaves it alone.
const SENTINEL: (i64, f64) = (-7, 0.125);

fn with_sentinel() -> Columns {
    let mut columns = Columns::default();
    columns.push(SENTINEL.0, SENTINEL.1);
    columns
}

/// Samples as bits, since NaN is not equal to itself.
fn bits_of(times: &[i64], values: &[f64]) -> Vec<(i64, u64)> {
    assert_eq!(times.len(), values.len());
    let bits = values.iter().map(|value| value.to_bits());
    times.iter().copied().zip(bits).collect()
}

fn encoder_of(samples: &[(i64, u64)]) -> gorilla::Encoder {
    let mut encoder = gorilla::Encoder::new();
    for &(time, bits) in samples {
        encoder.push(time, f64::from_bits(bits));
    }
    encoder
}

#[track_caller]
fn check_appended(samples: &[(i64, u64)], decode: impl FnOnce(&mut Columns) -> Result<(), Error>) {
    let mut columns = with_sentinel();
    decode(&mut columns).unwrap();
    let decoded = bits_of(&columns.times, &columns.values);
    assert_eq!(decoded[0], (SENTINEL.0, SENTINEL.1.to_bits()));
    assert_eq!(&decoded[1..], samples);
}

#[track_caller]
fn check_refused(decode: impl FnOnce(&mut Columns) -> Result<(), Error>) {
    let mut columns = with_sentinel();
    let result = decode(&mut columns);
    assert!(matches!(result, Err(Error::Corrupt { .. })), "{result:?}");
    assert_eq!(columns.times, [SENTINEL.0]);
    assert_eq!(columns.values, [SENTINEL.1]);
}

/// All ways out of an encoder give the same samples, and the block has no other count.
#[track_caller]
fn check_gorilla(samples: &[(i64, u64)]) {
    let encoder = encoder_of(samples);
    assert_eq!(encoder.len(), samples.len());
    assert_eq!(encoder.is_empty(), samples.is_empty());
    assert_eq!(
        encoder.last_time_ms(),
        samples.last().map(|sample| sample.0)
    );
    check_appended(samples, |out| encoder.decode_into(out));
    let copy = encoder.to_bytes();
    assert_eq!(copy.len(), encoder.size_bytes());
    let bytes = encoder.finish();
    assert_eq!(bytes, copy);
    check_appended(samples, |out| gorilla::decode(&bytes, samples.len(), out));

    let longer = [bytes.as_slice(), &[0]].concat();
    check_refused(|out| gorilla::decode(&longer, samples.len(), out));
    check_refused(|out| gorilla::decode(&bytes, samples.len() + 8, out));
    check_refused(|out| gorilla::decode(&bytes, usize::MAX, out));
}

#[track_caller]
fn check_raw(samples: &[(i64, u64)]) {
    let (times, bits): (Vec<i64>, Vec<u64>) = samples.iter().copied().unzip();
    let values: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
    let bytes = raw::encode(&times, &values);
    assert_eq!(bytes.len(), 16 * samples.len());
    check_appended(samples, |out| raw::decode(&bytes, samples.len(), out));
}

/// Bit patterns of values: anything, the famous ones, and steps between decimals.
fn value_bits() -> impl Strategy<Value = u64> {
    const FAMOUS: [u64; 9] = [
        0,
        1,
        0x8000_0000_0000_0000,
        0x7ff0_0000_0000_0000,
        0xfff0_0000_0000_0000,
        0x7ff8_0000_0000_0000,
        0x7ff0_0000_0000_0001,
        0xffff_ffff_ffff_ffff,
        0x000f_ffff_ffff_ffff,
    ];
    prop_oneof![
        2 => any::<u64>(),
        1 => prop::sample::select(FAMOUS.as_slice()),
        3 => (-400_i32..400).prop_map(|tenths| (f64::from(tenths) / 10.0).to_bits()),
        1 => (0_u32..64).prop_map(|bit| 1 << bit),
    ]
}

/// Steps of a clock: regular, slipping, of every magnitude.
fn step_ms() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => Just(10_000_i64),
        2 => 9_900_i64..10_100,
        1 => (any::<i64>(), 0_u32..64).prop_map(|(step, shift)| step >> shift),
    ]
}

fn samples(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<(i64, u64)>> {
    let steps = prop::collection::vec((step_ms(), value_bits()), count);
    (any::<i64>(), steps).prop_map(|(mut time, mut samples)| {
        for (step, _) in &mut samples {
            time = time.wrapping_add(*step);
            *step = time;
        }
        samples
    })
}

proptest! {
    #[test]
    fn any_samples_come_back_bit_for_bit(samples in samples(0..=600)) {
        check_gorilla(&samples);
        check_raw(&samples);
    }

    #[test]
    fn any_times_come_back_in_any_order(
        samples in prop::collection::vec((any::<i64>(), value_bits()), 0..=600)
    ) {
        check_gorilla(&samples);
    }

    #[test]
    fn an_encoder_that_was_read_goes_on(head in samples(0..40), tail in samples(0..40)) {
        let mut encoder = encoder_of(&head);
        let head_block = encoder.to_bytes();
        check_appended(&head, |out| gorilla::decode(&head_block, head.len(), out));
        for &(time, bits) in &tail {
            encoder.push(time, f64::from_bits(bits));
        }
        let both = [head, tail].concat();
        prop_assert_eq!(encoder.to_bytes(), encoder_of(&both).finish());
        check_appended(&both, |out| encoder.decode_into(out));
    }

    #[test]
    fn both_blocks_refuse_to_end_early(samples in samples(1..60)) {
        let (times, values) = (vec![0; samples.len()], vec![0.0; samples.len()]);
        let raw_block = raw::encode(&times, &values);
        let block = encoder_of(&samples).finish();
        for end in 0..block.len() {
            check_refused(|out| gorilla::decode(&block[..end], samples.len(), out));
        }
        for end in 0..raw_block.len() {
            check_refused(|out| raw::decode(&raw_block[..end], samples.len(), out));
        }
    }
}

#[test]
fn generated_series_come_back_whole() {
    for recording in series_data::generated() {
        let samples = bits_of(&recording.times, &recording.values);
        for block in samples.chunks(BLOCK_SAMPLES) {
            check_gorilla(block);
        }
    }
}

#[test]
fn recorded_series_come_back_whole() {
    let Some((_, recordings)) = series_data::recorded().unwrap() else {
        println!("skipped: no folder of recorded series, see IOT_DATA");
        return;
    };
    for recording in recordings {
        let samples = bits_of(&recording.times, &recording.values);
        for block in samples.chunks(BLOCK_SAMPLES) {
            check_gorilla(block);
        }
    }
}

/// By way of `tsz` and back. It wants rising times, 14 bits between its start and the first of
/// them, and deltas of deltas of 32 bits; the generated series are all like that.
fn through_tsz(samples: &[(i64, u64)]) -> Vec<(i64, u64)> {
    let start = samples[0].0.cast_unsigned();
    let mut encoder = StdEncoder::new(start, BufferedWriter::new());
    for &(time, bits) in samples {
        encoder.encode(DataPoint::new(time.cast_unsigned(), f64::from_bits(bits)));
    }
    let mut decoder = StdDecoder::new(BufferedReader::new(encoder.close()));
    let points = std::iter::from_fn(|| decoder.next().ok());
    points
        .map(|point| (point.get_time().cast_signed(), point.get_value().to_bits()))
        .collect()
}

#[test]
fn tsz_decodes_the_same_samples() {
    for recording in series_data::generated() {
        let samples = bits_of(&recording.times, &recording.values);
        for block in samples.chunks(BLOCK_SAMPLES) {
            let oracle = through_tsz(block);
            assert_eq!(oracle, block, "{}", recording.name);
            let encoder = encoder_of(block);
            check_appended(&oracle, |out| encoder.decode_into(out));
        }
    }
}

proptest! {
    #[test]
    fn tsz_decodes_the_same_random_samples(
        steps in prop::collection::vec((1_u32..2_000_000, value_bits()), 1..200)
    ) {
        let mut time = 1_700_000_000_000;
        let samples: Vec<_> = steps
            .into_iter()
            .map(|(step, bits)| {
                time += i64::from(step);
                (time, bits)
            })
            .collect();
        let oracle = through_tsz(&samples);
        prop_assert_eq!(&oracle, &samples);
        check_appended(&oracle, |out| encoder_of(&samples).decode_into(out));
    }
}

/// Whatever the bytes, the decoder says `Corrupt` or gives exactly `count` samples.
#[track_caller]
fn check_hostile(bytes: &[u8], count: usize) {
    let mut columns = with_sentinel();
    let added = match gorilla::decode(bytes, count, &mut columns) {
        Ok(()) => count,
        Err(_) => 0,
    };
    assert_eq!(columns.times.len(), 1 + added);
    assert_eq!(columns.values.len(), 1 + added);
}

#[test]
fn mutated_blocks_never_give_a_wrong_count() {
    let mut random = SplitMix64::new(SEED_MUTATION);
    for recording in series_data::generated() {
        let samples = bits_of(&recording.times[..60], &recording.values[..60]);
        let block = encoder_of(&samples).finish();
        for _ in 0..2_000 {
            let mut bytes = block.clone();
            for _ in 0..=random.below(4) {
                let at = below(&mut random, bytes.len());
                bytes[at] ^= random.next_u64().to_le_bytes()[0];
            }
            check_hostile(&bytes, samples.len());
        }
    }
}

#[test]
fn garbage_never_gives_a_wrong_count() {
    let mut random = SplitMix64::new(SEED_GARBAGE);
    for _ in 0..20_000 {
        let size = below(&mut random, 120);
        let bytes: Vec<u8> = (0..size)
            .map(|_| random.next_u64().to_le_bytes()[0])
            .collect();
        check_hostile(&bytes, below(&mut random, 40));
    }
}

fn below(random: &mut SplitMix64, bound: usize) -> usize {
    usize::try_from(random.below(u64::try_from(bound).unwrap())).unwrap()
}

#[test]
fn padding_must_be_zero() {
    let block = encoder_of(&[(0, 0), (0, 0)]).finish();
    assert_eq!(block, [0; 17]);
    let mut bytes = block;
    bytes[16] = 1;
    check_refused(|out| gorilla::decode(&bytes, 2, out));
}

#[test]
fn a_window_wider_than_a_value_is_refused() {
    // Time 0, code 11, leading 31, width 64.
    let mut bytes = vec![0; 16];
    bytes.extend([0b0111_1111, 0b1111_1100]);
    bytes.extend([0; 8]);
    check_refused(|out| gorilla::decode(&bytes, 2, out));
}

#[test]
fn an_empty_block_has_no_bytes() {
    check_gorilla(&[]);
    check_raw(&[]);
    assert_eq!(gorilla::Encoder::default().buffer().capacity(), 0);
    check_refused(|out| gorilla::decode(&[0], 0, out));
}

#[test]
fn an_encoder_goes_on_in_a_moved_buffer() {
    let samples = golden_samples();
    let (head, tail) = samples.split_at(samples.len() / 2);
    let mut encoder = encoder_of(head);
    let moved = encoder.buffer().clone();
    *encoder.buffer_mut() = moved;
    for &(time, bits) in tail {
        encoder.push(time, f64::from_bits(bits));
    }
    check_appended(&samples, |out| encoder.decode_into(out));
}

#[test]
fn uncompressed_blocks_of_another_length_are_refused() {
    let block = raw::encode(&[1, 2, 3], &[0.5, -0.0, f64::NAN]);
    for count in [0, 1, 2, 4, usize::MAX / 2 + 1, usize::MAX] {
        check_refused(|out| raw::decode(&block, count, out));
    }
    let longer = [block.as_slice(), &[0]].concat();
    check_refused(|out| raw::decode(&longer, 3, out));
}

/// Every class of time, every code of a value, the first and the last window.
fn golden_samples() -> Vec<(i64, u64)> {
    let mut random = SplitMix64::new(SEED_GOLDEN);
    let mut time = 1_700_000_000_000_i64;
    let mut samples = Vec::new();
    for shift in [63_u32, 0, 57, 55, 52, 48, 44, 32, 63, 63] {
        let step = random.next_u64().cast_signed() >> shift;
        time = time.wrapping_add(step);
        samples.push((time, (f64::from(shift) / 10.0).to_bits()));
        samples.push((time.wrapping_add(step), random.next_u64() >> shift));
    }
    samples
}

/// The format must not change silently: stored blocks are read by later releases.
#[test]
fn the_golden_block_stays_as_it_is() {
    let samples = golden_samples();
    let golden: Vec<u8> = GOLDEN
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    assert_eq!(encoder_of(&samples).finish(), golden);
    check_appended(&samples, |out| gorilla::decode(&golden, samples.len(), out));
}

const GOLDEN: &str = "\
    0000018bcfe567ff401933333333333380c8032666666666665fd2e94fc25bc7c9f5ffc000000001\
    80e0feef0ab16fef5e4b57fcba53f096f1f27b75f7a8c12e6e36bc31fd2e94fc25bc7c9f6e4016cc\
    ccccccccd9c8d9005800000000005293200b00000000006df6d64802999999999982da43200a6666\
    6666649176e4c8026666666666db9d6d1200999999999e763fd4f81b2008ccccccccb23774834802\
    333333338ba79f9edc71a5e40099999999c5d3cfa9a80640099999bacc7c26fdee1a6a71200c9999\
    88336b47fe7b869a9b90064ccccccccccc9200c99999999999924019333333333332";
