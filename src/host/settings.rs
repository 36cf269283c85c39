//! The module's settings: their values, and how text becomes one.
//!
//! A setting has a default of ours, which an argument of `loadmodule` replaces, which a line of the
//! configuration file replaces, which `CONFIG SET` replaces. All of them live in one [`STATE`] of
//! atomics, so a command reads them for the price of six loads.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use triomphe::Arc;

use crate::command::error::Token;
use crate::command::geo::Limits;
use crate::command::host::Settings;
use crate::command::read_compaction;
use crate::engine::options::{
    self, DEFAULT_CHUNK_BYTES, DuplicatePolicy, Encoding, Ignore, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES,
};
use crate::engine::policy::Policy;

/// The settings of this process.
pub(super) static STATE: State = State::new();

/// The prefix that the server puts before each name.
const PREFIX: &[u8] = b"redis-iot.";

/// The value of every setting.
pub(super) struct State {
    retention: Number,
    chunk_size: Number,
    ignore_max_time_diff: Number,
    duplicate_policy: Choice,
    encoding: Choice,
    ignore_max_val_diff: Real,
    threads: Number,
    inline_samples: Number,
    max_samples: Number,
    query_timeout: Number,
    inline_timeout: Number,
    max_queries: Number,
    idle_seal: Number,
    max_series: Number,
    max_vertices: Number,
    max_fences: Number,
    max_devices: Number,
    max_results: Number,
    ts_aliases: Choice,
    compaction_policy: Compaction,
}

/// What limits a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueryLimits {
    /// Most samples of a query that runs on the main thread though its client could wait.
    pub(super) inline_samples: u64,
    /// Most samples of any query; 0 is no limit.
    pub(super) max_samples: u64,
    /// Most time a query may take, in milliseconds; 0 is no limit.
    pub(super) timeout_ms: u64,
    /// Most time a query may hold the main thread because its client cannot wait, in milliseconds; 0 is
    /// no limit.
    pub(super) inline_timeout_ms: u64,
    /// Most queries at once beside the main thread.
    pub(super) max_queries: u64,
}

/// Whether commands answer to `TS.*`, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aliases {
    /// None of them.
    No,
    /// All of them; the module is not loaded where a name is taken.
    Yes,
    /// Those whose names nobody has taken.
    Auto,
}

/// A setting that is a whole number.
pub(super) struct Number {
    pub(super) name: &'static CStr,
    pub(super) min: i64,
    pub(super) max: i64,
    /// A condition beyond the bounds, and the words for its violation.
    condition: fn(i64) -> bool,
    violation: &'static CStr,
    value: AtomicI64,
}

/// A setting that is one of several words.
pub(super) struct Choice {
    pub(super) name: &'static CStr,
    pub(super) words: &'static [&'static CStr],
    /// Whether it cannot be changed once the module is loaded.
    pub(super) is_fixed: bool,
    violation: &'static CStr,
    /// The place of the chosen word.
    value: AtomicUsize,
}

/// A setting that is a finite number of at least zero.
pub(super) struct Real {
    pub(super) name: &'static CStr,
    /// The bits of the number.
    value: AtomicU64,
}

/// A policy as it was written, and as it was read.
type TextAndPolicy = (Box<[u8]>, Arc<Policy>);

/// A setting that is a policy for all series, or none; it cannot be changed once the module is
/// loaded.
pub(super) struct Compaction {
    pub(super) name: &'static CStr,
    value: Mutex<Option<TextAndPolicy>>,
    is_set: AtomicBool,
    has_logged: AtomicBool,
}

