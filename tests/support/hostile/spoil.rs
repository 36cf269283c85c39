//! Lines and payloads that are nearly right.

use super::Line;
use crate::support::crc64::seal;
use crate::support::mutants::{self, FOOTER_BYTES, MODULE_HEADER_BYTES};
use crate::support::seeds::Random;

/// Words that mean something in one place, and nothing in most.
const WORDS: [&str; 40] = [
    "",
    " ",
    "*",
    "-",
    "+",
    "$",
    "0",
    "-1",
    "inf",
    "nan",
    "0x10",
    "1e400",
    "99999999999999999999",
    "RETENTION",
    "LABELS",
    "ITEMS",
    "FILTER",
    "AGGREGATION",
    "EMPTY",
    "FILL",
    "GROUPBY",
    "REDUCE",
    "BLOCK",
    "POLYGON",
    "HOLE",
    "GEOJSON",
    "CURSOR",
    "LIMIT",
    "TOP",
    "SET",
    "RULES",
    "STREAM",
    "PUBLISH",
    "SAMPLES",
    "PACKED",
    "%s%n",
    "\r\n",
    "\u{100}",
    "((((",
    "))))",
];

/// A word that belongs nowhere, or somewhere else.
pub(super) fn word(random: &mut Random) -> Vec<u8> {
    match random.index(40) {
        0 => vec![b'9'; 400],
        1 => vec![0; 1 + random.index(100)],
        2 => (0..random.index(64))
            .map(|_| random.bits().to_le_bytes()[0])
            .collect(),
        3 => vec![b'('; random.index(5_000)],
        4 if random.chance(2) => vec![b'x'; 1 << 20],
        5 if random.chance(2) => vec![0xff; 1 << 20],
        _ => random.pick(&WORDS).into(),
    }
}

/// A line with one to three faults behind its first `head` words.
pub(super) fn line(line: &mut Line, head: usize, random: &mut Random) {
    for _ in 0..=random.index(3) {
        if line.len() <= head {
            line.push(word(random));
            continue;
        }
        let at = head + random.index(line.len() - head);
        let other = head + random.index(line.len() - head);
        match random.index(7) {
            0 => line.swap(at, other),
            1 => line[at] = word(random),
            2 => line.insert(at, word(random)),
            3 => drop(line.remove(at)),
            4 => line.truncate(at),
            // An option once more, with what stands behind it.
            5 => line.extend_from_within(at..),
            _ => {
                let text = &mut line[at];
                let place = random.index(text.len() + 1);
                text.insert(place, random.bits().to_le_bytes()[0]);
            }
        }
    }
}

/// A payload with some of its bytes changed.
pub(super) fn payload(
    payload: &[u8],
    (head, tail): (usize, usize),
    random: &mut Random,
) -> Vec<u8> {
    mutants::mutate(payload, head, tail, random)
}

/// What `DUMP` gave, changed where the module reads it, with a checksum that is right.
pub(super) fn dump(dump: &[u8], random: &mut Random) -> Vec<u8> {
    seal(mutants::mutate(
        dump,
        MODULE_HEADER_BYTES,
        FOOTER_BYTES,
        random,
    ))
}
