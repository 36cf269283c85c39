//! The fences of the city, as arguments of `IOT.FENCE ADD`.

use crate::city::{Place, SCHOOLS, crossing, place, ring};

const DEPOT_RADIUS_M: f64 = 120.0;
const SCHOOL_RADIUS_M: f64 = 150.0;
const RING_WIDTH_M: f64 = 70.0;

/// Where depots are, and what they are called.
const DEPOTS: [(&str, &str, (i32, i32)); 5] = [
    ("depot-north", "Depot North", (6, 9)),
    ("depot-east", "Depot East", (12, 6)),
    ("depot-south", "Depot South", (4, 0)),
    ("depot-west", "Depot West", (0, 5)),
    ("terminal", "Harbour Terminal", (11, 1)),
];

/// The crossings with a depot.
pub(crate) fn depots() -> Vec<usize> {
    DEPOTS.iter().map(|(.., at)| crossing(*at)).collect()
}

/// All fences: each the arguments of one `IOT.FENCE ADD` behind the key.
pub(crate) fn fences() -> Vec<Vec<String>> {
    let mut fences: Vec<_> = DEPOTS
        .iter()
        .map(|(id, name, (column, row))| depot(id, name, place(*column, *row)))
        .collect();
    for ((id, name), (column, row)) in [
        ("school-linden", "Linden School"),
        ("school-pier", "Pier School"),
    ]
    .into_iter()
    .zip(SCHOOLS)
    {
        fences.push(school(id, name, place(column, row)));
    }
    fences.push(old_town());
    fences.push(ring_road());
    fences.push(harbour());
    fences
}

/// A circle where vans come to stay: also told of when one has been there for two minutes.
fn depot(id: &str, name: &str, middle: Place) -> Vec<String> {
    let radius = DEPOT_RADIUS_M.to_string();
    let shape = [words("CIRCLE"), degrees([middle]), vec![radius]].concat();
    let rules = words("DWELL 120000 DETECT enter exit dwell");
    fence(id, "depot", name, shape, rules)
}

/// An octagon where one may drive 30 km/h while the school is open.
fn school(id: &str, name: &str, middle: Place) -> Vec<String> {
    let corners = ring_of(8, middle, SCHOOL_RADIUS_M, 22.5);
    let shape = [words("POLYGON 8"), degrees(corners)].concat();
    let mut rules = words("DETECT overspeed SPEEDLIMIT 8.34 SCHEDULE");
    rules.push("mon-fri 07:00-17:00".to_owned());
    fence(id, "school", name, shape, rules)
}

/// The pedestrian zone, a polygon around the middle, with a hole: the market has a lane of its own.
fn old_town() -> Vec<String> {
    let middle = place(6, 5);
    let shape = [
        words("POLYGON 9"),
        degrees(ring_of(9, middle, 400.0, 11.0)),
        words("HOLE 4"),
        degrees(ring_of(4, middle, 130.0, 38.0)),
    ]
    .concat();
    let rules = words("DETECT enter exit");
    fence("old-town", "pedestrian", "Old Town", shape, rules)
}

/// A corridor along the ring road. Many cross it, so only who stays on it is told of.
fn ring_road() -> Vec<String> {
    let line = ring();
    let shape = [
        words("CORRIDOR"),
        vec![RING_WIDTH_M.to_string(), line.len().to_string()],
        degrees(line),
    ]
    .concat();
    let rules = words("DWELL 60000 DETECT dwell");
    fence("ring-road", "road", "Ring Road", shape, rules)
}

/// A box over the south-east.
fn harbour() -> Vec<String> {
    let (low, high) = (place(9, 0), place(12, 3));
    let low = low.towards(225.0, 90.0);
    let shape = [words("BBOX"), degrees([low, high])].concat();
    let rules = words("DETECT enter exit");
    fence("harbour", "district", "Harbour", shape, rules)
}

fn fence(id: &str, kind: &str, name: &str, shape: Vec<String>, rules: Vec<String>) -> Vec<String> {
    let mut args = vec![id.to_owned()];
    args.extend(shape);
    args.extend(["META", "2", "kind", kind, "name", name].map(str::to_owned));
    args.extend(rules);
    args
}

/// The corners of a regular polygon; the first lies in the direction `turn`.
fn ring_of(corners: u16, middle: Place, radius_m: f64, turn: f64) -> Vec<Place> {
    (0..corners)
        .map(|at| {
            let heading = turn - 360.0 * f64::from(at) / f64::from(corners);
            middle.towards(heading, radius_m)
        })
        .collect()
}

fn degrees(places: impl IntoIterator<Item = Place>) -> Vec<String> {
    places
        .into_iter()
        .flat_map(|place| place.degrees().map(|degree| format!("{degree:.7}")))
        .collect()
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}
