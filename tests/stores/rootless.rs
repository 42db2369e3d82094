//! Stores of ordinary users, and what these may not read.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Layer, Layout, one_file};
use crate::support::program;
use crate::support::store::{Place, copy, only_file};
use crate::support::tar::{directory, file, stream};
use qemu_tests::oracle;

const NOBODY: u32 = 65534;

/// The whole tree becomes somebody's.
fn give(path: &Path, owner: u32) {
    oracle::agrees(&oracle::tool("chown", "coreutils"), ["-hR".as_ref(), owner.to_string().as_ref(), path.as_os_str()]);
}

/// A home of nobody, with the program and an image in it.
struct Home {
    place: Place,
    program: PathBuf,
}

impl Home {
    fn new(layout: &Layout) -> Home {
        oracle::needs_root("becoming nobody");
        let place = Place::new();
        fs::set_permissions(place.directory.path(), Permissions::from_mode(0o755)).unwrap();
        let program = place.path("bootwright");
        fs::copy(env!("CARGO_BIN_EXE_bootwright"), &program).unwrap();
        copy(&format!("oci:{}", layout.path().display()), &place.at("oci", "oci"));
        give(place.directory.path(), NOBODY);
        Home { place, program }
    }

    /// Runs as nobody, at home.
    fn run(&self, program: &Path, args: &[&str]) -> program::Ended {
        let mut command = Command::new(oracle::tool("setpriv", "util-linux"));
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program).args(args);
        for name in [
            "XDG_RUNTIME_DIR",
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
            "CONTAINERS_STORAGE_CONF",
            "STORAGE_DRIVER",
            "STORAGE_OPTS",
        ] {
            command.env_remove(name);
        }
        program::end(command.env("HOME", self.place.directory.path()).current_dir(self.place.directory.path()))
    }

    /// Reads the whole image, and only then finds that it is no system.
    fn builds(&self, image: &str) {
        let output = self.place.path("out").display().to_string();
        let ended = self.run(&self.program, &["build", image, "--output", &output, "--no-cache", "--progress", "none"]);
        assert!(ended.stderr.contains("the image's tree has no `sysroot`"), "{}", ended.stderr);
    }

    fn refuses(&self, image: &str) -> String {
        let output = self.place.path("out").display().to_string();
        let ended = self.run(&self.program, &["build", image, "--output", &output, "--no-cache", "--progress", "none"]);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        ended.stderr
    }
}

#[test]
fn the_store_of_a_user_is_where_skopeo_puts_it() {
    let home = Home::new(&Layout::of(&[Layer::gzip(&one_file("x"))]));
    let skopeo = oracle::tool("skopeo", "skopeo");
    for (configured, store) in
        [("", ".local/share/containers/storage"), ("graphroot = \"$HOME/elsewhere\"\n", "elsewhere")]
    {
        let conf = home.place.path(".config/containers/storage.conf");
        fs::create_dir_all(conf.parent().unwrap()).unwrap();
        fs::write(conf, format!("[storage]\ndriver = \"overlay\"\nrunroot = \"$HOME/run\"\n{configured}")).unwrap();
        give(&home.place.path(".config"), NOBODY);
        let copied = home.run(&skopeo, &["copy", "--insecure-policy", "oci:oci", "containers-storage:localhost/os:1"]);
        assert_eq!(copied.code, Some(0), "{}", copied.stderr);
        assert!(home.place.path(store).join("overlay-images/images.json").is_file());
        home.builds("containers-storage:localhost/os:1");
        home.builds("containers-storage:os:1");
        fs::set_permissions(only_file(&home.place.path(store), "diff/usr/file"), Permissions::from_mode(0o000))
            .unwrap();
        let refused = home.refuses("containers-storage:os:1");
        assert!(
            refused.contains("podman unshare skopeo copy containers-storage:localhost/os:1 oci:DIR:TAG"),
            "{refused}"
        );
    }
}

/// In a user's store lie files of all his subordinate ids, and such with mode 0000.
#[test]
fn a_file_that_the_user_may_not_read_is_named_with_the_export() {
    let layer =
        stream(&[directory("usr"), file("usr/shadow", "secret").mode(0), file("usr/private", "of 1000").mode(0o600)]);
    let home = Home::new(&Layout::of(&[Layer::gzip(&layer)]));
    let store = home.place.store("root");
    copy(&home.place.at("oci", "oci"), &store.image("localhost/os:1"));
    give(&store.root, NOBODY);
    let image = store.image("localhost/os:1");
    let refused = home.refuses(&image);
    let path = store.file("diff/usr/shadow");
    assert!(refused.contains(&format!("cannot read {}: Permission denied", path.display())), "{refused}");
    let hint =
        format!("hint: export the image and build from the copy: podman unshare skopeo copy '{image}' oci:DIR:TAG");
    assert!(refused.contains(&hint), "{refused}");
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    let path = store.file("diff/usr/private");
    chown(&path, Some(101_000), None).unwrap();
    assert!(home.refuses(&image).contains(&format!("cannot read {}: Permission denied", path.display())));
    chown(&path, Some(NOBODY), None).unwrap();
    home.builds(&image);
}

#[test]
fn a_store_of_root_is_exported_by_root() {
    let home = Home::new(&Layout::of(&[Layer::gzip(&one_file("x"))]));
    let image = home.place.store("root").image("localhost/os:1");
    copy(&home.place.at("oci", "oci"), &image);
    let refused = home.refuses(&image);
    assert!(refused.contains("root/overlay-images/images.json: Permission denied"), "{refused}");
    assert!(refused.contains(&format!("sudo skopeo copy '{image}' oci:DIR:TAG")), "{refused}");
}
