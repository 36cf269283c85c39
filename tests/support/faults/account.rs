//! What a client knows: what it has sent since the last settlement, and what became of it. At a settlement
//! the oracle gets the same, and says how much of it a server has.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use redis::Value;

use super::load::{Kind, Load, Step};
use super::oracle::{self, Portrait};
use crate::support::client::{Client, Protocol};
use crate::support::notation::render;

/// Steps that are on their way at once.
const BATCH: usize = 6;
/// How errors begin with which a server refuses what comes, whatever it is, and has done nothing.
const REFUSALS: [&str; 6] = [
    "READONLY",
    "MISCONF",
    "UNBLOCKED",
    "LOADING",
    "MASTERDOWN",
    "EXECABORT",
];

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Unknown,
    Refused,
    Acknowledged(Vec<String>),
}

/// Why a client has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It was told to.
    Told,
    /// The connection is gone.
    Gone,
    /// The server takes nothing.
    Refused,
}

/// What a settlement has found.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Acknowledged steps that write and that the server does not have.
    pub(crate) lost: usize,
    /// What does not hold.
    pub(crate) broken: Vec<String>,
}

/// A client and what it knows.
#[derive(Debug)]
pub(crate) struct Account {
    /// What it sends.
    pub(crate) load: Load,
    sent: VecDeque<(Step, Fate)>,
}

impl Account {
    /// A client that has sent what comes before all else.
    #[track_caller]
    pub(crate) fn begin(load: Load, client: &mut Client) -> Self {
        let mut sent = VecDeque::new();
        for step in load.beginning() {
            let replies = client.pipeline(&step.requests).unwrap();
            let replies = oracle::shown(&step, &replies);
            sent.push_back((step, Fate::Acknowledged(replies)));
        }
        Self { load, sent }
    }

    /// Sends to the server at `port` until it is told to stop, or cannot go on.
    pub(crate) fn drive(
        &mut self,
        port: u16,
        stop: &AtomicBool,
        acknowledged: &AtomicUsize,
    ) -> Stop {
        let Ok(mut client) = Client::connect(port, Protocol::Resp2) else {
            return Stop::Gone;
        };
        while !stop.load(Ordering::Relaxed) {
            match self.exchange(&mut client, acknowledged) {
                Stop::Told => {}
                other => return other,
            }
        }
        Stop::Told
    }

    /// Sends some steps and reads the replies.
    fn exchange(&mut self, client: &mut Client, acknowledged: &AtomicUsize) -> Stop {
        if self.send(client) == Stop::Gone {
            return Stop::Gone;
        }
        self.receive(client, acknowledged)
    }

    /// Sends some steps.
    pub(crate) fn send(&mut self, client: &mut Client) -> Stop {
        let steps: Vec<Step> = (0..BATCH).map(|_| self.load.step()).collect();
        let requests: Vec<_> = steps
            .iter()
            .flat_map(|step| step.requests.clone())
            .collect();
        self.sent
            .extend(steps.into_iter().map(|step| (step, Fate::Unknown)));
        // The connection may be gone at any moment, with some of what was sent.
        match client.send_all(&requests) {
            Ok(()) => Stop::Told,
            Err(_) => Stop::Gone,
        }
    }

