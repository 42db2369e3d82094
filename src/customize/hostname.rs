//! The machine's name: /etc/hostname (hostname(5)).

use super::editor::Editor;

/// Also in place of a link.
pub fn set(editor: &mut Editor<'_>, name: &str) {
    let stat = editor.root_stat(0o644);
    editor.write(editor.place.etc, "hostname", stat, format!("{name}\n").into_bytes());
}
