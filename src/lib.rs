//! IoT data engine for Redis and Valkey.

pub mod command;
pub mod engine;
mod host;
