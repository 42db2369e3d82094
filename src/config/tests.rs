use super::*;

fn error(toml: &str) -> String {
    Config::parse_toml(toml).unwrap_err().to_string()
}

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(Config::parse_toml("").unwrap(), Config::default());
    assert_eq!(Config::parse_json("{}").unwrap(), Config::default());
    assert_eq!(
        Config::parse_json(r#"{"name": "x", "customizations": {"user": null, "hostname": null}}"#).unwrap(),
        Config::default()
    );
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    for (toml, expected) in [
        (
            "[[customizations.user]]\nname = \"a\"\npasswrd = \"b\"",
            "customizations.user[0].passwrd (line 3, column 1): unknown key `passwrd`; did you mean `password`?",
        ),
        (
            "[[customizations.users]]",
            "customizations.users (line 1, column 18): unknown key `users`; did you mean `user`?",
        ),
        ("[[user]]", "user (line 1, column 3): unknown key `user`; did you mean `customizations.user`?"),
        (
            "[customizations]\nappend = 1",
            "customizations.append (line 2, column 1): unknown key `append`; did you mean `customizations.kernel.append`?",
        ),
        ("frobnicate = 1", "frobnicate (line 1, column 1): unknown key `frobnicate`"),
    ] {
        assert_eq!(error(toml), expected);
    }
}

#[test]
fn keys_known_to_bootc_image_builder_get_their_own_sentence() {
    for (toml, place) in [
        ("[customizations.disk]", "customizations.disk"),
        ("[[customizations.user]]\nname = \"a\"\nexpiredate = 3", "customizations.user[0].expiredate"),
        ("[[packages]]\nname = \"vim\"", "packages"),
        ("[customizations]\ninstallation_device = \"/dev/sda\"", "customizations.installation_device"),
    ] {
        let error = error(toml);
        assert!(
            error.starts_with(place) && error.ends_with("is known to bootc-image-builder, but not supported here yet"),
            "{error}"
        );
    }
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    for (toml, expected) in [
        ("customizations = 1", "customizations (line 1, column 1): expected a table, found a whole number"),
        (
            "[customizations.user]\nname = \"a\"",
            "customizations.user (line 1, column 17): expected a list of tables, each headed `[[customizations.user]]` in TOML, found a table",
        ),
        (
            "[[customizations.user]]\nname = 7",
            "customizations.user[0].name (line 2, column 1): expected a text, found a whole number",
        ),
        (
            "[[customizations.user]]\nname = \"a\"\nuid = -1",
            "customizations.user[0].uid (line 3, column 1): expected a whole number from 0 to 4294967295, found a negative number",
        ),
        (
            "[[customizations.user]]\nname = \"a\"\nuid = 4294967296",
            "customizations.user[0].uid (line 3, column 1): expected a whole number from 0 to 4294967295, found a larger number",
        ),
        (
            "[[customizations.user]]\nname = \"a\"\ngroups = [\"b\", 3]",
            "customizations.user[0].groups[1] (line 3, column 16): expected a text, found a whole number",
        ),
        ("[[customizations.user]]\nuid = 5", "customizations.user[0] (line 1, column 1): the key `name` is missing"),
        (
            "[[customizations.filesystem]]\nmountpoint = \"/\"\nminsize = 1.5",
            "customizations.filesystem[0].minsize (line 3, column 1): expected a size: a number of bytes or a text such as \"10 GiB\", found a number with a fraction",
        ),
        (
            "[[customizations.filesystem]]\nmountpoint = \"/\"\nminsize = \"10 gigs\"",
            "customizations.filesystem[0].minsize (line 3, column 1): `10 gigs` is not a size; write a number of bytes or one with a unit, such as \"10 GiB\"",
        ),
    ] {
        assert_eq!(error(toml), expected);
    }
}

#[test]
fn values_that_would_break_a_file_of_the_machine_are_refused() {
    for (customizations, expected) in [
        ("user=[{name='Alice'}]", "user[0].name: `Alice` is no name"),
        ("user=[{name='a:b'}]", "user[0].name: `a:b` is no name"),
        ("user=[{name='a'},{name='a'}]", "user[1].name: the user `a` is there twice"),
        ("user=[{name='a',uid=5},{name='b',uid=5}]", "user[1].uid: the uid `5` is there twice"),
        ("user=[{name='a',uid=65535}]", "user[0].uid: 65535 is no number"),
        ("user=[{name='a',description='b:c'}]", "user[0].description: a colon"),
        ("user=[{name='a',description=\"b\\nc\"}]", "user[0].description: contains the control character U+000A"),
        ("user=[{name='a',home='home'}]", "user[0].home: `home` is no absolute path"),
        ("user=[{name='a',home='/home/../etc'}]", "user[0].home: `/home/../etc` is no absolute path"),
        ("user=[{name='a',home='/'}]", "user[0].home: `/` is no absolute path"),
        ("user=[{name='a',shell='bash'}]", "user[0].shell: `bash` is no absolute path"),
        ("user=[{name='a',key=\"b\\u0000\"}]", "user[0].key: contains the control character U+0000"),
        ("user=[{name='a',password='$6$salt'}]", "user[0].password: begins like a crypted password"),
        ("user=[{name='a',groups=['b','']}]", "user[0].groups[1]: `` is no name"),
        ("group=[{name='a',gid=5},{name='b',gid=5}]", "group[1].gid: the gid `5` is there twice"),
        ("sshkey=[{user='A',key='b'}]", "sshkey[0].user: `A` is no name"),
        ("hostname='a_b'", "hostname: `a_b` is no host name"),
        ("hostname=''", "hostname: `` is no host name"),
        ("hostname='-a'", "hostname: `-a` is no host name"),
        ("kernel.append=\"a\\nb\"", "kernel.append: contains the control character U+000A"),
        (
            "filesystem=[{mountpoint='/var',minsize=1}]",
            "filesystem[0].mountpoint: `/var` cannot be a filesystem of its own here; only `/` and `/boot` can have a size",
        ),
        ("filesystem=[{mountpoint='/',minsize=0}]", "filesystem[0].minsize: the least size is missing or zero"),
        ("filesystem=[{mountpoint='/',size=1,minsize=1}]", "filesystem[0].size: `size` and `minsize` mean the same"),
        (
            "filesystem=[{mountpoint='/',size=1},{mountpoint='/',size=1}]",
            "filesystem[1].mountpoint: the mountpoint `/` is there twice",
        ),
    ] {
        let toml = format!("[customizations]\n{customizations}\n");
        let said = error(&toml);
        let (place, position) = said.split_once(" (line 2, column ").unwrap_or_else(|| panic!("no position: {said}"));
        let said =
            format!("{place}{}", position.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(')'));
        assert!(said.starts_with(&format!("customizations.{expected}")), "{toml}: {said}");

        let value: toml::Value = toml::from_str(&toml).unwrap();
        assert_eq!(Config::parse_json(&serde_json::to_string(&value).unwrap()).unwrap_err().to_string(), said);
    }
}

