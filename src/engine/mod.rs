#![forbid(unsafe_code)]
//! The engine: series of sensor samples, compressed, aggregated and stored as bytes; fleets of devices
//! and fences around places.
//!
//! It is pure. There is no server here, no clock, no I/O and no static state: time comes in as an
//! argument, so every operation can be replayed with the same result.
//!
//! A [`Series`] is the noun everything turns on; [`codec`] packs its samples, [`persist`] has the
//! stored form of values (shapes, and the visits and bindings of [`watch`], write their own part),
//! [`index`] finds series by their labels, [`rule`] keeps aggregates of one series in another,
//! [`policy`] says which series get rules.
//!
//! A [`fleet::Fleet`] knows where devices are, a [`fence::FenceSet`] where fences are, both in terms of
//! [`geo`]; [`watch`] says who enters and who leaves.

pub mod aggregate;
pub mod codec;
mod error;
pub mod fence;
pub mod fleet;
pub mod geo;
pub mod index;
pub mod labels;
pub mod options;
pub mod persist;
pub mod policy;
pub mod query;
pub mod relocate;
pub mod rule;
mod sample;
pub mod series;
mod table;
pub mod watch;

pub use error::{Error, Number, Result};
pub use sample::{Sample, TimeRange, Timestamp};
pub use series::Series;
