//! What happens when the registry or the network misbehaves.

use crate::registry::{NO_TLS, Place, docker};
use crate::support::repository_of_registry::OCI_MANIFEST;
use crate::support::way::{Ranges, Way};
use qemu_tests::server::Fault;

#[test]
fn what_breaks_on_the_way_is_tried_again_and_a_blob_goes_on_where_it_broke_off() {
    let (place, registry) = Place::in_registry();
    let way = Way::to(&registry);
    way.fault("/manifests/", Fault::Status(503, 2));
    way.fault("/blobs/", Fault::Status(429, 1));
    way.fault(&place.layout.layers[1], Fault::Cut(3));
    let name = way.name("os:1");
    assert!(place.disk(&docker(&name), &[NO_TLS]) == place.wanted(&name));
    let layer = way.requests().into_iter().filter(|path| path.contains(&place.layout.layers[1])).collect::<Vec<_>>();
    let starts: Vec<u64> =
        layer.iter().filter_map(|request| request.split_once("bytes=")?.1.strip_suffix('-')?.parse().ok()).collect();
    assert_eq!(starts.len(), 3, "{layer:?}");
    assert!(starts.is_sorted() && starts[0] > 1_000_000, "{starts:?}");
}

#[test]
fn what_is_not_what_its_digest_says_is_refused() {
    let (place, registry) = Place::in_registry();
    let (layer, digest) = (&place.layout.layers[1], &place.layout.manifest_digest);
    let way = Way::to(&registry);
    let name = docker(&way.name("os:1"));
    way.fault(layer, Fault::Garble);
    place.refuses(&name, &[NO_TLS], &["layer 1", "it has the digest"]);
    way.fault("/manifests/", Fault::Garble);
    place.refuses(&name, &[NO_TLS], &["the registry serves sha256:", digest]);
    place.refuses(&format!("{name}@{digest}"), &[NO_TLS], &["the registry serves sha256:", digest]);
    let other = "f".repeat(64);
    place.refuses(
        &docker(&registry.name(&format!("os@sha256:{other}"))),
        &[NO_TLS],
        &["is not in the registry", "list-tags"],
    );
    place.refuses(&docker(&registry.name("os:none")), &[NO_TLS], &["none", "is not in the registry"]);
}

#[test]
fn a_registry_that_falls_silent_is_given_up() {
    let (place, registry) = Place::in_registry();
    let way = Way::to(&registry);
    way.fault(&place.layout.layers[0], Fault::Stall);
    place.refuses(
        &docker(&way.name("os:1")),
        &[NO_TLS, "--stall-timeout", "1"],
        &["layer 0", "did not answer for 1 s"],
    );
    let gone = docker(&way.name("os:1"));
    way.fault("/v2/", Fault::Status(500, 1000));
    place.refuses(&gone, &[NO_TLS], &["6 attempts failed", "500"]);
}

#[test]
fn a_server_that_sends_everything_again_is_read_on_and_one_that_sends_other_bytes_is_refused() {
    let (place, registry) = Place::in_registry();
    let way = Way::to(&registry);
    let name = way.name("os:1");
    way.ranges(Ranges::Ignored);
    way.fault(&place.layout.layers[1], Fault::Cut(2));
    assert!(place.disk(&docker(&name), &[NO_TLS]) == place.wanted(&name));
    assert!(way.requests().iter().any(|request| request.contains("bytes=")), "{:?}", way.requests());
    way.ranges(Ranges::Wrong);
    way.fault(&place.layout.layers[1], Fault::Cut(1));
    place.refuses(&docker(&name), &[NO_TLS], &["layer 1", "does not answer as a registry does", "sends others"]);
}

#[test]
fn a_blob_that_is_shorter_or_longer_than_its_descriptor_is_refused() {
    let (place, registry) = Place::in_registry();
    let size = place.layout.blob(&place.layout.layers[1]).metadata().unwrap().len();
    for (lie, fact) in [(size + 1, "it has only"), (size - 1, "it has more than the")] {
        let manifest = place.layout.manifest.replace(&format!("\"size\":{size}"), &format!("\"size\":{lie}"));
        assert_ne!(manifest, place.layout.manifest);
        registry.repository("os").put_manifest("lie", OCI_MANIFEST, manifest.as_bytes());
        place.refuses(&docker(&registry.name("os:lie")), &[NO_TLS], &["layer 1", fact, "hint: the image is damaged"]);
    }
}

#[test]
fn a_slow_line_is_no_silent_one() {
    let (place, registry) = Place::in_registry();
    let way = Way::to(&registry);
    let name = way.name("os:1");
    way.fault(&place.layout.layers[1], Fault::Slow);
    let begun = std::time::Instant::now();
    assert!(place.disk(&docker(&name), &[NO_TLS, "--stall-timeout", "1"]) == place.wanted(&name));
    assert!(begun.elapsed().as_secs() >= 2, "longer than a server may be silent");
}

#[test]
fn a_body_that_broke_off_after_its_last_byte_is_whole() {
    let (place, registry) = Place::in_registry();
    let way = Way::to(&registry);
    let (name, layer) = (way.name("os:1"), &place.layout.layers[1]);
    way.fault(layer, Fault::Unterminated(1));
    assert!(place.disk(&docker(&name), &[NO_TLS]) == place.wanted(&name));
    let size = place.layout.blob(layer).metadata().unwrap().len();
    let rest = format!("{layer} bytes={size}-");
    assert!(way.requests().iter().any(|request| request.ends_with(&rest)), "{:?}", way.requests());
}
