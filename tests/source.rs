//! Images come in whole and verified, or not at all. Layouts are written here, copied by skopeo.

mod documents;
mod platforms;

use std::fs;

use crate::layout;
use crate::layout::{Entry, GZIP, Layer, Layout, content, gzip, load, load_with, tar};
use bootwright::source::{Error, Limits};
use qemu_tests::oracle;
use serde_json::json;

fn files(text: &str) -> Vec<u8> {
    tar(&[
        Entry::Dir("usr/"),
        Entry::File("usr/a", text.as_bytes()),
        Entry::Symlink("usr/l", "a"),
        Entry::Hardlink("usr/h", "usr/a"),
    ])
}

fn root(image: &bootwright::image::Image, layer: usize) -> String {
    let (tree, meta) = image.layers[layer].tree.write(&mut |_, _| ());
    format!("{tree} {meta}")
}

#[test]
fn all_compressions_give_the_same_tree() {
    let tar = files("hello");
    let layout = Layout::of(&[Layer::plain(&tar), Layer::gzip(&tar), Layer::zstd(&tar)]);
    let image = layout.load().unwrap();
    assert_eq!((root(&image, 0), root(&image, 0)), (root(&image, 1), root(&image, 2)));
    assert_eq!(content(&image, 2, "usr/h"), b"hello");
    assert_eq!((image.contents.objects.len(), image.architecture.as_str()), (2, "amd64"));
    assert_eq!(image.labels["containers.bootc"], "1");
    assert_eq!(image.created.as_deref(), Some("2024-01-02T03:04:05Z"));
}

#[test]
fn all_members_of_a_gzip_and_all_frames_of_a_zstd_layer_are_read() {
    let tar = files("hello");
    let (begin, end) = tar.split_at(700);
    let members = [gzip(begin), gzip(b""), gzip(end)].concat();
    let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"any"].concat();
    let frame = |bytes| zstd::encode_all(bytes, 1).unwrap();
    let frames = [skippable.clone(), frame(begin), skippable, frame(end)].concat();
    let layout = Layout::of(&[Layer::new(members, GZIP, &tar), Layer::new(frames, layout::ZSTD, &tar)]);
    let image = layout.load().unwrap();
    assert_eq!(content(&image, 0, "usr/a"), b"hello");
    assert_eq!(root(&image, 0), root(&image, 1));
}

#[test]
fn bytes_after_the_end_of_the_archive_belong_to_the_diff_id() {
    let tar = [files("hello"), b"more".repeat(100_000)].concat();
    assert_eq!(Layout::of(&[Layer::gzip(&tar)]).load().unwrap().layers[0].blob.uncompressed, tar.len() as u64);
    let mut cut = Layer::gzip(&tar);
    cut.diff_id = Layer::plain(&tar[..tar.len() - 1]).diff_id;
    assert!(Layout::of(&[cut]).refusal().contains("the image's config says sha256:"));
}

#[test]
fn the_number_of_threads_does_not_show() {
    let layers: Vec<_> = (0..9).map(|n| Layer::gzip(&files(&n.to_string().repeat(n * 50_000)))).collect();
    let layout = Layout::of(&layers);
    let name = format!("oci:{}", layout.path().display());
    let (one, many) = (load_with(&name, None, 1).unwrap(), load_with(&name, None, 16).unwrap());
    let order = |image: &bootwright::image::Image| -> Vec<_> {
        image.contents.objects.iter().map(|(c, _)| (*c, image.contents.objects.order(c))).collect()
    };
    assert_eq!(order(&one), order(&many));
    assert_eq!((0..9).map(|n| root(&one, n)).collect::<Vec<_>>(), (0..9).map(|n| root(&many, n)).collect::<Vec<_>>());
    assert_eq!(content(&many, 8, "usr/a"), "8".repeat(400_000).as_bytes());
}

#[test]
fn of_several_broken_layers_the_lowest_is_named() {
    let mut layers: Vec<_> = (0..8).map(|n| Layer::gzip(&files(&"x".repeat(n * 100_000)))).collect();
    for layer in &mut layers[3..] {
        layer.diff_id = Layer::plain(b"").diff_id;
    }
    for _ in 0..20 {
        let refusal = Layout::of(&layers).refusal();
        assert!(refusal.starts_with("layer 3 (") && refusal.contains("its content has the digest"), "{refusal}");
    }
}

