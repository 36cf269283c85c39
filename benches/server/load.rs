//! Load on a server: requests encoded ahead, sent in pipelines, replies counted and not parsed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Requests of one pipeline, and how many lines their replies have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    lines: usize,
    requests: usize,
    /// Whether the end of the replies is marked, since nobody knows how many lines they have.
    is_marked: bool,
}

/// What stands at the end of replies that are marked.
const MARK: &[u8] = b"the end\r\n";

impl Batch {
    /// Adds a request whose reply has `lines` lines.
    pub(crate) fn push<A: AsRef<[u8]>>(&mut self, args: &[A], lines: usize) {
        write!(self.bytes, "*{}\r\n", args.len()).unwrap();
        for arg in args.iter().map(AsRef::as_ref) {
            write!(self.bytes, "${}\r\n", arg.len()).unwrap();
            self.bytes.extend_from_slice(arg);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.lines += lines;
        self.requests += 1;
    }

    /// Batches of `depth` of these requests, each with a reply of one line.
    pub(crate) fn pipeline(depth: usize, requests: impl Iterator<Item = Vec<String>>) -> Vec<Self> {
        let mut batches = vec![Self::default()];
        for request in requests {
            if batches.last().unwrap().requests == depth {
                batches.push(Self::default());
            }
            batches.last_mut().unwrap().push(&request, 1);
        }
        batches
    }

    /// Batches of `depth` of these requests, with replies of any length.
    pub(crate) fn marked(depth: usize, requests: &[Vec<String>]) -> Vec<Self> {
        let batch = |requests: &[Vec<String>]| {
            let mut batch = Self::default();
            for request in requests {
                batch.push(request, 0);
            }
            let count = batch.requests;
            batch.push(&["ECHO", "the end"], 0);
            Self {
                requests: count,
                is_marked: true,
                ..batch
            }
        };
        requests.chunks(depth).map(batch).collect()
    }
}

/// What a load took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Requests a second at the clients.
    pub(crate) per_second: f64,
    /// Processor time of the server a request, in microseconds.
    pub(crate) cpu_us: f64,
}

impl Cost {
    /// The better of two runs of the same load, for each figure on its own.
    pub(crate) fn best(self, other: Self) -> Self {
        Self {
            per_second: self.per_second.max(other.per_second),
            cpu_us: self.cpu_us.min(other.cpu_us),
        }
    }

    /// The cost of each of `count` parts of a request.
    pub(crate) fn each(self, count: u32) -> Self {
        Self {
            per_second: self.per_second * f64::from(count),
            cpu_us: self.cpu_us / f64::from(count),
        }
    }
}

/// Sends one list of batches a connection, all at the same time.
pub(crate) fn run(port: u16, pid: u32, clients: &[Vec<Batch>]) -> Cost {
    let requests: usize = clients.iter().flatten().map(|batch| batch.requests).sum();
    let cpu_before = cpu_time(pid);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for batches in clients {
            scope.spawn(move || send(port, batches));
        }
    });
    let requests = f64::from(u32::try_from(requests).unwrap());
    Cost {
        per_second: requests / start.elapsed().as_secs_f64(),
        cpu_us: cpu_time(pid).checked_sub(cpu_before).unwrap().as_secs_f64() * 1e6 / requests,
    }
}

fn send(port: u16, batches: &[Batch]) {
    let mut stream = connect(port);
    let mut buffer = vec![0; 1 << 16];
    for batch in batches {
        stream.write_all(&batch.bytes).unwrap();
        let (mut lines, mut is_over, mut tail) = (0, false, Vec::new());
        while if batch.is_marked {
            !is_over
        } else {
            lines < batch.lines
        } {
            let len = stream.read(&mut buffer).unwrap();
            assert!(len > 0, "the server has closed the connection");
            if batch.is_marked {
                tail.extend_from_slice(&buffer[len.saturating_sub(MARK.len())..len]);
                is_over = tail.ends_with(MARK);
            } else {
                lines += buffer[..len].iter().filter(|&&byte| byte == b'\n').count();
            }
        }
    }
}

/// Sends one request and reads its reply to the end; returns the time and the bytes it took.
pub(crate) fn time_one<A: AsRef<[u8]>>(port: u16, args: &[A]) -> (Duration, usize) {
    let mut stream = connect(port);
    let mut batch = Batch::default();
    batch.push(args, 0);
    // The answer to this stands at the end of the other.
    batch.push(&["ECHO", "the end"], 0);
    let mut buffer = vec![0; 1 << 20];
    let (mut total, mut tail) = (0, Vec::new());
    let start = Instant::now();
    stream.write_all(&batch.bytes).unwrap();
    while !tail.ends_with(b"the end\r\n") {
        let len = stream.read(&mut buffer).unwrap();
        assert!(len > 0, "the server has closed the connection");
        total += len;
        tail.extend_from_slice(&buffer[len.saturating_sub(64)..len]);
        tail.drain(..tail.len().saturating_sub(64));
    }
    (start.elapsed(), total)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Processor time of all threads of a process so far, to the nanosecond.
fn cpu_time(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let times = threads.map(|thread| {
        let statistics = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        let ran_ns = statistics.split_whitespace().next().unwrap();
        Duration::from_nanos(ran_ns.parse().unwrap())
    });
    times.sum()
}
