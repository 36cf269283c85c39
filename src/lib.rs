//! IoT data engine for Redis and Valkey.

pub mod engine;
