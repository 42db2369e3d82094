//! Refs of repositories on a server: what is fetched, and what happens when the server or the network misbehaves.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::mini_image::{self, KERNEL, small_partitions};
use crate::support::program;
use crate::support::repository::{BRANCH, Repository};
use crate::support::tar::file;
use qemu_tests::server::{Fault, Server};

/// An archive behind a server.
struct Place {
    directory: tempfile::TempDir,
    archive: Repository,
    commit: String,
    server: Server,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let (archive, commit) = Repository::archive(&directory.path().join("archive"));
        let server = Server::of(&archive.path);
        Place { directory, archive, commit, server }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn reference(&self) -> String {
        self.server.reference(BRANCH)
    }

    /// Builds without asking for signatures and answers the bytes of the raw disk.
    fn disk(&self, reference: &str, args: &[&str]) -> Vec<u8> {
        let out = self.path().join("out");
        let layout = small_partitions(self.path());
        let mut command = program::build(reference, &out);
        command.args(["--type", "raw", "--no-checksums", "--layout", &layout]).args(args);
        program::succeed(&mut command);
        fs::read(out.join("image/disk.raw")).unwrap()
    }

    fn refuses(&self, reference: &str, args: &[&str], facts: &[&str]) {
        let out = self.path().join("refused");
        let ended = program::end(program::build(reference, &out).args(args));
        assert_eq!(ended.code, Some(1), "{facts:?}: {}", ended.stderr);
        for fact in facts {
            assert!(ended.stderr.contains(fact), "`{fact}` is not in\n{}", ended.stderr);
        }
        assert_eq!(ended.stderr.matches("error:").count(), 1, "{}", ended.stderr);
        assert!(!out.exists(), "something was written");
    }

    fn file(&self, path: &str) -> (String, String) {
        let checksum = self.archive.file(path);
        let name = format!("{}.filez", &checksum[2..]);
        (checksum, name)
    }
}

const KERNEL_PATH: &str = "/usr/lib/modules/6.1.0-mini/vmlinuz";

#[test]
fn a_server_gives_the_same_disk_as_the_directory_and_every_object_is_asked_for_once() {
    let place = Place::new();
    let url = place.server.url();
    let disk = place.disk(&place.reference(), &["--no-verify"]);
    let requests = place.server.requests();
    assert!(disk == place.disk(&place.archive.reference(BRANCH), &["--remote-url", &url]));
    let mut objects: Vec<_> = requests.iter().filter(|path| path.starts_with("/objects/")).collect();
    let all = objects.len();
    objects.sort();
    objects.dedup();
    assert_eq!(objects.len(), all, "an object was asked for twice");
    let theirs = program::files_below(&place.archive.path.join("objects")).len();
    // All of the repository and the signatures that are not there.
    assert_eq!(all, theirs + 1);
    assert!(place.server.headers().iter().any(|line| line.eq_ignore_ascii_case("accept-encoding: identity")));
}

#[test]
fn without_a_key_or_a_word_nothing_is_taken_from_a_server() {
    let place = Place::new();
    place.refuses(&place.reference(), &[], &[&place.commit, "no key was given", "it is not signed", "--no-verify"]);
    let out = place.path().join("out");
    let layout = small_partitions(place.path());
    let mut command = program::bootwright();
    command
        .args(["build", &place.reference(), "--type", "raw", "--no-verify", "--layout", &layout, "--output"])
        .arg(&out);
    let ended = program::succeed(&mut command);
    assert!(ended.stderr.contains("THE COMMIT IS NOT VERIFIED"), "{}", ended.stderr);
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["ostree"]["verification"]["verified"], false);
    assert!(manifest["warnings"][0].as_str().unwrap().starts_with("THE COMMIT IS NOT VERIFIED"));
}

#[test]
fn a_server_that_is_busy_or_breaks_off_is_asked_again() {
    let place = Place::new();
    let (_, kernel) = place.file(KERNEL_PATH);
    let expected = place.disk(&place.reference(), &["--no-verify"]);
    place.server.fault(&kernel, Fault::Cut(2));
    place.server.fault(&place.file("/usr/bin/su").1, Fault::Status(503, 2));
    place.server.fault(&place.file("/usr/bin/ping").1, Fault::Status(429, 1));
    place.server.fault("/config", Fault::Status(502, 1));
    place.server.fault(".commit", Fault::Cut(1));
    assert!(place.disk(&place.reference(), &["--no-verify"]) == expected);
    let asked = place.server.requests().iter().filter(|path| path.ends_with(&kernel)).count();
    assert_eq!(asked, 4, "once before, twice in vain, once more");
}

