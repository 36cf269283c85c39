//! A fix comes in: what becomes of it.
//!
//! ```text
//! accurate enough? -- no -> filtered
//!   device known?  -- no -> its position now
//!   older than it? ------> late: into the trail at its time, or dropped
//!   as old as it?  ------> takes its place
//!   newer: too soon, too near, too far, within the accuracies? -> filtered
//!          else it is the position now, and the one before goes to the trail
//! ```
//!
//! A first fix is held back by its accuracy alone. Whatever comes of a device puts off its deadline,
//! since that is about silence: a parked vehicle whose fixes are filtered goes on to be known. A
//! time ahead of the server's is taken as it is; what comes before it is late then.

use super::device::{Device, MAX_DEVICE_ID_BYTES, Readings};
use super::fields::{Fields, Value};
use super::{Filter, Fleet, Late, Position};
use crate::engine::geo::distance_m;
use crate::engine::{Error, Result};

/// Most devices of a fleet.
pub const MAX_DEVICES: usize = 1 << 28;

/// What a device says of itself at a time.
#[derive(Clone, Copy, Debug)]
pub struct Fix<'a> {
    /// Where it is at which time.
    pub position: Position,
    /// What else it has measured.
    pub readings: Readings,
    /// Fields to be changed; an empty text removes one. The others stay.
    pub fields: &'a [(&'a [u8], Value<'a>)],
    /// When it is removed if it goes on to be silent, 0 for never; where none is given, the fleet says
    /// how long that is.
    pub expires_ms: Option<i64>,
    /// Whether it is dropped unless it is newer.
    pub if_newer: bool,
    /// Whether a master has taken it: filters and the clock of this server do not count.
    pub is_decided: bool,
}

impl Fix<'_> {
    /// A fix that says no more than this.
    pub const fn at(position: Position) -> Self {
        Self {
            position,
            readings: Readings {
                alt: None,
                speed: None,
                heading: None,
                accuracy_m: None,
            },
            fields: &[],
            expires_ms: None,
            if_newer: false,
            is_decided: false,
        }
    }
}

/// What became of a fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the position of the device now.
    Now {
        /// The number of the device.
        device: u32,
        /// Where it was before, if it was known.
        before: Option<Position>,
    },
    /// It is older than what is known.
    Late {
        /// The number of the device.
        device: u32,
        /// Whether it is in the trail.
        in_trail: bool,
    },
    /// It was held back.
    Filtered(Filter),
}

impl Fleet {
    /// Takes a fix of a device, at a time of the server. O(1), and O(levels of the grid) where it comes
    /// to another cell; a late one decodes a block of its trail.
    ///
    /// # Errors
    /// `Limit` for sizes over theirs; nothing has changed then.
    pub fn track(&mut self, id: &[u8], fix: &Fix<'_>, now_ms: i64) -> Result<Outcome> {
        check_id(id)?;
        let Some(number) = self.number(id) else {
            return self.enter(id, fix, now_ms);
        };
        let device = &self.devices[number];
        let (before, now) = (device.position, fix.position);
        let is_late =
            now.time_ms < before.time_ms || (fix.if_newer && now.time_ms == before.time_ms);
        let filter = if is_late {
            self.options.coarse(fix)
        } else {
            self.options.filter(device, fix)
        };
        let fields = if is_late || filter.is_some() {
            None
        } else {
            device.fields().merged(fix.fields)?
        };
        self.put_off(number, fix, now_ms);
        if let Some(filter) = filter {
            self.counters.count(filter);
            return Ok(Outcome::Filtered(filter));
        }
        if is_late {
            self.counters.late += 1;
            let in_trail = !fix.if_newer && self.options.late == Late::Trail;
            return Ok(Outcome::Late {
                device: number,
                in_trail: in_trail && self.enter_late(number, now),
            });
        }
        self.counters.updates += 1;
        self.advance(number, fix, fields);
        Ok(Outcome::Now {
            device: number,
            before: Some(before),
        })
    }

    /// Takes the first fix of a device.
    fn enter(&mut self, id: &[u8], fix: &Fix<'_>, now_ms: i64) -> Result<Outcome> {
        if self.devices.len() >= MAX_DEVICES {
            return Err(Error::Limit {
                what: "devices of a fleet",
                max: MAX_DEVICES as u64,
            });
        }
        let fields = Fields::default().merged(fix.fields)?;
        if let Some(filter) = self.options.coarse(fix) {
            self.counters.count(filter);
            return Ok(Outcome::Filtered(filter));
        }
        let mut device = Device::new(id, fix.position);
        device.set_readings(fix.readings);
        device.set_fields(fields.unwrap_or_default());
        let number = self.insert(device);
        self.put_off(number, fix, now_ms);
        self.counters.updates += 1;
        Ok(Outcome::Now {
            device: number,
            before: None,
        })
    }

    /// Enters a device that no other has the id of.
    pub(super) fn insert(&mut self, mut device: Device) -> u32 {
        let point = device.point();
        // The grid needs the number, so the leaf is known only then.
        device.leaf = 0;
        let number = self.devices.insert(device, &self.hasher);
        let leaf = self.grid.insert(point, number);
        self.device_mut(number).leaf = leaf;
        number
    }

