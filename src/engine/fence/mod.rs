//! Fences: places with rules, of which many are asked at once where a point lies.
//!
//! ```text
//! FenceSet   id -> number -> | id | shape | options | expiry |
//!            point  -> index -> numbers of the fences around it
//!            group  -> numbers
//!            device -> numbers of the fences that name it
//! ```
//!
//! A fence of 36 vertices takes 496 bytes: 320 for the vertices, 100 for the record and the id, 75 for
//! the index (66 among a million).
//!
//! A [`FenceSet`] knows where fences are and what they ask for. Who is inside which of them, and
//! what is told to whom, is not its matter.

mod candidates;
mod cell;
mod directory;
mod index;
mod lists;
mod meeting;
mod members;
mod near;
mod options;
mod schedule;
mod segment;
mod set;

pub use candidates::Candidates;
pub use meeting::Meeting;
pub use members::Group;
pub use options::{
    Detect, MAX_BUFFER_M, MAX_DEVICE_BYTES, MAX_DEVICES, MAX_DWELL_MS, MAX_GROUP_BYTES, MAX_GROUPS,
    MAX_META, MAX_META_BYTES, MAX_MIN_FIXES, Options, Texts,
};
pub use schedule::{MAX_SCHEDULE_BYTES, MAX_WINDOWS, Schedule};
pub use set::{Fence, FenceId, FenceSet, Inserted, MAX_FENCES, MAX_ID_BYTES};
