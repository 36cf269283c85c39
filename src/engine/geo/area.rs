//! Polygons with holes.
//!
//! ```text
//! one ring of fewer than 96 vertices that does not cross the antimeridian
//!   vertices  | v0 v1 .. vn v0 |                               8 bytes a vertex, and 16
//!
//! any other
//!   vertices  | ring | ring | ring |                           each closed, all in one slice
//!   details   bounds, parts:  origin, ring ends, stripes       a part is a plane with its own seam
//! ```
//!
//! Polygons do not overlap ([`soundness`](super::soundness)), so that one even-odd count over all rings
//! of a part is their union. Mostly there is one part; polygons that leave no meridian free for the
//! seam have a part each, and may overlap. Borders belong to an area, also those of its holes.

mod memory;

use triomphe::{Arc, ThinArc};

use super::frame::{Close, origin, placed};
use super::longitude::{HALF, TURN, shorter, wrapped};
use super::outline::{Outline, RingName};
use super::point::{MAX_X, MAX_Y};
use super::ring::{self, Place};
use super::segment::{Edge, Meeting};
use super::soundness::{Laid, Plane};
use super::stripes::{MIN_EDGES, Stripes};
use super::{Bounds, Cover, Metric, Point};
use crate::engine::{Error, Result};

/// Most vertices of a shape.
pub const MAX_VERTICES: usize = 1 << 20;

/// One or more polygons with holes, their borders included. A clone shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    vertices: Vertices,
    details: Option<Arc<Details>>,
}

/// Points that who has the shape shares.
pub(super) type Vertices = ThinArc<(), Point>;

/// Bytes before them: the number of owners and the length.
pub(super) const VERTICES_HEAD: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    bounds: Bounds,
    parts: Box<[Part]>,
}

/// Polygons in one plane.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    origin: i32,
    start: u32,
    rings: Box<[Ring]>,
    stripes: Option<Stripes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ring {
    /// Where its vertices end, in those of the area.
    end: u32,
    close: Close,
    is_hole: bool,
}

/// A part as it is read; also of an area without details.
#[derive(Clone, Copy, Debug)]
struct View<'a> {
    origin: i32,
    vertices: &'a [Point],
    start: usize,
    rings: &'a [Ring],
    stripes: Option<&'a Stripes>,
}

impl Area {
    /// Polygons of rings, first the outer one, then holes. A ring may repeat its first vertex at its
    /// end, and any vertex at once.
    ///
    /// # Errors
    /// `Shape` where a ring or how rings lie to each other is wrong, `Geometry` where there is no
    /// polygon, `Limit` over [`MAX_VERTICES`].
    pub fn new(polygons: Vec<Vec<Vec<Point>>>) -> Result<Self> {
        let given: usize = polygons.iter().flatten().map(Vec::len).sum();
        if given > MAX_VERTICES {
            return Err(Error::Limit {
                what: "vertices",
                max: MAX_VERTICES as u64,
            });
        }
        if polygons.is_empty() {
            return Err(Error::Geometry {
                what: "an area needs a polygon",
            });
        }
        let mut outlines = Vec::with_capacity(polygons.len());
        for (polygon, rings) in (0..).zip(polygons) {
            outlines.push(unrolled(polygon, &rings)?);
        }
        let mut vertices = Vec::with_capacity(given + 1);
        let mut parts = Vec::new();
        if let Some(origin) = origin(&outlines) {
            parts.push(Part::new(&outlines, origin, &mut vertices)?);
        } else {
            for polygon in &outlines {
                let alone = std::slice::from_ref(polygon);
                let Some(origin) = origin(alone) else {
                    let what = "a ring around a pole that turns back on every meridian";
                    return polygon[0].name.refuse(what, 0);
                };
                parts.push(Part::new(alone, origin, &mut vertices)?);
            }
        }
        Ok(Self::packed(&vertices, parts))
    }

