//! What was asked: the command line and the configuration file, merged. Shape is checked where the words are read; no I/O here.

use std::path::{Path, PathBuf};

use crate::bootloader::Provided;
use crate::config::{Customizations, Secret};
use crate::container_trust::Policy;
use crate::deploy::TargetImage;
use crate::image_ref::SourceRef;
use crate::layout::Layout;
use crate::os::{Architecture, RootFilesystem};
use crate::output::OutputType;
use crate::qcow2::Compression;
use crate::seed::Seed;
use crate::source::ostree::{self, Access};
use crate::source::{Limits, registry};
use crate::units::Bytes;

/// The boot loader that the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum BootloaderChoice {
    /// By what the image contains
    #[default]
    Auto,
    Grub,
    /// Kernels are copied to the ESP by a unit in the system
    SystemdBoot,
    /// For BIOS, on /boot; libostree keeps its menu
    Syslinux,
    /// Something else brings a boot loader
    None,
}

/// What is asked of container images.
#[derive(Clone, Debug, Default)]
pub struct TrustRequest {
    /// Without one every image is taken.
    pub policy: Option<Policy>,
    /// Every upgrade of the machine has to be signed, by the machine's own policy.
    pub enforce: bool,
    /// The time at which keys have to be good, in seconds since 1970.
    pub now: i64,
}

/// Whether layers are kept for the next build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheChoice {
    /// In the user's cache directory, where there is one.
    Default,
    At(PathBuf),
    None,
}

/// One build. `None` means that the image or the architecture decides.
#[derive(Clone, Debug)]
pub struct Request {
    pub image: SourceRef,
    pub types: Vec<OutputType>,
    pub output: PathBuf,
    pub root_filesystem: Option<RootFilesystem>,
    pub layout: Option<Layout>,
    pub bootloader: BootloaderChoice,
    /// Loader files that the image lacks.
    pub bootloader_files: Option<Provided>,
    pub target: Option<TargetImage>,
    pub architecture: Option<Architecture>,
    pub stateroot: Option<String>,
    pub kargs: Vec<String>,
    pub disk_size: Option<Bytes>,
    pub compression: Compression,
    pub default_kernel_args: bool,
    pub seed: Option<Seed>,
    pub customizations: Customizations,
    pub trust: TrustRequest,
    pub cache: CacheChoice,
    /// For sources in a registry.
    pub registry: registry::Access,
    /// Credentials with which the machine fetches its upgrades, the text of an `auth.json`.
    pub pull_secret: Option<Secret>,
    /// That one layer of an image may inflate to.
    pub max_layer_size: Bytes,
    /// For sources that are refs of an ostree repository.
    pub ostree: OstreeRequest,
    /// SOURCE_DATE_EPOCH, when it is set.
    pub source_date_epoch: Option<i64>,
    /// Whether SHA256SUMS is written.
    pub checksums: bool,
    pub threads: usize,
}

impl Request {
    /// One disk of an image, everything else left to the image and the architecture.
    pub fn plain(image: SourceRef, kind: OutputType, output: &Path) -> Request {
        Request {
            image,
            types: vec![kind],
            output: output.to_owned(),
            root_filesystem: None,
            layout: None,
            bootloader: BootloaderChoice::Auto,
            bootloader_files: None,
            target: None,
            architecture: None,
            stateroot: None,
            kargs: Vec::new(),
            disk_size: None,
            compression: Compression::None,
            default_kernel_args: true,
            seed: None,
            customizations: Customizations::default(),
            trust: TrustRequest::default(),
            cache: CacheChoice::None,
            registry: registry::Access::default(),
            pull_secret: None,
            max_layer_size: Bytes(Limits::default().layer),
            ostree: OstreeRequest::default(),
            source_date_epoch: None,
            checksums: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// What was asked of a ref of an ostree repository.
#[derive(Clone, Debug, Default)]
pub struct OstreeRequest {
    /// Which commits are taken.
    pub policy: ostree::Policy,
    pub access: Access,
    /// Name and URL of the remote that the machine upgrades from.
    pub remote_name: Option<String>,
    pub remote_url: Option<String>,
}
