//! Values as bytes: records of the stored form. Shapes, and the visits and bindings of fleets, write their
//! own part of one.
//!
//! The form is a sequence of records. The server's dump file, `DUMP`, the rewrite of the
//! append-only file and the golden files of the tests all store the same records, each framed in
//! its own way: that is what [`Sink`] and [`Source`] are for.

mod bound;
mod fences;
mod fleet;
mod links;
mod policy;
mod series;

use super::{Error, Result};
pub use bound::{read_bound_fleet, write_bound_fleet};
pub use fences::{FENCES_VERSION, read_fences, write_fences};
pub use fleet::{FLEET_VERSION, Owner, read_fleet, write_fleet};
pub use policy::{POLICY_VERSION, read_policy, write_policy};
pub use series::{read_series, write_series};

/// Version of the form written; the encoding version of the server's data type. Older ones are read.
///
/// | version | what it brought |
/// |---|---|
/// | 1 | the form as it began |
/// | 2 | `idle_ttl_ms` |
/// | 3 | downsampling rules |
pub const VERSION: u32 = 3;

/// Most bytes of one record. A block is at most half of it; what claims more is corrupt.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// Takes records.
pub trait Sink {
    /// Takes one record.
    fn record(&mut self, bytes: &[u8]);
}

/// Gives records.
pub trait Source {
    /// Gives the next record.
    ///
    /// # Errors
    /// `Corrupt` where there is none, or one over [`MAX_RECORD_BYTES`].
    fn record(&mut self) -> Result<Vec<u8>>;
}

/// Records in one buffer, each behind its length: `| len u32 le | bytes |`.
#[derive(Debug, Default)]
pub struct Buffer {
    /// The records so far.
    pub bytes: Vec<u8>,
}

impl Sink for Buffer {
    fn record(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }
}

impl Source for &[u8] {
    fn record(&mut self) -> Result<Vec<u8>> {
        let short = Error::Corrupt { what: "record" };
        let (len, rest) = self.split_first_chunk::<4>().ok_or(short)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
        if len > MAX_RECORD_BYTES {
            return Err(short);
        }
        let (record, rest) = rest.split_at_checked(len).ok_or(short)?;
        *self = rest;
        Ok(record.to_vec())
    }
}
