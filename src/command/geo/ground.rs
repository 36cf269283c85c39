//! What a search is about: the devices of a fleet or the fences of a set, or a copy of some.

use crate::engine::fence::{self, FenceSet};
use crate::engine::fleet::{Candidates, Fleet, Known};

/// Devices that can be searched.
#[derive(Debug)]
pub(super) enum Ground<'f> {
    /// All of a fleet, as long as it is open.
    Open(&'f Fleet),
    /// Those that matter, as they were when the search was asked for.
    Copied(Candidates),
}

impl Ground<'_> {
    /// What is known of some devices, in their order.
    pub(super) fn known(&self, numbers: impl ExactSizeIterator<Item = u32>) -> Vec<Known<'_>> {
        match self {
            Self::Open(fleet) => {
                let devices = numbers.filter_map(|number| fleet.device(number));
                devices.map(Known::from).collect()
            }
            Self::Copied(copy) => copy.known(numbers),
        }
    }
}

/// Fences that can be searched.
#[derive(Debug)]
pub(super) enum Fences<'s> {
    /// All of a set, as long as it is open.
    Open(&'s FenceSet),
    /// Those that matter, as they were when the search was asked for.
    Copied(fence::Candidates),
}

impl Fences<'_> {
    /// The id of one that was found.
    pub(super) fn id(&self, number: u32) -> &[u8] {
        let id = match self {
            Self::Open(set) => set.fence(number).map(|fence| &fence.id),
            Self::Copied(copy) => copy.id(number),
        };
        id.map_or(b"", |id| id.as_bytes())
    }
}