    /// Reads the replies to what was sent last.
    pub(crate) fn receive(&mut self, client: &mut Client, acknowledged: &AtomicUsize) -> Stop {
        let mut stop = Stop::Told;
        let from = self.sent.len() - BATCH;
        for (step, fate) in self.sent.range_mut(from..) {
            let replies = step.requests.iter().map(|_| client.receive());
            let Ok(replies) = replies.collect::<Result<Vec<Value>, _>>() else {
                return Stop::Gone;
            };
            if is_refusal(&replies) {
                *fate = Fate::Refused;
                stop = Stop::Refused;
            } else {
                *fate = Fate::Acknowledged(oracle::shown(step, &replies));
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
        stop
    }

    /// Finds out how much of what was sent `server` has, and leaves the oracle with as much of it. Where
    /// `may_lose`, the oracle may be left with more.
    pub(crate) fn settle(
        &mut self,
        server: &mut Client,
        oracle: &mut Client,
        may_lose: bool,
    ) -> Settled {
        let mut sent: Vec<_> = std::mem::take(&mut self.sent).into();
        sent.retain(|(_, fate)| *fate != Fate::Refused);
        let mut settled = Settled::default();
        let is_acknowledged = |(_, fate): &(Step, Fate)| matches!(fate, Fate::Acknowledged(_));
        let acknowledged = sent
            .iter()
            .rposition(is_acknowledged)
            .map_or(0, |at| at + 1);
        let mark = self.mark(server);
        let marked = sent
            .iter()
            .rposition(|(step, _)| step.mark.is_some() && step.mark == mark);
        let marked = marked.map_or(0, |at| at + 1);
        let first = if may_lose {
            marked
        } else {
            acknowledged.max(marked)
        };
        for one in &sent[..first] {
            settled.broken.extend(replay(oracle, one));
        }
        let have = oracle::portrait(server, &self.load.prefix);
        let wanted = oracle::portrait(oracle, &self.load.prefix);
        let Some(found) = self.find(&sent, first, (oracle, &have), may_lose) else {
            let shown = shown(&sent[marked.saturating_sub(3)..]);
            let samples = oracle::samples(&wanted, &have, [oracle, server]);
            settled.broken.push(format!(
                "no part of what {} has sent makes what the server has: of {} steps {acknowledged} acknowledged, \
                 {marked} marked; after {first} of them\n{}\n{samples}\n{shown}",
                self.load.prefix,
                sent.len(),
                oracle::differences(&wanted, &have)
            ));
            return settled;
        };
        let lost = sent.get(found..acknowledged).unwrap_or_default().iter();
        settled.lost = lost.filter(|(step, _)| step.writes()).count();
        settled
    }

    /// How many of the steps sent, `first` or more, make what the server has.
    fn find(
        &self,
        sent: &[(Step, Fate)],
        first: usize,
        (oracle, have): (&mut Client, &Portrait),
        may_lose: bool,
    ) -> Option<usize> {
        let mut found = None;
        for count in first..=sent.len() {
            if count > first {
                let one = &sent[count - 1];
                // With it there would be another mark.
                if one.0.mark.is_some() {
                    break;
                }
                replay(oracle, one);
            }
            if oracle::portrait(oracle, &self.load.prefix) == *have {
                found = Some(count);
                if !may_lose {
                    break;
                }
            }
        }
        found
    }

    /// The last mark that the server has.
    fn mark(&self, server: &mut Client) -> Option<usize> {
        match server.run(&format!("GET {}mark", self.load.prefix)) {
            Value::Nil => None,
            mark => Some(redis::from_redis_value(mark).unwrap()),
        }
    }
}

/// Sends a step to the oracle. Says so if it replies otherwise than the server did.
fn replay(oracle: &mut Client, (step, fate): &(Step, Fate)) -> Option<String> {
    if step.kind == Kind::Loose {
        return None;
    }
    let wanted = oracle::shown(step, &oracle.pipeline(&step.requests).unwrap());
    let Fate::Acknowledged(have) = fate else {
        return None;
    };
    let is_error = |reply: &String| reply.starts_with('-');
    let is_same = match step.kind {
        Kind::Clock => !have.iter().any(is_error),
        _ => wanted == *have,
    };
    if is_same {
        return None;
    }
    let request = Value::Array(step.requests.iter().map(|one| text(one)).collect());
    Some(format!(
        "{}\n  should reply {wanted:?}\n  replied      {have:?}",
        render(&request)
    ))
}

fn text(request: &[Vec<u8>]) -> Value {
    let mut text = request.join(&b' ');
    text.truncate(300);
    Value::BulkString(text)
}

/// Whether the server has done nothing, and would not do anything else either.
fn is_refusal(replies: &[Value]) -> bool {
    let texts: Vec<String> = replies.iter().map(render).collect();
    let refuses = |text: &String| REFUSALS.iter().any(|refusal| text.contains(refusal));
    texts.iter().any(refuses)
}

fn shown(sent: &[(Step, Fate)]) -> String {
    let line = |(step, fate): &(Step, Fate)| {
        let requests: Vec<String> = step.requests.iter().map(|one| render(&text(one))).collect();
        let mut line = format!("{} -> {fate:?}", requests.join("; "));
        line.truncate(400);
        line
    };
    sent.iter()
        .take(16)
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}
