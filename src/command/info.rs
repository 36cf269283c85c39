//! `IOT.INFO key [DEBUG]`: what is known of a series.

use super::Command;
use super::args::Args;
use super::derived;
use super::error::Result;
use super::host::{Host, Key, Reply};
use super::shown::some_value;
use super::spec::{Access, Arg, Effect, Keys, Spec};
use crate::engine::query::Span;
use crate::engine::rule::Rule;
use crate::engine::series::{Order, Part};
use crate::engine::{Series, TimeRange};

/// Fields of the reply, and those of `DEBUG`.
const FIELDS: usize = 15;
const DEBUG_FIELDS: usize = 2;

/// `IOT.INFO`.
#[derive(Debug)]
pub struct Info;

impl Command for Info {
    const SPEC: Spec = Spec {
        name: "IOT.INFO",
        arity: -2,
        effect: Effect::Read,
        fast: false,
        keys: Keys::First,
        access: Access::Read,
        summary: "Returns what is known of a series, with DEBUG also of its blocks",
        since: "0.1.0",
        complexity: "O(N) where N is the number of blocks of the series",
        args: &[Arg::key(), Arg::flag("DEBUG")],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let debug = args.keyword("DEBUG");
        args.finish()?;
        let series = host.read(key).required()?;
        let reply = host.reply();
        reply.map(FIELDS + if debug { DEBUG_FIELDS } else { 0 });
        reply_samples(reply, &series, host.memory_bytes(&series));
        let source = series.links().source.as_deref();
        let source = source.filter(|source| derived::is_tied(host, source, key.name));
        reply_options(reply, &series, source);
        if debug {
            reply_blocks(reply, &series, key);
        }
        Ok(())
    }
}

fn integer(reply: &impl Reply, name: &str, value: impl TryInto<i64>) {
    reply.bulk(name.as_bytes());
    reply.integer(value.try_into().unwrap_or(i64::MAX));
}

fn reply_samples(reply: &impl Reply, series: &Series, memory_bytes: usize) {
    integer(reply, "totalSamples", series.len());
    integer(reply, "memoryUsage", memory_bytes);
    integer(
        reply,
        "firstTimestamp",
        series.oldest().map_or(0, |oldest| oldest.time_ms),
    );
    integer(
        reply,
        "lastTimestamp",
        series.newest().map_or(0, |newest| newest.time_ms),
    );
    integer(reply, "retentionTime", series.options().retention_ms);
    integer(reply, "chunkCount", series.block_count());
    integer(reply, "chunkSize", series.options().chunk_bytes);
}

fn reply_options(reply: &impl Reply, series: &Series, source: Option<&[u8]>) {
    let options = series.options();
    reply.bulk(b"chunkType");
    reply.bulk(options.encoding.name().as_bytes());
    reply.bulk(b"duplicatePolicy");
    match options.duplicate_policy {
        Some(policy) => reply.bulk(policy.name().as_bytes()),
        None => reply.null(),
    }
    reply.bulk(b"labels");
    reply.pairs(options.labels.len(), options.labels.iter().map(some_value));
    reply.bulk(b"sourceKey");
    match source {
        Some(source) => reply.bulk(source),
        None => reply.null(),
    }
    reply.bulk(b"rules");
    reply_rules(reply, series.links().rules());
    integer(reply, "ignoreMaxTimeDiff", options.ignore.max_time_diff_ms);
    reply.bulk(b"ignoreMaxValDiff");
    reply.number(options.ignore.max_value_diff);
    integer(reply, "idleTtl", options.idle_ttl_ms);
}

/// `destination: [bucket, AGGREGATOR, align]`, in RESP2 one array each.
fn reply_rules(reply: &impl Reply, rules: &[Rule]) {
    let resp3 = reply.is_resp3();
    if resp3 {
        reply.map(rules.len());
    } else {
        reply.array(rules.len());
    }
    for rule in rules {
        if !resp3 {
            reply.array(4);
        }
        reply.bulk(&rule.destination);
        if resp3 {
            reply.array(3);
        }
        let cut = rule.cut();
        match cut.span() {
            Span::Milliseconds(ms) => reply.integer(ms),
            span => reply.bulk(span.to_string().as_bytes()),
        }
        reply.bulk(rule.aggregator.to_string().to_uppercase().as_bytes());
        reply.integer(cut.align_ms());
    }
}

fn reply_blocks(reply: &impl Reply, series: &Series, key: Key<'_>) {
    reply.bulk(b"keySelfName");
    reply.bulk(key.name);
    reply.bulk(b"Chunks");
    reply.array(series.block_count());
    series
        .parts(TimeRange::ALL, Order::Ascending)
        .for_each(|part| reply_block(reply, part));
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a block has far fewer than 2^53 bytes"
)]
fn reply_block(reply: &impl Reply, part: Part<'_>) {
    reply.map(5);
    integer(reply, "startTimestamp", part.first_ms());
    integer(reply, "endTimestamp", part.last_ms());
    integer(reply, "samples", part.sample_count());
    integer(reply, "size", part.size_bytes());
    reply.bulk(b"bytesPerSample");
    reply.number(part.size_bytes() as f64 / part.sample_count() as f64);
}
