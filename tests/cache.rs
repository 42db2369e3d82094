//! Layers that are kept from one build to the next: the disk stays the same, whatever happened to the cache.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::mini_image::{Layout, MiniImage, Packing, digest, small_partitions};
use crate::support::tar::file;
use crate::support::{mounted, program};
use qemu_tests::oracle;
use serde_json::Value;

/// An image of three layers and a cache.
struct Place {
    directory: tempfile::TempDir,
    layout: Layout,
    partitions: String,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let image = MiniImage::bootable()
            .layer(Packing::Zstd, [file("usr/share/large", vec![7; 5 << 20]), file("usr/share/.wh.empty", "")])
            .layer(Packing::Plain, [file("usr/share/last", "last").xattr("user.word", b"value")]);
        let layout = image.write(&directory.path().join("layout"));
        let partitions = small_partitions(directory.path());
        Place { directory, layout, partitions }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, out: &str) -> Command {
        let mut command = program::build(&self.layout.reference(), &self.path(out));
        command.args(["--type", "raw", "--no-checksums", "--layout", &self.partitions]);
        command
    }

    fn with_cache(&self, out: &str) -> Command {
        let mut command = self.command(out);
        command.arg("--cache").arg(self.path("cache"));
        command
    }

    fn disk(&self, mut command: Command, out: &str) -> Vec<u8> {
        program::succeed(&mut command);
        fs::read(self.path(out).join("image/disk.raw")).unwrap()
    }

    fn cached(&self) -> Vec<u8> {
        self.disk(self.with_cache("cached"), "cached")
    }

    fn wanted(&self) -> Vec<u8> {
        self.disk(self.command("wanted"), "wanted")
    }

    fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path("cache/layers-2")) else { return Vec::new() };
        let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    }

    fn cache(&self, args: &[&str]) -> String {
        let mut command = program::bootwright();
        program::succeed(command.arg("cache").args(args).arg("--cache").arg(self.path("cache"))).stdout
    }
}

#[test]
fn the_second_build_reads_no_layer_and_makes_the_same_disk() {
    let place = Place::new();
    let wanted = place.wanted();
    assert!(place.cached() == wanted);
    assert_eq!(place.entries().len(), 3);
    place.layout.layers.iter().for_each(|layer| fs::remove_file(place.layout.blob(layer)).unwrap());
    assert!(place.cached() == wanted, "no blob is needed any more");
    let mut plain = place.command("refused");
    assert!(program::end(plain.arg("--no-cache")).stderr.contains("is missing"));
}

#[test]
fn what_is_damaged_is_read_anew() {
    let place = Place::new();
    let wanted = place.wanted();
    place.cached();
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("index", |path| fs::write(path, "").unwrap()),
        ("index", |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("0", |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            std::os::unix::fs::FileExt::write_at(&file, b"damage", 100).unwrap();
        }),
        ("0", |path| fs::remove_file(path).unwrap()),
    ];
    for (name, damage) in damages {
        place.entries().iter().for_each(|entry| damage(&entry.join(name)));
        assert!(place.cached() == wanted);
        place.entries().iter().for_each(|entry| assert!(entry.join("0").metadata().unwrap().len() > 0));
    }
}

#[test]
fn a_layer_that_is_refused_is_not_kept() {
    let place = Place::new();
    let layer = place.layout.blob(&place.layout.layers[2]);
    let mut bytes = fs::read(&layer).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&layer, &bytes).unwrap();
    let ended = program::end(&mut place.with_cache("refused"));
    assert!(ended.code == Some(1) && ended.stderr.contains("layer 2"), "{}", ended.stderr);
    // Of a layer that is plain the blob is what it inflates to.
    let refused = format!("derived-{}", &place.layout.layers[2]["sha256:".len()..]);
    let is_kept =
        || place.entries().iter().any(|entry| entry.file_name().unwrap().to_str().unwrap().starts_with(&refused));
    assert!(!is_kept());
    bytes[last] ^= 1;
    fs::write(&layer, &bytes).unwrap();
    assert!(place.cached() == place.wanted() && is_kept());
    let ended = program::end(place.with_cache("refused").args(["--max-layer-size", "1M"]));
    assert!(ended.code == Some(1) && ended.stderr.contains("--max-layer-size"), "{}", ended.stderr);
    assert!(!place.path("refused").exists());
}

#[test]
fn builds_side_by_side_and_builds_that_are_killed_do_no_harm() {
    let place = Place::new();
    let wanted = place.wanted();
    for round in 0..6 {
        let mut child = place.with_cache(&format!("killed-{round}")).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(3 << round));
        let _ = child.kill();
        child.wait().unwrap();
    }
    fs::create_dir_all(place.path("cache/making/layer-left")).unwrap();
    fs::create_dir_all(place.path("cache/layers-0/derived-of-an-older-version")).unwrap();
    let children: Vec<_> = (0..4).map(|n| (n, place.with_cache(&format!("out-{n}")).spawn().unwrap())).collect();
    for (n, mut child) in children {
        assert!(child.wait().unwrap().success());
        assert!(fs::read(place.path(&format!("out-{n}")).join("image/disk.raw")).unwrap() == wanted);
    }
    assert!(place.cached() == wanted);
    assert_eq!(fs::read_dir(place.path("cache/making")).unwrap().count(), 0, "what was left is swept");
    assert!(!place.path("cache/layers-0").exists(), "nobody will read it again");
}

