//! All account files of the machine at once: those in /etc, which are edited, and the image's own in /usr/lib, which nss-altfiles
//! reads after them.

use super::Error;
use super::editor::Editor;
use super::passwd::{Table, field};
use crate::tree::Stat;

pub struct Accounts {
    pub passwd: Table,
    pub shadow: Table,
    pub group: Table,
    pub gshadow: Option<Table>,
    pub subuid: Option<Table>,
    pub subgid: Option<Table>,
    /// /usr/lib/passwd
    image_passwd: Table,
    /// /usr/lib/group
    image_group: Table,
}

impl Accounts {
    pub fn load(editor: &Editor<'_>) -> Result<Accounts, Error> {
        let etc = |name: &str| -> Result<Option<Table>, Error> {
            let bytes = editor.read(editor.place.etc, name, &format!("/etc/{name}"))?;
            Ok(bytes.map(|bytes| Table::parse(&bytes)))
        };
        Ok(Accounts {
            passwd: etc("passwd")?.unwrap_or_default(),
            shadow: etc("shadow")?.unwrap_or_default(),
            group: etc("group")?.unwrap_or_default(),
            gshadow: etc("gshadow")?,
            subuid: etc("subuid")?,
            subgid: etc("subgid")?,
            image_passwd: Table::parse(&editor.contents("/usr/lib/passwd")?),
            image_group: Table::parse(&editor.contents("/usr/lib/group")?),
        })
    }

    /// Writes back what was changed.
    pub fn store(&self, editor: &mut Editor<'_>) {
        let public = editor.root_stat(0o644);
        let secret = self.secret_stat(editor);
        let tables = [
            ("passwd", Some(&self.passwd), &public),
            ("shadow", Some(&self.shadow), &secret),
            ("group", Some(&self.group), &public),
            ("gshadow", self.gshadow.as_ref(), &secret),
            ("subuid", self.subuid.as_ref(), &public),
            ("subgid", self.subgid.as_ref(), &public),
        ];
        for (name, table, new) in tables {
            if let Some(bytes) = table.and_then(Table::changed_bytes) {
                editor.write(editor.place.etc, name, new.clone(), bytes);
            }
        }
    }

    /// Debian's readers of shadow are in the group of that name; elsewhere root's capabilities are all that opens it.
    fn secret_stat(&self, editor: &Editor<'_>) -> Stat {
        let group = self.find_group("shadow").and_then(|fields| super::passwd::number_at(&fields, field::group::GID));
        match group {
            Some(gid) => Stat { gid, ..editor.root_stat(0o640) },
            None => editor.root_stat(0),
        }
    }

    pub fn find_user(&self, name: &str) -> Option<Vec<&[u8]>> {
        self.passwd.find(name).or_else(|| self.image_passwd.find(name))
    }

    pub fn find_group(&self, name: &str) -> Option<Vec<&[u8]>> {
        self.group.find(name).or_else(|| self.image_group.find(name))
    }

    pub fn uids(&self) -> impl Iterator<Item = u32> {
        self.passwd.numbers(field::passwd::UID).chain(self.image_passwd.numbers(field::passwd::UID))
    }

    pub fn gids(&self) -> impl Iterator<Item = u32> {
        self.group.numbers(field::group::GID).chain(self.image_group.numbers(field::group::GID))
    }

    pub fn user_of(&self, uid: u32) -> Option<String> {
        self.passwd.name_of(field::passwd::UID, uid).or_else(|| self.image_passwd.name_of(field::passwd::UID, uid))
    }

    pub fn group_of(&self, gid: u32) -> Option<String> {
        self.group.name_of(field::group::GID, gid).or_else(|| self.image_group.name_of(field::group::GID, gid))
    }

    /// Copies a user's line that only /usr/lib has to /etc, where it can be edited.
    pub fn bring_user_to_etc(&mut self, name: &str) {
        if self.passwd.find(name).is_none()
            && let Some(fields) = self.image_passwd.find(name)
        {
            self.passwd.put(&fields);
        }
    }

    /// Copies a group's line that only /usr/lib has to /etc, where it can be edited.
    pub fn bring_group_to_etc(&mut self, name: &str) {
        if self.group.find(name).is_none()
            && let Some(fields) = self.image_group.find(name)
        {
            self.group.put(&fields);
            self.lock_group(name);
        }
    }

    /// The line of a group in gshadow that nobody enters by password, where there is a gshadow and no line yet.
    pub fn lock_group(&mut self, name: &str) {
        if let Some(gshadow) = self.gshadow.as_mut().filter(|gshadow| gshadow.find(name).is_none()) {
            gshadow.put(&[name, "!", "", ""]);
        }
    }
}
