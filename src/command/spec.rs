//! What there is to say of a command beside its code, as data: registration with the server,
//! `COMMAND DOCS` and the wrong-arity check all read the same table.

/// One command.
#[derive(Debug)]
pub struct Spec {
    /// Its name, as registered.
    pub name: &'static str,
    /// Number of arguments with the name; negative for "at least".
    pub arity: i32,
    /// Whether it writes or only reads.
    pub effect: Effect,
    /// Whether its time is constant or logarithmic, never in proportion to the samples stored.
    pub fast: bool,
    /// Where its keys stand.
    pub keys: Keys,
    /// What it does with them.
    pub access: Access,
    /// One sentence without a period.
    pub summary: &'static str,
    /// The version that brought it.
    pub since: &'static str,
    /// Its cost.
    pub complexity: &'static str,
    /// Its arguments after the name.
    pub args: &'static [Arg],
}

impl Spec {
    /// Whether arguments name it, in capitals, and are as many as it takes.
    pub fn is_called_by(&self, args: &[&[u8]]) -> bool {
        let given = i32::try_from(args.len()).unwrap_or(i32::MAX);
        let is_enough = given == self.arity || (self.arity < 0 && given >= -self.arity);
        let mut names = self.name.split('|').zip(0..);
        is_enough && names.all(|(name, at)| args.get(at).is_some_and(|arg| *arg == name.as_bytes()))
    }
}

/// Whether a command changes data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It only reads.
    Read,
    /// It writes, and may need memory: refused when the server is out of it.
    Write,
    /// It writes and only frees memory: allowed when the server is out of it.
    Free,
    /// It looks into the module itself, for whoever runs the server.
    Admin,
}

/// What a command does with the data of its keys, in the terms of the server's key specs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads, and replies with what it read.
    Read,
    /// Adds data, reading nothing back to the client.
    Insert,
    /// Changes data, reading nothing back to the client.
    Update,
    /// Changes data and replies with something of it.
    UpdateAndRead,
    /// Deletes data.
    Delete,
}

/// Where keys stand among the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// There are none: the command finds its keys itself.
    None,
    /// The first argument.
    First,
    /// The second argument: the first is a subcommand.
    Second,
    /// The first two arguments.
    FirstTwo,
    /// The first argument says how many follow.
    Counted,
    /// Every `step`-th argument from the first to the last.
    Every {
        /// Distance between two keys.
        step: i32,
    },
    /// The argument of a place; the command's name is at 0.
    At(i32),
    /// The argument behind a keyword, which stands at a place or behind it. There may be none.
    OneAfter(&'static str, i32),
    /// Several of these, each with what is done with its keys. The first is where old clients look.
    Several(&'static [(Self, Access)]),
    /// Every `step`-th argument after a keyword.
    After {
        /// The keyword.
        keyword: &'static str,
        /// Distance between two keys.
        step: i32,
    },
}

/// One argument of a command's grammar.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Its name in the documentation.
    pub name: &'static str,
    /// What stands there.
    pub kind: ArgKind,
    /// The keyword before it, if any.
    pub token: Option<&'static str>,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it may come several times.
    pub multiple: bool,
    /// Whether its keyword comes with each of these.
    pub multiple_token: bool,
    /// The parts, for a block or a choice.
    pub parts: &'static [Arg],
}

impl Arg {
    const PLAIN: Self = Self {
        name: "",
        kind: ArgKind::String,
        token: None,
        optional: false,
        multiple: false,
        multiple_token: false,
        parts: &[],
    };

    /// The name of a key.
    pub const fn key() -> Self {
        Self {
            name: "key",
            kind: ArgKind::Key,
            ..Self::PLAIN
        }
    }

    /// The name of a key, where there are several.
    pub const fn named_key(name: &'static str) -> Self {
        Self {
            name,
            ..Self::key()
        }
    }

    /// A value that must be there.
    pub const fn value(name: &'static str, kind: ArgKind) -> Self {
        Self {
            name,
            kind,
            ..Self::PLAIN
        }
    }

    /// A keyword that may be there, alone.
    pub const fn flag(token: &'static str) -> Self {
        Self {
            name: token,
            kind: ArgKind::Token,
            token: Some(token),
            optional: true,
            ..Self::PLAIN
        }
    }

    /// A keyword that must be there, alone.
    pub const fn token(token: &'static str) -> Self {
        Self {
            optional: false,
            ..Self::flag(token)
        }
    }

    /// A keyword with one value, both of which may be there.
    pub const fn option(token: &'static str, name: &'static str, kind: ArgKind) -> Self {
        Self {
            name,
            kind,
            token: Some(token),
            optional: true,
            ..Self::PLAIN
        }
    }

    /// One of several parts.
    pub const fn one_of(name: &'static str, parts: &'static [Self]) -> Self {
        Self {
            name,
            kind: ArgKind::OneOf,
            parts,
            ..Self::PLAIN
        }
    }

    /// Several parts in a row.
    pub const fn block(name: &'static str, parts: &'static [Self]) -> Self {
        Self {
            name,
            kind: ArgKind::Block,
            parts,
            ..Self::PLAIN
        }
    }

    /// The same behind a keyword.
    pub const fn after(self, token: &'static str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    /// The same, but it may be left out.
    pub const fn or_none(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    /// The same, but it may come several times.
    pub const fn repeated(self) -> Self {
        Self {
            multiple: true,
            ..self
        }
    }

    /// The same, but it may come several times, each with its keyword.
    pub const fn repeated_with_token(self) -> Self {
        Self {
            multiple_token: true,
            ..self.repeated()
        }
    }
}

/// The kind of an argument, in the terms of `COMMAND DOCS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// The name of a key.
    Key,
    /// Any text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// A keyword alone: its token is the whole argument.
    Token,
    /// One of several parts.
    OneOf,
    /// Several parts in a row.
    Block,
}
