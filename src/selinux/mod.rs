//! Which SELinux label a path gets: the answer of libselinux's `selabel_lookup` for files, from the texts of a policy.
//!
//! Spec: selabel_file(5), and where it is silent `label_file.c` of libselinux 3.4 and later. No policy is loaded, no label
//! is judged, and nothing but the texts is read: the compiled `file_contexts.bin` says the same as the text beside it.
//! Not here: the media, X, database and Android backends, partial matches, and what ostree labels differently.

mod file_contexts;
mod literal;
mod pattern_set;
mod pcre;
mod spec_line;
mod subs;

pub use file_contexts::FileContexts;
pub use pcre::RegexError;

/// The texts that decide, as they lie in `/etc/selinux/TYPE/contexts/files`. An absent file is like an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFiles {
    pub file_contexts: Vec<u8>,
    /// `file_contexts.homedirs`
    pub homedirs: Option<Vec<u8>>,
    /// `file_contexts.local`
    pub local: Option<Vec<u8>>,
    /// `file_contexts.subs`
    pub subs: Option<Vec<u8>>,
    /// `file_contexts.subs_dist`
    pub subs_dist: Option<Vec<u8>>,
}

/// The type of a file, as far as a policy tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    Regular,
    Directory,
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Socket,
}

/// What a policy says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label<'a> {
    Context(&'a str),
    /// `<<none>>`: the file is not to be labelled.
    NoLabel,
    /// The policy does not know of such a file.
    NoMatch,
}

/// Why texts make no labels. One wrong line is enough, as it is for libselinux.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("line {line} of {file} has no context")]
    NoContext { file: &'static str, line: usize },

    #[error("line {line} of {file} has a byte in it that is not ASCII")]
    NotAscii { file: &'static str, line: usize },

    #[error("line {line} of {file}: `{found}` is no file type")]
    FileType { file: &'static str, line: usize, found: String },

    #[error("line {line} of {file}: {error} in `{regex}`")]
    Regex { file: &'static str, line: usize, regex: String, error: RegexError },

    #[error("the regular expressions of the SELinux policy are larger than any policy's: over {limit} bytes {what}")]
    TooLarge { limit: usize, what: &'static str },
}

/// What `isspace` says in the C locale.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
