//! When a fence is there: windows of a week, by a local clock.
//!
//! ```text
//! schedule:  part ; part ..
//! part:      days times                 mon-fri 08:00-18:00
//! days:      daily | day, day-day ..    sat,sun   fri-mon
//! times:     time-time, time-time ..    08:00-12:00,13:00-17:00   22:00-06:00   00:00-24:00
//! ```
//!
//! A window begins on each of its days; one that ends before it begins ends on the day after. The end
//! is not part of it. It is kept as minutes of the week from Monday on, in order, joined where they
//! meet, so that equal schedules are equal however they were written.
//!
//! The clock is the local one: where it is put forward over a window there is none that day, and where
//! it is put back, an hour of it comes twice.

use std::fmt::{self, Write};

use crate::engine::query::Zone;
use crate::engine::table::rounded;
use crate::engine::{Error, Result, Timestamp};

/// Most windows of one schedule, after those that meet are joined.
pub const MAX_WINDOWS: usize = 64;
/// Longest text of a schedule, in bytes.
pub const MAX_SCHEDULE_BYTES: usize = 4096;

const DAY: u16 = 24 * 60;
const WEEK: u16 = 7 * DAY;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Windows of a week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// First minute and the one after the last; in order, apart, within a week.
    windows: Box<[(u16, u16)]>,
    zone: Zone,
}

impl Schedule {
    /// Reads a schedule for the local clock of a zone.
    ///
    /// # Errors
    /// `Schedule` with the position of what is wrong, and `Limit`.
    pub fn parse(text: &str, zone: Zone) -> Result<Self> {
        Error::within(text.len(), "bytes in a schedule", MAX_SCHEDULE_BYTES)?;
        let mut reader = Reader {
            text: text.as_bytes(),
            at: 0,
        };
        let mut windows = Vec::new();
        loop {
            reader.part(&mut windows)?;
            if reader.text.len() == reader.at {
                break;
            }
            reader.expect(b';', "expected ; or the end")?;
            if reader.text.len() == reader.at {
                break;
            }
        }
        Self::new(windows, zone)
    }

    /// Windows as minutes of the week.
    ///
    /// # Errors
    /// `Limit`, and `Corrupt` for windows that are empty or reach beyond the week.
    pub fn new(mut windows: Vec<(u16, u16)>, zone: Zone) -> Result<Self> {
        let is_window = |&(start, end): &(u16, u16)| start < end && end <= WEEK;
        if windows.is_empty() || !windows.iter().all(is_window) {
            return Err(Error::Corrupt { what: "schedule" });
        }
        windows.sort_unstable();
        let mut joined: Vec<(u16, u16)> = Vec::with_capacity(windows.len());
        for (start, end) in windows {
            match joined.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        Error::within(joined.len(), "windows of a schedule", MAX_WINDOWS)?;
        let windows = joined.into();
        Ok(Self { windows, zone })
    }

    /// The windows, as minutes of the week.
    pub fn windows(&self) -> &[(u16, u16)] {
        &self.windows
    }

    /// Whose clock it goes by.
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Takes the clock of a zone of the same name, which is in memory already.
    pub(super) fn share(&mut self, zone: &Zone) {
        self.zone = zone.clone();
    }

    /// Whether a time lies in a window.
    pub fn is_open(&self, time_ms: Timestamp) -> bool {
        /// The epoch was a Thursday.
        const EPOCH_MINUTE: i64 = 3 * DAY as i64;
        let local_ms = time_ms.saturating_add(self.zone.offset_ms(time_ms));
        let minute = (local_ms.div_euclid(60_000) + EPOCH_MINUTE).rem_euclid(WEEK.into());
        let begun = self
            .windows
            .partition_point(|&(start, _)| i64::from(start) <= minute);
        begun > 0 && minute < self.windows[begun - 1].1.into()
    }

    /// Bytes allocated beside it; the zone is shared.
    pub(super) fn heap_bytes(&self) -> usize {
        rounded(size_of_val(&*self.windows))
    }

    /// For each day the windows that begin on it, as a text.
    fn by_day(&self) -> [String; 7] {
        let mut days: [String; 7] = Default::default();
        let mut print = |start: u16, end: u16| {
            let day = &mut days[usize::from(start / DAY % 7)];
            let comma = if day.is_empty() { "" } else { "," };
            let (from, to) = (start % DAY, end - start / DAY * DAY);
            let to = if to > DAY { to - DAY } else { to };
            let _ = write!(day, "{comma}{}-{}", Time(from), Time(to));
        };
        // What passes the end of the week is one window, unless it is the whole week.
        let wraps = self.windows.len() > 1
            && self.windows.first().is_some_and(|first| first.0 == 0)
            && self.windows.last().is_some_and(|last| last.1 == WEEK);
        let whole = self.windows.iter().skip(usize::from(wraps));
        for (at, &(mut start, end)) in whole.enumerate() {
            let is_last = at + 1 + usize::from(wraps) == self.windows.len();
            let end = if wraps && is_last {
                end + self.windows[0].1
            } else {
                end
            };
            // A window of a text is shorter than a day: it ends before it begins, by the clock.
            loop {
                let midnight = (start / DAY + 1) * DAY;
                if end <= midnight || end - midnight < start % DAY {
                    break;
                }
                print(start, midnight);
                start = midnight;
            }
            if start < end {
                print(start, end);
            }
        }
        days
    }
}

/// Minutes of a day, as a clock shows them.
struct Time(u16);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// The text that [`Schedule::parse`] reads, the shortest of its kind.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.by_day();
        let mut separator = "";
        for (first, times) in days.iter().enumerate() {
            if times.is_empty() || days[..first].contains(times) {
                continue;
            }
            f.write_str(separator)?;
            separator = "; ";
            let same: Vec<usize> = (first..7).filter(|&day| days[day] == *times).collect();
            if same.len() == 7 {
                f.write_str("daily")?;
            } else {
                let mut comma = "";
                for run in same.chunk_by(|one, next| one + 1 == *next) {
                    let (from, to) = (DAYS[run[0]], DAYS[run[run.len() - 1]]);
                    match run.len() {
                        1 => write!(f, "{comma}{from}")?,
                        2 => write!(f, "{comma}{from},{to}")?,
                        _ => write!(f, "{comma}{from}-{to}")?,
                    }
                    comma = ",";
                }
            }
            write!(f, " {times}")?;
        }
        Ok(())
    }
}

