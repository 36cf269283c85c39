//! What a client chooses for a series when it creates or alters it.

use super::labels::Labels;
use super::sample::Timestamp;

/// What happens when a sample arrives at a time that already has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DuplicatePolicy {
    /// Refuse the new sample.
    Block = 0,
    /// Keep the old sample.
    First = 1,
    /// Take the new sample.
    Last = 2,
    /// Keep the smaller value.
    Min = 3,
    /// Keep the larger value.
    Max = 4,
    /// Keep the sum of both.
    Sum = 5,
}

impl DuplicatePolicy {
    /// Every policy; a policy's place is its stored number.
    pub const ALL: [Self; 6] = [
        Self::Block,
        Self::First,
        Self::Last,
        Self::Min,
        Self::Max,
        Self::Sum,
    ];

    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::First => "first",
            Self::Last => "last",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
        }
    }

    /// Finds a policy by its name, in any case.
    pub fn by_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|policy| name.eq_ignore_ascii_case(policy.name().as_bytes()))
    }
}

/// How sealed blocks are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// The smallest form the engine knows.
    Compressed = 0,
    /// Gorilla streams.
    Gorilla = 1,
    /// Sixteen bytes a sample.
    Uncompressed = 2,
}

impl Encoding {
    /// Every encoding; an encoding's place is its stored number.
    pub const ALL: [Self; 3] = [Self::Compressed, Self::Gorilla, Self::Uncompressed];

    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compressed => "compressed",
            Self::Gorilla => "gorilla",
            Self::Uncompressed => "uncompressed",
        }
    }

    /// Finds an encoding by its name, in any case.
    pub fn by_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| name.eq_ignore_ascii_case(encoding.name().as_bytes()))
    }
}

/// When a sample that says nothing new is left out: with policy `LAST`, at or after the newest
/// sample, within both distances of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ignore {
    /// Largest distance in time, in milliseconds.
    pub max_time_diff_ms: i64,
    /// Largest distance in value.
    pub max_value_diff: f64,
}

/// Smallest `CHUNK_SIZE`, in bytes.
pub const MIN_CHUNK_BYTES: u32 = 48;
/// Largest `CHUNK_SIZE`, in bytes.
pub const MAX_CHUNK_BYTES: u32 = 1 << 20;
/// `CHUNK_SIZE` where nobody chose one, in bytes.
pub const DEFAULT_CHUNK_BYTES: u32 = 4096;

/// Longest `IDLE_TTL`, in milliseconds: so long that added to a clock it is still a time.
pub const MAX_IDLE_TTL_MS: i64 = 1 << 52;

/// Whether `bytes` is a permitted `CHUNK_SIZE`: a multiple of 8 between the two bounds.
pub const fn is_chunk_size(bytes: i64) -> bool {
    bytes >= MIN_CHUNK_BYTES as i64 && bytes <= MAX_CHUNK_BYTES as i64 && bytes % 8 == 0
}

/// The options of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Samples older than the newest by more than this are gone; 0 keeps all. Milliseconds.
    pub retention_ms: Timestamp,
    /// The series is removed when it was not written for so long by the server's clock; 0 is never.
    /// Milliseconds. The host sees to it.
    pub idle_ttl_ms: i64,
    /// A block is sealed when its stream has this many bytes, or 512 samples.
    pub chunk_bytes: u32,
    /// How sealed blocks are stored.
    pub encoding: Encoding,
    /// The series' own policy; where there is none the server's setting counts.
    pub duplicate_policy: Option<DuplicatePolicy>,
    /// Which samples say nothing new.
    pub ignore: Ignore,
    /// The names by which the series is found.
    pub labels: Labels,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention_ms: 0,
            idle_ttl_ms: 0,
            chunk_bytes: DEFAULT_CHUNK_BYTES,
            encoding: Encoding::Compressed,
            duplicate_policy: None,
            ignore: Ignore::default(),
            labels: Labels::default(),
        }
    }
}
