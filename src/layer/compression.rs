//! How a layer is compressed: said by its media type (OCI image-spec `layer.md`, Docker image manifest version 2, schema 2).

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::Error;

/// The kinds of compression a layer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// What the media type of a layer says.
    pub fn of(media_type: &str) -> Result<Self, Error> {
        Ok(match media_type {
            "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.docker.image.rootfs.diff.tar" => Self::None,
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Self::Gzip,
            "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Self::Zstd,
            _ => return Err(Error::MediaType(media_type.to_owned())),
        })
    }

    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "tar",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The content. All members of a gzip file, all frames of a zstd file; checksums and lengths inside them are checked.
    pub fn decoder<'a>(self, blob: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::None => Box::new(blob),
            Self::Gzip => Box::new(MultiGzDecoder::new(blob)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(blob)?),
        })
    }
}