    fn packed(vertices: &[Point], parts: Vec<Part>) -> Self {
        let is_plain = matches!(&parts[..], [part] if part.is_plain());
        let mut area = Self {
            vertices: Vertices::from_header_and_slice((), vertices),
            details: None,
        };
        if !is_plain {
            let details = Details {
                bounds: Bounds::WORLD,
                parts: parts.into(),
            };
            area.details = Some(Arc::new(details));
            let bounds = area.bounds_of_parts();
            if let Some(details) = area.details.as_mut().and_then(Arc::get_mut) {
                details.bounds = bounds;
            }
        }
        area
    }

    fn views(&self) -> impl Iterator<Item = View<'_>> + Clone {
        let count = self
            .details
            .as_ref()
            .map_or(1, |details| details.parts.len());
        (0..count).map(|number| self.view(number))
    }

    fn view(&self, number: usize) -> View<'_> {
        let Some(details) = &self.details else {
            return View {
                origin: 0,
                vertices: &self.vertices.slice,
                start: 0,
                rings: &[],
                stripes: None,
            };
        };
        let part = &details.parts[number];
        View {
            origin: part.origin,
            vertices: &self.vertices.slice,
            start: part.start as usize,
            rings: &part.rings,
            stripes: part.stripes.as_ref(),
        }
    }

    /// Whether a point lies in it or on its border.
    pub fn contains(&self, point: Point) -> bool {
        if self.details.is_none() && point.x.abs() != MAX_X && point.y.abs() != MAX_Y {
            return ring::place(&self.vertices.slice, point.x, point.y) != Place::Outside;
        }
        self.views().any(|view| view.contains(point))
    }

    /// A box around it, as small as can be.
    pub fn bounds(&self) -> Bounds {
        match &self.details {
            Some(details) => details.bounds,
            None => self.bounds_of_parts(),
        }
    }

    fn bounds_of_parts(&self) -> Bounds {
        let mut views = self.views();
        let first = views
            .next()
            .expect("BUG: an area without polygons")
            .bounds();
        // Parts are there because together they leave no meridian free.
        views.fold(first, |all, view| {
            let bounds = view.bounds();
            Bounds {
                west: -MAX_X,
                south: all.south.min(bounds.south),
                east: MAX_X,
                north: all.north.max(bounds.north),
            }
        })
    }

    /// How it lies to a box that does not cross the antimeridian. `Touches` means that there is a point
    /// in common; a box that is covered by two polygons together is said to be touched.
    pub fn cover(&self, cell: &Bounds) -> Cover {
        let mut found = Cover::Outside;
        for view in self.views() {
            match view.cover(cell) {
                Cover::Covers => return Cover::Covers,
                Cover::Touches => found = Cover::Touches,
                Cover::Outside => {}
            }
        }
        found
    }

    /// From a point to its border in metres; 0 inside.
    pub fn distance_m(&self, point: Point) -> f64 {
        if self.contains(point) {
            return 0.0;
        }
        nearest_m(&Metric::new(point), self.edges())
    }

    /// Whether an edge has a point in it.
    pub(super) fn meets_edge(&self, edge: &Edge) -> bool {
        self.contains(edge.start()) || self.is_on_border(edge)
    }

    /// Whether an edge has a point on its border.
    pub(super) fn is_on_border(&self, edge: &Edge) -> bool {
        self.views().any(|view| view.meets_edge(edge))
    }

    /// Whether one of its edges is so; those that do not meet a box are left out.
    pub(super) fn any_edge(&self, within: &Bounds, is_so: impl Fn(&Edge) -> bool) -> bool {
        let along = (i64::from(within.south), i64::from(within.north));
        self.views().any(|view| {
            let by = i64::from(view.origin);
            view.any_edge(along, |edge| {
                let edge = edge.moved(by);
                within.meets(&edge.bounds()) && is_so(&edge)
            })
        })
    }

    /// Its edges, with longitudes within a turn.
    pub(super) fn edges(&self) -> impl Iterator<Item = Edge> + Clone {
        self.views().flat_map(|view| {
            let by = i64::from(view.origin);
            view.edges().map(move |edge| edge.moved(by))
        })
    }

    /// One vertex of each ring.
    pub(super) fn starts(&self) -> impl Iterator<Item = Point> {
        self.views().flat_map(|view| {
            let by = i64::from(view.origin);
            view.chains().map(move |(chain, _)| Point {
                x: wrapped(i64::from(chain[0].x) + by),
                y: chain[0].y,
            })
        })
    }

    /// Its polygons, each of rings that do not repeat their first vertex.
    pub fn polygons(&self) -> Vec<Vec<Vec<Point>>> {
        let mut polygons: Vec<Vec<Vec<Point>>> = Vec::new();
        for view in self.views() {
            let by = i64::from(view.origin);
            for (chain, ring) in view.chains() {
                let open = chain[..chain.len() - 1].iter().map(|vertex| Point {
                    x: wrapped(i64::from(vertex.x) + by),
                    y: vertex.y,
                });
                match polygons.last_mut() {
                    Some(polygon) if ring.is_hole => polygon.push(open.collect()),
                    _ => polygons.push(vec![open.collect()]),
                }
            }
        }
        polygons
    }

    /// Loads a vertex of each of the first cache lines.
    pub(super) fn touch(&self) -> i32 {
        const LINE: usize = 64 / size_of::<Point>();
        let first = self.vertices.slice.iter().take(8 * LINE).step_by(LINE);
        first.fold(0, |seen, vertex| seen ^ vertex.x)
    }

    /// How many vertices it has; a ring counts its first one once.
    pub fn vertices(&self) -> usize {
        let rings: usize = self.views().map(|view| view.chains().count()).sum();
        self.vertices.slice.len() - rings
    }
}

