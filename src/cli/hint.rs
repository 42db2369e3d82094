//! Errors as a person reads them: one sentence, then what to do next.

use std::error::Error;
use std::io::{self, IsTerminal, stderr};

use crate::bootloader::BootloaderError;
use crate::build::BuildError;
use crate::container_trust::PolicyError;
use crate::deploy::DeployError;
use crate::image_ref::ImageRefError;
use crate::os::OsError;
use crate::output::OutputError;
use crate::plan::PlanError;
use crate::source;
use crate::spool::SpoolError;

/// Prints an error with the causes that say more than it, and a hint where there is one.
pub fn report(error: &anyhow::Error) {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said.push_str(": ");
            said.push_str(&cause);
        }
    }
    eprintln!("{} {}", paint("error:", "31;1"), printable(&said));
    if let Some(hint) = error.chain().find_map(hint) {
        eprintln!("{} {}", paint("hint:", "36;1"), printable(&hint));
    }
}

pub fn warning(text: &str) {
    eprintln!("{} {}", paint("warning:", "33;1"), printable(text));
}

/// Messages repeat names out of the image, which may hold anything: control characters are escaped, and of a long message the
/// middle is left out.
pub fn printable(text: &str) -> String {
    const HEAD: usize = 800;
    const TAIL: usize = 400;
    let escape = |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() };
    let chars: Vec<char> = text.chars().collect();
    let plain = |chars: &[char]| chars.iter().copied().map(escape).collect::<String>();
    if chars.len() <= HEAD + TAIL {
        return plain(&chars);
    }
    format!("{} … {}", plain(&chars[..HEAD]), plain(&chars[chars.len() - TAIL..]))
}

fn paint(word: &str, color: &str) -> String {
    if stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{color}m{word}\x1b[0m")
    } else {
        word.to_owned()
    }
}

/// What to do about one of the causes.
fn hint(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<ImageRefError>() {
        return error.hint();
    }
    if let Some(error) = cause.downcast_ref::<BuildError>() {
        return build_hint(error);
    }
    if let Some(error) = cause.downcast_ref::<PolicyError>() {
        return error.hint();
    }
    cause.downcast_ref::<io::Error>().and_then(room_hint)
}

fn build_hint(error: &BuildError) -> Option<String> {
    let text = match error {
        BuildError::Plan(PlanError::DiskTooSmall { need, .. }) => format!("give at least `--disk-size {}M`", need.0.div_ceil(1 << 20)),
        BuildError::NoArchitecture => "say it with --target-arch".to_owned(),
        BuildError::RemoteIsShipped { .. } => "choose another name with --remote-name, or leave --remote-url away".to_owned(),
        BuildError::RemoteWithoutUrl { .. } => "say where it is with --remote-url".to_owned(),
        BuildError::NothingToEnforce { .. } => "give the policy that the machine will have with --policy, or --cosign-key".to_owned(),
        BuildError::RootFilesystem { .. } => "build with --rootfs ext4".to_owned(),
        BuildError::Source(source::Error::Spool(error)) => return spool_hint(error),
        BuildError::Source(error) => return error.hint(),
        BuildError::Ostree(error) => return error.hint(),
        BuildError::Deploy(error) => return deploy_hint(error),
        BuildError::Os(error) => return os_hint(error),
        BuildError::Output(OutputError::Io { source, .. }) => return output_hint(source),
        BuildError::Layout(_) => "`bootwright layouts` lists the layouts; --layout FILE takes one of yours".to_owned(),
        BuildError::Bootloader(BootloaderError::NoGrub { .. }) => {
            "install shim and GRUB for UEFI in the image (Debian: shim-signed grub-efi-amd64-signed; Fedora: shim grub2-efi)".to_owned()
        }
        BuildError::Bootloader(BootloaderError::BootupdNotStarted { .. }) => {
            "install the distribution's shim in the image, and run `bootupctl backend generate-update-metadata` after it".to_owned()
        }
        BuildError::Bootloader(BootloaderError::NoSystemdBoot { .. }) => {
            "install systemd-boot in the image (Debian: systemd-boot-efi, systemd-boot-efi-amd64-signed)".to_owned()
        }
        BuildError::Bootloader(BootloaderError::NoSyslinux { .. } | BootloaderError::NoSyslinuxProvided { .. }) => {
            "give a directory with all of it: --bootloader-dir (on Debian copy /usr/bin/extlinux, /usr/lib/syslinux/mbr and \
             /usr/lib/syslinux/modules/bios into one)"
                .to_owned()
        }
        BuildError::Bootloader(BootloaderError::NoEsp | BootloaderError::NoPlace { .. }) => {
            "`bootwright layouts` lists the layouts and what they have; --layout chooses one".to_owned()
        }
        _ => return None,
    };
    Some(text)
}

fn deploy_hint(error: &DeployError) -> Option<String> {
    let text = match error {
        DeployError::NoBootableLabel => {
            "a bootable container says so itself: add `LABEL containers.bootc=1` to its Containerfile"
        }
        DeployError::KernelArgument { .. } => {
            "arguments come from --karg, customizations.kernel.append, and the image's kargs.d"
        }
        DeployError::Title { .. } => "change PRETTY_NAME in the image's usr/lib/os-release",
        DeployError::Target { .. } => "write --target-imgref host/name:tag",
        _ => return None,
    };
    Some(text.to_owned())
}

fn os_hint(error: &OsError) -> Option<String> {
    let text = match error {
        OsError::NoKernel => "put the kernel at usr/lib/modules/VERSION/vmlinuz",
        OsError::SeveralKernels(_) => "remove all but one from the image",
        OsError::NoInitramfs { .. } => "make one with dracut in the image, at usr/lib/modules/VERSION/initramfs.img",
        OsError::NoFileContexts { .. } => {
            "install the policy in the image, or set SELINUX=disabled in its etc/selinux/config"
        }
        OsError::TwoEtc => "move everything to one of the two",
        OsError::SealedComposefs { .. } => "`enabled = yes` works without fs-verity",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Of what is written to the directory of the outputs.
fn output_hint(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("choose a directory you may write to with --output".to_owned())
        }
        _ => room_hint(error),
    }
}

/// Contents wait beside the outputs, or where temporary files are when there are none.
fn spool_hint(error: &SpoolError) -> Option<String> {
    let (SpoolError::Create { dir, source }
    | SpoolError::Write { dir, source, .. }
    | SpoolError::Read { dir, source, .. }) = error;
    let is_temporary = *dir == std::env::temp_dir() && source.kind() == io::ErrorKind::PermissionDenied;
    if is_temporary { Some("set TMPDIR to a directory you may write to".to_owned()) } else { output_hint(source) }
}

fn room_hint(error: &io::Error) -> Option<String> {
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    is_full.then(|| "a build needs room for the unpacked image while it is read, and for the outputs".to_owned())
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn control_characters_of_an_image_do_not_reach_the_terminal() {
        assert_eq!(printable("`a\u{1b}[2J\u{9b}b`: no\n  line two"), "`a\\u{1b}[2J\\u{9b}b`: no\n  line two");
    }

    #[test]
    fn the_beginning_and_the_end_of_a_long_message_stay() {
        let long = printable(&format!("`{}` is too long", "ä".repeat(100_000)));
        assert!(long.starts_with("`ää") && long.ends_with("` is too long") && long.chars().count() < 1300);
    }
}
