//! How a rule cuts time into buckets, as it is stored and shown.

use crate::engine::query::{Buckets, Calendar, Span, Zone};
use crate::engine::{Error, Result, Timestamp};

/// Buckets of a span: of one width from a time on, or by the calendar of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    span: Span,
    /// By whose clock; without one, spans of fixed length are so many milliseconds.
    zone: Option<Zone>,
    /// A time at which a bucket begins, for those of one width.
    align_ms: Timestamp,
}

impl Cut {
    /// A cut that makes sense.
    ///
    /// # Errors
    /// Those of [`Calendar::new`], and `UnevenDay` for no time at all or more than can be said.
    pub fn new(span: Span, zone: Option<Zone>, align_ms: Timestamp) -> Result<Self> {
        if !matches!(span, Span::Months(_)) && span.milliseconds().is_none() {
            return Err(Error::UnevenDay);
        }
        let cut = Self {
            span,
            zone,
            align_ms,
        };
        cut.try_buckets()?;
        Ok(cut)
    }

    /// The buckets.
    pub fn buckets(&self) -> Buckets {
        self.try_buckets().expect("BUG: a cut was checked")
    }

    fn try_buckets(&self) -> Result<Buckets> {
        match (&self.zone, self.span.milliseconds()) {
            (None, Some(width_ms)) if width_ms > 0 => Ok(Buckets::new(width_ms, self.align_ms)),
            (zone, _) => {
                let zone = zone.clone().unwrap_or(Zone::UTC);
                Ok(Buckets::Calendar(Calendar::new(self.span, zone)?))
            }
        }
    }

    /// The length of a bucket.
    pub const fn span(&self) -> Span {
        self.span
    }

    /// The zone, where there is one.
    pub const fn zone(&self) -> Option<&Zone> {
        self.zone.as_ref()
    }

    /// A time at which a bucket begins.
    pub const fn align_ms(&self) -> Timestamp {
        self.align_ms
    }

    /// No bucket is longer, in milliseconds.
    pub fn longest_ms(&self) -> i64 {
        /// No clock was put back by more at once since 1970: that of Antarctica/Casey, in 2010.
        const PUT_BACK_MS: i64 = 3 * 60 * 60 * 1000;
        /// Days of the longest month.
        const MONTH_MS: i64 = 31 * 24 * 60 * 60 * 1000;
        match (self.span, self.span.milliseconds()) {
            (Span::Months(months), _) => {
                months.saturating_mul(MONTH_MS).saturating_add(PUT_BACK_MS)
            }
            (_, Some(ms)) if self.zone.is_none() => ms,
            (_, ms) => ms.unwrap_or(i64::MAX).saturating_add(PUT_BACK_MS),
        }
    }
}
