//! `IOT.QUERYLABELS LABELS | VALUES label [FILTER filter ...]`: the labels in use, or the values of
//! one.

use super::Command;
use super::args::Args;
use super::error::{Error, Result};
use super::filter;
use super::host::{Host, Reply};
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::index::Selector;

/// `IOT.QUERYLABELS`.
#[derive(Debug)]
pub struct QueryLabels;

impl Command for QueryLabels {
    const SPEC: Spec = Spec {
        name: "IOT.QUERYLABELS",
        arity: -2,
        effect: Effect::Read,
        fast: false,
        keys: Keys::None,
        access: Access::Read,
        summary: "Lists the labels of series, or the values of a label",
        since: "0.1.0",
        complexity: "O(N) where N is the number of labels or values, and of series that match",
        args: &[
            Arg::one_of(
                "what",
                &[
                    Arg::token("LABELS"),
                    Arg::value("label", ArgKind::String).after("VALUES"),
                ],
            ),
            Arg::value("filter", ArgKind::String)
                .after("FILTER")
                .repeated()
                .or_none(),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let values_of = if args.keyword("LABELS") {
            None
        } else if args.keyword("VALUES") {
            Some(args.take("label")?)
        } else {
            return Err(Error::Conflict(
                "unknown subtype, must be one of LABELS|VALUES",
            ));
        };
        let selector = selector(&mut args)?;
        let listed = host.list_labels(&selector, values_of);
        host.reply().set(listed.len());
        for text in &listed {
            host.reply().bulk(text);
        }
        Ok(())
    }
}

/// All series, or those that filters select.
fn selector(args: &mut Args<'_>) -> Result<Selector> {
    if args.is_empty() {
        return Ok(Selector::default());
    }
    if !args.keyword("FILTER") {
        return Err(Error::Conflict("unknown argument, expected FILTER"));
    }
    if args.is_empty() {
        return Err(Error::Conflict("FILTER given with no filter expressions"));
    }
    filter::parse(args.rest())
}
