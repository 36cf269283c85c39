//! `IOT.RESTORE key payload`: a series from its stored form; what the rewritten append-only file
//! consists of.

use super::Command;
use super::args::Args;
use super::error::{Error, Result};
use super::host::{Host, Reply, Slot};
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::persist::read_series;
use crate::engine::{self, Series};

/// `IOT.RESTORE`.
#[derive(Debug)]
pub struct Restore;

impl Command for Restore {
    const SPEC: Spec = Spec {
        name: "IOT.RESTORE",
        arity: 3,
        effect: Effect::Write,
        fast: false,
        keys: Keys::First,
        access: Access::Insert,
        summary: "Creates a series from its stored form, for the append-only file",
        since: "0.1.0",
        complexity: "O(N) where N is the number of samples",
        args: &[Arg::key(), Arg::value("payload", ArgKind::String)],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let payload = args.take("payload")?;
        args.finish()?;
        match host.write(key) {
            Slot::Missing => {}
            Slot::Foreign | Slot::Open(_) => return Err(Error::KeyExists),
        }
        drop(host.create(key, parse(payload)?));
        host.replicate_verbatim();
        host.notify(c"iot.restore", key);
        host.reply().ok();
        Ok(())
    }
}

/// Reads `| version u8 | records .. |`.
fn parse(payload: &[u8]) -> engine::Result<Series> {
    let corrupt = engine::Error::Corrupt { what: "payload" };
    let (&version, mut records) = payload.split_first().ok_or(corrupt)?;
    let series = read_series(&mut records, u32::from(version))?;
    if records.is_empty() {
        Ok(series)
    } else {
        Err(corrupt)
    }
}
