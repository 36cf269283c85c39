//! Devices by place, by what is known of them, and by id.
//!
//! A search has bounds: how many devices it finds, and how much it looks at, which a watch decides. So a
//! caller who must not wait can try it, and hand it over elsewhere ([`super::Candidates`]) where that
//! does not suffice. A look at a device costs 1, and 4 where it is asked something beside its place; one
//! at the border of a shape more, by the vertices that it is compared with.

use std::cell::Cell as Flag;
use std::ops::ControlFlow;

use super::cell::{Cell, Path};
use super::condition::Condition;
use super::grid::{Entry, Grid, Part};
use super::nearest::Request;
use super::window::Window;
use super::{Device, Fleet};
use crate::engine::geo::{Bounds, Cover, Point, Shape};
use crate::engine::index::Glob;
use crate::engine::query::{Halted, Watch};

/// What is asked of a device beside its place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// All must hold.
    pub conditions: &'a [Condition],
    /// The id must be so.
    pub glob: Option<&'a Glob>,
    /// A device that is left out, by number: the one that asks.
    pub except: Option<u32>,
}

impl Wanted<'_> {
    pub(super) fn is_any(&self) -> bool {
        self.conditions.is_empty() && self.glob.is_none()
    }

    /// What a look at a device costs.
    pub(super) fn effort(&self) -> usize {
        /// The device lies elsewhere than its place.
        const ASKED: usize = 4;
        if self.is_any() { 1 } else { ASKED }
    }

    fn takes(&self, device: &Device) -> bool {
        let subject = device.subject();
        self.conditions.iter().all(|one| one.holds(&subject))
            && self.glob.is_none_or(|glob| glob.matches(device.id()))
    }
}

/// A search for the nearest.
#[derive(Clone, Copy, Debug)]
pub struct Near {
    /// From where.
    pub center: Point,
    /// How far, in metres; may be infinite.
    pub radius_m: f64,
    /// How many.
    pub count: usize,
}

/// A device that was found, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// In metres.
    pub distance_m: f64,
    /// The number of the device.
    pub device: u32,
}

/// Where a search goes on: a place in the order of cells of the grid, or in that of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u128);

/// A part of what a search finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Numbers of devices.
    pub devices: Vec<u32>,
    /// Where it goes on, unless all was searched.
    pub next: Option<Cursor>,
}

/// How large a page may be, and how much may be looked at for it. At least one leaf is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Most devices found.
    pub limit: usize,
    /// Most devices looked at, or nearly so.
    pub budget: usize,
}

/// A shape, prepared for the grid.
#[derive(Debug)]
pub(super) struct Region<'s> {
    shape: &'s Shape,
    window: Window,
    bounds: Bounds,
    /// What a comparison with the shape costs beside the look at what is compared.
    effort: usize,
    /// Boxes around parts of a shape that is slow to compare with.
    pieces: Vec<Window>,
}

/// The effort from which on a shape is slow: no area is.
const SLOW: usize = 18;
/// Parts of a shape that is slow.
const PIECES: usize = 64;

impl<'s> Region<'s> {
    pub(super) fn new(shape: &'s Shape) -> Self {
        let bounds = shape.bounds();
        let effort = match shape {
            Shape::Box(_) => 0,
            _ => shape.effort_of_place(),
        };
        let pieces = if effort < SLOW {
            Vec::new()
        } else {
            shape.pieces(PIECES).iter().map(Window::new).collect()
        };
        Self {
            shape,
            window: Window::new(&bounds),
            bounds,
            effort,
            pieces,
        }
    }

    /// Which leaves are to be looked at; of a shape that is slow to compare with, those near its pieces.
    pub(super) fn rough_part_of(&self, cell: Cell) -> Part {
        if self.pieces.is_empty() {
            return self.part_of(cell);
        }
        let cell = cell.bounds();
        let is_near = |window: &Window| window.part_of(&cell) != Part::None;
        if is_near(&self.window) && self.pieces.iter().any(is_near) {
            Part::Some
        } else {
            Part::None
        }
    }

