//! The tree an image is made of, as the caller hands it in.

/// An inode with one name. A file with two names is two nodes, as in an ostree checkout.
#[derive(Clone, Debug)]
pub struct Node {
    /// `st_mode`, type bits included; they must say the same as `kind`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Full names (`security.selinux`) without a final NUL, each at most once, in any order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub kind: Kind,
}

/// What an inode is, and what only such an inode has.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The names in the directory, without `.` and `..`, in any order.
    Directory(Vec<(Vec<u8>, Node)>),
    EmptyFile,
    /// A file whose bytes are in the repository.
    File {
        /// Bytes, not 0.
        size: u64,
        /// Checksum of the file object, found at `objects/xx/yyyy.file`.
        object: [u8; 32],
        /// fs-verity digest of that file. With it the image only works where the object has fs-verity enabled and
        /// overlayfs is mounted with `verity=require` or `verity=on`.
        digest: Option<[u8; 32]>,
    },
    /// The target.
    Symlink(Vec<u8>),
    /// Character or block device, fifo or socket, as the mode says.
    Special {
        /// The device number as Linux encodes it on disk (`new_encode_dev`), 0 for fifo and socket.
        rdev: u32,
    },
}

/// The directories libostree adds to an image because a deployment cannot be booted without them.
const REQUIRED: [&[u8]; 5] = [b"usr", b"etc", b"boot", b"var", b"sysroot"];

/// `root` with each of usr, etc, boot, var and sysroot it lacks, as 0755 root:root directories without xattrs.
pub fn with_required_directories(mut root: Node) -> Node {
    if let Kind::Directory(children) = &mut root.kind {
        for required in REQUIRED {
            if !children.iter().any(|(name, _)| name == required) {
                children.push((required.to_vec(), empty_directory()));
            }
        }
    }
    root
}

fn empty_directory() -> Node {
    Node { mode: 0o040755, uid: 0, gid: 0, xattrs: Vec::new(), kind: Kind::Directory(Vec::new()) }
}
