//! `IOT.NEARBY`: the devices nearest to a place.
//!
//! ```text
//! IOT.NEARBY fleet {lon lat | FROM device} [RADIUS m] [COUNT n] [WHERE field op value]...
//!            [WITHDIST] [WITHCOORD] [WITHFIELDS] [WITHTS] [ASC|DESC]
//! ```
//!
//! `DESC` turns the order of what is found around; the nearest are found all the same.

use super::attempt::{Attempt, Search};
use super::found::{Asked, WHERE};
use super::ground::Ground;
use super::paging::Paging;
use super::shape::{LAT, LON, RADIUS};
use super::{metres, point};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::error::{Error, Result, Token};
use crate::command::host::{Host, Name, Query, Reply, Run, Slot};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fleet::{Fleet, Found, Near, Wanted};
use crate::engine::query::{Cost, Halted, Watch};

/// Devices found where the client says nothing.
const DEFAULT_COUNT: i64 = 10;

/// `IOT.NEARBY`.
#[derive(Debug)]
pub struct Nearby;

impl Command for Nearby {
    const SPEC: Spec = Spec {
        name: "IOT.NEARBY",
        arity: -4,
        effect: Effect::Read,
        fast: false,
        keys: Keys::First,
        access: Access::Read,
        summary: "The devices nearest to a place or to a device",
        since: "0.1.0",
        complexity: "O(N + log(D)) where N is the number of devices looked at, about COUNT where \
                     devices are as dense as at the place, and D that of all",
        args: &[
            Arg::named_key("fleet"),
            Arg::one_of(
                "place",
                &[
                    Arg::block("point", &[LON, LAT]),
                    Arg::value("device", ArgKind::String).after("FROM"),
                ],
            ),
            Arg::option("RADIUS", "radius", ArgKind::Double),
            Arg::option("COUNT", "count", ArgKind::Integer),
            WHERE,
            Arg::flag("WITHDIST"),
            Arg::flag("WITHCOORD"),
            Arg::flag("WITHFIELDS"),
            Arg::flag("WITHTS"),
            Arg::one_of("order", &[Arg::token("ASC"), Arg::token("DESC")]).or_none(),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let from = if args.keyword("FROM") {
            Err(args.take("FROM")?)
        } else {
            Ok(point(&mut args)?)
        };
        let (mut radius_m, mut is_descending) = (None, None);
        let (mut paging, mut asked) = (Paging::default(), Asked::default());
        while !args.is_empty() {
            if args.keyword("RADIUS") {
                set(
                    &mut radius_m,
                    "RADIUS",
                    metres(&mut args, "RADIUS", RADIUS)?,
                )?;
            } else if args.keyword("ASC") {
                set(&mut is_descending, "ASC or DESC", false)?;
            } else if args.keyword("DESC") {
                set(&mut is_descending, "ASC or DESC", true)?;
            } else if !(paging.take_count(&mut args)? || asked.take(&mut args)?) {
                args.finish()?;
            }
        }
        let fleet = match host.read_value::<Fleet>(Name::from(key)) {
            Slot::Open(fleet) => fleet,
            Slot::Foreign => return Err(Error::WrongType),
            Slot::Missing if from.is_ok() => {
                host.reply().array(0);
                return Ok(());
            }
            Slot::Missing => return Err(Error::NoSuchKey),
        };
        let (center, except) = match from {
            Ok(point) => (point, None),
            Err(id) => {
                let unknown = || Error::Invalid("no such device", Token::from(id));
                let number = fleet.number(id).ok_or_else(unknown)?;
                let device = fleet.device(number).ok_or_else(unknown)?;
                (device.point(), Some(number))
            }
        };
        let near = Near {
            center,
            radius_m: radius_m.unwrap_or(f64::INFINITY),
            count: paging.most(DEFAULT_COUNT, &host.limits()),
        };
        host.answer(Question {
            ground: Ground::Open(&fleet),
            near,
            except,
            asked,
            is_descending: is_descending == Some(true),
            attempt: Attempt::default(),
        })
    }
}

/// A search for the nearest devices.
struct Question<'f> {
    ground: Ground<'f>,
    near: Near,
    except: Option<u32>,
    asked: Asked,
    is_descending: bool,
    attempt: Attempt<Vec<Found>>,
}

impl Question<'_> {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            conditions: &self.asked.conditions,
            glob: None,
            except: self.except,
        }
    }

    fn reply(&self, found: &[Found], reply: &impl Reply) {
        let mut known = self.ground.known(found.iter().map(|one| one.device));
        let mut distances: Vec<f64> = found.iter().map(|one| one.distance_m).collect();
        if self.is_descending {
            known.reverse();
            distances.reverse();
        }
        reply.array(known.len());
        for (device, distance_m) in known.iter().zip(distances) {
            self.asked.reply(reply, device, Some(distance_m));
        }
    }
}

impl Search for Question<'_> {
    type Found = Vec<Found>;

    fn search(&self, watch: &impl Watch) -> Result<Vec<Found>, Halted> {
        match &self.ground {
            Ground::Open(fleet) => fleet.nearest(&self.near, &self.wanted(), watch),
            Ground::Copied(copy) => copy.nearest(&self.near, &self.wanted(), watch),
        }
    }
}

impl Query for Question<'_> {
    type Detached = Question<'static>;

    fn cost(&self, enough: u64) -> Cost {
        self.attempt.cost(self, enough)
    }

    fn detach(self) -> Question<'static> {
        let with_fields = self.asked.with_fields;
        let copy = match &self.ground {
            Ground::Open(fleet) => fleet.candidates_near(&self.near, &self.wanted(), with_fields),
            Ground::Copied(copy) => copy.clone(),
        };
        Question {
            ground: Ground::Copied(copy),
            near: self.near,
            except: self.except,
            asked: self.asked,
            is_descending: self.is_descending,
            attempt: Attempt::default(),
        }
    }

    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()> {
        self.attempt
            .answer(self, run, |found| self.reply(found, reply))
    }
}
