//! What `bootwright::customize` leaves in a deployment, judged by the shadow utilities, openssl and systemd.

pub mod machine;

use bootwright::tree::{Kind, Stat};
use machine::Machine;
use qemu_tests::oracle;

#[test]
fn a_new_user_has_its_lines_home_skel_and_keys() {
    let mut machine = Machine::debian();
    let warnings = machine
        .apply("user=[{name='alice',description='Alice',groups=['sudo'],key=\"one\\ntwo\",shell='/bin/zsh'}]")
        .unwrap();
    assert_eq!(warnings, ["the shell /bin/zsh of `alice` is not in the image"]);
    assert!(machine.etc("passwd").ends_with("alice:x:1000:1000:Alice:/home/alice:/bin/zsh\n"));
    assert!(machine.etc("shadow").ends_with("alice:!::0:99999:7:::\n"));
    assert!(machine.etc("group").ends_with("sudo:x:27:alice\nalice:x:1000:\n"), "{}", machine.etc("group"));
    assert!(machine.etc("gshadow").ends_with("sudo:*::alice\nalice:!::\n"));
    for (path, permissions, owner) in [
        ("var/home", 0o755, 0),
        ("var/home/alice", 0o700, 1000),
        ("var/home/alice/.bashrc", 0o644, 1000),
        ("var/home/alice/.config", 0o755, 1000),
        ("var/home/alice/.config/empty", 0o600, 1000),
        ("var/home/alice/.ssh", 0o700, 1000),
        ("var/home/alice/.ssh/authorized_keys", 0o600, 1000),
    ] {
        let Stat { permissions: found, uid, gid, modified, .. } = machine.stat(path);
        assert_eq!((found, uid, gid, modified), (permissions, owner, owner, machine::TIME), "{path}");
    }
    assert_eq!(machine.text("var/home/alice/.ssh/authorized_keys"), "one\ntwo\n");
    assert_eq!(machine.stat("image/etc/skel/.bashrc").uid, 0);
    assert_eq!(machine.text("image/usr/etc/passwd"), machine::PASSWD);
}

#[test]
fn edited_files_keep_owner_and_mode_and_missing_ones_get_the_distributions() {
    let mut machine = Machine::debian();
    machine.apply("user=[{name='alice'}]").unwrap();
    let stat = |machine: &Machine, path: &str| (machine.stat(path).permissions, machine.stat(path).gid);
    assert_eq!(stat(&machine, "image/etc/shadow"), (0o640, 42));
    assert_eq!(stat(&machine, "image/etc/passwd"), (0o644, 0));

    for (groups, expected) in [("root:x:0:\nshadow:x:15:\n", (0o640, 15)), ("root:x:0:\n", (0, 0))] {
        let mut machine = Machine::new();
        machine.file("image/etc/group", 0o644, groups);
        machine.apply("user=[{name='alice',password='x'}]").unwrap();
        assert_eq!(stat(&machine, "image/etc/shadow"), expected);
        assert!(!machine.exists("image/etc/gshadow") && !machine.exists("image/etc/subuid"));
    }
}

#[test]
fn a_user_of_the_image_is_changed_only_as_asked() {
    let mut machine = Machine::debian();
    machine.file(
        "image/etc/passwd",
        0o644,
        &format!("{}debian:x:1000:1000:Debian:/home/debian:/bin/bash\n", machine::PASSWD),
    );
    machine.file("image/etc/shadow", 0o640, "root:*:19000:0:99999:7:::\ndebian:!:19000:0:99999:7:::\n");
    machine
        .apply("user=[{name='debian',password='$1$a$abcdefghijklmnopqrstuv',key='one',shell='/bin/sh',uid=1000}]")
        .unwrap();
    assert!(machine.etc("passwd").ends_with("debian:x:1000:1000:Debian:/home/debian:/bin/sh\n"));
    assert_eq!(machine.etc("shadow"), "root:*:19000:0:99999:7:::\ndebian:$1$a$abcdefghijklmnopqrstuv::0:99999:7:::\n");
    assert_eq!(machine.text("var/home/debian/.ssh/authorized_keys"), "one\n");
    assert_eq!(machine.etc("subuid"), "");
}

