//! `IOT.INTERSECTS fences <shape> [LIMIT n] [CURSOR cursor]`: the fences that share a place with a
//! shape.

use super::attempt::{Attempt, Search};
use super::ground::Fences;
use super::paging::Paging;
use super::shape::{SHAPE, shape};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::error::{Error, Result};
use crate::command::host::{Host, Name, Query, Reply, Run};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fence::{FenceSet, Meeting};
use crate::engine::geo::Shape;
use crate::engine::query::{Cost, Halted, Watch};

/// Fences of a page where the client says nothing.
const DEFAULT_LIMIT: i64 = 1000;
/// Fences that a page compares with the shape, at most.
const MAX_LOOKS: usize = 100_000;

/// `IOT.INTERSECTS`.
#[derive(Debug)]
pub struct Intersects;

impl Command for Intersects {
    const SPEC: Spec = Spec {
        name: "IOT.INTERSECTS",
        arity: -4,
        effect: Effect::Read,
        fast: false,
        keys: Keys::First,
        access: Access::Read,
        summary: "The fences that share a place with a shape, a page at a time",
        since: "0.1.0",
        complexity: "O(F * V * log(V)) where F is the number of fences around the shape and V that of \
                     the vertices of both",
        args: &[
            Arg::named_key("fences"),
            SHAPE,
            Arg::option("LIMIT", "limit", ArgKind::Integer),
            Arg::option("CURSOR", "cursor", ArgKind::Integer),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let Some(shape) = shape(&mut args, &host.limits())? else {
            args.finish()?;
            return Err(Error::MissingValue("shape"));
        };
        let mut paging = Paging::default();
        while !args.is_empty() {
            if !(paging.take_limit(&mut args)? || paging.take_cursor(&mut args)?) {
                args.finish()?;
            }
        }
        let Some(fences) = host.read_value::<FenceSet>(Name::from(key)).optional()? else {
            reply_page(host.reply(), None, 0);
            return Ok(());
        };
        host.answer(Question {
            fences: Fences::Open(&fences),
            shape,
            first: paging.first(),
            limit: paging.most(DEFAULT_LIMIT, &host.limits()),
            attempt: Attempt::default(),
        })
    }
}

/// Replies with the head of a page.
fn reply_page(reply: &impl Reply, next: Option<u32>, fences: usize) {
    reply.array(2);
    reply.integer(next.unwrap_or(0).into());
    reply.array(fences);
}

/// A search for the fences that meet a shape.
struct Question<'s> {
    fences: Fences<'s>,
    shape: Shape,
    first: u32,
    limit: usize,
    attempt: Attempt<Meeting>,
}

impl Question<'_> {
    fn reply(&self, meeting: &Meeting, reply: &impl Reply) {
        reply_page(reply, meeting.next, meeting.numbers.len());
        for &number in &meeting.numbers {
            reply.bulk(self.fences.id(number));
        }
    }
}

impl Search for Question<'_> {
    type Found = Meeting;

    fn search(&self, watch: &impl Watch) -> Result<Meeting, Halted> {
        match &self.fences {
            Fences::Open(set) => {
                let most = (self.limit, MAX_LOOKS);
                set.meeting(&self.shape, self.first, most, watch)
            }
            Fences::Copied(copy) => copy.meeting(&self.shape, self.limit, watch),
        }
    }
}

impl Query for Question<'_> {
    type Detached = Question<'static>;

    fn cost(&self, enough: u64) -> Cost {
        self.attempt.cost(self, enough)
    }

    fn detach(self) -> Question<'static> {
        let copy = match self.fences {
            Fences::Open(set) => set.candidates_meeting(&self.shape, self.first, MAX_LOOKS),
            Fences::Copied(copy) => copy,
        };
        Question {
            fences: Fences::Copied(copy),
            shape: self.shape,
            first: self.first,
            limit: self.limit,
            attempt: Attempt::default(),
        }
    }

    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()> {
        self.attempt
            .answer(self, run, |meeting| self.reply(meeting, reply))
    }
}
