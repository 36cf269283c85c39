//! Where the devices are: a grid whose cells part where there are many, and join where there are few.
//!
//! ```text
//! inner | child child child child | parent |             one of four quarters of the map, and so on
//!                   |
//! leaf  | first path | level | parent | entries | -> | x | y | number |  up to 64 of 12 bytes
//! ```
//!
//! A device keeps the number of the leaf it was found in. It is a hint and need not be true: a leaf
//! is the right one if it has the path of the device, else the way leads down from the root. So most
//! moves touch one leaf, where they change an entry in place, and a split or a join need not tell the
//! devices; a move into another leaf climbs to the next cell that has both.
//!
//! Measured with a million vehicles in 300 cities (`cargo bench --bench fleet`).

use std::mem::size_of;
use std::ops::ControlFlow;

use super::cell::{Cell, LEVELS, Path, mask};
use crate::engine::geo::{Bounds, Point};
use crate::engine::relocate::Mover;
use crate::engine::table::{Slab, rounded};

/// Entries over which a leaf parts.
const FULL: usize = 64;
/// Entries of four sister leaves at which they join; a leaf that has more than half does not ask.
const FEW: usize = 16;
/// Entries by which a leaf grows: doubling would leave a quarter empty.
const STEP: usize = 8;

/// A device in a leaf.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) number: u32,
}

impl Entry {
    pub(super) const fn point(self) -> Point {
        Point {
            x: self.x,
            y: self.y,
        }
    }

    #[inline]
    pub(super) fn path(self) -> Path {
        Path::of(self.point(), self.number)
    }
}

/// What is known of the entries of a cell before a look at each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// None belongs to what is searched.
    None,
    /// Each must be looked at.
    Some,
    /// All do.
    All,
}

/// An inner node or a leaf, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(u32);

impl Node {
    const LEAF: u32 = 1 << 31;
    /// The parent of the root.
    const NONE: u32 = u32::MAX;

    const fn leaf(number: u32) -> Self {
        Self(number | Self::LEAF)
    }

    #[inline]
    const fn as_leaf(self) -> Option<u32> {
        if self.0 & Self::LEAF == 0 {
            None
        } else {
            Some(self.0 & !Self::LEAF)
        }
    }
}

/// What a node has.
#[derive(Debug)]
pub(super) enum Inside<'g> {
    /// A leaf: entries.
    Entries(&'g [Entry]),
    /// The nodes of the four quarters of its cell.
    Quarters([Node; 4]),
}

#[derive(Clone, Debug)]
struct Inner {
    children: [Node; 4],
    parent: u32,
}

#[derive(Clone, Debug)]
struct Leaf {
    entries: Vec<Entry>,
    first: Path,
    level: u32,
    parent: u32,
}

impl Leaf {
    #[inline]
    const fn has(&self, path: Path) -> bool {
        (path.0 ^ self.first.0) & mask(self.level) == 0
    }

    #[inline]
    fn place(&self, number: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.number == number)
    }

    #[inline]
    fn push(&mut self, entry: Entry) {
        if self.entries.len() == self.entries.capacity() {
            // Above a full leaf by the half, as the last level may come to hold very many.
            let more = STEP.max(self.entries.len().saturating_sub(FULL) / 2);
            self.entries.reserve_exact(more);
        }
        self.entries.push(entry);
    }

    fn take(&mut self, number: u32) {
        let Some(at) = self.place(number) else {
            debug_assert!(false, "BUG: a device that is not in its leaf");
            return;
        };
        self.entries.swap_remove(at);
        if self.entries.capacity() > self.entries.len() * 2 + 2 * STEP {
            self.entries.shrink_to(self.entries.len() + STEP);
        }
    }
}

/// The places of numbered devices.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    leaves: Slab<Leaf>,
    inner: Slab<Inner>,
    root: Node,
}

impl Default for Grid {
    fn default() -> Self {
        let mut leaves = Slab::default();
        let root = leaves.insert(Leaf {
            entries: Vec::new(),
            first: Path(0),
            level: 0,
            parent: Node::NONE,
        });
        Self {
            leaves,
            inner: Slab::default(),
            root: Node::leaf(root),
        }
    }
}

