//! From the fences that a device was in to those that it is in.
//!
//! ```text
//!             in                      in, MINFIXES of them in a row
//!  (no visit) --> Entering(1 ..) -------------------------------------> Inside  enter
//!                    | out                                                |  in: inside, dwell, overspeed
//!                    v                                                    |
//!               (no visit) <----------------------------------- Leaving(1 ..)
//!                 exit       out, MINFIXES of them in a row               out
//! ```
//!
//! In is what the shape says. Whoever is inside is out only where the shape is farther than `BUFFER`
//! and the accuracy of the fix together, if the fence has a buffer. With `MINFIXES 1` the states in
//! the middle are passed at once. A fence that is gone, changed, or closed by its schedule is left
//! without buffer and count; only whoever was about to leave goes on counting fixes.
//!
//! A device is in [`MAX_VISITS`] fences at most: it enters no more until it has left some.
//!
//! A fix costs one look into the index of the set, and where it changes nothing one compare a visit.

use super::MAX_ACCURACY_M;
use super::binding::Binding;
use super::event::{Event, Reason};
use super::visit::{MAX_VISITS, Phase, Visit, Visits};
use crate::engine::Timestamp;
use crate::engine::fence::{Detect, Fence, FenceSet, Options};
use crate::engine::geo::Point;

/// Most cells of the index, on each of its levels, through which a way is followed to find what it
/// crosses.
const MAX_CROSS_CELLS: usize = 4096;

/// A device, at a fix or where it was last.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The device.
    pub device: &'a [u8],
    /// Where it is.
    pub point: Point,
    /// When it was there.
    pub time_ms: Timestamp,
    /// How fast it is.
    pub speed: Option<f64>,
    /// How far off the point may be.
    pub accuracy_m: Option<f64>,
    /// Where it was before, for what lies between.
    pub before: Option<Point>,
}

/// Why a device is compared with its fences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It has sent a fix.
    Fix,
    /// The fences have changed. That is no fix, so nothing that counts fixes goes on.
    Change,
}

/// The visits of a device that are others than before.
#[derive(Clone, Debug)]
pub struct Changed {
    /// All of its visits.
    pub visits: Visits,
    /// Whether they say anything else: whoever keeps a copy must be told.
    pub is_state: bool,
}

/// One binding, with its set of fences.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// The binding.
    pub binding: &'a Binding,
    /// The set; `None` where its key holds none.
    pub set: Option<&'a FenceSet>,
    /// The server's clock.
    pub now_ms: Timestamp,
}

