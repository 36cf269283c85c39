//! Which fences may contain a point: a hierarchical hash grid.
//!
//! ```text
//! shape -> level, whose cells it reaches over two of at most, each way
//!       -> those up to four cells that it really touches
//!
//! cell  -> directory -> list of postings | extent within the cell | number | or "covers the cell"
//! ```
//!
//! A point lies in one cell of each level; levels without fences are not asked, so that a query is
//! some eight probes. A posting is dropped by its extent alone unless the point lies in the bounds
//! of the shape, nearly; what is left is tested exactly, unless the shape covers the cell.
//!
//! From 100,000 fences on the cost is misses of the cache. So a query goes in passes, each of loads
//! that do not wait for one another: the slots of all levels, the lists, the records of the
//! candidates, their vertices, and only then the tests.
//!
//! Nothing is ever rebuilt. `cargo bench --bench fences`, stars of 36 vertices in 300 cities, busy EPYC:
//!
//! | fences | hits | query | a tree of boxes | insert | remove | bytes a fence |
//! |---|---|---|---|---|---|---|
//! | 10,000 | 0.24 | 0.2 us | 0.27 us | 1.2 us | | 84 |
//! | 100,000 | 2.4 | 0.9 us | 1.6 us | 1.8 us | 1.5 us | 75 |
//! | 1,000,000 | 24 | 8.1 us | 23 us | 2.8 us | 2.6 us | 66 |

use std::hint::black_box;
use std::mem::size_of;

use super::cell::{Cell, Extent, LEVELS, Range, Spot, level_of};
use super::directory::{Directory, Place, Value};
use super::lists::{Lists, Posting};
use super::segment;
use crate::engine::geo::point::{MAX_X, MAX_Y};
use crate::engine::geo::{Bounds, Cover, Point, Shape};
use crate::engine::relocate::Mover;
use crate::engine::table::rounded;

/// Candidates that are tested at once.
const BATCH: usize = 64;
/// Cells that are looked up at once.
const PROBES: usize = 16;
/// Postings between two looks at how full a batch is.
const STRETCH: usize = 16;

/// The index of shapes by number.
#[derive(Clone, Debug)]
pub(super) struct Index {
    directory: Directory,
    lists: Lists,
    /// Shapes of each level.
    counts: [u32; LEVELS],
    /// A bit for each level that has any.
    levels: u32,
    /// Shapes that reach to the south pole and to the north pole, in order: a pole is one place, but
    /// has every longitude.
    poles: [Vec<u32>; 2],
}

impl Default for Index {
    fn default() -> Self {
        Self {
            directory: Directory::default(),
            lists: Lists::default(),
            counts: [0; LEVELS],
            levels: 0,
            poles: [const { Vec::new() }; 2],
        }
    }
}

/// The levels of a set of bits.
fn levels_of(mut bits: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let level = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (level < 32).then_some(level)
    })
}

/// The cells that a shape touches, and how far it reaches into each.
fn cells_of(shape: &Shape, bounds: &Bounds, level: u32) -> Vec<(Cell, Extent)> {
    let mut cells: Vec<(Cell, Extent)> = Vec::with_capacity(4);
    for half in bounds.halves() {
        for cell in Range::new(level, &half).cells() {
            let (Some(inside), Some(extent)) = (cell.bounds(), Extent::of(&half, cell)) else {
                continue;
            };
            let extent = match shape.cover(&inside) {
                Cover::Outside => continue,
                Cover::Touches => extent,
                Cover::Covers => Extent::WHOLE,
            };
            // Both halves of a shape around nearly all of the earth reach into one cell.
            match cells.iter_mut().find(|(other, _)| *other == cell) {
                Some((_, other)) => *other = other.joined(extent),
                None => cells.push((cell, extent)),
            }
        }
    }
    cells
}

impl Index {
    /// Shows its allocations to a mover, all at once: they are few and large where there are many shapes.
    pub(super) fn relocate(&mut self, mover: &mut impl Mover) {
        self.directory.relocate(mover);
        self.lists.relocate(mover);
        for pole in &mut self.poles {
            mover.vector(pole);
        }
    }

    /// Adds a shape under a number that no other has.
    pub(super) fn insert(&mut self, number: u32, shape: &Shape) {
        let bounds = shape.bounds();
        let level = level_of(&bounds);
        for (cell, extent) in cells_of(shape, &bounds, level) {
            let list = self.directory.get(cell);
            let longer = self.lists.insert(list, Posting::new(number, extent));
            if list != Some(longer) {
                self.directory.set(cell, longer);
            }
        }
        self.counts[level as usize] += 1;
        self.levels |= 1 << level;
        for pole in poles_of(&bounds) {
            let pole = &mut self.poles[pole];
            pole.insert(pole.partition_point(|&other| other < number), number);
        }
    }

