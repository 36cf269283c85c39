//! What searches of a fleet have in common: what is asked of a device, and what is told of it.
//!
//! ```text
//! [WHERE field op value]... [WITHDIST] [WITHCOORD] [WITHFIELDS] [WITHTS]
//! ```
//!
//! A device is its id alone, or an array of it and of what was asked for: distance, `[lon, lat]`,
//! fields, time.

use super::position::fields;
use crate::command::args::Args;
use crate::command::error::{Error, Result, Token};
use crate::command::host::Reply;
use crate::command::spec::{Arg, ArgKind};
use crate::engine;
use crate::engine::fleet::{Condition, Known, MAX_CONDITIONS, Operator};

pub(super) const WHERE: Arg = Arg::block(
    "where",
    &[
        Arg::value("field", ArgKind::String),
        Arg::value("operator", ArgKind::String),
        Arg::value("value", ArgKind::String),
    ],
)
.after("WHERE")
.or_none()
.repeated_with_token();

/// What is asked and told of devices.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of the client"
)]
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) conditions: Vec<Condition>,
    pub(super) with_distance: bool,
    with_point: bool,
    pub(super) with_fields: bool,
    with_time: bool,
}

impl Asked {
    /// Reads one option if there is one; says whether there was.
    pub(super) fn take(&mut self, args: &mut Args<'_>) -> Result<bool> {
        if args.keyword("WHERE") {
            if self.conditions.len() >= MAX_CONDITIONS {
                let max = MAX_CONDITIONS as u64;
                return Err(engine::Error::Limit { what: "WHERE", max }.into());
            }
            let name = args.take("WHERE field")?;
            let sign = args.take("WHERE operator")?;
            let operator = Operator::by_name(sign).ok_or_else(|| {
                Error::Invalid(
                    "WHERE operator must be =, !=, <, <=, > or >=",
                    Token::from(sign),
                )
            })?;
            let value = args.take("WHERE value")?;
            self.conditions.push(Condition::new(name, operator, value)?);
        } else if args.keyword("WITHDIST") {
            self.with_distance = true;
        } else if args.keyword("WITHCOORD") {
            self.with_point = true;
        } else if args.keyword("WITHFIELDS") {
            self.with_fields = true;
        } else if args.keyword("WITHTS") {
            self.with_time = true;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Replies with one device.
    pub(super) fn reply<R: Reply>(&self, reply: &R, device: &Known<'_>, distance_m: Option<f64>) {
        let distance_m = distance_m.filter(|_| self.with_distance);
        let with = [
            distance_m.is_some(),
            self.with_point,
            self.with_fields,
            self.with_time,
        ];
        let more = with.iter().filter(|&&with| with).count();
        if more == 0 {
            return reply.bulk(device.id);
        }
        reply.array(1 + more);
        reply.bulk(device.id);
        if let Some(distance_m) = distance_m {
            reply.number(distance_m);
        }
        if self.with_point {
            let point = device.position.point;
            reply.array(2);
            reply.number(point.lon());
            reply.number(point.lat());
        }
        if self.with_fields {
            fields(reply, device.fields);
        }
        if self.with_time {
            reply.integer(device.position.time_ms);
        }
    }
}