#[test]
fn an_archive_and_a_copy_by_skopeo_load_alike() {
    let skopeo = oracle::tool("skopeo", "skopeo");
    let layout = Layout::of(&[Layer::gzip(&files("one")), Layer::gzip(&files("two"))]);
    let dir = tempfile::tempdir().unwrap();
    let from = format!("oci:{}", layout.path().display());
    let archive = format!("oci-archive:{}/a.tar:v1", dir.path().display());
    oracle::agrees(&skopeo, ["copy", "--insecure-policy", "-q", &from, &archive]);
    let (ours, copied) = (layout.load().unwrap(), load(&archive, None).unwrap());
    assert_eq!((&ours.manifest, ours.manifest_digest), (&copied.manifest, copied.manifest_digest));
    assert_eq!((root(&ours, 0), root(&ours, 1)), (root(&copied, 0), root(&copied, 1)));
    assert_eq!(copied.ref_name.as_deref(), Some("v1"));
    assert_eq!(content(&copied, 1, "usr/a"), b"two");
    let wrong = load(&archive.replace(":v1", ":v2"), None).unwrap_err().to_string();
    assert!(wrong.ends_with("no image with the tag `v2`; its tags are: v1"), "{wrong}");
}

#[test]
fn docker_media_types_load() {
    let skopeo = oracle::tool("skopeo", "skopeo");
    let tar = files("hello");
    let layout = Layout::of(&[Layer::gzip(&tar)]);
    let dir = tempfile::tempdir().unwrap();
    let from = format!("oci:{}", layout.path().display());
    oracle::agrees(
        &skopeo,
        ["copy", "--insecure-policy", "-q", "--format", "v2s2", &from, &format!("dir:{}", dir.path().display())],
    );
    let docker = Layout::empty();
    let manifest = fs::read(dir.path().join("manifest.json")).unwrap();
    for file in fs::read_dir(dir.path()).unwrap() {
        docker.put(&fs::read(file.unwrap().path()).unwrap(), "");
    }
    docker.index(&[docker.put(&manifest, "application/vnd.docker.distribution.manifest.v2+json")]);
    let image = docker.load().unwrap();
    assert_eq!(image.layers[0].blob.media_type, "application/vnd.docker.image.rootfs.diff.tar.gzip");
    assert_eq!((image.manifest, root(&layout.load().unwrap(), 0)), (manifest, root(&docker.load().unwrap(), 0)));
}

#[test]
fn compressed_and_cut_archives_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let write = |bytes: &[u8]| {
        fs::write(dir.path().join("a"), bytes).unwrap();
        load(&format!("oci-archive:{}/a", dir.path().display()), None).unwrap_err().to_string()
    };
    assert!(write(&gzip(&files("x"))).ends_with("is compressed with gzip; only plain tar archives can be read"));
    assert!(write(&tar(&[Entry::File("index.json", &[b' '; 5000])])[..3000]).contains("is cut off at 3000 bytes"));
    assert!(write(&files("x")).ends_with("it has no file oci-layout"));
    assert!(write(b"no tar at all").contains("is not a tar archive"));
}

#[test]
fn a_broken_blob_is_refused_for_its_nearest_cause() {
    let tar = files(&"some text ".repeat(10_000));
    let good = Layer::gzip(&tar);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let layout = Layout::empty();
        let layer = layout.put(&good.blob, GZIP);
        let image = layout.manifest(vec![layer.clone()], &json!([good.diff_id]), "amd64");
        layout.index(&[image]);
        let mut blob = good.blob.clone();
        change(&mut blob);
        fs::write(layout.blob_path(&layer["digest"]), blob).unwrap();
        layout.refusal()
    };
    assert!(with(&|blob| blob.truncate(100)).contains("): it has only 100 bytes, its descriptor says "));
    assert!(with(&|blob| blob.push(0)).contains("): it has more than the "));
    assert!(with(&|blob| blob[50] ^= 1).contains("): it has the digest sha256:"));
    let refusal = with(&|blob| blob[0] = 0);
    assert!(refusal.starts_with("layer 0 (") && refusal.contains("it has the digest"), "{refusal}");
}

