//! SELinux labels of an image's layers, as bootc's importer gives them: by the policy in the merged tree, from the path in it
//! (ostree-ext `container/store.rs`, libostree `ostree-repo-commit.c`).
//!
//! A label enters the checksum of its object, so every content that gets a new one is hashed once more. Layers are labelled, and
//! not what becomes of them: a file has the same path in both, and both then share their objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::DeployError;
use crate::image::{Contents, Image, Object, Payload};
use crate::os::SelinuxPolicy;
use crate::ostree::object::{FileHasher, file_header, symlink_checksum};
use crate::ostree::{Checksum, Directory, Xattrs};
use crate::page_buffer::PageBuffer;
use crate::selinux::FileKind;
use crate::spool::Spool;

/// The xattr that holds a label. Its value ends with a NUL, as libostree stores it.
const LABEL: &str = "security.selinux";
/// Contents are hashed in pieces of this size.
const PIECE: usize = 1 << 20;

/// Which labels an object gets; several where its paths differ in them.
type Wanted = BTreeSet<(Checksum, String)>;
type Relabelled = BTreeMap<(Checksum, String), (Checksum, Object)>;

/// Labels all layers, and the tree of the base below them; not the base itself, whose commit stays what it is.
pub fn label_everything(image: &mut Image, policy: &SelinuxPolicy, threads: usize) -> Result<(), DeployError> {
    let base = image.base.iter_mut().map(|base| &mut base.root);
    let trees = base.chain(image.layers.iter_mut().map(|layer| &mut layer.tree)).collect();
    label_trees(trees, &mut image.contents, policy, threads)?;
    image.drop_unnamed_objects();
    Ok(())
}

/// Labels all layers, but nothing of the base.
pub fn label_layers(image: &mut Image, policy: &SelinuxPolicy, threads: usize) -> Result<(), DeployError> {
    let trees = image.layers.iter_mut().map(|layer| &mut layer.tree).collect();
    label_trees(trees, &mut image.contents, policy, threads)?;
    image.drop_unnamed_objects();
    Ok(())
}

/// Labels whiteouts too. What the policy does not know, or says `<<none>>` of, keeps the label it came with.
fn label_trees(
    mut trees: Vec<&mut Directory>,
    contents: &mut Contents,
    policy: &SelinuxPolicy,
    threads: usize,
) -> Result<(), DeployError> {
    let mut wanted = Wanted::new();
    let objects = &contents.objects;
    let label = |path: &str, checksum: &Checksum| new_label(path, objects.get(checksum)?, policy);
    for tree in &mut trees {
        walk(tree, "", &mut |path, checksum| {
            if let Some(label) = label(path, checksum) {
                wanted.insert((*checksum, label.to_owned()));
            }
        });
        label_directories(tree, "", policy)?;
    }
    let relabelled = relabel(contents, &wanted, threads)?;
    for tree in &mut trees {
        rename(tree, "", &|path, checksum| {
            let label = label(path, checksum)?.to_owned();
            relabelled.get(&(*checksum, label)).map(|(checksum, _)| *checksum)
        });
    }
    contents.objects.replace(relabelled.into_iter().map(|((old, _), new)| (old, new)));
    Ok(())
}

/// The label that the policy has for a file, unless the file has it.
fn new_label<'a>(path: &str, object: &Object, policy: &'a SelinuxPolicy) -> Option<&'a str> {
    let label = policy.label(path, file_kind(object))?;
    let old = object.xattrs.get(LABEL.as_bytes()).and_then(|value| value.strip_suffix(b"\0"));
    (old != Some(label.as_bytes())).then_some(label)
}

/// The same xattrs with this label.
pub fn with_label(xattrs: &Xattrs, label: &str) -> Result<Xattrs, DeployError> {
    Ok(xattrs.with(LABEL, &[label.as_bytes(), b"\0"].concat())?)
}

fn file_kind(object: &Object) -> FileKind {
    match &object.payload {
        Payload::Regular(_) => FileKind::Regular,
        Payload::Symlink(_) => FileKind::Symlink,
    }
}

/// Meets every file with its path, which begins with a slash.
fn walk(tree: &Directory, path: &str, meet: &mut impl FnMut(&str, &Checksum)) {
    for (name, checksum) in &tree.files {
        meet(&format!("{path}/{name}"), checksum);
    }
    for (name, below) in &tree.dirs {
        walk(below, &format!("{path}/{name}"), meet);
    }
}

fn rename(tree: &mut Directory, path: &str, new: &impl Fn(&str, &Checksum) -> Option<Checksum>) {
    for (name, checksum) in &mut tree.files {
        if let Some(found) = new(&format!("{path}/{name}"), checksum) {
            *checksum = found;
        }
    }
    for (name, below) in &mut tree.dirs {
        rename(below, &format!("{path}/{name}"), new);
    }
}

fn label_directories(tree: &mut Directory, path: &str, policy: &SelinuxPolicy) -> Result<(), DeployError> {
    let here = if path.is_empty() { "/" } else { path };
    if let Some(label) = policy.label(here, FileKind::Directory) {
        tree.meta.xattrs = with_label(&tree.meta.xattrs, label)?;
    }
    tree.dirs.iter_mut().try_for_each(|(name, below)| label_directories(below, &format!("{path}/{name}"), policy))
}

/// Makes the labelled objects, several at once.
fn relabel(contents: &Contents, wanted: &Wanted, threads: usize) -> Result<Relabelled, DeployError> {
    let wanted: Vec<_> = wanted.iter().collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        let mut buffer = PageBuffer::new(PIECE);
        while let Some(want @ (checksum, label)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            // OK to expect: only objects that are there are wanted.
            let object = contents.objects.get(checksum).expect("a wanted object");
            let labelled = Object { xattrs: with_label(&object.xattrs, label)?, ..object.clone() };
            done.push(((*want).clone(), (checksum_of(&labelled, &contents.spool, &mut buffer)?, labelled)));
        }
        Ok(done)
    };
    let done: Result<Vec<_>, DeployError> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    });
    Ok(done?.into_iter().flatten().collect())
}

fn checksum_of(object: &Object, spool: &Spool, buffer: &mut [u8]) -> Result<Checksum, DeployError> {
    let content = match &object.payload {
        Payload::Symlink(target) => {
            let target = String::from_utf8_lossy(target);
            return Ok(symlink_checksum(object.uid, object.gid, &target, &object.xattrs));
        }
        Payload::Regular(content) => content,
    };
    let mut hasher = FileHasher::new(&file_header(object.uid, object.gid, object.mode, "", &object.xattrs));
    let (mut at, end) = (content.at, content.at + content.len);
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        spool.read_at(at, &mut buffer[..len])?;
        hasher.update(&buffer[..len]);
        at += len as u64; // usize has at most 64 bits
    }
    Ok(hasher.finish())
}
