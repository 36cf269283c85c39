//! A fence as a client says it: a shape, and what is asked for beside.
//!
//! ```text
//! <shape> [META n field value ...] [GROUPS n group ...] [DEVICES n device ...] [DETECT kind ...]
//!         [DWELL duration] [BUFFER m] [MINFIXES n] [SPEEDLIMIT v] [SCHEDULE text [TZ zone]]
//!         [EXPIRE duration | EXPIREAT ms]
//! ```

use super::limits::Limits;
use super::shape::shape;
use super::{count, finite, metres};
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::duration;
use crate::command::error::{Error, Result, Token};
use crate::engine::Timestamp;
use crate::engine::fence::{
    Detect, MAX_BUFFER_M, MAX_DEVICES, MAX_GROUPS, MAX_META, Options, Schedule, Texts,
};
use crate::engine::geo::Shape;
use crate::engine::labels::Labels;
use crate::engine::query::Zone;

/// A fence as a client gave it.
pub(super) struct Given {
    pub(super) shape: Shape,
    pub(super) options: Options,
    /// When it ends; 0 is never.
    pub(super) expires_ms: Timestamp,
    /// Where the option stands that gave that as a time from now on, counted from the shape.
    pub(super) relative_at: Option<usize>,
}

/// The options that were read so far.
#[derive(Default)]
struct Said<'a> {
    meta: Option<Labels>,
    groups: Option<Texts>,
    devices: Option<Texts>,
    detect: Option<Detect>,
    dwell_ms: Option<i64>,
    buffer_m: Option<f64>,
    min_fixes: Option<i64>,
    speed_limit: Option<f64>,
    schedule: Option<&'a [u8]>,
    zone: Option<Zone>,
    expires_ms: Option<Timestamp>,
}

/// Reads a shape and options.
///
/// # Errors
/// For what is none, or missing, or comes twice.
pub(super) fn parse(
    args: &mut Args<'_>,
    limits: &Limits,
    now_ms: impl Fn() -> Timestamp,
) -> Result<Given> {
    let words = args.len();
    let Some(shape) = shape(args, limits)? else {
        args.finish()?;
        return Err(Error::MissingValue("shape"));
    };
    let (mut said, mut relative_at) = (Said::default(), None);
    while !args.is_empty() {
        if args.keyword("EXPIRE") {
            relative_at = Some(words - args.len() - 1);
            let at_ms = now_ms().saturating_add(milliseconds(args, "EXPIRE")?);
            set(&mut said.expires_ms, "EXPIRE", at_ms)?;
        } else if !said.take_texts(args)? && !said.take_rules(args)? {
            args.finish()?;
        }
    }
    let expires_ms = said.expires_ms.unwrap_or(0);
    Ok(Given {
        shape,
        options: said.options()?,
        expires_ms,
        relative_at,
    })
}

