//! What a fence tells of, to whom, and when.

use std::fmt;
use std::mem::{size_of, size_of_val};
use std::ops::{BitAnd, BitOr};

use super::schedule::Schedule;
use crate::engine::labels::Labels;
use crate::engine::table::rounded;
use crate::engine::{Error, Result};

/// Most pairs in `META`.
pub const MAX_META: usize = crate::engine::labels::MAX_LABELS;
/// Most bytes of `META`, names and values together.
pub const MAX_META_BYTES: usize = 4096;
/// Most groups of one fence.
pub const MAX_GROUPS: usize = 32;
/// Longest name of a group, in bytes.
pub const MAX_GROUP_BYTES: usize = 512;
/// Most devices that one fence names.
pub const MAX_DEVICES: usize = 1024;
/// Longest id of a device that a fence names, in bytes.
pub const MAX_DEVICE_BYTES: usize = 512;
/// Longest `DWELL`, in milliseconds: a year of 366 days.
pub const MAX_DWELL_MS: i64 = 366 * 24 * 60 * 60 * 1000;
/// Widest `BUFFER`, in metres.
pub const MAX_BUFFER_M: f64 = 100_000.0;
/// Most fixes that `MINFIXES` may ask for.
pub const MAX_MIN_FIXES: u16 = 1000;

/// Kinds of events, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detect(u8);

impl Detect {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// The device has come in.
    pub const ENTER: Self = Self(1);
    /// The device has gone out.
    pub const EXIT: Self = Self(1 << 1);
    /// The device went through between two positions outside.
    pub const CROSS: Self = Self(1 << 2);
    /// The device has been inside for `DWELL`.
    pub const DWELL: Self = Self(1 << 3);
    /// A position inside.
    pub const INSIDE: Self = Self(1 << 4);
    /// A position outside.
    pub const OUTSIDE: Self = Self(1 << 5);
    /// The device is inside and faster than `SPEEDLIMIT`.
    pub const OVERSPEED: Self = Self(1 << 6);
    /// What is told where nothing is said: comings and goings.
    pub const DEFAULT: Self = Self(Self::ENTER.0 | Self::EXIT.0);

    /// Every kind with its name, in the order in which they are printed.
    pub const NAMED: [(&str, Self); 7] = [
        ("enter", Self::ENTER),
        ("exit", Self::EXIT),
        ("cross", Self::CROSS),
        ("dwell", Self::DWELL),
        ("inside", Self::INSIDE),
        ("outside", Self::OUTSIDE),
        ("overspeed", Self::OVERSPEED),
    ];

    /// The kind of a name, in any case.
    pub fn by_name(name: &[u8]) -> Option<Self> {
        let mut named = Self::NAMED.iter();
        let found = named.find(|(one, _)| name.eq_ignore_ascii_case(one.as_bytes()));
        found.map(|&(_, kind)| kind)
    }

    /// A set by its bits, of which each must be a kind.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits >> Self::NAMED.len() == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The bits, as stored.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all kinds of another are in it.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is no kind.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of its kinds.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let named = Self::NAMED.into_iter();
        named
            .filter(move |&(_, kind)| self.has(kind))
            .map(|(name, _)| name)
    }
}

impl BitAnd for Detect {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Detect {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Detect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            let space = if at > 0 { " " } else { "" };
            write!(f, "{space}{name}")?;
        }
        Ok(())
    }
}

/// What can be said about a fence beside its shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// What is told; `None` leaves it to who asks.
    pub detect: Option<Detect>,
    /// How long a device must be inside until that is told, in milliseconds; 0 never tells.
    pub dwell_ms: i64,
    /// How far beyond the border a device must be to have gone out, in metres.
    pub buffer_m: f64,
    /// How many fixes in a row must say so until a device has come in or gone out; 0 is as 1.
    pub min_fixes: u16,
    /// Beyond which speed a device inside is too fast.
    pub speed_limit: Option<f64>,
    /// When the fence is there at all; `None` is always.
    pub schedule: Option<Schedule>,
    /// What events carry along.
    pub meta: Labels,
    /// The groups it belongs to, in order.
    pub groups: Texts,
    /// The devices it is for, in order; none means all.
    pub devices: Texts,
}

impl Options {
    /// Whether the limits are kept and the numbers are some.
    ///
    /// # Errors
    /// `Limit`, and `Fence` for a number that is none.
    pub fn check(&self) -> Result<()> {
        Error::within(self.meta.len(), "pairs in META", MAX_META)?;
        Error::within(self.meta.packed().len(), "bytes in META", MAX_META_BYTES)?;
        Error::within(self.groups.len(), "groups of a fence", MAX_GROUPS)?;
        Error::within(self.groups.longest(), "bytes in a group", MAX_GROUP_BYTES)?;
        Error::within(self.devices.len(), "devices of a fence", MAX_DEVICES)?;
        Error::within(
            self.devices.longest(),
            "bytes in the id of a device",
            MAX_DEVICE_BYTES,
        )?;
        let refuse = |what| Err(Error::Fence { what });
        if !(0..=MAX_DWELL_MS).contains(&self.dwell_ms) {
            return refuse("DWELL must be between 0 and a year");
        }
        if !(0.0..=MAX_BUFFER_M).contains(&self.buffer_m) {
            return refuse("BUFFER must be between 0 and 100000 metres");
        }
        if self.min_fixes > MAX_MIN_FIXES {
            return refuse("MINFIXES must be between 1 and 1000");
        }
        if self
            .speed_limit
            .is_some_and(|limit| !(0.0..f64::INFINITY).contains(&limit))
        {
            return refuse("SPEEDLIMIT must be a number from 0 on");
        }
        Ok(())
    }

