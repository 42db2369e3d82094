//! How a layer is compressed: said by its media type (OCI image-spec `layer.md`, Docker image manifest version 2, schema 2).

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use oci_spec::image::MediaType;

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

    /// What the first bytes of a layer say, for places where media types do not tell: tools of containers/image look at them.
    pub fn of_content(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The media type of a layer that is compressed so.
    pub fn media_type(self) -> MediaType {
        match self {
            Self::None => MediaType::ImageLayer,
            Self::Gzip => MediaType::ImageLayerGzip,
            Self::Zstd => MediaType::ImageLayerZstd,
        }
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
    pub fn decoder<'a>(self, blob: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::None => Box::new(blob),
            Self::Gzip => Box::new(MultiGzDecoder::new(blob)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(blob)?),
        })
    }
}
