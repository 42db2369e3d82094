//! The shadow utilities as judges: `pwck` and `grpck` find nothing, and `useradd` and `groupadd` decide the same.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::customize::machine::Machine;
use qemu_tests::oracle;
use tempfile::TempDir;

fn exported(machine: &Machine) -> TempDir {
    oracle::needs_root("changing owners and the shadow utilities' --prefix");
    let root = tempfile::tempdir().unwrap();
    machine.export(root.path());
    root
}

fn pwck_and_grpck_agree(root: &Path) {
    let root = root.to_str().unwrap();
    oracle::agrees(&oracle::tool("pwck", "passwd"), ["-r", "-R", root]);
    oracle::agrees(&oracle::tool("grpck", "passwd"), ["-r", "-R", root]);
}

#[test]
fn pwck_and_grpck_find_nothing_wrong() {
    let mut machine = Machine::debian();
    machine.file("var/roothome/.keep", 0o600, "");
    machine.apply(
        "user=[{name='alice',password='x',groups=['sudo','g'],uid=4000},{name='bob',gid=50,key='k'},{name='root',password='y'}]\n\
         group=[{name='g'},{name='h',gid=1000}]",
    ).unwrap();
    pwck_and_grpck_agree(exported(&machine).path());
}

#[test]
fn pwck_and_grpck_find_nothing_wrong_where_accounts_were_only_in_usr_lib() {
    let mut machine = Machine::new();
    machine.file(
        "image/usr/lib/passwd",
        0o644,
        "core:x:1000:1000::/home/core:/bin/sh\nsync:x:5:0::/usr/sbin:/bin/sh\n",
    );
    machine.file("image/usr/lib/group", 0o644, "root:x:0:\nwheel:x:10:\ncore:x:1000:\n");
    machine.file("image/etc/group", 0o644, "root:x:0:\ncore:x:1000:\n");
    machine.file("image/etc/gshadow", 0, "root:::\ncore:!::\n");
    machine.apply("user=[{name='core',password='x',groups=['wheel'],key='k'},{name='bob',groups=['wheel']}]").unwrap();
    pwck_and_grpck_agree(exported(&machine).path());
}

/// Start files, what is asked of us, and the same as commands.
struct Case {
    files: &'static [(&'static str, &'static str)],
    customizations: &'static str,
    commands: &'static [&'static [&'static str]],
    skel: &'static str,
}

const CASES: &[Case] = &[
    Case {
        files: &[],
        customizations: "user=[{name='a'},{name='b',groups=['sudo','daemon']}]",
        commands: &[&["useradd", "-m", "a"], &["useradd", "-m", "-G", "sudo,daemon", "b"]],
        skel: "etc/skel",
    },
    Case {
        files: &[
            ("passwd", "x:x:1000:1000::/home/x:/bin/sh\ny:x:1005:1005::/home/y:/bin/sh\n"),
            ("group", "x:x:1000:\nq:x:1006:\n"),
        ],
        customizations: "group=[{name='g'}]\nuser=[{name='a'},{name='b'}]",
        commands: &[&["groupadd", "g"], &["useradd", "-m", "a"], &["useradd", "-m", "b"]],
        skel: "etc/skel",
    },
    Case {
        files: &[],
        customizations: "group=[{name='g',gid=1000},{name='h'}]\nuser=[{name='a',uid=1500,description='A, B',shell='/bin/sh'},{name='b',gid=27},{name='c',uid=500}]",
        commands: &[
            &["groupadd", "-g", "1000", "g"],
            &["groupadd", "h"],
            &["useradd", "-m", "-u", "1500", "-c", "A, B", "-s", "/bin/sh", "a"],
            &["useradd", "-m", "-g", "27", "b"],
            &["useradd", "-m", "-u", "500", "c"],
        ],
        skel: "etc/skel",
    },
    Case {
        files: &[
            ("subuid", "x:100000:65536\ny:300000:65536\n"),
            ("subgid", "y:165536:1\n"),
            ("passwd", "x:x:60000:100::/:/bin/sh\n"),
        ],
        customizations: "user=[{name='a'},{name='b'},{name='c'}]",
        commands: &[&["useradd", "-m", "a"], &["useradd", "-m", "b"], &["useradd", "-m", "c"]],
        skel: "etc/skel",
    },
    Case {
        files: &[
            (
                "login.defs",
                "UID_MIN 2000\nUID_MAX 2001\nGID_MIN 3000\nHOME_MODE 0750\nPASS_MAX_DAYS 90\nSUB_UID_MIN 500000\nSUB_UID_COUNT 1000\nUSERGROUPS_ENAB yes\n",
            ),
            ("passwd", "x:x:2001:100::/:/bin/sh\n"),
            ("default/useradd", "SHELL=/bin/sh\nHOME=/var/people\nSKEL=/etc/skel2\n"),
            ("skel2/file", "text"),
        ],
        customizations: "user=[{name='a'}]",
        commands: &[&["useradd", "-m", "a"]],
        skel: "etc/skel2",
    },
];

impl Case {
    fn machine(&self) -> Machine {
        let mut machine = Machine::debian();
        machine.file("var/home/.keep", 0o644, "");
        machine.file("var/people/.keep", 0o644, "");
        for (name, text) in self.files {
            let accounts = matches!(*name, "passwd" | "group");
            let before = if accounts { machine.etc(name) } else { String::new() };
            machine.file(&format!("image/etc/{name}"), 0o644, &(before + text));
        }
        machine
    }

    fn run_commands(&self, root: &Path) {
        for command in self.commands {
            let tool = oracle::tool(command[0], "passwd");
            let (root_path, skel) = (root.to_str().unwrap(), root.join(self.skel));
            // Of all that useradd reads, only skel comes from the host in spite of --prefix.
            let skel = ["-k", skel.to_str().unwrap()];
            let skel = if command[0] == "useradd" { &skel[..] } else { &[] };
            oracle::agrees(&tool, ["--prefix", root_path].iter().chain(skel).chain(&command[1..]));
        }
    }
}

/// Lines in byte order; in shadow without the day of the last change, which is the one thing decided differently.
fn lines(root: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(root.join("etc").join(name)).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in lines.iter_mut().filter(|_| name == "shadow") {
        let mut fields: Vec<&str> = line.split(':').collect();
        fields[2] = "";
        *line = fields.join(":");
    }
    lines.sort();
    lines
}

/// Path, mode and owner of everything below /var.
fn homes(root: &Path) -> Vec<(String, u32, u32, u32)> {
    let mut found = Vec::new();
    let mut left = vec![root.join("var")];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let data = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.push((name, data.mode(), data.uid(), data.gid()));
            if data.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn useradd_and_groupadd_decide_the_same_numbers_groups_and_homes() {
    for case in CASES {
        let mut machine = case.machine();
        let theirs = exported(&machine);
        case.run_commands(theirs.path());
        machine.apply(case.customizations).unwrap();
        let ours = exported(&machine);
        for name in ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"] {
            assert_eq!(lines(ours.path(), name), lines(theirs.path(), name), "{name} after {}", case.customizations);
        }
        assert_eq!(homes(ours.path()), homes(theirs.path()), "{}", case.customizations);
    }
}
