//! Bytes as the records of a set of fences, as `RESTORE` and dump files bring them: refused, or a set
//! that is stored and read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_iot::engine::fence::FenceSet;
use redis_iot::engine::persist::{self, Buffer, FENCES_VERSION};

fuzz_target!(|bytes: &[u8]| {
    let read = |mut bytes: &[u8]| persist::read_fences(&mut bytes, FENCES_VERSION);
    let Ok(fences) = read(bytes) else {
        return;
    };
    let digest = |fences: &FenceSet| {
        let mut all = Vec::new();
        fences.digest(&mut |piece| all.extend_from_slice(piece));
        all
    };
    let mut stored = Buffer::default();
    persist::write_fences(&fences, &mut stored);
    assert_eq!(digest(&read(&stored.bytes).unwrap()), digest(&fences));
});
