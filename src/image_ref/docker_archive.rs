//! `docker-archive:PATH[:NAME[:TAG]|:@INDEX]` (containers-transports(5)).

use std::fmt;

use super::ImageRefError;

/// Which image of an archive of `docker save` is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchivedImage {
    /// As `docker save` writes names, or in full; `latest` where no tag is named.
    Name(String),
    /// Counted from 0 in the archive's `manifest.json`.
    Index(usize),
}

impl ArchivedImage {
    /// `text` is the whole reference, `image` what follows the path.
    pub(super) fn parse(text: &str, image: &str) -> Result<Self, ImageRefError> {
        let wrong = |why| ImageRefError::DockerArchive { text: text.to_owned(), why };
        match image.strip_prefix('@') {
            Some(index) => index.parse().map(Self::Index).map_err(|_| wrong("a number from 0 has to follow `:@`")),
            None if image.contains('@') => Err(wrong("it knows no digests")),
            None => Ok(Self::Name(image.to_owned())),
        }
    }
}

impl fmt::Display for ArchivedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "@{index}"),
        }
    }
}
