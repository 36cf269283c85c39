//! One series; being built.

use super::options::Options;
use super::{Sample, TimeRange, Timestamp};

/// Bytes of a sealed block.
pub type Payload = triomphe::ThinArc<(), u8>;

/// A series of samples.
#[derive(Clone, Debug)]
pub struct Series {
    options: Options,
}

impl Series {
    /// An empty series.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Its options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The newest sample. O(1).
    pub fn newest(&self) -> Option<Sample> {
        None
    }

    /// Number of heap allocations that hold samples: the work of freeing it.
    pub fn block_count(&self) -> usize {
        0
    }

    /// Every heap allocation the series owns, with the number of series that share it.
    pub fn allocations(&self, visit: &mut dyn FnMut(*const u8, usize)) {
        visit(self.options.labels.packed().as_ptr(), 1);
    }

    /// The heap buffer of the open block, for a host that moves it to another address. Its
    /// contents and length must stay as they are.
    pub fn open_buffer_mut(&mut self) -> Option<&mut Vec<u8>> {
        None
    }

    /// The payloads of the sealed blocks, for a host that moves them to another address.
    pub fn payloads_mut(&mut self) -> impl Iterator<Item = &mut Payload> {
        std::iter::empty()
    }

    /// Feeds what makes two series equal, options and samples and not their layout in blocks, as
    /// a sequence of byte strings.
    pub fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        feed(self.options.labels.packed());
    }

    /// Deletes the samples in `range`; returns how many there were.
    pub fn delete(&mut self, _range: TimeRange) -> u64 {
        0
    }

    /// Time of the oldest sample that is visible.
    pub fn oldest_ms(&self) -> Option<Timestamp> {
        None
    }
}
