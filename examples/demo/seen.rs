//! What the server knows, as JSON for the page: nothing here asks the simulation.

use redis::{Connection, FromRedisValue, RedisResult, Value as Reply, cmd, pipe};
use serde_json::{Map, Value, json};

use crate::city;

/// The fleet of the vans.
pub(crate) const FLEET: &str = "demo:vans";
/// The fences of the city.
pub(crate) const FENCES: &str = "demo:zones";
/// The stream that events are written to.
pub(crate) const EVENTS: &str = "demo:events";

/// The trail that is drawn behind a chosen van.
const TRAIL_MS: i64 = 8 * 60_000;
/// Points of the chart.
const BUCKETS: i64 = 60;

/// The key of the temperatures of a van.
pub(crate) fn series(vehicle: &str) -> String {
    format!("demo:temp:{vehicle}")
}

/// All fences as a `FeatureCollection`, with their `META` as properties.
pub(crate) fn fences(connection: &mut Connection) -> RedisResult<Value> {
    let listed: Reply = cmd("IOT.FENCE").arg(&["LIST", FENCES]).query(connection)?;
    let mut features = Vec::new();
    for id in names(&listed) {
        let fence: Reply = cmd("IOT.FENCE")
            .arg(&["GET", FENCES, &id])
            .query(connection)?;
        if let Some(feature) = feature(&id, &fence) {
            features.push(feature);
        }
    }
    Ok(json!({"type": "FeatureCollection", "features": features}))
}

