//! Random data that is the same in every run: `SplitMix64` over a seed with a name.

use std::ops::Range;

/// The seed of the tests that compare the server with the naive model.
pub(crate) const MODEL_SEED: u64 = 0x10D5_0001;
/// The seed of the persistence tests.
pub(crate) const PERSISTENCE_SEED: u64 = 0x10D5_0002;
/// The seed of the replication tests.
pub(crate) const REPLICATION_SEED: u64 = 0x10D5_0003;
/// The seed of the fuzz tests.
pub(crate) const FUZZ_SEED: u64 = 0x10D5_0004;
/// The seed of the tests of many series at once.
pub(crate) const MANY_SEED: u64 = 0x10D5_0005;
/// The seed of the tests of the index in a server.
pub(crate) const INDEX_SEED: u64 = 0x10D5_0006;

/// The seed of the tests of downsampling rules.
pub(crate) const RULES_SEED: u64 = 0x10D5_0007;
/// The seed of the tests of fleets and fences.
pub(crate) const FENCES_SEED: u64 = 0x10D5_0008;
/// The seed of the tests of fleets and fences in a server.
pub(crate) const FLEETS_SEED: u64 = 0x10D5_0009;
/// The seed of the tests of values that move in memory or are evicted from it.
pub(crate) const DEFRAG_SEED: u64 = 0x10D5_000A;
/// The seed of the random commands over everything.
pub(crate) const HOSTILE_SEED: u64 = 0x10D5_000B;
/// The seed of the tests of shapes.
pub(crate) const SHAPES_SEED: u64 = 0x10D5_0100;

/// The seed of the tests of faults.
pub(crate) const FAULTS_SEED: u64 = 0x10D5_0200;

/// A generator of random numbers (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `range`.
    pub(crate) fn within(&mut self, range: Range<i64>) -> i64 {
        let width = u64::try_from(range.end - range.start).unwrap();
        range.start + i64::try_from(self.bits() % width).unwrap()
    }

    /// An index below `len`.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.bits() % u64::try_from(len).unwrap()).unwrap()
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.bits() % 100 < percent
    }

    /// One of `choices`.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.index(choices.len())]
    }

    /// A value as a sensor gives it: two decimals, between -1000 and 1000.
    #[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^53")]
    pub(crate) fn reading(&mut self) -> f64 {
        self.within(-100_000..100_001) as f64 / 100.0
    }

    /// Any value whatever: readings, special values and arbitrary bits in equal parts.
    pub(crate) fn any_value(&mut self) -> f64 {
        const SPECIAL: [f64; 10] = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            0.0,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            f64::MIN,
            f64::EPSILON,
        ];
        match self.index(3) {
            0 => self.reading(),
            1 => SPECIAL[self.index(SPECIAL.len())],
            _ => f64::from_bits(self.bits()),
        }
    }
}
