//! Paths to ask for: those of the machine that runs the test, and those that a policy's expressions speak of.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use bootwright::selinux::FileKind;

/// At most `limit` paths below `/`, of one filesystem, by their types.
pub fn of_this_machine(limit: usize) -> Vec<(FileKind, BTreeSet<String>)> {
    let mut found: Vec<(FileKind, BTreeSet<String>)> = Vec::new();
    let mut directories = vec![PathBuf::from("/")];
    let device = fs::metadata("/").unwrap().dev();
    let mut count = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
            let kind = match metadata.file_type() {
                kind if kind.is_dir() => FileKind::Directory,
                kind if kind.is_symlink() => FileKind::Symlink,
                kind if kind.is_char_device() => FileKind::CharDevice,
                kind if kind.is_block_device() => FileKind::BlockDevice,
                kind if kind.is_fifo() => FileKind::Fifo,
                kind if kind.is_socket() => FileKind::Socket,
                _ => FileKind::Regular,
            };
            if metadata.is_dir() && metadata.dev() == device && !path.starts_with("/tmp") {
                directories.push(path.clone());
            }
            let Some(text) = path.to_str().filter(|text| !text.contains(['\n', '\t'])) else { continue };
            match found.iter_mut().find(|(each, _)| *each == kind) {
                Some((_, paths)) => _ = paths.insert(text.to_owned()),
                None => found.push((kind, BTreeSet::from([text.to_owned()]))),
            }
            count += 1;
        }
        if count >= limit {
            break;
        }
    }
    found
}

/// A few paths for every expression: with all that is optional, without it, and beside it.
pub fn of_policy<'a>(texts: impl IntoIterator<Item = &'a Vec<u8>>) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for text in texts {
        for line in std::str::from_utf8(text).unwrap().lines() {
            let regex = line.split_whitespace().next().filter(|regex| regex.starts_with('/'));
            for full in [false, true] {
                let Some(path) = regex.map(|regex| expand(regex, full)) else { continue };
                paths.extend([format!("{path}/below"), format!("{path}x"), path[..path.len() - 1].to_owned(), path]);
            }
        }
    }
    paths.retain(|path| path.starts_with('/') && path.len() > 1 && !path.ends_with('/'));
    paths
}

/// The shortest or a longer path that an expression means, roughly: groups give their first alternative.
fn expand(regex: &str, full: bool) -> String {
    let mut pieces: Vec<String> = vec![String::new()];
    let mut path = String::new();
    let mut groups = Vec::new();
    let mut characters = regex.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => pieces.push(characters.next().into_iter().collect()),
            '.' => pieces.push("q".to_owned()),
            '[' => {
                let class: String = characters.by_ref().take_while(|character| *character != ']').collect();
                pieces.push(if class.starts_with('^') { "w".to_owned() } else { class[..1].to_owned() });
            }
            '(' => groups.push((pieces.split_off(0), false)),
            '|' => {
                if let Some((outer, taken)) = groups.last_mut().filter(|(_, taken)| !taken) {
                    *taken = true;
                    outer.push(pieces.concat());
                }
                pieces.clear();
            }
            ')' => {
                if let Some((mut outer, taken)) = groups.pop() {
                    if !taken {
                        outer.push(pieces.concat());
                    }
                    pieces = outer;
                }
            }
            '?' | '*' if !full => _ = pieces.pop(),
            '?' | '^' | '$' => {}
            '*' | '+' => {
                let last = pieces.last().cloned().unwrap_or_default();
                pieces.push(last);
            }
            other => pieces.push(other.to_string()),
        }
    }
    path.extend(pieces);
    if path.is_empty() { "/".to_owned() } else { path }
}
