//! `IOT.CREATE` and `IOT.ALTER`.

use super::args::Args;
use super::creation::{
    CHUNK_SIZE, Creation, DUPLICATE_POLICY, ENCODING, IDLE_TTL, IGNORE, LABELS, RETENTION,
};
use super::error::{Error, Result};
use super::host::{Host, Reply, Slot, Writer};
use super::rule::check_new_retention;
use super::spec::{Access, Arg, Effect, Keys, Spec};
use super::{Command, effect, policy};
use crate::engine::Series;

const ARGS: &[Arg] = &[
    Arg::key(),
    RETENTION,
    IDLE_TTL,
    ENCODING,
    CHUNK_SIZE,
    DUPLICATE_POLICY,
    IGNORE,
    LABELS,
];

/// `IOT.CREATE key [options]`: creates an empty series.
#[derive(Debug)]
pub struct Create;

impl Command for Create {
    const SPEC: Spec = Spec {
        name: "IOT.CREATE",
        arity: -2,
        effect: Effect::Write,
        fast: true,
        keys: Keys::First,
        access: Access::Insert,
        summary: "Creates an empty series",
        since: "0.1.0",
        complexity: "O(1)",
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let mut creation = Creation::default();
        while creation.take(&mut args)? {}
        args.finish()?;
        match host.write(key) {
            Slot::Missing => {}
            Slot::Foreign | Slot::Open(_) => return Err(Error::KeyExists),
        }
        let options = creation.options(&host.settings());
        effect::send_creation(host, key.name, &options);
        host.create(key, Series::new(options)).written();
        host.notify(c"iot.create", key);
        policy::fit(host, key.name, true);
        host.reply().ok();
        Ok(())
    }
}

/// `IOT.ALTER key [options]`: changes the options given, for samples to come.
#[derive(Debug)]
pub struct Alter;

impl Command for Alter {
    const SPEC: Spec = Spec {
        name: "IOT.ALTER",
        arity: -2,
        effect: Effect::Write,
        fast: false,
        keys: Keys::First,
        access: Access::Update,
        summary: "Changes the options of a series",
        since: "0.1.0",
        complexity: "O(N) where N is the number of blocks that leave the retention window",
        args: ARGS,
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let mut creation = Creation::default();
        while creation.take(&mut args)? {}
        args.finish()?;
        match host.write(key) {
            Slot::Missing => return Err(Error::NoSuchKey),
            Slot::Foreign => return Err(Error::WrongType),
            Slot::Open(mut series) => {
                check_alter(host, &series, &creation)?;
                alter(&mut series, &creation);
            }
        }
        host.replicate_verbatim();
        host.notify(c"iot.alter", key);
        if creation.has_labels() {
            policy::fit(host, key.name, false);
        }
        host.reply().ok();
        Ok(())
    }
}

/// Whether options of a series may be changed so.
///
/// # Errors
/// `Conflict` for a retention that is too short for a rule.
pub(super) fn check_alter<H: Host>(host: &H, series: &Series, creation: &Creation) -> Result<()> {
    match creation.retention_ms() {
        Some(retention_ms) if !series.links().rules().is_empty() && !host.is_replay() => {
            check_new_retention(series, retention_ms)
        }
        _ => Ok(()),
    }
}

/// Changes the options of a series that were given.
pub(super) fn alter(series: &mut impl Writer, creation: &Creation) {
    let had_idle_ttl = series.options().idle_ttl_ms != 0;
    let old_labels = creation
        .has_labels()
        .then(|| series.options().labels.clone());
    series.alter(|options| creation.alter(options));
    if let Some(old) = old_labels {
        series.relabelled(&old);
    }
    if had_idle_ttl && series.options().idle_ttl_ms == 0 {
        series.stays();
    }
    series.written();
}
