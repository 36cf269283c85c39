//! Events between the change that they tell of and their way out: nothing may be open while they are
//! sent, since whoever hears of them may do anything.

use super::event::{Pair, fence_event, pair_event};
use super::fields::Fields;
use crate::command::host::Host;
use crate::engine::watch::{Binding, Event, Meeting, Sink};

/// Most that one command or one call of the timer sends, an event to a sink being one; what it has begun
/// with it ends. One takes the server some microseconds.
pub(super) const MOST_SENT: usize = 50_000;

/// Events to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    events: Vec<(Fields, Vec<Sink>)>,
    /// How often something will be sent.
    sent: usize,
}

impl Outbox {
    /// Takes the events of a fleet and a set of fences.
    pub(super) fn take(&mut self, fleet: &[u8], binding: &Binding, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            let fields = fence_event(fleet, &binding.fences, &event);
            self.push(fields, &binding.sinks);
        }
    }

    fn push(&mut self, fields: Fields, sinks: &[Sink]) {
        self.sent += sinks.len();
        self.events.push((fields, sinks.to_vec()));
    }

    /// How often something will be sent.
    pub(super) const fn sent(&self) -> usize {
        self.sent
    }

    /// Whether nothing more should be begun that brings events.
    pub(super) const fn is_full(&self) -> bool {
        self.sent >= MOST_SENT
    }

    /// Takes an event of two devices.
    pub(super) fn meet(&mut self, pair: &Pair<'_>, meeting: &Meeting, sinks: &[Sink]) {
        self.push(pair_event(pair, meeting), sinks);
    }

    /// Sends everything, in order.
    pub(super) fn send<H: Host>(self, host: &H) {
        for (fields, sinks) in &self.events {
            let mut json = None;
            for sink in sinks {
                match sink {
                    Sink::Publish(channel) => {
                        let json = json.get_or_insert_with(|| fields.to_json());
                        host.publish(channel, json.as_bytes());
                    }
                    Sink::Stream { key, max_len } => {
                        if !host.append(key, *max_len, &fields.flat()) {
                            host.log_dropped(key);
                        }
                    }
                }
            }
        }
    }
}
