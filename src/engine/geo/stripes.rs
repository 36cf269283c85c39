//! Edges by latitude: which of a large ring's edges a parallel can cross.
//!
//! ```text
//! north  +-----------+
//!        | 3 | e e   |    starts:  0  2  5  7  9     where the edges of a stripe begin
//!        | 2 | e e   |    edges :  e e | e e e | e e | e e
//!        | 1 | e e e |
//!        | 0 | e e   |    an edge is the number of its first vertex
//! south  +-----------+
//! ```
//!
//! A stripe is a power of two units high, so that a shift finds it. There are at most as many stripes
//! as a quarter of the edges; fewer where long edges would make more than [`MAX_SHARE`] entries an
//! edge. Building is O(edges).

use super::Point;
use crate::engine::relocate::Mover;

/// Areas with fewer edges are read as a whole. Jagged stars, the worst case, take 51 ns with 63 edges
/// as a whole and 69 with 64 in stripes; 73 ns with 100 and 110 ns with 256 in stripes.
pub(super) const MIN_EDGES: usize = 96;
/// Edges for each stripe, at least.
const EDGES_PER_STRIPE: usize = 4;
/// Most entries for each edge.
const MAX_SHARE: usize = 5;

/// Edges by latitude.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stripes {
    scale: Scale,
    starts: Box<[u32]>,
    edges: Box<[u32]>,
}

/// Which stripe a latitude is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scale {
    south: i32,
    north: i32,
    /// A stripe is so many bits high.
    shift: u32,
}

impl Scale {
    fn new(edges: &[(u32, Point, Point)]) -> Self {
        let ys = || edges.iter().flat_map(|&(_, a, b)| [a.y, b.y]);
        let mut scale = Self {
            south: ys().min().unwrap_or(0),
            north: ys().max().unwrap_or(0),
            shift: 0,
        };
        let most_stripes = (edges.len() / EDGES_PER_STRIPE).max(1);
        while scale.stripes() > most_stripes
            || (scale.stripes() > 1 && scale.entries(edges) > MAX_SHARE * edges.len())
        {
            scale.shift += 1;
        }
        scale
    }

    const fn stripe(self, y: i32) -> usize {
        (y.abs_diff(self.south) >> self.shift) as usize
    }

    const fn stripes(self) -> usize {
        self.stripe(self.north) + 1
    }

    fn entries(self, edges: &[(u32, Point, Point)]) -> usize {
        let span = |a: Point, b: Point| self.stripe(a.y).abs_diff(self.stripe(b.y)) + 1;
        edges.iter().map(|&(_, a, b)| span(a, b)).sum()
    }
}

impl Stripes {
    /// Shows its allocations to a mover.
    pub(super) fn relocate(&mut self, mover: &mut impl Mover) {
        mover.slice(&mut self.starts);
        mover.slice(&mut self.edges);
    }

    /// Stripes of edges: the number of each and its ends.
    pub(super) fn new(edges: &[(u32, Point, Point)]) -> Self {
        let scale = Scale::new(edges);
        let span = |a: Point, b: Point| scale.stripe(a.y.min(b.y))..=scale.stripe(a.y.max(b.y));
        // First how many a stripe has; then, from the back, where the next one of it goes.
        let mut starts = vec![0u32; scale.stripes() + 1];
        for &(_, a, b) in edges {
            for stripe in span(a, b) {
                starts[stripe] += 1;
            }
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut entries = vec![0; total as usize];
        for &(number, a, b) in edges.iter().rev() {
            for stripe in span(a, b) {
                starts[stripe] -= 1;
                entries[starts[stripe] as usize] = number;
            }
        }
        Self {
            scale,
            starts: starts.into(),
            edges: entries.into(),
        }
    }

    /// The edges that the parallel of `y` can cross or touch.
    #[inline]
    pub(super) fn at(&self, y: i32) -> &[u32] {
        if y < self.scale.south || y > self.scale.north {
            return &[];
        }
        let stripe = self.scale.stripe(y);
        &self.edges[self.starts[stripe] as usize..self.starts[stripe + 1] as usize]
    }

    /// The edges between two parallels, some of them more than once; `None` where that would be
    /// about as many as there are.
    pub(super) fn between(&self, south: i64, north: i64) -> Option<&[u32]> {
        let (lowest, highest) = (i64::from(self.scale.south), i64::from(self.scale.north));
        if north < lowest || south > highest {
            return Some(&[]);
        }
        let stripe = |y: i64| {
            let y = i32::try_from(y.clamp(lowest, highest)).expect("BUG: clamped between two i32");
            self.scale.stripe(y)
        };
        let (first, last) = (stripe(south), stripe(north));
        let found = &self.edges[self.starts[first] as usize..self.starts[last + 1] as usize];
        (found.len() * 2 <= self.edges.len()).then_some(found)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        (self.starts.len() + self.edges.len()) * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_in_every_stripe_that_it_passes() {
        let zigzag = |at: u32| Point {
            x: at.cast_signed(),
            y: (at.cast_signed() * 7919) % 1000,
        };
        let edges: Vec<_> = (0..200)
            .map(|at| (at, zigzag(at), zigzag(at + 1)))
            .collect();
        let stripes = Stripes::new(&edges);
        assert!(stripes.scale.stripes() > 4);
        assert!(stripes.edges.len() <= MAX_SHARE * edges.len());
        for y in -5..1005 {
            let passing = edges
                .iter()
                .filter(|(_, a, b)| (a.y.min(b.y)..=a.y.max(b.y)).contains(&y));
            for (number, _, _) in passing {
                assert!(stripes.at(y).contains(number), "{y} {number}");
            }
        }
    }
}
