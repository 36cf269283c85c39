//! What ties a fleet to fences and to other fleets, and what its devices are in.

use super::search::{Cursor, Near, Size, Wanted};
use super::{Device, Fleet};
use crate::engine::geo::{Bounds, Point, Shape};
use crate::engine::query::Unwatched;
use crate::engine::relocate::{Mover, STRIDE};
use crate::engine::watch::{Binding, MAX_BINDINGS, MAX_ROAMS, Roam, Visits, relocate_bindings};

/// Devices that a look into a place goes through, for each that it may find.
const LOOKS: usize = 16;

/// What was bound, and the visits that have ended with it, by the number of the device.
#[derive(Debug)]
pub struct Unbound {
    /// The binding.
    pub binding: Binding,
    /// The visits that each device had, of all bindings.
    pub visits: Vec<(u32, Visits)>,
}

/// What a timer was told of a fleet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    due_ms: Option<i64>,
    is_old: bool,
}

impl Fleet {
    /// The sets of fences that it is bound to.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The fleets that it roams among.
    pub fn roams(&self) -> &[Roam] {
        &self.roams
    }

    /// Binds the fleet to a set of fences, or to the same one in another way: the visits stay then.
    /// Says whether there was room.
    pub fn bind(&mut self, mut binding: Binding) -> bool {
        self.told.is_old = true;
        let mut bindings = self.bindings.iter_mut();
        if let Some(known) = bindings.find(|known| known.fences == binding.fences) {
            binding.number = known.number;
            *known = binding;
            return true;
        }
        if self.bindings.len() >= MAX_BINDINGS {
            return false;
        }
        let is_free = |number: &u8| self.bindings.iter().all(|one| one.number != *number);
        let Some(number) = (0..=u8::MAX).find(is_free) else {
            return false;
        };
        binding.number = number;
        self.bindings.push(binding);
        true
    }

    /// Ends a binding and all visits by it. O(devices).
    pub fn unbind(&mut self, fences: &[u8]) -> Option<Unbound> {
        let place = self
            .bindings
            .iter()
            .position(|one| *one.fences == *fences)?;
        self.told.is_old = true;
        let binding = self.bindings.remove(place);
        let of = |device: &Device| !device.visits().of(binding.number).is_empty();
        let visits = self.devices.iter().filter(|(_, device)| of(device));
        let visits: Vec<(u32, Visits)> = visits
            .map(|(number, device)| (number, device.visits().clone()))
            .collect();
        for (number, visits) in &visits {
            let rest = visits.with(binding.number, std::iter::empty());
            self.set_visits(*number, rest);
        }
        Some(Unbound { binding, visits })
    }

    /// Lets the fleet roam among another, or among it in another way. Says whether there was room.
    pub fn roam(&mut self, roam: Roam) -> bool {
        self.told.is_old = true;
        let mut roams = self.roams.iter_mut();
        if let Some(known) = roams.find(|known| known.others == roam.others) {
            *known = roam;
            return true;
        }
        let has_room = self.roams.len() < MAX_ROAMS;
        if has_room {
            self.roams.push(roam);
        }
        has_room
    }

    /// Ends roaming among another fleet. Says whether it did.
    pub fn end_roam(&mut self, others: &[u8]) -> bool {
        let before = self.roams.len();
        self.roams.retain(|roam| *roam.others != *others);
        self.told.is_old = true;
        self.roams.len() < before
    }

    /// Puts bindings back that were stored.
    pub(in crate::engine) fn restore_bindings(&mut self, bindings: Vec<Binding>, roams: Vec<Roam>) {
        self.told.is_old = true;
        (self.bindings, self.roams) = (bindings, roams);
    }

    /// Sets what a device is in.
    pub fn set_visits(&mut self, number: u32, visits: Visits) {
        match visits.next_due_ms() {
            Some(due_ms) => self.dwells.arm(number, due_ms),
            None => self.dwells.disarm(number),
        }
        if let Some(device) = self.devices.get_mut(number) {
            device.visits = visits;
        }
    }

    /// Whether it is as good as none: no device, nothing bound, no option.
    pub fn is_trivial(&self) -> bool {
        self.is_empty()
            && self.bindings.is_empty()
            && self.roams.is_empty()
            && self.options == super::Options::default()
    }

    /// A time before which nothing is due.
    pub fn next_due_ms(&self) -> Option<i64> {
        let dues = [self.deadlines.next_due_ms(), self.dwells.next_due_ms()];
        dues.into_iter().flatten().min()
    }

    /// Up to `most` devices whose dwells are due; they are not given twice.
    pub fn take_due(&mut self, now_ms: i64, most: usize) -> Vec<u32> {
        let due = std::iter::from_fn(|| self.dwells.pop_due(now_ms));
        due.take(most).collect()
    }

    /// Up to `most` devices that have expired, for the caller to remove; they are not given twice.
    pub fn take_expired(&mut self, now_ms: i64, most: usize) -> Vec<Box<[u8]>> {
        let expired = std::iter::from_fn(|| self.deadlines.pop_due(now_ms));
        let expired: Vec<u32> = expired.take(most).collect();
        let devices = expired.into_iter().filter_map(|number| self.device(number));
        devices.map(|device| device.id().into()).collect()
    }

    /// Shows allocations to a mover, from one on, until it must pause. Returns where it goes on.
    pub fn relocate(&mut self, from: u64, mover: &mut impl Mover) -> Option<u64> {
        if from == 0 {
            relocate_bindings(&mut self.bindings, &mut self.roams, mover);
        }
        let devices = u64::from(self.devices.end());
        let end = devices + u64::from(self.grid.end());
        for place in from..end {
            if place > from && place % u64::from(STRIDE) == 0 && mover.must_pause() {
                return Some(place);
            }
            if let Ok(leaf) = u32::try_from(place.wrapping_sub(devices)) {
                self.grid.show_leaf(leaf, mover);
            } else if let Ok(number) = u32::try_from(place) {
                self.devices.relocate(number, mover);
                if let Some(device) = self.devices.get_mut(number) {
                    device.relocate(mover);
                }
            }
        }
        None
    }

    /// Whether bindings, or what is due, are others than when this was last asked.
    #[inline]
    pub fn take_news(&mut self) -> bool {
        let due_ms = self.next_due_ms();
        let is_news = self.told.is_old || self.told.due_ms != due_ms;
        self.told = Told {
            due_ms,
            is_old: false,
        };
        is_news
    }

    /// Every device from a number on.
    pub fn from(&self, first: u32) -> impl Iterator<Item = (u32, &Device)> {
        self.devices.iter_from(first)
    }

    /// Adds the devices in a box to `found`. Says whether they were no more than `most`; `found` is to
    /// be thrown away otherwise.
    pub fn in_bounds(&self, bounds: &Bounds, most: usize, found: &mut Vec<u32>) -> bool {
        let size = Size {
            limit: most,
            budget: most.saturating_mul(LOOKS),
        };
        let shape = Shape::Box(*bounds);
        let page = (size, Cursor::default());
        let Ok(page) = self.within(&shape, &Wanted::default(), page, &Unwatched) else {
            return false;
        };
        found.extend(page.devices);
        page.next.is_none()
    }

    /// Adds the devices within a distance of a point to `found`, the nearest `most` of them.
    pub fn within_radius(&self, center: Point, radius_m: f64, most: usize, found: &mut Vec<u32>) {
        let near = Near {
            center,
            radius_m,
            count: most,
        };
        let nearest = self.nearest(&near, &Wanted::default(), &Unwatched);
        found.extend(nearest.unwrap_or_default().iter().map(|found| found.device));
    }
}
