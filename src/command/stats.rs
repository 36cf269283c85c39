//! `IOT.STATS`: what `INFO` tells of the module, where a script can read it.
//!
//! Names and values in turn. A whole number is an integer; a fraction is text, since a script would get
//! a table or lose the fraction. Nothing of it is a secret of a key, so any user may ask.

use std::io::Write;

use super::Command;
use super::args::Args;
use super::error::Result;
use super::host::{Figure, Host, Reply};
use super::spec::{Access, Effect, Keys, Spec};

/// `IOT.STATS`.
#[derive(Debug)]
pub struct Stats;

impl Command for Stats {
    const SPEC: Spec = Spec {
        name: "IOT.STATS",
        arity: 1,
        effect: Effect::Read,
        fast: true,
        keys: Keys::None,
        access: Access::Read,
        summary: "Returns the counters of the module, as INFO has them",
        since: "0.2.0",
        complexity: "O(1)",
        args: &[],
    };

    fn execute<H: Host>(host: &H, args: Args<'_>) -> Result<()> {
        args.finish()?;
        let (stats, reply) = (host.stats(), host.reply());
        reply.map(stats.len());
        for (name, figure) in stats {
            reply.bulk(name.to_bytes());
            match figure {
                Figure::Count(count) => reply.integer(i64::try_from(count).unwrap_or(i64::MAX)),
                Figure::Ratio(ratio) => {
                    let mut text = Vec::new();
                    // Writing to a vector cannot fail.
                    let _ = write!(text, "{ratio:.3}");
                    reply.bulk(&text);
                }
            }
        }
        Ok(())
    }
}
