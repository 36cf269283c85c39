//! Bytes as the record of a policy, as `RESTORE` and dump files bring them: refused, or a policy that
//! is stored and read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_iot::command::filter;
use redis_iot::engine::persist::{self, Buffer, POLICY_VERSION};

fuzz_target!(|bytes: &[u8]| {
    let read = |mut bytes: &[u8]| {
        persist::read_policy(&mut bytes, POLICY_VERSION, |filters| {
            filter::parse(filters).ok()
        })
    };
    let Ok(policy) = read(bytes) else {
        return;
    };
    let mut stored = Buffer::default();
    persist::write_policy(&policy, &mut stored);
    let again = read(&stored.bytes).unwrap();
    let mut stored_again = Buffer::default();
    persist::write_policy(&again, &mut stored_again);
    assert_eq!(stored.bytes, stored_again.bytes);
});
