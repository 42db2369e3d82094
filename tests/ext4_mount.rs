//! What the kernel sees in our filesystems, and that it can go on writing them. Needs root for loop mounts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::judges::ext4::{Grove, Image, content, every_kind, image, image_in, mount_point};
use bootwright::ext4::{Geometry, Inode, Kind, Timestamp, Tree};
use qemu_tests::oracle::{agrees, needs_root, tool};

/// A loop mount, gone with the value.
struct Mount(PathBuf);

impl Mount {
    fn new(image: &Image, options: &str) -> Mount {
        needs_root("a loop mount");
        let point = mount_point(image);
        let options = format!("loop,{options}");
        let args = ["-t", "ext4", "-o", &options].map(OsStr::new);
        agrees(&tool("mount", "mount"), args.into_iter().chain([image.path().as_os_str(), point.as_os_str()]));
        Mount(point)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        agrees(&tool("umount", "mount"), [&self.0]);
    }
}

#[test]
fn the_kernel_sees_the_tree_as_it_was_given() {
    let (mut tree, store) = every_kind();
    // Both have the highest of 32 bits set, which ext4-view refuses to read.
    tree.inodes[5].accessed = Timestamp { seconds: -1, nanoseconds: 999_999_999 };
    tree.inodes[5].modified = Timestamp { seconds: 0x8000_0000, nanoseconds: 1 };
    let image = image(&tree, &store);
    let mount = Mount::new(&image, "ro");
    same(&tree, &store, &mount.0);
}

#[test]
fn the_kernel_finds_every_name_of_hashed_directories() {
    let mut grove = Grove::new();
    let directory = grove.directory(0, "large");
    for number in 0..40_000u32 {
        let odd = [format!("{number:090}").as_bytes(), &number.to_be_bytes().map(|byte| byte | 0x80)].concat();
        grove.add(directory, odd, Kind::Fifo);
    }
    let image = image(&grove.tree, &[]);
    let mount = Mount::new(&image, "ro");
    let Kind::Directory(entries) = &grove.tree.inodes[directory].kind else { unreachable!() };
    for (name, _) in entries {
        let path = mount.0.join("large").join(OsStr::from_bytes(name));
        assert!(path.symlink_metadata().is_ok(), "{} is not found", path.display());
    }
    assert_eq!(fs::read_dir(mount.0.join("large")).unwrap().count(), entries.len());
}

#[test]
fn the_kernel_writes_on_and_e2fsck_stays_content() {
    let (tree, store) = every_kind();
    let mut grove = Grove { tree };
    let crowd = grove.directory(0, "crowd");
    for number in 0..4000 {
        grove.file(crowd, format!("old-{number}"), [1]);
    }
    let image = image_in(&grove.tree, &store, |usage| Geometry::for_size(300 << 20, usage));
    load(&Mount::new(&image, "rw").0);
    image.is_clean();
    let image =
        image_in(&grove.tree, &store, |usage| Geometry::for_size(300 << 20, usage).map(Geometry::without_journal));
    load(&Mount::new(&image, "rw").0);
    image.is_clean();
}

/// Creates, renames and deletes, in old directories as in new ones.
fn load(root: &Path) {
    let (names, crowd) = (root.join("names"), root.join("crowd"));
    for number in 0..3000 {
        fs::write(crowd.join(format!("new-{number}")), b"small").unwrap();
        fs::remove_file(crowd.join(format!("old-{number}"))).unwrap();
        fs::write(names.join(format!("new-{number}")), vec![7; number * 17]).unwrap();
        fs::create_dir(root.join(format!("directory-{number}"))).unwrap();
    }
    for number in (0..3000).step_by(3) {
        fs::rename(names.join(format!("new-{number}")), root.join(format!("directory-{number}/moved"))).unwrap();
        fs::remove_file(names.join(format!("new-{}", number + 1))).unwrap();
    }
    fs::write(root.join("etc/hostname"), vec![b'x'; 1 << 20]).unwrap();
    fs::write(root.join("etc/sparse"), b"short").unwrap();
    fs::remove_file(root.join("etc/depth-2")).unwrap();
    fs::remove_file(names.join("link-4095")).unwrap();
    fs::write(root.join("large"), vec![1; 100 << 20]).unwrap();
}

/// Compares everything that a program can ask the kernel for.
fn same(tree: &Tree, store: &[u8], root: &Path) {
    let xattrs = xattrs(root);
    // By index: inode number and link count as the kernel says, and the names that were met.
    let mut seen = BTreeMap::<usize, (u64, u64, u64)>::new();
    let mut todo = vec![(root.to_owned(), 0)];
    while let Some((path, index)) = todo.pop() {
        let inode = &tree.inodes[index];
        let (number, links) = same_metadata(inode, &path);
        let names = seen.entry(index).or_insert((number, links, 0));
        assert_eq!(names.0, number, "{} is one of several names of an inode", path.display());
        names.2 += 1;
        same_kind(&inode.kind, store, &path);
        let given: BTreeMap<_, _> = inode.xattrs.iter().cloned().collect();
        assert_eq!(xattrs.get(&path).cloned().unwrap_or_default(), given, "{}", path.display());
        if let Kind::Directory(entries) = &inode.kind {
            same_names(entries, &path, index == 0);
            todo.extend(entries.iter().map(|(name, index)| (path.join(OsStr::from_bytes(name)), *index)));
        }
    }
    assert_eq!(seen.len(), tree.inodes.len());
    for (index, (_, links, names)) in seen {
        assert_eq!(links, expected_links(tree, index, names), "inode {index}");
    }
}

