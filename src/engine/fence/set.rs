//! Fences by id, by number, by place, by group and by device.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::RandomState;
use std::hint::black_box;
use std::mem::size_of;

use triomphe::{Arc, ThinArc};

use super::index::Index;
use super::members::{Group, Naming, Roll};
use super::options::{Detect, Options};
use crate::engine::geo::{Bounds, Point, Shape};
use crate::engine::query::Zone;
use crate::engine::relocate::{Mover, STRIDE};
use crate::engine::table::rounded;
use crate::engine::table::{Dictionary, Named};
use crate::engine::{Error, Result, Timestamp};

/// Most fences of one set.
pub const MAX_FENCES: usize = 1 << 30;
/// Longest id of a fence, in bytes.
pub const MAX_ID_BYTES: usize = 512;

/// Candidates that are looked at together.
pub(super) const SIFTED: usize = 32;

/// The id of a fence: any bytes, which who has it shares.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FenceId(ThinArc<(), u8>);

impl FenceId {
    /// An id of its own.
    pub fn new(id: &[u8]) -> Self {
        Self(ThinArc::from_header_and_slice((), id))
    }

    /// Whether two share their bytes: mostly enough to know that they are the same, at the price of a
    /// compare of addresses.
    #[inline]
    pub fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(&raw const *self.0, &raw const *other.0)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.slice
    }

    fn heap_bytes(&self) -> usize {
        // Two words before the bytes: the number of owners and the length.
        rounded(16 + self.as_bytes().len())
    }
}

impl fmt::Debug for FenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

/// A place with rules.
#[derive(Clone, Debug)]
pub struct Fence {
    /// What clients call it.
    pub id: FenceId,
    /// Where it is.
    pub shape: Shape,
    /// What it asks for; `None` where that is nothing in particular.
    pub options: Option<Arc<Options>>,
    /// When it ends, in milliseconds; 0 is never.
    pub expires_ms: Timestamp,
}

const _: () = assert!(
    size_of::<Option<Fence>>() <= 64,
    "a million fences are 64 MB at most"
);

impl Named for Fence {
    fn name(&self) -> &[u8] {
        self.id.as_bytes()
    }
}

impl Fence {
    /// What it tells of, where that is said.
    pub fn detect(&self) -> Option<Detect> {
        self.options.as_ref().and_then(|options| options.detect)
    }

    /// What it asks for, where that is anything in particular.
    #[inline]
    pub fn options(&self) -> Option<&Options> {
        self.options.as_deref()
    }

    /// Whether it is for a device.
    pub fn is_for(&self, device: &[u8]) -> bool {
        self.options
            .as_ref()
            .is_none_or(|options| options.is_for(device))
    }

    /// Whether its schedule is open at a time.
    pub fn is_open(&self, time_ms: Timestamp) -> bool {
        self.options
            .as_ref()
            .is_none_or(|options| options.is_open(time_ms))
    }

    fn relocate(&mut self, mover: &mut impl Mover) {
        mover.shared(&mut self.id.0);
        self.shape.relocate(mover);
        if let Some(options) = &mut self.options {
            mover.counted(options);
        }
    }

    fn heap_bytes(&self) -> usize {
        let options = self
            .options
            .as_ref()
            .map_or(0, |options| options.heap_bytes());
        self.id.heap_bytes() + rounded(self.shape.heap_bytes()) + options
    }
}

/// What an insertion did.
#[derive(Debug)]
pub struct Inserted {
    /// The fence's number, which a replaced one had before.
    pub number: u32,
    /// The fence that had this id.
    pub replaced: Option<Fence>,
}

/// A set of fences.
#[derive(Clone, Debug, Default)]
pub struct FenceSet {
    fences: Dictionary<Fence>,
    index: Index,
    groups: Roll<Group>,
    naming: Roll<Naming>,
    deadlines: BTreeSet<(Timestamp, u32)>,
    /// Zones of schedules, each once: the rules of one are some kilobytes.
    zones: Vec<Zone>,
    hasher: RandomState,
    epoch: u64,
    /// Kinds of events that any fence has named since the set was empty.
    named: Detect,
    /// When the next fence ends, as a timer was told.
    told_ms: Option<Timestamp>,
    /// Bytes that fences have allocated.
    allocated: usize,
}

