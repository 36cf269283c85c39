//! Shapes as bytes. Numbers are little-endian; `varint` is LEB128, `delta` a varint of a zigzag number.
//!
//! ```text
//! circle    | 1 | x i32 | y i32 | radius_m f64 |
//! box       | 2 | west i32 | south i32 | east i32 | north i32 |
//! area      | 3 | polygons varint | polygon | .. |
//! corridor  | 4 | width_m f64 | points |
//!
//! polygon   | rings varint | points | .. |              the outer ring first, none closed
//! points    | count varint | dx delta | dy delta | .. |  from the point before; the first from 0, 0
//! ```
//!
//! A fence of a few kilometres takes 5 to 6 bytes a vertex. What is read is checked like what a client
//! gives; a count is believed as far as there are bytes for it.

use super::area::MAX_VERTICES;
use super::{Point, Shape};
use crate::engine::{Error, Result};

const CIRCLE: u8 = 1;
const BOX: u8 = 2;
const AREA: u8 = 3;
const CORRIDOR: u8 = 4;

/// Longest delta: 33 bits, 7 a byte.
const MAX_DELTA_BYTES: usize = 5;

const CORRUPT: Error = Error::Corrupt { what: "shape" };

impl Shape {
    /// Appends its stored form.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Circle(circle) => {
                bytes.push(CIRCLE);
                bytes.extend(circle.center().x.to_le_bytes());
                bytes.extend(circle.center().y.to_le_bytes());
                bytes.extend(circle.radius_m().to_le_bytes());
            }
            Self::Box(bounds) => {
                bytes.push(BOX);
                for side in [bounds.west, bounds.south, bounds.east, bounds.north] {
                    bytes.extend(side.to_le_bytes());
                }
            }
            Self::Area(area) => {
                bytes.push(AREA);
                let polygons = area.polygons();
                write_count(polygons.len(), bytes);
                for rings in &polygons {
                    write_count(rings.len(), bytes);
                    for ring in rings {
                        write_points(ring, bytes);
                    }
                }
            }
            Self::Corridor(corridor) => {
                bytes.push(CORRIDOR);
                bytes.extend(corridor.width_m().to_le_bytes());
                write_points(corridor.line(), bytes);
            }
        }
    }

    /// Reads a stored form, and moves behind it.
    ///
    /// # Errors
    /// `Corrupt`, and those of what makes such a shape.
    pub fn read(bytes: &mut &[u8]) -> Result<Self> {
        let [kind] = take(bytes)?;
        match kind {
            CIRCLE => {
                let center = read_point(bytes)?;
                Self::circle(center, f64::from_le_bytes(take(bytes)?))
            }
            BOX => {
                let south_west = read_point(bytes)?;
                Self::bounding_box(south_west, read_point(bytes)?)
            }
            AREA => Self::area(read_polygons(bytes)?),
            CORRIDOR => {
                let width_m = f64::from_le_bytes(take(bytes)?);
                Self::corridor(read_points(bytes)?, width_m)
            }
            _ => Err(CORRUPT),
        }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(CORRUPT)?;
    *bytes = rest;
    Ok(*taken)
}

fn read_point(bytes: &mut &[u8]) -> Result<Point> {
    let x = i32::from_le_bytes(take(bytes)?);
    let y = i32::from_le_bytes(take(bytes)?);
    Point::from_units(x, y).ok_or(CORRUPT)
}

fn read_polygons(bytes: &mut &[u8]) -> Result<Vec<Vec<Vec<Point>>>> {
    let count = read_count(bytes)?;
    let mut polygons = Vec::with_capacity(count);
    for _ in 0..count {
        let rings = read_count(bytes)?;
        let rings = (0..rings).map(|_| read_points(bytes));
        polygons.push(rings.collect::<Result<_>>()?);
    }
    Ok(polygons)
}

fn write_points(points: &[Point], bytes: &mut Vec<u8>) {
    write_count(points.len(), bytes);
    let mut last = Point::default();
    for &point in points {
        write_delta(i64::from(point.x) - i64::from(last.x), bytes);
        write_delta(i64::from(point.y) - i64::from(last.y), bytes);
        last = point;
    }
}

fn read_points(bytes: &mut &[u8]) -> Result<Vec<Point>> {
    let count = read_count(bytes)?;
    let mut points = Vec::with_capacity(count);
    let mut last = Point::default();
    for _ in 0..count {
        let x = i64::from(last.x) + read_delta(bytes)?;
        let y = i64::from(last.y) + read_delta(bytes)?;
        let (x, y) = (i32::try_from(x), i32::try_from(y));
        let (x, y) = (x.map_err(|_| CORRUPT)?, y.map_err(|_| CORRUPT)?);
        last = Point::from_units(x, y).ok_or(CORRUPT)?;
        points.push(last);
    }
    Ok(points)
}

fn write_count(count: usize, bytes: &mut Vec<u8>) {
    write_varint(count as u64, bytes);
}

/// A count of what takes a byte or more each.
fn read_count(bytes: &mut &[u8]) -> Result<usize> {
    let count = usize::try_from(read_varint(bytes)?).map_err(|_| CORRUPT)?;
    if count > bytes.len() || count > MAX_VERTICES {
        return Err(CORRUPT);
    }
    Ok(count)
}

fn write_delta(delta: i64, bytes: &mut Vec<u8>) {
    write_varint(((delta << 1) ^ (delta >> 63)).cast_unsigned(), bytes);
}

fn read_delta(bytes: &mut &[u8]) -> Result<i64> {
    let zigzag = read_varint(bytes)?;
    Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

fn write_varint(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7F) as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for at in 0..MAX_DELTA_BYTES {
        let [byte] = take(bytes)?;
        value |= u64::from(byte & 0x7F) << (7 * at);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(CORRUPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corridor() -> Shape {
        let line = [(1_799_999_999, -5), (-1_799_999_999, 7), (0, 900_000_000)];
        let line = line.map(|(x, y)| Point { x, y });
        Shape::corridor(line.into(), 12.5).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        corridor().write(&mut bytes);
        bytes.push(77);
        let mut rest = &bytes[..];
        assert_eq!(Shape::read(&mut rest), Ok(corridor()));
        assert_eq!(rest, [77]);
    }

    #[test]
    fn what_is_cut_or_changed_is_refused_or_another_shape() {
        let mut bytes = Vec::new();
        corridor().write(&mut bytes);
        for len in 0..bytes.len() {
            assert!(Shape::read(&mut &bytes[..len]).is_err());
        }
        for at in 0..bytes.len() {
            for byte in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[at] = byte;
                let _ = Shape::read(&mut &changed[..]);
            }
        }
        let huge = [AREA, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
        assert_eq!(Shape::read(&mut &huge[..]), Err(CORRUPT));
    }
}
