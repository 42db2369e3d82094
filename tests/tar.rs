//! The tar reader against other people's writers: GNU tar, bsdtar and Python's tarfile.

use std::fs;
use std::path::Path;

use bootwright::layer::tar::{Entry, Error, Kind, Piece, Reader};
use qemu_tests::oracle;

/// Entries with their content.
fn read(tar: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, Error> {
    let mut reader = Reader::new(tar);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.data::<Error>(|piece| {
            match piece {
                Piece::Bytes(bytes) => content.extend_from_slice(bytes),
                Piece::Zeros(len) => content.resize(content.len() + usize::try_from(len).unwrap(), 0),
            }
            Ok(())
        })?;
        all.push((entry, content));
    }
    Ok(all)
}

fn names(tar: &[u8]) -> Vec<String> {
    read(tar).unwrap().iter().map(|(entry, _)| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

fn gnu_tar(dir: &Path, options: &[&str]) -> Vec<u8> {
    let archive = dir.join("out.tar");
    let (directory, name) = (dir.join("in").display().to_string(), archive.display().to_string());
    let fixed = ["--sort=name", "--owner=0", "--group=0", "-C", &directory, "-cf", &name];
    oracle::agrees(&oracle::tool("tar", "tar"), options.iter().copied().chain(fixed).chain(["."]));
    fs::read(archive).unwrap()
}

/// Writes an archive with a Python program that has `t`, a `tarfile.TarFile`, and `add(name, data=b"", **fields)`.
fn python(program: &str, format: &str) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let prelude = format!(
        "import tarfile, io\nt = tarfile.open({:?}, 'w', format=tarfile.{format})\n\
         def add(name, data=b'', **fields):\n  i = tarfile.TarInfo(name); i.size = len(data)\n  \
         for k, v in fields.items(): setattr(i, k, v)\n  t.addfile(i, io.BytesIO(data))\n",
        file.path()
    );
    oracle::agrees(&oracle::tool("python3", "python3"), ["-c", &format!("{prelude}{program}\nt.close()")]);
    fs::read(file.path()).unwrap()
}

fn sparse_tree() -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    let mut content = vec![0; 4 << 20];
    // More than four segments: the old format needs blocks of its own for them, more than 21 a second one.
    for n in 0..40 {
        content[n * 100_000] = u8::try_from(n + 1).unwrap();
    }
    let path = dir.path().join("in/sparse");
    fs::write(&path, &content).unwrap();
    fs::write(dir.path().join("in/z"), "after").unwrap();
    oracle::agrees(&oracle::tool("fallocate", "util-linux"), ["--dig-holes", &path.display().to_string()]);
    (dir, content)
}

#[test]
fn sparse_files_of_all_four_formats_are_expanded() {
    let (dir, content) = sparse_tree();
    for options in [
        &["--format=gnu"][..],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=1.0"],
    ] {
        let tar = gnu_tar(dir.path(), &[options, &["--sparse"]].concat());
        assert!(tar.len() < 1 << 20, "{options:?} is sparse");
        let entries = read(&tar).unwrap();
        assert_eq!(entries[1].0.path, b"./sparse", "{options:?}");
        assert_eq!(entries[1].0.size, 4 << 20);
        assert!(entries[1].1 == content, "{options:?}");
        assert_eq!((entries[2].0.path.as_slice(), entries[2].1.as_slice()), (&b"./z"[..], &b"after"[..]));
    }
}

#[test]
fn long_names_and_targets_of_gnu_and_pax_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let deep = format!("in/{}/{}", "d".repeat(200), "e".repeat(200));
    fs::create_dir_all(dir.path().join(&deep)).unwrap();
    let target = "t/".repeat(300);
    std::os::unix::fs::symlink(&target, dir.path().join("in/link")).unwrap();
    for format in ["--format=gnu", "--format=pax"] {
        let entries = read(&gnu_tar(dir.path(), &[format])).unwrap();
        assert_eq!(entries[2].0.path, [deep.replacen("in", ".", 1).as_bytes(), b"/"].concat());
        assert_eq!((entries[3].0.kind, entries[3].0.link.as_slice()), (Kind::Symlink, target.as_bytes()));
    }
}

