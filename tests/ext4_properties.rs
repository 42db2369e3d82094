//! Random trees: e2fsck agrees, and another reader finds what was given.

use crate::judges::ext4::{Grove, content, every_kind, image, image_in, store};
use bootwright::ext4::{Data, From, Geometry, Kind, Piece, Tree};
use ext4_view::{Ext4, PathBuf};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

const STORE_BLOCKS: u32 = 64;

#[test]
fn ext4_view_reads_a_tree_of_every_kind() {
    let (tree, store) = every_kind();
    read_back(&tree, &store, &image(&tree, &store).path());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_clean_and_reads_back(nodes in vec(node(), 1..50)) {
        let tree = plant(nodes);
        let store = store(STORE_BLOCKS);
        // Not a block to spare: what was measured has to be enough.
        let image = image_in(&tree, &store, |usage| Geometry::smallest(usage, 0, 0, 4096));
        image.is_clean();
        read_back(&tree, &store, &image.path());
    }
}

/// One inode to plant: where, under which name, what, and its attributes.
#[derive(Clone, Debug)]
struct Node {
    directory: prop::sample::Index,
    name: Vec<u8>,
    shape: Shape,
    xattrs: Vec<(String, Vec<u8>)>,
    permissions: u16,
}

#[derive(Clone, Debug)]
enum Shape {
    Kind(Kind),
    /// A directory of so many empty files with names of so many bytes.
    Crowd(u32, usize),
    /// Another name of an inode that was there before.
    Link(prop::sample::Index),
}

fn node() -> impl Strategy<Value = Node> {
    let xattrs = btree_map("(user|trusted|security)\\.[a-z]{1,20}", vec(any::<u8>(), 0..1800), 0..3);
    (any::<prop::sample::Index>(), name(), shape(), xattrs, 0u16..0o10000).prop_map(
        |(directory, name, shape, xattrs, permissions)| {
            let xattrs = xattrs.into_iter().collect();
            Node { directory, name, shape, xattrs, permissions }
        },
    )
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no name has it", |byte| !matches!(byte, 0 | b'/' | b'.'));
    prop_oneof![4 => vec(byte.clone(), 1..20), 1 => vec(byte, 200..256)]
}

fn shape() -> impl Strategy<Value = Shape> {
    let len = prop_oneof![Just(1), Just(58), Just(59), Just(60), Just(61), Just(4094), Just(4095), 1..4096usize];
    prop_oneof![
        4 => Just(Shape::Kind(Kind::Directory(Vec::new()))),
        1 => (0..3000u32, 8..100usize).prop_map(|(count, len)| Shape::Crowd(count, len)),
        6 => data().prop_map(|data| Shape::Kind(Kind::Regular(data))),
        2 => len.prop_map(|len| Shape::Kind(Kind::Symlink(vec![b'/'; len]))),
        1 => (0..4096u32, 0..1u32 << 20).prop_map(|(major, minor)| Shape::Kind(Kind::CharDevice { major, minor })),
        1 => Just(Shape::Kind(Kind::Fifo)),
        2 => any::<prop::sample::Index>().prop_map(Shape::Link),
    ]
}

fn data() -> impl Strategy<Value = Data> {
    let len = prop_oneof![Just(0), Just(1), Just(4095), Just(4096), Just(4097), 0..60_000u64];
    let offset = 0..(u64::from(STORE_BLOCKS) * 4096 - 60_000);
    let sparse = (vec((1..50u64, 0..9000u64, offset.clone()), 0..20), 0..100_000u64)
        .prop_map(|(gaps, tail)| sparse(&gaps, tail));
    prop_oneof![
        len.clone().prop_map(|len| Data::bytes((0..len).map(|at| at as u8).collect::<Vec<_>>())),
        (offset, len).prop_map(|(offset, len)| Data::source(offset / 4096 * 4096 + offset % 2, len)),
        sparse,
    ]
}

fn sparse(gaps: &[(u64, u64, u64)], tail: u64) -> Data {
    let (mut pieces, mut end) = (Vec::new(), 0u64);
    for &(gap, len, offset) in gaps {
        let at = (end.div_ceil(4096) + gap - 1) * 4096;
        end = at + len;
        pieces.push(Piece { at, len, from: From::Source(offset | 1) });
    }
    Data { len: end + tail, pieces }
}

fn plant(nodes: Vec<Node>) -> Tree {
    let mut grove = Grove::new();
    let mut directories = vec![0];
    for Node { directory, name, shape, xattrs, permissions } in nodes {
        let parent = *directory.get(&directories);
        let Kind::Directory(entries) = &grove.tree.inodes[parent].kind else { unreachable!() };
        if entries.iter().any(|(taken, _)| *taken == name) {
            continue;
        }
        let index = match shape {
            Shape::Kind(kind) => grove.add(parent, name, kind),
            Shape::Link(to) => {
                let others: Vec<_> = (0..grove.tree.inodes.len())
                    .filter(|&index| !matches!(grove.tree.inodes[index].kind, Kind::Directory(_)))
                    .collect();
                if !others.is_empty() {
                    grove.link(parent, name, *to.get(&others));
                }
                continue;
            }
            Shape::Crowd(count, len) => {
                let crowd = grove.directory(parent, name);
                for number in 0..count {
                    grove.add(crowd, format!("{number:0len$}"), Kind::Regular(Data::empty()));
                }
                crowd
            }
        };
        if matches!(grove.tree.inodes[index].kind, Kind::Directory(_)) {
            directories.push(index);
        }
        grove.tree.inodes[index].permissions = permissions;
        xattrs.iter().for_each(|(name, value)| grove.xattr(index, name, value));
    }
    grove.tree
}

/// Everything that ext4-view can read: names, kinds, owners, modes, times, targets and contents.
fn read_back(tree: &Tree, store: &[u8], image: &std::path::Path) {
    let ext4 = Ext4::load(Box::new(std::fs::read(image).unwrap())).expect("ext4-view opens the image");
    let mut todo = vec![(PathBuf::new("/"), 0)];
    while let Some((path, index)) = todo.pop() {
        let inode = &tree.inodes[index];
        let found = ext4.symlink_metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid()), (inode.uid, inode.gid));
        assert_eq!(found.mode() & 0o7777, inode.permissions);
        match &inode.kind {
            Kind::Directory(entries) => {
                same_names(&ext4, &path, entries);
                // A sample of a crowd: each path is looked up from the root.
                let step = 1 + entries.len() / 100;
                todo.extend(entries.iter().step_by(step).map(|(name, index)| (path.join(name), *index)));
            }
            Kind::Regular(data) if data.len > 1 << 30 => assert_eq!(found.len(), data.len),
            Kind::Regular(data) => assert!(ext4.read(&path).unwrap() == content(data, store), "{path:?}"),
            Kind::Symlink(target) => assert_eq!(ext4.read_link(&path).unwrap().as_ref() as &[u8], target),
            _ => {}
        }
    }
}

fn same_names(ext4: &Ext4, path: &PathBuf, entries: &[(Vec<u8>, usize)]) {
    let own = [&b"."[..], b"..", b"lost+found"];
    let names = ext4.read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().as_ref().to_vec());
    let mut found: Vec<Vec<u8>> = names.filter(|name: &Vec<u8>| !own.contains(&name.as_slice())).collect();
    let mut given: Vec<Vec<u8>> = entries.iter().map(|(name, _)| name.clone()).collect();
    found.sort();
    given.sort();
    assert_eq!(found, given, "{path:?}");
}
