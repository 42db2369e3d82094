//! What can be wrong with bytes and paths that come to the ostree room.

/// Everything this room refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not a checksum: 64 lower-case hexadecimal digits are")]
    Checksum(String),

    #[error("a {object} object of {len} bytes is broken: {what}")]
    Object { object: &'static str, len: usize, what: &'static str },

    #[error("`{name}` cannot name a file in ostree: {why}")]
    Name { name: String, why: &'static str },

    #[error("the xattr name `{name}` of {len} bytes is empty or contains a NUL byte", len = name.len())]
    XattrName { name: String },

    #[error("the path `{path}` is not UTF-8")]
    PathNotUtf8 { path: String },

    #[error("the path `{path}` contains a `..` component")]
    PathGoesUp { path: String },

    #[error("a path has {len} bytes, Linux allows {limit}")]
    PathTooLong { len: usize, limit: usize },

    #[error("`{path}` lies {depth} directories deep, ostree follows {limit}")]
    TooDeep { path: String, depth: usize, limit: usize },

    #[error("the root of a layer is given as something other than a directory")]
    RootIsNotADirectory,

    #[error("`{path}` needs `{parent}` to be a directory, but the same layer makes it a file or a link")]
    ParentIsNotADirectory { path: String, parent: String },

    #[error("the hard link `{path}` points to `{target}`, which is no file of the same layer")]
    HardlinkTarget { path: String, target: String },

    #[error("the hard link `{path}` points to `{target}`, which leads back to it")]
    HardlinkLoop { path: String, target: String },

    #[error("the symbolic link target `{target}` is {why}")]
    LinkTarget { target: String, why: &'static str },

    #[error("the whiteout `{path}` names nothing that could be removed")]
    Whiteout { path: String },

    #[error("`{text}` cannot become part of a ref name: it is empty or contains a NUL byte")]
    Ref { text: String },
}
