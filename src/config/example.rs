//! `config.toml.example`, written from the schema so that it cannot fall behind.

use super::schema::{BLUEPRINT, Key, Kind};

const HEAD: &str = "\
# Configuration of bootwright: what `bootwright build --config FILE` changes in the image.
# The words are those of bootc-image-builder; the same file works as JSON too. Everything may be left out but the keys that are
# marked as required in the table they stand in. Unknown keys are errors.
";

/// The whole file. Every key in it is read, and with these values too.
pub fn example() -> String {
    let mut text = HEAD.to_owned();
    for key in BLUEPRINT {
        table(key, "", &mut text);
    }
    text
}

fn table(key: &Key, path: &str, text: &mut String) {
    let path = format!("{path}{}", key.name);
    let heading = match key.kind {
        Kind::Table(_) => format!("[{path}]"),
        Kind::Tables(_) => format!("[[{path}]]"),
        _ => return,
    };
    text.push('\n');
    comment(key.doc, text);
    text.push_str(&format!("{heading}\n"));
    for key in key.keys() {
        if let Some(example) = key.example {
            comment(&format!("{}{}", if key.required { "Required. " } else { "" }, key.doc), text);
            text.push_str(&format!("{} = {example}\n", key.name));
        }
    }
    for key in key.keys() {
        table(key, &format!("{path}."), text);
    }
}

fn comment(doc: &str, text: &mut String) {
    for line in doc.lines() {
        text.push_str(&format!("# {line}\n"));
    }
}
