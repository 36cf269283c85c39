//! What queries are run with: little, so that a request is answered or refused at once.

use std::sync::atomic::{AtomicU64, Ordering};

use redis_iot::command::error::{Error, Result};
use redis_iot::command::host::Run;
use redis_iot::engine::query::{Cost, Watch};

/// Most samples of a query.
const MAX_SAMPLES: u64 = 100_000;

/// One query.
#[derive(Default)]
pub struct Hasty {
    samples: AtomicU64,
}

impl Watch for Hasty {
    fn permits(&self, samples: usize) -> bool {
        self.samples.fetch_add(samples as u64, Ordering::Relaxed) < MAX_SAMPLES
    }
}

impl Run for Hasty {
    fn admit(&self, cost: Cost) -> Result<()> {
        let (samples, max) = (cost.total(), MAX_SAMPLES);
        if samples > max {
            return Err(Error::TooManySamples { samples, max });
        }
        Ok(())
    }

    fn why_halted(&self) -> Error {
        Error::TooLong {
            setting: "samples",
            max_ms: 0,
        }
    }

    fn is_in_vain(&self) -> bool {
        false
    }

    fn has_help(&self) -> bool {
        false
    }

    fn share<T: Send>(&self, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
        (0..count).map(work).collect()
    }
}
