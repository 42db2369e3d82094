//! The whole sysroot: every piece of this room, put in its place.

use std::collections::BTreeMap;

use super::boot_entry::BOOT_VERSION;
use super::fstab::Mount;
use super::growth::Grower;
use super::repository::Repository;
use super::stateroot::{self, Places};
use super::{
    BootEntry, CommitTree, DeployError, Imported, KernelArguments, Remote, RootMount, Target, aleph, boot_check,
    boot_files, composefs_image, fstab, growth,
};
use crate::image::{Contents, Image};
use crate::layout::PartitionTable;
use crate::os::{Architecture, CONFIG_LIMIT, Os};
use crate::ostree::{Checksum, repo};
use crate::spool::Spool;
use crate::tree::{Files, InodeId, Seconds, Stat, Tree};

/// The largest kernel or initramfs that is held in memory.
const KERNEL_LIMIT: u64 = 1 << 30;

/// What the disk and the user decide about a sysroot.
pub struct Options<'a> {
    pub stateroot: &'a str,
    pub target: &'a Target,
    /// The server that the target's ref is on, where the machine does not know it.
    pub remote: Option<&'a Remote>,
    /// The container image that the commit was made of, where there is one.
    pub image: Option<&'a Image>,
    /// UUIDs in their text form.
    pub root_uuid: String,
    pub boot_uuid: String,
    /// Whether files are labelled.
    pub selinux: bool,
    /// Whether /boot has a journal.
    pub boot_journal: bool,
    /// The ESP's volume id as `blkid` prints it.
    pub esp_id: Option<String>,
    /// `sysroot.bootloader` of the repository.
    pub libostree_backend: &'static str,
    /// Where the root partition grows to a larger disk: on which kind of table.
    pub grows_on: Option<PartitionTable>,
    /// Kernel arguments of the user.
    pub kargs: &'a [String],
    /// The architecture whose consoles become default arguments; none when the user wants none.
    pub consoles: Option<Architecture>,
    pub time: Seconds,
}

/// A finished sysroot as two filesystems.
pub struct Sysroot {
    pub root: Tree,
    pub boot: Tree,
    pub places: Places,
    pub commit: Checksum,
    pub entry: BootEntry,
    pub stateroot: String,
    pub boot_checksum: String,
    /// Whether the root filesystem grows to a larger disk.
    pub grows: bool,
    pub warnings: Vec<String>,
}

impl Sysroot {
    /// Kernel, initramfs and device tree of /boot, by their path there.
    pub fn kernel_files(&self, spool: &Spool) -> Result<BTreeMap<String, Vec<u8>>, DeployError> {
        let directory = format!("ostree/{}-{}", self.stateroot, self.boot_checksum);
        let files = Files { tree: &self.boot, root: Tree::ROOT, spool };
        let mut kernel_files = BTreeMap::new();
        for name in files.list(&directory)?.into_iter().filter(|name| !name.starts_with('.')) {
            let path = format!("{directory}/{name}");
            // A directory of device trees is not for systemd-boot, which has no key for it.
            if files.is_file(&path)? {
                kernel_files.extend(files.read(&path, KERNEL_LIMIT)?.map(|bytes| (path, bytes)));
            }
        }
        Ok(kernel_files)
    }
}

/// systemd 252 wants to mount the ESP on /efi too, where it knows which it is, and fails in a root that cannot have such a
/// directory (`gpt-auto-generator.c`). fstab has it on /boot/efi.
const EFI_AUTOMOUNT: &str = "efi.automount";

