//! Where everything lies in a bare repository, relative to its directory (libostree `ostree-repo.c`).

use super::{Checksum, ObjectName};

/// The file `config` as bootc leaves it, 0644: boot entries with `/boot` in their paths, a sysroot that is mounted read-only,
/// and `bootloader` as what libostree keeps a menu for: `none` where the loader reads boot entries itself.
pub fn config(bootloader: &str) -> String {
    format!("[core]\nrepo_version=1\nmode=bare\n\n[sysroot]\nbootloader={bootloader}\nbootprefix=true\nreadonly=true\n")
}

/// The directories (0755) a repository always has besides `objects/00` to `objects/ff`, parents first.
pub const DIRECTORIES: [&str; 9] =
    ["extensions", "objects", "refs", "refs/heads", "refs/mirrors", "refs/remotes", "state", "tmp", "tmp/cache"];

/// `objects/44/6a0ef1….dirmeta`.
pub fn object_path(object: ObjectName) -> String {
    let checksum = object.checksum.to_string();
    format!("objects/{}/{}.{}", &checksum[..2], &checksum[2..], object.kind)
}

/// The directories that objects lie in, `objects/00` to `objects/ff`.
pub fn object_directories() -> impl Iterator<Item = String> {
    (0..=u8::MAX).map(|first| format!("objects/{first:02x}"))
}

/// The file of a ref of this repository.
pub fn ref_path(name: &str) -> String {
    format!("refs/heads/{name}")
}

/// The file of a ref that was pulled from a remote.
pub fn remote_ref_path(remote: &str, name: &str) -> String {
    format!("refs/remotes/{remote}/{name}")
}

/// The file of a ref that is mirrored from a collection.
pub fn mirror_ref_path(collection: &str, name: &str) -> String {
    format!("refs/mirrors/{collection}/{name}")
}

/// What the file of a ref holds.
pub fn ref_content(commit: Checksum) -> String {
    format!("{commit}\n")
}

#[cfg(test)]
mod tests {
    use super::super::ObjectKind;
    use super::*;

    #[test]
    fn an_object_lies_under_the_first_byte_of_its_checksum() {
        let object = ObjectName { checksum: Checksum([0xab; 32]), kind: ObjectKind::DirMeta };
        assert_eq!(object_path(object), format!("objects/ab/{}.dirmeta", "ab".repeat(31)));
        assert_eq!(object_directories().nth(171).as_deref(), Some("objects/ab"));
    }

    #[test]
    fn the_config_is_that_of_the_reference_disk() {
        assert_eq!(config("none").len(), 89);
    }
}
