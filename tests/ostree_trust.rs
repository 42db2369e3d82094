//! Whose commits are taken: keys and signatures made by gpg, openssl and ostree, and gpg's own verdict beside ours.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support;
use crate::support::gpg::Gpg;
use crate::support::mini_image::{self, small_partitions};
use crate::support::program;
use crate::support::repository::{BRANCH, Repository};
use crate::support::sysroot;
use crate::support::tar::file;
use bootwright::trust::{self, Keys, Signatures, Status};
use qemu_tests::oracle;
use qemu_tests::server::Server;

fn status(keys: &[PathBuf], signed: &[u8], signature: &[u8]) -> Status {
    let keys = Keys::read(keys, &[]).unwrap();
    let gpg = [signature.to_vec()];
    let facts = trust::examine(&keys, signed, Signatures { gpg: &gpg, ..Signatures::default() }, now());
    assert_eq!(facts.len(), 1, "{facts:?}");
    facts[0].status.clone()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

const DATA: &[u8] = b"what is signed";

#[test]
fn good_signatures_of_every_usual_kind_of_key_are_good_to_gpg_and_to_us() {
    let gpg = Gpg::new();
    for algorithm in ["rsa3072", "ed25519", "nistp256", "nistp384"] {
        gpg.key(algorithm, algorithm, "never", None);
        let signature = gpg.sign(algorithm, DATA, &[]);
        assert!(gpg.verifies(DATA, &signature), "{algorithm}");
        for armored in [true, false] {
            assert_eq!(status(&[gpg.export(algorithm, armored)], DATA, &signature), Status::Good, "{algorithm}");
        }
        assert!(!gpg.verifies(b"other", &signature));
        assert_eq!(status(&[gpg.export(algorithm, true)], b"other", &signature), Status::Bad, "{algorithm}");
    }
    // Several armored blocks in one file, and a keyring of all.
    let all = gpg.home.path().join("all");
    let blocks = ["rsa3072", "ed25519"].map(|name| fs::read(gpg.export(name, true)).unwrap());
    fs::write(&all, blocks.concat()).unwrap();
    for name in ["rsa3072", "ed25519"] {
        assert_eq!(status(std::slice::from_ref(&all), DATA, &gpg.sign(name, DATA, &[])), Status::Good);
    }
    let unknown = status(&[gpg.export("nistp256", true)], DATA, &gpg.sign("ed25519", DATA, &[]));
    assert_eq!(unknown, Status::UnknownKey);
}

#[test]
fn a_signing_subkey_signs_for_its_certificate_until_it_expires_or_is_revoked() {
    let gpg = Gpg::new();
    gpg.says(&["--quick-generate-key", "main", "ed25519", "cert", "never"]);
    let main = gpg.fingerprint("main");
    gpg.says(&["--quick-add-key", &main, "ed25519", "sign", "never"]);
    let signature = gpg.sign("main", DATA, &[]);
    assert!(gpg.verifies(DATA, &signature));
    assert_eq!(status(&[gpg.export("main", true)], DATA, &signature), Status::Good);
    let listing = gpg.says(&["--with-colons", "--with-subkey-fingerprint", "--list-keys", "main"]);
    let fingerprints: Vec<_> = listing.lines().filter_map(|line| line.strip_prefix("fpr:::::::::")).collect();
    let subkey = fingerprints[1].trim_end_matches(':');
    gpg.says(&["--quick-set-expire", &main, "seconds=1", subkey]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(!gpg.verifies(DATA, &signature) || gpg.says(&["--with-colons", "--list-keys", "main"]).contains("sub:e"));
    assert!(matches!(status(&[gpg.export("main", true)], DATA, &signature), Status::ExpiredKey { .. }));
}

#[test]
fn expired_revoked_and_weak_keys_each_have_a_word_of_their_own() {
    let gpg = Gpg::new();
    let fingerprint = gpg.key("old", "ed25519", "20200201T000000", Some("20200101T000000"));
    let signature = gpg.sign("old", DATA, &["--faked-system-time=20200110T000000"]);
    assert!(!gpg.verifies(DATA, &signature), "gpg says EXPKEYSIG");
    assert!(
        matches!(status(&[gpg.export("old", true)], DATA, &signature), Status::ExpiredKey { since } if since < 1_580_600_000)
    );
    // The newest self-signature counts.
    gpg.says(&["--quick-set-expire", &fingerprint, "never"]);
    assert!(gpg.verifies(DATA, &signature));
    assert_eq!(status(&[gpg.export("old", true)], DATA, &signature), Status::Good);

    let fingerprint = gpg.key("revoked", "ed25519", "never", None);
    let signature = gpg.sign("revoked", DATA, &[]);
    gpg.revoke(&fingerprint);
    assert_eq!(status(&[gpg.export("revoked", true)], DATA, &signature), Status::RevokedKey);

    gpg.key("short", "rsa1024", "never", None);
    let signature = gpg.sign("short", DATA, &[]);
    assert!(
        matches!(status(&[gpg.export("short", true)], DATA, &signature), Status::Weak { why } if why.contains("1024"))
    );
    gpg.key("sha1", "rsa3072", "never", None);
    let signature = gpg.sign("sha1", DATA, &["--digest-algo", "SHA1"]);
    assert!(
        matches!(status(&[gpg.export("sha1", true)], DATA, &signature), Status::Weak { why } if why.contains("SHA1"))
    );
    let signature = gpg.sign(
        "sha1",
        DATA,
        &["--faked-system-time=20300101T000000", "--default-sig-expire", "1d", "--ask-sig-expire"],
    );
    assert_eq!(status(&[gpg.export("sha1", true)], DATA, &signature), Status::Good, "not expired yet");
}

#[test]
fn bytes_that_are_no_signature_are_said_to_be_none_and_never_panic() {
    let gpg = Gpg::new();
    gpg.key("rsa", "rsa2048", "never", None);
    let keys = Keys::read(&[gpg.export("rsa", true)], &[]).unwrap();
    let signature = gpg.sign("rsa", DATA, &[]);
    let examine = |bytes: &[u8]| {
        let gpg = [bytes.to_vec()];
        trust::examine(&keys, DATA, Signatures { gpg: &gpg, ..Signatures::default() }, now())
    };
    for len in 0..signature.len() {
        assert!(examine(&signature[..len]).iter().all(|fact| fact.status != Status::Good), "{len} bytes");
    }
    for at in 0..signature.len() {
        let mut flipped = signature.clone();
        flipped[at] ^= 0x10;
        let facts = examine(&flipped);
        // What is not covered by the signature (the unhashed area) may change.
        assert!(facts.len() <= 2, "{facts:?}");
    }
}

/// A standalone or timestamp signature covers one byte at most: over every document that begins alike, it would be good.
#[test]
fn only_signatures_over_documents_count() {
    let gpg = Gpg::new();
    gpg.key("ed", "ed25519", "never", None);
    let signature = gpg.sign("ed", DATA, &[]);
    // A header of two bytes, the version, then the type (RFC 9580 §5.2.3).
    assert_eq!((signature[0], &signature[2..4]), (0x88, &[4, 0][..]));
    for other in [0x02, 0x10, 0x13, 0x1f, 0x40] {
        let mut changed = signature.clone();
        changed[3] = other;
        let status = status(&[gpg.export("ed", true)], DATA, &changed);
        assert!(matches!(&status, Status::Malformed { why } if why.contains("not over a document")), "{status:?}");
    }
}

#[test]
fn files_that_are_no_keys_are_refused_with_the_reason() {
    let gpg = Gpg::new();
    gpg.key("secret", "ed25519", "never", None);
    let secret = gpg.home.path().join("secret.asc");
    gpg.says(&["--armor", "--output", secret.to_str().unwrap(), "--export-secret-keys", "secret"]);
    let written = |name: &str, text: &str| {
        let path = gpg.home.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let gpg_error = |path: &Path| Keys::read(&[path.to_owned()], &[]).unwrap_err().to_string();
    assert!(gpg_error(&secret).contains("secret key"), "{}", gpg_error(&secret));
    assert!(gpg_error(&written("empty", "")).contains("it is empty"));
    assert!(gpg_error(&written("text", "hello\n")).contains("is no key"));
    assert!(gpg_error(Path::new("/nonexistent")).contains("/nonexistent"));
    let sign_error = |path: &Path| Keys::read(&[], &[path.to_owned()]).unwrap_err().to_string();
    assert!(sign_error(&written("a", "# nothing\n")).contains("empty"));
    assert!(sign_error(&written("b", "AAAA\n")).contains("3 bytes"));
    assert!(sign_error(&written("c", &format!("{}==\n", "A".repeat(86)))).contains("secret key"));
    let pem = gpg.home.path().join("private.pem");
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", pem.to_str().unwrap()]);
    assert!(sign_error(&pem).contains("secret key"));
}

fn openssl(args: &[&str]) -> String {
    oracle::agrees(&oracle::tool("openssl", "openssl"), args)
}

#[test]
fn spki_signatures_made_by_openssl_are_good_only_for_their_key_and_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("data"), DATA).unwrap();
    for (name, options) in [
        ("ed25519", &["-algorithm", "ed25519"][..]),
        ("rsa", &["-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ] {
        let (private, public) = (path(&format!("{name}.private")), path(&format!("{name}.public")));
        openssl(&[&["genpkey", "-out", &private], options].concat());
        openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
        // As libostree calls EVP_DigestSign: with the key's own digest, SHA-256 where it has none.
        let digest = if name == "ed25519" { &["-rawin"][..] } else { &["-rawin", "-digest", "sha256"] };
        openssl(
            &[&["pkeyutl", "-sign", "-inkey", &private, "-in", &path("data"), "-out", &path("signature")], digest]
                .concat(),
        );
        let keys = Keys::read(&[], &[public.clone().into()]).unwrap();
        let spki = [fs::read(path("signature")).unwrap()];
        let signatures = Signatures { spki: &spki, ..Signatures::default() };
        assert_eq!(trust::examine(&keys, DATA, signatures, 0)[0].status, Status::Good, "{name}");
        assert_eq!(trust::examine(&keys, b"other", signatures, 0)[0].status, Status::UnknownKey, "{name}");
    }
}

/// An archive whose commit is signed by gpg, behind a server.
struct Signed {
    gpg: Gpg,
    directory: tempfile::TempDir,
    archive: Repository,
    server: Server,
}

impl Signed {
    fn new() -> Signed {
        let gpg = Gpg::new();
        gpg.key("vendor", "rsa3072", "never", None);
        gpg.key("other", "ed25519", "never", None);
        let directory = tempfile::tempdir().unwrap();
        let archive = Repository::new(&directory.path().join("archive"), "archive");
        let home = format!("--gpg-homedir={}", gpg.home.path().display());
        let sign = format!("--gpg-sign={}", gpg.fingerprint("vendor"));
        archive.commit(&mini_image::base(), &[&sign, &home]);
        let server = Server::of(&archive.path);
        Signed { gpg, directory, archive, server }
    }

    fn build(&self, args: &[&str]) -> program::Ended {
        let layout = small_partitions(self.directory.path());
        let out = self.directory.path().join("out");
        let mut command = program::build(&self.server.reference(BRANCH), &out);
        program::end(command.args(["--type", "raw", "--no-checksums", "--layout", &layout]).args(args))
    }

    fn refuses(&self, args: &[&str], facts: &[&str]) {
        let ended = self.build(args);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        facts.iter().for_each(|fact| assert!(ended.stderr.contains(fact), "`{fact}` is not in {}", ended.stderr));
        assert!(!self.directory.path().join("out").exists());
    }
}

#[test]
fn a_disk_from_a_signed_commit_asks_for_the_same_signatures_at_every_upgrade() {
    oracle::needs_root("upgrading");
    let place = Signed::new();
    let key = place.gpg.export("vendor", true);
    let ended = place.build(&["--gpg-key", key.to_str().unwrap(), "--remote-name", "vendor"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let out = place.directory.path().join("out");
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
    let verification = &manifest["ostree"]["verification"];
    assert_eq!(
        (&verification["verified"], &verification["signatures"][0]["status"]["is"]),
        (&true.into(), &"good".into())
    );
    assert_eq!(verification["signatures"][0]["signer"]["user"], "vendor");

    let raw = out.join("image/disk.raw");
    let cut = |name: &str| {
        let to = place.directory.path().join(name);
        support::disk::cut_out(&raw, &support::disk::partition_named(&raw, name), &to);
        to
    };
    let sysroot = sysroot::writable(&cut("root"), &cut("boot"));
    std::os::unix::fs::symlink(sysroot.deployment().join("etc"), sysroot.join("etc")).unwrap();
    let mut entries = mini_image::base();
    entries.push(file("usr/share/second", "2"));
    place.archive.commit(&entries, &[]);
    let arguments = ["admin", "upgrade", "--os=default", &format!("--sysroot={}", sysroot.root.path().display())]
        .map(str::to_owned);
    let refused = oracle::run(&sysroot::ostree(), &arguments);
    let said = oracle::said(&refused);
    assert!(!refused.status.success() && said.contains("no signatures found"), "{said}");
    entries.push(file("usr/share/third", "3"));
    let home = format!("--gpg-homedir={}", place.gpg.home.path().display());
    let sign = format!("--gpg-sign={}", place.gpg.fingerprint("vendor"));
    place.archive.commit(&entries, &[&sign, &home]);
    sysroot.admin("upgrade", &["--os=default"]);
}

#[test]
fn a_commit_without_a_good_signature_is_refused_with_the_best_reason() {
    let place = Signed::new();
    let (vendor, other) = (place.gpg.export("vendor", true), place.gpg.export("other", true));
    let (vendor, other) = (vendor.to_str().unwrap(), other.to_str().unwrap());
    let fingerprint = place.gpg.fingerprint("vendor");
    place.refuses(&[], &["no key was given", &fingerprint, "hint: "]);
    place.refuses(&["--gpg-key", other], &[&fingerprint, "none of the keys given", "hint: "]);
    // The signature of another commit.
    let commit = place.archive.says("rev-parse", &[BRANCH]).trim().to_owned();
    let mut entries = mini_image::base();
    entries.push(file("usr/share/second", "2"));
    let second = place.archive.commit(&entries, &[]);
    place.refuses(&["--gpg-key", vendor], &[&second, "it is not signed"]);
    fs::copy(place.archive.object(&commit, "commitmeta"), place.archive.object(&second, "commitmeta")).unwrap();
    place.refuses(&["--gpg-key", vendor], &["vendor", "is not over these bytes"]);
    fs::write(place.archive.object(&second, "commitmeta"), "no variant").unwrap();
    place.refuses(&["--gpg-key", vendor], &["the signatures of the commit"]);
}

/// A `.commitmeta` with one ed25519 signature: Debian's `ostree` cannot make one.
fn commitmeta(signature: &[u8]) -> Vec<u8> {
    use bootwright::ostree::variant::{Array, Tuple, variant};
    let (mut list, mut map) = (Array::new(1), Array::new(8));
    list.push(signature);
    map.push(&Tuple::new().string("ostree.sign.ed25519").variable(8, &variant("aay", &list.finish())).finish());
    map.finish()
}

#[test]
fn a_summary_beside_the_signature_of_another_is_refused() {
    let place = Signed::new();
    let key = place.gpg.export("vendor", true);
    let sign = [
        format!("--gpg-sign={}", place.gpg.fingerprint("vendor")),
        format!("--gpg-homedir={}", place.gpg.home.path().display()),
    ];
    let signed = |command: &str, args: &[&str]| place.archive.says(command, &[args, &[&sign[0], &sign[1]]].concat());
    signed("summary", &["-u"]);
    assert_eq!(place.build(&["--gpg-key", key.to_str().unwrap()]).code, Some(0));
    fs::remove_dir_all(place.directory.path().join("out")).unwrap();
    let old = fs::read(place.archive.path.join("summary.sig")).unwrap();
    let mut entries = mini_image::base();
    entries.push(file("usr/share/second", "2"));
    place.archive.commit(&entries, &[&sign[0], &sign[1]]);
    place.archive.says("summary", &["-u"]);
    fs::write(place.archive.path.join("summary.sig"), old).unwrap();
    place.refuses(&["--gpg-key", key.to_str().unwrap()], &["not the one that was signed", "hint: "]);
}

#[test]
fn ed25519_signatures_are_verified_and_asked_for_by_the_machine() {
    oracle::needs_root("looking into a disk");
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    openssl(&["genpkey", "-algorithm", "ed25519", "-outform", "DER", "-out", path("private").to_str().unwrap()]);
    openssl(&[
        "pkey",
        "-in",
        path("private").to_str().unwrap(),
        "-inform",
        "DER",
        "-pubout",
        "-outform",
        "DER",
        "-out",
        path("public").to_str().unwrap(),
    ]);
    let base64 = |bytes: &[u8]| {
        fs::write(path("bytes"), bytes).unwrap();
        openssl(&["base64", "-A", "-in", path("bytes").to_str().unwrap()]).trim().to_owned()
    };
    let public = fs::read(path("public")).unwrap();
    let public = &public[public.len() - 32..];
    let (archive, commit) = Repository::archive(&path("archive"));
    let signed = archive.object(&commit, "commit");
    let paths = [path("private"), signed.clone(), path("signature")].map(|path| path.to_str().unwrap().to_owned());
    openssl(&[
        "pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey", &paths[0], "-in", &paths[1], "-out", &paths[2],
    ]);
    fs::write(archive.object(&commit, "commitmeta"), commitmeta(&fs::read(path("signature")).unwrap())).unwrap();
    let server = Server::of(&archive.path);
    let key = path("vendor.ed25519");
    fs::write(&key, format!("# the vendor's\n{}\n", base64(public))).unwrap();
    let layout = small_partitions(directory.path());
    let out = path("out");
    let mut command = program::build(&server.reference(BRANCH), &out);
    command
        .args(["--type", "raw", "--no-checksums", "--layout", &layout, "--remote-name", "vendor", "--sign-key"])
        .arg(&key);
    program::succeed(&mut command);
    let raw = out.join("image/disk.raw");
    let cut = |name: &str| {
        support::disk::cut_out(&raw, &support::disk::partition_named(&raw, name), &path(name));
        path(name)
    };
    let sysroot = sysroot::writable(&cut("root"), &cut("boot"));
    let etc = sysroot.deployment().join("etc");
    let conf = fs::read_to_string(etc.join("ostree/remotes.d/vendor.conf")).unwrap();
    assert!(
        conf.contains(
            "gpg-verify=false\nsign-verify=ed25519\nverification-ed25519-file=/etc/ostree/remotes.d/vendor.ed25519\n"
        ),
        "{conf}"
    );
    assert_eq!(
        fs::read_to_string(etc.join("ostree/remotes.d/vendor.ed25519")).unwrap(),
        format!("{}\n", base64(public))
    );

    let wrong = path("wrong.ed25519");
    fs::write(&wrong, format!("{}\n", base64(&[7; 32]))).unwrap();
    let mut command = program::build(&server.reference(BRANCH), &path("refused"));
    let ended = program::end(command.arg("--sign-key").arg(&wrong));
    assert!(ended.code == Some(1) && ended.stderr.contains("none of the keys given"), "{}", ended.stderr);
}