impl Grid {
    /// A number above those of all leaves.
    pub(super) fn end(&self) -> u32 {
        self.leaves.end()
    }

    /// Shows the entries of a leaf to a mover, and with some leaves what else there is.
    pub(super) fn show_leaf(&mut self, leaf: u32, mover: &mut impl Mover) {
        self.leaves.relocate(leaf, mover);
        // There are fewer inner nodes than leaves.
        self.inner.relocate(leaf, mover);
        if let Some(leaf) = self.leaves.get_mut(leaf) {
            mover.vector(&mut leaf.entries);
        }
    }

    /// Enters a device; returns the leaf, to be given back as a hint. O(levels).
    pub(super) fn insert(&mut self, point: Point, number: u32) -> u32 {
        let leaf = self.leaf_under(self.root, 0, Path::of(point, number));
        self.push(leaf, point, number)
    }

    /// Takes a device out.
    pub(super) fn remove(&mut self, point: Point, number: u32, hint: u32) {
        let leaf = self.leaf_of(Path::of(point, number), hint);
        self.leaf_mut(leaf).take(number);
        self.join(leaf);
    }

    /// Moves a device; returns the leaf. In place where it stays in its leaf.
    #[inline]
    pub(super) fn relocate(&mut self, number: u32, from: Point, to: Point, hint: u32) -> u32 {
        let old = self.leaf_of(Path::of(from, number), hint);
        let path = Path::of(to, number);
        let leaf = self.leaf_mut(old);
        if leaf.has(path) {
            if let Some(at) = leaf.place(number) {
                leaf.entries[at] = Entry {
                    x: to.x,
                    y: to.y,
                    number,
                };
            }
            return old;
        }
        leaf.take(number);
        let (mut parent, mut level) = (leaf.parent, leaf.level - 1);
        let apart = path.0 ^ leaf.first.0;
        while apart & mask(level) != 0 {
            level -= 1;
            parent = self.inner[parent].parent;
        }
        let new = self.leaf_under(Node(parent), level, path);
        let new = self.push(new, to, number);
        self.join(old);
        new
    }

    /// The leaf that has a path: the one of the hint, or by the way from the root.
    #[inline]
    fn leaf_of(&self, path: Path, hint: u32) -> u32 {
        match self.leaves.get(hint) {
            Some(leaf) if leaf.has(path) => hint,
            _ => self.leaf_under(self.root, 0, path),
        }
    }

    #[inline]
    fn leaf_under(&self, mut node: Node, mut level: u32, path: Path) -> u32 {
        loop {
            if let Some(leaf) = node.as_leaf() {
                return leaf;
            }
            node = self.inner[node.0].children[path.quarter(level)];
            level += 1;
        }
    }

    fn leaf_mut(&mut self, leaf: u32) -> &mut Leaf {
        self.leaves.get_mut(leaf).expect("BUG: a leaf nobody has")
    }

    fn push(&mut self, mut number_of_leaf: u32, point: Point, number: u32) -> u32 {
        let Point { x, y } = point;
        let leaf = self.leaf_mut(number_of_leaf);
        leaf.push(Entry { x, y, number });
        let path = Path::of(point, number);
        while self.leaves[number_of_leaf].entries.len() > FULL
            && self.leaves[number_of_leaf].level < LEVELS
        {
            let (node, level) = self.part(number_of_leaf);
            number_of_leaf = self.leaf_under(node, level, path);
        }
        number_of_leaf
    }

