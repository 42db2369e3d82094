//! What e2fsprogs says about our filesystems.

use std::os::unix::fs::FileExt;

use crate::judges::ext4::{Grove, Image, every_kind, image, image_in, image_with, inode, options, store};
use bootwright::ext4::{self, Data, Error, From, Geometry, Inode, Kind, Piece, Tree, measure, write};
use qemu_tests::oracle::{agrees, tool};

#[test]
fn e2fsck_finds_nothing_to_repair_in_a_tree_of_every_kind() {
    let (tree, store) = every_kind();
    image(&tree, &store).is_clean();
    // One group with a journal, just below two flex groups, a short last group, two flex groups and a bit.
    for mib in [100, 2047, 2048, 2200, 5000] {
        image_in(&tree, &store, |usage| Geometry::for_size(mib << 20, usage)).is_clean();
    }
}

#[test]
fn e2fsck_accepts_a_filesystem_of_1024_groups_with_a_journal_of_1_gib() {
    let (tree, store) = every_kind();
    let image = image_in(&tree, &store, |usage| Geometry::for_size(128 << 30, usage));
    assert_eq!(image.geometry.journal_blocks, 262_144);
    image.is_clean();
}

#[test]
fn e2fsck_accepts_a_filesystem_too_small_for_a_journal() {
    let tree = Grove::new().tree;
    let image = image_in(&tree, &[], |usage| Geometry::for_size(7 << 20, usage));
    assert_eq!(image.geometry.journal_blocks, 0);
    image.is_clean();
}

#[test]
fn e2fsck_accepts_a_filesystem_without_a_journal_whose_blocks_are_free() {
    let (tree, store) = every_kind();
    let image = image_in(&tree, &store, |usage| Geometry::for_size(600 << 20, usage).map(Geometry::without_journal));
    image.is_clean();
    assert!(!field(&image.dumpe2fs(), "Filesystem features:").contains("has_journal"));
    let with = image_in(&tree, &store, |usage| Geometry::for_size(600 << 20, usage));
    let free = |image: &Image| field(&image.dumpe2fs(), "Free blocks:").parse::<u32>().expect("a number");
    // The journal's blocks, and those of its extent tree, if any.
    assert!(free(&image) >= free(&with) + with.geometry.journal_blocks);
}

#[test]
fn e2fsck_accepts_a_file_that_goes_round_backup_superblocks() {
    let mut grove = Grove::new();
    let file = grove.add(0, "large", Kind::Regular(Data::source(0, 5 << 30)));
    let bytes = vec![1; 200 << 20];
    let held = grove.file(0, "held", bytes);
    let image = image(&grove.tree, &[]);
    image.is_clean();
    let extents = image.extents.iter().filter(|extent| matches!(extent.from, From::Source(_)));
    assert!(extents.clone().count() > 5, "one extent per stretch between fixed metadata");
    assert_eq!(extents.map(|extent| extent.len).sum::<u64>(), 5 << 30);
    assert!(file < held);
}

#[test]
fn e2fsck_accepts_inode_tables_that_fill_more_than_a_group() {
    let mut grove = Grove::new();
    let directory = grove.directory(0, "many");
    for number in 0..32768 * 3 {
        grove.add(directory, format!("{number}"), Kind::Regular(Data::empty()));
    }
    let image = image_in(&grove.tree, &[], |usage| Geometry::smallest(usage, 0, 0, 1 << 20));
    assert_eq!(image.geometry.groups, 4);
    image.is_clean();
}

#[test]
fn dumpe2fs_sees_the_features_that_every_loader_reads_and_verity_when_asked() {
    let tree = Grove::new().tree;
    let dump = image(&tree, &[]).dumpe2fs();
    let features = "has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file \
                    huge_file dir_nlink extra_isize metadata_csum\n";
    assert_eq!(field(&dump, "Filesystem features:").to_owned() + "\n", features);
    assert_eq!(field(&dump, "Filesystem state:"), "clean");
    assert_eq!(field(&dump, "Reserved block count:"), "0");
    assert_eq!(field(&dump, "Filesystem UUID:"), "12345678-9abc-4def-8123-456789abcdef");
    let sealed = ext4::Options { verity: true, ..options() };
    let image = image_with(&sealed, &tree, &[], |usage| Geometry::for_size(64 << 20, usage));
    image.is_clean();
    assert!(field(&image.dumpe2fs(), "Filesystem features:").ends_with(" verity"));
}

