//! Lines as the arguments of a filter: refused, or a selector that can be asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_iot::command::filter;
use redis_iot::engine::index::{Index, Limits};
use redis_iot::engine::labels::Labels;

fuzz_target!(|bytes: &[u8]| {
    let arguments: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let Ok(selector) = filter::parse(&arguments) else {
        return;
    };
    let pairs: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"room", b"x=y"), (b"", b"")];
    let mut index = Index::new();
    for (at, key) in [b"k0", b"k1", b"k2", b"k3"].into_iter().enumerate() {
        let labels = Labels::new(pairs[..at].iter().copied()).unwrap();
        index.insert(key, &labels);
        // The index and the labels say the same.
        let selected = index.select(&selector, Limits::NONE).unwrap();
        let id = index.id(key).unwrap();
        let matches = selector.matches(|name| labels.get(name));
        assert_eq!(selected.contains(id), matches);
    }
});
