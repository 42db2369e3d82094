//! EFI programs that an image brings, found by place and told apart by what is in them, not by the distribution's name.

use object::pe;
use object::read::pe::PeFile64;
use object::{LittleEndian, Object, ObjectSection};

use super::Architecture;
use crate::tree::{Files, InodeId, Kind, ReadError};

/// Where distributions keep their EFI programs; an earlier place is preferred over a later one.
const ROOTS: [&str; 8] = [
    "usr/lib/efi",
    "usr/lib/bootupd/updates/EFI",
    "usr/lib/ostree-boot/efi/EFI",
    "usr/lib/shim",
    "usr/lib/grub",
    "usr/share/efi",
    "usr/lib/systemd/boot/efi",
    "usr/share/grub2",
];

/// Directories below a root are searched this deep; the deepest place known is usr/lib/efi/shim/VERSION/EFI/VENDOR.
const DEPTH: u32 = 5;

/// The largest EFI program read. Shim and GRUB are one to five megabytes.
const LIMIT: u64 = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EfiRole {
    Shim,
    MokManager,
    /// GRUB with what is built into it: the directory it looks for `grub.cfg` in (may be empty: beside itself), and its modules.
    Grub {
        prefix: String,
        modules: Vec<String>,
    },
    SystemdBoot,
}

#[derive(Clone, Debug)]
pub struct EfiBinary {
    /// Path in the image, for people.
    pub path: String,
    pub inode: InodeId,
    pub role: EfiRole,
    /// Whether it carries an Authenticode signature. Whose, the firmware decides.
    pub signed: bool,
}

/// A search through the EFI programs of an image.
pub trait EfiSearch {
    /// The first program that `wanted` accepts, signed ones before unsigned ones.
    fn best(&self, wanted: impl Fn(&EfiRole) -> bool) -> Option<&EfiBinary>;
}

impl EfiSearch for [EfiBinary] {
    fn best(&self, wanted: impl Fn(&EfiRole) -> bool) -> Option<&EfiBinary> {
        let matching = || self.iter().filter(|binary| wanted(&binary.role));
        matching().find(|binary| binary.signed).or_else(|| matching().next())
    }
}

/// Whether [`find`] reads the file at `path`.
pub fn reads(path: &str) -> bool {
    let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    ROOTS.into_iter().any(below) && path.rsplit('/').next().is_some_and(is_efi_name)
}

