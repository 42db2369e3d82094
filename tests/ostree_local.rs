//! Refs of repositories in a directory, made and judged by the program `ostree`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::mini_image::{self, KERNEL, small_partitions};
use crate::support::repository::{BRANCH, Repository};
use crate::support::sysroot::{self, Sysroot, ostree};
use crate::support::tar::{Entry, Kind, directory, file, symlink};
use crate::support::{disk, program};
use qemu_tests::oracle;

/// A scratch directory with an archive in it.
struct Place {
    directory: tempfile::TempDir,
    archive: Repository,
    commit: String,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let (archive, commit) = Repository::archive(&directory.path().join("archive"));
        Place { directory, archive, commit }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Builds a raw disk and answers its bytes.
    fn disk(&self, name: &str, reference: &str, args: &[&str]) -> Vec<u8> {
        let layout = small_partitions(self.path());
        let out = self.path().join(name);
        let mut command = program::build(reference, &out);
        program::succeed(command.args(["--type", "raw", "--no-checksums", "--layout", &layout]).args(args));
        fs::read(out.join("image/disk.raw")).unwrap()
    }

    /// Builds, and mounts what was built.
    fn sysroot(&self, reference: &str, args: &[&str]) -> Sysroot {
        oracle::needs_root("looking into a sysroot");
        let layout = small_partitions(self.path());
        let out = self.path().join("disk");
        fs::create_dir(&out).unwrap();
        disk::build_into(reference, &out, &[&["--layout", &layout, "--no-checksums"][..], args].concat());
        let partition = |name: &str| out.join(format!("{name}.partition"));
        sysroot::writable(&partition("root"), &partition("boot"))
    }

    fn refuses(&self, reference: &str, args: &[&str], facts: &[&str]) {
        refuses(self.path(), reference, args, facts);
    }
}

fn refuses(scratch: &Path, reference: &str, args: &[&str], facts: &[&str]) {
    let out = scratch.join("refused");
    let ended = program::end(program::build(reference, &out).args(args));
    assert_eq!(ended.code, Some(1), "{facts:?}: {}", ended.stderr);
    for fact in facts {
        assert!(ended.stderr.contains(fact), "`{fact}` is not in\n{}", ended.stderr);
    }
    assert_eq!(ended.stderr.matches("error:").count(), 1);
    assert!(!out.exists(), "something was written");
}

/// Everything that a mode of repository may keep in its own way.
fn odd_files() -> Vec<Entry> {
    let mut entries = mini_image::base();
    entries.extend([
        directory("usr/share/odd"),
        file("usr/share/odd/large", b"more than a mebibyte ".repeat(70_000)),
        file("usr/share/odd/owned", "x").owner(1234, 5678).mode(0o640),
        file("usr/share/odd/\u{e4} b\n", "odd name"),
        symlink("usr/share/odd/link", "large"),
        // libarchive hands the last record on first, and libostree before 2025.2 hashes them as they come.
        file("usr/share/odd/xattrs", "x").xattr("user.b", &[0, 255]).xattr("user.a", b"1"),
    ]);
    entries
}

#[test]
fn every_mode_of_repository_gives_the_same_disk() {
    oracle::needs_root("a bare repository keeps owners, which");
    let place = Place::new();
    place.archive.commit(&odd_files(), &[]);
    let expected = place.disk("archive-disk", &place.archive.reference(BRANCH), &[]);
    for mode in ["bare", "bare-user"] {
        let repository = Repository::new(&place.path().join(mode), mode);
        repository.says("pull-local", &[place.archive.path.to_str().unwrap(), BRANCH]);
        let disk = place.disk(&format!("{mode}-disk"), &repository.reference(BRANCH), &[]);
        assert!(disk == expected, "{mode}");
    }
}

#[test]
fn a_bare_user_only_repository_is_read_with_roots_owners_and_no_xattrs() {
    let place = Place::new();
    let plain = |mut entry: Entry| {
        let mode = if matches!(entry.kind, Kind::Symlink(_)) { 0o777 } else { entry.mode & 0o755 | 0o444 };
        (entry.owner, entry.mode) = ((0, 0), mode);
        entry.xattrs.clear();
        entry
    };
    let entries: Vec<_> = mini_image::base().into_iter().map(plain).collect();
    let repository = Repository::new(&place.path().join("user-only"), "bare-user-only");
    repository.commit(&entries, &["--canonical-permissions"]);
    let disk = place.disk("user-only-disk", &repository.reference(BRANCH), &[]);
    place.archive.says("pull-local", &[repository.path.to_str().unwrap(), BRANCH]);
    assert!(disk == place.disk("archive-disk", &place.archive.reference(BRANCH), &[]));
}

