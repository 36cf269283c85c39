//! `IOT.FENCE ADD` and `DEL`: sets of fences.
//!
//! ```text
//! IOT.FENCE ADD fences id <shape> [META n field value ...] [GROUPS n group ...]
//!               [DEVICES n device ...] [DETECT kind ...] [DWELL ms] [BUFFER m] [MINFIXES n]
//!               [SPEEDLIMIT v] [SCHEDULE text [TZ zone]] [EXPIRE ms | EXPIREAT ms]
//! IOT.FENCE DEL fences id [id ...]
//! ```
//!
//! Devices of the fleets that are bound to the set are compared with a fence that is new, other or gone
//! in the same command, as far as they are where it is or was.

use super::bind::KINDS;
use super::given::parse;
use super::limits::Limits;
use super::shape::SHAPE;
use super::watch::{Changes, compare_again};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::error::{Error, Result};
use crate::command::host::{Host, Name, Reply, Slot, ValueWriter};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::Timestamp;
use crate::engine::fence::{Fence, FenceSet};
use crate::engine::fleet::Fleet;
use crate::engine::geo::Bounds;
use crate::engine::watch::MAX_ACCURACY_M;

/// Most devices in the place of one fence that are compared with it at once; the timer goes through
/// more of them.
const MAX_AT_ONCE: usize = 1_000;

/// Compares the devices that may be in one of some fences with their fences.
fn compare<H: Host>(host: &H, set: &[u8], fences: &[&Fence], changes: &mut Changes) {
    for fleet in host.bound_to(set) {
        let devices = |fleet: &Fleet| {
            let mut devices = Vec::new();
            for fence in fences {
                let reach_m = fence
                    .options()
                    .filter(|options| options.buffer_m > 0.0)
                    .map_or(0.0, |options| options.buffer_m + MAX_ACCURACY_M);
                let bounds: Bounds = fence.shape.bounds().grown(reach_m);
                let found = fleet.in_bounds(&bounds, MAX_AT_ONCE, &mut devices);
                if !found || devices.len() > MAX_AT_ONCE {
                    return None;
                }
            }
            devices.sort_unstable();
            devices.dedup();
            Some(devices)
        };
        compare_again(host, &fleet, devices, changes);
    }
}

/// Has all devices compared by the timer where a fence that is other now, or gone, counted fixes: whoever
/// was about to leave it may be anywhere.
fn sweep_leaving<'f, H: Host>(host: &H, set: &[u8], mut former: impl Iterator<Item = &'f Fence>) {
    let counts = |fence: &Fence| fence.options().is_some_and(|options| options.min_fixes > 1);
    if former.any(counts) {
        for fleet in host.bound_to(set) {
            host.sweep(&fleet);
        }
    }
}

/// `IOT.FENCE ADD`.
#[derive(Debug)]
pub struct FenceAdd;