/// Reads a text from left to right.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn refuse<T>(&self, what: &'static str) -> Result<T> {
        let at = self.at + 1;
        Err(Error::Schedule { what, at })
    }

    fn skip_spaces(&mut self) {
        while self.text.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    /// Takes a sign and the spaces around it; returns whether it was there.
    fn take(&mut self, sign: u8) -> bool {
        let from = self.at;
        self.skip_spaces();
        if self.text.get(self.at) != Some(&sign) {
            self.at = from;
            return false;
        }
        self.at += 1;
        self.skip_spaces();
        true
    }

    fn expect(&mut self, sign: u8, what: &'static str) -> Result<()> {
        if self.take(sign) {
            Ok(())
        } else {
            self.refuse(what)
        }
    }

    fn part(&mut self, windows: &mut Vec<(u16, u16)>) -> Result<()> {
        self.skip_spaces();
        let days = self.days()?;
        let after_days = self.at;
        self.skip_spaces();
        if self.at == after_days {
            return self.refuse("expected a time such as 08:00-18:00");
        }
        loop {
            let start = self.time()?;
            self.expect(b'-', "expected - and the end of the window")?;
            let from = self.at;
            let end = self.time()?;
            if start == end || start == DAY {
                self.at = from;
                return self.refuse("the window is empty");
            }
            let len = if start < end {
                end - start
            } else {
                DAY - start + end
            };
            for day in (0..7).filter(|&day| days[usize::from(day)]) {
                let (from, to) = (day * DAY + start, day * DAY + start + len);
                windows.push((from, to.min(WEEK)));
                if to > WEEK {
                    windows.push((0, to - WEEK));
                }
            }
            if !self.take(b',') {
                break;
            }
        }
        self.skip_spaces();
        Ok(())
    }

    fn days(&mut self) -> Result<[bool; 7]> {
        let mut days = [false; 7];
        if self.word(b"daily") {
            return Ok([true; 7]);
        }
        loop {
            let first = self.day()?;
            let last = if self.take(b'-') { self.day()? } else { first };
            for step in 0..=(last + 7 - first) % 7 {
                days[(first + step) % 7] = true;
            }
            if !self.take(b',') {
                return Ok(days);
            }
        }
    }

    fn day(&mut self) -> Result<usize> {
        let day = DAYS.iter().position(|name| self.word(name.as_bytes()));
        day.map_or_else(
            || self.refuse("expected a day: mon, tue, wed, thu, fri, sat, sun or daily"),
            Ok,
        )
    }

    /// Takes a word in any case, if it stands here alone.
    fn word(&mut self, word: &[u8]) -> bool {
        let rest = &self.text[self.at..];
        let is_it = rest
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word));
        let goes_on = rest.get(word.len()).is_some_and(u8::is_ascii_alphanumeric);
        if is_it && !goes_on {
            self.at += word.len();
        }
        is_it && !goes_on
    }

    fn time(&mut self) -> Result<u16> {
        let digits = |digits: &[u8]| {
            let are_digits = digits.iter().all(u8::is_ascii_digit);
            are_digits.then(|| {
                digits
                    .iter()
                    .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
            })
        };
        let rest = &self.text[self.at..];
        let time = rest.get(..5).and_then(|time| {
            let (hours, minutes) = (digits(&time[..2])?, digits(&time[3..])?);
            let is_time = time[2] == b':' && minutes < 60 && hours * 60 + minutes <= DAY;
            is_time.then_some(hours * 60 + minutes)
        });
        match time {
            Some(time) if !rest.get(5).is_some_and(u8::is_ascii_digit) => {
                self.at += 5;
                Ok(time)
            }
            _ => self.refuse("expected a time from 00:00 to 24:00"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        let schedule = Schedule::parse(text, Zone::UTC).unwrap();
        let print = schedule.to_string();
        assert_eq!(Schedule::parse(&print, Zone::UTC), Ok(schedule), "{print}");
        print
    }

    #[test]
    fn schedules_are_printed_in_one_way() {
        for text in [
            "mon-fri 08:00-18:00; sat 10:00-14:00",
            "daily 00:00-24:00",
            "daily 22:00-06:00",
            "mon-wed,fri 08:00-12:00,13:00-17:00",
            "sat,sun 22:30-06:00",
            "mon 10:00-24:00; tue 00:00-12:00",
            "mon,fri 10:00-09:59",
        ] {
            assert_eq!(printed(text), text);
        }
        for (text, print) in [
            (" FRI-mon 01:00 - 02:00 ; ", "mon,fri-sun 01:00-02:00"),
            (
                "mon 08:00-10:00; mon 10:00-12:00, 11:00-13:00",
                "mon 08:00-13:00",
            ),
            ("tue 09:00-10:00;mon 09:00-10:00", "mon,tue 09:00-10:00"),
            (
                "mon-sun 00:00-12:00; daily 12:00-24:00",
                "daily 00:00-24:00",
            ),
            ("sun 12:00-24:00; mon 00:00-11:00", "sun 12:00-11:00"),
            (
                "sun 12:00-24:00; mon 00:00-13:00",
                "mon 00:00-13:00; sun 12:00-24:00",
            ),
        ] {
            assert_eq!(printed(text), print);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, place) in [
            ("", 1),
            ("mon", 4),
            ("mun 08:00-10:00", 1),
            ("mon-fry 08:00-10:00", 5),
            ("mon 8:00-10:00", 5),
            ("mon 08:00-24:01", 11),
            ("mon 08:00-08:00", 11),
            ("mon 08:00", 10),
            ("mon 08:00-09:00 tue", 17),
            ("mon 08:00-09:00;; tue", 17),
            ("mon 08:00-09:000", 11),
        ] {
            match Schedule::parse(text, Zone::UTC) {
                Err(Error::Schedule { at, .. }) => assert_eq!(at, place, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let windows = |count: u16| (0..count).map(|at| (at * 2, at * 2 + 1)).collect();
        assert!(Schedule::new(windows(64), Zone::UTC).is_ok());
        assert!(Schedule::new(windows(65), Zone::UTC).is_err());
        assert!(Schedule::new(vec![(0, WEEK + 1)], Zone::UTC).is_err());
    }

    #[test]
    fn a_window_is_open_by_the_local_clock() {
        const HOUR: i64 = 3_600_000;
        let berlin = Zone::by_name(b"Europe/Berlin").unwrap();
        let night = Schedule::parse("sat 22:00-06:00", berlin.clone()).unwrap();
        // 2024-03-30 is a Saturday; at 01:00 UTC on the day after the clock goes from 2 to 3.
        let saturday = 1_711_756_800_000;
        assert!(!night.is_open(saturday + 21 * HOUR - 1));
        assert!(night.is_open(saturday + 21 * HOUR));
        assert!(night.is_open(saturday + 28 * HOUR - 1));
        assert!(
            !night.is_open(saturday + 28 * HOUR),
            "an hour shorter than other nights"
        );
        let skipped = Schedule::parse("sun 02:00-03:00", berlin).unwrap();
        assert!((0..48).all(|half| !skipped.is_open(saturday + 24 * HOUR + half * HOUR / 2)));
        let monday = Schedule::parse("mon 00:00-24:00", Zone::UTC).unwrap();
        assert!(monday.is_open(-3 * 24 * HOUR) && !monday.is_open(-3 * 24 * HOUR - 1));
        assert!(!monday.is_open(0) && monday.is_open(4 * 24 * HOUR));
        let _ends_well = [i64::MIN, i64::MAX].map(|time_ms| monday.is_open(time_ms));
    }
}