#[test]
fn refs_of_remotes_mirrors_parents_and_commit_ids_lead_to_the_commit() {
    let place = Place::new();
    let built = |reference: &str| {
        let out = place.path().join("plan");
        let mut command = program::build(reference, &out);
        let plan = program::succeed(command.args(["--dry-run", "--format", "json"])).stdout;
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        (
            plan["deployment"]["commit"].as_str().unwrap().to_owned(),
            plan["deployment"]["target"].as_str().unwrap().to_owned(),
        )
    };
    let client = Repository::new(&place.path().join("client"), "bare-user");
    client.says("remote", &["add", "--no-gpg-verify", "vendor", "https://updates.example/repo"]);
    client.says("pull-local", &["--remote=vendor", place.archive.path.to_str().unwrap(), BRANCH]);
    let target = format!("vendor:{BRANCH}");
    assert_eq!(built(&client.reference(&target)), (place.commit.clone(), target));
    assert_eq!(built(&place.archive.reference(&place.commit)), (place.commit.clone(), BRANCH.to_owned()));

    let mirror = place.path().join("archive/refs/mirrors/org.example.Os/os");
    fs::create_dir_all(&mirror).unwrap();
    fs::write(mirror.join("mirrored"), format!("{}\n", place.commit)).unwrap();
    for rev in ["os/mirrored", "org.example.Os:os/mirrored"] {
        // The commit is bound to another ref, and says so.
        place.refuses(&place.archive.reference(rev), &[], &["os/mirrored", BRANCH, "hint: "]);
    }
    let child = Repository::new(&place.path().join("child"), "archive");
    child.says("config", &["set", "core.parent", place.archive.path.to_str().unwrap()]);
    fs::create_dir_all(child.path.join("refs/heads/os/x86_64")).unwrap();
    fs::write(child.path.join("refs/heads").join(BRANCH), format!("{}\n", place.commit)).unwrap();
    assert_eq!(built(&child.reference(BRANCH)).0, place.commit);
}

#[test]
fn ostree_finds_its_repository_its_deployment_and_its_remote_on_the_disk() {
    let place = Place::new();
    let args = ["--remote-name", "vendor", "--remote-url", "https://updates.example/repo"];
    let sysroot = place.sysroot(&place.archive.reference(BRANCH), &args);
    assert_eq!(sysroot.commit(), place.commit, "the same commit id arrives");
    let fsck = sysroot.repo("fsck", &["--all"]);
    assert!(fsck.contains("object fsck of 1 commits completed successfully"), "{fsck}");
    let refs = sysroot.repo("refs", &[]);
    let refs: std::collections::BTreeSet<_> = refs.lines().collect();
    assert_eq!(refs, ["ostree/1/1/0", &format!("vendor:{BRANCH}")].into());
    let status = sysroot.admin("status", &[]);
    assert!(status.contains(&format!("default {}.0", place.commit)), "{status}");
    assert!(status.contains(&format!("origin refspec: vendor:{BRANCH}")), "{status}");
    let differences = sysroot.admin("config-diff", &["--os=default"]);
    let mut lines: Vec<_> = differences.lines().filter(|line| line.contains("ostree")).map(str::trim).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A    ostree", "A    ostree/remotes.d", "A    ostree/remotes.d/vendor.conf"], "{differences}");
    let conf = fs::read_to_string(sysroot.deployment().join("etc/ostree/remotes.d/vendor.conf")).unwrap();
    assert_eq!(conf, "[remote \"vendor\"]\nurl=https://updates.example/repo\ngpg-verify=false\n");
    as_the_machine_sees_it(&sysroot);
    sysroot.admin("status", &[]);
    let prune = sysroot.repo("prune", &["--refs-only", "--no-prune"]);
    assert_eq!(prune.lines().last(), Some("No unreachable objects"));
    assert!(!sysroot.join(".bootc-aleph.json").exists(), "bootc has not made this one");
}

/// A machine that runs has the deployment's /etc at /etc.
fn as_the_machine_sees_it(sysroot: &Sysroot) {
    std::os::unix::fs::symlink(sysroot.deployment().join("etc"), sysroot.join("etc")).unwrap();
}

#[test]
fn ostree_admin_upgrade_takes_the_next_commit_from_the_server() {
    let place = Place::new();
    let server = qemu_tests::server::Server::of(&place.archive.path);
    let sysroot = place.sysroot(&server.reference(BRANCH), &["--no-verify"]);
    as_the_machine_sees_it(&sysroot);
    let mut entries = mini_image::base();
    entries.push(file("usr/share/second", "2"));
    let second = place.archive.commit(&entries, &["--add-metadata-string=version=2"]);
    let said = sysroot.admin("upgrade", &["--os=default"]);
    assert!(said.contains("Copying /etc changes"), "{said}");
    let status = sysroot.admin("status", &[]);
    assert!(status.contains(&format!("{second}.0")) && status.contains(&format!("{}.0", place.commit)), "{status}");
    let entry = fs::read_to_string(sysroot.boot.join("loader/entries/ostree-2-default.conf")).unwrap();
    assert!(entry.starts_with("title Mini 1 2 (ostree:0)\n"), "{entry}");
    sysroot.repo("fsck", &["--all"]);
}