/// Any setting.
pub(super) enum Setting {
    Number(&'static Number),
    Choice(&'static Choice),
    Real(&'static Real),
    Compaction(&'static Compaction),
}

/// The words for a value that a setting does not take.
pub(super) type Violation = &'static CStr;

/// The words of [`DuplicatePolicy::ALL`], as C has them.
const POLICIES: &[&CStr] = &[c"block", c"first", c"last", c"min", c"max", c"sum"];
/// The words of [`Encoding::ALL`], as C has them.
const ENCODINGS: &[&CStr] = &[c"compressed", c"gorilla", c"uncompressed"];

impl State {
    const fn new() -> Self {
        Self {
            retention: Number::any_from_zero(c"retention", 0),
            chunk_size: Number {
                name: c"chunk-size",
                min: MIN_CHUNK_BYTES as i64,
                max: MAX_CHUNK_BYTES as i64,
                condition: options::is_chunk_size,
                violation: c"must be a multiple of 8 from 48 to 1048576",
                value: AtomicI64::new(DEFAULT_CHUNK_BYTES as i64),
            },
            ignore_max_time_diff: Number::any_from_zero(c"ignore-max-time-diff", 0),
            duplicate_policy: Choice {
                name: c"duplicate-policy",
                words: POLICIES,
                is_fixed: false,
                violation: c"must be block, first, last, min, max or sum",
                value: AtomicUsize::new(DuplicatePolicy::Block as usize),
            },
            encoding: Choice {
                name: c"encoding",
                words: ENCODINGS,
                is_fixed: false,
                violation: c"must be compressed, gorilla or uncompressed",
                value: AtomicUsize::new(Encoding::Compressed as usize),
            },
            ignore_max_val_diff: Real {
                name: c"ignore-max-val-diff",
                value: AtomicU64::new(0),
            },
            threads: Number {
                name: c"threads",
                min: 0,
                max: 64,
                condition: |_| true,
                violation: c"must be a whole number from 0 to 64",
                value: AtomicI64::new(0),
            },
            inline_samples: Number::any_from_zero(c"inline-samples", 5_000),
            max_samples: Number::any_from_zero(c"max-samples", 1_000_000_000),
            query_timeout: Number::any_from_zero(c"query-timeout", 30_000),
            inline_timeout: Number::any_from_zero(c"inline-timeout", 500),
            max_queries: Number {
                name: c"max-queries",
                min: 1,
                max: 10_000,
                condition: |_| true,
                violation: c"must be a whole number from 1 to 10000",
                value: AtomicI64::new(128),
            },
            idle_seal: Number::any_from_zero(c"idle-seal", 60_000),
            max_series: Number::any_from_zero(c"max-series", 100_000),
            max_vertices: Number::limit(c"max-vertices", 1 << 20, 10_000),
            max_fences: Number::limit(c"max-fences", 1 << 30, 10_000_000),
            max_devices: Number::limit(c"max-devices", 1 << 30, 100_000_000),
            max_results: Number::limit(c"max-results", 10_000_000, 100_000),
            ts_aliases: Choice {
                name: c"ts-aliases",
                words: &[c"no", c"yes", c"auto"],
                is_fixed: true,
                violation: c"must be no, yes or auto",
                value: AtomicUsize::new(Aliases::No as usize),
            },
            compaction_policy: Compaction {
                name: c"compaction-policy",
                value: Mutex::new(None),
                is_set: AtomicBool::new(false),
                has_logged: AtomicBool::new(false),
            },
        }
    }

    /// What a series gets that says nothing of its own.
    #[inline]
    pub(super) fn settings(&self) -> Settings {
        Settings {
            retention_ms: self.retention.get(),
            duplicate_policy: DuplicatePolicy::ALL[self.duplicate_policy.get()],
            encoding: Encoding::ALL[self.encoding.get()],
            chunk_bytes: u32::try_from(self.chunk_size.get()).unwrap_or(DEFAULT_CHUNK_BYTES),
            ignore: Ignore {
                max_time_diff_ms: self.ignore_max_time_diff.get(),
                max_value_diff: self.ignore_max_val_diff.get(),
            },
        }
    }

    /// What limits a query.
    pub(super) fn query_limits(&self) -> QueryLimits {
        QueryLimits {
            inline_samples: self.inline_samples.get().unsigned_abs(),
            max_samples: self.max_samples.get().unsigned_abs(),
            timeout_ms: self.query_timeout.get().unsigned_abs(),
            inline_timeout_ms: self.inline_timeout.get().unsigned_abs(),
            max_queries: self.max_queries.get().unsigned_abs(),
        }
    }

    /// Whether commands answer to their other names, too.
    pub(super) fn aliases(&self) -> Aliases {
        [Aliases::No, Aliases::Yes, Aliases::Auto][self.ts_aliases.get()]
    }

    /// The policy for all series.
    pub(super) const fn compaction(&self) -> &Compaction {
        &self.compaction_policy
    }

    /// Most series that a filter may match.
    pub(super) fn max_series(&self) -> u64 {
        match self.max_series.get().unsigned_abs() {
            0 => u64::MAX,
            max => max,
        }
    }

    /// How large fleets and fences may become.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            vertices: self.max_vertices.get().unsigned_abs(),
            fences: self.max_fences.get().unsigned_abs(),
            devices: self.max_devices.get().unsigned_abs(),
            results: self.max_results.get().unsigned_abs(),
        }
    }

    /// Most threads for queries; 0 is one less than there are cores.
    pub(super) fn threads(&self) -> usize {
        usize::try_from(self.threads.get()).unwrap_or(0)
    }

    /// How long a series is not written until it is packed; `None` is never.
    pub(super) fn idle_seal(&self) -> Option<Duration> {
        let ms = self.idle_seal.get().unsigned_abs();
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// Every setting.
    pub(super) const fn all(&'static self) -> [Setting; 20] {
        [
            Setting::Number(&self.retention),
            Setting::Number(&self.chunk_size),
            Setting::Number(&self.ignore_max_time_diff),
            Setting::Choice(&self.duplicate_policy),
            Setting::Choice(&self.encoding),
            Setting::Real(&self.ignore_max_val_diff),
            Setting::Number(&self.threads),
            Setting::Number(&self.inline_samples),
            Setting::Number(&self.max_samples),
            Setting::Number(&self.query_timeout),
            Setting::Number(&self.inline_timeout),
            Setting::Number(&self.max_queries),
            Setting::Number(&self.idle_seal),
            Setting::Number(&self.max_series),
            Setting::Number(&self.max_vertices),
            Setting::Number(&self.max_fences),
            Setting::Number(&self.max_devices),
            Setting::Number(&self.max_results),
            Setting::Choice(&self.ts_aliases),
            Setting::Compaction(&self.compaction_policy),
        ]
    }

    /// Takes the arguments of `loadmodule`: pairs of name and value.
    ///
    /// # Errors
    /// The first argument that is no setting's name, or whose value is missing or not permitted.
    pub(super) fn load(&'static self, args: &[&[u8]]) -> Result<(), String> {
        for pair in args.chunks(2) {
            let name = pair[0];
            let shown = Token::from(name);
            let Some(setting) = self
                .all()
                .into_iter()
                .find(|setting| setting.is_named(name))
            else {
                return Err(format!("unknown load argument '{shown}'"));
            };
            let [_, value] = pair else {
                return Err(format!("load argument {shown} has no value"));
            };
            setting.set_text(value).map_err(|violation| {
                let (value, violation) = (Token::from(*value), violation.to_string_lossy());
                format!("load argument {shown} {violation}, not '{value}'")
            })?;
        }
        Ok(())
    }
}

impl Number {
    const fn any_from_zero(name: &'static CStr, default: i64) -> Self {
        Self {
            name,
            min: 0,
            max: i64::MAX,
            condition: |_| true,
            violation: c"must be a whole number of at least 0",
            value: AtomicI64::new(default),
        }
    }

    /// A limit, which is at least 1.
    const fn limit(name: &'static CStr, max: i64, default: i64) -> Self {
        Self {
            min: 1,
            max,
            violation: c"must be a whole number of at least 1, and not too large",
            ..Self::any_from_zero(name, default)
        }
    }

    /// The value.
    pub(super) fn get(&self) -> i64 {
        self.value.load(Ordering::Relaxed)
    }

    /// Changes the value.
    pub(super) fn set(&self, value: i64) -> Result<(), Violation> {
        if value < self.min || value > self.max || !(self.condition)(value) {
            return Err(self.violation);
        }
        self.value.store(value, Ordering::Relaxed);
        Ok(())
    }
}

impl Choice {
    /// The place of the chosen word.
    pub(super) fn get(&self) -> usize {
        self.value.load(Ordering::Relaxed)
    }

    /// Chooses the word at a place.
    pub(super) fn set(&self, place: usize) -> Result<(), Violation> {
        if place >= self.words.len() {
            return Err(self.violation);
        }
        self.value.store(place, Ordering::Relaxed);
        Ok(())
    }

    fn set_word(&self, text: &[u8]) -> Result<(), Violation> {
        let is_meant = |word: &&CStr| word.to_bytes().eq_ignore_ascii_case(text);
        let place = self.words.iter().position(is_meant);
        place.map_or(Err(self.violation), |place| self.set(place))
    }
}

impl Real {
    /// The value.
    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.value.load(Ordering::Relaxed))
    }

    /// Reads the value from text.
    pub(super) fn set_text(&self, text: &[u8]) -> Result<(), Violation> {
        let value = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        match value {
            // Adding zero makes a plus of the minus in -0.
            Some(value) if f64::is_finite(value) && value >= 0.0 => {
                self.value.store((value + 0.0).to_bits(), Ordering::Relaxed);
                Ok(())
            }
            _ => Err(c"must be a finite number of at least 0"),
        }
    }
}

impl Compaction {
    fn lock(&self) -> MutexGuard<'_, Option<TextAndPolicy>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is one; cheap.
    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// The policy.
    pub(super) fn get(&self) -> Option<Arc<Policy>> {
        self.lock().as_ref().map(|(_, policy)| policy.clone())
    }