impl<'a> Said<'a> {
    /// Reads what is said about the fence, if that comes next.
    fn take_texts(&mut self, args: &mut Args<'a>) -> Result<bool> {
        if args.keyword("META") {
            set(&mut self.meta, "META", meta_of(args)?)?;
        } else if args.keyword("GROUPS") {
            let groups = texts(args, "groups", MAX_GROUPS)?;
            set(&mut self.groups, "GROUPS", groups)?;
        } else if args.keyword("DEVICES") {
            let devices = texts(args, "devices", MAX_DEVICES)?;
            set(&mut self.devices, "DEVICES", devices)?;
        } else if args.keyword("SCHEDULE") {
            set(&mut self.schedule, "SCHEDULE", args.take("SCHEDULE")?)?;
        } else if args.keyword("TZ") {
            set(&mut self.zone, "TZ", zone_of(args)?)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads what counts and what is told, if that comes next.
    fn take_rules(&mut self, args: &mut Args<'_>) -> Result<bool> {
        const BUFFER: &str = "BUFFER must be a number of metres from 0 to 100000";
        const MINFIXES: &str = "MINFIXES must be a number from 1 to 1000";
        const SPEEDLIMIT: &str = "SPEEDLIMIT must be a number of at least 0";
        const EXPIREAT: &str = "EXPIREAT must be a time in milliseconds";
        if args.keyword("DETECT") {
            set(&mut self.detect, "DETECT", detect(args)?)?;
        } else if args.keyword("DWELL") {
            set(&mut self.dwell_ms, "DWELL", milliseconds(args, "DWELL")?)?;
        } else if args.keyword("BUFFER") {
            let buffer_m = metres(args, "BUFFER", BUFFER)?;
            if buffer_m > MAX_BUFFER_M {
                return Err(Error::Conflict(BUFFER));
            }
            set(&mut self.buffer_m, "BUFFER", buffer_m)?;
        } else if args.keyword("MINFIXES") {
            let fixes = count(args, "MINFIXES", MINFIXES, 1..=1000)?;
            set(&mut self.min_fixes, "MINFIXES", fixes)?;
        } else if args.keyword("SPEEDLIMIT") {
            let speed = finite(args, "SPEEDLIMIT", SPEEDLIMIT)?;
            set(&mut self.speed_limit, "SPEEDLIMIT", speed)?;
        } else if args.keyword("EXPIREAT") {
            let at_ms = count(args, "EXPIREAT", EXPIREAT, 1..=i64::MAX)?;
            set(&mut self.expires_ms, "EXPIREAT", at_ms)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn options(self) -> Result<Options> {
        let min_fixes = self.min_fixes.and_then(|fixes| fixes.try_into().ok());
        Ok(Options {
            detect: self.detect,
            dwell_ms: self.dwell_ms.unwrap_or(0),
            buffer_m: self.buffer_m.unwrap_or(0.0),
            min_fixes: min_fixes.unwrap_or(0),
            speed_limit: self.speed_limit,
            schedule: schedule_of(self.schedule, self.zone)?,
            meta: self.meta.unwrap_or_default(),
            groups: self.groups.unwrap_or_default(),
            devices: self.devices.unwrap_or_default(),
        })
    }
}

/// Reads kinds of events: as many words as are some. `DWELL 5m` and `OUTSIDE 10` are options: what
/// has a number behind it is no kind.
pub(super) fn detect(args: &mut Args<'_>) -> Result<Detect> {
    let mut kinds = Detect::NONE;
    while let Some(kind) = args.peek().and_then(Detect::by_name) {
        let behind = args.rest().get(1).and_then(|word| word.first());
        if behind.is_some_and(u8::is_ascii_digit) {
            break;
        }
        args.take("DETECT")?;
        kinds = kinds | kind;
    }
    if kinds.is_empty() {
        let text = args.take("DETECT")?;
        let what = "DETECT must be enter, exit, cross, dwell, inside, outside or overspeed";
        return Err(Error::Invalid(what, Token::from(text)));
    }
    Ok(kinds)
}

/// Reads a positive duration.
fn milliseconds(args: &mut Args<'_>, what: &'static str) -> Result<i64> {
    let text = args.take(what)?;
    duration::milliseconds(text)
        .filter(|&ms| ms > 0)
        .ok_or_else(|| Error::Invalid("not a positive duration", Token::from(text)))
}

fn zone_of(args: &mut Args<'_>) -> Result<Zone> {
    let text = args.take("TZ")?;
    Zone::by_name(text).ok_or_else(|| Error::Invalid("unknown time zone", Token::from(text)))
}

fn schedule_of(text: Option<&[u8]>, zone: Option<Zone>) -> Result<Option<Schedule>> {
    let Some(text) = text else {
        return match zone {
            Some(_) => Err(Error::Conflict("TZ needs a SCHEDULE")),
            None => Ok(None),
        };
    };
    let text = std::str::from_utf8(text)
        .map_err(|_| Error::Invalid("SCHEDULE is no text", Token::from(text)))?;
    Ok(Some(Schedule::parse(text, zone.unwrap_or(Zone::UTC))?))
}

fn counted(args: &mut Args<'_>, what: &'static str, max: usize) -> Result<i64> {
    const INVALID: &str = "the number of items must be a positive integer";
    let items = count(args, what, INVALID, 1..=i64::MAX)?;
    if usize::try_from(items).is_ok_and(|items| items <= max) {
        Ok(items)
    } else {
        Err(Error::limit(what, max))
    }
}

fn texts(args: &mut Args<'_>, what: &'static str, max: usize) -> Result<Texts> {
    let items = counted(args, what, max)?;
    let texts: Result<Vec<&[u8]>> = (0..items).map(|_| args.take(what)).collect();
    Ok(Texts::new(texts?))
}

fn meta_of(args: &mut Args<'_>) -> Result<Labels> {
    let items = counted(args, "META pairs", MAX_META)?;
    let pair = |_| Ok((args.take("META field")?, args.take("META value")?));
    let pairs: Result<Vec<(&[u8], &[u8])>> = (0..items).map(pair).collect();
    Ok(Labels::new(pairs?)?)
}
