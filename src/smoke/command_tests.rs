//! Table tests of QEMU's command line.

use super::*;

fn flash(secure: bool) -> FlashPair {
    let image = |path: &str| FlashImage { path: path.into(), format: DiskFormat::Raw };
    FlashPair { code: image("/code.fd"), vars: image("/private/vars.fd"), secure }
}

fn line(arch: Arch, accelerator: Accelerator, flash: Option<FlashPair>) -> String {
    let options = Options {
        arch,
        accelerator,
        memory_mib: 1024,
        network: Network::Isolated,
        flash,
        disks: vec![Disk { path: "/private/disk, one".into(), format: DiskFormat::Qcow2 }],
        qmp: Path::new("/private/q,mp"),
        serial: Path::new("/private/serial"),
        shell: None,
        extra_args: &["-device".into(), "usb-ehci".into()],
    };
    printable(Path::new("qemu"), &arguments(&options).unwrap())
}

/// Machine, words that have to be there, words that must not.
type Case = (Arch, Accelerator, Option<FlashPair>, &'static [&'static str], &'static [&'static str]);

#[test]
fn each_machine_has_its_own_words() {
    use Accelerator::{Kvm, Tcg};
    use Arch::{Aarch64, X86_64};
    let cases: [Case; 5] = [
        (X86_64, Tcg, None, &["-machine q35 -cpu max -accel tcg,thread=multi -m 1024 -smp 1 "], &["pflash", "smm"]),
        (
            X86_64,
            Kvm,
            Some(flash(false)),
            &["q35,pflash0=flash0,pflash1=flash1 -cpu host -accel kvm", " -smp 2 "],
            &["smm", "secure"],
        ),
        (
            X86_64,
            Tcg,
            Some(flash(true)),
            &["q35,smm=on,pflash0=flash0", "-global driver=cfi.pflash01,property=secure,value=on"],
            &[],
        ),
        (Aarch64, Tcg, Some(flash(false)), &["-machine virt,pflash0", "-cpu cortex-a57", "virtio-gpu-pci"], &["-vga"]),
        (Aarch64, Tcg, Some(flash(true)), &["-machine virt,pflash0"], &["smm", "cfi.pflash01"]),
    ];
    for (arch, accelerator, flash, present, absent) in cases {
        let line = line(arch, accelerator, flash);
        present.iter().for_each(|word| assert!(line.contains(word), "`{word}` is missing in {line}"));
        absent.iter().for_each(|word| assert!(!line.contains(word), "`{word}` is in {line}"));
    }
}

#[test]
fn only_the_code_flash_is_read_only() {
    let line = line(Arch::X86_64, Accelerator::Tcg, Some(flash(false)));
    assert_eq!(line.matches(r#""read-only":true"#).count(), 1, "{line}");
    assert!(
        line.contains(
            r#"{"driver":"raw","file":{"driver":"file","filename":"/code.fd"},"node-name":"flash0","read-only":true}"#
        ),
        "{line}"
    );
}

#[test]
fn commas_in_paths_reach_qemu_as_commas() {
    let line = line(Arch::X86_64, Accelerator::Tcg, None);
    assert!(line.contains("path=/private/q,,mp") && line.contains(r#""filename":"/private/disk, one""#), "{line}");
}

#[test]
fn extra_arguments_come_last() {
    assert!(line(Arch::X86_64, Accelerator::Tcg, None).ends_with("-device usb-ehci"));
}

#[test]
fn a_quote_survives_the_printed_command() {
    assert_eq!(quote("it's"), r"'it'\''s'");
    assert_eq!(quote(""), "''");
    assert_eq!(quote("-accel"), "-accel");
}

#[test]
fn an_empty_path_has_no_qemu_and_says_how_to_install_it() {
    let error = program(Arch::Aarch64, Some(OsStr::new(""))).unwrap_err().to_string();
    assert!(error.contains("qemu-system-aarch64") && error.contains("install"), "{error}");
}
