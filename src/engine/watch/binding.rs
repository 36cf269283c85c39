//! A fleet bound to a set of fences.

use super::roam::Roam;
use crate::engine::fence::{Detect, Options};
use crate::engine::relocate::Mover;

/// Most sets of fences that a fleet is bound to.
pub const MAX_BINDINGS: usize = 64;
/// Most places that events of a binding go to.
pub const MAX_SINKS: usize = 16;

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// A channel: whoever listens gets them, once at most.
    Publish(Box<[u8]>),
    /// A stream: an entry is stored with the state that it tells of, or neither is.
    Stream {
        /// The key of the stream.
        key: Box<[u8]>,
        /// Entries that it keeps, about; 0 keeps all.
        max_len: u64,
    },
}

/// A fleet bound to a set of fences: each position is compared with the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its number in the fleet, which the visits of the devices go by.
    pub number: u8,
    /// The key of the set of fences.
    pub fences: Box<[u8]>,
    /// The kinds of events that are sent; `None` leaves it to the fences.
    pub detect: Option<Detect>,
    /// Only fences of this group count.
    pub group: Option<Box<[u8]>>,
    /// Most `outside` events of one fix for fences that name no devices.
    pub outside_cap: u32,
    /// Where events go.
    pub sinks: Vec<Sink>,
}

/// Shows what a fleet is tied to to a mover.
pub(in crate::engine) fn relocate_bindings(
    bindings: &mut Vec<Binding>,
    roams: &mut Vec<Roam>,
    mover: &mut impl Mover,
) {
    mover.vector(bindings);
    for binding in bindings {
        mover.slice(&mut binding.fences);
        if let Some(group) = &mut binding.group {
            mover.slice(group);
        }
        relocate_sinks(&mut binding.sinks, mover);
    }
    mover.vector(roams);
    for roam in roams {
        mover.slice(&mut roam.others);
        relocate_sinks(&mut roam.sinks, mover);
    }
}

fn relocate_sinks(sinks: &mut Vec<Sink>, mover: &mut impl Mover) {
    mover.vector(sinks);
    for sink in sinks {
        let (Sink::Publish(name) | Sink::Stream { key: name, .. }) = sink;
        mover.slice(name);
    }
}

impl Binding {
    /// The kinds of events of one fence that are sent: what both name, where both do.
    #[inline]
    pub fn kinds(&self, options: Option<&Options>) -> Detect {
        let own = options.and_then(|options| options.detect);
        match (own, self.detect) {
            (Some(own), Some(wanted)) => own & wanted,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => options.map_or(Detect::DEFAULT, Options::default_detect),
        }
    }
}
