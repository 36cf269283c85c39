//! The grammar of every command, as `COMMAND DOCS` has it, and random lines that it permits.

use super::Line;
use super::values::{Mood, Values};
use crate::support::client::Client;
use crate::support::grammar::{Arg, arguments_of};

/// The grammar of one command.
#[derive(Debug)]
pub(crate) struct Grammar {
    /// Its name as the server lists it, in upper case: `IOT.FENCE|ADD`.
    pub(crate) name: String,
    args: Vec<Arg>,
}

impl Grammar {
    /// The grammars of all commands of the module; one that only carries subcommands has none.
    pub(crate) fn all(client: &mut Client) -> Vec<Self> {
        let names = client.module_commands();
        let is_container = |name: &String| {
            let prefix = format!("{name}|");
            names.iter().any(|other| other.starts_with(&prefix))
        };
        let commands = names.iter().filter(|name| !is_container(name));
        commands.map(|name| Self::of(client, name)).collect()
    }

    fn of(client: &mut Client, name: &str) -> Self {
        Self {
            name: name.to_string(),
            args: arguments_of(client, name),
        }
    }

    /// A line that the grammar permits, with values of the kind that `mood` says.
    pub(crate) fn line(&self, values: &mut Values, mood: Mood) -> Line {
        let mut line: Line = self.name.split('|').map(Into::into).collect();
        values.begin(&self.name, mood);
        sequence(&self.args, values, &mut line);
        line
    }
}

/// Arguments one after the other. A number that stands before one that is repeated counts it.
fn sequence(args: &[Arg], values: &mut Values, line: &mut Line) {
    let mut counted = None;
    for (at, arg) in args.iter().enumerate() {
        if arg.is_optional && !values.takes_option() {
            continue;
        }
        let is_count = arg.kind == "integer"
            && !arg.is_optional
            && args.get(at + 1).is_some_and(|next| next.is_repeated);
        if is_count {
            let count = values.count_of(&arg.name);
            line.push(values.shown_count(count));
            // Keys that are counted may have as many of something else behind them.
            counted = Some(count);
            continue;
        }
        let times = match counted {
            Some(count) if arg.is_repeated && !arg.is_optional => count,
            _ if arg.is_repeated => values.times(),
            _ => 1,
        };
        repeated(arg, times, values, line);
    }
}

/// An argument so many times, behind its keyword.
fn repeated(arg: &Arg, times: usize, values: &mut Values, line: &mut Line) {
    for time in 0..times {
        if let Some(token) = &arg.token
            && (time == 0 || arg.is_token_repeated)
        {
            line.push(token.clone().into());
        }
        once(arg, values, line);
    }
}

fn once(arg: &Arg, values: &mut Values, line: &mut Line) {
    match arg.kind.as_str() {
        "pure-token" => {}
        "oneof" if arg.name == "shape" && values.takes_whole_shape() => values.shape(line),
        "oneof" => {
            let part = values.one_of(&arg.parts).clone();
            repeated(&part, 1, values, line);
        }
        "block" => sequence(&arg.parts, values, line),
        _ => values.push(&arg.name, &arg.kind, line),
    }
}