#[test]
fn what_a_server_keeps_doing_wrong_is_said_with_the_object_and_the_attempts() {
    let place = Place::new();
    let (checksum, kernel) = place.file(KERNEL_PATH);
    place.server.fault(&kernel, Fault::Garble);
    place.refuses(&place.reference(), &["--no-verify"], &[&checksum, "hint: "]);
    place.server.fault(&kernel, Fault::Status(404, 1000));
    place.refuses(&place.reference(), &["--no-verify"], &["lacks the object", &checksum]);
    place.server.fault(&kernel, Fault::Loop);
    place.refuses(&place.reference(), &["--no-verify"], &[&kernel, "redirects lead back"]);
    place.server.fault(&kernel, Fault::Status(503, 1000));
    place.refuses(&place.reference(), &["--no-verify"], &["6 attempts", &kernel, "503"]);
    place.server.fault(&kernel, Fault::Cut(1000));
    place.refuses(&place.reference(), &["--no-verify"], &["6 attempts", &kernel, "broke off after"]);
}

#[test]
fn a_stalled_connection_is_given_up() {
    let place = Place::new();
    let (_, kernel) = place.file(KERNEL_PATH);
    place.server.fault(&kernel, Fault::Stall);
    let begin = Instant::now();
    place.refuses(
        &place.reference(),
        &["--no-verify", "--stall-timeout", "1"],
        &[&kernel, "did not answer for 1 s", "hint: "],
    );
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn what_is_no_repository_or_has_no_such_ref_is_said() {
    let place = Place::new();
    place.refuses(
        &format!("ostree:{}/elsewhere#os", place.server.url()),
        &["--no-verify"],
        &["no ostree repository", "hint: "],
    );
    place.archive.says("summary", &["-u"]);
    let mian = place.server.reference("os/x86_64/mian");
    place.refuses(&mian, &["--no-verify"], &["os/x86_64/mian", BRANCH]);
    let bare = Repository::new(&place.path().join("bare"), "bare-user");
    let server = Server::of(&bare.path);
    place.refuses(&server.reference(BRANCH), &["--no-verify"], &["bare-user", "archive", "hint: "]);
    place.refuses("ostree:http://127.0.0.1:1#os", &["--no-verify"], &["127.0.0.1:1", "refused", "hint: "]);
}

#[test]
fn a_stale_or_expired_summary_is_refused_and_a_commits_id_passes_it_by() {
    let place = Place::new();
    place.archive.says("summary", &["-u"]);
    let mut entries = mini_image::base();
    entries.push(file("usr/share/second", "2"));
    let second = place.archive.commit(&entries, &[]);
    place.refuses(&place.reference(), &["--no-verify"], &["stale", &place.commit, &second, "hint: "]);
    place.disk(&place.server.reference(&second), &["--no-verify"]);
    place.archive.says("summary", &["-u"]);
    place.disk(&place.reference(), &["--no-verify"]);
    fs::write(place.archive.path.join("summary"), "no summary").unwrap();
    place.refuses(&place.reference(), &["--no-verify"], &["the summary of", "hint: "]);
}

#[test]
fn refs_and_collections_that_a_commit_is_not_bound_to_are_refused() {
    let place = Place::new();
    let heads = place.archive.path.join("refs/heads");
    fs::write(heads.join("other"), format!("{}\n", place.commit)).unwrap();
    place.refuses(&place.server.reference("other"), &["--no-verify"], &["other", BRANCH]);
    let ids = ["--no-verify", "--collection-id", "org.example.Os"];
    place.refuses(&place.reference(), &ids, &["no collection", "org.example.Os"]);
    place.archive.says("config", &["set", "core.collection-id", "org.example.Other"]);
    place.archive.commit(&mini_image::base(), &[]);
    place.refuses(&place.reference(), &ids, &["org.example.Other", "org.example.Os"]);
    place.disk(&place.reference(), &["--no-verify", "--collection-id", "org.example.Other"]);
}

#[test]
fn a_commit_older_than_asked_for_is_refused() {
    let place = Place::new();
    let check = |time: &str| ["--no-verify", "--timestamp-check", time].map(str::to_owned);
    let late = check("2025-10-09T08:53:21Z");
    let late: Vec<_> = late.iter().map(String::as_str).collect();
    place.refuses(&place.reference(), &late, &["2025-10-09T08:53:20Z", "2025-10-09T08:53:21Z"]);
    let even = check("1760000000");
    place.disk(&place.reference(), &even.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_next_mirror_serves_what_one_lacks_and_files_may_lie_elsewhere() {
    let place = Place::new();
    let lists = tempfile::tempdir().unwrap();
    let broken = Server::of(&place.archive.path);
    broken.fault(&place.file(KERNEL_PATH).1, Fault::Status(404, 1000));
    fs::write(
        lists.path().join("mirrors"),
        format!("# first\nhttp://127.0.0.1:1/\n{}\n{}\n", broken.url(), place.server.url()),
    )
    .unwrap();
    let list = Server::of(lists.path());
    let mirrored = format!("ostree:mirrorlist={}/mirrors#{BRANCH}", list.url());
    place.disk(&mirrored, &["--no-verify"]);
    assert!(place.server.requests().iter().any(|path| path.ends_with(&place.file(KERNEL_PATH).1)));

    let files = Server::of(&place.archive.path);
    let metadata = Server::of(&place.archive.path);
    place.disk(&metadata.reference(BRANCH), &["--no-verify", "--content-url", &files.url()]);
    assert!(files.requests().iter().all(|path| path.ends_with(".filez")) && !files.requests().is_empty());
    assert!(metadata.requests().iter().all(|path| !path.ends_with(".filez")));
}

#[test]
fn a_password_in_the_url_reaches_the_server_and_nothing_else() {
    let place = Place::new();
    let reference = place.reference().replace("http://", "http://me:hush@");
    let out = place.path().join("out");
    let layout = small_partitions(place.path());
    let mut command = program::bootwright();
    command.args(["build", &reference, "--type", "raw", "--no-verify", "--layout", &layout, "--output"]).arg(&out);
    let ended = program::succeed(&mut command);
    // `me:hush` in base64.
    assert!(
        place
            .server
            .headers()
            .iter()
            .any(|line| line.to_lowercase().starts_with("authorization: basic") && line.ends_with("bWU6aHVzaA=="))
    );
    for written in [out.join("manifest.json"), out.join("image/disk.raw")] {
        let bytes = fs::read(&written).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"me:hush"), "{}", written.display());
    }
    assert!(!ended.stderr.contains("hush"));
    let kernel = place.file(KERNEL_PATH).1;
    place.server.fault(&kernel, Fault::Loop);
    let ended = program::end(program::build(&reference, &place.path().join("refused")).arg("--no-verify"));
    assert!(ended.code == Some(1) && !ended.stderr.contains("hush"), "{}", ended.stderr);
}

#[test]
fn a_proxy_of_the_environment_is_used_and_no_proxy_leaves_it_out() {
    let place = Place::new();
    let run = |reference: &str, proxy: &str, no_proxy: &str| {
        let mut command = program::build(reference, &place.path().join("plan"));
        command.args(["--no-verify", "--dry-run"]).env("http_proxy", proxy).env("no_proxy", no_proxy);
        program::end(&mut command)
    };
    // Only the proxy knows the name.
    let behind = format!("ostree:http://updates.invalid#{BRANCH}");
    let through = run(&behind, &place.server.url(), "");
    assert_eq!(through.code, Some(0), "{}", through.stderr);
    let refused = run(&place.reference(), "http://127.0.0.1:1", "");
    assert!(refused.code == Some(1) && refused.stderr.contains("refused"), "{}", refused.stderr);
    assert_eq!(run(&place.reference(), "http://127.0.0.1:1", "127.0.0.1").code, Some(0));
}

#[test]
fn inspect_of_a_server_fetches_only_what_says_something() {
    let place = Place::new();
    let mut command = program::bootwright();
    let json = program::succeed(command.args(["inspect", &place.reference(), "--format", "json"])).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["system"]["kernel"], KERNEL);
    let (_, kernel) = place.file(KERNEL_PATH);
    assert!(!place.server.requests().iter().any(|path| path.ends_with(&kernel)));
    let mut command = program::bootwright();
    let local =
        program::succeed(command.args(["inspect", &place.archive.reference(BRANCH), "--format", "json"])).stdout;
    let local: serde_json::Value = serde_json::from_str(&local).unwrap();
    assert_eq!(
        (&json["system"], &json["commit"]),
        (&local["system"], &local["commit"]),
        "what was left out changes nothing"
    );
}