    /// Its text.
    pub(super) fn text(&self) -> Box<[u8]> {
        let text = self.lock().as_ref().map(|(text, _)| text.clone());
        text.unwrap_or_default()
    }

    /// Reads the policy from text; none where that is empty.
    pub(super) fn set_text(&self, text: &[u8]) -> Result<(), Violation> {
        let value = if text.is_empty() {
            None
        } else {
            let policy = read_compaction(text).ok_or(
                c"must be agg:bucket:retention[:align];... with each bucket of an aggregator once, and M or ms for m",
            )?;
            Some((text.into(), Arc::new(policy)))
        };
        self.is_set.store(value.is_some(), Ordering::Relaxed);
        *self.lock() = value;
        Ok(())
    }

    /// Whether the log is to have a line of it now: once.
    pub(super) fn may_log(&self) -> bool {
        !self.has_logged.swap(true, Ordering::Relaxed)
    }
}

impl Setting {
    /// Its name, without the prefix.
    pub(super) const fn name(&self) -> &'static CStr {
        match self {
            Self::Number(number) => number.name,
            Self::Choice(choice) => choice.name,
            Self::Real(real) => real.name,
            Self::Compaction(compaction) => compaction.name,
        }
    }

    /// Whether `text` names it: in any case, with `_` for `-`, with the prefix or without.
    fn is_named(&self, text: &[u8]) -> bool {
        let plain = |byte: u8| {
            if byte == b'_' {
                b'-'
            } else {
                byte.to_ascii_lowercase()
            }
        };
        let is_same = |text: &[u8], name: &[u8]| {
            text.len() == name.len() && text.iter().zip(name).all(|(&a, &b)| plain(a) == plain(b))
        };
        let text = match text.split_at_checked(PREFIX.len()) {
            Some((prefix, rest)) if is_same(prefix, PREFIX) => rest,
            _ => text,
        };
        is_same(text, self.name().to_bytes())
    }