/// The least distance of edges. The nearest one in the plane comes first, and those are left out that
/// cannot be nearer.
pub(super) fn nearest_m(metric: &Metric, edges: impl Iterator<Item = Edge> + Clone) -> f64 {
    let unit_m = metric.unit_m(0.0);
    let plain = edges
        .clone()
        .map(|edge| (edge.plain_m_squared(metric, unit_m), edge));
    let first = plain.min_by(|(a, _), (b, _)| a.total_cmp(b));
    let best = first.map_or(f64::INFINITY, |(_, edge)| edge.distance_m(metric));
    edges.fold(best, |best, edge| {
        if metric.least_m(&edge.bounds()) >= best {
            best
        } else {
            best.min(edge.distance_m(metric))
        }
    })
}

fn unrolled(polygon: u32, rings: &[Vec<Point>]) -> Result<Vec<Outline>> {
    if rings.is_empty() {
        let name = RingName { polygon, ring: 0 };
        return name.refuse("a polygon without a ring", 0);
    }
    let names = (0..).map(|ring| RingName { polygon, ring });
    let rings = rings.iter().zip(names);
    rings.map(|(ring, name)| Outline::new(ring, name)).collect()
}

impl Part {
    /// Appends the vertices of polygons in the plane of an origin.
    fn new(polygons: &[Vec<Outline>], origin: i32, vertices: &mut Vec<Point>) -> Result<Self> {
        let start = vertices.len();
        let mut laid = Vec::new();
        let mut numbers = Vec::new();
        for outlines in polygons {
            let mut pole = None;
            for outline in outlines {
                if outline.is_around_pole && outline.name.ring > 0 && pole.is_none() {
                    return outline.name.refuse("a hole outside its polygon", 0);
                }
                let first = numbers.len();
                let (chain, close) = placed(outline, origin, pole)?;
                if outline.is_around_pole {
                    pole = Some(close);
                }
                for (vertex, number) in chain {
                    vertices.push(vertex);
                    numbers.push(number);
                }
                laid.push(Laid {
                    start: first,
                    end: numbers.len(),
                    close,
                    name: outline.name,
                });
            }
        }
        let own = &vertices[start..];
        let stripes = (own.len() - laid.len() >= MIN_EDGES).then(|| striped(own, &laid));
        let plane = Plane {
            vertices: own,
            numbers: &numbers,
            rings: &laid,
            stripes: stripes.as_ref(),
        };
        plane.check()?;
        let rings = laid.iter().map(|ring| Ring {
            end: count(start + ring.end),
            close: ring.close,
            is_hole: ring.name.ring > 0,
        });
        Ok(Self {
            origin,
            start: count(start),
            rings: rings.collect(),
            stripes,
        })
    }

