//! Says how far the copy is: a line that changes on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often a line on a terminal changes, and how often there is one elsewhere.
const ON_TERMINAL: Duration = Duration::from_millis(100);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// A copy that runs.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
    is_quiet: bool,
    began: Instant,
    shown: Instant,
    series: usize,
    of: usize,
    samples: usize,
}

impl Progress {
    /// Begins now, with so many series ahead.
    pub(crate) fn begin(of: usize, is_quiet: bool) -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            is_quiet,
            began: Instant::now(),
            shown: Instant::now(),
            series: 0,
            of,
            samples: 0,
        }
    }

    /// One series more is done.
    pub(crate) fn series(&mut self) {
        self.series += 1;
        self.show();
    }

    /// So many samples more have been read.
    pub(crate) fn samples(&mut self, count: usize) {
        self.samples += count;
        self.show();
    }

    /// Takes the line away, so that something else can be said.
    pub(crate) fn clear(&self) {
        if self.is_terminal && !self.is_quiet {
            eprint!("\r\x1b[K");
        }
    }

    fn show(&mut self) {
        let pause = if self.is_terminal {
            ON_TERMINAL
        } else {
            ELSEWHERE
        };
        if self.is_quiet || self.shown.elapsed() < pause {
            return;
        }
        self.shown = Instant::now();
        let seconds = self.began.elapsed().as_secs().max(1);
        let (series, of, samples) = (self.series, self.of, self.samples);
        let rate = u64::try_from(samples).unwrap_or(u64::MAX) / seconds;
        let line = format!("{series} of {of} series, {samples} samples, {rate} a second");
        if self.is_terminal {
            eprint!("\r{line}\x1b[K");
            // A terminal that has gone away is no reason to stop.
            let _ = io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }
}
