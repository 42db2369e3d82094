//! Images that encapsulate an ostree commit: layers written as the format is described (ostree-ext `tar/export.rs`), out of an
//! archive that the program `ostree` made. Nothing of the program under test is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::mini_image::{MiniImage, Packing, digest};
use super::repository::Repository;
use super::tar::{Entry, directory, file, hardlink, stream, symlink};

const REPO: &str = "sysroot/ostree/repo";

/// How xattrs stand before their files.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Each file's in an entry of its own.
    Current,
    /// As hard links to one entry for each set.
    Linked,
    /// The same with other names: format 0.
    Zero,
}

/// A commit taken out of its archive.
#[derive(Clone)]
pub struct Encapsulated {
    pub commit: String,
    /// The directory of the archive.
    pub archive: PathBuf,
    /// By the name of the object's file: `….dirtree`.
    pub metadata: BTreeMap<String, Vec<u8>>,
    /// By checksum.
    pub files: BTreeMap<String, FileObject>,
    /// The checksum of the file at each path.
    pub paths: BTreeMap<String, String>,
}

#[derive(Clone)]
pub struct FileObject {
    pub owner: (u32, u32),
    pub mode: u32,
    /// Of a symbolic link.
    target: Option<String>,
    /// `a(ayay)`.
    pub xattrs: Vec<u8>,
    pub content: Vec<u8>,
}

impl Encapsulated {
    /// Everything that is in the archive, which has this one commit.
    pub fn of(archive: &Repository, commit: &str) -> Encapsulated {
        let (mut metadata, mut files) = (BTreeMap::new(), BTreeMap::new());
        for shard in fs::read_dir(archive.path.join("objects")).unwrap().map(Result::unwrap) {
            for object in fs::read_dir(shard.path()).unwrap().map(Result::unwrap) {
                let name = shard.file_name().into_string().unwrap() + object.file_name().to_str().unwrap();
                let bytes = fs::read(object.path()).unwrap();
                match name.strip_suffix(".filez") {
                    Some(checksum) => drop(files.insert(checksum.to_owned(), FileObject::of_archive(&bytes))),
                    None => drop(metadata.insert(name, bytes)),
                }
            }
        }
        let (commit, paths) = (commit.to_owned(), paths(archive, commit));
        Encapsulated { commit, archive: archive.path.clone(), metadata, files, paths }
    }

    /// The mini system or what was made of it, committed by `ostree`.
    pub fn new(directory: &Path, entries: &[Entry], args: &[&str]) -> Encapsulated {
        let archive = Repository::new(&directory.join("archive"), "archive");
        let commit = archive.commit(entries, args);
        Encapsulated::of(&archive, &commit)
    }

    /// Files at paths below one of these.
    pub fn below(&self, tops: &[&str]) -> BTreeSet<String> {
        let within = |path: &str| tops.iter().any(|top| path.starts_with(top));
        self.paths.iter().filter(|(path, _)| within(path)).map(|(_, checksum)| checksum.clone()).collect()
    }

    /// Commit, directories, and these files.
    pub fn commit_layer(&self, form: Form, files: &BTreeSet<String>) -> Vec<Entry> {
        let mut entries = structure();
        let mut metadata: Vec<_> = self.metadata.iter().collect();
        // The commit is the first object, what is said of it the second.
        metadata.sort_by_key(|(name, _)| (!name.ends_with(".commit"), !name.ends_with(".commitmeta"), name.to_owned()));
        entries.extend(metadata.into_iter().map(|(name, bytes)| object(name, bytes)));
        entries.push(directory("./usr"));
        entries.push(directory("var/tmp").mode(0o1777));
        self.add(&mut entries, form, files);
        entries
    }

    /// These files.
    pub fn component_layer(&self, form: Form, files: &BTreeSet<String>) -> Vec<Entry> {
        let mut entries = structure();
        self.add(&mut entries, form, files);
        entries
    }

    fn add(&self, entries: &mut Vec<Entry>, form: Form, files: &BTreeSet<String>) {
        let mut sets = BTreeSet::new();
        for checksum in files {
            let object = &self.files[checksum];
            entries.extend(object.entries(checksum, form, &mut sets));
            let places = self.paths.iter().filter(|(_, at)| *at == checksum);
            entries.extend(places.map(|(path, _)| object.in_place(checksum, path)));
        }
    }

    /// A commit layer and two component layers.
    pub fn three_layers(&self, form: Form) -> [Vec<Entry>; 3] {
        let [first, second, third] = self.thirds();
        [self.commit_layer(form, &first), self.component_layer(form, &second), self.component_layer(form, &third)]
    }

    /// Which files [`Self::three_layers`] puts where: kernel and boot loaders in the component layers.
    pub fn thirds(&self) -> [BTreeSet<String>; 3] {
        let second = self.below(&["usr/lib/modules"]);
        let third: BTreeSet<_> = &self.below(&["usr/lib/shim", "usr/lib/grub", "usr/bin"]) - &second;
        let all: BTreeSet<_> = self.files.keys().cloned().collect();
        [&(&all - &second) - &third, second, third]
    }

    /// An image of these layers, with the labels that belong to it.
    pub fn image(&self, layers: impl Into<Vec<Vec<Entry>>>) -> MiniImage {
        let layers: Vec<_> = layers.into();
        let last = digest(&stream(layers.last().unwrap()));
        let layers = layers.into_iter().map(|entries| (Packing::Gzip, entries)).collect();
        let image = MiniImage { layers, labels: BTreeMap::new(), ..MiniImage::bootable() };
        image.label("ostree.commit", &self.commit).label("ostree.final-diffid", &last).label("ostree.bootable", "true")
    }

