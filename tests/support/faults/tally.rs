//! A line of the table of faults: the fault, times tried, acknowledged writes lost, invariants broken.

use std::fmt::Write;

/// What came of a fault so far.
#[derive(Debug)]
pub(crate) struct Tally {
    fault: &'static str,
    may_lose: bool,
    tried: usize,
    lost: usize,
    broken: Vec<String>,
}

impl Tally {
    /// Of a fault that loses nothing that was acknowledged.
    pub(crate) fn new(fault: &'static str) -> Self {
        Self {
            fault,
            may_lose: false,
            tried: 0,
            lost: 0,
            broken: Vec::new(),
        }
    }

    /// Of a fault that may lose the latest writes.
    pub(crate) fn that_may_lose(fault: &'static str) -> Self {
        Self {
            may_lose: true,
            ..Self::new(fault)
        }
    }

    /// Whether acknowledged writes may be gone.
    pub(crate) fn may_lose(&self) -> bool {
        self.may_lose
    }

    /// The fault has happened once more.
    pub(crate) fn tried(&mut self) {
        self.tried += 1;
    }

    /// So many acknowledged writes were gone.
    pub(crate) fn lost(&mut self, writes: usize) {
        self.lost += writes;
    }

    /// What did not hold. The first of it ends the test: what comes later comes of it.
    #[track_caller]
    pub(crate) fn broken(&mut self, broken: Vec<String>) {
        self.broken.extend(broken);
        if !self.broken.is_empty() {
            self.print();
            panic!("{}", self.text());
        }
    }

    /// Prints the line, and fails where the fault broke what is promised.
    #[track_caller]
    pub(crate) fn end(self) {
        self.print();
        assert!(self.tried > 0, "{} was not tried", self.fault);
        assert!(self.may_lose || self.lost == 0, "{}", self.text());
    }

    fn print(&self) {
        let Self {
            fault, tried, lost, ..
        } = self;
        println!("FAULT: {fault} | {tried} | {lost} | {}", self.broken.len());
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {} acknowledged writes lost", self.fault, self.lost);
        for broken in &self.broken {
            write!(text, "\n{broken}").unwrap();
        }
        text
    }
}

/// How often to try: as often as `IOT_SOAK` says, times what a run of all tests has time for.
pub(crate) fn rounds(few: usize) -> usize {
    let soak = std::env::var("IOT_SOAK").map_or(1, |text| text.parse().unwrap());
    few * soak.max(1)
}
