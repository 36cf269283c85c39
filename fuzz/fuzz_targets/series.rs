//! Bytes as the records of a series, as `RESTORE` and dump files bring them: refused, or a sound
//! series that is stored and read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_iot::engine::persist::{self, Buffer};

fuzz_target!(|bytes: &[u8]| {
    let Ok(series) = persist::read_series(&mut &*bytes, persist::VERSION) else {
        return;
    };
    series.validate().unwrap();
    let mut stored = Buffer::default();
    persist::write_series(&series, &mut stored);
    let again = persist::read_series(&mut &stored.bytes[..], persist::VERSION).unwrap();
    assert_eq!(again.len(), series.len());
    let mut stored_again = Buffer::default();
    persist::write_series(&again, &mut stored_again);
    assert_eq!(stored.bytes, stored_again.bytes);
});