#[test]
fn a_ustar_prefix_belongs_to_the_name() {
    let name = format!("{}/{}", "p".repeat(120), "n".repeat(90));
    assert_eq!(names(&python(&format!("add('{name}')"), "USTAR_FORMAT")), [name]);
}

#[test]
fn large_ids_come_in_base_256_and_in_pax_records() {
    for format in ["GNU_FORMAT", "PAX_FORMAT"] {
        let entries = read(&python("add('a', b'x', uid=4294967294, gid=3000000, mode=0o104755)", format)).unwrap();
        let entry = &entries[0].0;
        assert_eq!((entry.uid, entry.gid, entry.mode), (4_294_967_294, 3_000_000, 0o4755), "{format}");
    }
    let too_large = python("add('a', uid=4294967296)", "GNU_FORMAT");
    assert!(matches!(read(&too_large), Err(Error::OutOfRange { field: "uid", at: 0, .. })));
    let negative = python("add('a', uid=-1)", "GNU_FORMAT");
    assert!(matches!(read(&negative), Err(Error::OutOfRange { field: "uid", .. })));
}

#[test]
fn xattr_values_of_gnu_tar_and_bsdtar_are_bytes() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    let file = dir.path().join("in/a").display().to_string();
    fs::write(&file, "x").unwrap();
    let value = b"1\n2=\0\xff\n30 path=/etc/shadow\n";
    let hex = value.iter().fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"));
    oracle::agrees(&oracle::tool("setfattr", "attr"), ["-n", "user.odd", "-v", &hex, &file]);
    let gnu = gnu_tar(dir.path(), &["--format=pax", "--xattrs"]);
    let bsd = dir.path().join("bsd.tar").display().to_string();
    let directory = dir.path().join("in").display().to_string();
    oracle::agrees(
        &oracle::tool("bsdtar", "libarchive-tools"),
        ["--xattrs", "--format=pax", "-C", &directory, "-cf", &bsd, "."],
    );
    for tar in [gnu, fs::read(bsd).unwrap()] {
        let entries = read(&tar).unwrap();
        assert_eq!(entries[1].0.path, b"./a");
        assert_eq!(entries[1].0.xattrs, [(b"user.odd".to_vec(), value.to_vec())]);
    }
}

#[test]
fn global_pax_headers_apply_until_a_file_says_otherwise() {
    let tar = python(
        "t.pax_headers = {'uid': '7', 'comment': 'x'}\nt.offset = t.fileobj.write(t.tarinfo.create_pax_global_header(t.pax_headers))\nadd('a')\nadd('b', pax_headers={'uid': '8'})",
        "PAX_FORMAT",
    );
    let uids: Vec<_> = read(&tar).unwrap().iter().map(|(entry, _)| entry.uid).collect();
    assert_eq!(uids, [7, 8]);
}

#[test]
fn extended_headers_cannot_fill_the_memory() {
    let globals = |key: &str| {
        let large = format!("'v' * {}", 10 << 20);
        python(
            &format!(
                "for n in range(3): t.offset = t.fileobj.write(t.tarinfo.create_pax_global_header({{{key}: {large}}}))\nadd('a')"
            ),
            "PAX_FORMAT",
        )
    };
    assert_eq!(read(&globals("'same'")).unwrap().len(), 1, "a later record takes the place of one before");
    let refusal = read(&globals("'key%d' % n")).unwrap_err().to_string();
    assert!(refusal.contains("20971528 bytes, 16777216 are allowed"), "{refusal}");
    let many = "add('a', pax_headers={'k%d' % n: 'x' for n in range(140000)})";
    let refusal = read(&python(many, "PAX_FORMAT")).unwrap_err().to_string();
    assert!(refusal.contains("more than 131072 records"), "{refusal}");
}

