//! A small deployment made by hand, with /home, /root and /srv linked into /var as ostree systems have them.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use bootwright::config::Config;
use bootwright::customize::{self, Place};
use bootwright::seed::Seed;
use bootwright::spool::Spool;
use bootwright::tree::{Data, Files, InodeId, Kind, Stat, Tree};

pub const TIME: i64 = 1_700_000_000;

pub const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/bin/sh\n";
pub const GROUP: &str = "root:x:0:\ndaemon:x:1:\nshadow:x:42:\nsudo:x:27:\n";

/// The image is at `image/`, the stateroot's var at `var/`.
pub struct Machine {
    pub tree: Tree,
    spool: Spool,
}

impl Machine {
    /// Nothing but links and shells.
    pub fn new() -> Machine {
        let spool = Spool::new_in(&std::env::temp_dir()).unwrap();
        let mut machine = Machine { tree: Tree::new(Stat::root(0o755, 0)), spool };
        for name in ["image/etc", "image/usr/etc", "image/usr/lib", "image/usr/sbin", "image/var", "var"] {
            machine.tree.ensure_directories(Tree::ROOT, name, &Stat::root(0o755, 0));
        }
        for (path, target) in [
            ("image/home", "var/home"),
            ("image/root", "var/roothome"),
            ("image/srv", "/var/srv"),
            ("image/usr/local", "../var/usrlocal"),
            ("image/bin", "usr/bin"),
            ("var/run", "../run"),
        ] {
            machine.link(path, target);
        }
        machine.file("image/usr/bin/bash", 0o755, "bash");
        machine.file("image/usr/bin/sh", 0o755, "sh");
        machine
    }

    /// With the account files of a Debian image.
    pub fn debian() -> Machine {
        let mut machine = Machine::new();
        machine.file("image/usr/etc/passwd", 0o644, PASSWD);
        machine.file("image/etc/passwd", 0o644, PASSWD);
        machine.file("image/etc/group", 0o644, GROUP);
        machine.file("image/etc/shadow", 0o640, "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n");
        machine.file("image/etc/gshadow", 0o640, "root:*::\ndaemon:*::\nshadow:*::\nsudo:*::\n");
        machine.file("image/etc/subuid", 0o644, "");
        machine.file("image/etc/subgid", 0o644, "");
        for name in ["shadow", "gshadow"] {
            let inode = machine.find(&format!("image/etc/{name}"));
            machine.tree.inode_mut(inode).stat.gid = 42;
        }
        machine.file(
            "image/etc/login.defs",
            0o644,
            "PASS_MAX_DAYS\t99999\nPASS_MIN_DAYS\t0\nPASS_WARN_AGE\t7\nHOME_MODE 0700\nUSERGROUPS_ENAB yes\n",
        );
        machine.file("image/etc/skel/.bashrc", 0o644, "# bashrc\n");
        machine.file("image/etc/skel/.config/empty", 0o600, "");
        machine
    }

    pub fn file(&mut self, path: &str, permissions: u16, text: &str) {
        let (directory, name) = path.rsplit_once('/').unwrap();
        let directory = self.tree.ensure_directories(Tree::ROOT, directory, &Stat::root(0o755, 0));
        self.tree.add_file(directory, name, Stat::root(permissions, 0), text);
    }

    pub fn link(&mut self, path: &str, target: &str) {
        let (directory, name) = path.rsplit_once('/').unwrap();
        let directory = self.find(directory);
        self.tree.add_symlink(directory, name, Stat::root(0o777, 0), target);
    }

    /// Applies what stands below `[customizations]`.
    pub fn apply(&mut self, customizations: &str) -> Result<Vec<String>, String> {
        let config = Config::parse_toml(&format!("[customizations]\n{customizations}\n")).unwrap();
        let place = Place { deployment: self.find("image"), etc: self.find("image/etc"), var: self.find("var") };
        let seed = Seed::of(&[]);
        let applied = customize::apply(&mut self.tree, &place, &self.spool, &config.customizations, &seed, TIME);
        applied.map_err(|error| error.to_string())
    }

    pub fn exists(&self, path: &str) -> bool {
        self.tree.resolve(Tree::ROOT, path).unwrap().is_some()
    }

    pub fn find(&self, path: &str) -> InodeId {
        self.tree.resolve(Tree::ROOT, path).unwrap().unwrap_or_else(|| panic!("{path} is not there"))
    }

    pub fn stat(&self, path: &str) -> Stat {
        self.tree.inode(self.find(path)).stat.clone()
    }

    pub fn text(&self, path: &str) -> String {
        let files = Files { tree: &self.tree, root: Tree::ROOT, spool: &self.spool };
        files.read_text(path, 1 << 20).unwrap().unwrap_or_else(|| panic!("{path} is no file"))
    }

    pub fn etc(&self, name: &str) -> String {
        self.text(&format!("image/etc/{name}"))
    }

    /// Writes the machine below `root` as it will see itself, with owners and modes.
    pub fn export(&self, root: &Path) {
        self.export_directory(self.find("image"), root);
        self.export_directory(self.find("var"), &root.join("var"));
    }

    fn export_directory(&self, directory: InodeId, to: &Path) {
        for (name, inode) in self.tree.entries(directory) {
            let path = to.join(std::str::from_utf8(name).unwrap());
            let stat = &self.tree.inode(inode).stat;
            match &self.tree.inode(inode).kind {
                Kind::Symlink(target) => symlink(std::str::from_utf8(target).unwrap(), &path).unwrap(),
                Kind::Regular(Data::Bytes(bytes)) => std::fs::write(&path, bytes).unwrap(),
                Kind::Regular(Data::Spooled(_)) => panic!("nothing here is spooled"),
                Kind::Directory(_) => {
                    std::fs::create_dir_all(&path).unwrap();
                    self.export_directory(inode, &path);
                }
            }
            if !path.is_symlink() {
                chown(&path, Some(stat.uid), Some(stat.gid)).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(stat.permissions.into())).unwrap();
            }
        }
    }
}
