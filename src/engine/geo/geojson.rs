//! Shapes as GeoJSON (RFC 7946).
//!
//! | shape | GeoJSON |
//! |---|---|
//! | circle | `Feature` of a `Point`, with the property `radius` in metres |
//! | box | `Polygon`; read, it stays a polygon |
//! | area | `Polygon` or `MultiPolygon` |
//! | corridor | `Feature` of a `LineString`, with the property `width` in metres |
//!
//! A `Feature`, `FeatureCollection` or `GeometryCollection` around exactly one geometry is read too. Rings may
//! be open, their winding is of no matter, altitudes are passed over. Edges go the shorter way around,
//! so that nothing needs to be cut at the antimeridian, and nothing that is written is.

use std::fmt::Write;

use geojson::{Feature, GeoJson, Geometry, GeometryValue, JsonObject, Position};
use serde_json::error::Category;

use super::longitude::HALF;
use super::segment::Edge;
use super::{Bounds, Point, Shape};

use crate::engine::{Error, Number, Result};

/// Longest text that is read: some 600,000 vertices. While it is read it takes up to 16 times as much.
pub const MAX_TEXT_BYTES: usize = 16 << 20;

/// The property with the radius of a circle.
const RADIUS: &str = "radius";
/// The property with the width of a corridor.
const WIDTH: &str = "width";

/// Reads a shape.
///
/// # Errors
/// `Limit` over [`MAX_TEXT_BYTES`], `Json` where the text is none, `GeoJson` where it is no shape,
/// `Degrees` for a coordinate out of its range, and those of what makes such a shape.
pub fn parse(text: &[u8]) -> Result<Shape> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::Limit {
            what: "bytes of GeoJSON",
            max: MAX_TEXT_BYTES as u64,
        });
    }
    // The parser refuses what is nested more than 128 deep.
    let whole: GeoJson = serde_json::from_slice(text).map_err(|error| Error::Json {
        what: match error.classify() {
            Category::Syntax => "not JSON",
            Category::Eof => "JSON that ends too soon",
            Category::Data | Category::Io => "not GeoJSON",
        },
        line: u32::try_from(error.line()).unwrap_or(u32::MAX),
        column: u32::try_from(error.column()).unwrap_or(u32::MAX),
    })?;
    match whole {
        GeoJson::Geometry(geometry) => shape(geometry, None),
        GeoJson::Feature(feature) => of_feature(feature),
        GeoJson::FeatureCollection(collection) => of_feature(only(
            collection.features,
            "a collection needs exactly one feature",
        )?),
    }
}

fn refuse<T>(what: &'static str) -> Result<T> {
    Err(Error::GeoJson { what })
}

fn only<T>(mut all: Vec<T>, what: &'static str) -> Result<T> {
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => refuse(what),
    }
}

fn of_feature(feature: Feature) -> Result<Shape> {
    let Some(geometry) = feature.geometry else {
        return refuse("a feature without geometry");
    };
    shape(geometry, feature.properties.as_ref())
}

fn shape(mut geometry: Geometry, properties: Option<&JsonObject>) -> Result<Shape> {
    while let GeometryValue::GeometryCollection { geometries } = geometry.value {
        geometry = only(geometries, "a collection needs exactly one geometry")?;
    }
    let metres = |name| properties.and_then(|properties| properties.get(name)?.as_f64());
    match geometry.value {
        GeometryValue::Point { coordinates } => {
            let center = point(&coordinates, 0, 0, 0)?;
            match metres(RADIUS) {
                Some(radius_m) => Shape::circle(center, radius_m),
                None => {
                    refuse("a Point needs a feature with the number \"radius\" in its properties")
                }
            }
        }
        GeometryValue::LineString { coordinates } => {
            let line = line(&coordinates, 0, 0)?;
            match metres(WIDTH) {
                Some(width_m) => Shape::corridor(line, width_m),
                None => refuse(
                    "a LineString needs a feature with the number \"width\" in its properties",
                ),
            }
        }
        GeometryValue::Polygon { coordinates } => Shape::area(vec![rings(&coordinates, 0)?]),
        GeometryValue::MultiPolygon { coordinates } => {
            let polygons = (0..).zip(&coordinates);
            let polygons = polygons.map(|(polygon, coordinates)| rings(coordinates, polygon));
            Shape::area(polygons.collect::<Result<_>>()?)
        }
        _ => refuse(
            "a shape is a Polygon, MultiPolygon, Point with a radius or LineString with a width",
        ),
    }
}

fn rings(coordinates: &[Vec<Position>], polygon: u32) -> Result<Vec<Vec<Point>>> {
    let rings = (0..).zip(coordinates);
    rings
        .map(|(ring, coordinates)| line(coordinates, polygon, ring))
        .collect()
}

fn line(coordinates: &[Position], polygon: u32, ring: u32) -> Result<Vec<Point>> {
    let positions = (0..).zip(coordinates);
    positions
        .map(|(vertex, position)| point(position, polygon, ring, vertex))
        .collect()
}

