//! Who may read an image, and who is told the password.

use std::fs;

use crate::registry::{NO_TLS, Place, docker};
use crate::support::nginx::{Authority, Nginx};
use crate::support::registry::{Doors, PASSWORD, Registry, USER, auth_file};
use crate::support::way::{IDENTITY_TOKEN, Way};
use qemu_tests::oracle;

#[test]
fn a_password_opens_the_registry_and_is_never_shown() {
    let (place, registry) = (Place::new(), Registry::start(Doors::Basic, None));
    registry.store(&place.layout.reference(), "os:1", &[]);
    let name = registry.name("os:1");
    let host = format!("127.0.0.1:{}", registry.port);
    place.refuses(&docker(&name), &[NO_TLS], &["refuses it to strangers", "skopeo login"]);
    let wrong = auth_file(&place.path("wrong.json"), &host, USER, "wrong horse");
    let said =
        place.refuses(&docker(&name), &[NO_TLS, "--authfile", &wrong], &["refuses it to the user that was named"]);
    assert!(!said.contains("horse"), "{said}");
    place.refuses(&docker(&name), &[NO_TLS, "--authfile", "/nowhere/auth.json"], &["/nowhere/auth.json", "not there"]);
    // skopeo's own file, where podman looks for it.
    let own = place.path("home/.config/containers/auth.json");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    let login = ["login", "--tls-verify=false", "-u", USER, "-p", PASSWORD, "--authfile", own.to_str().unwrap(), &host];
    oracle::agrees(&oracle::tool("skopeo", "skopeo"), login);
    assert!(place.disk(&docker(&name), &[NO_TLS]) == place.wanted(&name));
    // Docker's, which leaves it to a program.
    fs::remove_file(&own).unwrap();
    fs::create_dir_all(place.path("home/.docker")).unwrap();
    fs::write(place.path("home/.docker/config.json"), r#"{"auths": {}, "credsStore": "pass"}"#).unwrap();
    place.refuses(&docker(&name), &[NO_TLS], &["docker-credential-pass", "no program is run"]);
}

#[test]
fn a_token_is_fetched_once_for_all_layers() {
    let (place, registry) = Place::in_registry();
    let way = Way::with_tokens(&registry);
    let name = way.name("os:1");
    place.refuses(&docker(&name), &[NO_TLS], &["refuses it to strangers"]);
    let file = auth_file(&place.path("auth.json"), &name, USER, PASSWORD);
    place.refuses(&docker(&name), &[NO_TLS, "--authfile", &file], &["strangers"]);
    let file = auth_file(&place.path("auth.json"), &way.name("os"), USER, PASSWORD);
    let before = way.requests().len();
    assert!(place.disk(&docker(&name), &[NO_TLS, "--authfile", &file]) == place.wanted(&name));
    let requests = way.requests().split_off(before);
    assert_eq!(requests.iter().filter(|path| path.starts_with("/token")).count(), 1, "{requests:?}");
    let manifests = requests.iter().filter(|path| path.contains("/manifests/")).count();
    assert_eq!(manifests, 2, "one is answered with the challenge: {requests:?}");
}

#[test]
fn a_token_that_expires_on_the_way_is_fetched_anew() {
    let (place, registry) = Place::in_registry();
    let way = Way::with_short_tokens(&registry, 2);
    let name = way.name("os:1");
    let file = auth_file(&place.path("auth.json"), &way.name("os"), USER, PASSWORD);
    assert!(place.disk(&docker(&name), &[NO_TLS, "--authfile", &file]) == place.wanted(&name));
    let requests = way.requests();
    let tokens = requests.iter().filter(|path| path.starts_with("/token")).count();
    assert_eq!(tokens, 2, "a manifest, a config, two layers: {requests:?}");
}

#[test]
fn an_identity_token_is_sent_in_a_form_and_nowhere_else() {
    let (place, registry) = Place::in_registry();
    let way = Way::with_tokens(&registry);
    let name = way.name("os:1");
    let file = place.path("auth.json");
    let entry = |token: &str| serde_json::json!({"auths": {way.name("os"): {"auth": "Og==", "identitytoken": token}}});
    fs::write(&file, entry(IDENTITY_TOKEN).to_string()).unwrap();
    let arguments = [NO_TLS, "--authfile", file.to_str().unwrap()];
    assert!(place.disk(&docker(&name), &arguments) == place.wanted(&name));
    let bearer = |sent: &String| sent.contains(" Bearer good-1") && !sent.contains("identity");
    assert!(way.authorizations().iter().all(bearer), "{:?}", way.authorizations());
    fs::write(&file, entry("a stale one").to_string()).unwrap();
    let said = place.refuses(&docker(&name), &arguments, &["refuses it to the user that was named"]);
    assert!(!said.contains("stale"), "{said}");
}

#[test]
fn certificates_and_a_password_are_asked_for_together() {
    let (place, registry, authority) = Place::behind_tls(Doors::Basic, "IP:127.0.0.1");
    let name = registry.name("os:1");
    let file = auth_file(&place.path("auth.json"), &registry.host(), USER, PASSWORD);
    let ca = authority.text("ca.pem");
    place.refuses(&docker(&name), &["--authfile", &file], &["the secure connection failed"]);
    place.refuses(&docker(&name), &["--tls-ca", &ca], &["refuses it to strangers"]);
    let wanted = place.wanted(&name);
    assert!(place.disk(&docker(&name), &["--tls-ca", &ca, "--authfile", &file]) == wanted);
    assert!(place.disk(&docker(&name), &[NO_TLS, "--authfile", &file]) == wanted);
}

#[test]
fn without_certificates_of_the_registry_those_of_another_server_of_tokens_are_checked() {
    let (place, registry) = Place::in_registry();
    fs::create_dir(place.path("tokens")).unwrap();
    fs::write(place.path("tokens/token"), r#"{"token": "good"}"#).unwrap();
    let authority = Authority::new();
    authority.sign("server", "DNS:localhost", 2);
    let nginx = Nginx::of(&place.path("tokens"), &authority, "server", false);
    let way = Way::with_tokens_of(&registry, &format!("https://localhost:{}/token", nginx.port));
    let name = way.name("os:1");
    let file = auth_file(&place.path("auth.json"), &way.name("os"), USER, PASSWORD);
    let arguments = [NO_TLS, "--authfile", &file];
    place.refuses(&docker(&name), &arguments, &["https://localhost", "the secure connection failed"]);
    assert_eq!(nginx.log(), "", "nothing was asked");
    let ca = authority.text("ca.pem");
    let trusting = [NO_TLS, "--authfile", &file, "--tls-ca", &ca];
    assert!(place.disk(&docker(&name), &trusting) == place.wanted(&name));
}

#[test]
fn another_server_without_tls_is_not_told_the_password() {
    let (place, registry) = Place::in_registry();
    let tokens = Way::to(&registry);
    let way = Way::with_tokens_of(&registry, &format!("http://localhost:{}/token", tokens.port));
    let file = auth_file(&place.path("auth.json"), &way.name("os"), USER, PASSWORD);
    place.refuses(
        &docker(&way.name("os:1")),
        &[NO_TLS, "--authfile", &file],
        &["sends its users to http://localhost", "which would read them on the way"],
    );
    assert!(tokens.requests().is_empty(), "{:?}", tokens.requests());
}

#[test]
fn an_identity_token_does_not_follow_a_redirect_to_another_host() {
    let (place, registry) = Place::in_registry();
    let (way, elsewhere) = (Way::with_tokens(&registry), Way::with_tokens(&registry));
    way.redirect("/token", &format!("http://localhost:{}", elsewhere.port));
    let file = place.path("auth.json");
    let entry = serde_json::json!({"auths": {way.name("os"): {"identitytoken": IDENTITY_TOKEN}}});
    fs::write(&file, entry.to_string()).unwrap();
    let arguments = [NO_TLS, "--authfile", file.to_str().unwrap()];
    place.refuses(&docker(&way.name("os:1")), &arguments, &["/token answered 307"]);
    assert!(elsewhere.requests().is_empty(), "{:?}", elsewhere.requests());
}
