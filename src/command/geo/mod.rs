//! Fleets and fences: positions in, events out.
//!
//! ```text
//! track, untrack   a device has moved, or is gone    --> watch: compare with fences --> outbox --> sinks
//! fence            a fence is new, other, or gone    --> watch                      -->   "
//! bind, roam       who is compared with whom
//! attend           the timer: dwells, expiry, sweeps --> watch                      -->   "
//! position, fleet, fence_read                          questions that are answered at once
//! trail, nearby, within, intersects, fence_near        searches, which may be long
//! attempt, ground                                      how these are tried, and on what
//! ```
//!
//! A write sends three things to replicas, as one unit: the position or fence, as it came; for each
//! device with other visits, the visits (`IOT.FLEET VISITS`); the entries of streams. So a replica,
//! or a restart, compares nothing: it applies.

mod attempt;
mod attend;
mod bind;
mod event;
mod fence;
mod fence_near;
mod fence_read;
mod fields;
mod fleet;
mod found;
mod given;
mod ground;
mod intersects;
mod limits;
mod nearby;
mod outbox;
mod paging;
mod position;
mod restore;
mod roam;
mod shape;
mod sinks;
mod track;
mod trail;
mod untrack;
mod watch;
mod within;

pub use attend::{attend, fences_agenda, fleet_agenda};
pub use bind::{FenceBind, FenceBindings, FenceUnbind};
pub use fence::{FenceAdd, FenceDel};
pub use fence_near::FenceNear;
pub use fence_read::{FenceAt, FenceCount, FenceGet, FenceInfo, FenceList};
pub use fleet::{FleetAlter, FleetCreate, FleetInfo, FleetList};
pub use intersects::Intersects;
pub use limits::Limits;
pub use nearby::Nearby;
pub use position::Position;
pub use restore::{FenceRestore, FleetRestore, FleetVisits};
pub use roam::{RoamBind, RoamUnbind};
pub use track::{MTrack, Track};
pub use trail::Trail;
pub use untrack::Untrack;
pub use within::Within;

use super::args::Args;
use super::error::{Error, Result, Token};
use super::host::{Host, Key, Name};
use super::number;
use super::spec::{Access, Effect, Keys, Spec};
use crate::engine::fleet::Fleet;
use crate::engine::geo::Point;

/// What there is to say of a command that others are parts of.
const fn container(name: &'static str, summary: &'static str) -> Spec {
    Spec {
        name,
        arity: -2,
        effect: Effect::Write,
        fast: false,
        keys: Keys::None,
        access: Access::Update,
        summary,
        since: "0.1.0",
        complexity: "Depends on the subcommand",
        args: &[],
    }
}

/// `IOT.FLEET` of `IOT.FLEET CREATE` and so on.
pub const FLEET: Spec = container("IOT.FLEET", "Fleets of devices that move");
/// `IOT.FENCE` of `IOT.FENCE ADD` and so on.
pub const FENCE: Spec = container("IOT.FENCE", "Sets of geofences, and what they watch");
/// `IOT.ROAM` of `IOT.ROAM BIND` and so on.
pub const ROAM: Spec = container("IOT.ROAM", "Devices that come near each other");

/// Opens a fleet, or makes one.
fn open_or_create<'h, H: Host>(host: &'h H, key: Key<'_>) -> Result<H::WriteValue<'h, Fleet>> {
    let open = host.write_value::<Fleet>(key.into()).optional()?;
    Ok(open.unwrap_or_else(|| host.create_value(key.into(), Fleet::default())))
}

/// Closes a fleet of which something was taken; it is no key any more where nothing is left.
fn release<H: Host>(host: &H, name: Name<'_>, fleet: H::WriteValue<'_, Fleet>) {
    let is_over = fleet.is_trivial();
    drop(fleet);
    if is_over {
        host.remove_value::<Fleet>(name);
    }
}

/// Reads a longitude and a latitude.
#[inline]
fn point(args: &mut Args<'_>) -> Result<Point> {
    let (lon, lat) = (args.take("longitude")?, args.take("latitude")?);
    point_of(lon, lat)
}

/// The point of a longitude and a latitude.
#[inline]
fn point_of(lon: &[u8], lat: &[u8]) -> Result<Point> {
    let degrees = |text: &[u8], max: f64| number::real(text).filter(|degrees| degrees.abs() <= max);
    let x = degrees(lon, 180.0).ok_or_else(|| {
        Error::Invalid(
            "longitude must be a number from -180 to 180",
            Token::from(lon),
        )
    })?;
    let y = degrees(lat, 90.0).ok_or_else(|| {
        Error::Invalid("latitude must be a number from -90 to 90", Token::from(lat))
    })?;
    Point::from_degrees(x, y).ok_or_else(|| Error::Invalid("not a place", Token::from(lon)))
}

/// Reads metres: a finite number of at least zero. `invalid` is the text of the refusal.
fn metres(args: &mut Args<'_>, what: &'static str, invalid: &'static str) -> Result<f64> {
    let text = args.take(what)?;
    number::real(text)
        .filter(|metres| metres.is_finite() && *metres >= 0.0)
        .ok_or_else(|| Error::Invalid(invalid, Token::from(text)))
}

/// Reads a finite number.
fn finite(args: &mut Args<'_>, what: &'static str, invalid: &'static str) -> Result<f64> {
    let text = args.take(what)?;
    number::real(text)
        .filter(|number| number.is_finite())
        .ok_or_else(|| Error::Invalid(invalid, Token::from(text)))
}

/// Reads a whole number from `min` to `max`.
fn count(
    args: &mut Args<'_>,
    what: &'static str,
    invalid: &'static str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64> {
    let text = args.take(what)?;
    number::whole(text)
        .filter(|count| range.contains(count))
        .ok_or_else(|| Error::Invalid(invalid, Token::from(text)))
}