fn point(position: &Position, polygon: u32, ring: u32, vertex: u32) -> Result<Point> {
    let [lon, lat, ..] = position.as_slice() else {
        return refuse("a position of fewer than two numbers");
    };
    let out_of_range = |axis, degrees: f64| Error::Degrees {
        axis,
        degrees: Number::new(degrees),
        polygon,
        ring,
        vertex,
    };
    Point::from_degrees(*lon, *lat).ok_or_else(|| {
        if (-180.0..=180.0).contains(lon) {
            out_of_range("latitude", *lat)
        } else {
            out_of_range("longitude", *lon)
        }
    })
}

/// Writes a shape. What is written is read as the same shape; a box as an area, and a box without
/// width or height not at all.
pub fn write(shape: &Shape) -> String {
    match shape {
        Shape::Circle(circle) => feature(
            "Point",
            &position(circle.center()),
            RADIUS,
            circle.radius_m(),
        ),
        Shape::Corridor(corridor) => feature(
            "LineString",
            &positions(corridor.line().iter().copied()),
            WIDTH,
            corridor.width_m(),
        ),
        Shape::Box(bounds) => geometry("Polygon", &polygon(&[outline(bounds)])),
        Shape::Area(area) => {
            let polygons = area.polygons();
            match &polygons[..] {
                [rings] => geometry("Polygon", &polygon(rings)),
                _ => geometry(
                    "MultiPolygon",
                    &list(polygons.iter().map(|rings| polygon(rings))),
                ),
            }
        }
    }
}

fn geometry(name: &str, coordinates: &str) -> String {
    format!("{{\"type\":\"{name}\",\"coordinates\":{coordinates}}}")
}

fn feature(name: &str, coordinates: &str, property: &str, metres: f64) -> String {
    let geometry = geometry(name, coordinates);
    format!(
        "{{\"type\":\"Feature\",\"geometry\":{geometry},\"properties\":{{\"{property}\":{metres}}}}}"
    )
}

/// The corners of a box and, where it is wide, two points more on its parallels, so that its edges
/// go the right way.
fn outline(bounds: &Bounds) -> Vec<Point> {
    let mut sides = bounds.edges();
    let mut south: Vec<_> = sides.by_ref().take(3).collect();
    let mut north: Vec<_> = sides.take(3).collect();
    if bounds.width() < HALF {
        for side in [&mut south, &mut north] {
            side[0].dx = bounds.width();
            side.truncate(1);
        }
    }
    let there = south.iter().map(Edge::start);
    let turn = [south[south.len() - 1].end()];
    let back = north.iter().rev().map(Edge::end);
    let last = [north[0].start()];
    there.chain(turn).chain(back).chain(last).collect()
}

/// A polygon of open rings.
fn polygon(rings: &[Vec<Point>]) -> String {
    list(
        rings
            .iter()
            .map(|ring| positions(ring.iter().chain(&ring[..1]).copied())),
    )
}

fn positions(points: impl Iterator<Item = Point>) -> String {
    list(points.map(position))
}

fn position(point: Point) -> String {
    format!("[{},{}]", point.lon(), point.lat())
}

fn list(items: impl Iterator<Item = String>) -> String {
    let mut text = String::from("[");
    for (at, item) in items.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(text, "{comma}{item}").expect("BUG: writing to a string failed");
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, reply: &str) {
        assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), reply);
    }

    #[test]
    fn refusals_say_what_and_where() {
        check_refused(
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,91]]]}"#,
            "GeoJSON: latitude 91 is out of range at polygon 0, ring 0, vertex 3",
        );
        check_refused(
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1]]]}"#,
            "a ring that meets itself at polygon 0, ring 0, vertex 0",
        );
        check_refused(
            "{\"type\":\n",
            "GeoJSON: JSON that ends too soon at line 2, column 0",
        );
        check_refused(
            r#"{"type":"Point","coordinates":[0,0]}"#,
            "GeoJSON: a Point needs a feature with the number \"radius\" in its properties",
        );
        check_refused(
            r#"{"type":"FeatureCollection","features":[]}"#,
            "GeoJSON: a collection needs exactly one feature",
        );
        let deep = "[".repeat(1 << 20);
        assert!(
            parse(format!("{{\"type\":\"Polygon\",\"coordinates\":{deep}").as_bytes()).is_err()
        );
    }

    #[test]
    fn what_is_written_is_read() {
        let at = |lon, lat| Point::from_degrees(lon, lat).unwrap();
        let ring = vec![at(179.9, 1.0), at(-179.8, 1.0), at(-179.8, 1.2)];
        let shapes = [
            Shape::circle(at(13.377_704_1, 52.5), 123.456_789_012_345_67),
            Shape::corridor(vec![at(0.0, 0.0), at(179.0, 1.0), at(-179.0, 2.0)], 1e-7),
            Shape::area(vec![vec![ring]]),
        ];
        for shape in shapes {
            let shape = shape.unwrap();
            assert_eq!(
                parse(write(&shape).as_bytes()),
                Ok(shape.clone()),
                "{}",
                write(&shape)
            );
        }
    }
}