impl FenceSet {
    /// An empty set, whose hash tables have random keys of their own.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many fences there are.
    pub const fn len(&self) -> usize {
        self.fences.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts the changes: as long as it is the same, so is all that the set answers.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Kinds of events that fences have named, perhaps of some that are gone.
    pub const fn named_kinds(&self) -> Detect {
        self.named
    }

    /// Adds a fence, or puts it in the place of the one with its id. O(vertices).
    ///
    /// # Errors
    /// Those of [`Options::check`], and `Limit`.
    pub fn insert(
        &mut self,
        id: &[u8],
        shape: Shape,
        mut options: Options,
        expires_ms: Timestamp,
    ) -> Result<Inserted> {
        Error::within(id.len(), "bytes in the id of a fence", MAX_ID_BYTES)?;
        options.check()?;
        let known = self.fences.find(id, &self.hasher);
        if known.is_none() {
            Error::within(self.len() + 1, "fences", MAX_FENCES)?;
        }
        self.share_zone(&mut options);
        self.named = self.named | options.detect.unwrap_or_default();
        let options = (options != Options::default()).then(|| Arc::new(options));
        let mut fence = Fence {
            id: FenceId::new(id),
            shape,
            options,
            expires_ms,
        };
        self.epoch += 1;
        let Some(number) = known else {
            let number = self.fences.insert(fence, &self.hasher);
            self.attach(number);
            return Ok(Inserted {
                number,
                replaced: None,
            });
        };
        self.detach(number);
        let place = self
            .fences
            .get_mut(number)
            .expect("BUG: a number that was just found");
        fence.id = place.id.clone();
        let replaced = Some(std::mem::replace(place, fence));
        self.attach(number);
        Ok(Inserted { number, replaced })
    }

    /// Takes the fence with an id out, with the number it had. O(vertices).
    pub fn remove(&mut self, id: &[u8]) -> Option<(u32, Fence)> {
        let number = self.fences.find(id, &self.hasher)?;
        Some((number, self.take(number)?))
    }

    fn take(&mut self, number: u32) -> Option<Fence> {
        self.detach(number);
        self.epoch += 1;
        let fence = self.fences.remove(number, &self.hasher);
        if self.is_empty() {
            // Gives the memory back.
            *self = Self {
                hasher: self.hasher.clone(),
                epoch: self.epoch,
                told_ms: self.told_ms,
                ..Self::default()
            };
        }
        fence
    }

    /// The fence with an id, and its number.
    pub fn get(&self, id: &[u8]) -> Option<(u32, &Fence)> {
        let number = self.fences.find(id, &self.hasher)?;
        Some((number, self.fences.get(number)?))
    }

    /// The fence of a number.
    pub fn fence(&self, number: u32) -> Option<&Fence> {
        self.fences.get(number)
    }

    /// Every fence from a number on, in the order of numbers. O(1) to begin.
    pub fn from(&self, first: u32) -> impl Iterator<Item = (u32, &Fence)> {
        self.fences.iter_from(first)
    }

    /// The numbers of the fences that contain a point, in order, in the place of what `numbers` had.
    pub fn at(&self, point: Point, numbers: &mut Vec<u32>) {
        numbers.clear();
        self.index
            .at(point, |number| &self.fences[number].shape, numbers);
        numbers.sort_unstable();
    }

    /// The numbers of the fences that meet a segment, which goes the shorter way around, in order, in
    /// the place of what `numbers` had. Returns false, and finds none, where it passes more than
    /// `limit` cells of the index and there are more fences than that.
    pub fn along(&self, from: Point, to: Point, limit: usize, numbers: &mut Vec<u32>) -> bool {
        numbers.clear();
        let meets = |fence: &Fence| fence.shape.meets_segment(from, to);
        if let Some(candidates) = self.index.along(from, to, limit as u64) {
            self.sift(&candidates, meets, numbers);
            return true;
        }
        if self.len() > limit {
            return false;
        }
        let meeting = self.from(0).filter(|(_, fence)| meets(fence));
        numbers.extend(meeting.map(|(number, _)| number));
        true
    }

    /// Adds those of some numbers for whose fences something holds. The fences are brought near before
    /// they are looked at, so that misses of the cache overlap.
    fn sift(&self, candidates: &[u32], holds: impl Fn(&Fence) -> bool, numbers: &mut Vec<u32>) {
        for some in candidates.chunks(SIFTED) {
            self.bring_near(some);
            let holding = some.iter().filter(|&&number| holds(&self.fences[number]));
            numbers.extend(holding);
        }
    }

    /// Loads of some fences what is looked at first.
    pub(super) fn bring_near(&self, numbers: &[u32]) {
        let seen = numbers
            .iter()
            .map(|&number| self.fences[number].shape.touch());
        black_box(seen.fold(0, |seen, next| seen ^ next));
    }

    /// The shapes of some numbers, each some before it is needed.
    pub(super) fn shapes<'s>(
        &'s self,
        numbers: &'s [u32],
    ) -> impl Iterator<Item = (u32, &'s Shape)> {
        numbers.chunks(SIFTED).flat_map(|some| {
            self.bring_near(some);
            let shape = |&number| Some((number, &self.fence(number)?.shape));
            some.iter().filter_map(shape)
        })
    }

    /// The numbers of fences that may reach into a box, in order.
    pub(super) fn reaching(&self, bounds: &Bounds) -> Vec<u32> {
        self.index.reaching(bounds)
    }

