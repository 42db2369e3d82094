//! An ext4 image in a sparse file, and the judges that look at it.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bootwright::ext4::{
    self, Data, Extent, From, Geometry, Inode, Kind, Options, Piece, Timestamp, Tree, Usage, measure,
};

use qemu_tests::oracle::{agrees, run, said, tool};

/// A filesystem in a file of its own, gone with the value.
pub struct Image {
    directory: tempfile::TempDir,
    pub geometry: Geometry,
    pub extents: Vec<Extent>,
}

pub fn options() -> Options {
    Options {
        uuid: *b"\x12\x34\x56\x78\x9a\xbc\x4d\xef\x81\x23\x45\x67\x89\xab\xcd\xef",
        hash_seed: *b"hash seed for us",
        label: "root".to_owned(),
        time: 1_700_000_000,
        verity: false,
    }
}

/// The tree in a filesystem with a little room left.
pub fn image(tree: &Tree, store: &[u8]) -> Image {
    image_in(tree, store, |usage| Geometry::smallest(usage, 16 << 20, 100, 1 << 20))
}

/// The tree in a filesystem of a chosen size.
pub fn image_in(tree: &Tree, store: &[u8], size: impl FnOnce(&Usage) -> Result<Geometry, ext4::Error>) -> Image {
    image_with(&options(), tree, store, size)
}

pub fn image_with(
    options: &Options,
    tree: &Tree,
    store: &[u8],
    size: impl FnOnce(&Usage) -> Result<Geometry, ext4::Error>,
) -> Image {
    let geometry = size(&measure(tree).expect("measure")).expect("geometry");
    let extents = ext4::write(options, &geometry, tree).expect("write");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let image = Image { directory, geometry, extents };
    image.store(store);
    image
}

impl Image {
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    fn store(&self, store: &[u8]) {
        let file = File::create(self.path()).expect("create the image");
        file.set_len(self.geometry.size_bytes()).expect("size the image");
        let mut end = 0;
        for extent in &self.extents {
            assert!(extent.at >= end && extent.len > 0, "extents have to increase: {} after {end}", extent.at);
            end = extent.end();
            if let Some(bytes) = bytes_of(extent, store) {
                file.write_all_at(bytes, extent.at).expect("write the image");
            }
        }
        assert!(end <= self.geometry.size_bytes());
    }

    /// e2fsck finds nothing that it would repair.
    pub fn is_clean(&self) {
        let said = agrees(&tool("e2fsck", "e2fsprogs"), ["-fn".as_ref(), self.path().as_os_str()]);
        for complaint in ["ix?", "ix<", "ptimize", "WARNING", "rror"] {
            assert!(!said.contains(complaint), "e2fsck complains:\n{said}");
        }
    }

    pub fn debugfs(&self, request: &str) -> String {
        let path = self.path();
        said(&run(&tool("debugfs", "e2fsprogs"), ["-R".as_ref(), OsStr::new(request), path.as_os_str()]))
    }

    pub fn dumpe2fs(&self) -> String {
        agrees(&tool("dumpe2fs", "e2fsprogs"), [self.path()])
    }
}

/// Nothing for what is beyond the store: tests of the layout alone have no content.
fn bytes_of<'a>(extent: &'a Extent, store: &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(extent.len).unwrap();
    match &extent.from {
        From::Bytes(bytes) => Some(bytes),
        From::Source(offset) => store.get(usize::try_from(*offset).unwrap()..)?.get(..len),
    }
}

/// What a file's bytes are, holes filled.
pub fn content(data: &Data, store: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(data.len).unwrap()];
    for piece in &data.pieces {
        let extent = Extent { at: piece.at, len: piece.len, from: piece.from.clone() };
        let at = usize::try_from(piece.at).unwrap();
        let source = bytes_of(&extent, store).expect("a piece inside the store");
        bytes[at..at + source.len()].copy_from_slice(source);
    }
    bytes
}