fn field<'a>(dump: &'a str, name: &str) -> &'a str {
    dump.lines().find_map(|line| line.strip_prefix(name)).expect(name).trim()
}

#[test]
fn an_empty_filesystem_has_the_geometry_that_mke2fs_gives_it() {
    let tree = Grove::new().tree;
    for mib in [16, 100, 200, 300, 600, 1024, 2047, 4096, 10_000, 20_600] {
        let ours = image_in(&tree, &[], |usage| Geometry::for_size(mib << 20, usage)).dumpe2fs();
        let theirs = mke2fs(mib);
        for name in [
            "Block count:",
            "Inode count:",
            "Reserved GDT blocks:",
            "Inodes per group:",
            "Flex block group size:",
            "Total journal blocks:",
            "Overhead clusters:",
            "Free blocks:",
            "Free inodes:",
        ] {
            assert_eq!(field(&ours, name), field(&theirs, name), "{name} of {mib} MiB");
        }
    }
}

fn mke2fs(mib: u64) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(mib << 20).unwrap();
    let features = "^metadata_csum_seed,^orphan_file,64bit,metadata_csum";
    let args = ["-q", "-t", "ext4", "-b", "4096", "-i", "16384", "-I", "256", "-m", "0", "-O", features];
    let args = args.map(AsRef::as_ref).into_iter().chain([file.path().as_os_str()]);
    agrees(&tool("mke2fs", "e2fsprogs"), args);
    agrees(&tool("dumpe2fs", "e2fsprogs"), [file.path()])
}

#[test]
#[should_panic(expected = "e2fsck")]
fn one_wrong_bit_is_not_clean() {
    let image = image(&Grove::new().tree, &[]);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(image.path()).unwrap();
    let at = u64::from(1 + image.geometry.descriptor_blocks + image.geometry.reserved_descriptor_blocks) * 4096;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
    image.is_clean();
}

#[test]
fn a_directory_of_40000_long_names_has_an_index_of_two_levels() {
    let mut grove = Grove::new();
    let directory = grove.directory(0, "large");
    for number in 0..40_000 {
        grove.add(directory, format!("{number:0100}"), Kind::Fifo);
    }
    let image = image(&grove.tree, &[]);
    image.is_clean();
    let dump = image.debugfs("htree_dump /large");
    assert!(dump.contains("Indirect levels: 1"), "{}", &dump[..2000]);
    assert!(dump.contains("Number of entries (count): 3\n") && dump.contains("Number of entries (limit): 507\n"));
}

#[test]
fn a_directory_of_6000_names_has_an_index_of_one_level() {
    let mut grove = Grove::new();
    let directory = grove.directory(0, "large");
    for number in 0..6000 {
        grove.add(directory, [format!("{number}").as_bytes(), &[0xe4, 0x80]].concat(), Kind::Socket);
    }
    let image = image(&grove.tree, &[]);
    image.is_clean();
    let dump = image.debugfs("htree_dump /large");
    assert!(dump.contains("Indirect levels: 0") && dump.contains("Hash Version: 1"), "{}", &dump[..2000]);
    assert!(image.debugfs("stat /large").contains("Flags: 0x81000"));
}

#[test]
fn names_of_one_hash_on_both_sides_of_a_leaf_are_announced_in_the_index() {
    // As many names of 8 bytes as fit a leaf filled to four fifths, but for the first of the two.
    const BEFORE: usize = 4084 * 4 / 5 / 16 - 1;
    let hashed = debugfs_hashes((0..200_000).map(|number| format!("{number:08}")));
    let twins = (BEFORE..hashed.len()).find(|&at| hashed[at].0 == hashed[at + 1].0).expect("two names of one hash");
    let mut grove = Grove::new();
    let directory = grove.directory(0, "twins");
    for (_, name) in hashed[..BEFORE].iter().chain(&hashed[twins..]).take(3 * BEFORE) {
        grove.add(directory, name, Kind::Fifo);
    }
    let image = image(&grove.tree, &[]);
    image.is_clean();
    let continued = format!("Hash {:#010x}, block 2", hashed[twins].0 | 1);
    assert!(image.debugfs("htree_dump /twins").contains(&continued), "{}", image.debugfs("htree_dump /twins"));
}