    /// Whether it is all that an area without details says.
    fn is_plain(&self) -> bool {
        self.origin == 0
            && self.stripes.is_none()
            && matches!(&self.rings[..], [ring] if ring.close == Close::Closed)
    }
}

fn striped(vertices: &[Point], rings: &[Laid]) -> Stripes {
    let ats = rings.iter().flat_map(|ring| ring.start..ring.end - 1);
    let edges: Vec<_> = ats
        .map(|at| (count(at), vertices[at], vertices[at + 1]))
        .collect();
    Stripes::new(&edges)
}

fn count(len: usize) -> u32 {
    u32::try_from(len).expect("BUG: vertices over their limit")
}

impl<'a> View<'a> {
    /// Its rings and their vertices.
    fn chains(self) -> impl Iterator<Item = (&'a [Point], Ring)> + Clone {
        let plain = self.rings.is_empty().then(|| Ring {
            end: count(self.vertices.len()),
            close: Close::Closed,
            is_hole: false,
        });
        let mut start = self.start;
        plain
            .into_iter()
            .chain(self.rings.iter().copied())
            .map(move |ring| {
                let chain = &self.vertices[start..ring.end as usize];
                start = ring.end as usize;
                (chain, ring)
            })
    }

    fn edges(self) -> impl Iterator<Item = Edge> + Clone {
        self.chains()
            .flat_map(|(chain, _)| chain.windows(2))
            .map(|ends| Edge::plain(ends[0], ends[1]))
    }

    fn contains(self, point: Point) -> bool {
        if point.y.abs() == MAX_Y {
            return self.holds_pole(point.y);
        }
        let x = wrapped(i64::from(point.x) - i64::from(self.origin));
        if x.abs() == MAX_X {
            // On the seam: rings around a pole are closed along it, seen from the west.
            return self.place(-MAX_X, point.y) != Place::Outside
                || (!self.is_around_pole() && self.place(MAX_X, point.y) != Place::Outside);
        }
        self.place(x, point.y) != Place::Outside
    }

    fn is_around_pole(self) -> bool {
        self.rings.iter().any(|ring| ring.close != Close::Closed)
    }

    /// Whether a pole is a vertex or is held by a ring around it.
    fn holds_pole(self, y: i32) -> bool {
        let close = if y > 0 { Close::North } else { Close::South };
        let around = self.rings.iter().filter(|ring| ring.close == close).count();
        around % 2 == 1
            || self
                .chains()
                .any(|(chain, _)| chain.iter().any(|vertex| vertex.y == y))
    }

    /// Where a point of the plane lies.
    fn place(self, x: i32, y: i32) -> Place {
        let mut is_inside = false;
        if let Some(stripes) = self.stripes {
            match self.place_by(stripes.at(y), x, y) {
                Place::Border => return Place::Border,
                place => is_inside = place == Place::Inside,
            }
            if !self.is_around_pole() {
                return Place::of(is_inside);
            }
        }
        for (chain, ring) in self.chains() {
            if self.stripes.is_none() {
                match ring::place(chain, x, y) {
                    Place::Border => return Place::Border,
                    place => is_inside ^= place == Place::Inside,
                }
            }
            // The seam east of the point, from the ring's end to the pole.
            is_inside ^= match ring.close {
                Close::Closed => false,
                Close::North => chain[0].y <= y,
                Close::South => chain[0].y > y,
            };
        }
        Place::of(is_inside)
    }

