//! The positions of a device in a range of times, before they are decoded.

use std::borrow::Cow;

use super::Fleet;
use super::track::cutoff_ms;
use super::trail::{Position, Trail};
use crate::engine::TimeRange;
use crate::engine::query::{Halted, Watch};

/// A part of the trail of a device, of the fleet or as a copy.
#[derive(Clone, Debug, Default)]
pub struct Past<'f> {
    trail: Option<Cow<'f, Trail>>,
    /// Positions of the trail that are not to be seen any more.
    hidden: usize,
    /// The first and the last time.
    range: (i64, i64),
    /// Where the device is now, if that is in the range.
    now: Option<Position>,
}

impl Fleet {
    /// The positions of a device in a range of times, the present one included; none where the fleet
    /// keeps no trails. O(blocks of the trail).
    pub fn past(&self, number: u32, range: TimeRange) -> Past<'_> {
        let Some(device) = self.device(number) else {
            return Past::default();
        };
        let now = device.position;
        let cutoff_ms = cutoff_ms(now.time_ms, self.options.retention_ms);
        let (from_ms, to_ms) = (range.from.max(cutoff_ms), range.to);
        let trail = device.trail().filter(|_| self.options.trail_len > 1);
        let is_shown = self.options.trail_len > 0 && (from_ms..=to_ms).contains(&now.time_ms);
        Past {
            hidden: trail.map_or(0, |trail| trail.len().saturating_sub(self.options.kept())),
            trail: trail.map(Cow::Borrowed),
            range: (from_ms, to_ms),
            now: is_shown.then_some(now),
        }
    }
}

impl Past<'_> {
    /// How many positions have to be decoded.
    pub fn cost(&self) -> usize {
        let trail = self.trail.as_ref();
        trail.map_or(0, |trail| trail.cost(self.hidden, self.range))
    }

    /// A copy of its own.
    pub fn detached(&self) -> Past<'static> {
        let trail = self.trail.as_ref();
        let part = trail.map(|trail| trail.part(self.hidden, self.range));
        let (trail, hidden) = part.unzip();
        Past {
            trail: trail.map(Cow::Owned),
            hidden: hidden.unwrap_or(0),
            ..*self
        }
    }

    /// All of them, oldest first.
    ///
    /// # Errors
    /// `Halted` by the watch.
    pub fn positions(&self, watch: &impl Watch) -> Result<Vec<Position>, Halted> {
        let mut all = Vec::new();
        if let Some(trail) = &self.trail {
            trail.read(self.hidden, self.range, watch, &mut all)?;
        }
        all.extend(self.now);
        Ok(all)
    }
}
