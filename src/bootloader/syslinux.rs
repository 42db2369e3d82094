//! syslinux for BIOS, installed on /boot; libostree's own syslinux backend keeps its menu (`bootloaders/syslinux/`).

use std::collections::BTreeMap;

use super::{Boot, BootloaderError, LoaderFiles, Places, Provided, Summary};
use crate::os::Architecture;
use crate::syslinux::{self, Loader, MBR_CODE};
use crate::tree::Files;

const CONFIG: &str = include_str!("../../bootloaders/syslinux/extlinux.conf");

/// Where syslinux is installed, on /boot.
const DIRECTORY: &str = "syslinux";
/// The menu and what it links to.
const MODULES: [&str; 3] = ["libcom32.c32", "libutil.c32", "menu.c32"];
/// Distributions' directories; Debian, Arch, Fedora.
const INSTALLERS: [&str; 4] = ["usr/bin/extlinux", "usr/sbin/extlinux", "usr/bin/syslinux", "usr/sbin/syslinux"];
const MODULE_PLACES: [&str; 3] = ["usr/lib/syslinux/modules/bios", "usr/lib/syslinux/bios", "usr/share/syslinux"];
const MBR_PLACES: [&str; 4] =
    ["usr/lib/syslinux/mbr", "usr/lib/EXTLINUX", "usr/lib/syslinux/bios", "usr/share/syslinux"];
const LIMIT: u64 = 16 << 20;

/// Everything that is installed, all from one place: parts of two versions do not work together.
pub struct Syslinux {
    loader: Loader,
    modules: BTreeMap<String, Vec<u8>>,
    mbr: [u8; MBR_CODE],
    sources: Vec<String>,
    place: String,
}

/// What the disk's writer needs once it knows where the filesystem's blocks are.
#[derive(Clone, Debug)]
pub struct SyslinuxCode {
    pub loader: Loader,
    pub mbr: [u8; MBR_CODE],
    /// From the root of /boot.
    pub directory: String,
}

/// One file and where it came from.
struct Found {
    source: String,
    bytes: Vec<u8>,
}

impl Syslinux {
    /// From the image, else from the directory that the user gives.
    pub fn choose(
        architecture: Architecture,
        image: &Files<'_>,
        provided: Option<&Provided>,
        places: Places,
    ) -> Result<Syslinux, BootloaderError> {
        if architecture != Architecture::X86_64 {
            return Err(BootloaderError::NoBios(architecture));
        }
        let mbr = if places.dos { "mbr.bin" } else { "gptmbr.bin" };
        let in_image = |name: &str| find_in_image(image, name);
        match (Syslinux::collect(mbr, "the image", &in_image)?, provided) {
            (Ok(syslinux), _) => Ok(syslinux),
            (Err(missing), None) => Err(BootloaderError::NoSyslinux { missing }),
            (Err(_), Some(provided)) => {
                let place = provided.directory().display().to_string();
                let in_directory = |name: &str| find_provided(provided, name);
                Syslinux::collect(mbr, &place, &in_directory)?
                    .map_err(|missing| BootloaderError::NoSyslinuxProvided { missing, directory: place })
            }
        }
    }

    /// Asks for every file; says which are missing.
    fn collect(
        mbr: &str,
        place: &str,
        find: &dyn Fn(&str) -> Result<Option<Found>, BootloaderError>,
    ) -> Result<Result<Syslinux, String>, BootloaderError> {
        let mut missing = Vec::new();
        let mut sources = Vec::new();
        let mut take = |name: &str| {
            let found = find(name)?;
            match found {
                Some(Found { source, bytes }) => {
                    sources.push(source);
                    Ok::<_, BootloaderError>(bytes)
                }
                None => {
                    missing.push(name.to_owned());
                    Ok(Vec::new())
                }
            }
        };
        let installer = take("extlinux")?;
        let code = take(mbr)?;
        let mut modules = BTreeMap::new();
        for name in MODULES {
            modules.insert(name.to_owned(), take(name)?);
        }
        if !missing.is_empty() {
            return Ok(Err(missing.join(", ")));
        }
        let loader = Loader::carve(&installer)?;
        modules.insert("ldlinux.c32".to_owned(), loader.ldlinux_c32.clone());
        let mbr = syslinux::mbr_code(mbr, &code)?;
        Ok(Ok(Syslinux { loader, modules, mbr, sources, place: place.to_owned() }))
    }

    /// Files of /boot, with the first menu as libostree writes it.
    pub fn files(&self, boot: &Boot<'_>) -> LoaderFiles {
        let mut files = BTreeMap::from([
            (format!("{DIRECTORY}/extlinux.conf"), CONFIG.into()),
            ("loader.1/syslinux.cfg".to_owned(), boot.syslinux_entry().into_bytes()),
        ]);
        for (name, bytes) in &self.modules {
            files.insert(format!("{DIRECTORY}/{name}"), bytes.clone());
        }
        // By this link libostree tells that there is syslinux, and finds the menu that it replaces.
        let links = BTreeMap::from([(format!("{DIRECTORY}/syslinux.cfg"), "../loader/syslinux.cfg".to_owned())]);
        let code = SyslinuxCode { loader: self.loader.clone(), mbr: self.mbr, directory: format!("/{DIRECTORY}") };
        LoaderFiles {
            boot: files,
            boot_links: links,
            syslinux: Some(code),
            summary: self.summary(),
            ..LoaderFiles::default()
        }
    }

    /// Why this one, for people.
    pub fn reason(&self) -> String {
        format!("syslinux {} from {}; libostree keeps its menu", self.loader.version(), self.place)
    }

    fn summary(&self) -> Summary {
        Summary {
            loader: "syslinux".to_owned(),
            files: self.sources.clone(),
            secure_boot: false,
            firmware: "BIOS only".to_owned(),
            reason: self.reason(),
        }
    }
}

fn find_in_image(image: &Files<'_>, name: &str) -> Result<Option<Found>, BootloaderError> {
    let below = |places: &[&str]| places.iter().map(|place| format!("{place}/{name}")).collect::<Vec<_>>();
    let paths = match name {
        "extlinux" => INSTALLERS.map(str::to_owned).to_vec(),
        name if name.ends_with(".bin") => below(&MBR_PLACES),
        _ => below(&MODULE_PLACES),
    };
    for path in paths {
        if let Some(bytes) = image.read(&path, LIMIT)? {
            return Ok(Some(Found { source: path, bytes }));
        }
    }
    Ok(None)
}

/// Modules for UEFI have the names of those for BIOS; the latter are 32-bit ELF files.
fn find_provided(provided: &Provided, name: &str) -> Result<Option<Found>, BootloaderError> {
    let found = match name {
        "extlinux" => match provided.find("extlinux", |_| true)? {
            None => provided.find("syslinux", |bytes| bytes.starts_with(b"\x7fELF"))?,
            found => found,
        },
        name if name.ends_with(".c32") => provided.find(name, |bytes| bytes.starts_with(b"\x7fELF\x01"))?,
        name => provided.find(name, |_| true)?,
    };
    Ok(found.map(|(path, bytes)| Found { source: path.display().to_string(), bytes }))
}
