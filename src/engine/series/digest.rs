//! What makes two series equal.

use super::{Order, Series};
use crate::engine::codec::Columns;
use crate::engine::query::Zone;

/// Samples of one piece: pieces must not depend on how blocks happen to lie.
const PIECE_SAMPLES: usize = 512;

impl Series {
    /// Feeds what makes two series equal, as a sequence of byte strings: the options, the labels
    /// and the visible samples, and not how these lie in blocks.
    pub fn digest(&self, feed: &mut dyn FnMut(&[u8])) {
        let options = self.options();
        feed(&options.retention_ms.to_le_bytes());
        feed(&options.idle_ttl_ms.to_le_bytes());
        feed(&options.chunk_bytes.to_le_bytes());
        feed(&[
            options.encoding as u8,
            options.duplicate_policy.map_or(u8::MAX, |one| one as u8),
        ]);
        feed(&options.ignore.max_time_diff_ms.to_le_bytes());
        feed(&options.ignore.max_value_diff.to_le_bytes());
        feed(options.labels.packed());
        // Where a series comes from is found out again wherever it matters, its rules are not.
        for rule in self.links().rules() {
            feed(&rule.destination);
            let (cut, zone) = (rule.cut(), rule.cut().zone().map(Zone::name));
            feed(format!("{} {:?} {zone:?}", rule.aggregator, cut.span()).as_bytes());
            feed(&cut.align_ms().to_le_bytes());
            feed(&rule.delay_ms.to_le_bytes());
            feed(&rule.since_ms.to_le_bytes());
        }
        let visible = self.visible();
        let mut columns = Columns::default();
        let mut piece = Vec::with_capacity(16 * PIECE_SAMPLES);
        for part in self.parts(visible, Order::Ascending) {
            part.read(visible, &mut columns);
            for (time_ms, value) in columns.times.iter().zip(&columns.values) {
                piece.extend(time_ms.to_le_bytes());
                piece.extend(value.to_le_bytes());
                if piece.len() == 16 * PIECE_SAMPLES {
                    feed(&piece);
                    piece.clear();
                }
            }
        }
        feed(&piece);
    }
}
