//! Arguments that have a grammar of their own.

use super::Line;
use crate::support::aggregation::AGGREGATORS;
use crate::support::notation::packed;
use crate::support::seeds::Random;

/// The end of the time in which things happen, in milliseconds.
const LAST_MS: i64 = 200_000;

/// A time, or what stands for one where the argument's name permits it.
pub(super) fn time(random: &mut Random, name: &str) -> String {
    match (name, random.index(10)) {
        ("from-timestamp" | "from", 0..=4) => "-".into(),
        ("to-timestamp" | "to", 0..=4) => "+".into(),
        ("from-timestamp" | "from", _) => random.within(0..LAST_MS / 2).to_string(),
        ("to-timestamp" | "to", _) => random.within(LAST_MS / 2..LAST_MS).to_string(),
        ("expire-at", _) => random
            .within(9_000_000_000_000..9_000_000_100_000)
            .to_string(),
        (_, 0) => "*".into(),
        _ => random.within(0..LAST_MS).to_string(),
    }
}

/// A place on an axis: near the one where most things are, or anywhere up to `most`.
pub(super) fn degrees(random: &mut Random, home: i64, most: i64) -> String {
    let micro = match random.index(20) {
        0 => return [most.to_string(), (-most).to_string()][random.index(2)].clone(),
        1 => random.within(-most * 1_000_000..most * 1_000_000),
        2 => home * 1_000_000,
        _ => home * 1_000_000 + random.within(0..1_000_000),
    };
    in_millionths(micro)
}

