//! GRUB for BIOS, beside what Debian's own grub-mkimage makes of the same modules.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::disk;
use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::program;
use crate::support::tar::{directory, file};
use bootwright::grub_pc::{self, Parts};
use qemu_tests::oracle;

const PLATFORM: &str = "/usr/lib/grub/i386-pc";
const MODULES: [&str; 6] = ["biosdisk", "part_gpt", "ext2", "normal", "search_fs_uuid", "linux"];
const CONFIG: &str = "search.fs_uuid 2222 root\nset prefix=($root)/grub2\n";

fn platform_file(name: &str) -> Vec<u8> {
    let path = Path::new(PLATFORM).join(name);
    fs::read(&path).unwrap_or_else(|_| panic!("{} is missing: sudo apt-get install grub-pc-bin", path.display()))
}

fn parts() -> Parts {
    let moddep = String::from_utf8(platform_file("moddep.lst")).unwrap();
    let names = bootwright::grub_module::in_order(&moddep, &MODULES);
    Parts {
        kernel: platform_file("kernel.img"),
        diskboot: platform_file("diskboot.img"),
        decompressor: platform_file("lzma_decompress.img"),
        modules: names.iter().map(|name| platform_file(&format!("{name}.mod"))).collect(),
    }
}

/// core.img by grub-mkimage.
fn theirs(directory: &Path) -> PathBuf {
    let (config, image) = (directory.join("config"), directory.join("theirs.img"));
    fs::write(&config, CONFIG).unwrap();
    let arguments = [
        "-O",
        "i386-pc",
        "-d",
        PLATFORM,
        "-c",
        config.to_str().unwrap(),
        "-p",
        "/grub2",
        "-o",
        image.to_str().unwrap(),
    ];
    oracle::agrees(&oracle::tool("grub-mkimage", "grub-common"), arguments.iter().chain(&MODULES));
    image
}

/// What is compressed in a core.img, taken out by Python's lzma.
fn inflated(image: &Path) -> Vec<u8> {
    let script = "import lzma, struct, sys\n\
        image = open(sys.argv[1], 'rb').read(); skip = 512 + int(sys.argv[2])\n\
        packed, size = struct.unpack_from('<II', image, 512 + 8)\n\
        filters = [dict(id=lzma.FILTER_LZMA1, dict_size=1 << 16, lc=3, lp=0, pb=2)]\n\
        stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)\n\
        open(sys.argv[1] + '.raw', 'wb').write(stream.decompress(image[skip:skip + packed], size))\n";
    let skip = platform_file("lzma_decompress.img").len().to_string();
    oracle::agrees(&oracle::tool("python3", "python3"), ["-c", script, image.to_str().unwrap(), &skip]);
    fs::read(image.with_extension("img.raw")).unwrap()
}

#[test]
fn what_is_in_core_img_is_byte_for_byte_what_grub_mkimage_puts_there() {
    let scratch = tempfile::tempdir().unwrap();
    let (theirs, ours) = (theirs(scratch.path()), scratch.path().join("ours.img"));
    let parts = parts();
    fs::write(&ours, grub_pc::core_image(&parts, CONFIG, "/grub2").unwrap()).unwrap();
    let payload = grub_pc::payload(&parts, CONFIG, "/grub2").unwrap();
    assert!(payload == inflated(&theirs), "the payload");
    assert!(payload == inflated(&ours), "the payload after compression");
    // The sector that loads the rest and the decompressor, but for the sizes in them.
    let (theirs, ours) = (fs::read(theirs).unwrap(), fs::read(ours).unwrap());
    let skip = |image: &[u8]| [&image[..0x1fc], &image[0x1fe..512 + 8], &image[512 + 16..512 + 2000]].concat();
    assert!(skip(&theirs) == skip(&ours));
    assert!(ours.len() <= theirs.len() + 8192, "{} bytes, grub-mkimage {}", ours.len(), theirs.len());
}

