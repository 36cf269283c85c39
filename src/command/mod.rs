#![forbid(unsafe_code)]
//! Commands: arguments in, engine calls, replies out.
//!
//! A command is a type with two things: what there is to say of it ([`spec::Spec`]) and what it
//! does. It knows the server only as a [`Host`], so nothing here can reach behind its back.

mod add;
pub mod args;
mod bulk;
pub mod counter;
mod create;
mod creation;
mod debug;
mod delete;
mod derived;
mod duration;
mod effect;
pub mod error;
pub mod filter;
mod found;
pub mod geo;
mod get;
pub mod host;
mod increment;
mod info;
mod malter;
mod many;
mod mdel;
mod mget;
mod mrange;
mod nrange;
mod number;
mod policy;
mod query_index;
mod query_labels;
mod range;
pub mod read;
mod restore;
mod rows;
mod rule;
mod shown;
pub mod spec;
mod stats;

use args::Args;
use error::Result;
use host::Host;
use spec::Spec;

pub use add::{Add, Ingest, MAdd};
pub use bulk::{AddBulk, MAX_BULK_SAMPLES};
pub use create::{Alter, Create};
pub use debug::Debug;
pub use delete::Del;
pub use geo::{
    FenceAdd, FenceAt, FenceBind, FenceBindings, FenceCount, FenceDel, FenceGet, FenceInfo,
    FenceList, FenceNear, FenceRestore, FenceUnbind, FleetAlter, FleetCreate, FleetInfo, FleetList,
    FleetRestore, FleetVisits, Intersects, MTrack, Nearby, Position, RoamBind, RoamUnbind, Track,
    Trail, Untrack, Within, attend, fences_agenda, fleet_agenda,
};
pub use get::Get;
pub use increment::{DecrBy, IncrBy};
pub use info::Info;
pub use malter::MAlter;
pub use mdel::MDel;
pub use mget::MGet;
pub use mrange::{MRange, MRevRange};
pub use nrange::{NRange, NRevRange};
pub use policy::{
    CONTAINER as POLICY, PolicyDel, PolicyGet, PolicyList, PolicySet, read_compaction,
    read_stored as read_stored_policy, words as policy_words,
};
pub use query_index::{Card, QueryIndex};
pub use query_labels::QueryLabels;
pub use range::{MAX_FILTER_TIMES, Range, RevRange};
pub use read::{MRead, Read};
pub use restore::Restore;
pub use rule::{CreateRule, DeleteRule};
pub use stats::Stats;

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

/// Commands that are but the first half of others: `IOT.A` of `IOT.A|B`.
pub const CONTAINERS: [Spec; 4] = [POLICY, geo::FLEET, geo::FENCE, geo::ROAM];

/// Calls a macro with the list of all commands: `host` registers each, tests read each one's spec.
macro_rules! with_all_commands {
    ($with:ident) => {
        $with![
            $crate::command::Create,
            $crate::command::Alter,
            $crate::command::Add,
            $crate::command::MAdd,
            $crate::command::AddBulk,
            $crate::command::Ingest,
            $crate::command::IncrBy,
            $crate::command::DecrBy,
            $crate::command::Del,
            $crate::command::Get,
            $crate::command::Range,
            $crate::command::RevRange,
            $crate::command::CreateRule,
            $crate::command::DeleteRule,
            $crate::command::PolicySet,
            $crate::command::PolicyGet,
            $crate::command::PolicyList,
            $crate::command::PolicyDel,
            $crate::command::MDel,
            $crate::command::MAlter,
            $crate::command::NRange,
            $crate::command::NRevRange,
            $crate::command::MGet,
            $crate::command::MRange,
            $crate::command::MRevRange,
            $crate::command::Read,
            $crate::command::MRead,
            $crate::command::QueryIndex,
            $crate::command::QueryLabels,
            $crate::command::Card,
            $crate::command::Info,
            $crate::command::Debug,
            $crate::command::Stats,
            $crate::command::Restore,
            $crate::command::Track,
            $crate::command::MTrack,
            $crate::command::Untrack,
            $crate::command::Position,
            $crate::command::FleetCreate,
            $crate::command::FleetAlter,
            $crate::command::FleetInfo,
            $crate::command::FleetList,
            $crate::command::FleetRestore,
            $crate::command::FleetVisits,
            $crate::command::FenceAdd,
            $crate::command::FenceDel,
            $crate::command::FenceGet,
            $crate::command::FenceList,
            $crate::command::FenceCount,
            $crate::command::FenceAt,
            $crate::command::FenceNear,
            $crate::command::FenceInfo,
            $crate::command::FenceBind,
            $crate::command::FenceUnbind,
            $crate::command::FenceBindings,
            $crate::command::FenceRestore,
            $crate::command::RoamBind,
            $crate::command::RoamUnbind,
            $crate::command::Nearby,
            $crate::command::Within,
            $crate::command::Intersects,
            $crate::command::Trail
        ]
    };
}
pub(crate) use with_all_commands;

/// Executes the command that the first argument names, or the first two, in capitals: for a [`Host`] that
/// is no server. `None` where they name none, or are too few or too many.
pub fn execute<H: Host>(host: &H, args: &[&[u8]]) -> Option<Result<()>> {
    macro_rules! the_named {
        ($($command:ty),* $(,)?) => {{
            $(
                if <$command>::SPEC.is_called_by(args) {
                    return Some(<$command>::execute(host, Args::new(args)));
                }
            )*
            None
        }};
    }
    with_all_commands!(the_named)
}
