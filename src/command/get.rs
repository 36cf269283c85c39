//! `IOT.GET key [LATEST]`: the newest sample.

use super::Command;
use super::args::Args;
use super::derived;
use super::error::Result;
use super::host::{Host, Reply};
use super::spec::{Access, Arg, Effect, Keys, Spec};

/// `IOT.GET`.
#[derive(Debug)]
pub struct Get;

impl Command for Get {
    const SPEC: Spec = Spec {
        name: "IOT.GET",
        arity: -2,
        effect: Effect::Read,
        fast: true,
        keys: Keys::First,
        access: Access::Read,
        summary: "Returns the newest sample of a series",
        since: "0.1.0",
        complexity: "O(1)",
        args: &[Arg::key(), Arg::flag("LATEST")],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let is_latest = args.keyword("LATEST");
        args.finish()?;
        let series = host.read(key).required()?;
        let newest = if is_latest {
            derived::with_open(host, key.name, &series).newest()
        } else {
            series.newest()
        };
        match newest {
            Some(sample) => {
                host.reply().array(2);
                host.reply().integer(sample.time_ms);
                host.reply().number(sample.value);
            }
            None => host.reply().array(0),
        }
        Ok(())
    }
}
