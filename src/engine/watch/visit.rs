//! What a device is in.
//!
//! ```text
//! Visits   one pointer --> | count | Visit | Visit | ..   by binding, then by number of the fence
//! Visit    | fence: shared id | entered i64 | dwell due i64 | number u32 | count u16 | binding u8 | flags u8 |
//! ```
//!
//! A visit knows its fence by id. The number is where the fence lay in its set when last seen: it
//! makes finding it a compare of two pointers, and a set that was replaced as a whole is looked
//! through anew.

use std::mem::size_of;

use triomphe::ThinArc;

use crate::engine::Timestamp;
use crate::engine::fence::FenceId;
use crate::engine::relocate::Mover;

/// Most fences that a device is in, of all its bindings together. A fix that enters or leaves as many
/// has as many events, and the server waits for all of them.
pub const MAX_VISITS: usize = 1024;

/// How far a visit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// So many fixes in a row were in the fence, fewer than it asks for.
    Entering(u16),
    /// The device has entered.
    Inside,
    /// It has entered, and so many fixes in a row were out of the fence, fewer than it asks for.
    Leaving(u16),
}

/// A device and a fence.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The fence.
    pub fence: FenceId,
    /// The time of the first fix in it.
    pub entered_ms: Timestamp,
    /// When a dwell is due by the server's clock; [`Visit::NEVER`] where none is.
    pub dwell_due_ms: Timestamp,
    /// The number of the fence in its set, when last seen.
    pub number: u32,
    /// How far it has come.
    pub phase: Phase,
    /// The number of the binding.
    pub binding: u8,
    /// Whether the last fix was above the speed limit.
    pub is_speeding: bool,
}

const _: () = assert!(size_of::<Visit>() <= 40, "devices in many fences have many");

impl Visit {
    /// No dwell is due.
    pub const NEVER: Timestamp = Timestamp::MAX;

    /// Whether the device has entered, and has not left.
    pub fn is_inside(&self) -> bool {
        !matches!(self.phase, Phase::Entering(_))
    }
}

/// All visits of a device.
#[derive(Clone, Debug, Default)]
pub struct Visits(Option<ThinArc<(), Visit>>);

impl Visits {
    /// Shows its allocation to a mover.
    pub(in crate::engine) fn relocate(&mut self, mover: &mut impl Mover) {
        if let Some(visits) = &mut self.0 {
            mover.shared(visits);
        }
    }

    /// Visits, in order of bindings and numbers.
    pub fn new(visits: Vec<Visit>) -> Self {
        Self((!visits.is_empty()).then(|| ThinArc::from_header_and_iter((), visits.into_iter())))
    }

    /// The visits.
    #[inline]
    pub fn all(&self) -> &[Visit] {
        self.0.as_ref().map_or(&[], |visits| &visits.slice)
    }

    /// Those of one binding.
    #[inline]
    pub fn of(&self, binding: u8) -> &[Visit] {
        let all = self.all();
        let begin = all.partition_point(|visit| visit.binding < binding);
        let len = all[begin..].partition_point(|visit| visit.binding == binding);
        &all[begin..begin + len]
    }

    /// The same with others for one binding.
    #[must_use]
    pub fn with(&self, binding: u8, visits: impl Iterator<Item = Visit>) -> Self {
        let (before, behind): (Vec<&Visit>, Vec<&Visit>) = self
            .all()
            .iter()
            .filter(|visit| visit.binding != binding)
            .partition(|visit| visit.binding < binding);
        let before = before.into_iter().cloned();
        let behind = behind.into_iter().cloned();
        Self::new(before.chain(visits).chain(behind).collect())
    }

    /// The same in the order of the ids of the fences, whatever numbers these have.
    pub fn by_id(&self) -> Self {
        let mut visits = self.all().to_vec();
        visits.sort_by(|one, other| {
            let key = |visit: &Visit| (visit.binding, visit.fence.clone());
            key(one).cmp(&key(other))
        });
        Self::new(visits)
    }

    /// When the first dwell is due by the server's clock.
    pub fn next_due_ms(&self) -> Option<Timestamp> {
        let due = self.all().iter().map(|visit| visit.dwell_due_ms).min()?;
        (due != Visit::NEVER).then_some(due)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self.all().len() {
            0 => 0,
            // A count of references, a length.
            count => 16 + count * size_of::<Visit>(),
        }
    }
}
