//! Many clients at once, each with keys of its own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::account::{Account, Stop};
use super::invariants;
use super::load::Load;
use super::oracle::{Oracle, differences, portrait};
use super::tally::Tally;
use crate::support::client::Protocol;
use crate::support::server::{Server, await_that};

/// The clients, and the oracle that gets what they send.
#[derive(Debug)]
pub(crate) struct Clients {
    accounts: Vec<Account>,
    oracle: Oracle,
}

/// How far the clients have come, for whoever disturbs them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress<'a> {
    acknowledged: &'a AtomicUsize,
}

impl Progress<'_> {
    /// Waits until so many more steps are acknowledged.
    #[track_caller]
    pub(crate) fn await_more(self, steps: usize) {
        let from = self.acknowledged.load(Ordering::Relaxed);
        await_that("steps are acknowledged", || {
            self.acknowledged.load(Ordering::Relaxed) >= from + steps
        });
    }
}

impl Clients {
    /// Prepares `server` for so many clients.
    #[track_caller]
    pub(crate) fn new(server: &Server, seed: u64, count: usize) -> Self {
        let oracle = Oracle::start();
        let mut client = server.connect(Protocol::Resp2);
        let loads = (0..count).map(|number| Load::new(seed, number));
        let accounts = loads
            .map(|load| Account::begin(load, &mut client))
            .collect();
        Self { accounts, oracle }
    }

    /// Lets all clients send to `server`, and disturbs them; they stop when that is done. `ports` says where
    /// a client goes on when it is refused.
    pub(crate) fn during<R>(
        &mut self,
        ports: &[u16],
        disturb: impl FnOnce(Progress<'_>) -> R,
    ) -> R {
        let (stop, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for account in &mut self.accounts {
                let (stop, acknowledged) = (&stop, &acknowledged);
                scope.spawn(move || {
                    let mut ports = ports.iter().cycle();
                    while !stop.load(Ordering::Relaxed) {
                        let port = *ports.next().unwrap();
                        if account.drive(port, stop, acknowledged) == Stop::Gone {
                            return;
                        }
                    }
                });
            }
            // The clients must stop also where the disturbance fails.
            let _stop = StopOnDrop(&stop);
            disturb(Progress {
                acknowledged: &acknowledged,
            })
        })
    }

    /// The clients one by one, for whoever drives them otherwise.
    pub(crate) fn accounts(&mut self) -> &mut [Account] {
        &mut self.accounts
    }

    /// Compares what `server` has with what the clients know, and checks whatever must hold.
    #[track_caller]
    pub(crate) fn settle(&mut self, server: &Server, tally: &mut Tally) {
        let may_lose = tally.may_lose();
        let mut client = server.connect(Protocol::Resp2);
        let mut oracle = self.oracle.connect();
        for account in &mut self.accounts {
            let settled = account.settle(&mut client, &mut oracle, may_lose);
            tally.lost(settled.lost);
            tally.broken(settled.broken);
        }
        let prefixes: Vec<String> = self
            .accounts
            .iter()
            .map(|one| one.load.prefix.clone())
            .collect();
        tally.broken(invariants::check(server, &prefixes));
        if may_lose {
            self.oracle.become_copy_of(server);
            server.await_info("persistence", "rdb_bgsave_in_progress:0");
        }
    }
}

impl Clients {
    /// Compares replicas with their master, of which nothing is written meanwhile.
    #[track_caller]
    pub(crate) fn compare(&self, master: &Server, replicas: &[&Server], tally: &mut Tally) {
        let mut client = master.connect(Protocol::Resp2);
        // No timer tells anything and nothing expires until then.
        client.expect("CLIENT PAUSE 600000 WRITE", "+OK");
        for replica in replicas {
            let mut other = replica.connect(Protocol::Resp2);
            let offset = client.info("replication", "master_repl_offset");
            await_that("the replica has everything", || {
                other.info("replication", "slave_repl_offset") >= offset
            });
            let mut broken: Vec<String> =
                invariants::index_is_false(&mut other).into_iter().collect();
            if client.digest() != other.digest() {
                broken.push("the digest of a replica is another".into());
            }
            for account in &self.accounts {
                let [ours, theirs] =
                    [&mut client, &mut other].map(|one| portrait(one, &account.load.prefix));
                if ours != theirs {
                    broken.push(differences(&ours, &theirs));
                }
            }
            broken.extend(replica.complaint());
            tally.broken(broken);
        }
        client.expect("CLIENT UNPAUSE", "+OK");
    }
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
