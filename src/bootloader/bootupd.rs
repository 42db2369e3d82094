//! What bootupd finds on a machine that it installed: its payload on the ESP, its static configuration, and the record of
//! both, so that `bootupctl` updates the loader later (bootupd 0.2: `model.rs`, `grubconfigs.rs`, `efi.rs`).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use super::BootloaderError;
use crate::tree::Files;

const UPDATES: &str = "usr/lib/bootupd/updates";
const COMPONENTS: &str = "usr/lib/efi";
const STATIC_CONFIGS: &str = "usr/lib/bootupd/grub2-static";
/// The largest file of a payload; a few megabytes are usual.
const LIMIT: u64 = 64 << 20;
/// Directories of a payload: EFI/VENDOR.
const DEPTH: u32 = 4;
/// `grub-editenv create`: a header in 1024 bytes.
const GRUBENV: &str = "# GRUB Environment Block\n";
const GRUBENV_BYTES: usize = 1024;

/// What an image brings for bootupd.
pub struct Bootupd {
    /// By path below EFI/ on the ESP.
    payload: BTreeMap<String, Vec<u8>>,
    /// The directory of shim and GRUB below EFI/.
    vendor: String,
    /// `EFI.json` and `BIOS.json`, as they are.
    efi: Value,
    bios: Option<Value>,
    configs: Option<StaticConfigs>,
}

/// GRUB's configuration as bootupd puts it together.
struct StaticConfigs {
    menu: String,
    stub: String,
}

impl Bootupd {
    /// Nothing when the image has no payload that says which version it is.
    pub fn find(image: &Files<'_>, efi_suffix: &str) -> Result<Option<Bootupd>, BootloaderError> {
        let Some(efi) = metadata(image, "EFI")? else { return Ok(None) };
        let payload = payload(image)?;
        let shim = format!("/shim{efi_suffix}.efi");
        let vendor = payload.keys().filter_map(|path| path.strip_suffix(&shim)).find(|vendor| *vendor != "BOOT");
        let Some(vendor) = vendor.map(str::to_owned) else { return Ok(None) };
        starts_by_itself(&payload, efi_suffix)?;
        let bios = metadata(image, "BIOS")?;
        Ok(Some(Bootupd { payload, vendor, efi, bios, configs: static_configs(image)? }))
    }

    /// The payload, and the configuration beside it: bootupd's own where GRUB has the command `blscfg`, which it uses, and where
    /// the image brings it; else `stub`.
    pub fn esp(&self, blscfg: bool, boot_uuid: &str, stub: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut esp: BTreeMap<String, Vec<u8>> =
            self.payload.iter().map(|(path, bytes)| (format!("EFI/{path}"), bytes.clone())).collect();
        let at = |name: &str| format!("EFI/{}/{name}", self.vendor);
        match self.configs.as_ref().filter(|_| blscfg) {
            Some(configs) => {
                esp.insert(at("grub.cfg"), configs.stub.clone().into_bytes());
                esp.insert(at("bootuuid.cfg"), boot_uuid_config(boot_uuid).into_bytes());
            }
            None => {
                esp.insert(at("grub.cfg"), stub.to_vec());
            }
        }
        esp
    }

    /// Files of /boot; `menu` is ours, for a GRUB that bootupd's does not fit.
    pub fn boot(&self, blscfg: bool, boot_uuid: &str, menu: String, installs_bios: bool) -> BTreeMap<String, Vec<u8>> {
        let configs = self.configs.as_ref().filter(|_| blscfg);
        let mut boot =
            BTreeMap::from([("bootupd-state.json".to_owned(), self.state(configs.is_some(), installs_bios))]);
        let menu = match configs {
            Some(configs) => {
                boot.insert("grub2/bootuuid.cfg".to_owned(), boot_uuid_config(boot_uuid).into_bytes());
                configs.menu.clone()
            }
            None => menu,
        };
        boot.insert("grub2/grub.cfg".to_owned(), menu.into_bytes());
        boot.insert("grub2/grubenv".to_owned(), grubenv());
        boot
    }

    /// For people.
    pub fn reason(&self) -> String {
        let version = self.efi["version"].as_str().unwrap_or_default();
        format!("the image brings bootupd's payload {version}, which `bootupctl` keeps up to date on the machine")
    }

    /// `/boot/bootupd-state.json`. bootupd refuses keys that it does not know.
    fn state(&self, static_configs: bool, installs_bios: bool) -> Vec<u8> {
        let children = self.payload.iter().map(|(path, bytes)| {
            let sha512: String = Sha512::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let size = bytes.len() as u64; // usize is at most 64 bits
            (path.as_str(), FileMetadata { size, sha512: format!("sha512:{sha512}") })
        });
        let efi = Installed {
            meta: &self.efi,
            filetree: Some(FileTree { children: children.collect() }),
            adopted_from: None,
        };
        let bios = self.bios.as_ref().filter(|_| installs_bios);
        let mut installed = BTreeMap::from([("EFI", efi)]);
        installed.extend(bios.map(|meta| ("BIOS", Installed { meta, filetree: None, adopted_from: None })));
        // Says that the configuration is static; who made it when is shown and not used.
        let configs = static_configs.then(|| {
            serde_json::json!({
                "timestamp": self.efi["timestamp"],
                "version": concat!("bootwright ", env!("CARGO_PKG_VERSION")),
                "versions": null,
            })
        });
        let state = State { installed, pending: None, static_configs: configs };
        // OK to expect: strings and numbers.
        serde_json::to_vec(&state).expect("a state is JSON")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct State<'a> {
    installed: BTreeMap<&'static str, Installed<'a>>,
    pending: Option<Value>,
    static_configs: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Installed<'a> {
    meta: &'a Value,
    filetree: Option<FileTree<'a>>,
    adopted_from: Option<Value>,
}

#[derive(Serialize)]
struct FileTree<'a> {
    children: BTreeMap<&'a str, FileMetadata>,
}

