//! `IOT.DEBUG INDEX`: whether the index of labels is what the keys of the database say.

use super::Command;
use super::args::Args;
use super::error::{Error, Result};
use super::host::{Host, Reply};
use super::spec::{Access, Arg, Effect, Keys, Spec};

/// `IOT.DEBUG`.
#[derive(Debug)]
pub struct Debug;

impl Command for Debug {
    const SPEC: Spec = Spec {
        name: "IOT.DEBUG",
        arity: 2,
        effect: Effect::Admin,
        fast: false,
        keys: Keys::None,
        access: Access::Read,
        summary: "Compares the index of labels with a scan of the database",
        since: "0.1.0",
        complexity: "O(N) where N is the number of keys of the database",
        args: &[Arg::token("INDEX")],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        if !args.keyword("INDEX") {
            args.finish()?;
            return Err(Error::MissingValue("INDEX"));
        }
        args.finish()?;
        let (report, reply) = (host.check_index(), host.reply());
        let integer = |name: &str, value: u64| {
            reply.bulk(name.as_bytes());
            reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
        };
        reply.map(4);
        integer("series", report.series);
        integer("indexed", report.indexed);
        integer("bytes", report.bytes as u64);
        reply.bulk(b"difference");
        match report.difference {
            Some(difference) => reply.bulk(difference.as_bytes()),
            None => reply.null(),
        }
        Ok(())
    }
}