#[test]
fn the_older_json_wrapper_is_read_and_duplicate_keys_are_not() {
    let wrapped = r#"{"blueprint": {"customizations": {"hostname": "a", "filesystem": [{"mountpoint": "/boot", "minsize": "2 GiB"}]}}}"#;
    let customizations = Config::parse_json(wrapped).unwrap().customizations;
    assert_eq!(customizations.hostname.as_deref(), Some("a"));
    assert_eq!(
        customizations.filesystems,
        [Filesystem { mountpoint: "/boot".to_owned(), minsize: crate::units::Bytes(2 << 30) }]
    );
    assert!(
        Config::parse_json(r#"{"name": "a", "name": "b"}"#).unwrap_err().to_string().contains("duplicate key `name`")
    );
    assert!(Config::parse_json("{} x").is_err());
}

#[test]
fn keys_of_a_listed_user_are_its_own_and_others_need_a_user_of_the_image() {
    let toml = "[customizations]\nuser=[{name='a',key=\"one\\n\\n two \\n\"}]\nsshkey=[{user='a',key='three'},{user='root',key='four'}]";
    let users = Config::parse_toml(toml).unwrap().customizations.users;
    assert_eq!((users[0].keys.join("|").as_str(), users[0].must_exist), ("one|two|three", false));
    assert_eq!((users[1].name.as_str(), users[1].must_exist), ("root", true));
}

#[test]
fn no_password_shows_in_debug_facts_or_errors() {
    let toml = "[[customizations.user]]\nname = \"a\"\npassword = \"hunter2\"\n";
    let customizations = Config::parse_toml(toml).unwrap().customizations;
    assert_eq!(customizations.users[0].password, Some(Secret::new("hunter2")));
    assert!(!format!("{customizations:?}{}", customizations.facts()).contains("hunter2"));
    for broken in [
        format!("{toml} hunter2"),
        toml.replace("2\"", "2\" x"),
        toml.replace("\"hunter2\"", "[\"hunter2\"]"),
        toml.replace('"', ""),
    ] {
        let error = Config::parse_toml(&broken).unwrap_err();
        assert!(!format!("{error}{error:?}").contains("hunter2"), "{error:?}");
    }
    for broken in [
        r#"{"password": "hunter2" "#,
        r#"{"customizations": {"user": [{"name": "a", "password": ["hunter2"]}]}}"#,
        r#""hunter2""#,
    ] {
        let error = Config::parse_json(broken).unwrap_err();
        assert!(!format!("{error}{error:?}").contains("hunter2"), "{error:?}");
    }
    let without = Config::parse_toml(&toml.replace("hunter2", "")).unwrap().customizations;
    assert_eq!((&without.users[0].password, without.facts()), (&None, customizations.facts()));
}

#[test]
fn the_name_or_else_the_first_character_says_what_a_file_is() {
    let directory = tempfile::tempdir().unwrap();
    let (toml, json) = ("[customizations]\nhostname = 'a'", r#" {"customizations": {"hostname": "a"}}"#);
    for (name, text, read) in [
        ("config.toml", toml, true),
        ("config.json", json, true),
        ("config", toml, true),
        ("config.txt", json, true),
        ("config.toml", json, false),
        ("config.json", toml, false),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        assert_eq!(
            Config::load(&path).ok().and_then(|config| config.customizations.hostname),
            read.then(|| "a".to_owned()),
            "{name}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Path::new("/nonexistent/config.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/config.toml: cannot be read: "), "{error}");
}

#[test]
fn the_committed_example_is_what_the_schema_says_and_every_key_in_it_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml.example");
    if std::env::var_os("UPDATE_EXAMPLE").is_some() {
        std::fs::write(&path, example()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, example(), "run the tests once with UPDATE_EXAMPLE=1");
    let read = Config::parse_toml(&committed).unwrap().customizations;
    let (alice, root) = (&read.users[0], &read.users[1]);
    assert!(alice.description.is_some() && alice.password.is_some() && alice.home.is_some() && alice.shell.is_some());
    assert_eq!(
        (alice.groups.as_slice(), alice.uid, alice.gid, alice.keys.len()),
        (&["developers".to_owned()][..], Some(1001), Some(1001), 1)
    );
    assert_eq!((root.name.as_str(), root.keys.len(), read.groups[0].gid), ("root", 1, Some(2000)));
    assert!(read.hostname.is_some() && read.kernel_append.is_some() && read.filesystems.len() == 1);
}
