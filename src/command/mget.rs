//! `IOT.MGET [LATEST] [WITHLABELS | SELECTED_LABELS label ...] FILTER filter ...`: the newest sample
//! of each series.

use super::Command;
use super::args::Args;
use super::creation::set;
use super::derived;
use super::error::Result;
use super::found;
use super::host::{Host, Reply};
use super::shown::Shown;
use super::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::Sample;

/// `IOT.MGET`.
#[derive(Debug)]
pub struct MGet;

impl Command for MGet {
    const SPEC: Spec = Spec {
        name: "IOT.MGET",
        arity: -3,
        effect: Effect::Read,
        fast: false,
        keys: Keys::None,
        access: Access::Read,
        summary: "Returns the newest sample of each series that matches a filter",
        since: "0.1.0",
        complexity: "O(N) where N is the number of series that match",
        args: &[
            Arg::flag("LATEST"),
            Arg::one_of(
                "labels",
                &[
                    Arg::flag("WITHLABELS"),
                    Arg::value("label", ArgKind::String)
                        .after("SELECTED_LABELS")
                        .repeated(),
                ],
            )
            .or_none(),
            Arg::value("filter", ArgKind::String)
                .after("FILTER")
                .repeated(),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let (mut latest, mut shown, mut selector) = (None, Shown::default(), None);
        while !args.is_empty() {
            if args.keyword("LATEST") {
                set(&mut latest, "LATEST", ())?;
            } else if args.keyword("FILTER") {
                set(
                    &mut selector,
                    "FILTER",
                    found::filters(&mut args, is_option)?,
                )?;
            } else if !shown.take(&mut args, is_option)? {
                args.finish()?;
            }
        }
        let series = found::open(host, &found::required(selector)?)?;
        let reply = host.reply();
        if reply.is_resp3() {
            reply.map(series.len());
        } else {
            reply.array(series.len());
        }
        for (key, series) in &series {
            if !reply.is_resp3() {
                reply.array(3);
            }
            reply.bulk(key.as_ref());
            if reply.is_resp3() {
                reply.array(2);
            }
            shown.send(&series.options().labels, reply);
            let newest = match latest {
                Some(()) => derived::with_open(host, key.as_ref(), series).newest(),
                None => series.newest(),
            };
            send_sample(newest, reply);
        }
        Ok(())
    }
}

fn is_option(word: &[u8]) -> bool {
    ["LATEST", "WITHLABELS", "SELECTED_LABELS", "FILTER"]
        .iter()
        .any(|option| word.eq_ignore_ascii_case(option.as_bytes()))
}

fn send_sample(sample: Option<Sample>, reply: &impl Reply) {
    match sample {
        Some(sample) => reply.row(sample.time_ms, &[sample.value]),
        None => reply.array(0),
    }
}