/// A fence as a `Feature`: its shape, which may be one with a radius or a width or a bare geometry, and
/// what `META` says.
fn feature(id: &str, fence: &Reply) -> Option<Value> {
    let shape = field(fence, "geojson").and_then(text)?;
    let shape: Value = serde_json::from_str(&shape).ok()?;
    let (geometry, properties) = match shape.get("geometry") {
        Some(geometry) => (geometry.clone(), shape.get("properties").cloned()),
        None => (shape, None),
    };
    let mut properties = match properties {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    if let Some(meta) = field(fence, "meta") {
        for (name, value) in pairs(meta) {
            properties.insert(name, value.into());
        }
    }
    Some(json!({"type": "Feature", "id": id, "geometry": geometry, "properties": properties}))
}

/// The vans inside of the city's bounds: who, where, how fast, in which direction, doors open.
pub(crate) fn vehicles(connection: &mut Connection, bounds: [f64; 4]) -> RedisResult<Value> {
    let found: Reply = cmd("IOT.WITHIN")
        .arg(FLEET)
        .arg("BBOX")
        .arg(&bounds)
        .query(connection)?;
    let found = names(&found);
    if found.is_empty() {
        return Ok(json!({"time": null, "vans": []}));
    }
    let positions: Vec<Reply> = cmd("IOT.POSITION")
        .arg(FLEET)
        .arg(&found)
        .query(connection)?;
    let mut newest_ms = 0;
    let mut vans = Vec::new();
    for (name, position) in found.iter().zip(&positions) {
        let number = |name| field(position, name).and_then(number);
        let (Some(lon), Some(lat)) = (number("lon"), number("lat")) else {
            continue;
        };
        let time_ms = field(position, "ts").and_then(|ts| i64::from_redis_value_ref(ts).ok());
        newest_ms = newest_ms.max(time_ms.unwrap_or_default());
        let doors = field(position, "fields")
            .and_then(|fields| field(fields, "doors"))
            .and_then(text);
        vans.push(json!([
            name,
            lon,
            lat,
            number("heading").unwrap_or_default(),
            number("speed").unwrap_or_default(),
            i32::from(doors.as_deref() == Some("1")),
        ]));
    }
    Ok(json!({"time": newest_ms, "vans": vans}))
}

/// Mean, least and greatest temperature a bucket, of one van or of all, in `span_ms` up to `to_ms`;
/// and the latest trail of the van.
pub(crate) fn chart(
    connection: &mut Connection,
    vehicle: Option<&str>,
    to_ms: i64,
    span_ms: i64,
) -> RedisResult<Value> {
    let from_ms = to_ms.saturating_sub(span_ms).max(0);
    let bucket_ms = (span_ms / BUCKETS).max(1);
    match vehicle {
        Some(vehicle) => Ok(json!({
            "rows": of_one(connection, vehicle, from_ms, to_ms, bucket_ms)?,
            "trail": trail(connection, vehicle, to_ms)?,
        })),
        None => Ok(json!({"rows": of_all(connection, from_ms, to_ms, bucket_ms)?, "trail": []})),
    }
}

/// A group of series: its label, what it is made of, and its buckets.
type Group = (String, Reply, Vec<(i64, f64)>);
/// A row of the chart: time, mean, least, greatest.
type Row = (i64, f64, f64, f64);

fn of_one(
    connection: &mut Connection,
    vehicle: &str,
    from_ms: i64,
    to_ms: i64,
    bucket_ms: i64,
) -> RedisResult<Vec<Row>> {
    cmd("IOT.RANGE")
        .arg(series(vehicle))
        .arg(from_ms)
        .arg(to_ms)
        .arg(&["AGGREGATION", "avg,min,max"])
        .arg(bucket_ms)
        .query(connection)
}

fn of_all(
    connection: &mut Connection,
    from_ms: i64,
    to_ms: i64,
    bucket_ms: i64,
) -> RedisResult<Vec<Row>> {
    let mut queries = pipe();
    for aggregate in ["avg", "min", "max"] {
        queries.cmd("IOT.MRANGE").arg(from_ms).arg(to_ms);
        queries.arg(&["AGGREGATION", aggregate]).arg(bucket_ms);
        queries.arg("FILTER").arg("kind=cargo");
        queries.arg(format!("city={}", city::NAME));
        queries.arg(&["GROUPBY", "kind", "REDUCE", aggregate]);
    }
    let (mean, least, greatest): (Vec<Group>, Vec<Group>, Vec<Group>) =
        queries.query(connection)?;
    // One group each, over the same buckets.
    let [mean, least, greatest] =
        [mean, least, greatest].map(|groups| groups.into_iter().next().map(|group| group.2));
    let bands = least
        .into_iter()
        .flatten()
        .zip(greatest.into_iter().flatten());
    Ok(mean
        .into_iter()
        .flatten()
        .zip(bands)
        .map(|((time_ms, mean), (least, greatest))| (time_ms, mean, least.1, greatest.1))
        .collect())
}

/// Where a van has been, the oldest place first.
fn trail(connection: &mut Connection, vehicle: &str, to_ms: i64) -> RedisResult<Vec<[f64; 2]>> {
    let trail: Reply = cmd("IOT.TRAIL")
        .arg(FLEET)
        .arg(vehicle)
        .arg(to_ms.saturating_sub(TRAIL_MS).max(0))
        .arg(to_ms)
        .query(connection)?;
    let points = field(&trail, "points").map_or(&[][..], items);
    Ok(points
        .iter()
        .filter_map(|point| match items(point) {
            [_, lon, lat] => Some([number(lon)?, number(lat)?]),
            _ => None,
        })
        .collect())
}

/// The value of a name in a map, which RESP2 sends as an array of names and values in turn.
pub(crate) fn field<'a>(map: &'a Reply, name: &str) -> Option<&'a Reply> {
    match map {
        Reply::Map(pairs) => pairs
            .iter()
            .find(|(key, _)| text(key).as_deref() == Some(name))
            .map(|(_, value)| value),
        Reply::Array(items) => items
            .chunks_exact(2)
            .find(|pair| text(&pair[0]).as_deref() == Some(name))
            .map(|pair| &pair[1]),
        _ => None,
    }
}

/// The names and values of a map of texts.
fn pairs(map: &Reply) -> Vec<(String, String)> {
    match map {
        Reply::Map(pairs) => pairs
            .iter()
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect(),
        Reply::Array(items) => items
            .chunks_exact(2)
            .filter_map(|pair| Some((text(&pair[0])?, text(&pair[1])?)))
            .collect(),
        _ => Vec::new(),
    }
}

/// The names on a page of results: the cursor of the next page, and names.
fn names(page: &Reply) -> Vec<String> {
    let names = items(page).get(1).map_or(&[][..], items);
    names.iter().filter_map(text).collect()
}

fn items(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(items) => items,
        _ => &[],
    }
}

/// A reply that is text.
pub(crate) fn text(reply: &Reply) -> Option<String> {
    match reply {
        Reply::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Reply::SimpleString(text) | Reply::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

fn number(reply: &Reply) -> Option<f64> {
    f64::from_redis_value_ref(reply).ok()
}
