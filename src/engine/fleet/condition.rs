//! What a search asks of a device: `WHERE field op value`.

use std::cmp::Ordering;

use super::fields::{Fields, MAX_FIELD_NAME_BYTES, MAX_FIELD_TEXT_BYTES, Value};
use super::trail::Position;
use super::{Device, Readings};
use crate::engine::index::number;
use crate::engine::{Error, Result};

/// Most conditions of a search.
pub const MAX_CONDITIONS: usize = 16;

/// How a field is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Operator {
    /// All with their signs.
    pub const NAMED: [(&str, Self); 6] = [
        ("=", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        ("<=", Self::AtMost),
        (">", Self::Greater),
        (">=", Self::AtLeast),
    ];

    /// The operator with a sign.
    pub fn by_name(sign: &[u8]) -> Option<Self> {
        let mut all = Self::NAMED.iter();
        all.find(|(name, _)| name.as_bytes() == sign)
            .map(|&(_, operator)| operator)
    }

    /// Whether an ordering is what it says. What cannot be compared is only unequal.
    fn holds(self, ordering: Option<Ordering>) -> bool {
        let Some(ordering) = ordering else {
            return self == Self::NotEqual;
        };
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

/// What is compared. The names of readings come before fields of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Property {
    Alt,
    Speed,
    Heading,
    Accuracy,
    Time,
    Lon,
    Lat,
    Field(Box<[u8]>),
}

/// A comparison of something that is known of a device with a value.
///
/// A field that is a text is compared byte by byte, a number as such. What a device does not have, and a
/// number that is compared with no number, is only unequal.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    property: Property,
    operator: Operator,
    text: Box<[u8]>,
    number: Option<f64>,
}

/// What conditions look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'d> {
    pub(super) position: Position,
    pub(super) readings: Readings,
    pub(super) fields: &'d Fields,
}

impl Device {
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            position: self.position(),
            readings: self.readings(),
            fields: self.fields(),
        }
    }
}

impl Condition {
    /// A condition on a field, or on `alt`, `speed`, `heading`, `acc`, `ts`, `lon`, `lat`.
    ///
    /// # Errors
    /// `Limit` for a name or a value longer than those of fields.
    pub fn new(name: &[u8], operator: Operator, value: &[u8]) -> Result<Self> {
        for (len, max) in [
            (name.len(), MAX_FIELD_NAME_BYTES),
            (value.len(), MAX_FIELD_TEXT_BYTES),
        ] {
            if len > max {
                return Err(Error::Limit {
                    what: "bytes in a condition",
                    max: max as u64,
                });
            }
        }
        let property = match name {
            b"alt" => Property::Alt,
            b"speed" => Property::Speed,
            b"heading" => Property::Heading,
            b"acc" => Property::Accuracy,
            b"ts" => Property::Time,
            b"lon" => Property::Lon,
            b"lat" => Property::Lat,
            _ => Property::Field(name.into()),
        };
        Ok(Self {
            property,
            operator,
            text: value.into(),
            number: number(value),
        })
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let Subject {
            position,
            readings,
            fields,
        } = subject;
        let known = match &self.property {
            Property::Alt => readings.alt,
            Property::Speed => readings.speed,
            Property::Heading => readings.heading,
            Property::Accuracy => readings.accuracy_m,
            Property::Lon => Some(position.point.lon()),
            Property::Lat => Some(position.point.lat()),
            #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
            Property::Time => Some(position.time_ms as f64),
            Property::Field(name) => match fields.get(name) {
                Some(Value::Text(text)) => {
                    return self.operator.holds(Some(text.cmp(&self.text)));
                }
                Some(Value::Number(number)) => Some(number),
                None => None,
            },
        };
        let ordering = known.and_then(|known| known.partial_cmp(&self.number?));
        self.operator.holds(ordering)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::geo::Point;

    #[test]
    fn numbers_texts_and_what_is_not_there() {
        let changes = [(&b"n"[..], Value::Number(7.0)), (b"t", Value::Text(b"b"))];
        let fields = Fields::default().merged(&changes).unwrap().unwrap();
        let subject = Subject {
            position: Position {
                time_ms: 1000,
                point: Point { x: -5, y: 7 },
            },
            readings: Readings {
                speed: Some(3.5),
                ..Readings::default()
            },
            fields: &fields,
        };
        let holds = |name: &str, sign: &str, value: &str| {
            let operator = Operator::by_name(sign.as_bytes()).unwrap();
            let condition = Condition::new(name.as_bytes(), operator, value.as_bytes()).unwrap();
            condition.holds(&subject)
        };
        for (name, sign, value) in [
            ("n", "=", "7"),
            ("n", "<", "7.5"),
            ("n", ">=", "7e0"),
            ("n", "!=", "x"),
            ("t", "=", "b"),
            ("t", ">", "a"),
            ("t", "!=", "7"),
            ("none", "!=", "0"),
            ("speed", "<=", "3.5"),
            ("alt", "!=", "0"),
            ("ts", ">", "999"),
            ("lon", "=", "-0.0000005"),
            ("lat", ">", "0"),
        ] {
            assert!(holds(name, sign, value), "{name} {sign} {value}");
        }
        for (name, sign, value) in [
            ("n", "!=", "7"),
            ("n", "<", "x"),
            ("n", ">", "7"),
            ("none", "=", "0"),
            ("none", "<", "1"),
            ("alt", "<", "1"),
            ("t", "<", "b"),
        ] {
            assert!(!holds(name, sign, value), "{name} {sign} {value}");
        }
        assert_eq!(Operator::by_name(b"=="), None);
    }
}