/// Where GRUB's files for a platform (`i386-pc`, `x86_64-efi`) are: Debian, Fedora, openSUSE and Arch agree but for `usr/lib`
/// and `usr/share`.
pub fn grub_platform(files: &Files<'_>, platform: &str) -> Result<Option<String>, ReadError> {
    for place in ["usr/lib/grub", "usr/share/grub2"].map(|root| format!("{root}/{platform}")) {
        if files.find(&format!("{place}/kernel.img"))?.is_some() {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Every EFI program of this architecture below the known places, in order of preference.
pub fn find(files: &Files<'_>, architecture: Architecture) -> Result<Vec<EfiBinary>, ReadError> {
    let mut binaries = Vec::new();
    for root in ROOTS {
        search(files, root, DEPTH, architecture, &mut binaries)?;
    }
    Ok(binaries)
}

fn search(
    files: &Files<'_>,
    directory: &str,
    depth: u32,
    architecture: Architecture,
    found: &mut Vec<EfiBinary>,
) -> Result<(), ReadError> {
    let Some(here) = files.find(directory)? else { return Ok(()) };
    for name in files.list(directory)? {
        let path = format!("{directory}/{name}");
        // Links may lead to programs, but not to directories: a link to `.` would be walked without end.
        let own = files.tree.child(here, name.as_bytes()).is_some_and(|id| files.tree.is_directory(id));
        let Ok(Some(inode)) = files.find(&path) else { continue };
        match &files.tree.inode(inode).kind {
            Kind::Directory(_) if own && depth > 0 => search(files, &path, depth - 1, architecture, found)?,
            Kind::Regular(data) if is_efi_name(&name) && data.len() <= LIMIT => {
                let bytes = files.read(&path, LIMIT)?.unwrap_or_default();
                found.extend(classify(&bytes, architecture).map(|(role, signed)| EfiBinary {
                    path,
                    inode,
                    role,
                    signed,
                }));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_efi_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".latest").unwrap_or(&name);
    name.ends_with(".efi") || name.ends_with(".efi.signed")
}

/// The architecture that an EFI program is for.
pub fn efi_machine(bytes: &[u8]) -> Option<Architecture> {
    Some(match PeFile64::parse(bytes).ok()?.architecture() {
        object::Architecture::X86_64 => Architecture::X86_64,
        object::Architecture::Aarch64 => Architecture::Aarch64,
        object::Architecture::Riscv64 => Architecture::Riscv64,
        _ => return None,
    })
}

/// Whether an EFI program carries an Authenticode signature.
pub fn is_signed(bytes: &[u8]) -> bool {
    PeFile64::parse(bytes).is_ok_and(|file| has_certificates(&file))
}

fn has_certificates(file: &PeFile64<'_>) -> bool {
    let certificates = file.data_directories().get(pe::IMAGE_DIRECTORY_ENTRY_SECURITY);
    certificates.is_some_and(|directory| directory.size.get(LittleEndian) > 0)
}

/// How systemd-boot names itself, for bootctl (`boot.c`, `_used_ _section_(".sdmagic")`). Until systemd 254 the programs for arm64 had
/// no sections of their own.
pub const SYSTEMD_BOOT: &[u8] = b"#### LoaderInfo: systemd-boot ";

/// What an EFI program is; `None` for what is none of ours, for another architecture, and for what cannot be read.
fn classify(bytes: &[u8], architecture: Architecture) -> Option<(EfiRole, bool)> {
    let file = PeFile64::parse(bytes).ok()?;
    if efi_machine(bytes) != Some(architecture) {
        return None;
    }
    let signed = has_certificates(&file);
    let section = |name: &str| file.section_by_name(name).and_then(|section| section.data().ok());
    let role = if let Some(mods) = section("mods") {
        let (prefix, modules) = grub_modules(mods)?;
        EfiRole::Grub { prefix, modules }
    } else if contains(section(".sdmagic").unwrap_or(bytes), SYSTEMD_BOOT) {
        EfiRole::SystemdBoot
    } else {
        // All of shim's programs carry an SBAT line of the component `shim`; only shim itself brings the vendor's certificate along.
        let sbat = section(".sbat").is_some_and(|sbat| contains(sbat, b"\nshim,"));
        match (sbat, section(".vendor_cert").is_some()) {
            (true, true) => EfiRole::Shim,
            (true, false) if contains(bytes, &wide("Perform MOK management")) => EfiRole::MokManager,
            _ => return None,
        }
    };
    Some((role, signed))
}

/// Prefix and module names out of GRUB's `mods` section: a header {magic, pad, offset, size}, then objects of
/// {type u32, size u32, bytes} at multiples of 8; type 0 is a module (ELF64), type 3 the prefix.
fn grub_modules(section: &[u8]) -> Option<(String, Vec<String>)> {
    const MAGIC: u32 = 0x676d_696d;
    let word = |at: usize| Some(u32::from_le_bytes(section.get(at..at.checked_add(4)?)?.try_into().ok()?));
    if word(0)? != MAGIC {
        return None;
    }
    let (mut prefix, mut modules) = (String::new(), Vec::new());
    let mut at = usize::try_from(word(8)?).ok()?;
    let end = usize::try_from(word(16)?).ok()?.min(section.len());
    while at + 8 <= end {
        let size = usize::try_from(word(at + 4)?).ok()?;
        let object = section.get(at + 8..at.checked_add(size)?.min(end))?;
        match word(at)? {
            0 => modules.extend(module_name(object)),
            3 => prefix = text_before_nul(object),
            _ => {}
        }
        at = at.checked_add(size.max(8))?.next_multiple_of(8);
    }
    Some((prefix, modules))
}

fn module_name(elf: &[u8]) -> Option<String> {
    let file = object::File::parse(elf).ok()?;
    Some(text_before_nul(file.section_by_name(".modname")?.data().ok()?))
}

fn text_before_nul(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