    fn place_by(self, edges: &[u32], x: i32, y: i32) -> Place {
        let vertices = &self.vertices[self.start..];
        let mut is_inside = false;
        for &at in edges {
            let (a, b) = (vertices[at as usize], vertices[at as usize + 1]);
            if (a.y > y) != (b.y > y) {
                match ring::crosses(a, b, x, y) {
                    None => return Place::Border,
                    Some(is_crossed) => is_inside ^= is_crossed,
                }
            } else if a.y == y && ring::lies_level(a, b, x, y) {
                return Place::Border;
            }
        }
        Place::of(is_inside)
    }

    fn bounds(self) -> Bounds {
        let first = self.vertices[self.start];
        let vertices = self.chains().flat_map(|(chain, _)| chain);
        let (low, high) = vertices.fold((first, first), |(low, high), vertex| {
            let low = Point {
                x: low.x.min(vertex.x),
                y: low.y.min(vertex.y),
            };
            let high = Point {
                x: high.x.max(vertex.x),
                y: high.y.max(vertex.y),
            };
            (low, high)
        });
        let holds = |close| self.rings.iter().any(|ring| ring.close == close);
        let is_whole = self.is_around_pole() || low.x.abs_diff(high.x) == 2 * MAX_X.cast_unsigned();
        let absolute = |x: i32| wrapped(i64::from(x) + i64::from(self.origin));
        Bounds {
            west: if is_whole { -MAX_X } else { absolute(low.x) },
            south: if holds(Close::South) { -MAX_Y } else { low.y },
            east: if is_whole { MAX_X } else { absolute(high.x) },
            north: if holds(Close::North) { MAX_Y } else { high.y },
        }
    }

    fn cover(self, cell: &Bounds) -> Cover {
        let along = (i64::from(cell.south), i64::from(cell.north));
        let width = i64::from(cell.east) - i64::from(cell.west);
        let west = shorter(i64::from(cell.west) - i64::from(self.origin));
        let east = west + width;
        let is_at_pole = |y: i32| y.abs() == MAX_Y && self.holds_pole(y);
        let mut is_touched = is_at_pole(cell.south) || is_at_pole(cell.north);
        // What lies beyond the seam is on the other side of the plane, and so is the seam itself.
        let back = (east >= HALF).then(|| (-HALF, east - TURN));
        let forth = (west == -HALF).then_some((HALF, HALF));
        let mut is_covered = true;
        for (number, across) in [Some((west, east.min(HALF))), back, forth]
            .into_iter()
            .enumerate()
        {
            let Some(across) = across else { continue };
            let cover = self.cover_plain(across, along);
            // The seam alone decides nothing: it is an edge of the other pieces too.
            let is_seam = across.0 == across.1 && width > 0 && number > 0;
            is_covered &= is_seam || cover == Cover::Covers;
            is_touched |= cover != Cover::Outside;
        }
        match (is_covered, is_touched) {
            (true, true) => Cover::Covers,
            (_, true) => Cover::Touches,
            _ => Cover::Outside,
        }
    }

    /// How it lies to a box of the plane.
    fn cover_plain(self, across: (i64, i64), along: (i64, i64)) -> Cover {
        if self.any_edge(along, |edge| edge.meets_box(across, along)) {
            return Cover::Touches;
        }
        let corner = |value: i64| i32::try_from(value).expect("BUG: a box out of its frame");
        if self.place(corner(across.0), corner(along.0)) == Place::Outside {
            Cover::Outside
        } else {
            Cover::Covers
        }
    }

    /// Whether one of the edges near some latitudes is so.
    fn any_edge(self, (south, north): (i64, i64), is_so: impl Fn(&Edge) -> bool) -> bool {
        let near = self
            .stripes
            .and_then(|stripes| stripes.between(south, north));
        let Some(near) = near else {
            return self.edges().any(|edge| is_so(&edge));
        };
        let vertices = &self.vertices[self.start..];
        near.iter().any(|&at| {
            let at = at as usize;
            is_so(&Edge::plain(vertices[at], vertices[at + 1]))
        })
    }

    fn meets_edge(self, edge: &Edge) -> bool {
        edge.in_frame(self.origin)
            .any(|edge| self.any_edge(edge.along(), |own| own.meet(&edge) != Meeting::Nothing))
    }
}