    /// What is known of a leaf, where `rough` was said of it.
    fn part_of_leaf(&self, cell: Cell, rough: Part) -> Part {
        if self.pieces.is_empty() {
            rough
        } else {
            self.part_of(cell)
        }
    }

    /// What [`Region::rough_part_of`] costs.
    const fn effort_of_cell(&self) -> usize {
        /// A box of a piece is compared with as quickly as an edge.
        const PIECES_A_LOOK: usize = 8;
        if self.pieces.is_empty() {
            self.effort
        } else {
            self.pieces.len() / PIECES_A_LOOK
        }
    }

    /// What [`Region::part_of_leaf`] costs.
    const fn effort_of_leaf(&self) -> usize {
        if self.pieces.is_empty() {
            0
        } else {
            self.effort
        }
    }

    fn part_of(&self, cell: Cell) -> Part {
        let cell = cell.bounds();
        let part = self.window.part_of(&cell);
        let is_box = matches!(self.shape, Shape::Box(_));
        // What is larger than the shape it cannot cover, and mostly touches.
        let is_large = |from: i32, to: i32| i64::from(to) - i64::from(from) > WIDE;
        if part == Part::None || is_box || is_large(cell.west, cell.east) || self.is_larger(&cell) {
            return part.min_some(is_box);
        }
        match self.shape.cover(&cell) {
            Cover::Covers => Part::All,
            Cover::Touches => Part::Some,
            Cover::Outside if self.window.meets_edge(&cell) => Part::Some,
            Cover::Outside => Part::None,
        }
    }

    fn is_larger(&self, cell: &Bounds) -> bool {
        let height = |bounds: &Bounds| i64::from(bounds.north) - i64::from(bounds.south);
        height(cell) > height(&self.bounds)
    }

    pub(super) fn contains(&self, point: Point) -> bool {
        self.shape.contains(point)
    }
}

/// Units of a cell that is too wide to ask a shape about.
const WIDE: i64 = 1 << 30;

impl Part {
    /// Of a box, what the window says; of another shape, a window that has all says nothing.
    fn min_some(self, is_box: bool) -> Self {
        if self == Self::All && !is_box {
            Self::Some
        } else {
            self
        }
    }
}

impl Size {
    /// Whether a page ends before the next so many entries.
    pub(super) const fn is_reached(&self, found: usize, looked: usize, next: usize) -> bool {
        looked > 0 && (found >= self.limit || looked + next > self.budget)
    }
}

impl Cursor {
    /// The path that it is at.
    pub(super) fn path(self) -> Path {
        Path(u64::try_from(self.0 >> 32).unwrap_or(u64::MAX))
    }
}

/// The place of an entry in the order of cells.
fn cursor(entry: Entry) -> Cursor {
    Cursor(u128::from(entry.path().0) << 32 | u128::from(entry.number))
}

/// Leaves in the order of paths: those of a grid, or a copy of some.
pub(super) trait Leaves {
    /// As [`Grid::visit`].
    fn visit(
        &self,
        from: Path,
        part_of: &mut impl FnMut(Cell) -> Part,
        visit: &mut impl FnMut(&[Entry], Cell, Part) -> ControlFlow<()>,
    );

