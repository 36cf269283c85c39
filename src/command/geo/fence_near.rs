//! `IOT.FENCE NEAR fences lon lat [RADIUS m] [COUNT n] [WITHDIST]`: the fences nearest to a place.

use super::attempt::{Attempt, Search};
use super::fence_read::{key, open, question};
use super::ground::Fences;
use super::paging::Paging;
use super::shape::{LAT, LON, RADIUS};
use super::{metres, point};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::error::Result;
use crate::command::host::{Host, Query, Reply, Run};
use crate::command::spec::{Arg, ArgKind, Spec};
use crate::engine::geo::Point;
use crate::engine::query::{Cost, Halted, Watch};

/// Fences found where the client says nothing.
const DEFAULT_COUNT: i64 = 10;
/// Metres within which fences are near where the client says nothing: the earth.
const EVERYWHERE_M: f64 = 20_040_000.0;

/// `IOT.FENCE NEAR`.
#[derive(Debug)]
pub struct FenceNear;

impl Command for FenceNear {
    const SPEC: Spec = question(
        "IOT.FENCE|NEAR",
        -5,
        "The fences nearest to a place, the nearest first; those it lies in are at distance 0",
        "O(F) where F is the number of fences as near as the farthest that is replied",
        &[
            Arg::named_key("fences"),
            LON,
            LAT,
            Arg::option("RADIUS", "radius", ArgKind::Double),
            Arg::option("COUNT", "count", ArgKind::Integer),
            Arg::flag("WITHDIST"),
        ],
    );

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = key(&mut args)?;
        let point = point(&mut args)?;
        let (mut radius_m, mut paging, mut with_distance) = (None, Paging::default(), false);
        while !args.is_empty() {
            if args.keyword("RADIUS") {
                set(
                    &mut radius_m,
                    "RADIUS",
                    metres(&mut args, "RADIUS", RADIUS)?,
                )?;
            } else if args.keyword("WITHDIST") {
                with_distance = true;
            } else if !paging.take_count(&mut args)? {
                args.finish()?;
            }
        }
        let Some(set) = open(host, key)? else {
            host.reply().array(0);
            return Ok(());
        };
        host.answer(Question {
            fences: Fences::Open(&set),
            point,
            radius_m: radius_m.unwrap_or(EVERYWHERE_M),
            most: paging.most(DEFAULT_COUNT, &host.limits()),
            with_distance,
            attempt: Attempt::default(),
        })
    }
}

/// A search for the nearest fences.
struct Question<'s> {
    fences: Fences<'s>,
    point: Point,
    radius_m: f64,
    most: usize,
    with_distance: bool,
    attempt: Attempt<Vec<(f64, u32)>>,
}

impl Question<'_> {
    fn reply(&self, found: &[(f64, u32)], reply: &impl Reply) {
        reply.array(found.len());
        for &(distance_m, number) in found {
            let id = self.fences.id(number);
            if self.with_distance {
                reply.array(2);
                reply.bulk(id);
                reply.number(distance_m);
            } else {
                reply.bulk(id);
            }
        }
    }
}

impl Search for Question<'_> {
    type Found = Vec<(f64, u32)>;

    fn search(&self, watch: &impl Watch) -> Result<Self::Found, Halted> {
        match &self.fences {
            Fences::Open(set) => set.near(self.point, self.radius_m, self.most, watch),
            Fences::Copied(copy) => copy.near(self.point, self.radius_m, self.most, watch),
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
            Fences::Open(set) => set.candidates_near(self.point, self.radius_m, self.most),
            Fences::Copied(copy) => copy,
        };
        Question {
            fences: Fences::Copied(copy),
            point: self.point,
            radius_m: self.radius_m,
            most: self.most,
            with_distance: self.with_distance,
            attempt: Attempt::default(),
        }
    }

    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()> {
        self.attempt
            .answer(self, run, |found| self.reply(found, reply))
    }
}
