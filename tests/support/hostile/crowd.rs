//! Connections that send what they should not.

use std::collections::VecDeque;

use redis::Value;

use super::grammar::Grammar;
use super::servers::{self, Settings};
use super::values::{Mood, Payloads, Values};
use super::{Line, spoil};
use crate::support::client::{Client, Protocol};
use crate::support::notation::{quoted, render, words};
use crate::support::seeds::Random;
use crate::support::server::Server;

/// Connections that send in turn, half of each protocol.
const CLIENTS: usize = 6;
/// Connections that wait for samples, and go away without a word.
const WAITERS: usize = 8;
/// Most lines that are sent before a reply is read.
const MOST_AT_ONCE: usize = 16;
/// Batches that a changed setting stays for.
const BATCHES_CHANGED: usize = 20;
/// Batches after which the index is compared with the database.
const BATCHES_BEFORE_CHECK: usize = 500;
/// Lines that are shown when something goes wrong.
const REMEMBERED: usize = 40;
/// Longest part of a word that is shown.
const SHOWN_BYTES: usize = 200;
/// Longest time, in milliseconds, that a line that is waited for may wait itself.
const MOST_WAIT_MS: u64 = 20;

/// All that attacks one server.
pub(crate) struct Crowd<'s> {
    server: &'s mut Server,
    seed: u64,
    grammars: Vec<Grammar>,
    settings: Settings,
    values: Values,
    clients: Vec<Client>,
    waiters: VecDeque<Client>,
    remembered: VecDeque<Line>,
    batches: usize,
    restore_at: Option<usize>,
    /// Lines of the module's commands that were sent.
    pub(crate) sent: usize,
}

impl<'s> Crowd<'s> {
    pub(crate) fn new(server: &'s mut Server, seed: u64, payloads: Payloads) -> Self {
        let mut client = server.connect(Protocol::Resp2);
        Self {
            grammars: Grammar::all(&mut client),
            settings: Settings::all(&mut client),
            server,
            seed,
            values: Values::new(Random::new(seed), payloads),
            clients: Vec::new(),
            waiters: VecDeque::new(),
            remembered: VecDeque::new(),
            batches: 0,
            restore_at: None,
            sent: 0,
        }
    }

