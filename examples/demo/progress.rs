//! Says how far loading is: a line that fills up on the terminal, and the same on the page.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use serde_json::json;

use crate::broadcast::{Broadcast, Meaning};
use crate::ingest::Loaded;

/// Characters of the line when it is full.
const WIDTH: usize = 32;

/// A load that runs.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    broadcast: &'a Broadcast,
    is_terminal: bool,
    began: Instant,
}

impl<'a> Progress<'a> {
    /// Begins now.
    pub(crate) fn begin(broadcast: &'a Broadcast) -> Self {
        Self {
            broadcast,
            is_terminal: io::stdout().is_terminal(),
            began: Instant::now(),
        }
    }

    /// Shows how much there is.
    pub(crate) fn show(&self, loaded: Loaded) {
        let Loaded { samples, of, .. } = loaded;
        let body = json!({"done": samples, "total": of, "time": loaded.time_ms});
        self.broadcast.send("progress", Meaning::State, &body);
        if self.is_terminal {
            let full = (WIDTH * samples).checked_div(of).unwrap_or(WIDTH);
            let line = format!("{}{}", "━".repeat(full), "─".repeat(WIDTH - full));
            print!(
                "\rloading {line} {:>9} of {}",
                grouped(samples),
                grouped(of)
            );
            // A terminal that has gone away is noticed by the events.
            let _ = io::stdout().flush();
        }
    }

    /// Says what there is.
    pub(crate) fn end(self, loaded: Loaded) {
        let Loaded {
            samples, positions, ..
        } = loaded;
        let [samples, positions] = [samples, positions].map(grouped);
        let seconds = self.began.elapsed().as_secs_f64();
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        println!(
            "{clear}loaded {samples} temperatures and {positions} positions in {seconds:.1} s"
        );
    }
}

/// A number with a comma at every thousand.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
