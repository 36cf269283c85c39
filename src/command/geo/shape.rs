//! Shapes as clients write them.
//!
//! ```text
//! CIRCLE lon lat radius
//! BBOX west south east north
//! POLYGON n lon lat ... [HOLE n lon lat ...]... [POLYGON n lon lat ... [HOLE ...]...]...
//! CORRIDOR width n lon lat ...
//! GEOJSON text
//! ```

use super::limits::Limits;
use super::{count, metres, point};
use crate::command::args::Args;
use crate::command::error::Result;
use crate::command::spec::{Arg, ArgKind};
use crate::engine::geo::{self, Point, Shape};

/// What the documentation says of a shape.
pub(super) const SHAPE: Arg = Arg::one_of(
    "shape",
    &[
        Arg::block("circle", &[LON, LAT, Arg::value("radius", ArgKind::Double)]).after("CIRCLE"),
        Arg::block(
            "box",
            &[
                Arg::value("west", ArgKind::Double),
                Arg::value("south", ArgKind::Double),
                Arg::value("east", ArgKind::Double),
                Arg::value("north", ArgKind::Double),
            ],
        )
        .after("BBOX"),
        Arg::block(
            "polygon",
            &[
                VERTICES,
                VERTEX,
                Arg::block("hole", &[VERTICES, VERTEX])
                    .after("HOLE")
                    .or_none()
                    .repeated_with_token(),
            ],
        )
        .after("POLYGON")
        .repeated_with_token(),
        Arg::block(
            "corridor",
            &[Arg::value("width", ArgKind::Double), VERTICES, VERTEX],
        )
        .after("CORRIDOR"),
        Arg::value("geojson", ArgKind::String).after("GEOJSON"),
    ],
);

pub(super) const LON: Arg = Arg::value("longitude", ArgKind::Double);
pub(super) const LAT: Arg = Arg::value("latitude", ArgKind::Double);
const VERTICES: Arg = Arg::value("vertices", ArgKind::Integer);
const VERTEX: Arg = Arg::block("vertex", &[LON, LAT]).repeated();

/// Reads a shape if there is one.
///
/// # Errors
/// For a shape that is none: what is wrong, and where.
pub(super) fn shape(args: &mut Args<'_>, limits: &Limits) -> Result<Option<Shape>> {
    let shape = if args.keyword("CIRCLE") {
        let center = point(args)?;
        let radius_m = metres(args, "radius", RADIUS)?;
        Shape::circle(center, radius_m)?
    } else if args.keyword("BBOX") {
        let (southwest, northeast) = (point(args)?, point(args)?);
        Shape::bounding_box(southwest, northeast)?
    } else if args.keyword("CORRIDOR") {
        let width_m = metres(args, "width", "width must be a positive number of metres")?;
        Shape::corridor(vertices(args, limits, &mut 0)?, width_m)?
    } else if args.keyword("GEOJSON") {
        geojson(args.take("GEOJSON")?, limits)?
    } else if args.keyword("POLYGON") {
        polygons(args, limits)?
    } else {
        return Ok(None);
    };
    Ok(Some(shape))
}

/// What a radius must be.
pub(super) const RADIUS: &str = "radius must be a number of metres of at least 0";

/// Reads what follows the first `POLYGON`.
fn polygons(args: &mut Args<'_>, limits: &Limits) -> Result<Shape> {
    let (mut polygons, mut total) = (Vec::new(), 0);
    loop {
        let mut rings = vec![vertices(args, limits, &mut total)?];
        while args.keyword("HOLE") {
            rings.push(vertices(args, limits, &mut total)?);
        }
        polygons.push(rings);
        if !args.keyword("POLYGON") {
            return Ok(Shape::area(polygons)?);
        }
    }
}

/// Reads a number of points, and the points; `total` counts those of the whole shape.
fn vertices(args: &mut Args<'_>, limits: &Limits, total: &mut u64) -> Result<Vec<Point>> {
    const INVALID: &str = "the number of vertices must be a positive integer";
    let vertices = count(args, "vertices", INVALID, 1..=i64::MAX)?;
    *total = total.saturating_add(vertices.unsigned_abs());
    limits.check_vertices(*total)?;
    (0..vertices).map(|_| point(args)).collect()
}

fn geojson(text: &[u8], limits: &Limits) -> Result<Shape> {
    // Reading a text takes time, also one that is refused then.
    limits.check_geojson(text.len())?;
    let shape = geo::geojson::parse(text)?;
    limits.check_vertices(shape.vertices() as u64)?;
    Ok(shape)
}
