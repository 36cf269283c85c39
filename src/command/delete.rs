//! `IOT.DEL key from to`: deletes a range of samples.

use super::Command;
use super::args::Args;
use super::counter::Counter;
use super::derived::{self, Tracked};
use super::error::{Error, Result};
use super::host::{Host, Reply, Slot, Writer};
use super::range;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};

/// `IOT.DEL`.
#[derive(Debug)]
pub struct Del;

impl Command for Del {
    const SPEC: Spec = Spec {
        name: "IOT.DEL",
        arity: 4,
        effect: Effect::Free,
        fast: false,
        keys: Keys::First,
        access: Access::Delete,
        summary: "Deletes the samples of a series in a range of time, both ends included; replies \
                  with their number",
        since: "0.1.0",
        complexity: "O(N) where N is the number of blocks of the series; two at most are re-encoded",
        args: &[
            Arg::key(),
            Arg::value("from-timestamp", ArgKind::String),
            Arg::value("to-timestamp", ArgKind::String),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let range = range::bounds(&mut args)?.range;
        args.finish()?;
        let (deleted, refreshes) = match host.write(key) {
            Slot::Missing => return Err(Error::NoSuchKey),
            Slot::Foreign => return Err(Error::WrongType),
            Slot::Open(mut series) => {
                derived::refuse_destination(host, key.name, &series)?;
                let mut tracked = Tracked::begin(host, &series);
                let deleted = series.delete(range);
                if deleted > 0 {
                    tracked.deleted(range);
                    series.written();
                }
                (deleted, tracked.end(&mut series))
            }
        };
        if deleted > 0 {
            host.count(Counter::Deleted, deleted);
            host.replicate_verbatim();
            host.notify(c"iot.del", key);
        }
        derived::apply(host, key.name, refreshes);
        host.reply()
            .integer(i64::try_from(deleted).unwrap_or(i64::MAX));
        Ok(())
    }
}