impl Watch<'_> {
    /// Compares a device with the fences. Events are added to `events`; the visits of the device
    /// are returned where they are others than before. `found` is any vector, to be used again.
    pub fn compare(
        &self,
        seen: &Seen<'_>,
        visits: &Visits,
        cause: Cause,
        found: &mut Vec<u32>,
        events: &mut Vec<Event>,
    ) -> Option<Changed> {
        let mine = visits.of(self.binding.number);
        found.clear();
        if let Some(set) = self.set {
            set.at(seen.point, found);
        }
        if cause == Cause::Fix {
            self.detect_passing(seen, found, events);
        }
        if cause == Cause::Fix && self.is_settled(seen, mine, found) {
            return None;
        }
        let mut step = Step {
            watch: self,
            seen,
            cause,
            events,
            changed: false,
            relinked: false,
            next: Vec::with_capacity(mine.len()),
        };
        step.go_on(mine, found);
        let elsewhere = visits.all().len() - mine.len();
        step.enter_others(found, MAX_VISITS.saturating_sub(elsewhere));
        if !step.changed && !step.relinked {
            return None;
        }
        let (is_state, mut next) = (step.changed, step.next);
        next.sort_unstable_by_key(|visit| visit.number);
        Some(Changed {
            visits: visits.with(self.binding.number, next.into_iter()),
            is_state,
        })
    }

    /// Ends all visits of a device to the fences of this binding.
    pub fn end(&self, seen: &Seen<'_>, visits: &Visits, reason: Reason, events: &mut Vec<Event>) {
        for visit in visits.of(self.binding.number) {
            let fence = self.locate(visit).map(|(_, fence)| fence);
            self.exit(visit, fence, seen, self.later(seen), reason, events);
        }
    }

    /// Fires the dwells that are due by the server's clock, of a device that is silent.
    pub fn fire_dwells(
        &self,
        seen: &Seen<'_>,
        visits: &Visits,
        events: &mut Vec<Event>,
    ) -> Option<Changed> {
        let mut next: Vec<Visit> = visits.of(self.binding.number).to_vec();
        let mut changed = false;
        for visit in &mut next {
            if visit.dwell_due_ms > self.now_ms {
                continue;
            }
            changed = true;
            visit.dwell_due_ms = Visit::NEVER;
            if let Some((_, fence)) = self.locate(visit) {
                self.dwell(visit, fence, seen, events);
            }
        }
        changed.then(|| Changed {
            visits: visits.with(self.binding.number, next.into_iter()),
            is_state: true,
        })
    }

    /// Whether a fix leaves everything as it is, and nobody wants to know of it.
    fn is_settled(&self, seen: &Seen<'_>, mine: &[Visit], found: &[u32]) -> bool {
        let Some(set) = self.set else {
            return mine.is_empty();
        };
        mine.len() == found.len()
            && self
                .binding
                .detect
                .is_none_or(|kinds| !kinds.has(Detect::INSIDE))
            && mine.iter().zip(found).all(|(visit, &number)| {
                visit.number == number
                    && visit.phase == Phase::Inside
                    && set.fence(number).is_some_and(|fence| {
                        fence.id.is_same(&visit.fence)
                            && fence.options().is_none_or(|options| {
                                options.is_quiet() && !is_dwell_over(visit, options, seen)
                            })
                    })
            })
    }

    /// The fence of a visit, and its number of today.
    fn locate(&self, visit: &Visit) -> Option<(u32, &Fence)> {
        let set = self.set?;
        if let Some(fence) = set.fence(visit.number)
            && fence.id.is_same(&visit.fence)
        {
            return Some((visit.number, fence));
        }
        set.get(visit.fence.as_bytes())
    }

    fn kinds(&self, fence: &Fence) -> Detect {
        self.binding.kinds(fence.options())
    }

    /// Whether a fence is for a device at all.
    fn is_for(&self, fence: &Fence, device: &[u8]) -> bool {
        let options = fence.options();
        let in_group = |group: &[u8]| options.is_some_and(|options| options.groups.contains(group));
        self.binding.group.as_deref().is_none_or(in_group)
            && options.is_none_or(|options| options.is_for(device))
    }

    /// The server's time, or that of the fix where it is ahead.
    fn later(&self, seen: &Seen<'_>) -> Timestamp {
        self.now_ms.max(seen.time_ms)
    }

    /// What is neither entered nor left: fences on the way, and fences that others are in.
    fn detect_passing(&self, seen: &Seen<'_>, found: &[u32], events: &mut Vec<Event>) {
        let Some(set) = self.set else { return };
        let wanted = set.named_kinds() | self.binding.detect.unwrap_or_default();
        if wanted.has(Detect::CROSS) {
            self.detect_cross(set, seen, found, events);
        }
        if wanted.has(Detect::OUTSIDE) {
            self.detect_outside(set, seen, found, events);
        }
    }

    fn detect_cross(
        &self,
        set: &FenceSet,
        seen: &Seen<'_>,
        found: &[u32],
        events: &mut Vec<Event>,
    ) {
        let Some(before) = seen.before.filter(|&before| before != seen.point) else {
            return;
        };
        let mut passed = Vec::new();
        set.along(before, seen.point, MAX_CROSS_CELLS, &mut passed);
        for number in passed {
            let Some(fence) = set.fence(number) else {
                continue;
            };
            let is_cross = self.kinds(fence).has(Detect::CROSS)
                && found.binary_search(&number).is_err()
                && !fence.shape.contains(before)
                && self.is_for(fence, seen.device)
                && fence.is_open(seen.time_ms);
            if is_cross {
                events.push(plain(Detect::CROSS, fence, seen));
            }
        }
    }

    /// Fences that name the device are looked at, and so many others as the binding allows: never all.
    fn detect_outside(
        &self,
        set: &FenceSet,
        seen: &Seen<'_>,
        found: &[u32],
        events: &mut Vec<Event>,
    ) {
        let named = set.naming(seen.device).iter().copied();
        let cap = usize::try_from(self.binding.outside_cap).unwrap_or(usize::MAX);
        let others = set
            .from(0)
            .take(cap)
            .filter(|(_, fence)| {
                fence
                    .options()
                    .is_none_or(|options| options.devices.is_empty())
            })
            .map(|(number, _)| number);
        for number in named.chain(others) {
            let Some(fence) = set.fence(number) else {
                continue;
            };
            let is_outside = self.kinds(fence).has(Detect::OUTSIDE)
                && found.binary_search(&number).is_err()
                && self.is_for(fence, seen.device)
                && fence.is_open(seen.time_ms);
            if is_outside {
                events.push(plain(Detect::OUTSIDE, fence, seen));
            }
        }
    }

    fn exit(
        &self,
        visit: &Visit,
        fence: Option<&Fence>,
        seen: &Seen<'_>,
        time_ms: Timestamp,
        reason: Reason,
        events: &mut Vec<Event>,
    ) {
        let options = fence.and_then(Fence::options);
        if !visit.is_inside() || !self.binding.kinds(options).has(Detect::EXIT) {
            return;
        }
        events.push(Event {
            kind: Detect::EXIT,
            device: seen.device.into(),
            fence: visit.fence.clone(),
            options: fence.and_then(|fence| fence.options.clone()),
            time_ms,
            point: seen.point,
            entered_ms: visit.entered_ms,
            reason: Some(reason),
            speed: None,
        });
    }

    fn dwell(&self, visit: &Visit, fence: &Fence, seen: &Seen<'_>, events: &mut Vec<Event>) {
        if self.kinds(fence).has(Detect::DWELL) {
            let dwell_ms = fence.options().map_or(0, |options| options.dwell_ms);
            events.push(Event {
                entered_ms: visit.entered_ms,
                time_ms: visit.entered_ms.saturating_add(dwell_ms),
                ..plain(Detect::DWELL, fence, seen)
            });
        }
    }
}