#[test]
fn what_only_usr_lib_has_is_counted_and_copied_to_etc_when_it_is_changed() {
    let mut machine = Machine::new();
    machine.file(
        "image/usr/lib/passwd",
        0o644,
        "root:x:0:0:Super User:/root:/bin/bash\nbin:x:1:1::/:/bin/sh\ncore:x:1000:1000::/:/bin/sh\n",
    );
    machine.file("image/usr/lib/group", 0o644, "root:x:0:\nwheel:x:10:\ncore:x:1000:\nkvm:x:36:\n");
    machine.file("image/etc/gshadow", 0, "");
    machine.apply("user=[{name='alice',groups=['wheel']},{name='root',password='x'}]").unwrap();
    assert_eq!(
        machine.etc("passwd"),
        "alice:x:1001:1001::/home/alice:/bin/bash\nroot:x:0:0:Super User:/root:/bin/bash\n"
    );
    assert_eq!(machine.etc("group"), "alice:x:1001:\nwheel:x:10:alice\n");
    assert_eq!(machine.etc("gshadow"), "alice:!::\nwheel:!::alice\n");
}

#[test]
fn roots_key_is_a_line_that_systemd_tmpfiles_turns_into_the_file() {
    oracle::needs_root("systemd-tmpfiles --root");
    let mut machine = Machine::debian();
    machine.apply("sshkey=[{user='root',key='ssh-ed25519 AAAA root@example.org'}]").unwrap();
    let line = machine.etc("tmpfiles.d/bootc-root-ssh.conf");
    assert_eq!(
        line,
        "f~ /var/roothome/.ssh/authorized_keys 600 root root - c3NoLWVkMjU1MTkgQUFBQSByb290QGV4YW1wbGUub3JnCg==\n"
    );
    assert_eq!(machine.etc("passwd"), machine::PASSWD);
    assert!(!machine.exists("var/roothome"));

    let root = tempfile::tempdir().unwrap();
    machine.export(root.path());
    let tmpfiles = oracle::tool("systemd-tmpfiles", "systemd");
    let root_option = format!("--root={}", root.path().display());
    oracle::agrees(&tmpfiles, ["--create", &root_option, "bootc-root-ssh.conf"]);
    let made = std::fs::read_to_string(root.path().join("var/roothome/.ssh/authorized_keys")).unwrap();
    assert_eq!(made, "ssh-ed25519 AAAA root@example.org\n");
}

#[test]
fn homes_follow_the_images_links_and_never_leave_var() {
    for (home, place) in [
        ("/var/lib/service/", Some("var/lib/service")),
        ("/srv/a/b", Some("var/srv/a/b")),
        ("/usr/local/alice", Some("var/usrlocal/alice")),
        ("/usr/share/alice", None),
        ("/var", None),
        ("/run/alice", None),
        ("/var/run/alice", None),
        ("/nonexistent", None),
    ] {
        let mut machine = Machine::debian();
        let applied = machine.apply(&format!("user=[{{name='alice',home='{home}'}}]"));
        match place {
            Some(place) => assert_eq!(
                (applied.is_ok(), machine.stat(place).uid, machine.stat("var").uid),
                (true, 1000, 0),
                "{home}"
            ),
            None => {
                assert!(applied.unwrap_err().contains("only directories below /var can be written there"), "{home}")
            }
        }
    }
}

#[test]
fn a_home_that_is_there_stays_and_keys_are_appended() {
    let mut machine = Machine::debian();
    machine.file("var/home/alice/.ssh/authorized_keys", 0o644, "old");
    machine.apply("user=[{name='alice',key='new'}]").unwrap();
    assert_eq!(machine.text("var/home/alice/.ssh/authorized_keys"), "old\nnew\n");
    assert_eq!((machine.stat("var/home/alice").uid, machine.exists("var/home/alice/.bashrc")), (0, false));
}

