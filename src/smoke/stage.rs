//! How far a boot got, read off the console lines.
//!
//! The words are those of OVMF, GRUB, systemd-boot, syslinux, Linux, dracut, ostree and systemd. A quiet system skips
//! stages; it never goes back to one.

use std::fmt;

use serde::Serialize;

use super::Firmware;

/// Steps of a boot, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    Firmware,
    Loader,
    Kernel,
    Initramfs,
    /// The initramfs has the real root: ostree-prepare-root, or the switch to it.
    PrepareRoot,
    Systemd,
    Login,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Firmware => "firmware",
            Self::Loader => "loader",
            Self::Kernel => "kernel",
            Self::Initramfs => "initramfs",
            Self::PrepareRoot => "prepare-root",
            Self::Systemd => "systemd",
            Self::Login => "login",
        })
    }
}

/// Words that show a stage, the last stage first.
const SIGNS: [(Stage, &[&str]); 6] = [
    (Stage::Login, &["login: ", "Multi-User System", "Graphical Interface"]),
    (Stage::Systemd, &["Welcome to ", "ostree-remount", "OSTree Remount", "system-getty.slice"]),
    (Stage::PrepareRoot, &["ostree-prepare-root", "OSTree Prepare OS", "Switching root", "Switch Root"]),
    (
        Stage::Initramfs,
        &["(Initramfs)!", "Run /init as init process", "Running in initrd", "dracut", "Loading, please wait"],
    ),
    (Stage::Kernel, &["Linux version ", "EFI stub:", "Booting Linux on physical CPU", "Decompressing Linux"]),
    (
        Stage::Loader,
        &["BdsDxe: starting ", "GRUB", "grub>", "grub rescue>", "systemd-boot", "SYSLINUX ", "EXTLINUX ", "ISOLINUX "],
    ),
];

/// Lines with these words show nothing: they contain a sign, but another program says it.
const DECEPTIVE: [(Stage, &[&str]); 2] = [
    (Stage::Systemd, &["GRUB", "(Initramfs)!", "dracut", "initrd"]),
    // systemd's lines carry descriptions of units, which may speak of loaders.
    (
        Stage::Loader,
        &[
            "UEFI PXE",
            "UEFI HTTP",
            "Internal Shell",
            " OK ",
            "Starting ",
            "Started ",
            "Stopping ",
            "Stopped ",
            "Finished ",
        ],
    ),
];

impl Stage {
    /// The stage this console line shows, if any.
    pub(super) fn of(line: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        let deceptive = |stage| DECEPTIVE.iter().any(|(of, words)| *of == stage && has(words));
        SIGNS.iter().find(|(stage, signs)| has(signs) && !deceptive(*stage)).map(|(stage, _)| *stage)
    }

    /// What usually keeps a boot from leaving this stage.
    pub fn usual_causes(self, firmware: Firmware) -> &'static [&'static str] {
        match self {
            Self::Firmware if firmware == Firmware::Bios => &[
                "the disk has no boot code in its first sector, or none for BIOS: try --firmware uefi",
                "GRUB on BIOS says nothing on the serial port unless its configuration has `serial` and `terminal_output serial`",
                "the kernel arguments have no console=ttyS0",
            ],
            Self::Firmware => &[
                "the EFI system partition has no /EFI/BOOT/BOOTX64.EFI (arm64: BOOTAA64.EFI), or its type GUID is wrong",
                "Secure Boot refused the first loader: it has to be signed by Microsoft (shim)",
                "the disk boots by BIOS only: try --firmware bios",
            ],
            Self::Loader => &[
                "the loader found no configuration or no boot entry: wrong prefix, wrong /boot filesystem UUID",
                "the loader cannot read the filesystem that holds the kernel",
                "Secure Boot refused the kernel: shim, GRUB and kernel have to come from one distribution",
                "the kernel arguments have no console=ttyS0, so the kernel is silent",
            ],
            Self::Kernel => &[
                "the initramfs is missing or does not belong to this kernel",
                "the machine has too little memory to unpack the initramfs",
            ],
            Self::Initramfs => &[
                "root= names a filesystem that is not on the disk",
                "the initramfs has no driver for virtio-blk or for the root filesystem",
                "ostree= names no deployment, or the initramfs has no ostree-prepare-root",
            ],
            Self::PrepareRoot => &[
                "the deployment has no init: /usr/lib/systemd/systemd is missing",
                "SELinux labels are missing, so that init may not be executed",
            ],
            Self::Systemd => &[
                "a filesystem of /etc/fstab is missing or cannot be checked",
                "a service waits for the network or for an answer",
                "the time limit is too short for emulation",
            ],
            Self::Login => &["an expected line was never printed: is it printed to the serial console at all?"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_console_lines_show_their_stage() {
        for (line, stage) in [
            ("BdsDxe: loading Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x3,0x0)", None),
            ("BdsDxe: starting Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x3,0x0)", Some(Stage::Loader)),
            ("BdsDxe: starting Boot0002 \"UEFI PXEv4 (MAC:525400123456)\" from PciRoot(0x0)", None),
            ("BdsDxe: starting Boot0002 \"EFI Internal Shell\" from Fv(7CB8BDC9-F8EB-4F34-AAEA-3EE4AF6516A1)", None),
            ("Welcome to GRUB!", Some(Stage::Loader)),
            ("         Stopping Copy boot entries and kernels to the ESP for systemd-boot...", None),
            ("[  OK  ] Stopped Copy boot entries and kernels to the ESP for systemd-boot.", None),
            ("EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path", Some(Stage::Kernel)),
            ("[    0.000000] Linux version 6.12.57+deb13-amd64 (debian-kernel@lists.debian.org)", Some(Stage::Kernel)),
            ("[    5.1] Run /init as init process", Some(Stage::Initramfs)),
            ("Welcome to Debian GNU/Linux 13 (trixie) dracut-106-6 (Initramfs)!", Some(Stage::Initramfs)),
            ("[  OK  ] Finished ostree-prepare-root.service - OSTree Prepare OS/.", Some(Stage::PrepareRoot)),
            ("Welcome to Debian GNU/Linux 13 (trixie)!", Some(Stage::Systemd)),
            ("[  OK  ] Reached target multi-user.target - Multi-User System.", Some(Stage::Login)),
            ("trixie login: ", Some(Stage::Login)),
            ("[    0.1] pci 0000:00:01.0: BAR 0", None),
        ] {
            assert_eq!(Stage::of(line), stage, "{line}");
        }
    }
}
