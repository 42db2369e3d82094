//! An image laid out as Fedora lays it out, with Debian's programs in it: what bootupd would have left on the disk.

use std::fs;
use std::path::Path;

use crate::support;
use crate::support::disk;
use crate::support::mini_image::{MiniImage, small_partitions};
use crate::support::program;
use crate::support::tar::{Entry, Kind, directory, file};
use qemu_tests::oracle::{agrees, tool};
use serde_json::{Value, json};

const META: &str = r#"{"timestamp":"2025-08-20T08:48:03.555492819Z","version":"grub2-1:2.12-41.fc44,shim-15.8-4","versions":[{"name":"grub2","rpm_evr":"1:2.12-41.fc44"}]}"#;

/// The mini system's own programs, moved to where a payload has them.
fn fedora(newer: bool) -> MiniImage {
    let base = MiniImage::bootable();
    let program = |path: &str| {
        let entry = support::mini_image::base().into_iter().find(|entry| entry.path == path).unwrap();
        match entry.kind {
            Kind::File(bytes) => bytes,
            other => panic!("{path}: {other:?}"),
        }
    };
    let shim = program("usr/lib/shim/shimx64.efi.signed");
    let grub = program("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed");
    let (shim_root, grub_root) = match newer {
        true => ("usr/lib/efi/shim/15.8-4/EFI", "usr/lib/efi/grub2/1:2.12-41.fc44/EFI"),
        false => ("usr/lib/bootupd/updates/EFI", "usr/lib/bootupd/updates/EFI"),
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut directories: Vec<String> = Vec::new();
    for path in [format!("{shim_root}/BOOT/x"), format!("{shim_root}/debian/x"), format!("{grub_root}/debian/x")]
        .into_iter()
        .chain(["usr/lib/bootupd/updates/x".into(), "usr/lib/bootupd/grub2-static/configs.d/x".into()])
    {
        for (at, _) in path.match_indices('/').skip(1) {
            if !directories.contains(&path[..at].to_owned()) {
                directories.push(path[..at].to_owned());
            }
        }
    }
    entries.extend(directories.iter().map(|path| directory(path)));
    entries.extend([
        file(&format!("{shim_root}/BOOT/BOOTX64.EFI"), shim.clone()),
        file(&format!("{shim_root}/BOOT/fbx64.efi"), "the fallback program"),
        file(&format!("{shim_root}/debian/shimx64.efi"), shim),
        file(&format!("{shim_root}/debian/BOOTX64.CSV"), "csv"),
        file(&format!("{grub_root}/debian/grubx64.efi"), grub),
        file("usr/lib/bootupd/updates/EFI.json", META),
        file("usr/lib/bootupd/updates/BIOS.json", META),
        file("usr/lib/bootupd/grub2-static/grub-static-pre.cfg", "# head\n"),
        file("usr/lib/bootupd/grub2-static/grub-static-efi.cfg", "# stub\n"),
        file("usr/lib/bootupd/grub2-static/configs.d/10_blscfg.cfg", "blscfg\n"),
    ]);
    base.without("usr/lib/shim").without("usr/lib/grub").with(entries)
}

/// All files of a FAT partition below a directory.
fn esp_files(esp: &Path, to: &Path) -> Vec<String> {
    fs::create_dir(to).unwrap();
    agrees(&tool("mcopy", "mtools"), ["-snQ", "-i", esp.to_str().unwrap(), "::/*", to.to_str().unwrap()]);
    program::files_below(to)
}

#[test]
fn the_payload_lies_on_the_esp_and_the_state_says_what_it_is() {
    for newer in [true, false] {
        let place = tempfile::tempdir().unwrap();
        let image = fedora(newer).write(&place.path().join("image"));
        let layout = small_partitions(place.path());
        let disks = disk::build_into(&image.reference(), place.path(), &["--layout", &layout, "--no-checksums"]);
        let copied = place.path().join("esp");
        let files = esp_files(&disks.cut("EFI-SYSTEM"), &copied);
        // Debian's GRUB has no blscfg: our stub and script, where its prefix says.
        assert_eq!(
            files,
            [
                "EFI/BOOT/BOOTX64.EFI",
                "EFI/BOOT/fbx64.efi",
                "EFI/debian/BOOTX64.CSV",
                "EFI/debian/grub.cfg",
                "EFI/debian/grubx64.efi",
                "EFI/debian/shimx64.efi"
            ]
        );
        let boot = disks.cut("boot");
        let debugfs = |path: &str| {
            let out = place.path().join("out");
            let request = format!("dump {path} {}", out.display());
            agrees(&tool("debugfs", "e2fsprogs"), ["-R", &request, boot.to_str().unwrap()]);
            fs::read(out).unwrap()
        };
        let state: Value = serde_json::from_slice(&debugfs("/bootupd-state.json")).unwrap();
        let keys: Vec<_> = state.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["installed", "pending", "static-configs"], "bootupd takes no others");
        let efi = &state["installed"]["EFI"];
        assert_eq!(efi["meta"], serde_json::from_str::<Value>(META).unwrap());
        assert_eq!(efi["adopted-from"], Value::Null);
        let children = efi["filetree"]["children"].as_object().unwrap();
        assert_eq!(children.len(), 5);
        for (path, file) in children {
            let bytes = copied.join("EFI").join(path);
            let said = agrees(&tool("sha512sum", "coreutils"), [bytes.to_str().unwrap()]);
            let sum = said.split_whitespace().next().unwrap();
            assert_eq!(
                file,
                &json!({ "size": fs::metadata(&bytes).unwrap().len(), "sha512": format!("sha512:{sum}") })
            );
        }
        assert_eq!((&state["static-configs"], &state["installed"]["BIOS"]), (&Value::Null, &Value::Null));
        let grubenv = debugfs("/grub2/grubenv");
        assert!(grubenv.len() == 1024 && grubenv.starts_with(b"# GRUB Environment Block\n#"));
        let reason = disks.manifest()["bootloader"]["reason"].to_string();
        assert!(reason.contains("bootupd's payload grub2-1:2.12-41.fc44,shim-15.8-4"), "{reason}");
    }
}

#[test]
fn metadata_that_bootupd_could_not_read_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let broken = fedora(true).with([file("usr/lib/bootupd/updates/EFI.json", "{\"version\":1}")]);
    let image = broken.write(&place.path().join("image"));
    let ended = program::end(program::build(&image.reference(), &place.path().join("out")).arg("--dry-run"));
    assert!(ended.code == Some(1) && ended.stderr.contains("usr/lib/bootupd/updates/EFI.json"), "{}", ended.stderr);
}

#[test]
fn a_payload_that_no_new_machine_would_start_is_refused() {
    let place = tempfile::tempdir().unwrap();
    for missing in ["BOOTX64.EFI", "fbx64.efi"] {
        let whiteout = format!("usr/lib/efi/shim/15.8-4/EFI/BOOT/.wh.{missing}");
        let lacking = fedora(true).with([file(&whiteout, "")]);
        let image = lacking.write(&place.path().join(missing));
        let ended = program::end(program::build(&image.reference(), &place.path().join("out")).arg("--dry-run"));
        let said = format!("has no EFI/BOOT/{missing}");
        assert!(ended.code == Some(1) && ended.stderr.contains(&said), "{}", ended.stderr);
        assert!(ended.stderr.contains("hint:"), "{}", ended.stderr);
    }
}