    /// Parts a leaf in four; its number goes on as that of the first. Returns the node that is now
    /// in its place, and the level.
    #[cold]
    fn part(&mut self, number: u32) -> (Node, u32) {
        let leaf = self.leaf_mut(number);
        let (entries, level, first) = (std::mem::take(&mut leaf.entries), leaf.level, leaf.first);
        let parent = leaf.parent;
        let mut counts = [0; 4];
        for entry in &entries {
            counts[entry.path().quarter(level)] += 1;
        }
        let inner = self.inner.insert(Inner {
            children: [Node::leaf(number); 4],
            parent,
        });
        let mut parts = counts.map(|count: usize| Vec::with_capacity(count.next_multiple_of(4)));
        for entry in entries {
            parts[entry.path().quarter(level)].push(entry);
        }
        for (quarter, entries) in parts.into_iter().enumerate() {
            let part = Leaf {
                entries,
                first: Path(first.0 | (quarter as u64) << (62 - 2 * level)),
                level: level + 1,
                parent: inner,
            };
            let child = if quarter == 0 {
                *self.leaf_mut(number) = part;
                number
            } else {
                self.leaves.insert(part)
            };
            self.inner_mut(inner).children[quarter] = Node::leaf(child);
        }
        self.replace(parent, level, first, Node(inner));
        (Node(inner), level)
    }

    fn inner_mut(&mut self, number: u32) -> &mut Inner {
        self.inner.get_mut(number).expect("BUG: a node nobody has")
    }

    /// Puts a node in the place of the cell at `level` that begins at `first`.
    fn replace(&mut self, parent: u32, level: u32, first: Path, node: Node) {
        if parent == Node::NONE {
            self.root = node;
        } else {
            self.inner_mut(parent).children[first.quarter(level - 1)] = node;
        }
    }

    /// Joins a leaf that has lost an entry with its sisters, if they are few, and so on upwards.
    #[inline]
    fn join(&mut self, mut number: u32) {
        while let Some(leaf) = self.leaves.get(number) {
            // One of four losses asks the sisters.
            let len = leaf.entries.len();
            if len > FEW / 2 || len % 4 != 0 || leaf.parent == Node::NONE {
                return;
            }
            match self.join_children(leaf.parent) {
                Some(joined) => number = joined,
                None => return,
            }
        }
    }

    fn join_children(&mut self, parent: u32) -> Option<u32> {
        let Inner {
            children,
            parent: grandparent,
        } = self.inner[parent];
        let mut sum = 0;
        for child in children {
            sum += self.leaves[child.as_leaf()?].entries.len();
        }
        if sum > FEW {
            return None;
        }
        let mut entries = Vec::with_capacity(sum.next_multiple_of(4));
        let [kept, others @ ..] = children;
        let kept = kept.as_leaf()?;
        for child in others {
            let child = child.as_leaf()?;
            entries.append(&mut self.leaf_mut(child).entries);
            self.leaves.remove(child);
        }
        let leaf = self.leaf_mut(kept);
        entries.append(&mut leaf.entries);
        leaf.entries = entries;
        leaf.level -= 1;
        leaf.parent = grandparent;
        let (level, first) = (leaf.level, leaf.first);
        self.inner.remove(parent);
        self.replace(grandparent, level, first, Node::leaf(kept));
        Some(kept)
    }

    /// Visits the leaves in the order of paths, beginning with the one that has `from`: each with its
    /// cell, and with what `part_of` says of it. Cells of which it says `None` are left out, and
    /// those inside a cell of which it says `All` are not asked for.
    pub(super) fn visit<'g>(
        &'g self,
        from: Path,
        part_of: &mut impl FnMut(Cell) -> Part,
        visit: &mut impl FnMut(&'g [Entry], Cell, Part) -> ControlFlow<()>,
    ) {
        let _ = self.visit_node(self.root, Cell::ROOT, (from, Part::Some), part_of, visit);
    }