#[derive(Serialize)]
struct FileMetadata {
    size: u64,
    sha512: String,
}

/// `updates/NAME.json`: an object with `timestamp` and `version`.
fn metadata(image: &Files<'_>, name: &str) -> Result<Option<Value>, BootloaderError> {
    let path = format!("{UPDATES}/{name}.json");
    let Some(text) = image.read(&path, crate::os::CONFIG_LIMIT)? else { return Ok(None) };
    let value: Option<Value> = serde_json::from_slice(&text).ok();
    let is_metadata = |value: &Value| value["timestamp"].is_string() && value["version"].is_string();
    value.filter(is_metadata).map(Some).ok_or(BootloaderError::BootupdMetadata { path })
}

/// Newer images have a directory for each package and version, `usr/lib/efi/shim/15.8/EFI`; older ones one for all.
fn payload(image: &Files<'_>) -> Result<BTreeMap<String, Vec<u8>>, BootloaderError> {
    let mut roots = Vec::new();
    for name in image.list(COMPONENTS)? {
        for version in image.list(&format!("{COMPONENTS}/{name}"))? {
            let root = format!("{COMPONENTS}/{name}/{version}/EFI");
            if image.find(&root)?.is_some_and(|id| image.tree.is_directory(id)) {
                roots.push(root);
            }
        }
    }
    if roots.is_empty() {
        roots.push(format!("{UPDATES}/EFI"));
    }
    let mut files = BTreeMap::new();
    for root in roots {
        collect(image, &root, "", DEPTH, &mut files)?;
    }
    Ok(files)
}

/// A new machine has no boot entry, so its firmware starts EFI/BOOT/BOOT….EFI. That is shim, which starts the fallback program
/// beside it, or GRUB.
fn starts_by_itself(payload: &BTreeMap<String, Vec<u8>>, efi_suffix: &str) -> Result<(), BootloaderError> {
    // FAT does not tell cases apart.
    let has = |name: String| payload.keys().any(|path| path.eq_ignore_ascii_case(&format!("BOOT/{name}")));
    if !has(format!("boot{efi_suffix}.efi")) {
        return Err(BootloaderError::BootupdNotStarted { missing: format!("BOOT{}.EFI", efi_suffix.to_uppercase()) });
    }
    if !has(format!("fb{efi_suffix}.efi")) && !has(format!("grub{efi_suffix}.efi")) {
        return Err(BootloaderError::BootupdNotStarted { missing: format!("fb{efi_suffix}.efi") });
    }
    Ok(())
}

fn collect(
    image: &Files<'_>,
    root: &str,
    below: &str,
    depth: u32,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), BootloaderError> {
    let directory = if below.is_empty() { root.to_owned() } else { format!("{root}/{below}") };
    for name in image.list(&directory)? {
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let full = format!("{root}/{path}");
        if image.is_file(&full)? {
            files.extend(image.read(&full, LIMIT)?.map(|bytes| (path, bytes)));
        } else if depth > 0 {
            collect(image, root, &path, depth - 1, files)?;
        }
    }
    Ok(())
}

/// The head, then each drop-in between marks, as `bootupctl` writes them.
fn static_configs(image: &Files<'_>) -> Result<Option<StaticConfigs>, BootloaderError> {
    let read = |name: &str| image.read_text(&format!("{STATIC_CONFIGS}/{name}"), crate::os::CONFIG_LIMIT);
    let (Some(head), Some(stub)) = (read("grub-static-pre.cfg")?, read("grub-static-efi.cfg")?) else {
        return Ok(None);
    };
    let mut menu = format!("# Generated by bootupd / do not edit\n\n{head}");
    for name in image.list(&format!("{STATIC_CONFIGS}/configs.d"))?.into_iter().filter(|name| name.ends_with(".cfg")) {
        let text = read(&format!("configs.d/{name}"))?.unwrap_or_default();
        menu.push_str(&format!("\n### BEGIN {name} ###\n{text}### END {name} ###\n"));
    }
    Ok(Some(StaticConfigs { menu, stub }))
}

fn boot_uuid_config(uuid: &str) -> String {
    format!("set BOOT_UUID=\"{uuid}\"\n")
}

fn grubenv() -> Vec<u8> {
    let mut block = GRUBENV.as_bytes().to_vec();
    block.resize(GRUBENV_BYTES, b'#');
    block
}
