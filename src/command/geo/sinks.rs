//! Where events go: `{PUBLISH channel | STREAM key [MAXLEN n]}...`.

use super::count;
use crate::command::args::Args;
use crate::command::error::{Error, Result};
use crate::command::host::Host;
use crate::command::spec::{Arg, ArgKind};
use crate::engine;
use crate::engine::rule::MAX_KEY_BYTES;
use crate::engine::watch::{MAX_SINKS, Sink};

/// What the documentation says of it.
pub(super) const SINKS: Arg = Arg::one_of(
    "sink",
    &[
        Arg::value("channel", ArgKind::String).after("PUBLISH"),
        Arg::block(
            "stream",
            &[
                Arg::named_key("stream"),
                Arg::option("MAXLEN", "entries", ArgKind::Integer),
            ],
        )
        .after("STREAM"),
    ],
)
.repeated();

/// Reads one sink if there is one.
pub(super) fn sink(args: &mut Args<'_>) -> Result<Option<Sink>> {
    if args.keyword("PUBLISH") {
        return Ok(Some(Sink::Publish(name(args, "channel")?)));
    }
    if !args.keyword("STREAM") {
        return Ok(None);
    }
    let key = name(args, "stream")?;
    let mut max_len = 0;
    if args.keyword("MAXLEN") {
        const INVALID: &str = "MAXLEN must be a positive number of entries";
        max_len = count(args, "MAXLEN", INVALID, 1..=i64::MAX)?.unsigned_abs();
    }
    Ok(Some(Sink::Stream { key, max_len }))
}

fn name(args: &mut Args<'_>, what: &'static str) -> Result<Box<[u8]>> {
    let name = args.take(what)?;
    if name.is_empty() {
        return Err(Error::Conflict("a sink must have a name"));
    }
    if name.len() > MAX_KEY_BYTES {
        return Err(Error::limit("bytes in the name of a sink", MAX_KEY_BYTES));
    }
    Ok(name.into())
}

/// Checks that sinks are some, not too many, and such as the user may use; and that a server of a
/// cluster can reach all the keys that `home` is used with.
pub(super) fn check<H: Host>(host: &H, home: &[u8], keys: &[&[u8]], sinks: &[Sink]) -> Result<()> {
    if sinks.is_empty() {
        return Err(Error::MissingValue("PUBLISH or STREAM"));
    }
    if sinks.len() > MAX_SINKS {
        return Err(Error::limit("sinks", MAX_SINKS));
    }
    let mut streams: Vec<&[u8]> = Vec::new();
    for sink in sinks {
        match sink {
            Sink::Publish(channel) if !host.may_publish(channel) => {
                return Err(Error::NoChannel);
            }
            Sink::Publish(_) => {}
            Sink::Stream { key, .. } => streams.push(key),
        }
    }
    if !host.may_update(streams.len(), streams.iter().map(|key| key.to_vec())) {
        return Err(Error::NoPermission);
    }
    let mut others = keys.iter().chain(&streams);
    if host.is_cluster() && others.any(|key| !engine::policy::is_same_slot(home, key)) {
        return Err(Error::Conflict(
            "in a cluster, fleet, fences and streams must have the same hash tag",
        ));
    }
    Ok(())
}
