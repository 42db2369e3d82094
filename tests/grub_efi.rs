//! GRUB for UEFI out of modules, beside `grub-mkimage` of the same files: the same code, data and modules, the same set of base
//! relocations. And a firmware that starts it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::mini_image::MiniImage;
use crate::support::program;
use crate::support::tar::{directory, file};
use bootwright::fat;
use bootwright::grub_efi::{Error, Machine, Parts, program};
use bootwright::grub_module;
use bootwright::smoke::{
    Accelerator, Arch, Changes, DiskFormat, Drive, Firmware, Machine as Guest, MachineConfig, Network, Regex,
};
use object::read::pe::PeFile64;
use object::{Object, ObjectSection};
use qemu_tests::oracle;

const CONFIG: &str = "search.fs_uuid 11111111-2222-3333-4444-555555555555 root\nset prefix=($root)/grub2\n";
const MODULES: [&str; 14] = [
    "part_gpt",
    "part_msdos",
    "fat",
    "ext2",
    "normal",
    "serial",
    "terminal",
    "echo",
    "search",
    "configfile",
    "linux",
    "regexp",
    "test",
    "halt",
];

/// GRUB's files for UEFI on amd64, of the host.
fn platform() -> PathBuf {
    let directory = PathBuf::from("/usr/lib/grub/x86_64-efi");
    assert!(directory.is_dir(), "{} is missing: sudo apt-get install grub-efi-amd64-bin", directory.display());
    directory
}

fn parts(platform: &Path, machine: Machine, modules: &[&str]) -> Parts {
    let read = |name: &str| fs::read(platform.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let moddep = String::from_utf8(read("moddep.lst")).unwrap();
    let names = grub_module::in_order(&moddep, modules);
    let modules = names.iter().map(|name| read(&format!("{name}.mod"))).collect();
    Parts { machine, kernel: read("kernel.img"), modules }
}

fn mkimage(platform: &Path, format: &str) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let (config, image) = (place.path().join("config"), place.path().join("image"));
    fs::write(&config, CONFIG).unwrap();
    let mut args = vec!["-O", format, "-p", "/grub2", "-d", platform.to_str().unwrap()];
    args.extend(["-c", config.to_str().unwrap(), "-o", image.to_str().unwrap()]);
    args.extend(MODULES);
    oracle::agrees(&oracle::tool("grub-mkimage", "grub-common"), args);
    fs::read(image).unwrap()
}

/// Addresses of the base relocations, all of 64 bits.
fn based(file: &PeFile64<'_>, bytes: &[u8]) -> BTreeSet<u32> {
    let sections = file.section_table();
    let mut blocks = file.data_directories().relocation_blocks(bytes, &sections).unwrap().unwrap();
    let mut found = BTreeSet::new();
    while let Some(block) = blocks.next().unwrap() {
        found.extend(block.filter(|relocation| relocation.typ.0 == 10).map(|relocation| relocation.virtual_address));
    }
    found
}

fn equals_grub_mkimages(platform: &Path, machine: Machine, format: &str) {
    let ours = program(&parts(platform, machine, &MODULES), CONFIG, "/grub2").unwrap();
    let theirs = mkimage(platform, format);
    let (our_file, their_file) = (PeFile64::parse(&*ours).unwrap(), PeFile64::parse(&*theirs).unwrap());
    for name in [".text", ".data", "mods"] {
        let [ours, theirs] = [&our_file, &their_file].map(|file| {
            let section = file.section_by_name(name).unwrap();
            (section.address(), section.data().unwrap().to_vec())
        });
        assert!(ours == theirs, "{format}: section {name} differs");
    }
    assert_eq!(our_file.entry(), their_file.entry());
    assert_eq!(based(&our_file, &ours), based(&their_file, &theirs));
}

#[test]
fn code_data_modules_and_relocations_are_grub_mkimages() {
    equals_grub_mkimages(&platform(), Machine::X86_64, "x86_64-efi");
}

