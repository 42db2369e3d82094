//! An image configuration as Go's OCI types would write it back.
//!
//! bootc reads images through skopeo, so what it stores in the merge commit has been through Go's `imgspecv1.Image`: only the
//! fields that type models survive, empty optional ones vanish, and times are written anew.
//! For an image in Docker's format skopeo also gives the configuration a new digest, that of exactly these bytes.

use serde_json::{Map, Value};

/// How a field of a Go struct is treated by `encoding/json`.
#[derive(Clone, Copy)]
enum Field {
    /// Written always.
    Always,
    /// `omitempty`: left out when empty.
    OmitEmpty,
    /// An optional time, in RFC 3339 with the shortest fraction.
    Time,
    Struct(&'static [(&'static str, Field)]),
    List(&'static [(&'static str, Field)]),
}

use Field::{Always, List, OmitEmpty, Struct, Time};

/// `imgspecv1.Image` (image-spec specs-go/v1/config.go), in the order of its fields.
const IMAGE: &[(&str, Field)] = &[
    ("created", Time),
    ("author", OmitEmpty),
    ("architecture", Always),
    ("os", Always),
    ("os.version", OmitEmpty),
    ("os.features", OmitEmpty),
    ("variant", OmitEmpty),
    ("config", Struct(CONFIG)),
    ("rootfs", Struct(ROOTFS)),
    ("history", List(HISTORY)),
];

const CONFIG: &[(&str, Field)] = &[
    ("User", OmitEmpty),
    ("ExposedPorts", OmitEmpty),
    ("Env", OmitEmpty),
    ("Entrypoint", OmitEmpty),
    ("Cmd", OmitEmpty),
    ("Volumes", OmitEmpty),
    ("WorkingDir", OmitEmpty),
    ("Labels", OmitEmpty),
    ("StopSignal", OmitEmpty),
    ("ArgsEscaped", OmitEmpty),
];

const ROOTFS: &[(&str, Field)] = &[("type", Always), ("diff_ids", Always)];

const HISTORY: &[(&str, Field)] = &[
    ("created", Time),
    ("created_by", OmitEmpty),
    ("author", OmitEmpty),
    ("comment", OmitEmpty),
    ("empty_layer", OmitEmpty),
];

/// The JSON text that Go would write for this configuration.
pub fn image_configuration(config: &Map<String, Value>) -> String {
    let mut out = String::new();
    write_struct(config, IMAGE, &mut out);
    out
}

fn write_struct(object: &Map<String, Value>, fields: &[(&str, Field)], out: &mut String) {
    let empty = Map::new();
    out.push('{');
    let start = out.len();
    for (name, field) in fields {
        let value = object.get(*name).unwrap_or(&Value::Null);
        let mut text = String::new();
        match field {
            Always => write_value(value, &mut text),
            OmitEmpty if is_empty(value) => continue,
            OmitEmpty => write_value(value, &mut text),
            Time => match value.as_str() {
                Some(time) => write_value(&Value::String(go_time(time)), &mut text),
                None => continue,
            },
            Struct(inner) => write_struct(value.as_object().unwrap_or(&empty), inner, &mut text),
            List(_) if is_empty(value) => continue,
            List(inner) => write_list(value, inner, &mut text),
        }
        if out.len() > start {
            out.push(',');
        }
        write_text(name, out);
        out.push(':');
        out.push_str(&text);
    }
    out.push('}');
}

fn write_list(list: &Value, fields: &[(&str, Field)], out: &mut String) {
    let empty = Map::new();
    out.push('[');
    for (index, item) in list.as_array().into_iter().flatten().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_struct(item.as_object().unwrap_or(&empty), fields, out);
    }
    out.push(']');
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

/// Values without a struct of their own: strings, lists and maps of strings. Go sorts the keys of maps by bytes.
fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_value(item, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// `encoding/json` escapes what could end a script element in HTML, beside what JSON itself demands.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// RFC3339Nano: no trailing zeros in the fraction, `Z` for a zero offset.
fn go_time(text: &str) -> String {
    let (time, zone) = match text.rfind(['Z', 'z', '+']).or_else(|| text.rfind('-').filter(|&at| at > 10)) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let time = match time.split_once('.') {
        Some((seconds, fraction)) => match fraction.trim_end_matches('0') {
            "" => seconds.to_owned(),
            fraction => format!("{seconds}.{fraction}"),
        },
        None => time.to_owned(),
    };
    match zone {
        "+00:00" | "-00:00" | "z" => time + "Z",
        zone => time + zone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> String {
        image_configuration(serde_json::from_str::<Value>(json).unwrap().as_object().unwrap())
    }

    #[test]
    fn what_go_does_not_model_or_calls_empty_vanishes() {
        let text = written(
            r#"{"os":"linux","architecture":"amd64","author":"","created":null,"container":"x",
                "config":{"Labels":{"b":"2","a":"<1>"},"Healthcheck":{},"OnBuild":null,"User":""},
                "rootfs":{"diff_ids":["sha256:0"],"type":"layers"},"history":[{"empty_layer":false,"created_by":"x"}]}"#,
        );
        assert_eq!(
            text,
            r#"{"architecture":"amd64","os":"linux","config":{"Labels":{"a":"\u003c1\u003e","b":"2"}},"rootfs":{"type":"layers","diff_ids":["sha256:0"]},"history":[{"created_by":"x"}]}"#
        );
    }

    #[test]
    fn times_get_the_shortest_form() {
        for (given, go) in [
            ("2025-10-09T08:53:20.500+00:00", "2025-10-09T08:53:20.5Z"),
            ("2025-10-09T08:53:20.000Z", "2025-10-09T08:53:20Z"),
            ("2025-10-09T08:53:20.120-07:00", "2025-10-09T08:53:20.12-07:00"),
        ] {
            assert_eq!(go_time(given), go);
        }
    }
}
