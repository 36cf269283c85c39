//! The devices of a region as they are now, for a search that runs elsewhere later.
//!
//! ```text
//! leaves   | cell | end |  ..                 in the order of the grid, for a search by shape
//! entries  | x | y | number |  ..             12 bytes a device
//! names    | id | time |  ..                  32 bytes
//! said     | readings | fields |  ..          72 bytes, only where they are asked for; fields are shared
//! ```
//!
//! A copy takes some nanoseconds a device where loads do not wait for one another, so it goes column by
//! column; a search of it takes many times that. It finds what one of the fleet would have found,
//! cursors included, because the leaves are all that a search asks of a grid.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::cell::{Cell, Path};
use super::condition::Subject;
use super::grid::{Entry, Part};
use super::nearest::Best;
use super::search::{Cursor, Found, Leaves, Near, Page, Region, Size, Wanted};
use super::{Device, Fields, Fleet, Position, Readings};
use crate::engine::geo::Shape;
use crate::engine::query::{Halted, Watch};
use crate::engine::table::{Named, Text};

/// Entries between two questions to the watch.
const STRETCH: usize = 512;
/// Devices that are copied together.
const BATCH: usize = 32;

/// What is known of a device that was found.
#[derive(Clone, Copy, Debug)]
pub struct Known<'f> {
    /// Its id.
    pub id: &'f [u8],
    /// Where it is since when.
    pub position: Position,
    /// Its fields.
    pub fields: &'f Fields,
}

impl<'f> From<&'f Device> for Known<'f> {
    fn from(device: &'f Device) -> Self {
        Self {
            id: device.id(),
            position: device.position(),
            fields: device.fields(),
        }
    }
}

/// The end of a leaf in the entries.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    cell: Cell,
    end: usize,
}

/// A copy of the devices that a search may look at, and perhaps some beside.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    leaves: Vec<Leaf>,
    entries: Vec<Entry>,
    names: Vec<(Text, i64)>,
    /// One for each entry, or none at all.
    said: Vec<(Readings, Fields)>,
}

impl Candidates {
    /// How many devices were copied.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn push_leaf(&mut self, cell: Cell, entries: &[Entry]) {
        self.entries.extend_from_slice(entries);
        let end = self.entries.len();
        self.leaves.push(Leaf { cell, end });
    }

    /// Copies what else is asked of the entries.
    fn describe(&mut self, fleet: &Fleet, wanted: &Wanted<'_>, with_fields: bool) {
        let is_said = with_fields || !wanted.conditions.is_empty();
        self.names.reserve_exact(self.entries.len());
        self.said
            .reserve_exact(if is_said { self.entries.len() } else { 0 });
        for some in self.entries.chunks(BATCH) {
            let devices = some.iter().map(|entry| &fleet.devices[entry.number]);
            let name = |device: &Device| (device.name_copied(), device.position.time_ms);
            self.names.extend(devices.clone().map(name));
            if is_said {
                let said = devices.map(|device| (device.readings(), device.fields().clone()));
                self.said.extend(said);
            }
        }
    }

    /// As [`Fleet::nearest`], of these. O(n).
    ///
    /// # Errors
    /// `Halted` by the watch.
    pub fn nearest(
        &self,
        near: &Near,
        wanted: &Wanted<'_>,
        watch: &impl Watch,
    ) -> Result<Vec<Found>, Halted> {
        if near.count == 0 || near.radius_m.is_nan() {
            return Ok(Vec::new());
        }
        let mut best = Best::new(near.center, near.radius_m, near.count);
        let mut accept = self.accept(wanted);
        for some in self.entries.chunks(STRETCH) {
            if !watch.permits(some.len() * wanted.effort()) {
                return Err(Halted);
            }
            best.offer(some, &mut accept);
        }
        let sorted = best.into_sorted().into_iter();
        let with_names = |(distance_m, device)| Found { distance_m, device };
        Ok(sorted.map(with_names).collect())
    }

    /// As [`Fleet::within`], of these.
    ///
    /// # Errors
    /// `Halted` by the watch.
    pub fn within(
        &self,
        shape: &Shape,
        wanted: &Wanted<'_>,
        page: (Size, Cursor),
        watch: &impl Watch,
    ) -> Result<Page, Halted> {
        let region = Region::new(shape);
        let watch = (watch, wanted.effort());
        Leaves::within(self, &region, page, watch, &mut self.accept(wanted))
    }

    /// What is known of some of these, by number and in their order. O(n).
    pub fn known(&self, numbers: impl ExactSizeIterator<Item = u32>) -> Vec<Known<'_>> {
        let numbers: Vec<u32> = numbers.collect();
        let mut places: HashMap<u32, usize> = numbers.iter().map(|&one| (one, 0)).collect();
        for (at, entry) in self.entries.iter().enumerate() {
            if let Some(place) = places.get_mut(&entry.number) {
                *place = at;
            }
        }
        let known = numbers.iter().map(|number| self.known_at(places[number]));
        known.collect()
    }

    fn known_at(&self, at: usize) -> Known<'_> {
        const NONE: &Fields = &Fields::NONE;
        let (id, time_ms) = &self.names[at];
        Known {
            id: id.name(),
            position: Position {
                time_ms: *time_ms,
                point: self.entries[at].point(),
            },
            fields: self.said.get(at).map_or(NONE, |(_, fields)| fields),
        }
    }

    fn takes(&self, at: usize, wanted: &Wanted<'_>) -> bool {
        let known = self.known_at(at);
        let readings = self.said.get(at).map(|(readings, _)| *readings);
        let subject = Subject {
            position: known.position,
            readings: readings.unwrap_or_default(),
            fields: known.fields,
        };
        wanted.conditions.iter().all(|one| one.holds(&subject))
            && wanted.glob.is_none_or(|glob| glob.matches(known.id))
    }

    fn accept(&self, wanted: &Wanted<'_>) -> impl FnMut(Entry) -> bool {
        let is_any = wanted.is_any();
        let places = if is_any { &[][..] } else { &self.entries[..] };
        let places = places.iter().map(|entry| entry.number).zip(0..);
        let places: HashMap<u32, usize> = places.collect();
        move |entry: Entry| {
            wanted.except != Some(entry.number)
                && (is_any || self.takes(places[&entry.number], wanted))
        }
    }

    /// Visits the leaves from `first` to before `end`, which are those of a cell.
    fn visit_cell(
        &self,
        (first, end): (usize, usize),
        cell: Cell,
        (from, known): (Path, Part),
        part_of: &mut impl FnMut(Cell) -> Part,
        visit: &mut impl FnMut(&[Entry], Cell, Part) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if first == end || cell.last() < from {
            return ControlFlow::Continue(());
        }
        let part = match known {
            Part::All => Part::All,
            _ => part_of(cell),
        };
        if part == Part::None {
            return ControlFlow::Continue(());
        }
        if self.leaves[first].cell == cell {
            let start = first.checked_sub(1).map_or(0, |at| self.leaves[at].end);
            let entries = &self.entries[start..self.leaves[first].end];
            return visit(entries, cell, part);
        }
        let mut first = first;
        for quarter in 0..4 {
            let cell = cell.quarter(quarter);
            let is_in = |leaf: &Leaf| leaf.cell.first <= cell.last();
            let next = first + self.leaves[first..end].partition_point(is_in);
            self.visit_cell((first, next), cell, (from, part), part_of, visit)?;
            first = next;
        }
        ControlFlow::Continue(())
    }
}