impl Command for FenceAdd {
    const SPEC: Spec = Spec {
        name: "IOT.FENCE|ADD",
        arity: -6,
        effect: Effect::Write,
        fast: false,
        keys: Keys::Second,
        access: Access::Update,
        summary: "Adds a fence to a set, or puts it in the place of the one with its id",
        since: "0.1.0",
        complexity: "O(V + D) where V is the number of vertices, and D the number of devices in its \
                     place, of fleets that are bound to the set",
        args: &[
            Arg::named_key("fences"),
            Arg::value("id", ArgKind::String),
            SHAPE,
            Arg::block(
                "meta",
                &[
                    Arg::value("pairs", ArgKind::Integer),
                    Arg::block(
                        "pair",
                        &[
                            Arg::value("field", ArgKind::String),
                            Arg::value("value", ArgKind::String),
                        ],
                    )
                    .repeated(),
                ],
            )
            .after("META")
            .or_none(),
            Arg::block(
                "groups",
                &[
                    Arg::value("groups", ArgKind::Integer),
                    Arg::value("group", ArgKind::String).repeated(),
                ],
            )
            .after("GROUPS")
            .or_none(),
            Arg::block(
                "devices",
                &[
                    Arg::value("devices", ArgKind::Integer),
                    Arg::value("device", ArgKind::String).repeated(),
                ],
            )
            .after("DEVICES")
            .or_none(),
            KINDS.after("DETECT").or_none().repeated(),
            Arg::option("DWELL", "dwell", ArgKind::String),
            Arg::option("BUFFER", "buffer", ArgKind::Double),
            Arg::option("MINFIXES", "fixes", ArgKind::Integer),
            Arg::option("SPEEDLIMIT", "speed", ArgKind::Double),
            Arg::option("SCHEDULE", "schedule", ArgKind::String),
            Arg::option("TZ", "time-zone", ArgKind::String),
            Arg::one_of(
                "expiry",
                &[
                    Arg::value("expire", ArgKind::String).after("EXPIRE"),
                    Arg::value("expire-at", ArgKind::Integer).after("EXPIREAT"),
                ],
            )
            .or_none(),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        let id = args.take("id")?;
        let (rest, is_replay) = (args.rest(), host.is_replay());
        let limits = if is_replay {
            Limits::NONE
        } else {
            host.limits()
        };
        let given = parse(&mut args, &limits, || host.now_ms())?;
        let mut set = match host.write_value::<FenceSet>(key.into()) {
            Slot::Open(set) => {
                if !is_replay && set.get(id).is_none() {
                    limits.check_fences(set.len() + 1)?;
                }
                set
            }
            Slot::Foreign => return Err(Error::WrongType),
            Slot::Missing => {
                // So that an error leaves no key behind.
                FenceSet::new().insert(id, given.shape.clone(), given.options.clone(), 0)?;
                host.create_value(key.into(), FenceSet::new())
            }
        };
        let inserted = set.insert(id, given.shape, given.options, given.expires_ms)?;
        set.changed();
        let mut places: Vec<Fence> = set.fence(inserted.number).cloned().into_iter().collect();
        let is_new = inserted.replaced.is_none();
        places.extend(inserted.replaced);
        drop(set);
        if let Some(place) = given.relative_at {
            replicate_absolute(host, &[key.name, id], rest, place, given.expires_ms);
        } else {
            host.replicate_verbatim();
        }
        let mut changes = Changes::default();
        if !is_replay {
            sweep_leaving(host, key.name, places.iter().skip(1));
            let places: Vec<&Fence> = places.iter().collect();
            compare(host, key.name, &places, &mut changes);
        }
        host.notify(c"iot.fence.add", key);
        changes.outbox.send(host);
        host.reply().integer(is_new.into());
        Ok(())
    }
}

/// Sends a fence with the time at which it ends, instead of how long it lasts, which is what the two
/// words at `place` say.
fn replicate_absolute<H: Host>(
    host: &H,
    names: &[&[u8]; 2],
    rest: &[&[u8]],
    place: usize,
    expires_ms: Timestamp,
) {
    let at_ms = expires_ms.to_string();
    let mut words: Vec<&[u8]> = vec![b"ADD"];
    words.extend(names);
    words.extend(&rest[..place]);
    words.extend(&rest[place + 2..]);
    words.extend([&b"EXPIREAT"[..], at_ms.as_bytes()]);
    host.replicate(c"IOT.FENCE", &words);
}

/// `IOT.FENCE DEL`.
#[derive(Debug)]
pub struct FenceDel;

impl Command for FenceDel {
    const SPEC: Spec = Spec {
        name: "IOT.FENCE|DEL",
        arity: -4,
        effect: Effect::Free,
        fast: false,
        keys: Keys::Second,
        access: Access::Delete,
        summary: "Removes fences from a set; devices inside leave them",
        since: "0.1.0",
        complexity: "O(N * (V + D)) where N is the number of fences, V that of their vertices, and D \
                     that of the devices in their place",
        args: &[
            Arg::named_key("fences"),
            Arg::value("id", ArgKind::String).repeated(),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        args.take("subcommand")?;
        let key = args.key()?;
        let mut set = match host.write_value::<FenceSet>(key.into()) {
            Slot::Open(set) => set,
            Slot::Foreign => return Err(Error::WrongType),
            Slot::Missing => {
                host.reply().integer(0);
                return Ok(());
            }
        };
        let ids = args.rest().iter();
        let removed: Vec<Fence> = ids
            .filter_map(|id| set.remove(id).map(|(_, fence)| fence))
            .collect();
        if removed.is_empty() {
            host.reply().integer(0);
            return Ok(());
        }
        set.changed();
        let is_over = set.is_empty();
        drop(set);
        if is_over {
            host.remove_value::<FenceSet>(key.into());
        }
        host.replicate_verbatim();
        let mut changes = Changes::default();
        if !host.is_replay() {
            sweep_leaving(host, key.name, removed.iter());
            let places: Vec<&Fence> = removed.iter().collect();
            compare(host, key.name, &places, &mut changes);
        }
        host.notify(c"iot.fence.del", key);
        changes.outbox.send(host);
        host.reply()
            .integer(i64::try_from(removed.len()).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Takes fences out whose time has come, and compares devices; from the timer. Says whether there are
/// more.
pub(super) fn expire<H: Host>(host: &H, key: &[u8], most: usize) -> bool {
    let Slot::Open(mut set) = host.write_value::<FenceSet>(Name::Own(key)) else {
        return false;
    };
    let expired = set.take_expired(host.now_ms(), most);
    if expired.is_empty() {
        return false;
    }
    set.changed();
    let is_over = set.is_empty();
    drop(set);
    if is_over {
        host.remove_value::<FenceSet>(Name::Own(key));
    }
    let mut words: Vec<&[u8]> = vec![b"DEL", key];
    words.extend(expired.iter().map(|(_, fence)| fence.id.as_bytes()));
    host.replicate(c"IOT.FENCE", &words);
    sweep_leaving(host, key, expired.iter().map(|(_, fence)| fence));
    let places: Vec<&Fence> = expired.iter().map(|(_, fence)| fence).collect();
    let mut changes = Changes::default();
    compare(host, key, &places, &mut changes);
    changes.outbox.send(host);
    expired.len() == most
}
