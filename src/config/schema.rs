//! The one table of keys: what is read, what is known but not supported yet, and what `config.toml.example` says of it.

/// A key of a table.
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// The comment above the key in the example, one sentence or more.
    pub doc: &'static str,
    /// The value in the example, as TOML writes it. Keys without one are not shown there.
    pub example: Option<&'static str>,
}

pub enum Kind {
    Text,
    Texts,
    /// 0 to 2^32 - 1
    Number,
    /// A number of bytes, or a text with a unit
    Size,
    Table(&'static [Key]),
    Tables(&'static [Key]),
    /// Says something about the file to people; read over.
    Metadata,
    /// A word of osbuild blueprints that nothing here acts on yet.
    NotSupportedYet,
}

impl Key {
    const fn optional(name: &'static str, kind: Kind, doc: &'static str, example: &'static str) -> Key {
        Key { name, kind, required: false, doc, example: Some(example) }
    }

    const fn required(name: &'static str, kind: Kind, doc: &'static str, example: &'static str) -> Key {
        Key { name, kind, required: true, doc, example: Some(example) }
    }

    const fn hidden(name: &'static str, kind: Kind) -> Key {
        Key { name, kind, required: false, doc: "", example: None }
    }

    const fn table(name: &'static str, kind: Kind, doc: &'static str) -> Key {
        Key { name, kind, required: false, doc, example: None }
    }

    const fn later(name: &'static str) -> Key {
        Key::hidden(name, Kind::NotSupportedYet)
    }

    /// The keys below this one, when it is a table or a list of tables.
    pub fn keys(&self) -> &'static [Key] {
        match self.kind {
            Kind::Table(keys) | Kind::Tables(keys) => keys,
            _ => &[],
        }
    }
}

/// The top of the file, an osbuild blueprint.
pub const BLUEPRINT: &[Key] = &[
    Key::hidden("name", Kind::Metadata),
    Key::hidden("description", Kind::Metadata),
    Key::hidden("version", Kind::Metadata),
    Key::table("customizations", Kind::Table(CUSTOMIZATIONS), ""),
    Key::later("distro"),
    Key::later("architecture"),
    Key::later("packages"),
    Key::later("modules"),
    Key::later("enabled_modules"),
    Key::later("groups"),
    Key::later("containers"),
    Key::later("minimal"),
];

const CUSTOMIZATIONS: &[Key] = &[
    Key::optional(
        "hostname",
        Kind::Text,
        "The machine's name, for /etc/hostname: at most 64 characters.",
        r#""machine.example.org""#,
    ),
    Key::table("kernel", Kind::Table(KERNEL), "What the boot loader hands to the kernel."),
    Key::table("group", Kind::Tables(GROUP), "A group. One that the image has already is left as it is."),
    Key::table(
        "user",
        Kind::Tables(USER),
        "A user. One that the image has already is changed where a key below says so. What is written to /etc/passwd and its\n\
         neighbours stays on the machine: later changes of the image to these files no longer arrive there.",
    ),
    Key::table(
        "sshkey",
        Kind::Tables(SSHKEY),
        "A key for a user of the image or of this file. The same as `key` of a user, but creates none.",
    ),
    Key::table("filesystem", Kind::Tables(FILESYSTEM), "The least size of a filesystem: of `/` and of `/boot`."),
    Key::later("bootloader"),
    Key::later("cacerts"),
    Key::later("containers-storage"),
    Key::later("directories"),
    Key::later("disk"),
    Key::later("dnf"),
    Key::later("fdo"),
    Key::later("files"),
    Key::later("fips"),
    Key::later("firewall"),
    Key::later("ignition"),
    Key::later("installation_device"),
    Key::later("installer"),
    Key::later("iso"),
    Key::later("locale"),
    Key::later("openscap"),
    Key::later("partitioning_mode"),
    Key::later("repositories"),
    Key::later("rhsm"),
    Key::later("rpm"),
    Key::later("services"),
    Key::later("sshd"),
    Key::later("timezone"),
];

const KERNEL: &[Key] = &[
    Key::optional("append", Kind::Text, "Kernel arguments, after those of the image.", r#""quiet console=ttyS0""#),
    Key::later("name"),
];

const GROUP: &[Key] = &[
    Key::required("name", Kind::Text, "The group's name.", r#""developers""#),
    Key::optional("gid", Kind::Number, "The group's number. Default: one more than the highest given out.", "2000"),
];

const USER: &[Key] = &[
    Key::required("name", Kind::Text, "The login name.", r#""alice""#),
    Key::optional("description", Kind::Text, "The full name, or another comment.", r#""Alice Example""#),
    Key::optional(
        "password",
        Kind::Text,
        "Plain, or crypted as `openssl passwd -6` prints it. Without one, or with an empty one, no password is set.",
        r#""$6$saltsalt$Replace/this/by/what/openssl/passwd/prints............................................""#,
    ),
    Key::optional(
        "key",
        Kind::Text,
        "SSH keys for ~/.ssh/authorized_keys, one per line.",
        r#""ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5sIvVeVkvqvTdZ3dAz2bDwrGmZ1UW9j0XyGdUgGR7V alice@example.org""#,
    ),
    Key::optional(
        "home",
        Kind::Text,
        "The home directory, below /var or behind a link that leads there.",
        r#""/home/alice""#,
    ),
    Key::optional(
        "shell",
        Kind::Text,
        "The login shell. Default: what useradd would take in this image.",
        r#""/bin/bash""#,
    ),
    Key::optional(
        "groups",
        Kind::Texts,
        "Groups beside the primary one. They have to exist in the image or above.",
        r#"["developers"]"#,
    ),
    Key::optional("uid", Kind::Number, "The user's number. Default: one more than the highest given out.", "1001"),
    Key::optional("gid", Kind::Number, "The primary group's number. Default: a group of the user's own name.", "1001"),
    Key::later("expiredate"),
    Key::later("force_password_reset"),
];

const SSHKEY: &[Key] = &[
    Key::required("user", Kind::Text, "The user's name.", r#""root""#),
    Key::required(
        "key",
        Kind::Text,
        "The keys, one per line.",
        r#""ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5sIvVeVkvqvTdZ3dAz2bDwrGmZ1UW9j0XyGdUgGR7V admin@example.org""#,
    ),
];

const FILESYSTEM: &[Key] = &[
    Key::required("mountpoint", Kind::Text, "`/` or `/boot`.", r#""/""#),
    Key::optional(
        "minsize",
        Kind::Size,
        "Required, here or as `size`, which means the same. The least size: a number of bytes, or with a unit.",
        r#""10 GiB""#,
    ),
    Key::hidden("size", Kind::Size),
];
