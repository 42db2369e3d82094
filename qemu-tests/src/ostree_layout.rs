//! Turns a Debian root filesystem into a bootable container: the ostree layout ("Adapting existing mainstream
//! distributions" in libostree's manual, bootc's "Filesystem" pages).
//!
//! Everything that changes goes to /var, the kernel to /usr/lib/modules; /var itself starts empty.

use anyhow::{Context, Result, ensure};

use crate::tree::{Inode, Tree};

/// Links at the top of the tree. `ostree-layout.conf` of the recipe makes what they point to.
const LINKS: &[(&str, &str)] = &[
    ("home", "var/home"),
    ("media", "run/media"),
    ("mnt", "var/mnt"),
    ("opt", "var/opt"),
    ("ostree", "sysroot/ostree"),
    ("root", "var/roothome"),
    ("srv", "var/srv"),
    ("usr/local", "../var/usrlocal"),
];
const EMPTY_DIRECTORIES: &[(&str, u32)] = &[
    ("boot", 0o755),
    ("dev", 0o755),
    ("proc", 0o755),
    ("run", 0o755),
    ("sys", 0o755),
    ("sysroot", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
];
/// What package scripts leave behind and differs from build to build, or belongs to one machine only.
const LEFTOVERS: &[&str] = &[
    "etc/.pwd.lock",
    "etc/.resolv.conf.systemd-resolved.bak",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "initrd.img",
    "initrd.img.old",
    "usr/lib/sysimage/dpkg/diversions-old",
    "usr/lib/sysimage/dpkg/lock",
    "usr/lib/sysimage/dpkg/lock-frontend",
    "usr/lib/sysimage/dpkg/statoverride-old",
    "usr/lib/sysimage/dpkg/status-old",
    "vmlinuz",
    "vmlinuz.old",
];
/// `struct vfs_cap_data`, revision 2 with the effective bit: permitted cap_net_bind_service (`linux/capability.h`).
const CAP_NET_BIND_SERVICE: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Rearranges the tree and says which kernel it has.
pub fn apply(tree: &mut Tree) -> Result<String> {
    let kernel_version = kernel_version(tree)?;
    let modules = format!("usr/lib/modules/{kernel_version}");
    tree.rename(&format!("boot/vmlinuz-{kernel_version}"), &format!("{modules}/vmlinuz"));
    tree.rename(&format!("boot/config-{kernel_version}"), &format!("{modules}/config"));
    tree.rename("var/lib/dpkg", "usr/lib/sysimage/dpkg");
    tree.insert("usr/lib/sysimage", Inode::directory(0o755));
    for path in LEFTOVERS {
        tree.remove(path);
    }
    for (path, mode) in EMPTY_DIRECTORIES {
        tree.remove(path);
        tree.insert(path, Inode::directory(*mode));
    }
    tree.insert("var/tmp", Inode::directory(0o1777));
    for (path, target) in LINKS {
        tree.remove(path);
        tree.insert(path, Inode::symlink(target));
    }
    // Empty and not `uninitialized`: the first boot writes an id and asks nothing. machine-id(5).
    tree.insert("etc/machine-id", Inode::file(0o444, b""));
    tree.insert("etc/fstab", Inode::file(0o644, b""));
    ensure!(tree.names.contains_key(&format!("{modules}/vmlinuz")), "the kernel of {modules} is missing in boot/");
    ensure!(tree.names.contains_key(&format!("{modules}/initramfs.img")), "{modules} has no initramfs.img");
    Ok(kernel_version)
}

/// What files of the recipe cannot be: a file with two names, a file with a capability.
pub fn add_special_files(tree: &mut Tree) -> Result<()> {
    tree.link("usr/share/smoke-hard2", "usr/share/smoke-hard1")?;
    let path = "usr/libexec/smoke-cap";
    let mut inode = Inode::clone(tree.names.get(path).with_context(|| format!("{path} is missing"))?);
    inode.xattrs.insert("security.capability".to_owned(), CAP_NET_BIND_SERVICE.to_vec());
    tree.insert(path, inode);
    Ok(())
}

fn kernel_version(tree: &Tree) -> Result<String> {
    let modules = tree.below("usr/lib/modules");
    let versions: Vec<&str> = modules.iter().filter_map(|path| path.strip_suffix("/modules.dep")).collect();
    ensure!(versions.len() == 1, "one kernel expected, found {versions:?}");
    Ok(versions[0].rsplit('/').next().unwrap_or_default().to_owned())
}
