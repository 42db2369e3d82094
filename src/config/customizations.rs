//! What is to be changed in the image, as types: every value in them has passed [`super::validate`].

use serde::Serialize;

use super::Secret;
use crate::units::Bytes;

/// The customizations of one build. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Customizations {
    pub users: Vec<User>,
    pub groups: Vec<Group>,
    pub kernel_append: Option<String>,
    pub hostname: Option<String>,
    pub filesystems: Vec<Filesystem>,
}

/// A user to create, or to change where the image has it. `None`: as `useradd` would choose, or as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct User {
    pub name: String,
    /// Never a user to create: only `sshkey` names it.
    pub must_exist: bool,
    /// The comment field, GECOS.
    pub description: Option<String>,
    /// Plain or crypted, never empty.
    #[serde(skip)]
    pub password: Option<Secret>,
    /// Lines of `authorized_keys`, in order, without line ends.
    pub keys: Vec<String>,
    pub home: Option<String>,
    pub shell: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<String>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    pub name: String,
    pub gid: Option<u32>,
}

/// The least size of one of the disk's filesystems.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Filesystem {
    /// `/` or `/boot`
    pub mountpoint: String,
    pub minsize: Bytes,
}

impl Customizations {
    /// All of it but the passwords, as JSON in a fixed order: what the seed of the disk may depend on.
    pub fn facts(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("text, numbers and lists of them are always JSON")
    }
}
