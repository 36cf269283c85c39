#![forbid(unsafe_code)]
//! Commands: arguments in, engine calls, replies out.
//!
//! A command is a type with two things: what there is to say of it ([`spec::Spec`]) and what it
//! does. It knows the server only as a [`Host`], so nothing here can reach behind its back.

pub mod args;
pub mod error;
mod get;
pub mod host;
pub mod spec;

use args::Args;
use error::Result;
use host::Host;
use spec::Spec;

pub use get::Get;

/// One command of the module.
pub trait Command {
    /// Name, arity, keys, documentation.
    const SPEC: Spec;

    /// Parses, executes, replicates what changed, and replies: exactly one element on `Ok`, none
    /// on `Err`, whose text the caller sends.
    ///
    /// # Errors
    /// A refusal; nothing has changed.
    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()>;
}

/// Calls a macro with the list of all commands: `host` registers each, tests read each one's spec.
macro_rules! with_all_commands {
    ($with:ident) => {
        $with![$crate::command::Get]
    };
}
pub(crate) use with_all_commands;
