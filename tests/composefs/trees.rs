//! Trees to make images of.

use bootwright::composefs::{Kind, Node};

/// sha256 of the file object "hello\n", mode 0644, root:root, without xattrs, as ostree computes it.
pub const HELLO: [u8; 32] = [
    0x44, 0xf7, 0x78, 0xe5, 0x9f, 0x0a, 0x47, 0x48, 0xd6, 0xb0, 0xc9, 0x0a, 0x47, 0x34, 0x72, 0x12, 0xa2, 0x31, 0xc4,
    0xad, 0x1e, 0x8f, 0x7e, 0xa5, 0xc5, 0xdf, 0xfc, 0x77, 0x49, 0x15, 0x3a, 0x6b,
];

pub fn node(mode: u32, kind: Kind) -> Node {
    Node { mode, uid: 0, gid: 0, xattrs: Vec::new(), kind }
}

pub fn directory<N: Into<Vec<u8>>>(children: impl IntoIterator<Item = (N, Node)>) -> Node {
    let children = children.into_iter().map(|(name, child)| (name.into(), child));
    node(0o040755, Kind::Directory(children.collect()))
}

pub fn file(size: u64) -> Node {
    node(0o100644, Kind::File { size, object: HELLO, digest: None })
}

pub fn verity_file(size: u64) -> Node {
    node(0o100644, Kind::File { size, object: HELLO, digest: Some([0xab; 32]) })
}

pub fn empty_file() -> Node {
    node(0o100600, Kind::EmptyFile)
}

pub fn symlink(target: impl Into<Vec<u8>>) -> Node {
    node(0o120777, Kind::Symlink(target.into()))
}

pub fn special(mode: u32, rdev: u32) -> Node {
    node(mode, Kind::Special { rdev })
}

pub fn owned_by(uid: u32, gid: u32, node: Node) -> Node {
    Node { uid, gid, ..node }
}

pub fn with_xattrs<'a>(xattrs: impl IntoIterator<Item = (&'a str, &'a [u8])>, node: Node) -> Node {
    let xattrs = xattrs.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
    Node { xattrs: xattrs.collect(), ..node }
}

pub fn labelled(node: Node) -> Node {
    with_xattrs([("security.selinux", b"system_u:object_r:usr_t:s0\0".as_slice())], node)
}

/// A directory whose `.`, `..` and files take exactly `bytes` bytes as entries, at least 300.
pub fn directory_of(bytes: usize) -> Node {
    let mut left = bytes - 27;
    let mut names = Vec::new();
    while left > 0 {
        // 12 bytes and the name; what is left must stay enough for another entry.
        let name = if left > 250 {
            100
        } else if left > 125 {
            left - 112 - 13
        } else {
            left - 12
        };
        names.push(format!("{:0name$}", names.len()));
        left -= 12 + name;
    }
    directory(names.into_iter().map(|name| (name, empty_file())))
}

pub fn directories_of_every_size() -> Node {
    let sizes = [300, 2047, 2048, 2049, 4095, 4096, 4097, 6144, 6145, 20_000, 70_000];
    directory(sizes.map(|bytes| (format!("{bytes} bytes"), directory_of(bytes))))
}

pub fn symlinks_of_every_length() -> Node {
    let lengths = [1, 31, 32, 33, 1000, 2048, 2049, 4031, 4032, 4063, 4064, 4065, 4094, 4095];
    let plain = lengths.map(|length| (format!("plain {length}"), symlink("t".repeat(length))));
    let labels = lengths.map(|length| (format!("labelled {length}"), labelled(symlink("t".repeat(length)))));
    directory(plain.into_iter().chain(labels))
}

/// Two inodes with the same 130 xattrs; 128 of them are shared, the last two are in each inode.
pub fn more_shared_xattrs_than_an_inode_may_have() -> Node {
    let names: Vec<String> = (0..130).map(|number| format!("user.number{number:03}")).collect();
    let xattrs = || names.iter().map(|name| (name.as_str(), name.as_bytes()));
    directory([("a", with_xattrs(xattrs(), empty_file())), ("b", with_xattrs(xattrs(), file(6)))])
}

pub fn numbers_too_large_for_a_compact_inode() -> Node {
    directory([
        ("uid 65535", owned_by(65535, 0, file(1))),
        ("uid 65536", owned_by(65536, 0, file(1))),
        ("gid 65536", owned_by(0, 65536, symlink("target"))),
        ("4 GiB less 1", file((1 << 32) - 1)),
        ("4 GiB", file(1 << 32)),
        ("8 TiB", file(1 << 43)),
    ])
}

pub fn xattrs_of_every_prefix() -> Node {
    let acl: &[u8] = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x04\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";
    let all: [(&str, &[u8]); 8] = [
        ("user.shared", b"value"),
        ("user.shared longer", b"another value"),
        ("user.empty", b""),
        ("trusted.overlay.opaque", b"y"),
        ("trusted.other", &[0; 5000]),
        ("security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("system.posix_acl_access", acl),
        ("system.posix_acl_default", acl),
    ];
    let some = || all.iter().copied().take(2);
    directory([
        ("all", with_xattrs(all, directory([("in it", empty_file())]))),
        ("some", with_xattrs(some(), file(6))),
        ("the same", with_xattrs(some(), verity_file(6))),
        ("another value", with_xattrs([("user.shared", b"longer value".as_slice())], verity_file(7))),
        ("last", with_xattrs([("user.shared", b"longer value".as_slice())], empty_file())),
    ])
}

pub fn every_kind_of_inode() -> Node {
    let root = directory([
        ("directory", node(0o041777, Kind::Directory(vec![]))),
        ("file", file(6)),
        ("setuid", owned_by(5, 6, node(0o104755, Kind::File { size: 5000, object: HELLO, digest: None }))),
        ("empty", labelled(empty_file())),
        ("symlink", symlink("foo/bar")),
        ("character device", special(0o020666, 0x103)),
        ("block device", special(0o060660, 0x10_0805)),
        ("fifo", special(0o010644, 0)),
        ("socket", special(0o140755, 0)),
        ("44", directory([("takes the name of a whiteout", empty_file())])),
    ]);
    labelled(owned_by(7, 8, root))
}

/// A path of 4094 bytes: 2046 directories named `d` in each other below the root, and a file.
pub fn longest_path() -> Node {
    (0..2047).fold(file(1), |below, _| directory([("d", below)]))
}
