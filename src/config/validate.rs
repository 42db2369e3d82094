//! Whether single values can be what their key means: names, numbers, paths, keys. The image may still refuse them.

use crate::units::SizeError;

/// What is wrong with a value. A password is never part of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ValueError {
    #[error(
        "`{0}` is no name for a user or group: 1 to 32 of a-z, 0-9, `_`, `.` and `-`, the first a letter or `_`, the last may be `$`"
    )]
    Name(String),
    #[error("the {what} `{value}` is there twice")]
    Twice { what: &'static str, value: String },
    #[error("{0} is no number for a user or group: it means `none`")]
    Id(u32),
    #[error("a colon would end the field in /etc/passwd")]
    Colon,
    #[error("contains the control character U+{0:04X}")]
    Control(u32),
    #[error("`{0}` is no absolute path without `.`, `..` and empty names")]
    Path(String),
    #[error("begins like a crypted password, but is not a whole one")]
    Crypted,
    #[error("is {len} bytes long, and crypt takes at most {limit}", limit = MAX_PASSWORD)]
    LongPassword { len: usize },
    #[error("`{0}` is no host name: up to 64 characters, labels of a-z, 0-9 and inner `-`, separated by dots")]
    HostName(String),
    #[error("`{path}` cannot be a filesystem of its own here; only `/` and `/boot` can have a size")]
    MountPoint { path: String },
    #[error("`size` and `minsize` mean the same, and only one of them may be there")]
    BothSizes,
    #[error("the least size is missing or zero")]
    NoSize,
    #[error(transparent)]
    Size(#[from] SizeError),
}

/// As useradd(8) recommends names.
pub fn name(text: &str) -> Result<(), ValueError> {
    let word = text.strip_suffix('$').unwrap_or(text);
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let rest = |byte: u8| first(byte) || byte.is_ascii_digit() || b".-".contains(&byte);
    let good = word.bytes().next().is_some_and(first) && word.bytes().all(rest) && text.len() <= 32;
    if good { Ok(()) } else { Err(ValueError::Name(text.to_owned())) }
}

pub fn unique<'a>(
    what: &'static str,
    text: &str,
    mut before: impl Iterator<Item = &'a String>,
) -> Result<(), ValueError> {
    if before.any(|other| other == text) { Err(ValueError::Twice { what, value: text.to_owned() }) } else { Ok(()) }
}

pub fn unique_id(what: &'static str, id: Option<u32>, mut before: impl Iterator<Item = u32>) -> Result<(), ValueError> {
    match id {
        Some(id) if before.any(|other| other == id) => Err(ValueError::Twice { what, value: id.to_string() }),
        _ => Ok(()),
    }
}

/// 2^16 - 1 and 2^32 - 1 are -1 as system calls have it (systemd, "Users, Groups, UIDs and GIDs").
pub fn id(id: u32) -> Result<(), ValueError> {
    if id == u32::from(u16::MAX) || id == u32::MAX { Err(ValueError::Id(id)) } else { Ok(()) }
}

fn no_control(text: &str) -> Result<(), ValueError> {
    let control = text.chars().find(|character| character.is_control());
    control.map_or(Ok(()), |character| Err(ValueError::Control(character.into())))
}

/// A field of /etc/passwd.
pub fn field(text: &str) -> Result<(), ValueError> {
    if text.contains(':') { Err(ValueError::Colon) } else { no_control(text) }
}

pub fn absolute(path: &str) -> Result<(), ValueError> {
    field(path)?;
    let names = path.strip_prefix('/').map(|path| path.split('/').all(|name| !matches!(name, "" | "." | "..")));
    if names == Some(true) { Ok(()) } else { Err(ValueError::Path(path.to_owned())) }
}

/// A home without the slash at its end.
pub fn home(path: &str) -> Result<String, ValueError> {
    let home = path.trim_end_matches('/');
    absolute(home).map_err(|error| if home.is_empty() { ValueError::Path(path.to_owned()) } else { error })?;
    Ok(home.to_owned())
}

/// CRYPT_MAX_PASSPHRASE_SIZE of libxcrypt, less the NUL.
const MAX_PASSWORD: usize = 511;

/// The methods of crypt(5) by their prefixes.
const CRYPTED: [&str; 10] = ["$y$", "$gy$", "$7$", "$2a$", "$2b$", "$2x$", "$2y$", "$6$", "$5$", "$1$"];

/// True for what goes into /etc/shadow as it is.
pub fn is_crypted(password: &str) -> bool {
    CRYPTED.iter().any(|prefix| password.starts_with(prefix))
}

pub fn password(text: &str) -> Result<(), ValueError> {
    if is_crypted(text) {
        return if whole_crypted(text) { Ok(()) } else { Err(ValueError::Crypted) };
    }
    no_control(text)?;
    if text.len() > MAX_PASSWORD { Err(ValueError::LongPassword { len: text.len() }) } else { Ok(()) }
}

/// crypt(5): printable ASCII without white space and `:;*!\`; the hashes of SHA-512, SHA-256 and MD5 have one length each.
fn whole_crypted(text: &str) -> bool {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() && !b":;*!\\".contains(&byte));
    let hash = text.rsplit('$').next().unwrap_or_default();
    let length = match &text[..3] {
        "$6$" => Some(86),
        "$5$" => Some(43),
        "$1$" => Some(22),
        _ => None,
    };
    printable && text.matches('$').count() >= 3 && !hash.is_empty() && length.is_none_or(|length| hash.len() == length)
}

/// The lines of `key`, without empty ones.
pub fn ssh_keys(text: &str) -> Result<Vec<String>, ValueError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| no_control(line).map(|()| line.to_owned())).collect()
}

/// hostname(5) and RFC 1123.
pub fn hostname(text: &str) -> Result<(), ValueError> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() <= 64 && text.split('.').all(label) { Ok(()) } else { Err(ValueError::HostName(text.to_owned())) }
}

pub fn kernel_arguments(text: &str) -> Result<(), ValueError> {
    no_control(text)
}
