//! What the tests share. Every test file is a crate of its own and uses its own part of this.

#![allow(
    dead_code,
    reason = "each test file uses its own part of the support code"
)]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

pub(crate) mod aggregation;
pub(crate) mod aof;
pub(crate) mod browser;
pub(crate) mod calendar;
pub(crate) mod client;
pub(crate) mod crc64;
pub(crate) mod docs;
pub(crate) mod events;
pub(crate) mod example;
pub(crate) mod faults;
pub(crate) mod fences_events;
pub(crate) mod fences_mix;
pub(crate) mod fences_oracle;
pub(crate) mod filters;
pub(crate) mod grammar;
pub(crate) mod hostile;
pub(crate) mod manual;
pub(crate) mod many;
pub(crate) mod mutants;
pub(crate) mod naive;
pub(crate) mod notation;
pub(crate) mod places;
pub(crate) mod queries;
pub(crate) mod rules;
pub(crate) mod rules_cut;
pub(crate) mod rules_law;
pub(crate) mod seeds;
pub(crate) mod server;
pub(crate) mod stats;
pub(crate) mod traffic;
pub(crate) mod world;