/// Debian has GRUB for arm64 as a package for arm64 alone, which is unpacked and not installed.
#[test]
fn for_arm64_they_are_grub_mkimages_too() {
    let package = qemu_tests::package("grub-efi-arm64-bin", qemu_tests::Suite::Trixie, qemu_tests::Architecture::Arm64);
    let (package, place) = (package.unwrap(), tempfile::tempdir().unwrap());
    let args = ["-xf".as_ref(), package.as_os_str(), "-C".as_ref(), place.path().as_os_str()];
    oracle::agrees(&oracle::tool("tar", "tar"), args.into_iter().chain(["./usr/lib/grub/arm64-efi".as_ref()]));
    equals_grub_mkimages(&place.path().join("usr/lib/grub/arm64-efi"), Machine::Aarch64, "arm64-efi");
}

#[test]
fn kernels_that_are_cut_or_for_another_processor_are_refused() {
    let good = parts(&platform(), Machine::X86_64, &["normal"]);
    let other = Parts { machine: Machine::Aarch64, ..good.clone() };
    assert_eq!(program(&other, "", ""), Err(Error::WrongMachine(Machine::Aarch64)));
    for len in (0..good.kernel.len()).step_by(211) {
        let cut = Parts { kernel: good.kernel[..len].to_vec(), ..good.clone() };
        assert!(program(&cut, "", "").is_err(), "{len}");
    }
    // A changed byte anywhere is an error or another program, never a panic.
    for at in (0..good.kernel.len()).step_by(397) {
        let mut kernel = good.kernel.clone();
        kernel[at] ^= 0xff;
        let _ = program(&Parts { kernel, ..good.clone() }, "", "");
    }
}

#[test]
fn firmware_starts_it_and_it_runs_its_configuration() {
    let place = tempfile::tempdir().unwrap();
    let config = "serial --unit=0\nterminal_output serial\necho built from modules\nhalt\n";
    let program = program(&parts(&platform(), Machine::X86_64, &MODULES), config, "/grub2").unwrap();
    let options =
        fat::Options { size: 64 << 20, volume_id: 1, label: "ESP".to_owned(), time: 1_760_000_000, hidden_sectors: 0 };
    let file = fat::File { path: "EFI/BOOT/BOOTX64.EFI".to_owned(), bytes: program.as_slice().into() };
    let disk = place.path().join("esp.raw");
    let mut bytes = vec![0; 64 << 20];
    for extent in fat::image(&options, &[file]).unwrap() {
        let at = usize::try_from(extent.at).unwrap();
        bytes[at..at + extent.bytes.len()].copy_from_slice(&extent.bytes);
    }
    fs::write(&disk, bytes).unwrap();
    oracle::tool("qemu-system-x86_64", "qemu-system-x86 ovmf");
    let mut guest = Guest::start(&MachineConfig {
        arch: Arch::X86_64,
        firmware: Firmware::Uefi,
        accelerator: Accelerator::Tcg,
        memory_mib: 512,
        drives: vec![Drive { path: disk, format: DiskFormat::Raw, changes: Changes::Discarded { grow_to: None } }],
        network: Network::Isolated,
        shell_console: false,
        extra_args: Vec::new(),
        log: None,
    })
    .unwrap_or_else(|error| panic!("{error}\n(sudo apt-get install qemu-system-x86 ovmf)"));
    let seen = Regex::new("built from modules").unwrap();
    guest.console().expect(&seen, Duration::from_secs(120)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_build_makes_it_where_the_image_has_modules_and_no_program() {
    let mut entries = vec![directory("usr/lib/grub"), directory("usr/lib/grub/x86_64-efi")];
    for entry in fs::read_dir(platform()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".mod") || name == "kernel.img" || name == "moddep.lst" {
            entries.push(file(&format!("usr/lib/grub/x86_64-efi/{name}"), fs::read(platform().join(&name)).unwrap()));
        }
    }
    let place = tempfile::tempdir().unwrap();
    let image = MiniImage::bootable().without("usr/lib/grub").without("usr/lib/shim").with(entries);
    let image = image.write(&place.path().join("image"));
    let mut command = program::build(&image.reference(), &place.path().join("plan"));
    let plan = program::succeed(command.args(["--dry-run", "--format", "json"])).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let loader = &plan["bootloader"];
    assert_eq!((&loader["loader"], &loader["secure_boot"]), (&"grub".into(), &false.into()));
    let reason = loader["reason"].as_str().unwrap();
    assert!(reason.contains("built from the image's own modules in usr/lib/grub/x86_64-efi"), "{reason}");
}