#[test]
fn a_blob_that_is_no_gzip_or_broken_inside_is_refused() {
    let tar = files(&"some text ".repeat(10_000));
    let refusal = |blob: Vec<u8>, media_type| Layout::of(&[Layer::new(blob, media_type, &tar)]).refusal();
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 9);
        bytes
    };
    let flipped = |at_end: usize| {
        let mut bytes = gzip(&tar);
        let at = bytes.len() - at_end;
        bytes[at] ^= 1;
        bytes
    };
    for blob in
        [cut(gzip(&tar)), flipped(8), flipped(4), tar.clone(), [gzip(&tar), b"garbage".to_vec()].concat(), Vec::new()]
    {
        let refusal = refusal(blob, GZIP);
        assert!(refusal.contains("its gzip stream is broken after "), "{refusal}");
    }
    let refusal = refusal(cut(zstd::encode_all(&tar[..], 3).unwrap()), layout::ZSTD);
    assert!(refusal.contains("its zstd stream is broken after "), "{refusal}");
}

#[test]
fn a_missing_layer_and_an_unknown_media_type_are_named() {
    let layout = Layout::empty();
    let layer = Layer::gzip(&files("x"));
    let descriptor = layout.put(&layer.blob, "application/vnd.oci.image.layer.v1.tar+xz");
    layout.index(&[layout.manifest(vec![descriptor.clone()], &json!([layer.diff_id]), "amd64")]);
    assert!(
        layout.refusal().contains("its media type `application/vnd.oci.image.layer.v1.tar+xz` is no kind of layer")
    );
    let layout = Layout::of(&[layer]);
    fs::remove_file(layout.blob_path(&descriptor["digest"])).unwrap();
    assert!(layout.refusal().starts_with("layer 0 ("), "{}", layout.refusal());
    assert!(layout.refusal().contains(" is missing: "));
}

#[test]
fn an_inflated_layer_has_a_limit() {
    let layout = Layout::of(&[Layer::gzip(&vec![0; 3 << 20])]);
    let source =
        bootwright::source::open(&format!("oci:{}", layout.path().display()).parse().unwrap(), &Default::default())
            .unwrap();
    let limits = Limits { layer: 1 << 20, ..Limits::default() };
    let platform = bootwright::source::Platform::default();
    let room = bootwright::source::Room { spool_dir: &std::env::temp_dir(), cache: None };
    let resolved = source.resolve(&platform, &limits).unwrap();
    let refused = bootwright::source::load(&*source, resolved, &room, 2, &limits, &bootwright::progress::Silent);
    assert!(matches!(
        refused,
        Err(Error::Layer { source: bootwright::layer::Error::TooLarge { limit: 1_048_576 }, .. })
    ));
}

#[test]
fn progress_adds_up_to_the_blobs_and_every_begin_has_an_end() {
    use bootwright::progress::{Event, Progress, Task};
    #[derive(Default)]
    struct Sums(std::sync::Mutex<std::collections::BTreeMap<Task, (u64, u64, bool)>>);
    impl Progress for Sums {
        fn report(&self, event: &Event<'_>) {
            let mut sums = self.0.lock().unwrap();
            match *event {
                Event::Begin { task, total, .. } => drop(sums.insert(task, (total.unwrap(), 0, false))),
                Event::Advance { task, by } => sums.get_mut(&task).unwrap().1 += by,
                Event::End { task } => sums.get_mut(&task).unwrap().2 = true,
                Event::Grow { .. } => panic!("a layer's size is known"),
                Event::Warning(text) => panic!("{text}"),
            }
        }
    }
    let layout =
        Layout::of(&[Layer::gzip(&files("x")), Layer::zstd(&files(&"y".repeat(1 << 20))), Layer::plain(&files(""))]);
    let source =
        bootwright::source::open(&format!("oci:{}", layout.path().display()).parse().unwrap(), &Default::default())
            .unwrap();
    let (sums, platform) = (Sums::default(), bootwright::source::Platform::default());
    let room = bootwright::source::Room { spool_dir: &std::env::temp_dir(), cache: None };
    let resolved = source.resolve(&platform, &Limits::default()).unwrap();
    bootwright::source::load(&*source, resolved, &room, 2, &Limits::default(), &sums).unwrap();
    let sums = sums.0.into_inner().unwrap();
    assert_eq!(sums.len(), 3);
    assert!(sums.values().all(|&(total, read, ended)| total == read && ended), "{sums:?}");
}
