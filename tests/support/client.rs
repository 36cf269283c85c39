//! A connection that keeps replies as they are, errors inside arrays included.

use redis::{Cmd, Connection, ConnectionLike, RedisError, Value};

use super::notation::{self, words};
use super::server::PATIENCE;

/// The dialect of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Numbers are strings, maps are flat arrays.
    Resp2,
    /// Numbers and maps are what they are.
    Resp3,
}

impl Protocol {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::Resp2, Self::Resp3];
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost(pub(crate) String);

impl From<RedisError> for Lost {
    fn from(error: RedisError) -> Self {
        Self(error.to_string())
    }
}

/// One connection to a server.
pub(crate) struct Client {
    connection: Connection,
    /// The dialect it speaks.
    pub(crate) protocol: Protocol,
}

impl Client {
    /// Connects to the server at `port`.
    pub(crate) fn connect(port: u16, protocol: Protocol) -> Result<Self, Lost> {
        let dialect = match protocol {
            Protocol::Resp2 => "resp2",
            Protocol::Resp3 => "resp3",
        };
        let url = format!("redis://127.0.0.1:{port}/?protocol={dialect}");
        let connection = redis::Client::open(url)?.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            connection,
            protocol,
        })
    }

    /// Sends one command and returns its reply, or why there is none.
    pub(crate) fn try_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, Lost> {
        Ok(self.connection.req_packed_command(&packed(args))?)
    }

    /// Sends one command and returns its reply.
    #[track_caller]
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.try_call(args).unwrap_or_else(|lost| {
            let args: Vec<_> = args
                .iter()
                .map(|arg| notation::quoted(arg.as_ref()))
                .collect();
            let text: String = args.join(" ").chars().take(500).collect();
            panic!("no reply to {text}: {}", lost.0)
        })
    }

    /// Sends the words of a line, written as for `redis-cli`.
    #[track_caller]
    pub(crate) fn run(&mut self, line: &str) -> Value {
        self.call(&words(line))
    }

    /// Sends a line and compares the reply with what the notation says.
    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str, expected: &str) {
        let reply = self.run(line);
        if let Err(difference) = notation::compare(expected, &reply, self.protocol) {
            panic!("{line}\n{difference}");
        }
    }

    /// Sends a line and returns the text that it replies.
    #[track_caller]
    pub(crate) fn text(&mut self, line: &str) -> String {
        match self.run(line) {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => text,
            Value::Okay => "OK".into(),
            other => panic!("{line} replied {}", notation::render(&other)),
        }
    }

    /// Sends a line and returns the integer that it replies.
    #[track_caller]
    pub(crate) fn integer(&mut self, line: &str) -> i64 {
        match self.run(line) {
            Value::Int(value) => value,
            other => panic!("{line} replied {}", notation::render(&other)),
        }
    }

    /// The digest of one key, which covers everything that makes two values equal.
    #[track_caller]
    pub(crate) fn digest_of(&mut self, key: &str) -> String {
        notation::render(&self.run(&format!("DEBUG DIGEST-VALUE {key}")))
    }

    /// The digest of all keys of all databases.
    #[track_caller]
    pub(crate) fn digest(&mut self) -> String {
        self.text("DEBUG DIGEST")
    }

    /// The names of the module's commands, in upper case.
    pub(crate) fn module_commands(&mut self) -> Vec<String> {
        let names = self.run("COMMAND LIST FILTERBY MODULE redis-iot");
        let names: Vec<String> = redis::from_redis_value(names).unwrap();
        assert!(
            names.len() >= 13,
            "the module has all its commands: {names:?}"
        );
        names.iter().map(|name| name.to_uppercase()).collect()
    }

    /// Sends several commands before the first reply is read.
    pub(crate) fn pipeline(&mut self, commands: &[Vec<Vec<u8>>]) -> Result<Vec<Value>, Lost> {
        self.send_all(commands)?;
        commands.iter().map(|_| self.receive()).collect()
    }

    /// Sends several commands and does not wait for the replies, which [`Client::receive`] reads.
    pub(crate) fn send_all(&mut self, commands: &[Vec<Vec<u8>>]) -> Result<(), Lost> {
        let bytes: Vec<u8> = commands.iter().flat_map(|args| packed(args)).collect();
        Ok(self.connection.send_packed_command(&bytes)?)
    }

    /// Sends the words of a line and does not wait for the reply, which [`Client::receive`] reads.
    #[track_caller]
    pub(crate) fn send(&mut self, line: &str) {
        let bytes = packed(&words(line));
        self.connection.send_packed_command(&bytes).unwrap();
    }

    /// The number behind `name` in a section of INFO.
    #[track_caller]
    pub(crate) fn info(&mut self, section: &str, name: &str) -> u64 {
        let text = self.text(&format!("INFO {section}"));
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = value.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.parse().unwrap()
    }

    /// Reads one reply or message.
    pub(crate) fn receive(&mut self) -> Result<Value, Lost> {
        Ok(self.connection.recv_response()?)
    }

    /// Sends `SHUTDOWN`, whose only reply is the end of the connection.
    pub(crate) fn shut_down(mut self, how: &str) {
        if let Ok(value) = self.try_call(&words(&format!("SHUTDOWN {how}"))) {
            panic!("SHUTDOWN {how} replied {}", notation::render(&value));
        }
    }
}

fn packed<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
    let mut command = Cmd::new();
    for arg in args {
        command.arg(arg.as_ref());
    }
    command.get_packed_command()
}