/// An event at the time and place of a fix.
fn plain(kind: Detect, fence: &Fence, seen: &Seen<'_>) -> Event {
    Event {
        kind,
        device: seen.device.into(),
        fence: fence.id.clone(),
        options: fence.options.clone(),
        time_ms: seen.time_ms,
        point: seen.point,
        entered_ms: seen.time_ms,
        reason: None,
        speed: None,
    }
}

/// Whether a fix ends a dwell that is due.
fn is_dwell_over(visit: &Visit, options: &Options, seen: &Seen<'_>) -> bool {
    let end_ms = visit.entered_ms.saturating_add(options.dwell_ms);
    visit.dwell_due_ms != Visit::NEVER && seen.time_ms >= end_ms
}

/// Whether whoever is inside is inside still, though not in the shape.
fn is_near(fence: &Fence, seen: &Seen<'_>) -> bool {
    let buffer_m = fence.options().map_or(0.0, |options| options.buffer_m);
    if buffer_m <= 0.0 {
        return false;
    }
    let accuracy_m = seen.accuracy_m.unwrap_or(0.0).clamp(0.0, MAX_ACCURACY_M);
    fence.shape.distance_m(seen.point) <= buffer_m + accuracy_m
}

/// One comparison under way.
struct Step<'w, 'a> {
    watch: &'w Watch<'a>,
    seen: &'w Seen<'w>,
    cause: Cause,
    events: &'w mut Vec<Event>,
    /// Whether `next` says anything else than what was before.
    changed: bool,
    /// Whether it says the same of fences that lie elsewhere.
    relinked: bool,
    next: Vec<Visit>,
}

impl Step<'_, '_> {
    /// Goes on with the visits there are.
    fn go_on(&mut self, mine: &[Visit], found: &[u32]) {
        for visit in mine {
            let Some((number, fence)) = self.watch.locate(visit) else {
                self.leave(visit, None, Reason::FenceRemoved);
                continue;
            };
            if !self.watch.is_for(fence, self.seen.device) {
                self.leave(visit, Some(fence), Reason::FenceChanged);
                continue;
            }
            if !fence.is_open(self.seen.time_ms) {
                self.leave(visit, Some(fence), Reason::Schedule);
                continue;
            }
            let mut next = visit.clone();
            if next.number != number || !fence.id.is_same(&visit.fence) {
                next.number = number;
                next.fence = fence.id.clone();
                self.relinked = true;
            }
            let is_in = found.binary_search(&number).is_ok();
            if self.advance(&mut next, fence, is_in) {
                self.next.push(next);
            }
        }
    }

    /// Moves one visit on. Says whether it goes on.
    fn advance(&mut self, visit: &mut Visit, fence: &Fence, is_in: bool) -> bool {
        let min_fixes = fence
            .options()
            .map_or(1, |options| options.min_fixes.max(1));
        let is_fix = self.cause == Cause::Fix;
        match (
            visit.phase,
            is_in || (visit.is_inside() && is_near(fence, self.seen)),
        ) {
            (Phase::Entering(count), true) => {
                if is_fix {
                    self.changed = true;
                    visit.phase = Phase::Entering(count.saturating_add(1));
                    self.enter_if_enough(visit, fence, min_fixes);
                }
                true
            }
            (Phase::Entering(_), false) => {
                self.changed = true;
                false
            }
            (Phase::Leaving(_), true) if is_fix => {
                self.changed = true;
                visit.phase = Phase::Inside;
                self.stay(visit, fence);
                true
            }
            (_, true) => {
                if is_fix {
                    self.stay(visit, fence);
                }
                true
            }
            // Where the last fix was out already, the next one tells.
            (Phase::Leaving(_), false) if !is_fix => true,
            (_, false) if !is_fix => {
                self.leave(visit, Some(fence), Reason::FenceChanged);
                false
            }
            (phase, false) => {
                let count = match phase {
                    Phase::Leaving(count) => count.saturating_add(1),
                    _ => 1,
                };
                if count >= min_fixes {
                    self.leave(visit, Some(fence), Reason::Moved);
                    return false;
                }
                self.changed = true;
                visit.phase = Phase::Leaving(count);
                true
            }
        }
    }

