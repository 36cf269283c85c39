//! Places on the earth: points, shapes, distances.
//!
//! Conventions, everywhere:
//!
//! - Longitude first, then latitude, in degrees of WGS 84, as GeoJSON has it.
//! - A coordinate is a whole number of 10^-7 degrees ([`Point`]): 1.1 cm at most. So whether a point
//!   lies in a polygon is decided in whole numbers, and every server comes to the same verdict.
//! - Edges are straight in longitude and latitude (RFC 7946), and go the shorter way around.
//! - Distances are metres.

mod area;
mod bounds;
mod circle;
mod corridor;
mod frame;
mod geodesy;
pub mod geojson;
mod longitude;
mod meets;
mod outline;
pub mod point;
mod ring;
mod segment;
mod shape;
mod simplify;
mod soundness;
mod stored;
mod stripes;

pub use area::{Area, MAX_VERTICES};
pub use bounds::Bounds;
pub use circle::Circle;
pub use corridor::Corridor;
pub use geodesy::{HALF_EARTH_M, Metric, distance_m, least_distance_m};
pub use point::Point;
pub use shape::{Cover, Shape};
pub use simplify::simplify;
