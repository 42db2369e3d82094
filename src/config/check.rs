//! Holds a document against the schema: unknown keys, keys for later, missing keys and wrong types.

use super::Error;
use super::document::{Document, Entry, Node, Place, Position, Value};
use super::schema::{BLUEPRINT, Key, Kind};
use crate::units::Bytes;

/// A name is near enough to be suggested when at least this part of it is right.
const NEAR: f64 = 0.7;
/// Longer names are near to nothing, and comparing them takes memory by their length.
const LONGEST: usize = 64;

/// Passes when every key is known and has a value of its type. `null` counts as absent, as in bootc-image-builder.
pub fn check(document: &Document) -> Result<(), Error> {
    table(BLUEPRINT, &document.root, "", None)
}

fn table(keys: &'static [Key], node: &Node, path: &str, position: Option<Position>) -> Result<(), Error> {
    let position = position.or(node.position);
    let Value::Table(entries) = &node.value else { return Err(wrong_type("a table", node, path, position)) };
    for written in entries {
        entry(keys, written, path)?;
    }
    let present =
        |key: &Key| entries.iter().any(|entry| entry.key == key.name && !matches!(entry.node.value, Value::Null));
    match keys.iter().find(|key| key.required && !present(key)) {
        Some(key) => Err(Error::Missing { place: Place { path: path.to_owned(), position }, key: key.name }),
        None => Ok(()),
    }
}

fn entry(keys: &'static [Key], entry: &Entry, path: &str) -> Result<(), Error> {
    let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
    let Some(key) = keys.iter().find(|key| key.name == entry.key) else {
        let suggestion = nearest(keys, &entry.key).or_else(|| elsewhere(BLUEPRINT, "", &entry.key));
        let place = Place { path, position: entry.position };
        return Err(Error::UnknownKey { place, key: entry.key.clone(), suggestion });
    };
    if let Kind::NotSupportedYet = key.kind {
        let place = Place { path, position: entry.position };
        return Err(Error::NotSupportedYet { place, key: entry.key.clone() });
    }
    value(key, &entry.node, &path, entry.position)
}

fn value(key: &Key, node: &Node, path: &str, position: Option<Position>) -> Result<(), Error> {
    let expected = match (&key.kind, &node.value) {
        (_, Value::Null) | (Kind::Metadata, _) | (Kind::Text, Value::Text(_)) => return Ok(()),
        (Kind::Table(keys), _) => return table(keys, node, path, position),
        (Kind::Tables(keys), Value::Array(nodes)) => {
            let mut tables = nodes.iter().enumerate();
            return tables.try_for_each(|(index, node)| table(keys, node, &format!("{path}[{index}]"), None));
        }
        (Kind::Texts, Value::Array(nodes)) => return texts(nodes, path),
        (Kind::Number, Value::Integer(number)) if u32::try_from(*number).is_ok() => return Ok(()),
        (Kind::Size, Value::Integer(number)) if u64::try_from(*number).is_ok() => return Ok(()),
        (Kind::Size, Value::Text(text)) => return size(text, path, position),
        (Kind::Tables(_), _) => format!("a list of tables, each headed `[[{path}]]` in TOML"),
        (Kind::Text, _) => "a text".to_owned(),
        (Kind::Texts, _) => "a list of texts".to_owned(),
        (Kind::Number, _) => format!("a whole number from 0 to {}", u32::MAX),
        (Kind::Size, _) => "a size: a number of bytes or a text such as \"10 GiB\"".to_owned(),
        (Kind::NotSupportedYet, _) => return Ok(()),
    };
    Err(wrong_type(expected, node, path, position))
}

fn texts(nodes: &[Node], path: &str) -> Result<(), Error> {
    match nodes.iter().enumerate().find(|(_, node)| !matches!(node.value, Value::Text(_))) {
        Some((index, node)) => Err(wrong_type("a text", node, &format!("{path}[{index}]"), node.position)),
        None => Ok(()),
    }
}

fn size(text: &str, path: &str, position: Option<Position>) -> Result<(), Error> {
    let place = || Place { path: path.to_owned(), position };
    text.parse::<Bytes>().map(drop).map_err(|problem| Error::Value { place: place(), problem: problem.into() })
}

fn wrong_type(expected: impl Into<String>, node: &Node, path: &str, position: Option<Position>) -> Error {
    let found = match node.value {
        Value::Integer(number) if number < 0 => "a negative number",
        Value::Integer(number) if number > u32::MAX.into() => "a larger number",
        _ => node.value.kind(),
    };
    Error::WrongType { place: Place { path: path.to_owned(), position }, expected: expected.into(), found }
}

fn nearest(keys: &[Key], name: &str) -> Option<String> {
    if name.len() > LONGEST {
        return None;
    }
    let rated = keys.iter().map(|key| (strsim::normalized_damerau_levenshtein(key.name, name), key.name));
    let best = rated.filter(|(likeness, _)| *likeness >= NEAR).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| name.to_owned())
}

/// The path of a key of exactly this name in another table, nearest to the top first: `[[user]]` lacks its `customizations.`.
fn elsewhere(keys: &[Key], path: &str, name: &str) -> Option<String> {
    let here = keys.iter().find(|key| key.name == name).map(|key| format!("{path}{}", key.name));
    here.or_else(|| keys.iter().find_map(|key| elsewhere(key.keys(), &format!("{path}{}.", key.name), name)))
}