    /// The names of the commands that are sent.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.grammars.iter().map(|one| one.name.clone()).collect()
    }

    /// The server that is attacked.
    pub(crate) fn server(&mut self) -> &mut Server {
        self.server
    }

    /// Goes on until so many lines of the module's commands were sent, then leaves; settings are as before.
    pub(crate) fn attack(&mut self, until: usize) {
        self.clients = (0..CLIENTS)
            .map(|at| self.server.connect(Protocol::BOTH[at % 2]))
            .collect();
        while self.sent < until {
            self.batch();
            self.batches += 1;
            if self.restore_at.is_some_and(|at| at <= self.batches) {
                self.restore_settings();
            }
            if self.batches.is_multiple_of(BATCHES_BEFORE_CHECK) {
                self.check_index();
            }
        }
        self.restore_settings();
        self.clients.clear();
        self.waiters.clear();
    }

    fn restore_settings(&mut self) {
        self.restore_at = None;
        let lines = self.settings.restore();
        self.exchange(0, lines);
    }

    /// Sends some lines of one kind through one connection.
    fn batch(&mut self) {
        let at = self.values.random.index(self.clients.len());
        match self.values.random.index(100) {
            0 => self.wait(),
            1 => self.leave(),
            2 => {
                let change = self.settings.change(&mut self.values.random);
                self.restore_at
                    .get_or_insert(self.batches + BATCHES_CHANGED);
                self.exchange(at, vec![change]);
            }
            3..=7 => {
                let line = servers::select(&mut self.values.random);
                self.exchange(at, vec![line]);
            }
            8..=19 => self.transaction(at),
            20..=29 => self.script(at),
            30..=39 => {
                let lines = (0..=self.values.random.index(4))
                    .map(|_| servers::line(&mut self.values))
                    .collect();
                self.exchange(at, lines);
            }
            40..=54 => {
                let lines = servers::home(&mut self.values.random);
                self.exchange(at, lines);
            }
            _ => {
                let lines = self.lines();
                self.exchange(at, lines);
            }
        }
    }

    /// Some lines of the module's commands, those of the server among them.
    fn lines(&mut self) -> Vec<Line> {
        let count = 1 + self.values.random.index(MOST_AT_ONCE);
        let mut lines: Vec<Line> = Vec::new();
        for _ in 0..count {
            let line = self.line();
            if self.values.random.chance(70) {
                lines.extend(servers::before(&line));
            }
            lines.push(line);
        }
        if self.values.random.chance(20) {
            lines.push(servers::line(&mut self.values));
        }
        lines
    }

    /// A line of any of the module's commands.
    fn line(&mut self) -> Line {
        self.sent += 1;
        let at = self.values.random.index(self.grammars.len());
        let mood = match self.values.random.index(20) {
            0 => Mood::Absurd,
            1..=3 => Mood::Edge,
            _ => Mood::Sound,
        };
        let mut line = self.grammars[at].line(&mut self.values, mood);
        if self.values.random.chance(8) {
            let head = self.grammars[at].name.split('|').count();
            spoil::line(&mut line, head, &mut self.values.random);
        }
        bound_wait(&mut line);
        line
    }

    fn transaction(&mut self, at: usize) {
        let mut lines = Vec::new();
        if self.values.random.chance(20) {
            lines.push(vec![b"WATCH".to_vec(), self.values.any_key()]);
        }
        lines.push(words("MULTI"));
        lines.extend(self.lines());
        let end = self
            .values
            .random
            .pick(&["EXEC", "EXEC", "EXEC", "DISCARD"]);
        lines.push(words(end));
        self.exchange(at, lines);
    }

    fn script(&mut self, at: usize) {
        const SCRIPTS: [&str; 3] = [
            "return redis.pcall(unpack(ARGV))",
            "redis.setresp(3); return redis.pcall(unpack(ARGV))",
            "for _ = 1, 3 do redis.pcall(unpack(ARGV)) end return 1",
        ];
        let script = self.values.random.pick(&SCRIPTS);
        let mut line: Line = ["EVAL", script, "0"].map(Into::into).into();
        line.extend(self.line());
        self.exchange(at, vec![line]);
    }

    /// A connection that waits for samples; the one that has waited longest goes.
    fn wait(&mut self) {
        if self.waiters.len() == WAITERS {
            self.waiters.pop_front();
        }
        let mut client = self.server.connect(Protocol::Resp3);
        let keys = [self.values.any_key(), self.values.any_key()];
        let mut line = words("IOT.MREAD 2");
        line.extend(keys);
        line.extend(words("$ - BLOCK 0 3"));
        self.send(&mut client, std::slice::from_ref(&line));
        self.waiters.push_back(client);
    }

    /// A connection that asks, and is gone before the answer.
    fn leave(&mut self) {
        let mut client = self.server.connect(Protocol::Resp2);
        let lines = self.lines();
        self.send(&mut client, &lines);
    }

    fn send(&mut self, client: &mut Client, lines: &[Line]) {
        for line in lines {
            if self.remembered.len() == REMEMBERED {
                self.remembered.pop_front();
            }
            self.remembered.push_back(line.clone());
        }
        if let Err(lost) = client.send_all(lines) {
            self.fail(&lost.0);
        }
    }

    /// Sends lines and reads a reply to each, and that to a `PING` behind them.
    fn exchange(&mut self, at: usize, mut lines: Vec<Line>) {
        lines.push(words("PING"));
        let mut client = self.clients.swap_remove(at);
        self.send(&mut client, &lines);
        let mut replies = Vec::new();
        for _ in &lines {
            match client.receive() {
                Ok(reply) => replies.push(reply),
                Err(lost) => self.fail(&format!("{}\n{}", lost.0, told(&lines, &replies))),
            }
        }
        if replies.last() != Some(&Value::SimpleString("PONG".into())) {
            self.fail(&format!(
                "the last reply is no PONG\n{}",
                told(&lines, &replies)
            ));
        }
        self.clients.push(client);
    }

    /// Compares the index of labels with the database.
    fn check_index(&mut self) {
        let mut client = self.server.connect(Protocol::Resp3);
        let checked = client.run("IOT.DEBUG INDEX");
        if !render(&checked).contains("\"difference\": nil") {
            self.fail(&format!("the index is another: {}", render(&checked)));
        }
        self.server.assert_no_panic();
    }

    /// What a server that still answers says of its connections.
    fn others(&self) -> String {
        let client = Client::connect(self.server.port(), Protocol::Resp2);
        let connections = client.and_then(|mut client| client.try_call(&["CLIENT", "LIST"]));
        connections.map_or_else(
            |lost| format!("the server does not answer: {}", lost.0),
            |connections| render(&connections),
        )
    }

    /// Ends the test, and says how to come here again.
    fn fail(&mut self, why: &str) -> ! {
        let lines: Vec<String> = self.remembered.iter().map(|line| shown(line)).collect();
        panic!(
            "seed {:#x}, after {} commands: {why}\n{}\n{}\n{}",
            self.seed,
            self.sent,
            lines.join("\n"),
            self.server.last_words(),
            self.others(),
        );
    }
}

/// Lines and the replies that came, in order.
fn told(lines: &[Line], replies: &[Value]) -> String {
    let lines = lines.iter().map(|line| format!("> {}", shown(line)));
    let replies = replies
        .iter()
        .map(|reply| format!("< {:.200}", render(reply)));
    lines.chain(replies).collect::<Vec<_>>().join("\n")
}

/// A line as it is shown.
pub(crate) fn shown(line: &[Vec<u8>]) -> String {
    let words: Vec<String> = line
        .iter()
        .map(|word| quoted(&word[..word.len().min(SHOWN_BYTES)]))
        .collect();
    words.join(" ")
}

/// Makes a wait short: the one who sends it waits for its end.
fn bound_wait(line: &mut Line) {
    for at in 1..line.len() {
        if !line[at - 1].eq_ignore_ascii_case(b"BLOCK") {
            continue;
        }
        let ms = std::str::from_utf8(&line[at]).map(str::parse::<u64>);
        if matches!(ms, Ok(Ok(ms)) if ms == 0 || ms > MOST_WAIT_MS) {
            line[at] = b"3".to_vec();
        }
    }
}
