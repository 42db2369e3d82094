//! Mirrors, proxies, and servers that a registry sends its callers to.

use std::fs;

use crate::registry::{NO_TLS, Place, docker};
use crate::support::nginx::{Authority, Nginx};
use crate::support::program;
use crate::support::registry::{Doors, PASSWORD, Registry, USER, auth_file};
use crate::support::way::Way;
use qemu_tests::server::Fault;

#[test]
fn registries_conf_names_mirrors_and_blocks() {
    let (place, registry) = (Place::new(), Registry::open());
    registry.store(&place.layout.reference(), "mirrored/os:1", &[]);
    let conf = |text: &str| fs::write(place.path("registries.conf"), text).unwrap();
    let mirror = registry.name("mirrored");
    conf(&format!(
        "[[registry]]\nprefix = \"nowhere.invalid/team\"\nlocation = \"nowhere.invalid/team\"\n\
         [[registry.mirror]]\nlocation = \"127.0.0.1:1/dead\"\ninsecure = true\n\
         [[registry.mirror]]\nlocation = \"{mirror}\"\ninsecure = true\n"
    ));
    let wanted = place.wanted("nowhere.invalid/team/os:1");
    assert!(
        place.disk("docker://nowhere.invalid/team/os:1", &[]) == wanted,
        "the machine follows the name, not the mirror"
    );
    conf("[[registry]]\nprefix = \"nowhere.invalid\"\nblocked = true\n");
    place.refuses("docker://nowhere.invalid/team/os:1", &[], &["registries.conf blocks nowhere.invalid/team/os"]);
    conf("[[registry]]\nprefix = 7\n");
    place.refuses("docker://nowhere.invalid/team/os:1", &[], &["registries.conf cannot be used"]);
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let (place, registry) = Place::in_registry();
    let proxy = Way::to(&registry);
    let wanted = place.wanted("registry.invalid:80/os:1");
    let mut command = place.command("docker://registry.invalid:80/os:1", "out", &[NO_TLS]);
    command.env("http_proxy", format!("http://127.0.0.1:{}", proxy.port)).env_remove("no_proxy").env_remove("NO_PROXY");
    program::succeed(&mut command);
    assert!(fs::read(place.path("out/image/disk.raw")).unwrap() == wanted);
    assert!(
        proxy.requests().iter().all(|url| url.starts_with("http://registry.invalid/v2/")),
        "{:?}",
        proxy.requests()
    );
}

#[test]
fn mirrors_serve_tags_or_digests_as_registries_conf_says() {
    let (place, registry) = Place::in_registry();
    let (main, tags, digests) = (Way::to(&registry), Way::to(&registry), Way::to(&registry));
    let mirror = |way: &Way, pulled: &str| {
        format!(
            "[[registry.mirror]]\nlocation = \"127.0.0.1:{}\"\ninsecure = true\npull-from-mirror = \"{pulled}\"\n",
            way.port
        )
    };
    let text = format!(
        "[[registry]]\nlocation = \"127.0.0.1:{}\"\ninsecure = true\n{}{}",
        main.port,
        mirror(&tags, "tag-only"),
        mirror(&digests, "digest-only")
    );
    fs::write(place.path("registries.conf"), text).unwrap();
    let asked = || [&main, &tags, &digests].map(|way| way.requests().len());
    let name = main.name("os:1");
    assert!(place.disk(&docker(&name), &[]) == place.wanted(&name));
    let after_tag = asked();
    assert!(after_tag[0] == 0 && after_tag[1] > 0 && after_tag[2] == 0, "{after_tag:?}");
    let pinned = main.name(&format!("os@{}", place.layout.manifest_digest));
    assert!(place.disk(&docker(&pinned), &[]) == place.wanted(&pinned));
    let after_digest = asked();
    assert!(after_digest[..2] == after_tag[..2] && after_digest[2] > 0, "{after_digest:?}");
}

#[test]
fn certificates_of_a_mirror_are_checked_unless_registries_conf_says_otherwise() {
    let (place, registry) = Place::in_registry();
    let (main, mirror) = (Way::to(&registry), Way::to(&registry));
    let conf = format!(
        "[[registry]]\nlocation = \"127.0.0.1:{}\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:{}\"\n",
        main.port, mirror.port
    );
    fs::write(place.path("registries.conf"), &conf).unwrap();
    let name = main.name("os:1");
    let wanted = place.wanted(&name);
    assert!(place.disk(&docker(&name), &[NO_TLS]) == wanted, "the registry is named, and its mirror is not");
    assert!(!main.requests().is_empty() && mirror.requests().is_empty(), "{:?}", mirror.requests());
    fs::write(place.path("registries.conf"), conf + "insecure = true\n").unwrap();
    let before = main.requests().len();
    assert!(place.disk(&docker(&name), &[NO_TLS]) == wanted);
    assert_eq!(main.requests().len(), before, "the mirror serves all");
}