#[test]
fn the_boot_entrys_title_has_the_version_as_libostree_writes_it() {
    let place = Place::new();
    for (version, title) in [("7.1", "Mini 1 7.1 (ostree:0)"), ("1", "Mini 1 (ostree:0)")] {
        let commit = place.archive.commit(&mini_image::base(), &[&format!("--add-metadata-string=version={version}")]);
        let directory = tempfile::tempdir().unwrap();
        let theirs = deployed_by_ostree(&place.archive, directory.path(), &commit);
        assert!(theirs.starts_with(&format!("title {title}\n")), "{theirs}");
        let layout = small_partitions(directory.path());
        disk::build_into(&place.archive.reference(BRANCH), directory.path(), &["--layout", &layout, "--no-checksums"]);
        let cut = |name: &str| directory.path().join(format!("{name}.partition"));
        let sysroot = sysroot::writable(&cut("root"), &cut("boot"));
        let ours = fs::read_to_string(sysroot.boot.join("loader/entries/ostree-1.conf")).unwrap();
        assert!(ours.starts_with(&format!("title {title}\n")), "{ours}");
    }
}

/// The boot entry that the host's libostree writes for the commit.
fn deployed_by_ostree(archive: &Repository, scratch: &Path, commit: &str) -> String {
    let root = scratch.join("theirs");
    fs::create_dir_all(&root).unwrap();
    let sysroot = format!("--sysroot={}", root.display());
    let admin = |args: &[&str]| oracle::agrees(&ostree(), ["admin"].iter().chain(args).chain([&sysroot.as_str()]));
    admin(&["init-fs", "--modern", root.to_str().unwrap()]);
    admin(&["os-init", "default"]);
    let repo = format!("--repo={}", root.join("ostree/repo").display());
    oracle::agrees(&ostree(), ["pull-local", &repo, archive.path.to_str().unwrap(), commit]);
    admin(&["deploy", "--os=default", "--karg=rw", commit]);
    // Or the scratch directory could not go.
    // Links have no flags, which it calls an error.
    let _ = oracle::run(
        &oracle::tool("chattr", "e2fsprogs"),
        ["-R".as_ref(), "-f".as_ref(), "-i".as_ref(), root.as_os_str()],
    );
    let entries = root.join("boot/loader/entries");
    fs::read_to_string(entries.join(&program::files_below(&entries)[0])).unwrap()
}

#[test]
fn a_remote_that_the_commit_brings_is_used_and_not_written_again() {
    let place = Place::new();
    let mut entries = mini_image::base();
    entries.extend([
        directory("etc/ostree"),
        directory("etc/ostree/remotes.d"),
        file(
            "etc/ostree/remotes.d/vendor.conf",
            "[remote \"vendor\"]\nurl=https://updates.example/repo\ngpg-verify=false\n",
        ),
    ]);
    place.archive.commit(&entries, &[]);
    let reference = place.archive.reference(BRANCH);
    place.refuses(
        &reference,
        &["--remote-name", "vendor", "--remote-url", "https://other.example/repo"],
        &["vendor", "https://updates.example/repo", "https://other.example/repo", "hint: "],
    );
    // Named by its URL alone, the commit's own remote is found.
    let sysroot = place.sysroot(&reference, &["--remote-url", "https://updates.example/repo"]);
    as_the_machine_sees_it(&sysroot);
    assert!(sysroot.admin("status", &[]).contains(&format!("origin refspec: vendor:{BRANCH}")));
    assert!(!sysroot.admin("config-diff", &["--os=default"]).contains("remotes.d"));
}

#[test]
fn what_is_wrong_with_a_repository_is_said() {
    let place = Place::new();
    place.refuses("ostree:/nonexistent#os", &[], &["/nonexistent", "no ostree repository", "config"]);
    place.refuses(&place.archive.reference("os/x86_64/mian"), &[], &["os/x86_64/mian", BRANCH, "hint: "]);
    place.refuses(&place.archive.reference(&"0".repeat(64)), &[], &["lacks the object 0000"]);
    let split = Repository::new(&place.path().join("split"), "archive");
    let config = fs::read_to_string(split.path.join("config")).unwrap();
    fs::write(split.path.join("config"), config.replace("archive-z2", "bare-split-xattrs")).unwrap();
    place.refuses(&split.reference(BRANCH), &[], &["bare-split-xattrs", "hint: "]);
    fs::write(split.path.join("config"), "no key file").unwrap();
    place.refuses(&split.reference(BRANCH), &[], &["its `config`", "line 1"]);
}

