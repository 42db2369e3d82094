//! The text form of one fixed inspection, as a person reads it at 80 columns.

use bootwright::inspect::{
    BootEntry, Deployment, EfiFile, EfiRole, Filesystem, Format, Inspection, Origin, OriginKind, Partition, Reference,
    Table, TableKind, text,
};

const MIB: u64 = 1 << 20;

fn partition(number: u32, start: u64, bytes: u64, names: [&str; 2], filesystem: Option<Filesystem>) -> Partition {
    let [type_name, label] = names.map(str::to_owned);
    Partition {
        number,
        start: start * MIB,
        bytes: bytes * MIB,
        type_name,
        type_id: String::new(),
        label: Some(label),
        uuid: None,
        attributes: if number == 4 { vec!["grow-file-system".to_owned()] } else { Vec::new() },
        filesystem,
    }
}

fn filesystem(kind: &'static str, uuid: &str, used: u64, size: u64) -> Option<Filesystem> {
    let (used, size) = (used * MIB, size * MIB);
    let uuid = Some(uuid.to_owned());
    Some(Filesystem { kind, label: None, uuid, size: Some(size), used: Some(used), free: Some(size - used) })
}

fn disk() -> Inspection {
    let (commit, bootcsum) = ("0123456789abcdef".repeat(4), "fedcba9876543210".repeat(4));
    let (boot, root) = ("11111111-2222-4333-8444-555555555555", "66666666-7777-4888-8999-aaaaaaaaaaaa");
    Inspection {
        format: Format::Qcow2,
        virtual_size: 10240 * MIB,
        allocated: 1234 * MIB,
        firmware: "UEFI only".to_owned(),
        secure_boot: true,
        table: Table { kind: TableKind::Gpt, id: Some("00000000-1111-4222-8333-444444444444".to_owned()), sector: 512 },
        partitions: vec![
            partition(1, 1, 1, ["BIOS boot", "bios"], None),
            partition(2, 2, 512, ["EFI system", "EFI-SYSTEM"], filesystem("vfat", "BEEF-CAFE", 6, 512)),
            partition(3, 514, 1024, ["Linux extended boot", "boot"], filesystem("ext4", boot, 120, 1024)),
            partition(4, 1538, 4096, ["Linux root (x86-64)", "root"], filesystem("ext4", root, 2048, 4096)),
        ],
        efi_files: vec![EfiFile {
            partition: 2,
            path: "EFI/BOOT/BOOTX64.EFI".to_owned(),
            bytes: MIB,
            role: Some(EfiRole::Shim),
            signed: true,
        }],
        boot_entries: vec![BootEntry {
            partition: 3,
            path: "/loader/entries/ostree-1.conf".to_owned(),
            title: "Test OS 1 (ostree:0)".to_owned(),
            version: "1".to_owned(),
            options: format!("root=UUID={root} rw boot=UUID={boot} quiet ostree=/ostree/boot.1/default/{bootcsum}/0"),
            linux: Some(format!("/boot/ostree/default-{bootcsum}/vmlinuz-6.12.1")),
            initrd: vec![format!("/boot/ostree/default-{bootcsum}/initramfs-6.12.1.img")],
            default: true,
            missing: Vec::new(),
            deployment: Some(format!("default/{commit}.0")),
        }],
        deployments: vec![Deployment {
            partition: 4,
            stateroot: "default".to_owned(),
            commit: commit.clone(),
            serial: 0,
            os: Some("Test OS 1".to_owned()),
            version: Some("1.2".to_owned()),
            end_of_life: None,
            timestamp: Some("2025-10-09T08:53:20Z".to_owned()),
            manifest_digest: None,
            origin: Some(Origin {
                kind: OriginKind::ContainerImageReference,
                reference: Some("ostree-unverified-registry:quay.io/example/os:latest".to_owned()),
                text: String::new(),
            }),
            bootcsum: Some(bootcsum),
            kernel: Some("6.12.1".to_owned()),
        }],
        refs: vec![Reference { name: "ostree/1/1/0".to_owned(), commit }],
        aleph: None,
        problems: vec![
            "the backup GPT is expected in sector 11538431, which is not the disk's last, 20971519".to_owned(),
        ],
    }
}

#[test]
fn the_text_at_80_columns_is_the_one_in_the_golden_file() {
    let golden = include_str!("golden/inspect-80.txt");
    assert_eq!(text(&disk(), 80), golden, "\n{}", text(&disk(), 80));
}
