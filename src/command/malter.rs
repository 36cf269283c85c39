//! `IOT.MALTER FILTER filter ... SET options [DRYRUN]`: changes the options of every series that a
//! filter finds.

use super::Command;
use super::args::Args;
use super::create::{alter, check_alter};
use super::creation::{
    CHUNK_SIZE, Creation, DUPLICATE_POLICY, ENCODING, IDLE_TTL, IGNORE, LABELS, RETENTION,
};
use super::error::{Error, Result};
use super::found;
use super::host::{Host, Purpose, Reply, Slot};
use super::policy;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};

/// `IOT.MALTER`.
#[derive(Debug)]
pub struct MAlter;

impl Command for MAlter {
    const SPEC: Spec = Spec {
        name: "IOT.MALTER",
        arity: -4,
        effect: Effect::Write,
        fast: false,
        keys: Keys::None,
        access: Access::Update,
        summary: "Changes the options of every series that matches a filter",
        since: "0.1.0",
        complexity: "O(S) where S is the number of series that match",
        args: &[
            Arg::value("filter", ArgKind::String)
                .after("FILTER")
                .repeated(),
            Arg::flag("DRYRUN"),
            Arg::block(
                "options",
                &[
                    RETENTION,
                    IDLE_TTL,
                    ENCODING,
                    CHUNK_SIZE,
                    DUPLICATE_POLICY,
                    IGNORE,
                    LABELS,
                ],
            )
            .after("SET"),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        if !args.keyword("FILTER") {
            return Err(Error::Conflict("missing FILTER argument"));
        }
        let is_option =
            |word: &[u8]| word.eq_ignore_ascii_case(b"SET") || word.eq_ignore_ascii_case(b"DRYRUN");
        let selector = found::filters(&mut args, is_option)?;
        let is_dry = args.keyword("DRYRUN");
        if !args.keyword("SET") {
            args.finish()?;
            return Err(Error::MissingValue("SET"));
        }
        let options = args.rest();
        let mut creation = Creation::default();
        while creation.take(&mut args)? {}
        args.finish()?;
        if options.is_empty() {
            return Err(Error::MissingValue("SET"));
        }
        let found = host.find(&selector, Purpose::Alter)?;
        for key in &found {
            if let Slot::Open(series) = host.read_found(key) {
                check_alter(host, &series, &creation)?;
            }
        }
        let mut changed = 0;
        for key in found {
            let is_there = if is_dry {
                matches!(host.read_found(&key), Slot::Open(_))
            } else {
                change(host, &key, &creation, options)
            };
            changed += i64::from(is_there);
        }
        host.reply().integer(changed);
        Ok(())
    }
}

/// Changes one series, and sends that as one `IOT.ALTER`. Returns whether it is still there.
fn change<H: Host>(host: &H, key: &H::Found, creation: &Creation, options: &[&[u8]]) -> bool {
    match host.write_found(key) {
        Slot::Missing | Slot::Foreign => return false,
        Slot::Open(mut series) => alter(&mut series, creation),
    }
    let args = [&[key.as_ref()], options].concat();
    host.replicate(c"IOT.ALTER", &args);
    host.notify_found(c"iot.alter", key);
    if creation.has_labels() {
        policy::fit(host, key.as_ref(), false);
    }
    true
}