    /// The devices in a region that `accept` takes, in the order of cells from `from` on. `effort` is
    /// that of a look at a device.
    ///
    /// # Errors
    /// `Halted` by the watch.
    fn within(
        &self,
        region: &Region<'_>,
        (size, from): (Size, Cursor),
        (watch, effort): (&impl Watch, usize),
        accept: &mut impl FnMut(Entry) -> bool,
    ) -> Result<Page, Halted> {
        let mut page = Page::default();
        let mut looked = 0;
        let mut inside = Vec::new();
        let first = from.path();
        let is_halted = Flag::new(false);
        let permits = |effort: usize| {
            is_halted.set(!watch.permits(effort));
            !is_halted.get()
        };
        let mut look = |entries: &[Entry], cell: Cell, rough| {
            if size.is_reached(page.devices.len(), looked, entries.len()) {
                page.next = Some(Cursor(u128::from(cell.first.0) << 32).max(from));
                return ControlFlow::Break(());
            }
            looked += entries.len();
            let part = region.part_of_leaf(cell, rough);
            let look = match part {
                Part::None => 0,
                Part::Some => effort + region.effort,
                Part::All => effort,
            };
            if !permits(entries.len() * look + region.effort_of_leaf()) {
                return ControlFlow::Break(());
            }
            if part == Part::None {
                return ControlFlow::Continue(());
            }
            let is_behind = |entry: &Entry| cell.first > first || cursor(*entry) >= from;
            let takes = |entry: &Entry| part == Part::All || region.contains(entry.point());
            inside.clear();
            inside.extend(
                entries
                    .iter()
                    .filter(|entry| is_behind(entry) && takes(entry) && accept(**entry)),
            );
            let left = size.limit - page.devices.len().min(size.limit);
            if inside.len() > left {
                inside.sort_unstable_by_key(|entry| cursor(*entry));
                page.next = Some(cursor(inside[left]));
                inside.truncate(left);
            }
            page.devices.extend(inside.iter().map(|entry| entry.number));
            match page.next {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        };
        let mut part_of = |cell| {
            // Nothing more is looked at where cells alone have taken too long.
            if is_halted.get() || !permits(region.effort_of_cell()) {
                return Part::None;
            }
            region.rough_part_of(cell)
        };
        self.visit(first, &mut part_of, &mut look);
        if is_halted.get() {
            return Err(Halted);
        }
        Ok(page)
    }
}

impl Leaves for Grid {
    fn visit(
        &self,
        from: Path,
        part_of: &mut impl FnMut(Cell) -> Part,
        visit: &mut impl FnMut(&[Entry], Cell, Part) -> ControlFlow<()>,
    ) {
        self.visit(from, part_of, visit);
    }
}

impl Fleet {
    /// The nearest devices, by distance and then by number. O(found) where devices are as dense as at
    /// the center.
    ///
    /// # Errors
    /// `Halted` by the watch.
    pub fn nearest(
        &self,
        near: &Near,
        wanted: &Wanted<'_>,
        watch: &impl Watch,
    ) -> Result<Vec<Found>, Halted> {
        let request = Request {
            center: near.center,
            radius_m: near.radius_m,
            count: near.count,
            effort: wanted.effort(),
        };
        let found = self
            .grid
            .nearest(&request, watch, &mut self.accept(wanted))?;
        let found = found.into_iter();
        let with_names = |(distance_m, device)| Found { distance_m, device };
        Ok(found.map(with_names).collect())
    }

    /// The devices in a shape, in the order of places on the Z curve, from a cursor on. Who moves
    /// between two pages may be missed or come twice; who does not, does not.
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
        self.grid
            .within(&region, page, watch, &mut self.accept(wanted))
    }

    /// The devices in the order of numbers, from a cursor on.
    pub fn list(&self, wanted: &Wanted<'_>, size: Size, from: Cursor) -> Page {
        let mut page = Page::default();
        let from = u32::try_from(from.0).unwrap_or(u32::MAX);
        let mut accept = self.accept(wanted);
        for (looked, (number, device)) in self.devices.iter_from(from).enumerate() {
            if looked >= size.budget.max(1) || page.devices.len() >= size.limit {
                page.next = Some(Cursor(number.into()));
                break;
            }
            let Point { x, y } = device.point();
            if accept(Entry { x, y, number }) {
                page.devices.push(number);
            }
        }
        page
    }

    fn accept(&self, wanted: &Wanted<'_>) -> impl FnMut(Entry) -> bool {
        let is_any = wanted.is_any();
        move |entry: Entry| {
            wanted.except != Some(entry.number)
                && (is_any
                    || self
                        .device(entry.number)
                        .is_some_and(|device| wanted.takes(device)))
        }
    }
}