    /// The numbers of the fences that name a device, in order.
    pub fn naming(&self, device: &[u8]) -> &[u32] {
        let naming = self.naming.get(device, &self.hasher);
        naming.map_or(&[], Naming::fences)
    }

    /// The group of a name, if any fence is in it.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name, &self.hasher)
    }

    /// All groups, in no particular order.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }

    /// When the next fence ends.
    pub fn next_expiry_ms(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|&(at_ms, _)| at_ms)
    }

    /// Shows allocations to a mover, from one on, until it must pause. Returns where it goes on.
    pub fn relocate(&mut self, from: u64, mover: &mut impl Mover) -> Option<u64> {
        if from == 0 {
            self.index.relocate(mover);
        }
        for number in u32::try_from(from).ok()?..self.fences.end() {
            let place = u64::from(number);
            if place > from && number % STRIDE == 0 && mover.must_pause() {
                return Some(place);
            }
            self.fences.relocate(number, mover);
            if let Some(fence) = self.fences.get_mut(number) {
                fence.relocate(mover);
            }
        }
        None
    }

    /// Whether the next fence ends at another time than when this was last asked.
    pub fn take_news(&mut self) -> bool {
        let next_ms = self.next_expiry_ms();
        std::mem::replace(&mut self.told_ms, next_ms) != next_ms
    }

    /// Takes up to `limit` fences out that have ended at a time, with the numbers they had.
    pub fn take_expired(&mut self, now_ms: Timestamp, limit: usize) -> Vec<(u32, Fence)> {
        let mut expired = Vec::new();
        while expired.len() < limit
            && let Some(&(at_ms, number)) = self.deadlines.first()
            && at_ms <= now_ms
            && let Some(fence) = self.take(number)
        {
            expired.push((number, fence));
        }
        expired
    }

    /// Cells of the index that any fence touches.
    pub const fn cells(&self) -> usize {
        self.index.cells()
    }

    /// Bytes of the index by place.
    pub fn index_bytes(&self) -> usize {
        self.index.heap_bytes()
    }

    /// Bytes allocated, as an allocator with classes of 16 bytes gives them. O(groups and devices).
    pub fn heap_bytes(&self) -> usize {
        /// Places in a node of the tree, of which some eight are taken.
        const DEADLINES: usize = 11;
        let node = rounded(DEADLINES * size_of::<(Timestamp, u32)>() + 16);
        self.allocated
            + self.fences.heap_bytes()
            + self.index.heap_bytes()
            + self.groups.heap_bytes()
            + self.naming.heap_bytes()
            + self.deadlines.len().div_ceil(8) * node
    }

    /// Feeds what makes two sets equal, as a sequence of byte strings: fences in the order of ids,
    /// however they came in.
    pub fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        let mut fences: Vec<&Fence> = self.from(0).map(|(_, fence)| fence).collect();
        fences.sort_unstable_by(|one, other| one.id.as_bytes().cmp(other.id.as_bytes()));
        let mut bytes = Vec::new();
        for fence in fences {
            feed(fence.id.as_bytes());
            bytes.clear();
            fence.shape.write(&mut bytes);
            feed(&bytes);
            feed(&fence.expires_ms.to_le_bytes());
            if let Some(options) = &fence.options {
                options.digest(feed);
            }
        }
    }

    /// Lets a schedule use the zone of others.
    fn share_zone(&mut self, options: &mut Options) {
        let Some(schedule) = &mut options.schedule else {
            return;
        };
        let mut zones = self.zones.iter();
        match zones.find(|zone| zone.name() == schedule.zone().name()) {
            Some(zone) => schedule.share(zone),
            None => self.zones.push(schedule.zone().clone()),
        }
    }

    /// Enters a fence everywhere but under its id.
    fn attach(&mut self, number: u32) {
        let fence = &self.fences[number];
        self.allocated += fence.heap_bytes();
        self.index.insert(number, &fence.shape);
        if fence.expires_ms != 0 {
            self.deadlines.insert((fence.expires_ms, number));
        }
        let Some(options) = &fence.options else {
            return;
        };
        for name in options.groups.iter() {
            self.groups.join(name, number, &self.hasher);
        }
        for device in options.devices.iter() {
            self.naming.join(device, number, &self.hasher);
        }
    }

    /// Takes a fence out of all that [`FenceSet::attach`] enters it into.
    fn detach(&mut self, number: u32) {
        let fence = &self.fences[number];
        self.allocated -= fence.heap_bytes();
        self.index.remove(number, &fence.shape);
        self.deadlines.remove(&(fence.expires_ms, number));
        let Some(options) = &fence.options else {
            return;
        };
        for name in options.groups.iter() {
            self.groups.leave(name, number, &self.hasher);
        }
        for device in options.devices.iter() {
            self.naming.leave(device, number, &self.hasher);
        }
    }
}