/// Lays out the deployment of a commit.
pub fn sysroot(
    contents: &Contents,
    os: &Os,
    imported: &Imported,
    checkout: CommitTree,
    options: &Options<'_>,
) -> Result<Sysroot, DeployError> {
    stateroot::check_name(options.stateroot)?;
    let mut checkout = checkout;
    let time = options.time;
    let boot_checksum =
        os.kernel.boot_checksum(&Files { tree: &checkout.tree, root: checkout.deployment, spool: &contents.spool })?;
    let names = Names::new(options.stateroot, &boot_checksum, imported.commit);
    let directory = Stat::root(0o755, time);
    checkout.tree.add_directory(Tree::ROOT, "boot", directory.clone());
    let ostree = checkout.tree.add_directory(Tree::ROOT, "ostree", directory.clone());
    let repository = place_repository(os, imported, &mut checkout, ostree, options)?;
    let at = checkout.tree.ensure_directories(ostree, &format!("deploy/{}", options.stateroot), &directory);
    let places = stateroot::place(&mut checkout, at, &names.deployment, &options.target.origin(), time);
    let mut root = checkout.tree;
    names.place_boot_links(&mut root, ostree, time);
    if let Some(image) = options.image {
        place_aleph(&mut root, image, os, options)?;
    }
    if let Some(remote) = options.remote {
        remote.place(&mut root, places.etc, repository, time);
    }
    place_etc(&mut root, contents, os, places.etc, options)?;
    if os.wants_composefs() {
        let bytes = composefs_image::composefs_image(contents, &imported.root)?;
        root.add_file(places.deployment, ".ostree.cfs", Stat::root(0o644, time), bytes);
    }
    let entry = boot_entry(os, imported.version.as_deref(), options, &names)?;
    let boot = boot_files::boot_tree(&root, &os.kernel, &names.boot_directory, &entry, time);
    let warnings = warnings(os, options);
    Ok(Sysroot {
        root,
        boot,
        places,
        commit: imported.commit,
        entry,
        stateroot: options.stateroot.to_owned(),
        boot_checksum,
        grows: matches!(grower(os, options), Some(Ok(_))),
        warnings,
    })
}

/// The names that boot entry, links and directories have to agree on.
struct Names {
    stateroot: String,
    boot_checksum: String,
    /// COMMIT.SERIAL
    deployment: String,
    /// STATEROOT-BOOTCSUM
    boot_directory: String,
}

impl Names {
    fn new(stateroot: &str, boot_checksum: &str, commit: Checksum) -> Names {
        Names {
            stateroot: stateroot.to_owned(),
            boot_checksum: boot_checksum.to_owned(),
            deployment: format!("{commit}.0"),
            boot_directory: format!("{stateroot}-{boot_checksum}"),
        }
    }

    /// The path that `ostree=` names: a link to the deployment.
    fn boot_link(&self) -> String {
        format!("/ostree/boot.{BOOT_VERSION}/{}/{}/0", self.stateroot, self.boot_checksum)
    }

    fn place_boot_links(&self, root: &mut Tree, ostree: InodeId, time: Seconds) {
        let link = Stat::root(0o777, time);
        root.add_symlink(ostree, &format!("boot.{BOOT_VERSION}"), link.clone(), &format!("boot.{BOOT_VERSION}.1"));
        let path = format!("boot.{BOOT_VERSION}.1/{}/{}", self.stateroot, self.boot_checksum);
        let directory = root.ensure_directories(ostree, &path, &Stat::root(0o755, time));
        let target = format!("../../../deploy/{}/deploy/{}", self.stateroot, self.deployment);
        root.add_symlink(directory, "0", link, &target);
    }
}

fn place_repository(
    os: &Os,
    imported: &Imported,
    checkout: &mut CommitTree,
    ostree: InodeId,
    options: &Options<'_>,
) -> Result<InodeId, DeployError> {
    let mut refs = imported.refs.clone();
    refs.push((repo::ref_path(&format!("ostree/{BOOT_VERSION}/1/0")), imported.commit));
    refs.push((options.target.ref_path()?, imported.commit));
    let append = os.install.bls_append_except_default.as_ref();
    let extra_config = append.map(|list| format!("bls-append-except-default={list}\n")).unwrap_or_default();
    let at = checkout.tree.ensure_directories(ostree, "repo", &Stat::root(0o755, options.time));
    let repository = Repository {
        objects: &checkout.objects,
        metadata: &imported.metadata,
        refs: &refs,
        backend: options.libostree_backend,
        extra_config: &extra_config,
    };
    repository.place(&mut checkout.tree, at, options.time);
    Ok(at)
}

fn place_aleph(root: &mut Tree, image: &Image, os: &Os, options: &Options<'_>) -> Result<(), DeployError> {
    let aleph = aleph::Aleph {
        digest: image.manifest_digest.to_string(),
        target_image: options.target.to_string(),
        labels: &image.labels,
        version: aleph::version(&image.labels),
        timestamp: aleph::timestamp(&image.labels),
        kernel: &os.kernel.version,
        selinux: if options.selinux { "enabled" } else { "disabled" },
    };
    root.add_file(Tree::ROOT, ".bootc-aleph.json", Stat::root(0o644, options.time), aleph.text()?);
    Ok(())
}

