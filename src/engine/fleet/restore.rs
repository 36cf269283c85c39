//! A fleet as it is stored, and back.

use super::device::Device;
use super::track::check_id;
use super::trail::Trail;
use super::{Counters, Fields, Fleet, Options, Position, Readings};
use crate::engine::{Error, Result};

/// All that is stored of a device.
#[derive(Debug)]
pub(in crate::engine) struct Stored<'a> {
    pub(in crate::engine) id: &'a [u8],
    pub(in crate::engine) position: Position,
    pub(in crate::engine) readings: Readings,
    pub(in crate::engine) fields: Fields,
    pub(in crate::engine) expires_ms: Option<i64>,
    /// The streams of the trail: how many positions each has, and its bytes.
    pub(in crate::engine) trail: Vec<(u16, &'a [u8])>,
}

impl Fleet {
    /// An empty fleet that has seen something already.
    ///
    /// # Errors
    /// As in [`Options::validate`].
    pub(in crate::engine) fn restore(options: Options, counters: Counters) -> Result<Self> {
        options.validate()?;
        Ok(Self {
            options,
            counters,
            ..Self::default()
        })
    }

    /// Puts a device back; returns its new number.
    ///
    /// # Errors
    /// `Corrupt` where there is one of this id, or where the trail is not in order; `Limit` for the id.
    pub(in crate::engine) fn restore_device(&mut self, stored: &Stored<'_>) -> Result<u32> {
        check_id(stored.id)?;
        if self.number(stored.id).is_some() {
            return Err(Error::Corrupt {
                what: "a device comes twice",
            });
        }
        let mut device = Device::new(stored.id, stored.position);
        device.set_readings(stored.readings);
        device.set_fields(stored.fields.clone());
        if !stored.trail.is_empty() {
            let trail = Trail::from_streams(&stored.trail, stored.position.time_ms)?;
            device.set_trail(Some(Box::new(trail)));
        }
        let number = self.insert(device);
        if let Some(expires_ms) = stored.expires_ms {
            self.deadlines.arm(number, expires_ms);
        }
        Ok(number)
    }
}

impl Device {
    /// The streams of its trail, as [`Stored::trail`] has them.
    pub(in crate::engine) fn trail_streams(&self, visit: &mut impl FnMut(u16, &[u8])) {
        if let Some(trail) = self.trail() {
            trail.streams(visit);
        }
    }
}