    /// Takes out what [`Index::insert`] added.
    pub(super) fn remove(&mut self, number: u32, shape: &Shape) {
        let bounds = shape.bounds();
        let level = level_of(&bounds);
        for cell in bounds
            .halves()
            .flat_map(|half| Range::new(level, &half).cells())
        {
            let Some(list) = self.directory.get(cell) else {
                continue;
            };
            match self.lists.remove(list, number) {
                None => self.directory.remove(cell),
                Some(shorter) if shorter != list => self.directory.set(cell, shorter),
                Some(_) => {}
            }
        }
        let count = &mut self.counts[level as usize];
        *count -= 1;
        if *count == 0 {
            self.levels &= !(1 << level);
        }
        for pole in poles_of(&bounds) {
            self.poles[pole].retain(|&other| other != number);
        }
    }

    /// Adds the numbers of the shapes that contain a point, in no order.
    pub(super) fn at<'a>(
        &self,
        point: Point,
        shapes: impl Fn(u32) -> &'a Shape + Copy,
        numbers: &mut Vec<u32>,
    ) {
        if point.y.abs() == MAX_Y {
            let all = self.poles[usize::from(point.y > 0)].iter().copied();
            numbers.extend(all.filter(|&number| shapes(number).contains(point)));
            return;
        }
        self.beside(point, shapes, numbers);
        if point.x.abs() == MAX_X {
            let same = Point {
                x: -point.x,
                ..point
            };
            self.beside(same, shapes, numbers);
            numbers.sort_unstable();
            numbers.dedup();
        }
    }

    /// The same on one side of the antimeridian.
    fn beside<'a>(
        &self,
        point: Point,
        shapes: impl Fn(u32) -> &'a Shape + Copy,
        numbers: &mut Vec<u32>,
    ) {
        let mut places = [(Cell(0), Place::default()); LEVELS];
        let (mut count, mut seen) = (0, 0);
        for level in levels_of(self.levels) {
            let cell = Cell::of(level, point);
            places[count] = (cell, self.directory.place(cell));
            seen ^= self.directory.touch(places[count].1);
            count += 1;
        }
        black_box(seen);
        let mut lists = [(0, Value { kind: 0, bits: 0 }); LEVELS];
        let (mut found, mut seen) = (0, 0);
        for &(cell, place) in &places[..count] {
            if let Some(list) = self.directory.get_at(place, cell) {
                lists[found] = (cell.level(), list);
                found += 1;
                seen ^= self.lists.touch(list);
            }
        }
        black_box(seen);
        let mut batch = Batch::default();
        for &(level, list) in &lists[..found] {
            let spot = Spot::of(level, point);
            let mut one = Posting::new(0, Extent::WHOLE);
            for stretch in self.lists.get(list, &mut one).chunks(STRETCH) {
                batch.add(stretch, spot);
                if batch.len > BATCH - STRETCH {
                    batch.test(point, shapes, numbers);
                }
            }
        }
        batch.test(point, shapes, numbers);
    }

    /// The numbers of shapes that may share a point with a box, in order.
    pub(super) fn reaching(&self, bounds: &Bounds) -> Vec<u32> {
        let sides = sides(bounds);
        let mut numbers = Vec::new();
        let mut walked: Vec<(Range, Bounds)> = Vec::new();
        for side in &sides {
            for level in levels_of(self.levels) {
                let range = Range::new(level, side);
                // Where there are fewer cells than that, all that there are are gone through.
                if range.len() > self.directory.len() as u64 / 4 {
                    walked.push((range, *side));
                    continue;
                }
                let cells = range.cells().map(|cell| (cell, *side));
                self.gather_all(cells, &mut numbers);
            }
        }
        if !walked.is_empty() {
            for (cell, list) in self.directory.iter() {
                let sides = walked.iter().filter(|(range, _)| range.contains(cell));
                for (_, side) in sides {
                    self.gather(cell, list, side, &mut numbers);
                }
            }
        }
        self.finish(bounds, &mut numbers);
        numbers
    }

    /// Adds what reaches to a pole that a box reaches to, and puts the numbers in order.
    fn finish(&self, bounds: &Bounds, numbers: &mut Vec<u32>) {
        for pole in poles_of(bounds) {
            numbers.extend(&self.poles[pole]);
        }
        numbers.sort_unstable();
        numbers.dedup();
    }

    /// The numbers of shapes that may meet a segment, in order; `None` where it passes more than
    /// `limit` cells.
    pub(super) fn along(&self, from: Point, to: Point, limit: u64) -> Option<Vec<u32>> {
        let pieces = segment::pieces(from, to);
        let levels = || levels_of(self.levels);
        let cells = pieces
            .iter()
            .flat_map(|piece| levels().map(|level| piece.cells(level)));
        if cells.sum::<u64>() > limit {
            return None;
        }
        let mut cells = Vec::new();
        for piece in &pieces {
            for level in levels() {
                piece.walk(level, |cell, bounds| cells.push((cell, *bounds)));
            }
        }
        let mut numbers = Vec::new();
        self.gather_all(cells.into_iter(), &mut numbers);
        let (south, north) = (from.y.min(to.y), from.y.max(to.y));
        let bounds = Bounds {
            south,
            north,
            ..Bounds::WORLD
        };
        self.finish(&bounds, &mut numbers);
        Some(numbers)
    }

    /// Does the next for many cells, each with a box, in passes as a query for a point does.
    fn gather_all(&self, mut cells: impl Iterator<Item = (Cell, Bounds)>, numbers: &mut Vec<u32>) {
        let mut probes = [(Cell(0), Bounds::WORLD, Place::default()); PROBES];
        loop {
            let (mut count, mut seen) = (0, 0);
            for (probe, (cell, bounds)) in probes.iter_mut().zip(&mut cells) {
                *probe = (cell, bounds, self.directory.place(cell));
                seen ^= self.directory.touch(probe.2);
                count += 1;
            }
            black_box(seen);
            for (cell, bounds, place) in &probes[..count] {
                if let Some(list) = self.directory.get_at(*place, *cell) {
                    self.gather(*cell, list, bounds, numbers);
                }
            }
            if count < PROBES {
                break;
            }
        }
    }

    /// Adds the numbers of a cell's postings that reach into a box.
    fn gather(&self, cell: Cell, list: Value, bounds: &Bounds, numbers: &mut Vec<u32>) {
        let Some(extent) = Extent::of(bounds, cell) else {
            return;
        };
        let mut one = Posting::new(0, Extent::WHOLE);
        let postings = self.lists.get(list, &mut one).iter();
        let reaching = postings.filter(|posting| {
            let other = posting.extent();
            other.is_whole() || other.meets(extent)
        });
        numbers.extend(reaching.map(|posting| posting.number()));
    }

    /// Cells that have a list.
    pub(super) const fn cells(&self) -> usize {
        self.directory.len()
    }

    /// Bytes of its own allocations.
    pub(super) fn heap_bytes(&self) -> usize {
        let poles = self.poles.iter();
        let poles: usize = poles
            .map(|pole| rounded(pole.capacity() * size_of::<u32>()))
            .sum();
        self.directory.heap_bytes() + self.lists.heap_bytes() + poles
    }
}