#[test]
fn the_cache_is_shown_and_pruned() {
    let place = Place::new();
    assert!(place.cache(&[]).starts_with("0 bytes in 0 layers"));
    place.cached();
    let shown = place.cache(&[]);
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(shown.contains("today") && shown.contains("derived-") && shown.contains("in 3 layers"), "{shown}");
    let disk_usage = oracle::agrees(
        &oracle::tool("du", "coreutils"),
        ["-s".as_ref(), "-B1".as_ref(), place.path("cache").as_os_str()],
    );
    let used: u64 = disk_usage.split_whitespace().next().unwrap().parse().unwrap();
    assert!(used < 64 << 20, "files have holes: {used}");
    assert_eq!(place.cache(&["prune", "--unused-for", "1"]), "dropped 0 layers, 0 bytes\n");
    assert!(place.cache(&["prune", "--keep", "1G"]).starts_with("dropped 0 layers"));
    let older = place.entries()[0].join("index");
    let past = std::time::SystemTime::now() - std::time::Duration::from_secs(40 * 24 * 3600);
    fs::File::open(&older).unwrap().set_modified(past).unwrap();
    assert!(place.cache(&["prune", "--unused-for", "30"]).starts_with("dropped 1 layers"));
    fs::File::open(place.entries()[0].join("index")).unwrap().set_modified(past).unwrap();
    let mut other = program::build("oci:/nowhere", &place.path("none"));
    program::end(other.arg("--cache").arg(place.path("cache")));
    assert!(place.cache(&["prune", "--all"]).starts_with("dropped 2 layers"));
    assert!(place.entries().is_empty());
}

#[test]
fn a_cache_that_was_asked_for_has_to_work_and_the_users_own_need_not() {
    let place = Place::new();
    let ended = program::end(place.command("refused").args(["--cache", "/dev/null/cache"]));
    assert!(ended.code == Some(1) && ended.stderr.contains("/dev/null/cache"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--no-cache") && !place.path("refused").exists(), "{}", ended.stderr);
    let mut command = program::bootwright();
    let layout = &place.partitions;
    command.args(["build", &place.layout.reference(), "--type", "raw", "--layout", layout, "--output"]);
    let ended = program::succeed(command.arg(place.path("out")).env("XDG_CACHE_HOME", "/dev/null"));
    assert!(ended.stderr.contains("layers are not kept"), "{}", ended.stderr);
    let ended = program::end(program::bootwright().args(["build", "ostree:/srv/repo#os", "--cache", "/x"]));
    assert!(ended.code == Some(2) && ended.stderr.contains("--cache goes with a container image"), "{}", ended.stderr);
}

#[test]
fn what_a_manifest_says_of_a_blob_is_compared_with_the_blob_that_was_read() {
    let mut place = Place::new();
    let wanted = place.wanted();
    assert!(place.cached() == wanted);
    let (digest_of_blob, other) = (&place.layout.layers[1], digest(b"another blob"));
    let size = place.layout.blob(digest_of_blob).metadata().unwrap().len();
    let lies = [
        (digest_of_blob.clone(), other),
        (format!("\"size\":{size}"), format!("\"size\":{}", size + 1)),
        ("tar+zstd".to_owned(), "tar+gzip".to_owned()),
    ];
    let manifest = place.layout.manifest.clone();
    for (truth, lie) in lies {
        assert_eq!(manifest.matches(&truth).count(), 1, "{manifest}");
        place.layout.set_manifest(manifest.replace(&truth, &lie));
        let said = [place.with_cache("refused"), place.command("refused")].map(|mut command| {
            let ended = program::end(&mut command);
            assert_eq!(ended.code, Some(1), "{lie}: {}", ended.stderr);
            ended.stderr
        });
        assert!(said[0] == said[1] && said[0].contains("layer 1"), "{said:?}");
    }
    place.layout.set_manifest(manifest);
    assert!(place.cached() == wanted);
}

#[test]
fn a_cache_without_room_is_told_and_the_disk_is_built() {
    let place = Place::new();
    let wanted = place.wanted();
    for size in ["64k", "5m"] {
        let tmpfs = mounted::in_memory(size);
        let cache = tmpfs.path().join("cache");
        let (mut command, layout) = (program::bootwright(), &place.partitions);
        command.args(["build", &place.layout.reference(), "--type", "raw", "--no-checksums", "--layout", layout]);
        command.args(["--progress", "json", "--output"]).arg(place.path("out")).arg("--cache").arg(&cache);
        let said = program::succeed(&mut command).stderr;
        assert!(fs::read(place.path("out/image/disk.raw")).unwrap() == wanted, "{size}");
        let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = |text: &str| events.iter().filter(|event| event["text"].to_string().contains(text)).count();
        assert_eq!((told("layers are not kept for the next build"), told("No space left on device")), (1, 1), "{said}");
        let mut layers = BTreeMap::new();
        for event in events.iter().filter(|event| event["task"].to_string().contains("layer-")) {
            let (total, done) = layers.entry(event["task"].to_string()).or_insert((0, 0));
            match event["event"].as_str() {
                Some("begin") => (*total, *done) = (event["total"].as_u64().unwrap(), 0),
                _ => *done += event["by"].as_u64().unwrap_or_default(),
            }
        }
        assert!(layers.len() == 3 && layers.values().all(|(total, done)| total == done), "{layers:?}");
        assert_eq!(fs::read_dir(cache.join("making")).unwrap().count(), 0, "{size}");
    }
}