fn expected_links(tree: &Tree, index: usize, names: u64) -> u64 {
    let Kind::Directory(entries) = &tree.inodes[index].kind else { return names };
    let subdirectories = entries.iter().filter(|(_, child)| matches!(tree.inodes[*child].kind, Kind::Directory(_)));
    let lost_and_found = usize::from(index == 0);
    2 + (subdirectories.count() + lost_and_found) as u64
}

/// The inode's number and its link count.
fn same_metadata(inode: &Inode, path: &Path) -> (u64, u64) {
    let found = path.symlink_metadata().unwrap();
    assert_eq!(found.mode() & 0o7777, u32::from(inode.permissions), "{}", path.display());
    assert_eq!((found.uid(), found.gid()), (inode.uid, inode.gid), "{}", path.display());
    let times = [
        (found.atime(), found.atime_nsec(), inode.accessed),
        (found.mtime(), found.mtime_nsec(), inode.modified),
        (found.ctime(), found.ctime_nsec(), inode.changed),
    ];
    for (seconds, nanoseconds, Timestamp { seconds: given, nanoseconds: given_ns }) in times {
        assert_eq!((seconds, nanoseconds), (given, i64::from(given_ns)), "{}", path.display());
    }
    assert_eq!(found.created().unwrap(), system_time(inode.created), "{}", path.display());
    (found.ino(), found.nlink())
}

fn system_time(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::new(u64::try_from(time.seconds).unwrap(), time.nanoseconds)
}

fn same_kind(kind: &Kind, store: &[u8], path: &Path) {
    let found = path.symlink_metadata().unwrap();
    let is = found.file_type();
    // glibc's makedev.
    let device = |major: u32, minor: u32| {
        let (major, minor) = (u64::from(major), u64::from(minor));
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12
    };
    match kind {
        Kind::Directory(_) => assert!(is.is_dir()),
        Kind::Regular(data) if data.len > 1 << 30 => assert_eq!((found.len(), found.blocks()), (data.len, 0)),
        Kind::Regular(data) => assert!(fs::read(path).unwrap() == content(data, store), "{}", path.display()),
        Kind::Symlink(target) => assert_eq!(fs::read_link(path).unwrap().as_os_str().as_bytes(), target),
        Kind::CharDevice { major, minor } => {
            assert!(is.is_char_device());
            assert_eq!(found.rdev(), device(*major, *minor));
        }
        Kind::BlockDevice { major, minor } => {
            assert!(is.is_block_device());
            assert_eq!(found.rdev(), device(*major, *minor));
        }
        Kind::Fifo => assert!(is.is_fifo()),
        Kind::Socket => assert!(is.is_socket()),
    }
}

fn same_names(entries: &[(Vec<u8>, usize)], path: &Path, is_root: bool) {
    let mut found: Vec<OsString> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut given: Vec<OsString> = entries.iter().map(|(name, _)| OsStr::from_bytes(name).to_owned()).collect();
    given.extend(is_root.then(|| OsString::from("lost+found")));
    found.sort();
    given.sort();
    assert_eq!(found, given, "{}", path.display());
}

type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// All attributes below `root` by path, as getfattr prints them.
fn xattrs(root: &Path) -> BTreeMap<PathBuf, Xattrs> {
    let args = ["-R", "-P", "-h", "-d", "-m", "-", "-e", "hex", "--absolute-names"].map(OsStr::new);
    let said = agrees(&tool("getfattr", "attr"), args.into_iter().chain([root.as_os_str()]));
    let mut found = BTreeMap::<PathBuf, Xattrs>::new();
    let mut file = PathBuf::new();
    for line in said.lines() {
        if let Some(path) = line.strip_prefix("# file: ") {
            file = PathBuf::from(OsStr::from_bytes(&unescape(path)));
        } else if let Some((name, hex)) = line.split_once("=0x") {
            found.entry(file.clone()).or_default().insert(unescape(name), unhex(hex));
        } else if !line.is_empty() {
            found.entry(file.clone()).or_default().insert(unescape(line), Vec::new());
        }
    }
    found
}

/// getfattr writes odd bytes as a backslash and three octal digits.
fn unescape(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\');
        bytes.push(octal.map_or(byte, |digits| digits.iter().fold(0, |value, digit| value << 3 | (digit - b'0'))));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    bytes
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