    /// Begins visits to the fences that the device was not in, up to so many visits. Those that ended just
    /// now are to fences that were not found, or that are not for the device.
    fn enter_others(&mut self, found: &[u32], most: usize) {
        let Some(set) = self.watch.set else { return };
        let mut known: Vec<u32> = self.next.iter().map(|visit| visit.number).collect();
        known.sort_unstable();
        for &number in found {
            if self.next.len() >= most {
                return;
            }
            let Some(fence) = set.fence(number) else {
                continue;
            };
            let is_other = known.binary_search(&number).is_err()
                && self.watch.is_for(fence, self.seen.device)
                && fence.is_open(self.seen.time_ms);
            let min_fixes = fence
                .options()
                .map_or(1, |options| options.min_fixes.max(1));
            if !is_other || (self.cause == Cause::Change && min_fixes > 1) {
                continue;
            }
            let mut visit = Visit {
                fence: fence.id.clone(),
                entered_ms: self.time_ms(),
                dwell_due_ms: Visit::NEVER,
                number,
                phase: Phase::Entering(1),
                binding: self.watch.binding.number,
                is_speeding: false,
            };
            self.changed = true;
            self.enter_if_enough(&mut visit, fence, min_fixes);
            self.next.push(visit);
        }
    }

    /// Enters a fence if enough fixes in a row were in it.
    fn enter_if_enough(&mut self, visit: &mut Visit, fence: &Fence, min_fixes: u16) {
        let Phase::Entering(count) = visit.phase else {
            return;
        };
        if count < min_fixes {
            return;
        }
        visit.phase = Phase::Inside;
        let kinds = self.watch.kinds(fence);
        let dwell_ms = fence.options().map_or(0, |options| options.dwell_ms);
        if dwell_ms > 0 && kinds.has(Detect::DWELL) {
            // As if the clock of the device went on from this fix at the pace of the server's.
            let left_ms = visit
                .entered_ms
                .saturating_add(dwell_ms)
                .saturating_sub(self.time_ms());
            visit.dwell_due_ms = self.watch.now_ms.saturating_add(left_ms);
        }
        if kinds.has(Detect::ENTER) {
            self.events.push(Event {
                entered_ms: visit.entered_ms,
                time_ms: self.time_ms(),
                ..plain(Detect::ENTER, fence, self.seen)
            });
        }
        self.stay_quietly(visit, fence);
    }

    /// When it happens: with the fix, or now where no fix brings it.
    fn time_ms(&self) -> Timestamp {
        match self.cause {
            Cause::Fix => self.seen.time_ms,
            Cause::Change => self.watch.later(self.seen),
        }
    }

    /// A further fix inside.
    fn stay(&mut self, visit: &mut Visit, fence: &Fence) {
        if self.watch.kinds(fence).has(Detect::INSIDE) {
            self.events.push(Event {
                entered_ms: visit.entered_ms,
                ..plain(Detect::INSIDE, fence, self.seen)
            });
        }
        self.stay_quietly(visit, fence);
    }

    /// What a fix inside brings beside being inside.
    fn stay_quietly(&mut self, visit: &mut Visit, fence: &Fence) {
        let Some(options) = fence.options() else {
            return;
        };
        if is_dwell_over(visit, options, self.seen) {
            visit.dwell_due_ms = Visit::NEVER;
            self.changed = true;
            self.watch.dwell(visit, fence, self.seen, self.events);
        }
        let (Some(limit), Some(speed)) = (options.speed_limit, self.seen.speed) else {
            return;
        };
        let is_speeding = speed > limit;
        if is_speeding == visit.is_speeding {
            return;
        }
        visit.is_speeding = is_speeding;
        self.changed = true;
        if is_speeding && self.watch.kinds(fence).has(Detect::OVERSPEED) {
            self.events.push(Event {
                entered_ms: visit.entered_ms,
                speed: Some(speed),
                ..plain(Detect::OVERSPEED, fence, self.seen)
            });
        }
    }

    /// Ends a visit.
    fn leave(&mut self, visit: &Visit, fence: Option<&Fence>, reason: Reason) {
        self.changed = true;
        let (watch, time_ms) = (self.watch, self.time_ms());
        watch.exit(visit, fence, self.seen, time_ms, reason, self.events);
    }
}
