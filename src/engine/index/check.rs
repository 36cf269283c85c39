//! Comparing an index with the series themselves.

use roaring::RoaringBitmap;

use super::{Index, Labels};

/// The first thing in which an index differs from the series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What is wrong.
    pub what: &'static str,
    /// The key or the name of the label for which it is.
    pub of: Box<[u8]>,
}

impl Index {
    /// Compares the index with all series of the database, each key once. O(series * labels).
    ///
    /// Every label of every series must be found in the postings. If then the postings are no
    /// longer than these labels are many, nothing else can be in them.
    ///
    /// # Errors
    /// The first difference.
    pub fn check<'a>(
        &self,
        series: impl IntoIterator<Item = (&'a [u8], &'a Labels)>,
    ) -> Result<(), Difference> {
        let differs = |what, of: &[u8]| {
            Err(Difference {
                what,
                of: of.into(),
            })
        };
        let mut seen = RoaringBitmap::new();
        for (key, labels) in series {
            let Some(id) = self.id(key) else {
                return differs("a series is not in the index", key);
            };
            seen.insert(id);
            if self.key(id) != Some(key) || !self.all.contains(id) {
                return differs("the number of a series is not that of its key", key);
            }
            if self.first_missing(id, labels).is_some() {
                return differs("a label of a series is not in the index", key);
            }
            if !self.has_exactly(id, labels) {
                return differs("the index has more labels than a series", key);
            }
        }
        if let Some((_, key)) = self.iter().find(|&(id, _)| !seen.contains(id)) {
            return differs("the index has a series that is not there", key);
        }
        if self.all != seen {
            return differs("the index has a number without a series", b"");
        }
        self.check_postings()
    }

    fn check_postings(&self) -> Result<(), Difference> {
        let mut total = 0;
        for (name, label) in &self.labels {
            if !label.is_consistent() {
                return Err(Difference {
                    what: "the values of a label have other series than the label",
                    of: name.clone(),
                });
            }
            total += label.present().len();
        }
        let counts = self.counts.iter().map(|&count| u64::from(count));
        if counts.sum::<u64>() != total {
            return Err(Difference {
                what: "the postings have more series than there are",
                of: Box::default(),
            });
        }
        Ok(())
    }
}