#[test]
fn nul_and_7_are_regular_files_and_a_slash_at_the_end_makes_a_directory() {
    let program =
        r"add('a', b'1', type=b'\0'); add('b', b'2', type=b'7'); add('c/', type=b'\0'); add('d', type=tarfile.DIRTYPE)";
    let kinds: Vec<_> = read(&python(program, "USTAR_FORMAT")).unwrap().iter().map(|(entry, _)| entry.kind).collect();
    assert_eq!(kinds, [Kind::Regular, Kind::Regular, Kind::Directory, Kind::Directory]);
}

#[test]
fn the_end_marker_may_be_missing_and_anything_may_follow_it() {
    let tar = python("add('a', b'x'); add('b', b'y')", "USTAR_FORMAT");
    for bytes in [tar[..2048].to_vec(), tar[..1537].to_vec(), [tar.clone(), b"junk".repeat(999)].concat()] {
        assert_eq!(names(&bytes), ["a", "b"]);
    }
    assert!(names(&[]).is_empty());
}

#[test]
fn a_hard_link_may_have_a_size_and_even_data() {
    // tarfile writes the size, and the data only if told to.
    let bare = "add('a', b'data'); i = tarfile.TarInfo('h'); i.type = tarfile.LNKTYPE; i.linkname = 'a'; i.size = 4; t.addfile(i)\nadd('z')";
    assert_eq!(names(&python(bare, "USTAR_FORMAT")), ["a", "h", "z"]);
    assert_eq!(names(&python(bare, "GNU_FORMAT")), ["a", "h", "z"]);
    let filled = "add('a', b'data'); add('h', b'data', type=tarfile.LNKTYPE, linkname='a'); add('z')";
    assert_eq!(names(&python(filled, "USTAR_FORMAT")), ["a", "h", "z"]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "data").unwrap();
    fs::hard_link(dir.path().join("a"), dir.path().join("h")).unwrap();
    let (from, to) = (dir.path().display().to_string(), dir.path().join("o.cpio").display().to_string());
    oracle::agrees(&oracle::tool("bsdtar", "libarchive-tools"), ["--format=pax", "-C", &from, "-cf", &to, "a", "h"]);
    let entries = read(&fs::read(to).unwrap()).unwrap();
    assert_eq!((entries.len(), entries[1].0.kind, entries[1].0.link.as_slice()), (2, Kind::Hardlink, &b"a"[..]));
}

#[test]
fn special_files_are_told_apart() {
    let program = "for n in 'CHRTYPE BLKTYPE FIFOTYPE SYMTYPE'.split(): add(n, type=getattr(tarfile, n), linkname='x')";
    let kinds: Vec<_> = read(&python(program, "GNU_FORMAT")).unwrap().iter().map(|(entry, _)| entry.kind).collect();
    assert_eq!(kinds, [Kind::CharacterDevice, Kind::BlockDevice, Kind::Fifo, Kind::Symlink]);
}

#[test]
fn every_truncation_inside_a_member_is_noticed() {
    let tar = python("add('a', b'x' * 1000); add('b', pax_headers={'path': 'c'})", "PAX_FORMAT");
    for len in (1..tar.len().min(3072)).step_by(37) {
        let whole = (512 + 1000..=1536).contains(&len); // the padding of a last member may be missing
        assert_eq!(read(&tar[..len]).is_ok(), whole, "{len} bytes");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn changed_bytes_never_panic(changes in proptest::collection::vec((0_usize..4096, proptest::prelude::any::<u8>()), 1..8)) {
        static TAR: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            let (dir, _) = sparse_tree();
            gnu_tar(dir.path(), &["--format=pax", "--sparse", "--sparse-version=1.0"])
        });
        let mut tar = TAR.clone();
        for (at, byte) in changes {
            tar[at] = byte;
        }
        for at in (0..tar.len() - 511).step_by(512) {
            // Repair the checksums, or nothing behind them would be reached.
            let sum: u32 = tar[at..at + 512].iter().enumerate().map(|(n, &b)| if (148..156).contains(&n) { 32 } else { u32::from(b) }).sum();
            if at < 4096 && tar[at + 257..at + 262] == *b"ustar" {
                tar[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        let mut reader = Reader::new(&tar[..]);
        while let Ok(Some(_)) = reader.next_entry() {
            let _ = reader.data::<Error>(|_| Ok(()));
        }
    }
}
