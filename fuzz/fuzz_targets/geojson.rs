//! Bytes as GeoJSON: refused, or a shape that is written and read back as the same, and that any place
//! can be asked about.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_iot::engine::geo::{Point, Shape, geojson};

fuzz_target!(|bytes: &[u8]| {
    let Ok(shape) = geojson::parse(bytes) else {
        return;
    };
    let text = geojson::write(&shape);
    // A box without width or height is none as a polygon.
    if !matches!(shape, Shape::Box(_)) {
        assert_eq!(geojson::parse(text.as_bytes()).unwrap(), shape);
    }
    for (lon, lat) in [(0.0, 0.0), (180.0, 0.0), (-180.0, 90.0), (13.4, -52.5)] {
        let point = Point::from_degrees(lon, lat).unwrap();
        assert_eq!(shape.contains(point), shape.distance_m(point) == 0.0);
    }
});