#[test]
fn what_is_wrong_with_an_object_is_said_with_its_name() {
    let place = Place::new();
    let os_release = place.archive.file("/usr/lib/os-release");
    let object = place.archive.object(&os_release, "filez");
    let good = fs::read(&object).unwrap();
    let reference = place.archive.reference(BRANCH);
    fs::remove_file(&object).unwrap();
    place.refuses(&reference, &[], &["lacks the object", &os_release, "hint: "]);
    fs::write(&object, &good[..good.len() - 3]).unwrap();
    place.refuses(&reference, &[], &[&os_release, "hint: "]);
    let another = place.archive.file(&format!("/usr/lib/modules/{KERNEL}/vmlinuz"));
    fs::copy(place.archive.object(&another, "filez"), &object).unwrap();
    place.refuses(&reference, &[], &["is not what its name says", &os_release, &another]);
    fs::write(&object, &good).unwrap();
    place.disk("mended", &reference, &[]);
    let commit = place.archive.object(&place.commit, "commit");
    let bytes = fs::read(&commit).unwrap();
    fs::write(&commit, [&bytes[..bytes.len() - 1], b"\x00"].concat()).unwrap();
    place.refuses(&reference, &[], &[&place.commit, "is not what its name says"]);
}

#[test]
fn a_bare_repository_that_this_user_may_not_read_is_named_with_the_way_out() {
    oracle::needs_root("files of others");
    let place = Place::new();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let bare = Repository::new(&place.path().join("bare"), "bare");
    bare.says("pull-local", &[place.archive.path.to_str().unwrap(), BRANCH]);
    let writable = tempfile::tempdir().unwrap();
    fs::set_permissions(writable.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let program = writable.path().join("bootwright");
    fs::copy(env!("CARGO_BIN_EXE_bootwright"), &program).unwrap();
    let arguments = ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"];
    let mut command = std::process::Command::new(oracle::tool("setpriv", "util-linux"));
    command.args(arguments).arg(&program).args(["build", &bare.reference(BRANCH), "--progress", "none", "--output"]);
    let ended = program::end(command.arg(writable.path().join("out")));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("may not be read by this user") && ended.stderr.contains("pull-local"),
        "{}",
        ended.stderr
    );
}

#[test]
fn options_that_do_not_go_with_the_source_end_with_exit_code_2() {
    let place = Place::new();
    let reference = place.archive.reference(BRANCH);
    for (source, args, fact) in [
        (reference.as_str(), &["--target-imgref", "a.example/b:c"][..], "--target-imgref"),
        (&reference, &["--remote-name", "a/b"], "--remote-name"),
        (&reference, &["--remote-url", "not a url"], "--remote-url"),
        (&reference, &["--timestamp-check", "yesterday"], "--timestamp-check"),
        (&reference, &["--collection-id", "x"], "--collection-id"),
        (&reference, &["--gpg-key", "/nonexistent"], "/nonexistent"),
        ("oci:/nonexistent", &["--gpg-key", "/nonexistent"], "--gpg-key"),
        ("ostree:/repo", &[], "ref"),
    ] {
        let ended = program::end(program::build(source, &place.path().join("out")).args(args));
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(fact), "{}", ended.stderr);
    }
}

#[test]
fn inspect_shows_the_commit_without_building() {
    let place = Place::new();
    let args =
        ["--add-metadata-string=version=7", "--add-metadata-string=ostree.endoflife=next year", "-s", "The seventh"];
    let commit = place.archive.commit(&mini_image::base(), &args);
    let mut command = program::bootwright();
    let reference = place.archive.reference(BRANCH);
    let text = program::succeed(command.args(["inspect", &reference])).stdout;
    for fact in [
        &commit,
        BRANCH,
        "The seventh",
        "2025-10-09T08:53:20Z",
        KERNEL,
        "x86_64",
        "signed shim",
        "next year",
        "Verified       NO",
    ] {
        assert!(text.contains(fact), "`{fact}` is not in\n{text}");
    }
    let mut command = program::bootwright();
    let json = program::succeed(command.args(["inspect", &reference, "--format", "json"])).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["commit"]["version"].as_str(), json["system"]["kernel"].as_str()), (Some("7"), Some(KERNEL)));
    place.disk("seventh", &reference, &[]);
    let mut command = program::bootwright();
    let disk = program::succeed(command.arg("inspect").arg(place.path().join("seventh/image/disk.raw"))).stdout;
    for fact in [&commit, "next year", "refspec"] {
        assert!(disk.contains(fact), "`{fact}` is not in\n{disk}");
    }
}