#[test]
fn a_static_delta_from_nothing_saves_the_requests_and_gives_the_same_disk() {
    let place = Place::new();
    let expected = place.disk(&place.reference(), &["--no-verify"]);
    let loose = place.server.requests().len();
    for options in [&["--inline"][..], &["--min-fallback-size=1"], &["--max-chunk-size=1"]] {
        let (archive, commit) = Repository::archive(&place.path().join(options[0]));
        archive.says("static-delta", &[&["generate", "--empty", &format!("--to={commit}")], options].concat());
        archive.says("summary", &["-u"]);
        let server = Server::of(&archive.path);
        assert!(
            place.disk(&server.reference(BRANCH), &["--no-verify", "--remote-url", &place.server.url()]) == expected
        );
        let requests = server.requests();
        assert!(requests.iter().any(|path| path.ends_with("/superblock")), "{requests:?}");
        let objects = requests.iter().filter(|path| path.ends_with(".filez")).count();
        assert!(requests.len() < loose && (options[0] != "--max-chunk-size=1" || objects == 0), "{requests:?}");
    }
}

#[test]
fn a_broken_static_delta_is_said() {
    let place = Place::new();
    place.archive.says("static-delta", &["generate", "--empty", &format!("--to={}", place.commit)]);
    place.archive.says("summary", &["-u"]);
    place.server.fault("/0", Fault::Garble);
    place.refuses(&place.reference(), &["--no-verify"], &["part 0", &place.commit, "hint: "]);
    place.server.fault("/superblock", Fault::Status(404, 1000));
    // Objects are there all the same.
    place.disk(&place.reference(), &["--no-verify"]);
}
