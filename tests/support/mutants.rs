//! Payloads that are nearly right.

use super::seeds::Random;

/// Bytes at the start of a payload that say which module wrote it.
pub(crate) const MODULE_HEADER_BYTES: usize = 10;
/// Bytes at its end: the version of the server's format, and the checksum.
pub(crate) const FOOTER_BYTES: usize = 10;

/// The payload with some of its bytes between `head` and `tail` changed.
pub(crate) fn mutate(payload: &[u8], head: usize, tail: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    for _ in 0..=random.index(3) {
        let body = head..bytes.len() - tail;
        if body.is_empty() {
            break;
        }
        let at = body.start + random.index(body.len());
        match random.index(6) {
            0 | 1 => bytes[at] ^= 1 << random.index(8),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][random.index(6)],
            3 => {
                bytes.remove(at);
            }
            4 => {
                let end = body.end.min(at + 1 + random.index(16));
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let end = body.end.min(at + 8);
                bytes[at..end].fill([0, 0xff, 0x7f][random.index(3)]);
            }
        }
    }
    bytes
}
