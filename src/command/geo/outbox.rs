//! Events between the change that they tell of and their way out: nothing may be open while they are
//! sent, since whoever hears of them may do anything.

use super::event::{Pair, fence_event, pair_event};
use super::fields::Fields;
use crate::command::host::Host;
use crate::engine::watch::{Binding, Event, Meeting, Sink};

/// Events to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox(Vec<(Fields, Vec<Sink>)>);

impl Outbox {
    /// Takes the events of a fleet and a set of fences.
    pub(super) fn take(&mut self, fleet: &[u8], binding: &Binding, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            let fields = fence_event(fleet, &binding.fences, &event);
            self.0.push((fields, binding.sinks.clone()));
        }
    }

    /// Takes an event of two devices.
    pub(super) fn meet(&mut self, pair: &Pair<'_>, meeting: &Meeting, sinks: &[Sink]) {
        self.0.push((pair_event(pair, meeting), sinks.to_vec()));
    }

    /// Sends everything, in order.
    pub(super) fn send<H: Host>(self, host: &H) {
        for (fields, sinks) in &self.0 {
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
