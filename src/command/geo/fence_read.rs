//! Questions to a set of fences.
//!
//! ```text
//! IOT.FENCE GET fences id
//! IOT.FENCE LIST fences [GROUP group] [MATCH glob] [COUNT n] [CURSOR cursor]
//! IOT.FENCE COUNT fences [GROUP group]
//! IOT.FENCE AT fences lon lat [GROUP group]
//! IOT.FENCE INFO fences
//! ```

use super::paging::Paging;
use super::point;
use super::shape::{LAT, LON};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::error::{Error, Result};
use crate::command::host::{Host, Key, Name, Reply};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fence::{Fence, FenceSet, Group, Options};
use crate::engine::geo::geojson;
use crate::engine::index::Glob;

/// Fences of a page of a list where the client says nothing.
const DEFAULT_PAGE: i64 = 100;
/// Fences that one page looks at, at most, to find those that match.
const MAX_LOOKS: usize = 100_000;

const GROUP: Arg = Arg::option("GROUP", "group", ArgKind::String);

/// What a question about a set has in common with others.
pub(super) const fn question(
    name: &'static str,
    arity: i32,
    summary: &'static str,
    complexity: &'static str,
    args: &'static [Arg],
) -> Spec {
    Spec {
        name,
        arity,
        effect: Effect::Read,
        fast: false,
        keys: Keys::Second,
        access: Access::Read,
        summary,
        since: "0.1.0",
        complexity,
        args,
    }
}

/// Opens the set that a question is about; `None` where there is none.
pub(super) fn open<'h, H: Host>(
    host: &'h H,
    key: Key<'_>,
) -> Result<Option<H::ReadValue<'h, FenceSet>>> {
    host.read_value::<FenceSet>(Name::Argument(key)).optional()
}

/// Reads the key behind the subcommand.
///
/// # Errors
/// `MissingValue`.
pub(super) fn key<'a>(args: &mut Args<'a>) -> Result<Key<'a>> {
    args.take("subcommand")?;
    args.key()
}

/// `IOT.FENCE GET`.
#[derive(Debug)]
pub struct FenceGet;

impl Command for FenceGet {
    const SPEC: Spec = question(
        "IOT.FENCE|GET",
        4,
        "A fence: its shape as GeoJSON, and what was said of it",
        "O(V) where V is the number of vertices",
        &[Arg::named_key("fences"), Arg::value("id", ArgKind::String)],
    );

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = key(&mut args)?;
        let id = args.take("id")?;
        args.finish()?;
        let set = open(host, key)?;
        match set.as_ref().and_then(|set| set.get(id)) {
            Some((_, fence)) => describe(host, fence),
            None => host.reply().null(),
        }
        Ok(())
    }
}

fn describe<H: Host>(host: &H, fence: &Fence) {
    let reply = host.reply();
    let (default, options) = (Options::default(), fence.options());
    let options = options.unwrap_or(&default);
    reply.map(11);
    reply.bulk(b"geojson");
    reply.bulk(geojson::write(&fence.shape).as_bytes());
    reply.bulk(b"detect");
    match options.detect {
        Some(kinds) => {
            let names: Vec<&str> = kinds.names().collect();
            reply.texts(names.iter().map(|name| name.as_bytes()));
        }
        None => reply.null(),
    }
    reply.bulk(b"dwell");
    reply.integer(options.dwell_ms);
    reply.bulk(b"buffer");
    reply.number(options.buffer_m);
    reply.bulk(b"minfixes");
    reply.integer(options.min_fixes.max(1).into());
    reply.bulk(b"speedlimit");
    match options.speed_limit {
        Some(limit) => reply.number(limit),
        None => reply.null(),
    }
    reply.bulk(b"schedule");
    match &options.schedule {
        Some(schedule) => {
            reply.array(2);
            reply.bulk(schedule.to_string().as_bytes());
            reply.bulk(schedule.zone().name().as_bytes());
        }
        None => reply.null(),
    }
    reply.bulk(b"groups");
    reply.texts(options.groups.iter());
    reply.bulk(b"devices");
    reply.texts(options.devices.iter());
    reply.bulk(b"meta");
    reply.map(options.meta.len());
    for (name, value) in options.meta.iter() {
        reply.bulk(name);
        reply.bulk(value);
    }
    reply.bulk(b"expires");
    match fence.expires_ms {
        0 => reply.null(),
        at_ms => reply.integer(at_ms),
    }
}

/// `IOT.FENCE LIST`.
#[derive(Debug)]
pub struct FenceList;

