//! Lengths of time, of which some are those of a calendar.

use std::fmt;

/// A length of time, not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many milliseconds.
    Milliseconds(i64),
    /// So many weeks, which in a calendar begin on Monday.
    Weeks(i64),
    /// So many months of the calendar, which have no length in milliseconds.
    Months(i64),
}

impl fmt::Display for Span {
    /// As clients write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Milliseconds(ms) => write!(f, "{ms}"),
            Self::Weeks(weeks) => write!(f, "{weeks}w"),
            Self::Months(months) => write!(f, "{months}mo"),
        }
    }
}

const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;

impl Span {
    /// Its length in milliseconds, where it has one that can be said.
    pub const fn milliseconds(self) -> Option<i64> {
        match self {
            Self::Milliseconds(ms) => Some(ms),
            Self::Weeks(weeks) => weeks.checked_mul(WEEK_MS),
            Self::Months(_) => None,
        }
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        matches!(
            self,
            Self::Milliseconds(0) | Self::Weeks(0) | Self::Months(0)
        )
    }

    /// So many of it; `None` where that is too long.
    pub fn times(self, count: i64) -> Option<Self> {
        let product = match self {
            Self::Milliseconds(ms) => Self::Milliseconds(ms.checked_mul(count)?),
            Self::Weeks(weeks) => Self::Weeks(weeks.checked_mul(count)?),
            Self::Months(months) => Self::Months(months.checked_mul(count)?),
        };
        product.is_sayable().then_some(product)
    }

    /// Both together; `None` where that is too long, or only one has a length in milliseconds.
    pub fn after(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Months(one), Self::Months(other)) => one.checked_add(other).map(Self::Months),
            _ => self
                .milliseconds()?
                .checked_add(other.milliseconds()?)
                .map(Self::Milliseconds),
        }
    }

    const fn is_sayable(self) -> bool {
        matches!(self, Self::Months(_)) || self.milliseconds().is_some()
    }
}
