//! What an event says, in its two forms: one JSON object, and flat fields.

use crate::engine::Timestamp;

/// Names with values, in their order.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

/// A value.
#[derive(Debug)]
enum Value {
    Text(String),
    /// A number, or other JSON.
    Json(String),
}

impl Fields {
    /// Adds a text. What is not UTF-8 in it is replaced: JSON has no other texts.
    pub(super) fn text(&mut self, name: &'static str, text: &[u8]) {
        let text = String::from_utf8_lossy(text).into_owned();
        self.0.push((name, Value::Text(text)));
    }

    pub(super) fn integer(&mut self, name: &'static str, integer: Timestamp) {
        self.0.push((name, Value::Json(integer.to_string())));
    }

    /// Adds a finite number in its shortest form.
    pub(super) fn number(&mut self, name: &'static str, number: f64) {
        self.0.push((name, Value::Json(shortest(number))));
    }

    /// Adds an object of texts.
    pub(super) fn object<'a>(
        &mut self,
        name: &'static str,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        let pairs = pairs.map(|(name, value)| {
            let [name, value] = [name, value].map(String::from_utf8_lossy);
            format!("{}:{}", quoted(&name), quoted(&value))
        });
        let object = format!("{{{}}}", pairs.collect::<Vec<_>>().join(","));
        self.0.push((name, Value::Json(object)));
    }

    /// Adds an array of texts.
    pub(super) fn array<'a>(&mut self, name: &'static str, texts: impl Iterator<Item = &'a [u8]>) {
        let texts = texts.map(|text| quoted(&String::from_utf8_lossy(text)));
        let array = format!("[{}]", texts.collect::<Vec<_>>().join(","));
        self.0.push((name, Value::Json(array)));
    }

    /// Adds an array of numbers that are texts already.
    pub(super) fn numbers(&mut self, name: &'static str, numbers: &[String]) {
        let array = format!("[{}]", numbers.join(","));
        self.0.push((name, Value::Json(array)));
    }

    /// As one JSON object.
    pub(super) fn to_json(&self) -> String {
        let fields = self.0.iter().map(|(name, value)| match value {
            Value::Text(text) => format!("\"{name}\":{}", quoted(text)),
            Value::Json(json) => format!("\"{name}\":{json}"),
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    }

    /// As names and values, one by one.
    pub(super) fn flat(&self) -> Vec<(&[u8], &[u8])> {
        let pairs = self.0.iter().map(|(name, value)| {
            let (Value::Text(value) | Value::Json(value)) = value;
            (name.as_bytes(), value.as_bytes())
        });
        pairs.collect()
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The shortest decimal that is read back as the same number.
pub(super) fn shortest(number: f64) -> String {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format(number);
    text.strip_suffix(".0").unwrap_or(text).to_owned()
}