    fn set_text(&self, text: &[u8]) -> Result<(), Violation> {
        match self {
            Self::Number(number) => {
                let value = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                value.map_or(Err(number.violation), |value| number.set(value))
            }
            Self::Choice(choice) => choice.set_word(text),
            Self::Real(real) => real.set_text(text),
            Self::Compaction(compaction) => compaction.set_text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(state: &'static State, args: &[&str], expected: Result<(), &str>) {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        assert_eq!(state.load(&args), expected.map_err(String::from));
    }

    #[test]
    fn untouched_settings_are_the_defaults() {
        assert_eq!(State::new().settings(), Settings::default());
    }

    #[test]
    fn words_are_those_of_the_engine() {
        let words = |words: &[&CStr]| -> Vec<String> {
            words
                .iter()
                .map(|word| word.to_str().unwrap().into())
                .collect()
        };
        assert_eq!(
            words(POLICIES),
            DuplicatePolicy::ALL.map(DuplicatePolicy::name)
        );
        assert_eq!(words(ENCODINGS), Encoding::ALL.map(Encoding::name));
    }

    #[test]
    fn load_arguments_are_read_in_any_spelling() {
        static LOADED: State = State::new();
        let args = [
            "RETENTION",
            "1000",
            "Duplicate_Policy",
            "LAST",
            "redis-iot.encoding",
            "gorilla",
            "REDIS_IOT.chunk-size",
            "128",
            "IGNORE_MAX_TIME_DIFF",
            "5",
            "ignore-max-val-diff",
            "0.5",
        ];
        check(&LOADED, &args, Ok(()));
        let expected = Settings {
            retention_ms: 1000,
            duplicate_policy: DuplicatePolicy::Last,
            encoding: Encoding::Gorilla,
            chunk_bytes: 128,
            ignore: Ignore {
                max_time_diff_ms: 5,
                max_value_diff: 0.5,
            },
        };
        assert_eq!(LOADED.settings(), expected);
    }

    #[test]
    fn a_bad_load_argument_is_named() {
        static LOADED: State = State::new();
        check(
            &LOADED,
            &["RETENTIONS", "1"],
            Err("unknown load argument 'RETENTIONS'"),
        );
        check(
            &LOADED,
            &["RETENTION"],
            Err("load argument RETENTION has no value"),
        );
        check(
            &LOADED,
            &["CHUNK_SIZE", "100"],
            Err("load argument CHUNK_SIZE must be a multiple of 8 from 48 to 1048576, not '100'"),
        );
        for bad in ["-1", "1.5", "9223372036854775808", ""] {
            let text = format!(
                "load argument RETENTION must be a whole number of at least 0, not '{bad}'"
            );
            check(&LOADED, &["RETENTION", bad], Err(&text));
        }
        for bad in ["nan", "inf", "-0.1", "x"] {
            assert!(
                LOADED
                    .load(&[b"ignore-max-val-diff", bad.as_bytes()])
                    .is_err()
            );
        }
        assert_eq!(LOADED.settings(), Settings::default());
    }
}
