//! What the user leaves open: the image and its system decide.

use super::BuildError;
use crate::bootloader::{Grub, Loader, Places, SystemdBoot};
use crate::deploy::{Remote, Target};
use crate::layout::Layout;
use crate::os::{Os, RootFilesystem};
use crate::request::{BootloaderChoice, Request};
use crate::seed::Seed;
use crate::source::Loaded;

/// The loader that the user wants, else the one that the image asks for, else one by what the image contains: GRUB, which
/// needs nothing of the installed system, before systemd-boot.
pub fn bootloader<'a>(choice: BootloaderChoice, os: &'a Os, places: Places) -> Result<Loader<'a>, BuildError> {
    let asked = match (choice, os.install.bootloader.as_deref()) {
        (BootloaderChoice::Auto, Some("none")) => {
            return Ok(Loader::None { reason: "the image's install configuration asks for none" });
        }
        (BootloaderChoice::Auto, Some("grub" | "grub-cc")) => BootloaderChoice::Grub,
        (BootloaderChoice::Auto, Some("systemd")) => BootloaderChoice::SystemdBoot,
        (BootloaderChoice::Auto, Some(other)) => return Err(BuildError::ImageBootloader(other.to_owned())),
        (choice, _) => choice,
    };
    Ok(match asked {
        BootloaderChoice::None => Loader::None { reason: "no boot loader was asked for" },
        BootloaderChoice::Grub => Loader::Grub(Grub::choose(os, places)?),
        BootloaderChoice::SystemdBoot => Loader::SystemdBoot(SystemdBoot::choose(os, places)?),
        BootloaderChoice::Auto => match Grub::choose(os, places) {
            Ok(grub) => Loader::Grub(grub),
            Err(error) => Loader::SystemdBoot(SystemdBoot::choose(os, places).map_err(|_| error)?),
        },
    })
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