#[test]
fn what_the_image_contradicts_is_an_error_that_names_it() {
    for (customizations, expected) in [
        (
            "user=[{name='a',groups=['nogroup']}]",
            "the user `a` shall be in the group `nogroup`, which neither the image nor the configuration has",
        ),
        ("user=[{name='a',uid=1}]", "the uid 1 asked for `a` belongs to `daemon` already"),
        ("user=[{name='daemon',uid=7}]", "`daemon` has the uid 1 in the image, and 7 was asked for"),
        ("user=[{name='daemon',gid=7}]", "`daemon` has the gid 1 in the image, and 7 was asked for"),
        ("user=[{name='sudo',gid=7}]", "`sudo` has the gid 27 in the image, and 7 was asked for"),
        ("group=[{name='sudo',gid=7}]", "`sudo` has the gid 27 in the image, and 7 was asked for"),
        ("group=[{name='g',gid=27}]", "the gid 27 asked for `g` belongs to `sudo` already"),
        (
            "sshkey=[{user='nobody',key='k'}]",
            "the key is for the user `nobody`, which neither the image nor the configuration has",
        ),
        (
            "user=[{name='daemon',key='k'}]",
            "the home /usr/sbin of `daemon` is /usr/sbin on the machine, and only directories below /var can be written there",
        ),
    ] {
        assert_eq!(Machine::debian().apply(customizations).unwrap_err(), expected, "{customizations}");
    }
    let mut machine = Machine::debian();
    machine.link("image/etc/passwd", "../usr/lib/passwd");
    assert_eq!(
        machine.apply("user=[{name='a'}]").unwrap_err(),
        "the image's /etc/passwd is no regular file, so it cannot be edited"
    );
    let mut machine = Machine::debian();
    machine.link("image/home", "/home");
    assert_eq!(
        machine.apply("user=[{name='a'}]").unwrap_err(),
        "the path /home/a goes through more than 40 symbolic links"
    );
    let mut machine = Machine::debian();
    machine.file("image/etc/login.defs", 0o644, "UID_MIN 1000\nUID_MAX 1000\n");
    assert_eq!(machine.apply("user=[{name='a'},{name='b'}]").unwrap_err(), "no uid from 1000 to 1000 is free for `b`");
}

#[test]
fn numbers_that_the_configuration_gives_away_are_kept_for_their_owners() {
    let mut machine = Machine::debian();
    machine.apply("user=[{name='a'},{name='b',uid=1000,gid=1001}]\ngroup=[{name='g'},{name='h',gid=1000}]").unwrap();
    let passwd = machine.etc("passwd");
    assert!(passwd.ends_with("a:x:1001:1003::/home/a:/bin/bash\nb:x:1000:1001::/home/b:/bin/bash\n"), "{passwd}");
    assert!(machine.etc("group").ends_with("g:x:1002:\nh:x:1000:\na:x:1003:\nb:x:1001:\n"), "{}", machine.etc("group"));
}

#[test]
fn an_image_group_of_a_new_users_name_is_its_primary_group_with_a_warning() {
    let warnings = Machine::debian().apply("user=[{name='sudo'}]").unwrap();
    assert_eq!(warnings, ["the image's group `sudo` becomes the primary group of the new user `sudo`"]);
    assert!(Machine::debian().apply("user=[{name='g'}]\ngroup=[{name='g'}]").unwrap().is_empty());
}

#[test]
fn the_host_name_replaces_the_images_also_where_that_is_a_link() {
    let mut machine = Machine::debian();
    machine.link("image/etc/hostname", "../run/hostname");
    machine.apply("hostname='machine.example.org'").unwrap();
    assert_eq!(machine.etc("hostname"), "machine.example.org\n");
    assert!(matches!(machine.tree.inode(machine.find("image/etc/hostname")).kind, Kind::Regular(_)));
    assert_eq!(machine.etc("passwd"), machine::PASSWD);
}

#[test]
fn openssl_crypts_a_plain_password_to_the_same_hash() {
    let openssl = oracle::tool("openssl", "openssl");
    for password in ["x", "correct horse battery staple", "pässwörd", &"long".repeat(60)] {
        let mut machine = Machine::debian();
        machine.apply(&format!("user=[{{name='alice',password='{password}'}}]")).unwrap();
        let shadow = machine.etc("shadow");
        let line = shadow.lines().last().unwrap();
        let hash = line.split(':').nth(1).unwrap();
        let salt = hash.split('$').nth(2).unwrap();
        assert_eq!(salt.len(), 16, "{line}");
        assert!(salt.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte)), "{line}");
        assert_eq!(oracle::agrees(&openssl, ["passwd", "-6", "-salt", salt, password]).trim_end(), hash);
        assert!(line.ends_with("::0:99999:7:::"), "{line}");
    }
}

#[test]
fn two_builds_are_equal_and_two_users_have_different_salts() {
    let build = || {
        let mut machine = Machine::debian();
        machine.apply("user=[{name='a',password='same'},{name='b',password='same'}]").unwrap();
        machine.etc("shadow")
    };
    let shadow = build();
    let hashes: Vec<_> = shadow.lines().rev().take(2).map(|line| line.split(':').nth(1).unwrap()).collect();
    assert_eq!(build(), shadow);
    assert_ne!(hashes[0], hashes[1]);
}
