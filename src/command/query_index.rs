//! `IOT.QUERYINDEX filter ...`: the keys of the series that match. `IOT.CARD FILTER filter ...`: how
//! many there are.

use super::Command;
use super::args::Args;
use super::error::{Error, Result};
use super::filter;
use super::host::{Host, Purpose, Reply};
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};

/// `IOT.QUERYINDEX`.
#[derive(Debug)]
pub struct QueryIndex;

impl Command for QueryIndex {
    const SPEC: Spec = Spec {
        name: "IOT.QUERYINDEX",
        arity: -2,
        effect: Effect::Read,
        fast: false,
        keys: Keys::None,
        access: Access::Read,
        summary: "Lists the keys of the series that match a filter",
        since: "0.1.0",
        complexity: "O(N log N) where N is the number of series that match",
        args: &[Arg::value("filter", ArgKind::String).repeated()],
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        let found = host.find(&filter::parse(args.rest())?, Purpose::List)?;
        host.reply().set(found.len());
        for key in &found {
            host.reply().bulk(key.as_ref());
        }
        Ok(())
    }
}

/// `IOT.CARD`.
#[derive(Debug)]
pub struct Card;

impl Command for Card {
    const SPEC: Spec = Spec {
        name: "IOT.CARD",
        arity: -3,
        effect: Effect::Read,
        fast: false,
        keys: Keys::None,
        access: Access::Read,
        summary: "Counts the series that match a filter",
        since: "0.1.0",
        complexity: "O(L) where L is the number of series that have the labels of the filter",
        args: &[Arg::value("filter", ArgKind::String)
            .after("FILTER")
            .repeated()],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        if !args.keyword("FILTER") {
            return Err(Error::Conflict("missing FILTER argument"));
        }
        let count = host.count_found(&filter::parse(args.rest())?);
        host.reply()
            .integer(i64::try_from(count).unwrap_or(i64::MAX));
        Ok(())
    }
}
