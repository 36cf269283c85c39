//! Bytes as the records of a fleet, as `RESTORE` and dump files bring them: refused, or a fleet that is
//! stored and read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_iot::engine::fleet::Fleet;
use redis_iot::engine::persist::{self, Buffer, FLEET_VERSION};

fuzz_target!(|bytes: &[u8]| {
    let read = |mut bytes: &[u8]| persist::read_bound_fleet(&mut bytes, FLEET_VERSION);
    let Ok(fleet) = read(bytes) else {
        return;
    };
    let digest = |fleet: &Fleet| {
        let mut all = Vec::new();
        fleet.digest(&mut |piece| all.extend_from_slice(piece));
        all
    };
    let mut stored = Buffer::default();
    persist::write_bound_fleet(&fleet, &mut stored);
    assert_eq!(digest(&read(&stored.bytes).unwrap()), digest(&fleet));
});
