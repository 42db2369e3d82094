//! What the user leaves open: the image and its system decide.

use super::BuildError;
use crate::bootloader::{BootloaderError, Grub, Loader, Places, Provided, Syslinux, SystemdBoot};
use crate::deploy::{self, Remote, Target};
use crate::layout::Layout;
use crate::os::{Os, RootFilesystem};
use crate::request::{BootloaderChoice, Request};
use crate::seed::Seed;
use crate::source::Loaded;
use crate::tree::Files;

/// What a loader is chosen from.
pub struct Offer<'os, 'a> {
    pub os: &'os Os,
    pub image: &'a Files<'a>,
    /// Loader files that the user gives.
    pub provided: Option<&'a Provided>,
    pub places: Places,
}

/// The loader that the user wants, else the one that the image asks for, else one by what the image contains: GRUB, which
/// needs nothing of the installed system, before systemd-boot, and syslinux where both have no place.
pub fn bootloader<'os>(choice: BootloaderChoice, offer: &Offer<'os, '_>) -> Result<Loader<'os>, BuildError> {
    let asked = match (choice, offer.os.install.bootloader.as_deref()) {
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
        BootloaderChoice::Grub => grub(offer)?,
        BootloaderChoice::SystemdBoot => systemd_boot(offer)?,
        BootloaderChoice::Syslinux => syslinux(offer)?,
        BootloaderChoice::Auto => {
            let first = grub(offer);
            let next = || systemd_boot(offer).or_else(|_| syslinux(offer));
            // Of several obstacles the first is told: GRUB is what most images bring.
            first.or_else(|error| next().map_err(|_| error))?
        }
    })
}

fn grub<'os>(offer: &Offer<'os, '_>) -> Result<Loader<'os>, BootloaderError> {
    Grub::choose(offer.os, offer.image, offer.places).map(Loader::Grub)
}

fn systemd_boot<'os>(offer: &Offer<'os, '_>) -> Result<Loader<'os>, BootloaderError> {
    SystemdBoot::choose(offer.os, offer.provided, offer.places).map(Loader::SystemdBoot)
}

fn syslinux<'os>(offer: &Offer<'os, '_>) -> Result<Loader<'os>, BootloaderError> {
    let syslinux = Syslinux::choose(offer.os.architecture, offer.image, offer.provided, offer.places)?;
    Ok(Loader::Syslinux(Box::new(syslinux)))
}

/// Loaders do not replay a journal. Where libostree does not write it back after an upgrade, /boot is better without.
pub fn boot_journal(loader: &Loader<'_>, os: &Os) -> bool {
    os.libostree.freezes_boot || loader.needs_kernel_on_esp() || !deploy::checks_boot(os)
}

pub fn root_filesystem(request: &Request, os: &Os) -> Result<RootFilesystem, BuildError> {
    match request.root_filesystem.or(os.install.root_filesystem) {
        None | Some(RootFilesystem::Ext4) => Ok(RootFilesystem::Ext4),
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
