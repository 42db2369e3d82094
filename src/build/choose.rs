//! What the user leaves open: the image and its system decide.

use super::BuildError;
use crate::bootloader::Grub;
use crate::deploy::{Remote, Target};
use crate::layout::Layout;
use crate::os::{Os, RootFilesystem};
use crate::request::{BootloaderChoice, Request};
use crate::seed::Seed;
use crate::source::Loaded;

/// GRUB, unless the user wants none or the image asks for something else; the user's word wins over the image's.
pub fn bootloader(choice: BootloaderChoice, os: &Os) -> Result<Option<Grub<'_>>, BuildError> {
    match (choice, os.install.bootloader.as_deref()) {
        (BootloaderChoice::None, _) | (BootloaderChoice::Auto, Some("none")) => Ok(None),
        (BootloaderChoice::Grub, _) | (BootloaderChoice::Auto, None | Some("grub" | "grub-cc")) => {
            Ok(Some(Grub::choose(&os.efi_binaries, os.architecture)?))
        }
        (BootloaderChoice::Auto, Some(other)) => Err(BuildError::ImageBootloader(other.to_owned())),
    }
}

pub fn root_filesystem(request: &Request, os: &Os) -> Result<(), BuildError> {
    match request.root_filesystem.or(os.install.root_filesystem) {
        None | Some(RootFilesystem::Ext4) => Ok(()),
        Some(asked) => Err(BuildError::RootFilesystem { asked }),
    }
}

pub fn layout(request: &Request, os: &Os) -> Result<Layout, BuildError> {
    match &request.layout {
        Some(layout) => Ok(layout.clone()),
        None => Ok(Layout::default_for(os.architecture)?),
    }
}

pub fn stateroot(request: &Request, os: &Os) -> String {
    request.stateroot.clone().or_else(|| os.install.stateroot.clone()).unwrap_or_else(|| "default".to_owned())
}

/// What makes a disk another disk. Output paths, formats, compression and thread counts are not in it; passwords are not either.
pub fn seed(
    request: &Request,
    loaded: &Loaded,
    layout: &Layout,
    target: &Target,
    remote: Option<&Remote>,
    stateroot: &str,
) -> Seed {
    let layout_text = format!("{:?}", layout.partitions);
    let sizes = format!("{:?}", request.disk_size);
    let kargs = format!("{:?} {}", request.kargs, request.default_kernel_args);
    let customizations = request.customizations.facts().to_string();
    let (image, target) = (loaded.identity(), target.to_string());
    let server = remote.map(|remote| format!("{} {:?}", remote.url, remote.content_url));
    let mut facts = vec![
        ("image", image.as_bytes()),
        ("layout", layout_text.as_bytes()),
        ("sizes", sizes.as_bytes()),
        ("target", target.as_bytes()),
        ("stateroot", stateroot.as_bytes()),
        ("kargs", kargs.as_bytes()),
        ("customizations", customizations.as_bytes()),
    ];
    facts.extend(server.iter().map(|server| ("remote", server.as_bytes())));
    Seed::of(&facts)
}
