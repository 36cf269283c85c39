//! Bytes as requests: `0x1E` between requests, `0x1F` between words (ASCII's record and unit
//! separator). Each is answered with one reply, or refused and has changed nothing; and a replica
//! that is sent the effects has the same values.
//!
//! A request of one number moves the clock so many milliseconds on.
#![no_main]

mod memory;

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use memory::{Memory, Values, Words};

/// Most requests of one input.
const MAX_REQUESTS: usize = 40;

/// Has the replica do what the master has done.
fn replay(replica: &Memory<'_>, sent: Vec<Words>) {
    for words in sent {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        if let Some(outcome) = replica.run(&words, true) {
            outcome.result.expect("a replica does what it is sent");
        }
    }
}

/// What keys hold.
type Digests = BTreeMap<Box<[u8]>, Vec<u8>>;

fn assert_same(one: &Digests, other: &Digests, what: &str) {
    let names = one.keys().chain(other.keys());
    for name in names {
        let is_same = one.get(name) == other.get(name);
        assert!(is_same, "{what}: {}", name.escape_ascii());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let values = (Values::new(), Values::new());
    let (master, replica) = (Memory::new(&values.0), Memory::new(&values.1));
    let mut now_ms = 1_700_000_000_000_i64;
    let mut before = master.digests();
    for request in bytes.split(|&byte| byte == 0x1E).take(MAX_REQUESTS) {
        let words: Vec<&[u8]> = request.split(|&byte| byte == 0x1F).collect();
        let millis = std::str::from_utf8(words[0])
            .ok()
            .and_then(|text| text.parse::<u32>().ok());
        if let Some(millis) = millis {
            now_ms += i64::from(millis);
            for server in [&master, &replica] {
                server.set_clock(now_ms);
            }
            replay(&replica, master.attend());
            before = master.digests();
            continue;
        }
        let Some(outcome) = master.run(&words, false) else {
            continue;
        };
        let after = master.digests();
        if outcome.result.is_err() || outcome.sent.is_empty() {
            assert_same(&before, &after, "changed in silence");
            assert!(outcome.sent.is_empty(), "sent and refused");
        }
        before = after;
        replay(&replica, outcome.sent);
    }
    assert_same(&before, &replica.digests(), "a replica differs");
});
