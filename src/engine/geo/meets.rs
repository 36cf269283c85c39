//! Whether two shapes have a point in common.
//!
//! Exact for areas and boxes. Circles and corridors are near or not by the distances of
//! [`Metric`](super::Metric): to within a centimetre at a kilometre.

use super::corridor::are_within;
use super::segment::Edge;
use super::{Area, Bounds, Circle, Corridor, Cover, Shape};

impl Shape {
    /// Whether two shapes have a point in common. Borders count.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Circle(a), Self::Circle(b)) => a.distance_m(b.center()) <= b.radius_m(),
            (Self::Circle(circle), other) | (other, Self::Circle(circle)) => near(circle, other),
            (Self::Box(a), Self::Box(b)) => a.meets(b),
            (Self::Box(bounds), Self::Area(area)) | (Self::Area(area), Self::Box(bounds)) => {
                area_meets_box(area, bounds)
            }
            (Self::Area(a), Self::Area(b)) => areas_meet(a, b),
            (Self::Corridor(a), Self::Corridor(b)) => corridors_meet(a, b),
            (Self::Box(bounds), Self::Corridor(corridor))
            | (Self::Corridor(corridor), Self::Box(bounds)) => corridor_meets_box(corridor, bounds),
            (Self::Area(area), Self::Corridor(corridor))
            | (Self::Corridor(corridor), Self::Area(area)) => corridor_meets_area(corridor, area),
        }
    }
}

fn near(circle: &Circle, other: &Shape) -> bool {
    other.distance_m(circle.center()) <= circle.radius_m()
}

fn area_meets_box(area: &Area, bounds: &Bounds) -> bool {
    bounds
        .halves()
        .any(|half| area.cover(&half) != Cover::Outside)
}

fn areas_meet(a: &Area, b: &Area) -> bool {
    if !a.bounds().meets(&b.bounds()) {
        return false;
    }
    let (small, large) = if a.vertices() <= b.vertices() {
        (a, b)
    } else {
        (b, a)
    };
    small.starts().any(|start| large.contains(start))
        || large.starts().any(|start| small.contains(start))
        || small.any_edge(&large.bounds(), |edge| large.is_on_border(edge))
}

fn corridors_meet(a: &Corridor, b: &Corridor) -> bool {
    let reach_m = a.reach_m() + b.reach_m();
    let bounds = b.bounds().grown(a.reach_m());
    a.edges_near(bounds).any(|edge| {
        b.edges_near(edge.bounds().grown(reach_m))
            .any(|other| are_within(&edge, &other, reach_m))
    })
}

fn corridor_meets_box(corridor: &Corridor, bounds: &Bounds) -> bool {
    let reach_m = corridor.reach_m();
    corridor
        .edges_near(bounds.grown(reach_m))
        .any(|edge: Edge| {
            bounds.meets_edge(&edge) || bounds.edges().any(|side| are_within(&edge, &side, reach_m))
        })
}

fn corridor_meets_area(corridor: &Corridor, area: &Area) -> bool {
    let reach_m = corridor.reach_m();
    area.contains(corridor.line()[0])
        || corridor
            .edges_near(area.bounds().grown(reach_m))
            .any(|edge| {
                area.any_edge(&edge.bounds().grown(reach_m), |side| {
                    are_within(&edge, side, reach_m)
                })
            })
}