#[test]
fn blobs_come_from_where_a_registry_sends_its_callers_who_do_not_show_their_token_there() {
    let (place, registry) = Place::in_registry();
    let (way, store) = (Way::with_tokens(&registry), Way::to(&registry));
    way.redirect("/blobs/", &format!("http://localhost:{}", store.port));
    let name = way.name("os:1");
    let file = auth_file(&place.path("auth.json"), &way.name("os"), USER, PASSWORD);
    assert!(place.disk(&docker(&name), &[NO_TLS, "--authfile", &file]) == place.wanted(&name));
    assert_eq!(store.requests().len(), 3, "the config and two layers: {:?}", store.requests());
    assert!(store.authorizations().is_empty(), "{:?}", store.authorizations());
}

#[test]
fn without_certificates_of_the_registry_those_of_where_it_sends_its_callers_are_checked() {
    let (place, registry) = Place::in_registry();
    let way = Way::to(&registry);
    let store = place.path("store/v2/os/blobs");
    fs::create_dir_all(&store).unwrap();
    for blob in fs::read_dir(place.layout.path.join("blobs/sha256")).unwrap().map(Result::unwrap) {
        fs::copy(blob.path(), store.join(format!("sha256:{}", blob.file_name().to_str().unwrap()))).unwrap();
    }
    let authority = Authority::new();
    authority.sign("server", "DNS:localhost", 2);
    let nginx = Nginx::of(&place.path("store"), &authority, "server", false);
    way.redirect("/blobs/", &format!("https://localhost:{}", nginx.port));
    let name = way.name("os:1");
    place.refuses(&docker(&name), &[NO_TLS], &["https://localhost", "the secure connection failed"]);
    let ca = authority.text("ca.pem");
    assert!(place.disk(&docker(&name), &[NO_TLS, "--tls-ca", &ca]) == place.wanted(&name));
}

#[test]
fn through_a_proxy_certificates_are_those_of_the_registry() {
    let (place, registry, authority) = Place::behind_tls(Doors::Open, "DNS:registry.invalid");
    let proxy = Way::to(&registry);
    let name = "registry.invalid/os:1";
    let wanted = place.wanted(name);
    let through = |out: &str, args: &[&str]| {
        let mut command = place.command(&docker(name), out, args);
        command
            .env("https_proxy", format!("http://127.0.0.1:{}", proxy.port))
            .env_remove("no_proxy")
            .env_remove("NO_PROXY");
        command
    };
    program::succeed(&mut through("out", &["--tls-ca", &authority.text("ca.pem")]));
    assert!(fs::read(place.path("out/image/disk.raw")).unwrap() == wanted);
    place.is_refused(&mut through("refused", &[]), &["the secure connection failed"]);
    assert!(proxy.requests().iter().all(|path| path == "registry.invalid:443"), "{:?}", proxy.requests());
}

#[test]
fn a_registry_that_speaks_tls_is_never_asked_without() {
    let place = Place::new();
    let authority = Authority::new();
    authority.sign("server", "IP:127.0.0.1", 2);
    let nginx = Nginx::redirecting(&authority, "server", "https://localhost:1/");
    let name = format!("127.0.0.1:{}/os:1", nginx.port);
    let said = place.refuses(&docker(&name), &[NO_TLS], &["https://localhost:1/"]);
    assert!(!said.contains("http://127.0.0.1"), "{said}");
}

#[test]
fn a_mirror_that_fails_is_asked_twice_before_the_next_place() {
    let (place, registry) = Place::in_registry();
    let (main, mirror) = (Way::to(&registry), Way::to(&registry));
    mirror.fault("/manifests/", Fault::Status(503, 1000));
    let conf = format!(
        "[[registry]]\nlocation = \"127.0.0.1:{}\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"127.0.0.1:{}\"\ninsecure = true\n",
        main.port, mirror.port
    );
    fs::write(place.path("registries.conf"), conf).unwrap();
    let name = main.name("os:1");
    assert!(place.disk(&docker(&name), &[]) == place.wanted(&name));
    let asked = mirror.requests().iter().filter(|path| path.contains("/manifests/")).count();
    assert_eq!(asked, 2, "{:?}", mirror.requests());
}
