//! The command that installs QEMU and its firmware on this host, by os-release(5).

use super::Arch;

/// Text of the host's os-release, empty when there is none.
pub(super) fn os_release() -> String {
    let read = |path| std::fs::read_to_string(path).ok();
    read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default()
}

/// One command for a known distribution, all of them for an unknown one.
pub(super) fn command(os_release: &str, arch: Arch) -> String {
    let all = commands(arch);
    let mut ids = ids(os_release);
    let own = ids.find_map(|id| all.iter().find(|(names, _)| names.contains(&id)));
    match own {
        Some((_, command)) => (*command).to_owned(),
        None => all.map(|(names, command)| format!("{command} ({})", names[0])).join(" | "),
    }
}

/// ID first, then ID_LIKE in its order: "closest first", os-release(5).
fn ids(os_release: &str) -> impl Iterator<Item = &str> {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim().trim_matches(['"', '\''])
    };
    std::iter::once(value("ID")).chain(value("ID_LIKE").split_whitespace())
}

type Command = (&'static [&'static str], &'static str);

fn commands(arch: Arch) -> [Command; 4] {
    const DEBIAN: &[&str] = &["debian", "ubuntu"];
    const FEDORA: &[&str] = &["fedora", "rhel", "centos"];
    const ARCH: &[&str] = &["arch"];
    const SUSE: &[&str] = &["opensuse", "suse", "sles", "opensuse-tumbleweed", "opensuse-leap"];
    match arch {
        Arch::X86_64 => [
            (DEBIAN, "sudo apt-get install qemu-system-x86 ovmf"),
            (FEDORA, "sudo dnf install qemu-system-x86-core edk2-ovmf"),
            (ARCH, "sudo pacman -S qemu-system-x86 edk2-ovmf"),
            (SUSE, "sudo zypper install qemu-x86 qemu-ovmf-x86_64"),
        ],
        Arch::Aarch64 => [
            (DEBIAN, "sudo apt-get install qemu-system-arm qemu-efi-aarch64"),
            (FEDORA, "sudo dnf install qemu-system-aarch64-core edk2-aarch64"),
            (ARCH, "sudo pacman -S qemu-system-aarch64 edk2-aarch64"),
            (SUSE, "sudo zypper install qemu-arm qemu-uefi-aarch64"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distribution_gets_its_own_command() {
        for (os_release, tool) in [
            ("NAME=\"Debian GNU/Linux\"\nID=debian\n", "apt-get"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get"),
            ("ID=\"fedora\"\nVERSION_ID=43\n", "dnf"),
            ("ID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf"),
            ("ID=arch\n", "pacman"),
            ("ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", "zypper"),
        ] {
            let command = command(os_release, Arch::X86_64);
            assert!(command.starts_with(&format!("sudo {tool} ")), "{os_release:?} gave {command}");
        }
    }

    #[test]
    fn an_unknown_distribution_gets_all_four() {
        let command = command("ID=nixos\n", Arch::Aarch64);
        assert_eq!(command.matches("sudo ").count(), 4, "{command}");
    }
}