    /// Whether it is for a device.
    pub fn is_for(&self, device: &[u8]) -> bool {
        self.devices.is_empty() || self.devices.contains(device)
    }

    /// What is told where nobody says anything else.
    pub fn default_detect(&self) -> Detect {
        let dwell = if self.dwell_ms > 0 {
            Detect::DWELL
        } else {
            Detect::NONE
        };
        let overspeed = match self.speed_limit {
            Some(_) => Detect::OVERSPEED,
            None => Detect::NONE,
        };
        Detect::DEFAULT | dwell | overspeed
    }

    /// Whether a fix inside means nothing where the device was inside already.
    pub fn is_quiet(&self) -> bool {
        self.speed_limit.is_none()
            && self.schedule.is_none()
            && self.devices.is_empty()
            && self.detect.is_none_or(|kinds| !kinds.has(Detect::INSIDE))
    }

    /// Whether the fence is there at a time.
    pub fn is_open(&self, time_ms: i64) -> bool {
        self.schedule
            .as_ref()
            .is_none_or(|schedule| schedule.is_open(time_ms))
    }

    /// Feeds what makes two equal.
    pub(super) fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        let detect = self.detect.map_or(u8::MAX, Detect::bits);
        feed(&[detect]);
        feed(&self.dwell_ms.to_le_bytes());
        feed(&self.buffer_m.to_le_bytes());
        feed(&self.min_fixes.to_le_bytes());
        feed(&self.speed_limit.unwrap_or(-1.0).to_le_bytes());
        if let Some(schedule) = &self.schedule {
            feed(format!("{schedule} {}", schedule.zone().name()).as_bytes());
        }
        feed(self.meta.packed());
        for texts in [&self.groups, &self.devices] {
            feed(&texts.len().to_string().into_bytes());
            texts.iter().for_each(&mut *feed);
        }
    }

    /// Bytes allocated, itself included.
    pub(super) fn heap_bytes(&self) -> usize {
        let schedule = self.schedule.as_ref().map_or(0, Schedule::heap_bytes);
        // They lie behind the number of their owners.
        rounded(size_of::<usize>() + size_of::<Self>())
            + rounded(self.meta.packed().len())
            + self.groups.heap_bytes()
            + self.devices.heap_bytes()
            + schedule
    }
}

/// Texts, each once and in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(Box<[Box<[u8]>]>);

impl Texts {
    /// Those of some texts.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut texts: Vec<Box<[u8]>> = texts.into_iter().map(Into::into).collect();
        texts.sort_unstable();
        texts.dedup();
        Self(texts.into())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a text is one of them.
    pub fn contains(&self, text: &[u8]) -> bool {
        self.0.binary_search_by(|other| (**other).cmp(text)).is_ok()
    }

    /// All, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.iter().map(|text| &**text)
    }

    fn longest(&self) -> usize {
        self.iter().map(<[u8]>::len).max().unwrap_or(0)
    }

    fn heap_bytes(&self) -> usize {
        let texts: usize = self.iter().map(|text| rounded(text.len())).sum();
        texts + rounded(size_of_val(&*self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names() {
        assert_eq!(Detect::DEFAULT.to_string(), "enter exit");
        assert_eq!(Detect::NONE.to_string(), "");
        let mut all = Detect::NONE;
        for (name, kind) in Detect::NAMED {
            assert_eq!(Detect::by_name(name.to_uppercase().as_bytes()), Some(kind));
            assert!(!all.has(kind));
            all = all | kind;
        }
        assert_eq!(Detect::by_name(b"leave"), None);
        assert_eq!(Detect::from_bits(all.bits()), Some(all));
        assert_eq!(Detect::from_bits(1 << 7), None);
        assert!(Detect::NONE.is_empty() && all.has(Detect::DEFAULT));
    }

    #[test]
    fn options_have_limits() {
        let names = |count: usize| -> Vec<Vec<u8>> {
            (0..count)
                .map(|number| number.to_string().into_bytes())
                .collect()
        };
        let texts = |count| Texts::new(names(count).iter().map(|name| &name[..]));
        let long = |bytes: usize| Texts::new([&vec![b'x'; bytes][..]]);
        let with = |change: fn(&mut Options, Texts), texts: Texts| {
            let mut options = Options::default();
            change(&mut options, texts);
            options.check()
        };
        let groups = |options: &mut Options, texts| options.groups = texts;
        let devices = |options: &mut Options, texts| options.devices = texts;
        assert!(with(groups, texts(MAX_GROUPS)).is_ok());
        assert!(with(groups, texts(MAX_GROUPS + 1)).is_err());
        assert!(with(groups, long(MAX_GROUP_BYTES)).is_ok());
        assert!(with(groups, long(MAX_GROUP_BYTES + 1)).is_err());
        assert!(with(devices, texts(MAX_DEVICES)).is_ok());
        assert!(with(devices, texts(MAX_DEVICES + 1)).is_err());
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let buffer = Options {
                buffer_m: bad,
                ..Options::default()
            };
            let speed = Options {
                speed_limit: Some(bad),
                ..Options::default()
            };
            assert!(buffer.check().is_err() && speed.check().is_err());
        }
    }
}
