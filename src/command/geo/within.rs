//! `IOT.WITHIN`: the devices in a shape.
//!
//! ```text
//! IOT.WITHIN fleet {<shape> | FENCE fences id} [WHERE field op value]...
//!            [WITHCOORD] [WITHFIELDS] [WITHTS] [LIMIT n] [CURSOR cursor]
//! ```
//!
//! The reply is the cursor of the next page, 0 where there is none, and devices. Devices come in the
//! order of places: who moves between two pages may be missed or come twice.

use super::attempt::{Attempt, Search};
use super::found::{Asked, WHERE};
use super::ground::Ground;
use super::paging::{CURSOR, Paging};
use super::shape::{SHAPE, shape};
use crate::command::Command;
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::error::{Error, Result, Token};
use crate::command::host::{Host, Name, Query, Reply, Run};
use crate::command::spec::{Access, Arg, ArgKind, Effect, Keys, Spec};
use crate::engine::fence::FenceSet;
use crate::engine::fleet::{Cursor, Fleet, Page, Size, Wanted};
use crate::engine::geo::Shape;
use crate::engine::query::{Cost, Halted, Watch};

/// Devices of a page where the client says nothing.
const DEFAULT_LIMIT: i64 = 1000;
/// Devices that a page looks at, at most.
const MAX_LOOKS: usize = 200_000;

/// `IOT.WITHIN`.
#[derive(Debug)]
pub struct Within;

impl Command for Within {
    const SPEC: Spec = Spec {
        name: "IOT.WITHIN",
        arity: -4,
        effect: Effect::Read,
        fast: false,
        keys: Keys::Several(&[
            (Keys::First, Access::Read),
            (Keys::OneAfter("FENCE", 2), Access::Read),
        ]),
        access: Access::Read,
        summary: "The devices in a shape or in a fence, a page at a time",
        since: "0.1.0",
        complexity: "O(N * V) where N is the number of devices near the border of the shape and V that \
                     of its vertices, or its logarithm; O(N) for the others in it",
        args: &[
            Arg::named_key("fleet"),
            Arg::one_of(
                "area",
                &[
                    SHAPE,
                    Arg::block(
                        "fence",
                        &[Arg::named_key("fences"), Arg::value("id", ArgKind::String)],
                    )
                    .after("FENCE"),
                ],
            ),
            WHERE,
            Arg::flag("WITHCOORD"),
            Arg::flag("WITHFIELDS"),
            Arg::flag("WITHTS"),
            Arg::option("LIMIT", "limit", ArgKind::Integer),
            Arg::option("CURSOR", "cursor", ArgKind::String),
        ],
    };

    fn execute<H: Host>(host: &H, mut args: Args<'_>) -> Result<()> {
        let key = args.key()?;
        let area = area(host, &mut args)?;
        let (mut cursor, mut paging, mut asked) = (None, Paging::default(), Asked::default());
        while !args.is_empty() {
            if args.keyword("CURSOR") {
                set(&mut cursor, "CURSOR", cursor_of(args.take("CURSOR")?)?)?;
            } else if !(paging.take_limit(&mut args)? || asked.take(&mut args)?) {
                args.finish()?;
            }
        }
        if asked.with_distance {
            return Err(Error::Conflict(
                "WITHDIST is for IOT.NEARBY: a shape has no centre",
            ));
        }
        let size = Size {
            limit: paging.most(DEFAULT_LIMIT, &host.limits()),
            budget: MAX_LOOKS,
        };
        let Some(fleet) = host.read_value::<Fleet>(Name::from(key)).optional()? else {
            reply_page(host.reply(), None, 0);
            return Ok(());
        };
        host.answer(Question {
            ground: Ground::Open(&fleet),
            area,
            page: (size, cursor.unwrap_or_default()),
            asked,
            attempt: Attempt::default(),
        })
    }
}

/// Replies with the head of a page.
fn reply_page(reply: &impl Reply, next: Option<Cursor>, devices: usize) {
    reply.array(2);
    let next = next.map_or(0, |cursor| cursor.0);
    reply.bulk(next.to_string().as_bytes());
    reply.array(devices);
}

/// A search for the devices in a shape.
struct Question<'f> {
    ground: Ground<'f>,
    area: Shape,
    page: (Size, Cursor),
    asked: Asked,
    attempt: Attempt<Page>,
}

impl Question<'_> {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            conditions: &self.asked.conditions,
            ..Wanted::default()
        }
    }

    fn reply(&self, page: &Page, reply: &impl Reply) {
        let known = self.ground.known(page.devices.iter().copied());
        reply_page(reply, page.next, known.len());
        for device in &known {
            self.asked.reply(reply, device, None);
        }
    }
}

impl Search for Question<'_> {
    type Found = Page;

    fn search(&self, watch: &impl Watch) -> Result<Page, Halted> {
        let wanted = self.wanted();
        match &self.ground {
            Ground::Open(fleet) => fleet.within(&self.area, &wanted, self.page, watch),
            Ground::Copied(copy) => copy.within(&self.area, &wanted, self.page, watch),
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
            Ground::Open(fleet) => {
                fleet.candidates_within(&self.area, &self.wanted(), self.page, with_fields)
            }
            Ground::Copied(copy) => copy.clone(),
        };
        Question {
            ground: Ground::Copied(copy),
            area: self.area,
            page: self.page,
            asked: self.asked,
            attempt: Attempt::default(),
        }
    }

    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()> {
        self.attempt
            .answer(self, run, |page| self.reply(page, reply))
    }
}

fn cursor_of(text: &[u8]) -> Result<Cursor> {
    let number = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| Error::Invalid(CURSOR, Token::from(text)))?;
    Ok(Cursor(number))
}

/// Reads a shape, or the fence that has one.
fn area<H: Host>(host: &H, args: &mut Args<'_>) -> Result<Shape> {
    if !args.keyword("FENCE") {
        let shape = shape(args, &host.limits())?;
        return shape.map_or_else(
            || {
                args.finish()?;
                Err(Error::MissingValue("shape"))
            },
            Ok,
        );
    }
    let (fences, id) = (args.key()?, args.take("id")?);
    let set = host.read_value::<FenceSet>(Name::from(fences)).required()?;
    let fence = set.get(id).map(|(_, fence)| fence.shape.clone());
    fence.ok_or_else(|| Error::Invalid("no such fence", Token::from(id)))
}