/// What the machine needs in /etc beyond the image's own: mounts, and growth where systemd has what does it.
fn place_etc(
    root: &mut Tree,
    contents: &Contents,
    os: &Os,
    etc: InodeId,
    options: &Options<'_>,
) -> Result<(), DeployError> {
    let given = Files { tree: root, root: etc, spool: &contents.spool }.read_text("fstab", CONFIG_LIMIT)?;
    let text = fstab::fstab(&given.unwrap_or_default(), &mounts(os, options));
    root.add_file(etc, "fstab", Stat::root(0o644, options.time), text);
    if let Some(e2fsck) = os.e2fsck.filter(|_| !options.boot_journal) {
        boot_check::place(root, etc, e2fsck, &options.boot_uuid, options.time);
    }
    if options.esp_id.is_some() && !os.has_efi_directory {
        let units = root.ensure_directories(etc, "systemd/system", &Stat::root(0o755, options.time));
        root.add_symlink(units, EFI_AUTOMOUNT, Stat::root(0o777, options.time), "/dev/null");
    }
    if let Some(Ok(grower)) = grower(os, options) {
        growth::place(root, etc, grower, os, options.time);
    }
    Ok(())
}

/// Nothing when the root is not to grow.
fn grower(os: &Os, options: &Options<'_>) -> Option<Result<Grower, String>> {
    options.grows_on.map(|table| Grower::choose(&os.grow_tools, table))
}

fn mounts(os: &Os, options: &Options<'_>) -> Vec<Mount> {
    let boot = match os.install.boot_mount_spec.as_deref() {
        Some("") => None,
        Some(spec) => Some(spec.to_owned()),
        None => Some(format!("UUID={}", options.boot_uuid)),
    };
    // libostree remounts /boot for writing itself when it deploys.
    let boot = boot.map(|source| Mount { source, mount_point: "/boot".into(), kind: "auto", options: "ro", pass: 2 });
    let esp = options.esp_id.as_ref().map(|id| Mount {
        source: format!("UUID={id}"),
        mount_point: "/boot/efi".into(),
        kind: "vfat",
        options: "umask=0077,nofail",
        pass: 2,
    });
    boot.into_iter().chain(esp).collect()
}

fn boot_entry(os: &Os, version: Option<&str>, options: &Options<'_>, names: &Names) -> Result<BootEntry, DeployError> {
    let spec = |given: &Option<String>, uuid: &str| match given.as_deref() {
        Some("") => None,
        Some(spec) => Some(spec.to_owned()),
        None => Some(format!("UUID={uuid}")),
    };
    let mount = RootMount {
        root: spec(&os.install.root_mount_spec, &options.root_uuid),
        boot: spec(&os.install.boot_mount_spec, &options.boot_uuid),
    };
    let arguments = KernelArguments::assemble(&mount, &os.install, &os.kargs, options.kargs, options.consoles)?;
    BootEntry::new(
        &title(&os.release.pretty_name, version),
        &arguments,
        &os.kernel,
        &names.boot_directory,
        &names.boot_link(),
    )
}

/// The system's name, with the commit's version where the name does not say it already (libostree `ostree-sysroot-deploy.c`).
fn title(pretty_name: &str, version: Option<&str>) -> String {
    match version.filter(|version| !version.is_empty() && !pretty_name.contains(version)) {
        Some(version) => format!("{pretty_name} {version}"),
        None => pretty_name.to_owned(),
    }
}

fn warnings(os: &Os, options: &Options<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(Err(lacks)) = grower(os, options) {
        warnings.push(format!(
            "the image has neither {lacks}: the root filesystem will not grow to a larger disk by itself"
        ));
    }
    if os.update_client.is_none() {
        warnings.push(
            "the image has no client that could upgrade it (bootc with skopeo and podman, rpm-ostree or ostree)"
                .to_owned(),
        );
    }
    if !os.missing_for_selinux.is_empty() {
        warnings.push(format!(
            "the image has an etc/selinux/config but lacks {}: libostree runs bwrap and semodule in every new deployment, with \
             no /var, to rebuild the policy, and upgrades will fail",
            os.missing_for_selinux.join(", ")
        ));
    }
    warnings
}
