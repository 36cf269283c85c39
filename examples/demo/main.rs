//! A city with vans, watched by redis-iot: `make demo`.
//!
//! ```text
//!   simulation --second by second--> ingest --IOT.TRACK, IOT.ADD--> server
//!                                                                     |
//!   terminal <-- events <--XREAD of the stream of IOT.FENCE BIND------+
//!   page <-- web <-- broadcast <-- events, and what `seen` asks:      |
//!                    IOT.WITHIN, IOT.POSITION, IOT.FENCE, IOT.MRANGE--+
//! ```
//!
//! What one sees comes from the server, never from the simulation. Time is simulated, and faster than
//! ours; the same seed gives the same traffic.

mod broadcast;
mod cargo;
mod city;
mod events;
mod ingest;
mod options;
mod progress;
mod route;
#[path = "../../tests/support/seeds.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
mod seeds;
mod seen;
mod server;
mod simulation;
mod vehicle;
mod web;
mod zones;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use redis::Connection;

use broadcast::{Broadcast, Meaning};
use ingest::Ingest;
use options::{HELP, Options};
use progress::Progress;
use server::Server;
use simulation::Simulation;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return refuse(&error),
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error.to_string()),
    }
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("demo: {error}");
    ExitCode::FAILURE
}

/// Starts what is needed, shows the demo, and ends what was started.
fn run(options: &Options) -> Result<(), Failure> {
    let broadcast = Arc::new(Broadcast::default());
    let stopped = Arc::clone(&broadcast);
    ctrlc::set_handler(move || stopped.stop())?;
    let http = listen(options.http_port)?;
    let server = match options.redis_port {
        Some(port) => Server::running(port),
        None => Server::start()?,
    };
    let port = server.port();
    let connection = server
        .connect()
        .map_err(|error| format!("no server on port {port}: {error}"))?;
    greet(options, &server, &http);
    thread::scope(|scope| {
        scope.spawn(|| web::serve(&http, connection, &broadcast));
        let outcome = show(options, &server, &broadcast);
        broadcast.close();
        http.unblock();
        outcome
    })
}

fn listen(port: u16) -> Result<tiny_http::Server, Failure> {
    tiny_http::Server::http(("127.0.0.1", port)).map_err(|error| {
        format!("no page on port {port}: {error}; --http-port 0 takes a free one").into()
    })
}

fn greet(options: &Options, server: &Server, http: &tiny_http::Server) {
    let (vehicles, city, port) = (options.vehicles, city::NAME, server.port());
    println!("{vehicles} vans in {city}, which is on no map. Ctrl-C ends it.");
    println!("page:   http://{}/", http.server_addr());
    println!(
        "server: redis-cli -p {port} IOT.POSITION {} van-01",
        seen::FLEET
    );
}

/// Loads the history, then shows live traffic until the demo is stopped.
fn show(options: &Options, server: &Server, broadcast: &Broadcast) -> Result<(), Failure> {
    let history_s = options.history_hours * 3_600;
    let mut simulation = Simulation::new(options.vehicles, options.seed, history_s);
    broadcast.send("city", Meaning::State, &simulation.city().scenery());
    if options.waits_for_page {
        broadcast.await_page();
    }
    let mut ingest = Ingest::new(server.connect()?);
    ingest.prepare(&simulation)?;
    let fences = seen::fences(&mut server.connect()?)?;
    broadcast.send("fences", Meaning::State, &fences);
    let progress = Progress::begin(broadcast);
    let loaded = ingest.load(&mut simulation, history_s, |loaded| {
        progress.show(loaded);
        !broadcast.is_stopped()
    })?;
    progress.end(loaded);
    ingest.watch()?;
    go_live(options, server, broadcast, simulation, ingest)
}

/// Drives, looks and listens, each on a thread and a connection of its own, until one of them fails
/// or the demo is stopped.
fn go_live(
    options: &Options,
    server: &Server,
    broadcast: &Broadcast,
    simulation: Simulation,
    ingest: Ingest,
) -> Result<(), Failure> {
    let bounds = simulation.city().bounds();
    let (eyes, ears) = (server.connect()?, server.connect()?);
    let (tick, ticks) = sync_channel(1);
    thread::scope(|scope| {
        let driving = scope.spawn(move || {
            let driven = drive(options, broadcast, simulation, ingest, &tick);
            broadcast.stop();
            driven
        });
        let looking = scope.spawn(|| {
            let looked = look(eyes, ticks, bounds, broadcast);
            broadcast.stop();
            looked
        });
        let followed = events::follow(ears, broadcast, !options.is_quiet);
        broadcast.stop();
        let bug = "BUG: a thread of the demo has panicked";
        driving.join().expect(bug)?;
        looking.join().expect(bug)?;
        let _ = writeln!(io::stdout(), "{} events", followed?);
        Ok(())
    })
}

/// Sends a simulated second whenever it is time for one.
fn drive(
    options: &Options,
    broadcast: &Broadcast,
    mut simulation: Simulation,
    mut ingest: Ingest,
    tick: &SyncSender<()>,
) -> Result<(), Failure> {
    let second = Duration::from_secs(1) / options.speed;
    let began = Instant::now();
    let mut due = began;
    while !broadcast.is_stopped() {
        ingest.second(&mut simulation)?;
        // A look that has not been taken yet will show this second too.
        let _ = tick.try_send(());
        let now = Instant::now();
        if options
            .seconds
            .is_some_and(|seconds| now - began >= Duration::from_secs(seconds))
        {
            break;
        }
        // Who is late does not hurry afterwards.
        due = (due + second).max(now);
        thread::sleep(due - now);
    }
    Ok(())
}

/// After each second, asks the server where everybody is, and tells the pages.
fn look(
    mut connection: Connection,
    ticks: Receiver<()>,
    bounds: [f64; 4],
    broadcast: &Broadcast,
) -> Result<(), Failure> {
    for () in ticks {
        let vehicles = seen::vehicles(&mut connection, bounds)?;
        broadcast.send("vehicles", Meaning::State, &vehicles);
    }
    Ok(())
}
