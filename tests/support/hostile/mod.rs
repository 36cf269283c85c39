//! Whoever wants the server no good: random commands over everything the module offers.
//!
//! ```text
//! grammar   what COMMAND DOCS says of every command, and lines that it permits
//! values    what stands in the place of an argument, by its name: sound, at an edge, absurd
//! texts     filters, patterns, GeoJSON, schedules: arguments with a grammar of their own
//! spoil     lines that are nearly right
//! servers   lines of the server's own commands around ours
//! crowd     connections that send all that, and what was sent last
//! health    what the server says of itself: calls, slow commands, memory
//! ```
//!
//! The list of commands and their arguments come from the server, so a new command is attacked from
//! the day it is registered. All choices come from one seed.

pub(crate) mod crowd;
pub(crate) mod grammar;
pub(crate) mod health;
pub(crate) mod servers;
pub(crate) mod spoil;
pub(crate) mod texts;
pub(crate) mod values;

/// The words of a command.
pub(crate) type Line = Vec<Vec<u8>>;