/// The poles that a box reaches to.
fn poles_of(bounds: &Bounds) -> impl Iterator<Item = usize> + use<> {
    let reached = [bounds.south == -MAX_Y, bounds.north == MAX_Y];
    (0..2).filter(move |&pole| reached[pole])
}

/// A box as boxes that do not cross the antimeridian, with the other side of it where it ends there.
fn sides(bounds: &Bounds) -> Vec<Bounds> {
    let mut sides: Vec<Bounds> = bounds.halves().collect();
    let has = |x: i32| sides.iter().any(|side| side.west == x || side.east == x);
    let meridian = |x: i32| Bounds {
        west: x,
        east: x,
        ..*bounds
    };
    match (has(-MAX_X), has(MAX_X)) {
        (true, false) => sides.push(meridian(MAX_X)),
        (false, true) => sides.push(meridian(-MAX_X)),
        _ => {}
    }
    sides
}

/// Candidates for a point.
#[derive(Debug)]
struct Batch {
    postings: [Posting; BATCH],
    len: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            postings: [Posting::new(0, Extent::WHOLE); BATCH],
            len: 0,
        }
    }
}

impl Batch {
    /// Adds those postings whose extent has the spot in it. Without a branch, since it is a toss.
    fn add(&mut self, postings: &[Posting], spot: Spot) {
        for &posting in postings {
            self.postings[self.len % BATCH] = posting;
            let extent = posting.extent();
            self.len += usize::from(extent.is_whole() | extent.contains(spot));
        }
    }

    /// Tests all, and is empty again.
    fn test<'a>(
        &mut self,
        point: Point,
        shapes: impl Fn(u32) -> &'a Shape,
        numbers: &mut Vec<u32>,
    ) {
        let postings = &self.postings[..self.len];
        let (mut seen, mut lines) = (0u32, 0);
        for posting in postings {
            seen += u32::from(matches!(shapes(posting.number()), Shape::Area(_)));
        }
        black_box(seen);
        for posting in postings {
            lines ^= shapes(posting.number()).touch();
        }
        black_box(lines);
        for posting in postings {
            let number = posting.number();
            if posting.extent().is_whole() || shapes(number).contains(point) {
                numbers.push(number);
            }
        }
        self.len = 0;
    }
}