impl Command for FenceList {
    const SPEC: Spec = question(
        "IOT.FENCE|LIST",
        -3,
        "The ids of the fences of a set, a page at a time, and the cursor of the next page",
        "O(N) where N is the number of fences looked at",
        &[
            Arg::named_key("fences"),
            GROUP,
            Arg::option("MATCH", "pattern", ArgKind::String),
            Arg::option("COUNT", "count", ArgKind::Integer),
            Arg::option("CURSOR", "cursor", ArgKind::Integer),
        ],
    );

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = key(&mut args)?;
        let (mut group, mut pattern, mut paging) = (None, None, Paging::default());
        while !args.is_empty() {
            if args.keyword("GROUP") {
                set(&mut group, "GROUP", args.take("GROUP")?)?;
            } else if args.keyword("MATCH") {
                set(&mut pattern, "MATCH", Glob::new(args.take("MATCH")?)?)?;
            } else if !(paging.take_count(&mut args)? || paging.take_cursor(&mut args)?) {
                args.finish()?;
            }
        }
        let set = open(host, key)?;
        let most = paging.most(DEFAULT_PAGE, &host.limits());
        let mut ids: Vec<&[u8]> = Vec::new();
        let mut next = 0;
        let fences = set.iter().flat_map(|set| set.from(paging.first()));
        for (looks, (number, fence)) in fences.enumerate() {
            if ids.len() == most || looks == MAX_LOOKS {
                next = number;
                break;
            }
            let is_in = |group| {
                fence
                    .options()
                    .is_some_and(|options| options.groups.contains(group))
            };
            let id = fence.id.as_bytes();
            if group.is_none_or(is_in) && pattern.as_ref().is_none_or(|glob| glob.matches(id)) {
                ids.push(id);
            }
        }
        let reply = host.reply();
        reply.array(2);
        reply.integer(next.into());
        reply.texts(ids.into_iter());
        Ok(())
    }
}

/// `IOT.FENCE COUNT`.
#[derive(Debug)]
pub struct FenceCount;

impl Command for FenceCount {
    const SPEC: Spec = question(
        "IOT.FENCE|COUNT",
        -3,
        "The number of fences of a set, or of one of its groups",
        "O(1)",
        &[Arg::named_key("fences"), GROUP],
    );

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = key(&mut args)?;
        let group = group_of(&mut args)?;
        args.finish()?;
        let set = open(host, key)?;
        let fences = set.map_or(0, |set| match group {
            None => set.len() as u64,
            Some(group) => set.group(group).map_or(0, Group::count),
        });
        host.reply()
            .integer(i64::try_from(fences).unwrap_or(i64::MAX));
        Ok(())
    }
}

fn group_of<'a>(args: &mut Args<'a>) -> Result<Option<&'a [u8]>> {
    if args.keyword("GROUP") {
        return args.take("GROUP").map(Some);
    }
    Ok(None)
}

/// `IOT.FENCE AT`.
#[derive(Debug)]
pub struct FenceAt;

impl Command for FenceAt {
    const SPEC: Spec = Spec {
        fast: true,
        ..question(
            "IOT.FENCE|AT",
            -5,
            "The fences that a place lies in",
            "O(F * V) where F is the number of fences around the place and V that of their vertices, \
             or its logarithm for a fence with many",
            &[Arg::named_key("fences"), LON, LAT, GROUP],
        )
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = key(&mut args)?;
        let point = point(&mut args)?;
        let group = group_of(&mut args)?;
        args.finish()?;
        let set = open(host, key)?;
        let reply = host.reply();
        let Some(set) = set else {
            reply.array(0);
            return Ok(());
        };
        let mut numbers = Vec::new();
        set.at(point, &mut numbers);
        if let Some(group) = group {
            let group = set.group(group);
            numbers.retain(|&number| group.is_some_and(|group| group.contains(number)));
        }
        let fences: Vec<&Fence> = numbers.iter().filter_map(|&one| set.fence(one)).collect();
        // One byte of each id, so that those that are not in the cache come at the same time.
        let firsts = fences
            .iter()
            .filter_map(|fence| fence.id.as_bytes().first());
        std::hint::black_box(firsts.fold(0, |seen, first| seen ^ first));
        reply.texts(fences.iter().map(|fence| fence.id.as_bytes()));
        Ok(())
    }
}

/// `IOT.FENCE INFO`.
#[derive(Debug)]
pub struct FenceInfo;

impl Command for FenceInfo {
    const SPEC: Spec = question(
        "IOT.FENCE|INFO",
        3,
        "What there is to know of a set of fences",
        "O(G) where G is the number of groups and of devices that fences name",
        &[Arg::named_key("fences")],
    );

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = key(&mut args)?;
        args.finish()?;
        let set = open(host, key)?.ok_or(Error::NoSuchKey)?;
        let bound = host.bound_to(key.name);
        let reply = host.reply();
        let integer = |name: &[u8], value: usize| {
            reply.bulk(name);
            reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
        };
        reply.map(6);
        integer(b"fences", set.len());
        integer(b"cells", set.cells());
        integer(b"bytes", set.heap_bytes());
        integer(b"indexBytes", set.index_bytes());
        reply.bulk(b"groups");
        let mut groups: Vec<(&[u8], u64)> = set
            .groups()
            .map(|group| (group.name(), group.count()))
            .collect();
        groups.sort_unstable();
        reply.map(groups.len());
        for (name, fences) in groups {
            reply.bulk(name);
            reply.integer(i64::try_from(fences).unwrap_or(i64::MAX));
        }
        reply.bulk(b"fleets");
        reply.texts(bound.iter().map(|fleet| &**fleet));
        Ok(())
    }
}
