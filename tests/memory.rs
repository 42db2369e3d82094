//! What an image may take in memory, however many layers it has and however large they are.

use bootwright::cache::Cache;
use bootwright::source::Limits;
use serde_json::{Value, json};

use crate::layout::{Entry, Layer, Layout, load_within, tar};
use crate::support::chunked::Encapsulated;
use crate::support::mini_image::{MiniImage, base, small_partitions};
use crate::support::program;
use crate::support::tar::{file, stream};

/// A layer of links.
fn headers(directory: &str, links: usize) -> Layer {
    let names: Vec<String> = (0..links).map(|number| format!("usr/{directory}/{number}")).collect();
    let entries: Vec<_> = names.iter().map(|name| Entry::Symlink(name, name)).collect();
    Layer::gzip(&tar(&entries))
}

fn refusal(layout: &Layout, memory: u64, cache: Option<&Cache>) -> Option<String> {
    let limits = Limits { memory, ..Limits::default() };
    let loaded = load_within(&format!("oci:{}", layout.path().display()), None, 2, &limits, cache);
    loaded.err().map(|error| error.to_string())
}

#[test]
fn the_entries_of_all_layers_share_one_limit_wherever_they_come_from() {
    let layers = [headers("a", 600), headers("b", 600)];
    let too_much = "the names, links and xattrs of the image need more than 1048576 bytes of memory";
    assert_eq!(refusal(&Layout::of(&layers[..1]), 1 << 20, None), None);
    let both = Layout::of(&layers);
    assert_eq!(refusal(&both, 1 << 20, None).unwrap(), too_much);
    assert_eq!(refusal(&both, 2 << 20, None), None);
    let place = tempfile::tempdir().unwrap();
    let cache = Cache::open(place.path()).unwrap();
    assert_eq!(refusal(&both, 1 << 20, Some(&cache)).unwrap(), too_much, "while layers are entered");
    assert_eq!(refusal(&both, 2 << 20, Some(&cache)), None);
    assert_eq!(refusal(&both, 1 << 20, Some(&cache)).unwrap(), too_much, "when they come out of it");
}

#[test]
fn directories_that_no_entry_names_count() {
    // A name in a header of ustar has 100 bytes.
    let names: Vec<String> = (0..40).map(|number| format!("usr/{number:02}{}", "/a".repeat(40))).collect();
    let entries: Vec<_> = names.iter().map(|name| Entry::File(name, b"")).collect();
    let layout = Layout::of(&[Layer::gzip(&tar(&entries))]);
    assert!(refusal(&layout, 1 << 20, None).unwrap().contains("more than 1048576 bytes"), "40 times 40 directories");
    assert_eq!(refusal(&layout, 2 << 20, None), None);
}

#[test]
fn the_names_of_a_long_target_and_xattrs_of_a_byte_count_one_by_one() {
    let target = "a/".repeat(49) + "a";
    let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let mut entries = vec![Entry::File(&target, b"")];
    entries.extend(names.iter().map(|name| Entry::Hardlink(name, &target)));
    let layout = Layout::of(&[Layer::gzip(&tar(&entries))]);
    assert!(refusal(&layout, 1 << 20, None).unwrap().contains("more than 1048576 bytes"), "200 times 50 names");
    assert_eq!(refusal(&layout, 2 << 20, None), None);

    let one = (0..10_000).fold(file("usr/a", ""), |entry, number| entry.xattr(&format!("user.{number}"), b"x"));
    let layout = Layout::of(&[Layer::gzip(&stream(&[one]))]);
    assert!(refusal(&layout, 1 << 20, None).unwrap().contains("more than 1048576 bytes"), "10,000 xattrs");
    assert_eq!(refusal(&layout, 2 << 20, None), None);
}

#[test]
fn objects_that_share_a_set_of_xattrs_count_it_each_as_a_cache_holds_it_for_each() {
    let scratch = tempfile::tempdir().unwrap();
    let value = vec![b'x'; 60_000];
    let same = (0..40).map(|number| file(&format!("usr/share/{number}"), number.to_string()).xattr("user.x", &value));
    let entries = [base(), same.collect()].concat();
    let image = Encapsulated::new(scratch.path(), &entries, &[]).chunked().write(&scratch.path().join("image"));
    let within = |memory| {
        let limits = Limits { memory, ..Limits::default() };
        load_within(&image.reference(), None, 2, &limits, None).err().map(|error| error.to_string())
    };
    assert!(within(2 << 20).unwrap().contains("more than 2097152 bytes"), "40 times 60,000 bytes");
    assert_eq!(within(4 << 20), None);
}

#[test]
fn a_bomb_of_headers_in_many_layers_is_refused_before_it_takes_the_memory() {
    let layout = Layout::empty();
    let value = |number: usize| number.to_string().repeat(16_000 / number.to_string().len());
    let entries = (0..2000).map(|number| file(&format!("usr/{number}"), "").xattr("user.x", value(number).as_bytes()));
    let layer = Layer::gzip(&stream(&entries.collect::<Vec<_>>()));
    let listed: Vec<Value> = vec![layout.put(&layer.blob, layer.media_type); 256];
    assert!(layer.blob.len() < 500_000, "eight gigabytes of headers in {} bytes", layer.blob.len());
    layout.index(&[layout.manifest(listed, &json!(vec![layer.diff_id; 256]), Layout::host())]);
    let out = tempfile::tempdir().unwrap();
    let mut command = program::build(&format!("oci:{}", layout.path().display()), &out.path().join("out"));
    let (ended, most) = program::measure(command.arg("--no-cache"));
    assert!(ended.code == Some(1) && ended.stderr.contains("need more than 2147483648 bytes"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
    assert!(most < 3 << 30, "{most} bytes");
}

#[test]
fn a_layer_of_half_a_gigabyte_needs_no_more_memory_than_a_small_one() {
    let scratch = tempfile::tempdir().unwrap();
    let most = [1 << 20, 512 << 20].map(|bytes| {
        let image = MiniImage::bootable().with([file("usr/share/large", vec![7; bytes])]);
        let image = image.write(&scratch.path().join(bytes.to_string()));
        let mut command = program::build(&image.reference(), &scratch.path().join("out"));
        let layout = small_partitions(scratch.path());
        let (ended, most) =
            program::measure(command.args(["--dry-run", "--no-cache", "--threads", "2", "--layout", &layout]));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        most
    });
    assert!(most[1] < most[0] + (32 << 20), "{most:?} bytes");
}
