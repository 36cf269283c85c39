#![forbid(unsafe_code)]
//! The engine: series of sensor samples, compressed, aggregated and stored as bytes.
//!
//! It is pure. There is no server here, no clock, no I/O and no static state: time comes in as an
//! argument, so every operation can be replayed with the same result.
//!
//! A [`Series`] is the noun everything turns on; [`codec`] packs its samples, [`persist`] alone
//! knows the stored bytes, [`index`] finds series by their labels,
//! [`rule`] keeps aggregates of one series in another, [`policy`] says which series get rules.

pub mod aggregate;
pub mod codec;
mod error;
pub mod index;
pub mod labels;
pub mod options;
pub mod persist;
pub mod policy;
pub mod query;
pub mod rule;
mod sample;
pub mod series;

pub use error::{Error, Result};
pub use sample::{Sample, TimeRange, Timestamp};
pub use series::Series;