/// A store of `blocks` blocks in which no two are alike.
pub fn store(blocks: u32) -> Vec<u8> {
    (0..blocks * 1024).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// An inode with some owner, mode and times, different for every number.
pub fn inode(kind: Kind, number: u32) -> Inode {
    let time = |shift: i64| Timestamp {
        seconds: 1_600_000_000 + i64::from(number) * 7 + shift,
        nanoseconds: number.wrapping_mul(2_654_435_761) % 1_000_000_000,
    };
    Inode {
        permissions: match kind {
            Kind::Symlink(_) => 0o777,
            Kind::Directory(_) => 0o755,
            _ => 0o640,
        },
        uid: number % 70_000,
        gid: number * 3 % 200_000,
        accessed: time(1),
        changed: time(2),
        modified: time(3),
        created: time(4),
        immutable: false,
        xattrs: Vec::new(),
        kind,
    }
}

/// Grows a tree by paths; `/` is there from the start.
pub struct Grove {
    pub tree: Tree,
}

impl Grove {
    pub fn new() -> Grove {
        Grove { tree: Tree { inodes: vec![inode(Kind::Directory(Vec::new()), 0)] } }
    }

    pub fn add(&mut self, directory: usize, name: impl AsRef<[u8]>, kind: Kind) -> usize {
        let index = self.tree.inodes.len();
        self.tree.inodes.push(inode(kind, u32::try_from(index).unwrap()));
        self.link(directory, name, index);
        index
    }

    pub fn link(&mut self, directory: usize, name: impl AsRef<[u8]>, index: usize) {
        match &mut self.tree.inodes[directory].kind {
            Kind::Directory(entries) => entries.push((name.as_ref().to_vec(), index)),
            other => panic!("{other:?} is not a directory"),
        }
    }

    pub fn directory(&mut self, parent: usize, name: impl AsRef<[u8]>) -> usize {
        self.add(parent, name, Kind::Directory(Vec::new()))
    }

    pub fn file(&mut self, directory: usize, name: impl AsRef<[u8]>, bytes: impl Into<Arc<[u8]>>) -> usize {
        self.add(directory, name, Kind::Regular(Data::bytes(bytes)))
    }

    pub fn xattr(&mut self, index: usize, name: &str, value: &[u8]) {
        self.tree.inodes[index].xattrs.push((name.as_bytes().to_vec(), value.to_vec()));
    }
}

/// Every kind of inode, attribute, hole and link, and sizes around every boundary; with the store it takes from.
pub fn every_kind() -> (Tree, Vec<u8>) {
    let mut grove = Grove::new();
    let etc = grove.directory(0, "etc");
    let names = grove.directory(0, "names");
    grove.file(etc, "hostname", *b"bootwright\n");
    grove.add(etc, "empty", Kind::Regular(Data::empty()));
    grove.add(etc, "stored", Kind::Regular(Data::source(4096, 5000)));
    grove.add(etc, "stored-next", Kind::Regular(Data::source(12288, 4096)));
    grove.add(etc, "stored-odd", Kind::Regular(Data::source(16385, 9000)));
    grove.add(etc, "hole", Kind::Regular(Data::hole(1 << 33)));
    let pieces = [(8192, 100, 20480), (40960, 8192, 0), (1 << 20, 1, 65536)];
    let pieces = pieces.map(|(at, len, offset)| Piece { at, len, from: From::Source(offset) });
    grove.add(etc, "sparse", Kind::Regular(Data { len: 3 << 20, pieces: pieces.to_vec() }));
    for (name, count) in [("depth-1", 5), ("full", 1360), ("depth-2", 1361)] {
        let piece = |i| Piece { at: i * 8192, len: 4096, from: From::Source(i % 60 * 4096) };
        let data = Data { len: count * 8192, pieces: (0..count).map(piece).collect() };
        grove.add(etc, name, Kind::Regular(data));
    }
    for len in [1, 58, 59, 60, 61, 4095] {
        grove.add(names, format!("link-{len}"), Kind::Symlink(b"x/".repeat(len)[..len].to_vec()));
    }
    grove.add(names, "old-device", Kind::CharDevice { major: 5, minor: 1 });
    grove.add(names, "new-device", Kind::BlockDevice { major: 259, minor: 0x12345 });
    grove.add(names, "minor", Kind::CharDevice { major: 1, minor: 256 });
    grove.add(names, "fifo", Kind::Fifo);
    let socket = grove.add(names, "socket", Kind::Socket);
    grove.link(names, "socket-again", socket);
    grove.link(etc, "socket-else", socket);
    grove.file(names, [b'n'; 255], *b"long");
    grove.file(names, [0xff, 0x80, b'\n', 0xfe], *b"high");
    for index in (0..grove.tree.inodes.len()).step_by(2) {
        grove.xattr(index, "security.selinux", b"system_u:object_r:etc_t:s0\0");
    }
    grove.xattr(names, "user.long", &[9; 3000]);
    grove.xattr(names, "user.empty", b"");
    grove.xattr(names, "trusted.overlay.opaque", b"y");
    let acl = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xe8\x03\0\0\x04\0\x04\0\xff\xff\xff\xff\x10\0\x04\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";
    grove.xattr(etc, "system.posix_acl_default", acl);
    grove.xattr(etc, "system.posix_acl_access", acl);
    grove.tree.inodes[etc].permissions = 0o2740;
    grove.xattr(etc + 2, "system.posix_acl_access", acl);
    grove.tree.inodes[etc + 4].modified = Timestamp { seconds: 9_000_000_000, nanoseconds: 1 };
    (grove.tree, store(64))
}

pub fn mount_point(image: &Image) -> PathBuf {
    let path = image.directory.path().join("mnt");
    std::fs::create_dir_all(&path).expect("a mount point");
    path
}