    pub fn chunked(&self) -> MiniImage {
        self.image(self.three_layers(Form::Current))
    }

    /// Where the object of the file at a path lies.
    pub fn place_of(&self, path: &str) -> String {
        place(&format!("{}.file", self.paths[path]))
    }

    /// With two layers over the commit: whiteouts, changed files, an object that was changed where it lies.
    pub fn with_layers(&self) -> MiniImage {
        let objects = self.place_of("usr/share/one");
        let unchanged = self.place_of("usr/bin/su");
        self.chunked()
            .with([
                file("usr/share/.wh.large", ""),
                file("usr/bin/su", "another\n").mode(0o755),
                file("etc/fstab", "# changed\n"),
                file("usr/lib/new/deep/file", "x").owner(5, 6),
                directory("var/lib/mini").mode(0o777),
                file("opt/vendor", "kept only where the root shows it"),
                file("run/state", "never kept"),
            ])
            .with([
                file(&objects, "changed in place\n").mode(0o640).owner(3, 4),
                hardlink("usr/share/one", &objects),
                hardlink("usr/share/two", &format!("/{objects}")),
                file(&unchanged, "of time 0, as when a layer repeats it\n").time(0),
                file("usr/lib/new/.wh.deep", ""),
                symlink("usr/lib/new/link", "../one"),
            ])
    }
}

impl FileObject {
    /// Out of a `.filez`: length, four zero bytes, `(tuuuusa(ayay))`, deflated content.
    fn of_archive(bytes: &[u8]) -> FileObject {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let header = &bytes[8..8 + number(0) as usize];
        let target = header[24..].split(|&byte| byte == 0).next().unwrap();
        let offset = if header.len() < 256 { 1 } else { 2 };
        let xattrs = header[24 + target.len() + 1..header.len() - offset].to_vec();
        let mode = number(8 + 16);
        let is_link = mode & 0o170_000 == 0o120_000;
        let mut content = Vec::new();
        if !is_link {
            flate2::read::DeflateDecoder::new(&bytes[8 + header.len()..]).read_to_end(&mut content).unwrap();
        }
        let target = is_link.then(|| String::from_utf8(target.to_vec()).unwrap());
        FileObject { owner: (number(8 + 8), number(8 + 12)), mode: mode & 0o7777, target, xattrs, content }
    }

    /// The xattrs, then the file.
    pub fn entries(&self, checksum: &str, form: Form, sets: &mut BTreeSet<String>) -> Vec<Entry> {
        let set = digest(&self.xattrs).strip_prefix("sha256:").unwrap().to_owned();
        let named = match form {
            Form::Zero => format!("{REPO}/xattrs/{set}"),
            _ => place(&format!("{set}.file-xattrs")),
        };
        let mut entries = Vec::new();
        if !matches!(form, Form::Current) && sets.insert(set) {
            entries.push(file(&named, self.xattrs.clone()).time(0));
        }
        entries.push(match form {
            Form::Current => object(&format!("{checksum}.file-xattrs-link"), &self.xattrs),
            Form::Linked => hardlink(&place(&format!("{checksum}.file-xattrs-link")), &named).time(0),
            Form::Zero => hardlink(&place(&format!("{checksum}.file.xattrs")), &named).time(0),
        });
        let at = place(&format!("{checksum}.file"));
        let entry = match &self.target {
            Some(target) => symlink(&at, target),
            None => file(&at, self.content.clone()).mode(self.mode),
        };
        entries.push(entry.owner(self.owner.0, self.owner.1).time(0));
        entries
    }

    /// What containers see: a hard link, or an empty file of its own.
    fn in_place(&self, checksum: &str, path: &str) -> Entry {
        let path = path.strip_prefix("usr/etc/").map_or(path.to_owned(), |below| format!("etc/{below}"));
        match self.content.is_empty() && self.target.is_none() {
            true => file(&path, "").mode(self.mode).time(0),
            false => hardlink(&path, &place(&format!("{checksum}.file"))).time(0),
        }
    }
}

/// `sysroot/ostree/repo/objects/XX/….SUFFIX`.
pub fn place(name: &str) -> String {
    format!("{REPO}/objects/{}/{}", &name[..2], &name[2..])
}

pub fn object(name: &str, bytes: &[u8]) -> Entry {
    file(&place(name), bytes).time(0)
}

fn structure() -> Vec<Entry> {
    let directories = ["sysroot", "sysroot/ostree", REPO, "sysroot/ostree/repo/objects", "sysroot/ostree/repo/refs"];
    let mut entries = directories.map(directory).to_vec();
    entries.push(file(&format!("{REPO}/config"), "[core]\nrepo_version=1\nmode=bare-split-xattrs\n").time(0));
    entries
}

fn paths(archive: &Repository, commit: &str) -> BTreeMap<String, String> {
    let said = archive.says("ls", &["-R", "-C", commit]);
    // Directories have two checksums.
    let files = said.lines().filter(|line| !line.starts_with('d'));
    let path_of = |line: &str| {
        let checksum = line.split_whitespace().find(|word| word.len() == 64).unwrap();
        let path = line.split_once(checksum).unwrap().1.split(" -> ").next().unwrap().trim();
        (path.trim_start_matches('/').to_owned(), checksum.to_owned())
    };
    files.map(path_of).collect()
}
