//! SSH keys: `~/.ssh/authorized_keys` of users, and the tmpfiles.d(5) line that makes root's at boot.

use base64ct::{Base64, Encoding as _};

use super::Error;
use super::editor::Editor;
use super::home::{self, Owner};
use crate::tree::InodeId;

/// Adds keys to those that the user has already.
pub fn place(
    editor: &mut Editor<'_>,
    home: InodeId,
    home_path: &str,
    owner: Owner,
    keys: &[String],
) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let directory = match editor.tree.child(home, b".ssh") {
        Some(inode) if editor.tree.is_directory(inode) => inode,
        Some(_) => return Err(Error::NotADirectory { path: format!("{home_path}/.ssh") }),
        None => {
            let stat = owner.stat(editor, 0o700);
            editor.tree.add_directory(home, ".ssh", stat)
        }
    };
    let before = editor.read(directory, "authorized_keys", &format!("{home_path}/.ssh/authorized_keys"))?;
    let stat = owner.stat(editor, 0o600);
    editor.write(directory, "authorized_keys", stat, with_keys(before.unwrap_or_default(), keys));
    Ok(())
}

fn with_keys(mut file: Vec<u8>, keys: &[String]) -> Vec<u8> {
    if !file.is_empty() && !file.ends_with(b"\n") {
        file.push(b'\n');
    }
    for key in keys {
        if !file.split(|&byte| byte == b'\n').any(|line| line.trim_ascii() == key.as_bytes()) {
            file.extend_from_slice(format!("{key}\n").as_bytes());
        }
    }
    file
}

/// root's keys come as a line that creates the file at boot unless it is there, as `bootc install --root-ssh-authorized-keys`
/// leaves it: what the image's tmpfiles.d says of root's home itself keeps holding.
pub fn place_for_root(editor: &mut Editor<'_>, user: &str, home: &str, keys: &[String]) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let home = home::resolved(editor, user, home)?;
    let text = Base64::encode_string(&with_keys(Vec::new(), keys));
    let line = format!("f~ {}/.ssh/authorized_keys 600 root root - {text}\n", tmpfiles_path(&home));
    let stat = editor.root_stat(0o755);
    let directory = editor.tree.ensure_directories(editor.place.etc, "tmpfiles.d", &stat);
    let stat = editor.root_stat(0o644);
    editor.write(directory, "bootc-root-ssh.conf", stat, line.into_bytes());
    Ok(())
}

/// A path as a word of tmpfiles.d: `%` begins a specifier, white space ends the word, quotes and backslashes have a meaning.
fn tmpfiles_path(path: &str) -> String {
    let escape = |byte: u8| match byte {
        b'%' => "%%".to_owned(),
        byte if byte.is_ascii_alphanumeric() || b"/._-+@,=".contains(&byte) => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    path.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_added_once_and_after_what_is_there() {
        let keys = ["b".to_owned(), "c".to_owned(), "c".to_owned()];
        assert_eq!(with_keys(b"a\n b \nx".to_vec(), &keys), b"a\n b \nx\nc\n");
    }

    #[test]
    fn a_strange_path_is_one_word_of_tmpfiles() {
        assert_eq!(tmpfiles_path("/var/ro ot%h\"\\"), "/var/ro\\x20ot%%h\\x22\\x5c");
    }
}
