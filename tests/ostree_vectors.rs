//! Objects whose bytes and checksums are known: made by the program `ostree`, or found on a disk that `bootc install` wrote.

use bootwright::ostree::{Checksum, Commit, DirMeta, DirTree, Directory, Error, FileHasher, Name, Value, Xattrs};
use bootwright::ostree::{file_header, symlink_checksum};
use proptest::prelude::*;

const HELLO: &str = "44f778e59f0a4748d6b0c90a47347212a231c4ad1e8f7ea5c5dffc7749153a6b";
const EMPTY_TREE: &str = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
const ROOT_META: &str = "446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488";
const HELLO_TREE: &str = "e4a25ddf6e5c89cadbd6392049ebe4b409a640f853def4240eb9287f686e5075";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checksum(text: &str) -> Checksum {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn xattrs(pairs: &[(&str, &str)]) -> Xattrs {
    Xattrs::new(pairs.iter().copied()).unwrap()
}

fn hello_tree() -> DirTree {
    let mut tree = DirTree::default();
    tree.files.insert(name("hello.txt"), checksum(HELLO));
    tree.files.insert(name("a"), checksum(HELLO));
    tree.dirs.insert(name("sub"), (checksum(EMPTY_TREE), checksum(ROOT_META)));
    tree
}

fn commit(subject: &str, timestamp: i64, root_tree: &str) -> Commit {
    let (root_tree, root_meta) = (checksum(root_tree), checksum(ROOT_META));
    Commit {
        metadata: vec![],
        parent: None,
        subject: subject.into(),
        body: String::new(),
        timestamp,
        root_tree,
        root_meta,
    }
}

#[test]
fn dirmeta_objects() {
    let selinux = xattrs(&[("security.selinux", "system_u:object_r:usr_t:s0\0")]);
    for (meta, bytes, sum) in [
        (DirMeta::new(0, 0, 0o755, Xattrs::default()), "0000000000000000000041ed", ROOT_META),
        (
            DirMeta::new(0, 0, 0o1777, Xattrs::default()),
            "0000000000000000000043ff",
            "bbe8d5c22ca8a645068a1aa51a59e117f139319d9a791e4d4c0d27dae64cc8c7",
        ),
        (
            DirMeta::new(0, 0, 0o755, selinux),
            "0000000000000000000041ed73656375726974792e73656c696e75780073797374656d5f753a6f626a6563745f723a7573725f743a733000112d",
            "9c359a8bcc95143dcc1db8f6e3897d4e53e2562aa9ac41b1d5a0c1dfb2f6c468",
        ),
    ] {
        assert_eq!(hex(&meta.bytes()), bytes);
        assert_eq!(meta.checksum(), checksum(sum));
        assert_eq!(DirMeta::parse(&meta.bytes()), Ok(meta));
    }
}

#[test]
fn regular_file_objects() {
    let plain = Xattrs::default();
    let unsorted = xattrs(&[("user.b", "2"), ("user.a", "1")]);
    for (owner, mode, xattrs, content, header, sum) in [
        (
            0,
            0o100_644,
            &plain,
            "",
            "00000012000000000000000000000000000081a4000000000011",
            "cc700d46f407c6c5ab2d5dde474366a928b7398277e61162e7f8ec06f469f07e",
        ),
        (0, 0o100_644, &plain, "hello\n", "00000012000000000000000000000000000081a4000000000011", HELLO),
        (
            1000,
            0o104_755,
            &plain,
            "hello\n",
            "0000001200000000000003e8000003e8000089ed000000000011",
            "4515b64d3e0d38b0e0afeb2ded76c9a6cffd9f92fba08219bf18c91f28ed9432",
        ),
        (
            0,
            0o100_644,
            &unsorted,
            "hello\n",
            "00000026000000000000000000000000000081a40000000000757365722e61003107757365722e62003207091211",
            "ec8a777849ae5bfbbafd11738442c8a2f8a5f8588d09df043a3d6bf5f0c24540",
        ),
    ] {
        let bytes = file_header(owner, owner, mode, "", xattrs);
        assert_eq!(hex(&bytes), header);
        let mut hasher = FileHasher::new(&bytes);
        content.bytes().for_each(|byte| hasher.update(&[byte]));
        assert_eq!(hasher.finish(), checksum(sum));
    }
}

#[test]
fn symlink_objects_have_mode_0120777() {
    let header = file_header(0, 0, 0o120_777, "usr/bin", &Xattrs::default());
    assert_eq!(hex(&header), "000000190000000000000000000000000000a1ff000000007573722f62696e0018");
    let sum = "389846c2702216e1367c8dfb68326a6b93ccf5703c89c93979052a9bf359608e";
    assert_eq!(symlink_checksum(0, 0, "usr/bin", &Xattrs::default()), checksum(sum));
}

#[test]
fn dirtree_objects() {
    assert_eq!(DirTree::default().checksum(), checksum(EMPTY_TREE));
    let bytes = "610044f778e59f0a4748d6b0c90a47347212a231c4ad1e8f7ea5c5dffc7749153a6b0268656c6c6f2e7478740044f778e59f0a4748d6b0c90a47347212a231c4ad1e8f7ea5c5dffc7749153a6b0a234e737562006e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c548824044650";
    assert_eq!(hex(&hello_tree().bytes()), bytes);
    assert_eq!(hello_tree().checksum(), checksum(HELLO_TREE));
    assert_eq!(DirTree::parse(&hello_tree().bytes()), Ok(hello_tree()));
}

#[test]
fn a_tree_in_memory_has_the_checksums_of_its_objects() {
    let mut root = Directory::new(DirMeta::new(0, 0, 0o755, Xattrs::default()));
    root.files = hello_tree().files;
    root.dirs.insert(name("sub"), Directory::new(root.meta.clone()));
    assert_eq!(root.write(&mut |_, _| ()), (checksum(HELLO_TREE), checksum(ROOT_META)));
}

#[test]
fn commit_objects() {
    let plain = commit("s", 1_700_000_000, HELLO_TREE);
    assert_eq!(
        hex(&plain.bytes()),
        "7300000000000000000000006553f100e4a25ddf6e5c89cadbd6392049ebe4b409a640f853def4240eb9287f686e5075446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488300302000000"
    );
    assert_eq!(plain.checksum(), checksum("257423e7db777170fbe37296ee9449cff8b651bb6c25c30858de27c33347b459"));

    let mut full = commit("", 1_700_000_000, HELLO_TREE);
    full.metadata = vec![("version".into(), Value::String("42".into())), ("ostree.bootable".into(), Value::Bool(true))];
    full.parent = Some(checksum(HELLO_TREE));
    assert_eq!(
        hex(&full.bytes()),
        "76657273696f6e0034320000730800006f73747265652e626f6f7461626c6500010062100e24e4a25ddf6e5c89cadbd6392049ebe4b409a640f853def4240eb9287f686e50750000000000006553f100e4a25ddf6e5c89cadbd6392049ebe4b409a640f853def4240eb9287f686e5075446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488704847464626"
    );
    assert_eq!(full.checksum(), checksum("1336d9e28c04b6020fee64fa76a121ad099980bfb76df1d1978a4b88ff92654c"));
    assert_eq!(Commit::parse(&full.bytes()), Ok(full));
}

#[test]
fn object_set_commit_of_a_component_layer() {
    let mut tree = DirTree::default();
    tree.files.insert(name(HELLO), checksum(HELLO));
    let objects = commit("", 0, &tree.checksum().to_string());
    assert_eq!(objects.checksum(), checksum("9991cb6a41d96284a68a4c9888b0d009f65775fbaa71559d2b1f318295e504b0"));
}

#[test]
fn layer_commits_of_a_disk_that_bootc_wrote() {
    for (timestamp, tree, id) in [
        (
            1_795_194_038,
            "a665ee5b189b31a09707f3479ff84df78df74ed156a4c91534d3ca870038d56f",
            "92dd6cd108b67fddbcd8fdcbda3437c1072c47a97ec8462b7f44e02a7d593259",
        ),
        (
            1_795_194_039,
            "9042f5f9099f63c5d4d28dc41fcc3bdb91bc537bbcaf5d8f268938694d3c56a4",
            "8aa2fe6c966bd6d5c47f773d0ce854c3d40dc02eeac54d3fa072bdc802b8f62e",
        ),
        (
            1_795_194_039,
            "2c1d6a50998c5b70e2711265c6634ce6d73061b7d1b074c306e36ffe54f9fc4a",
            "38ec490c254edfe71506343e23f928b81c38c148f0ba87265ba94913fdea6087",
        ),
    ] {
        let mut layer = commit("", timestamp, tree);
        layer.metadata.push(("ostree.importer.version".into(), Value::String("0.15.3".into())));
        assert_eq!(layer.checksum(), checksum(id));
        let parsed = Commit::parse(&layer.bytes()).unwrap();
        assert_eq!(parsed.string("ostree.importer.version"), Some("0.15.3"));
    }
}

/// Bytes of an object with one byte changed, or any bytes.
fn foreign_bytes() -> impl Strategy<Value = Vec<u8>> {
    let mut large = DirTree::default();
    for number in 0..12 {
        large.files.insert(name(&number.to_string()), checksum(HELLO));
    }
    let metadata = vec![("key".into(), Value::String("value".into())), ("other".into(), Value::Bytes(vec![1, 2, 3]))];
    let commit = Commit { metadata, ..commit("s", 5, HELLO_TREE) };
    let meta = DirMeta::new(1, 2, 0o755, xattrs(&[("user.a", "1"), ("user.b", "2")]));
    let objects = prop::sample::select(vec![large.bytes(), hello_tree().bytes(), commit.bytes(), meta.bytes()]);
    let changed = (objects, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, byte)| {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    prop_oneof![3 => changed, 1 => prop::collection::vec(any::<u8>(), 0..400)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn foreign_bytes_are_refused_or_are_in_normal_form(bytes in foreign_bytes()) {
        let refused = |error: Error| matches!(error, Error::Object { .. });
        prop_assert!(DirTree::parse(&bytes).map_or_else(refused, |tree| tree.bytes() == bytes));
        prop_assert!(DirMeta::parse(&bytes).map_or_else(refused, |meta| meta.bytes() == bytes));
        prop_assert!(Commit::parse(&bytes).map_or_else(refused, |commit| commit.bytes() == bytes));
    }
}