impl Leaves for Candidates {
    fn visit(
        &self,
        from: Path,
        part_of: &mut impl FnMut(Cell) -> Part,
        visit: &mut impl FnMut(&[Entry], Cell, Part) -> ControlFlow<()>,
    ) {
        let all = (0, self.leaves.len());
        let _ = self.visit_cell(all, Cell::ROOT, (from, Part::Some), part_of, visit);
    }
}

impl Fleet {
    /// Copies the devices that [`Fleet::nearest`] may have to look at, `with_fields` where these are to
    /// be told. O(count) where nothing but the place is asked; else all within the radius.
    pub fn candidates_near(
        &self,
        near: &Near,
        wanted: &Wanted<'_>,
        with_fields: bool,
    ) -> Candidates {
        let mut candidates = Candidates::default();
        if near.count > 0 {
            let count = if wanted.is_any() {
                near.count
                    .saturating_add(usize::from(wanted.except.is_some()))
            } else {
                usize::MAX
            };
            let mut copy = |entries: &[Entry]| candidates.entries.extend_from_slice(entries);
            self.grid
                .around(near.center, near.radius_m, count, &mut copy);
        }
        candidates.describe(self, wanted, with_fields);
        candidates
    }

    /// Copies the devices that [`Fleet::within`] may have to look at for a page, `with_fields` where
    /// these are to be told.
    pub fn candidates_within(
        &self,
        shape: &Shape,
        wanted: &Wanted<'_>,
        (size, from): (Size, Cursor),
        with_fields: bool,
    ) -> Candidates {
        let region = Region::new(shape);
        let is_any = wanted.is_any();
        let (mut sure, mut looked) = (0, 0);
        let mut candidates = Candidates::default();
        let mut copy = |entries: &[Entry], cell: Cell, part| {
            candidates.push_leaf(cell, entries);
            // The leaf that a page ends before is needed, as the cursor is there.
            if size.is_reached(sure, looked, entries.len()) {
                return ControlFlow::Break(());
            }
            looked += entries.len();
            if part == Part::All && is_any && cell.first > from.path() {
                sure += entries.len() - usize::from(wanted.except.is_some()).min(entries.len());
            }
            ControlFlow::Continue(())
        };
        let mut part_of = |cell: Cell| region.rough_part_of(cell);
        self.grid.visit(from.path(), &mut part_of, &mut copy);
        candidates.describe(self, wanted, with_fields);
        candidates
    }
}
