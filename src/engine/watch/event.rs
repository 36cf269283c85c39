//! What happened between a device and a fence.

use triomphe::Arc;

use crate::engine::Timestamp;
use crate::engine::fence::{Detect, FenceId, Options};
use crate::engine::geo::Point;

/// Why a device is in a fence no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It moved out.
    Moved,
    /// It was deleted.
    Deleted,
    /// It was silent for too long.
    Expired,
    /// The fence was removed, or has expired, or its set is gone.
    FenceRemoved,
    /// The fence has another shape, or is for others.
    FenceChanged,
    /// The schedule of the fence says so.
    Schedule,
    /// The fleet is bound to the set no more.
    Unbound,
}

impl Reason {
    /// The word for it in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::FenceRemoved => "fence removed",
            Self::FenceChanged => "fence changed",
            Self::Schedule => "schedule",
            Self::Unbound => "unbound",
        }
    }
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: Detect,
    /// The device.
    pub device: Box<[u8]>,
    /// The fence.
    pub fence: FenceId,
    /// What is said of the fence, as far as anything is.
    pub options: Option<Arc<Options>>,
    /// When it happened.
    pub time_ms: Timestamp,
    /// Where the device was.
    pub point: Point,
    /// When it had entered; the time of the event itself where it never had.
    pub entered_ms: Timestamp,
    /// Why, for an exit.
    pub reason: Option<Reason>,
    /// How fast it went, for an overspeed.
    pub speed: Option<f64>,
}

impl Event {
    /// The word for what happened.
    pub fn name(&self) -> &'static str {
        self.kind.names().next().unwrap_or_default()
    }

    /// How long the device had been in the fence, for an exit or a dwell.
    pub fn dwell_ms(&self) -> Option<i64> {
        let has_dwell = self.kind == Detect::EXIT || self.kind == Detect::DWELL;
        has_dwell.then(|| self.time_ms.saturating_sub(self.entered_ms).max(0))
    }
}