#[test]
fn files_that_are_none_of_grubs_are_refused() {
    let good = parts();
    let with = |change: fn(&mut Parts)| {
        let mut parts = good.clone();
        change(&mut parts);
        grub_pc::core_image(&parts, CONFIG, "/grub2").unwrap_err().to_string()
    };
    assert!(with(|parts| parts.kernel.truncate(100)).contains("kernel.img"));
    assert!(with(|parts| parts.kernel = b"no ELF".to_vec()).contains("kernel.img"));
    assert!(with(|parts| parts.diskboot.truncate(511)).contains("diskboot.img"));
    assert!(with(|parts| parts.decompressor = vec![0; 8192]).contains("lzma_decompress.img"));
    let mut random = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random.to_be_bytes()[0]
    })
    .take(600_000)
    .collect();
    let large = Parts { modules: vec![noise], ..good.clone() };
    assert!(grub_pc::core_image(&large, CONFIG, "/grub2").unwrap_err().to_string().contains("GRUB's loader takes"));
    for len in (0..good.kernel.len()).step_by(97) {
        let _ = grub_pc::payload(&Parts { kernel: good.kernel[..len].to_vec(), ..good.clone() }, CONFIG, "/grub2");
    }
}

/// The mini system with GRUB's platform files.
fn with_grub_for_bios() -> MiniImage {
    let mut entries = vec![directory("usr/lib/grub/i386-pc")];
    for entry in fs::read_dir(PLATFORM).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".mod") || name.ends_with(".img") || name == "moddep.lst" {
            entries.push(file(&format!("usr/lib/grub/i386-pc/{name}"), platform_file(&name)));
        }
    }
    MiniImage::bootable().with(entries)
}

#[test]
fn a_disk_has_the_boot_code_where_bios_and_gpt_look_for_it() {
    let place = tempfile::tempdir().unwrap();
    let image = with_grub_for_bios().write(&place.path().join("image"));
    let layout = small_partitions(place.path());
    let disks = disk::build_into(&image.reference(), place.path(), &["--layout", &layout, "--no-checksums"]);
    assert_eq!(disks.manifest()["bootloader"]["firmware"], "BIOS and UEFI");
    oracle::agrees(&oracle::tool("sgdisk", "gdisk"), ["-v", disks.raw.to_str().unwrap()]);
    let raw = fs::read(&disks.raw).unwrap();
    let at = disk::partition_named(&disks.raw, "bios").at;
    assert_eq!(raw[0x5c..0x64], (at / 512).to_le_bytes());
    assert_eq!((raw[510], raw[511], raw[450]), (0x55, 0xaa, 0xee), "the protective entry is still there");
    // `file` knows GRUB's boot sector and core.img by their code.
    let said = oracle::agrees(&oracle::tool("file", "file"), ["-b", disks.raw.to_str().unwrap()]);
    assert!(said.contains("DOS/MBR boot sector") || said.contains("GRUB"), "{said}");
    let mut inspect = program::bootwright();
    let text = program::succeed(inspect.arg("inspect").arg(&disks.raw)).stdout;
    assert!(text.contains("Firmware: BIOS and UEFI"), "{text}");
}

#[test]
fn an_image_without_grub_for_bios_says_why_its_disk_starts_by_uefi_only() {
    let place = tempfile::tempdir().unwrap();
    let bootloader = |image: MiniImage, name: &str| {
        let image = image.write(&place.path().join(name));
        let mut command = program::build(&image.reference(), &place.path().join("plan"));
        let plan = program::succeed(command.args(["--dry-run", "--format", "json"])).stdout;
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        let text = |key: &str| plan["bootloader"][key].as_str().unwrap().to_owned();
        (text("firmware"), text("reason"))
    };
    let (firmware, reason) = bootloader(MiniImage::bootable(), "none");
    assert!(firmware == "UEFI only" && reason.contains("no GRUB for BIOS"), "{reason}");
    let lacking = with_grub_for_bios().with([file("usr/lib/grub/i386-pc/.wh.regexp.mod", "")]);
    let (firmware, reason) = bootloader(lacking, "lacking");
    assert!(firmware == "UEFI only" && reason.contains("lacks the module `regexp`"), "{reason}");
}