    pub(super) fn device_mut(&mut self, number: u32) -> &mut Device {
        let device = self.devices.get_mut(number);
        device.expect("BUG: a device nobody has")
    }

    /// Sets the deadline anew.
    fn put_off(&mut self, number: u32, fix: &Fix<'_>, now_ms: i64) {
        let own_ms = || match self.options.expire_ms {
            0 => 0,
            _ if fix.is_decided => 0,
            expire_ms => now_ms.saturating_add(expire_ms),
        };
        match fix.expires_ms.unwrap_or_else(own_ms) {
            0 => self.deadlines.disarm(number),
            due_ms => self.deadlines.arm(number, due_ms),
        }
    }

    /// Moves a device on.
    fn advance(&mut self, number: u32, fix: &Fix<'_>, fields: Option<Fields>) {
        let (keep, retention_ms) = (self.options.kept(), self.options.retention_ms);
        let device = self
            .devices
            .get_mut(number)
            .expect("BUG: a device nobody has");
        let (before, now) = (device.position, fix.position);
        if before.point != now.point {
            let leaf = device.leaf;
            device.leaf = self.grid.relocate(number, before.point, now.point, leaf);
        }
        device.position = now;
        device.set_readings(fix.readings);
        if let Some(fields) = fields {
            device.set_fields(fields);
        }
        if keep > 0 && before.time_ms < now.time_ms {
            let trail = device.trail_mut();
            trail.push(before, keep);
            trail.trim(keep, cutoff_ms(now.time_ms, retention_ms));
        } else if keep == 0 && device.trail().is_some() {
            device.set_trail(None);
        }
    }

    /// Enters a late position into the trail; returns whether it is to be seen there.
    fn enter_late(&mut self, number: u32, position: Position) -> bool {
        let (keep, retention_ms) = (self.options.kept(), self.options.retention_ms);
        let device = self.device_mut(number);
        let cutoff_ms = cutoff_ms(device.position.time_ms, retention_ms);
        if keep == 0 || position.time_ms < cutoff_ms {
            return false;
        }
        let trail = device.trail_mut();
        let hidden = trail.len().saturating_sub(keep);
        if trail.len() >= keep
            && trail
                .time_behind(hidden)
                .is_some_and(|first_ms| position.time_ms < first_ms)
        {
            return false;
        }
        match trail.last_ms() {
            Some(last_ms) if position.time_ms <= last_ms => trail.insert(position),
            _ => trail.push(position, keep),
        }
        trail.trim(keep, cutoff_ms);
        true
    }
}

/// The first time that a trail shows.
pub(super) fn cutoff_ms(now_ms: i64, retention_ms: i64) -> i64 {
    if retention_ms == 0 {
        i64::MIN
    } else {
        now_ms.saturating_sub(retention_ms)
    }
}

pub(super) fn check_id(id: &[u8]) -> Result<()> {
    if id.len() > MAX_DEVICE_ID_BYTES {
        return Err(Error::Limit {
            what: "bytes in the id of a device",
            max: MAX_DEVICE_ID_BYTES as u64,
        });
    }
    Ok(())
}

impl super::Options {
    /// Former positions to be kept.
    pub(super) const fn kept(&self) -> usize {
        self.trail_len.saturating_sub(1) as usize
    }

    /// Whether a fix is too inaccurate.
    fn coarse(&self, fix: &Fix<'_>) -> Option<Filter> {
        if fix.is_decided {
            return None;
        }
        let is_coarse = |accuracy_m: f64| accuracy_m > self.max_accuracy_m;
        let is_filtered =
            self.max_accuracy_m > 0.0 && fix.readings.accuracy_m.is_some_and(is_coarse);
        is_filtered.then_some(Filter::Accuracy)
    }

    /// What holds back a fix that is not older than what is known of a device. One of the same time
    /// is a correction, which only has to be accurate.
    fn filter(&self, device: &Device, fix: &Fix<'_>) -> Option<Filter> {
        let (before, now) = (device.position, fix.position);
        let coarse = self.coarse(fix);
        if coarse.is_some() || fix.is_decided || now.time_ms == before.time_ms {
            return coarse;
        }
        let elapsed_ms = now.time_ms.saturating_sub(before.time_ms);
        if elapsed_ms < self.min_time_ms {
            return Some(Filter::Time);
        }
        if self.min_distance_m == 0.0 && self.max_speed_mps == 0.0 && !self.jitter {
            return None;
        }
        let moved_m = distance_m(before.point, now.point);
        if moved_m < self.min_distance_m {
            return Some(Filter::Distance);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a time of centuries may be off by one"
        )]
        let seconds = elapsed_ms as f64 / 1000.0;
        if self.max_speed_mps > 0.0 && moved_m > self.max_speed_mps * seconds {
            return Some(Filter::Speed);
        }
        let accuracies = [device.readings().accuracy_m, fix.readings.accuracy_m];
        let blur_m: f64 = accuracies.into_iter().flatten().sum();
        (self.jitter && moved_m < blur_m).then_some(Filter::Jitter)
    }
}
