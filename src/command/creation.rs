//! The options by which a series is created or altered.
//!
//! ```text
//! [RETENTION duration] [IDLE_TTL duration] [ENCODING COMPRESSED|GORILLA|UNCOMPRESSED]
//! [CHUNK_SIZE bytes]
//! [DUPLICATE_POLICY BLOCK|FIRST|LAST|MIN|MAX|SUM] [IGNORE maxTimeDiff maxValDiff]
//! [LABELS [label value ...]]
//! ```
//!
//! They may come in any order, each once. `LABELS` takes pairs until the end, or until a keyword
//! stands where a label's name would: an option is never found in the place of a label's value.

use super::args::Args;
use super::duration;
use super::error::{Error, Result, Token};
use super::host::Settings;
use super::number;
use super::spec::{Arg, ArgKind};
use crate::engine::labels::Labels;
use crate::engine::options::{
    DuplicatePolicy, Encoding, Ignore, MAX_IDLE_TTL_MS, Options, is_chunk_size,
};

/// Words that end a list of labels.
const KEYWORDS: [&str; 14] = [
    "RETENTION",
    "IDLE_TTL",
    "ENCODING",
    "COMPRESSED",
    "UNCOMPRESSED",
    "CHUNK_SIZE",
    "DUPLICATE_POLICY",
    "ON_DUPLICATE",
    "IGNORE",
    "LABELS",
    "TIMESTAMP",
    "SAMPLES",
    "PACKED",
    "ITEMS",
];

/// The options a client gave.
#[derive(Debug, Default)]
pub(super) struct Creation {
    retention_ms: Option<i64>,
    idle_ttl_ms: Option<i64>,
    encoding: Option<Encoding>,
    chunk_bytes: Option<u32>,
    duplicate_policy: Option<DuplicatePolicy>,
    ignore: Option<Ignore>,
    labels: Option<Labels>,
}

impl Creation {
    /// The retention that was given.
    pub(super) const fn retention_ms(&self) -> Option<i64> {
        self.retention_ms
    }

    /// Whether labels were given, or that there are none.
    pub(super) const fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// Reads one option if there is one; returns whether there was.
    ///
    /// # Errors
    /// For an option that is not what it should be, or comes again.
    pub(super) fn take(&mut self, args: &mut Args<'_>) -> Result<bool> {
        if args.keyword("RETENTION") {
            set(&mut self.retention_ms, "RETENTION", retention(args)?)?;
        } else if args.keyword("IDLE_TTL") {
            set(&mut self.idle_ttl_ms, "IDLE_TTL", idle_ttl(args)?)?;
        } else if args.keyword("ENCODING") {
            set(&mut self.encoding, "ENCODING", encoding(args)?)?;
        } else if args.keyword("COMPRESSED") {
            set(&mut self.encoding, "ENCODING", Encoding::Compressed)?;
        } else if args.keyword("UNCOMPRESSED") {
            set(&mut self.encoding, "ENCODING", Encoding::Uncompressed)?;
        } else if args.keyword("CHUNK_SIZE") {
            set(&mut self.chunk_bytes, "CHUNK_SIZE", chunk_bytes(args)?)?;
        } else if args.keyword("DUPLICATE_POLICY") {
            set(
                &mut self.duplicate_policy,
                "DUPLICATE_POLICY",
                policy(args, "DUPLICATE_POLICY")?,
            )?;
        } else if args.keyword("IGNORE") {
            set(&mut self.ignore, "IGNORE", ignore(args)?)?;
        } else if args.keyword("LABELS") {
            set(&mut self.labels, "LABELS", labels(args)?)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The options of a new series: those given, and the server's settings for the rest.
    pub(super) fn options(&self, settings: &Settings) -> Options {
        let mut options = Options {
            retention_ms: settings.retention_ms,
            idle_ttl_ms: 0,
            chunk_bytes: settings.chunk_bytes,
            encoding: settings.encoding,
            duplicate_policy: None,
            ignore: settings.ignore,
            labels: Labels::default(),
        };
        self.alter(&mut options);
        options
    }

    /// Changes what was given, and leaves the rest.
    pub(super) fn alter(&self, options: &mut Options) {
        fn replace<T: Clone>(old: &mut T, new: Option<&T>) {
            if let Some(new) = new {
                old.clone_from(new);
            }
        }
        replace(&mut options.retention_ms, self.retention_ms.as_ref());
        replace(&mut options.idle_ttl_ms, self.idle_ttl_ms.as_ref());
        replace(&mut options.chunk_bytes, self.chunk_bytes.as_ref());
        replace(&mut options.encoding, self.encoding.as_ref());
        replace(&mut options.ignore, self.ignore.as_ref());
        replace(&mut options.labels, self.labels.as_ref());
        options.duplicate_policy = self.duplicate_policy.or(options.duplicate_policy);
    }
}

/// Stores an option that must not come twice.
///
/// # Errors
/// `RepeatedArgument` with its name.
pub(super) fn set<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::RepeatedArgument(name)),
    }
}

/// Reads the policy for one write, behind `ON_DUPLICATE`, if it comes next.
///
/// # Errors
/// `Invalid`, `MissingValue`, `RepeatedArgument`.
pub(super) fn take_on_duplicate(
    slot: &mut Option<DuplicatePolicy>,
    args: &mut Args<'_>,
) -> Result<bool> {
    let found = args.keyword("ON_DUPLICATE");
    if found {
        set(slot, "ON_DUPLICATE", policy(args, "ON_DUPLICATE")?)?;
    }
    Ok(found)
}

