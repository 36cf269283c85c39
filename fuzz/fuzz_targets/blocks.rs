//! Bytes as blocks of every form: refused, or exactly so many samples.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_iot::engine::codec::packed::{self, MAX_SAMPLES, Scratch};
use redis_iot::engine::codec::{Columns, gorilla, raw};

fuzz_target!(|bytes: &[u8]| {
    let [low, high, block @ ..] = bytes else {
        return;
    };
    let count = usize::from(u16::from_le_bytes([*low, *high])) % (MAX_SAMPLES + 2);
    for decode in [packed::decode, gorilla::decode, raw::decode] {
        let mut columns = Columns::default();
        let len = decode(block, count, &mut columns).map_or(0, |()| count);
        assert_eq!((columns.times.len(), columns.values.len()), (len, len));
    }
    // The same bytes as samples, which come back as they were.
    let (pairs, _) = block.as_chunks::<16>();
    let pairs = &pairs[..pairs.len().min(MAX_SAMPLES)];
    if pairs.is_empty() {
        return;
    }
    let word =
        |pair: &[u8; 16], at: usize| u64::from_le_bytes(pair[at..at + 8].try_into().unwrap());
    let times: Vec<i64> = pairs
        .iter()
        .map(|pair| word(pair, 0).cast_signed())
        .collect();
    let values: Vec<f64> = pairs
        .iter()
        .map(|pair| f64::from_bits(word(pair, 8)))
        .collect();
    let packed = packed::encode(&times, &values, &mut Scratch::default());
    let mut columns = Columns::default();
    packed::decode(&packed, times.len(), &mut columns).unwrap();
    assert_eq!(columns.times, times);
    let bits = |values: &[f64]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(bits(&columns.values), bits(&values));
});