fn in_millionths(micro: i64) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let micro = micro.abs();
    format!("{sign}{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

/// One filter.
pub(super) fn filter(random: &mut Random) -> String {
    if random.chance(85) {
        return matcher(random);
    }
    format!("({} OR {})", matcher(random), matcher(random))
}

fn matcher(random: &mut Random) -> String {
    const FILTERS: [&str; 22] = [
        "kind=temp",
        "kind!=temp",
        "kind=",
        "kind!=",
        "kind=(temp,hum)",
        "kind!=(temp,hum,x)",
        "room~1*",
        "room!~?",
        "room~[0-9]*[!a-z]",
        "room~**********a",
        "room~=[0-9]+",
        "room!~=1|2|(3|4)*",
        "kind~=(t|te|tem)*(e*)*p",
        "kind~=(((a*)*)*)*",
        "kind~=(.?){64}",
        "kind~=(?i)TEMP",
        "room>=2",
        "room<5",
        "room>-1e300",
        "\"kind\"=\"temp\"",
        "raw=\"\\x00\\xff\"",
        "label!=",
    ];
    random.pick(&FILTERS).into()
}

/// Aggregators as a list, or one alone.
pub(super) fn aggregators(random: &mut Random, name: &str) -> String {
    let len = if name == "aggregators" {
        random.index(3) + 1
    } else {
        1
    };
    let list: Vec<&str> = (0..len).map(|_| random.pick(&AGGREGATORS)).collect();
    list.join(",")
}

/// The times of a fence.
pub(super) fn schedule(random: &mut Random) -> String {
    const SCHEDULES: [&str; 4] = [
        "mon-fri 08:00-18:00",
        "daily 00:00-24:00",
        "sat,sun 22:00-06:00",
        "mon-fri 08:00-18:00; sat 10:00-12:00",
    ];
    random.pick(&SCHEDULES).into()
}

/// Samples as `PACKED` takes them.
pub(super) fn blob(random: &mut Random) -> Vec<u8> {
    let len = match random.index(20) {
        0 => random.index(2_000),
        _ => random.index(20),
    };
    let samples: Vec<(i64, f64)> = (0..len)
        .map(|_| (random.within(0..LAST_MS), random.any_value()))
        .collect();
    packed(samples)
}

/// A value that its name says enough of.
pub(super) fn plain(random: &mut Random, name: &str) -> String {
    match name {
        "label" | "field" => random
            .pick(&["kind", "room", "speed", "fuel", "raw", "device"])
            .into(),
        "name" => random.pick(&["fuel", "plate", "kind"]).into(),
        "operator" => random.pick(&["=", "!=", "<", "<=", ">", ">="]).into(),
        "device" => format!("d{}", random.index(20)),
        "id" => format!("a{}", random.index(20)),
        "group" => random.pick(&["g", "h"]).into(),
        "channel" => random.pick(&["c", "events"]).into(),
        "pattern" => random.pick(&["*", "d*", "a?", "[a-d]1*", "**a**"]).into(),
        "time-zone" => random
            .pick(&["Europe/Berlin", "UTC", "Pacific/Apia", "America/New_York"])
            .into(),
        "template" => random
            .pick(&["{key}:{agg}:{bucket}", "{key}/{agg}/{bucket}"])
            .into(),
        "bucket-timestamp" => random.pick(&["start", "mid", "end", "-", "~", "+"]).into(),
        "align" => random.pick(&["start", "end", "0", "-", "+", "77"]).into(),
        "cursor" => "0".into(),
        "size-bytes" => (48 + 8 * random.index(64)).to_string(),
        "heading" => random.index(360).to_string(),
        "min" => random.within(-1_000..0).to_string(),
        "max-count" | "count" | "limit" | "entries" => (1 + random.index(50)).to_string(),
        "milliseconds" | "min-count" | "fixes" => (1 + random.index(5)).to_string(),
        "radius" | "width" => (1 + random.index(200_000)).to_string(),
        "bucket-duration" => random
            .pick(&["7", "100", "1000", "15s", "1m", "1h30m", "1d", "1mo"])
            .into(),
        "retention" | "idle-ttl" | "expire" | "dwell" | "delay" | "max-gap" | "max-time-diff" => {
            random
                .pick(&["0", "1", "50", "10s", "5m", "1h", "30d"])
                .into()
        }
        _ => (1 + random.index(100)).to_string(),
    }
}

/// A text at an edge: empty, as long as a limit, one byte longer, with bytes that are no text.
pub(super) fn edge(random: &mut Random) -> Vec<u8> {
    const LENGTHS: [usize; 12] = [0, 1, 64, 65, 256, 257, 512, 513, 1_024, 1_025, 4_096, 4_097];
    let byte = [b'x', b'9', b'(', b'*', 0, 0xff, b'"', b' '][random.index(8)];
    vec![byte; LENGTHS[random.index(LENGTHS.len())]]
}

/// A whole shape, mostly sound.
pub(super) fn shape(random: &mut Random, line: &mut Line) {
    let mut words: Vec<String> = Vec::new();
    match random.index(5) {
        0 => {
            words.push("CIRCLE".into());
            words.extend([degrees(random, 9, 179), degrees(random, 49, 88)]);
            words.push((1 + random.index(200_000)).to_string());
        }
        1 => {
            words.push("BBOX".into());
            words.extend([degrees(random, 9, 179), degrees(random, 49, 50)]);
            words.extend([degrees(random, 10, 180), degrees(random, 51, 90)]);
        }
        2 => polygon(random, &mut words),
        3 => {
            words.push("CORRIDOR".into());
            words.push((1 + random.index(5_000)).to_string());
            let points = line_of(random);
            words.push(points.len().to_string());
            words.extend(points.into_iter().flatten());
        }
        _ => {
            line.push("GEOJSON".into());
            line.push(geojson(random).into());
            return;
        }
    }
    line.extend(words.into_iter().map(String::into_bytes));
}

fn polygon(random: &mut Random, words: &mut Vec<String>) {
    let center = [
        random.within(0..80_000_000),
        random.within(-60_000_000..60_000_000),
    ];
    for (word, reach) in [("POLYGON", 1_000_000), ("HOLE", 100_000)] {
        if word == "HOLE" && !random.chance(30) {
            return;
        }
        let points = ring(random, center, reach);
        words.push(word.into());
        words.push(points.len().to_string());
        words.extend(points.into_iter().flatten());
    }
}

/// A ring around a place that does not meet itself: points in order of their direction, at any distance up
/// to `reach`, in millionths of degrees.
#[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^53")]
#[expect(clippy::cast_possible_truncation, reason = "degrees in millionths fit")]
fn ring(random: &mut Random, center: [i64; 2], reach: i64) -> Vec<[String; 2]> {
    let len = match random.index(30) {
        0 => 300,
        _ => 3 + random.index(12),
    };
    let step = std::f64::consts::TAU / len as f64;
    (0..len)
        .map(|at| {
            let distance = random.within(reach / 2..reach) as f64;
            let (sin, cos) = (step * at as f64).sin_cos();
            let [x, y] = [
                center[0] + (distance * cos) as i64,
                center[1] + (distance * sin) as i64,
            ];
            [in_millionths(x), in_millionths(y)]
        })
        .collect()
}

fn line_of(random: &mut Random) -> Vec<[String; 2]> {
    let len = 2 + random.index(6);
    (0..len)
        .map(|_| [degrees(random, 9, 179), degrees(random, 49, 88)])
        .collect()
}

/// A text of GeoJSON: of every kind of shape, and now and then of none.
pub(super) fn geojson(random: &mut Random) -> String {
    const STRANGE: [&str; 12] = [
        "",
        "{}",
        "null",
        "[[[[[[[[",
        "{\"type\":\"Polygon\"}",
        "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,1],[1,0],[0,1]]]}",
        "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1e999,0],[1,1]]]}",
        "{\"type\":\"GeometryCollection\",\"geometries\":[]}",
        "{\"type\":\"Feature\",\"geometry\":null,\"properties\":null}",
        "{\"type\":\"MultiPoint\",\"coordinates\":[[0,0]]}",
        "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,0],[1,1]]],\"coordinates\":[]}",
        "{\"type\":\"Point\",\"coordinates\":[0,0,0,0,0]}",
    ];
    let center = [
        random.within(0..80_000_000),
        random.within(-60_000_000..60_000_000),
    ];
    match random.index(8) {
        0 => random.pick(&STRANGE).into(),
        1 => {
            let depth = random.index(3_000);
            format!("{}{}", "[".repeat(depth), "]".repeat(depth))
        }
        2 => feature(
            "Point",
            &pair(&[degrees(random, 9, 179), degrees(random, 49, 88)]),
            "radius",
        ),
        3 => {
            let points: Vec<String> = line_of(random).iter().map(pair).collect();
            feature("LineString", &format!("[{}]", points.join(",")), "width")
        }
        4 => format!(
            "{{\"type\":\"FeatureCollection\",\"features\":[{{\"type\":\"Feature\",\"properties\":null,\
             \"geometry\":{{\"type\":\"Polygon\",\"coordinates\":[{}]}}}}]}}",
            ring_text(random, center)
        ),
        5 => {
            let far = [center[0] + 40_000_000, center[1]];
            let (one, other) = (ring_text(random, center), ring_text(random, far));
            format!("{{\"type\":\"MultiPolygon\",\"coordinates\":[[{one}],[{other}]]}}")
        }
        _ => {
            let ring = ring_text(random, center);
            format!("{{\"type\":\"Polygon\",\"coordinates\":[{ring}]}}")
        }
    }
}

fn feature(kind: &str, coordinates: &str, property: &str) -> String {
    format!(
        "{{\"type\":\"Feature\",\"properties\":{{\"{property}\":50.5}},\
         \"geometry\":{{\"type\":\"{kind}\",\"coordinates\":{coordinates}}}}}"
    )
}

fn ring_text(random: &mut Random, center: [i64; 2]) -> String {
    let points: Vec<String> = ring(random, center, 1_000_000).iter().map(pair).collect();
    format!("[{}]", points.join(","))
}

fn pair([lon, lat]: &[String; 2]) -> String {
    format!("[{lon},{lat}]")
}