    fn visit_node<'g>(
        &'g self,
        node: Node,
        cell: Cell,
        (from, known): (Path, Part),
        part_of: &mut impl FnMut(Cell) -> Part,
        visit: &mut impl FnMut(&'g [Entry], Cell, Part) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if cell.last() < from {
            return ControlFlow::Continue(());
        }
        let leaf = node.as_leaf().map(|leaf| &self.leaves[leaf]);
        if leaf.is_some_and(|leaf| leaf.entries.is_empty()) {
            return ControlFlow::Continue(());
        }
        let part = match known {
            Part::All => Part::All,
            _ => part_of(cell),
        };
        if part == Part::None {
            return ControlFlow::Continue(());
        }
        if let Some(leaf) = leaf {
            return visit(&leaf.entries, cell, part);
        }
        let children = self.inner[node.0].children;
        for (quarter, child) in children.into_iter().enumerate() {
            self.visit_node(child, cell.quarter(quarter), (from, part), part_of, visit)?;
        }
        ControlFlow::Continue(())
    }

    /// The node of all, to begin with.
    pub(super) const fn root(&self) -> (Node, Cell) {
        (self.root, Cell::ROOT)
    }

    /// What a node has.
    pub(super) fn inside(&self, node: Node) -> Inside<'_> {
        match node.as_leaf() {
            Some(leaf) => Inside::Entries(&self.leaves[leaf].entries),
            None => Inside::Quarters(self.inner[node.0].children),
        }
    }

    /// Whether a node is a leaf without entries.
    pub(super) fn is_empty(&self, node: Node) -> bool {
        matches!(self.inside(node), Inside::Entries([]))
    }

    /// The cell of the leaf at a point, and how many entries it has.
    pub(super) fn crowd(&self, point: Point) -> (Bounds, usize) {
        let path = Path::of(point, 0);
        let (mut node, mut cell) = (self.root, Cell::ROOT);
        loop {
            if let Some(leaf) = node.as_leaf() {
                return (cell.bounds(), self.leaves[leaf].entries.len());
            }
            let quarter = path.quarter(cell.level);
            node = self.inner[node.0].children[quarter];
            cell = cell.quarter(quarter);
        }
    }

    /// Bytes of its allocations. O(leaves).
    pub(super) fn heap_bytes(&self) -> usize {
        let leaves = self.leaves.iter();
        let entries: usize = leaves
            .map(|(_, leaf)| rounded(leaf.entries.capacity() * size_of::<Entry>()))
            .sum();
        entries + self.leaves.heap_bytes() + self.inner.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(grid: &Grid) -> Vec<u32> {
        let mut found = Vec::new();
        grid.visit(Path(0), &mut |_| Part::All, &mut |entries, cell, _| {
            for entry in entries {
                assert!(cell.first <= entry.path() && entry.path() <= cell.last());
                found.push(entry.number);
            }
            ControlFlow::Continue(())
        });
        found.sort_unstable();
        found
    }

    #[test]
    fn cells_part_and_join_and_hints_may_be_wrong() {
        const DEVICES: u32 = 5000;
        let mut grid = Grid::default();
        let at = |number: u32, step: u32| Point {
            x: (number.wrapping_mul(0x9E37_79B9) % 3_000_000).cast_signed()
                + (step * 999).cast_signed(),
            y: (number % 71 * 40_000).cast_signed(),
        };
        let mut hints: Vec<u32> = (0..DEVICES)
            .map(|one| grid.insert(at(one, 0), one))
            .collect();
        for step in 1..20 {
            for number in 0..DEVICES {
                let hint = if number % 3 == 0 {
                    number
                } else {
                    hints[number as usize]
                };
                let (from, to) = (at(number, step - 1), at(number, step));
                hints[number as usize] = grid.relocate(number, from, to, hint);
            }
            assert_eq!(all(&grid), (0..DEVICES).collect::<Vec<_>>());
        }
        let full = grid.heap_bytes();
        for number in 0..DEVICES - 10 {
            grid.remove(at(number, 19), number, hints[number as usize]);
        }
        assert_eq!(all(&grid), (DEVICES - 10..DEVICES).collect::<Vec<_>>());
        assert!(grid.leaves.iter().count() < 60, "{grid:?}");
        assert!(grid.heap_bytes() < full / 4);
    }

    #[test]
    fn many_at_one_place_are_parted_by_number() {
        let mut grid = Grid::default();
        for number in 0..20_000 {
            grid.insert(Point::default(), number);
        }
        assert_eq!(all(&grid), (0..20_000).collect::<Vec<_>>());
        assert!(
            grid.leaves
                .iter()
                .all(|(_, leaf)| leaf.entries.len() <= FULL)
        );
        for number in 0..20_000 {
            grid.remove(Point::default(), number, 0);
        }
        assert_eq!(grid.leaves.iter().count(), 1);
    }
}
