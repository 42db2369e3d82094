//! A configuration file before its keys have a meaning: tables, lists and values, in TOML with line and column.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use toml::de::{DeTable, DeValue};

use super::Error;

/// Line and column in the file, both counted from 1; columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Where in the file something is wrong: `customizations.user[0].uid (line 3, column 1)`; JSON has no position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub position: Option<Position>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.path.is_empty() { "the file" } else { &self.path })?;
        self.position.map_or(Ok(()), |position| write!(f, " ({position})"))
    }
}

/// No `Debug`: a document holds passwords.
pub struct Document {
    pub root: Node,
}

pub struct Node {
    pub value: Value,
    pub position: Option<Position>,
}

pub enum Value {
    Null,
    Boolean(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Date,
    Array(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Entry>),
}

pub struct Entry {
    pub key: String,
    pub position: Option<Position>,
    pub node: Node,
}

impl Document {
    pub fn parse_toml(text: &str) -> Result<Document, Error> {
        let table = DeTable::parse(text).map_err(|error| Error::NotToml {
            // The error's own text would show the line, and with it perhaps a password.
            message: error.message().to_owned(),
            at: position(text, error.span().unwrap_or_default()),
        })?;
        Ok(Document { root: Node { value: toml_table(table.get_ref(), text), position: None } })
    }

    pub fn parse_json(text: &str) -> Result<Document, Error> {
        let root: Node = serde_json::from_str(text).map_err(|error| Error::NotJson { message: error.to_string() })?;
        Ok(Document { root: without_wrapper(root) })
    }

    /// The place of `path` with its position; a path that is not in the file gets that of the nearest table around it.
    pub fn place(&self, path: &str) -> Place {
        let mut node = &self.root;
        let mut position = None;
        for step in path.split(['.', '[']) {
            let next = match (&node.value, step.strip_suffix(']')) {
                (Value::Array(nodes), Some(index)) => {
                    index.parse().ok().and_then(|index: usize| nodes.get(index)).map(|node| (node, node.position))
                }
                (Value::Table(entries), _) => {
                    entries.iter().find(|entry| entry.key == step).map(|entry| (&entry.node, entry.position))
                }
                _ => None,
            };
            let Some((inner, at)) = next else { break };
            (node, position) = (inner, at.or(position));
        }
        Place { path: path.to_owned(), position }
    }
}

/// bootc-image-builder's first configurations were wrapped in `{"blueprint": {…}}`, and it still reads them.
fn without_wrapper(root: Node) -> Node {
    match root.value {
        Value::Table(mut entries) if entries.len() == 1 && entries[0].key == "blueprint" => entries.remove(0).node,
        _ => root,
    }
}

impl Value {
    /// What a person calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Boolean(_) => "true or false",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Text(_) => "a text",
            Value::Date => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

fn position(text: &str, span: Range<usize>) -> Position {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
}

fn toml_table(table: &DeTable<'_>, text: &str) -> Value {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        position: Some(position(text, key.span())),
        node: Node { value: toml_value(value.get_ref(), text), position: Some(position(text, value.span())) },
    });
    let mut entries: Vec<Entry> = entries.collect();
    entries.sort_by_key(|entry| entry.position);
    Value::Table(entries)
}

fn toml_value(value: &DeValue<'_>, text: &str) -> Value {
    match value {
        DeValue::String(string) => Value::Text(string.to_string()),
        // More digits than an i128 has are a number all the same, and out of every range.
        DeValue::Integer(number) => {
            Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(array) => {
            let nodes = array.iter().map(|value| (toml_value(value.get_ref(), text), position(text, value.span())));
            Value::Array(nodes.map(|(value, position)| Node { value, position: Some(position) }).collect())
        }
        DeValue::Table(table) => toml_table(table, text),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        Ok(Node { value: deserializer.deserialize_any(JsonValue)?, position: None })
    }
}

struct JsonValue;

impl<'de> Visitor<'de> for JsonValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::Array(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        while let Some((key, node)) = map.next_entry::<String, Node>()? {
            // TOML refuses it too; most JSON readers would silently take the last.
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            entries.push(Entry { key, position: None, node });
        }
        Ok(Value::Table(entries))
    }
}