/// The names in order of the hash that debugfs computes with our seed.
fn debugfs_hashes(names: impl Iterator<Item = String>) -> Vec<(u32, String)> {
    let names: Vec<String> = names.collect();
    let seed = "68617368-2073-6565-6420-666f72207573"; // "hash seed for us"
    let requests: String = names.iter().map(|name| format!("dx_hash -h half_md4 -s {seed} {name}\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), requests).unwrap();
    let said = agrees(&tool("debugfs", "e2fsprogs"), ["-f".as_ref(), file.path().as_os_str()]);
    let hashes = said.lines().filter_map(|line| line.split_once(" is 0x"));
    let hashes = hashes.map(|(_, hash)| u32::from_str_radix(hash.split_once(' ').unwrap().0, 16).unwrap());
    let mut hashed: Vec<_> = hashes.zip(names).collect();
    hashed.sort();
    hashed
}

#[test]
fn a_directory_with_65100_subdirectories_gives_up_counting_links() {
    let mut grove = Grove::new();
    let few = grove.directory(0, "few");
    let many = grove.directory(0, "many");
    for (parent, count) in [(few, 40), (many, 65_100)] {
        for number in 0..count {
            grove.directory(parent, format!("{number}"));
        }
    }
    let image = image(&grove.tree, &[]);
    image.is_clean();
    assert!(image.debugfs("stat /few").contains("Links: 42 "));
    assert!(image.debugfs("stat /many").contains("Links: 1 "));
}

#[test]
fn neighbours_in_the_store_leave_as_one_extent_whatever_directory_they_are_in() {
    let mut grove = Grove::new();
    let (a, b) = (grove.directory(0, "a"), grove.directory(0, "b"));
    for number in 0..100u64 {
        let directory = if number % 3 == 0 { a } else { b };
        grove.add(directory, format!("{}", 200 - number), Kind::Regular(Data::source(number * 8192, 4097)));
    }
    let mut held = store(200);
    (0..100).for_each(|number| held[number * 8192 + 4097..(number + 1) * 8192].fill(0));
    let image = image(&grove.tree, &held);
    image.is_clean();
    let sources = image.extents.iter().filter(|extent| matches!(extent.from, From::Source(_)));
    assert_eq!(sources.map(|extent| extent.len).collect::<Vec<_>>(), [99 * 8192 + 4097]);
}

#[test]
fn a_lost_and_found_of_the_tree_becomes_the_one_that_e2fsck_uses() {
    let mut grove = Grove::new();
    let own = grove.directory(0, "lost+found");
    grove.file(own, "#12345", *b"found");
    let image = image(&grove.tree, &[]);
    image.is_clean();
    assert!(image.debugfs("stat /lost+found").starts_with("Inode: 11 "));
    assert!(image.debugfs("cat /lost+found/#12345").contains("found"));
}

#[test]
fn equal_attributes_share_blocks() {
    let mut grove = Grove::new();
    for number in 0..1500 {
        let file = grove.file(0, format!("{number}"), *b"x");
        grove.xattr(file, "user.long", &[7; 500]);
    }
    let image = image(&grove.tree, &[]);
    image.is_clean();
    let place = |name: &str| field(&image.debugfs(&format!("stat /{name}")), "File ACL:").to_owned();
    assert_eq!(place("0"), place("1023"));
    assert_ne!(place("0"), place("1024"), "a block has 1024 users at most");
}

#[test]
fn debugfs_reads_flags_devices_attributes_and_extents() {
    let (mut tree, store) = every_kind();
    let hostname = 3;
    tree.inodes[hostname].immutable = true;
    let image = image(&tree, &store);
    image.is_clean();
    assert!(image.debugfs("stat /etc/hostname").contains("Flags: 0x80010"));
    assert!(image.debugfs("stat /names/old-device").contains("Device major/minor number: 05:01"));
    assert!(image.debugfs("stat /names/new-device").contains("Device major/minor number: 259:74565"));
    assert!(image.debugfs("stat /names/link-59").contains("Fast link dest"));
    let label = image.debugfs("ea_get -V /etc/empty security.selinux");
    assert!(label.starts_with("system_u:object_r:etc_t:s0\0"), "{label}");
    assert!(image.debugfs("ex /etc/full").contains(" 0/ 1   1/  4"), "1360 extents fill a tree of depth 1");
    assert!(image.debugfs("ex /etc/depth-2").contains(" 0/ 2   1/  1"), "one more needs depth 2");
}

#[test]
fn resize2fs_grows_it_to_four_times_its_size() {
    let (tree, store) = every_kind();
    for mib in [100, 700, 2200] {
        let image = image_in(&tree, &store, |usage| Geometry::for_size(mib << 20, usage));
        let size = format!("{}M", 4 * mib);
        agrees(&tool("resize2fs", "e2fsprogs"), ["-f".as_ref(), image.path().as_os_str(), size.as_ref()]);
        image.is_clean();
        assert_eq!(field(&image.dumpe2fs(), "Block count:"), (4 * mib * 256).to_string());
    }
}

#[test]
fn two_runs_give_equal_bytes() {
    let (tree, _) = every_kind();
    let geometry = Geometry::for_size(100 << 20, &measure(&tree).unwrap()).unwrap();
    assert_eq!(write(&options(), &geometry, &tree).unwrap(), write(&options(), &geometry, &tree.clone()).unwrap());
}

#[test]
fn the_room_that_was_asked_for_is_there() {
    let (tree, store) = every_kind();
    for (free_bytes, free_inodes) in [(0, 0), (300 << 20, 50_000), (5 << 30, 1_000_000)] {
        let image = image_in(&tree, &store, |usage| Geometry::smallest(usage, free_bytes, free_inodes, 1 << 20));
        image.is_clean();
        let number = |name| field(&image.dumpe2fs(), name).parse::<u64>().unwrap();
        assert!(number("Free blocks:") * 4096 >= free_bytes && number("Free inodes:") >= free_inodes);
        assert_eq!(image.geometry.size_bytes() % (1 << 20), 0);
    }
}

#[test]
fn a_tree_that_does_not_fit_is_refused_with_numbers() {
    let mut grove = Grove::new();
    grove.add(0, "large", Kind::Regular(Data::source(0, 1 << 30)));
    let usage = measure(&grove.tree).unwrap();
    let error = Geometry::for_size(1 << 30, &usage).unwrap_err();
    assert!(matches!(error, Error::NoSpace { need, have: 262_144 } if need > 262_144), "{error}");
    assert!(matches!(Geometry::for_size(1 << 16, &usage), Err(Error::TooSmall { .. })));
}

#[test]
fn trees_that_ext4_cannot_hold_are_refused() {
    let child = |name: &[u8], index| (name.to_vec(), index);
    let root = |entries| inode(Kind::Directory(entries), 0);
    let measured = |inodes: Vec<Inode>| measure(&Tree { inodes }).unwrap_err();
    let with = |kind| measured(vec![root(vec![child(b"a", 1)]), inode(kind, 1)]);

    assert_eq!(measured(vec![]), Error::NoRoot);
    assert_eq!(measured(vec![inode(Kind::Fifo, 0)]), Error::NoRoot);
    assert!(matches!(measured(vec![root(vec![child(b"a", 7)])]), Error::NoSuchInode { index: 7, .. }));
    assert!(matches!(measured(vec![root(vec![child(b"a", 0)])]), Error::DirectoryLinkedTwice { index: 0 }));
    assert!(matches!(measured(vec![root(vec![]), inode(Kind::Fifo, 1)]), Error::Unreachable { index: 1 }));
    for name in [&b"."[..], b"..", b"a/b", b"a\0"] {
        let tree = vec![root(vec![child(name, 1)]), inode(Kind::Fifo, 1)];
        assert!(matches!(measured(tree), Error::NameForbidden { .. }));
    }
    for len in [0, 256] {
        let tree = vec![root(vec![child(&vec![b'n'; len], 1)]), inode(Kind::Fifo, 1)];
        assert!(matches!(measured(tree), Error::NameLength { .. }));
    }
    let twins = vec![root(vec![child(b"a", 1), child(b"b", 1), child(b"a", 1)]), inode(Kind::Fifo, 1)];
    assert!(matches!(measured(twins), Error::NameTwice { .. }));
    let ring = vec![root(vec![]), inode(Kind::Directory(vec![child(b"a", 1)]), 1)];
    assert!(matches!(measured(ring), Error::Unreachable { index: 1 }));
    let twice = vec![root(vec![child(b"a", 1), child(b"b", 1)]), inode(Kind::Directory(vec![]), 1)];
    assert!(matches!(measured(twice), Error::DirectoryLinkedTwice { index: 1 }));
    let names = (0..65_001).map(|number| child(format!("{number}").as_bytes(), 1)).collect();
    assert!(matches!(measured(vec![root(names), inode(Kind::Fifo, 1)]), Error::TooManyLinks { links: 65_001, .. }));
    let file = vec![root(vec![child(b"lost+found", 1)]), inode(Kind::Fifo, 1)];
    assert_eq!(measured(file), Error::LostAndFound);

    assert!(matches!(with(Kind::Symlink(vec![])), Error::SymlinkLength { len: 0, .. }));
    assert!(matches!(with(Kind::Symlink(vec![b'x'; 4096])), Error::SymlinkLength { len: 4096, .. }));
    assert!(matches!(with(Kind::Symlink(vec![b'x', 0])), Error::SymlinkNul { .. }));
    assert!(matches!(with(Kind::CharDevice { major: 4096, minor: 0 }), Error::Device { .. }));
    assert!(matches!(with(Kind::BlockDevice { major: 0, minor: 1 << 20 }), Error::Device { .. }));
    assert!(matches!(with(Kind::Regular(Data::hole(1 << 44))), Error::FileTooLarge { .. }));
    let pieces = |pieces: &[(u64, u64)], len| {
        let piece = |&(at, len)| Piece { at, len, from: From::Source(0) };
        with(Kind::Regular(Data { len, pieces: pieces.iter().map(piece).collect() }))
    };
    assert!(matches!(pieces(&[(1, 1)], 100), Error::PieceMisplaced { at: 1, .. }));
    assert!(matches!(pieces(&[(0, 5000), (4096, 1)], 9000), Error::PieceMisplaced { at: 4096, .. }));
    assert!(matches!(pieces(&[(0, 101)], 100), Error::PieceOutside { .. }));
    let short = Piece { at: 0, len: 9, from: From::Bytes([1; 8].into()) };
    assert!(matches!(with(Kind::Regular(Data { len: 9, pieces: vec![short] })), Error::PieceLength { .. }));
}

/// Placed here since only the whole writer shows it; the limit is far above what a machine under load takes.
#[test]
fn a_tree_of_130000_inodes_is_laid_out_in_a_moment() {
    let tree = large_tree();
    let usage = measure(&tree).unwrap();
    let geometry = Geometry::smallest(&usage, 1 << 30, 130_000, 1 << 20).unwrap();
    let start = std::time::Instant::now();
    let extents = write(&options(), &geometry, &tree).unwrap();
    let took = start.elapsed();
    println!("{} extents in {took:?}", extents.len());
    assert!(took.as_secs() < 10, "{took:?}");
}

fn large_tree() -> Tree {
    let mut grove = Grove::new();
    let mut offset = 0;
    for number in 0..10_000 {
        let directory = grove.directory(0, format!("directory-{number}"));
        for file in 0..12u64 {
            let len = 100 + (number * 7919 + file * 104_729) % 40_000;
            let index = grove.add(directory, format!("file-{file}"), Kind::Regular(Data::source(offset, len)));
            grove.xattr(index, "security.selinux", b"system_u:object_r:usr_t:s0\0");
            offset += len.next_multiple_of(4096);
        }
    }
    grove.tree
}

#[test]
fn extents_of_130000_inodes_are_few() {
    let tree = large_tree();
    let Image { extents, .. } = image(&tree, &[]);
    let sources = extents.iter().filter(|extent| matches!(extent.from, From::Source(_))).count();
    assert!(sources < 40, "{sources} extents from the store");
}