fn retention(args: &mut Args<'_>) -> Result<i64> {
    let text = args.take("RETENTION")?;
    let ms = duration::milliseconds(text);
    ms.ok_or_else(|| Error::Invalid("Couldn't parse RETENTION", Token::from(text)))
}

fn idle_ttl(args: &mut Args<'_>) -> Result<i64> {
    const WHAT: &str = "IDLE_TTL value must be a duration from 0 to 2^52 milliseconds";
    let text = args.take("IDLE_TTL")?;
    let ms = duration::milliseconds(text).filter(|&ms| ms <= MAX_IDLE_TTL_MS);
    ms.ok_or_else(|| Error::Invalid(WHAT, Token::from(text)))
}

fn encoding(args: &mut Args<'_>) -> Result<Encoding> {
    let text = args.take("ENCODING")?;
    Encoding::by_name(text)
        .ok_or_else(|| Error::Invalid("unknown ENCODING parameter", Token::from(text)))
}

fn chunk_bytes(args: &mut Args<'_>) -> Result<u32> {
    const WHAT: &str = "CHUNK_SIZE value must be a multiple of 8 in the range [48 .. 1048576]";
    let text = args.take("CHUNK_SIZE")?;
    let bytes = number::whole(text).filter(|&bytes| is_chunk_size(bytes));
    let bytes = bytes.and_then(|bytes| u32::try_from(bytes).ok());
    bytes.ok_or_else(|| Error::Invalid(WHAT, Token::from(text)))
}

fn policy(args: &mut Args<'_>, option: &'static str) -> Result<DuplicatePolicy> {
    let text = args.take(option)?;
    DuplicatePolicy::by_name(text)
        .ok_or_else(|| Error::Invalid("Unknown DUPLICATE_POLICY", Token::from(text)))
}

fn ignore(args: &mut Args<'_>) -> Result<Ignore> {
    let time = args.take("IGNORE")?;
    let value = args.take("IGNORE")?;
    let negative = |text: &[u8]| text.first() == Some(&b'-');
    if negative(time) || negative(value) {
        return Err(Error::Conflict("IGNORE arguments cannot be negative"));
    }
    let bad = |text: &[u8]| Error::Invalid("Couldn't parse IGNORE", Token::from(text));
    Ok(Ignore {
        max_time_diff_ms: duration::milliseconds(time).ok_or_else(|| bad(time))?,
        max_value_diff: number::finite(value).ok_or_else(|| bad(value))?,
    })
}

fn labels(args: &mut Args<'_>) -> Result<Labels> {
    let mut pairs = Vec::new();
    while let Some(name) = args.peek() {
        if KEYWORDS
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
        {
            break;
        }
        let name = args.take("LABELS")?;
        let value = args.take("the value of the last label")?;
        if name.is_empty() || value.is_empty() {
            let pair = [name, value].concat();
            let what = "Couldn't parse LABELS, a label without name or value";
            return Err(Error::Invalid(what, Token::from(&pair[..])));
        }
        if pairs.iter().any(|&(other, _)| other == name) {
            return Err(Error::Invalid("label given twice", Token::from(name)));
        }
        pairs.push((name, value));
    }
    Ok(Labels::new(pairs)?)
}

/// `RETENTION`, for the command table.
pub(super) const RETENTION: Arg = Arg::option("RETENTION", "retention", ArgKind::String);
/// `IDLE_TTL`, for the command table.
pub(super) const IDLE_TTL: Arg = Arg::option("IDLE_TTL", "idle-ttl", ArgKind::String);
/// `ENCODING`, for the command table.
pub(super) const ENCODING: Arg = Arg::one_of(
    "encoding",
    &[word("COMPRESSED"), word("GORILLA"), word("UNCOMPRESSED")],
)
.after("ENCODING")
.or_none();
/// `CHUNK_SIZE`, for the command table.
pub(super) const CHUNK_SIZE: Arg = Arg::option("CHUNK_SIZE", "size-bytes", ArgKind::Integer);
/// `DUPLICATE_POLICY`, for the command table.
pub(super) const DUPLICATE_POLICY: Arg = Arg::one_of("policy", POLICIES)
    .after("DUPLICATE_POLICY")
    .or_none();
/// `ON_DUPLICATE`, for the command table.
pub(super) const ON_DUPLICATE: Arg = Arg::one_of("on-duplicate", POLICIES)
    .after("ON_DUPLICATE")
    .or_none();
/// `IGNORE`, for the command table.
pub(super) const IGNORE: Arg = Arg::block(
    "ignore",
    &[
        Arg::value("max-time-diff", ArgKind::String),
        Arg::value("max-value-diff", ArgKind::Double),
    ],
)
.after("IGNORE")
.or_none();
/// `LABELS`, for the command table; there may be none behind it.
pub(super) const LABELS: Arg = Arg::block("labels", &[LABEL.or_none().repeated()])
    .after("LABELS")
    .or_none();
const LABEL: Arg = Arg::block(
    "pair",
    &[
        Arg::value("label", ArgKind::String),
        Arg::value("value", ArgKind::String),
    ],
);

const POLICIES: &[Arg] = &[
    word("BLOCK"),
    word("FIRST"),
    word("LAST"),
    word("MIN"),
    word("MAX"),
    word("SUM"),
];

const fn word(token: &'static str) -> Arg {
    Arg::value(token, ArgKind::Token).after(token)
}
