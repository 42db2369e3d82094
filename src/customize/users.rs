//! Users that were asked for: created as `useradd` would, or changed where the image has them.

use std::collections::BTreeSet;

use super::accounts::Accounts;
use super::editor::Editor;
use super::home::{self, Owner};
use super::login_defs::Defaults;
use super::numbers::{self, Asked};
use super::passwd::{field, number_at};
use super::{Error, groups, password, ssh_keys, subid};
use crate::config::User;
use crate::seed::Seed;

pub struct Users<'a, 'e> {
    pub editor: &'a mut Editor<'e>,
    pub accounts: &'a mut Accounts,
    pub defaults: &'a Defaults,
    pub asked: &'a Asked,
    pub seed: &'a Seed,
    pub warnings: Vec<String>,
}

/// What is known of a user once it has its line in passwd.
struct Account {
    owner: Owner,
    home: String,
    created: bool,
}

impl Users<'_, '_> {
    pub fn apply(&mut self, users: &[User]) -> Result<(), Error> {
        users.iter().try_for_each(|user| self.apply_one(user))
    }

    fn apply_one(&mut self, user: &User) -> Result<(), Error> {
        let account = match self.accounts.find_user(&user.name) {
            Some(_) => self.change(user)?,
            None if user.must_exist => return Err(Error::NoSuchUser { name: user.name.clone() }),
            None => self.create(user)?,
        };
        for group in &user.groups {
            groups::add_member(self.accounts, group, &user.name)?;
        }
        if let Some(password) = &user.password {
            let crypted = password::crypted(password, &user.name, self.seed)?;
            self.set_password(&user.name, &crypted);
        }
        self.warn_of_missing_shell(user)?;
        self.place_home(user, &account)
    }

    fn create(&mut self, user: &User) -> Result<Account, Error> {
        let name = &user.name;
        let uid = user.uid.map_or_else(|| self.next_uid(name), Ok)?;
        if let Some(owner) = self.accounts.user_of(uid) {
            return Err(Error::Taken { what: "uid", id: uid, name: name.clone(), owner });
        }
        let gid = self.primary_group(user, uid)?;
        let home = user.home.clone().unwrap_or_else(|| format!("{}/{name}", self.defaults.home.trim_end_matches('/')));
        let shell = user.shell.clone().map_or_else(|| self.default_shell(), Ok)?;
        let gecos = user.description.as_deref().unwrap_or_default();
        self.accounts.passwd.put(&[name, "x", &uid.to_string(), &gid.to_string(), gecos, &home, &shell]);
        self.put_shadow(name);
        if self.defaults.uid.contains(&uid) {
            subid::add(self.accounts, name, self.defaults)?;
        }
        Ok(Account { owner: Owner { uid, gid }, home, created: true })
    }

    fn change(&mut self, user: &User) -> Result<Account, Error> {
        let name = &user.name;
        let changes = [
            (field::passwd::GECOS, &user.description),
            (field::passwd::HOME, &user.home),
            (field::passwd::SHELL, &user.shell),
        ];
        if user.password.is_some() || changes.iter().any(|(_, value)| value.is_some()) {
            self.accounts.bring_user_to_etc(name);
        }
        for (field, value) in changes {
            if let Some(value) = value {
                self.accounts.passwd.set(name, field, value.as_bytes());
            }
        }
        // Never empty: the caller has found the line.
        let fields = self.accounts.find_user(name).unwrap_or_default();
        let number =
            |field| number_at(&fields, field).ok_or_else(|| Error::NoNumber { file: "passwd", name: name.clone() });
        let owner = Owner { uid: number(field::passwd::UID)?, gid: number(field::passwd::GID)? };
        let home = fields.get(field::passwd::HOME).map(|home| String::from_utf8_lossy(home).into_owned());
        same_number("uid", name, owner.uid, user.uid)?;
        same_number("gid", name, owner.gid, user.gid)?;
        Ok(Account { owner, home: home.unwrap_or_default(), created: false })
    }

    /// The group of the number asked for, else the one of the user's own name; made where it is missing.
    fn primary_group(&mut self, user: &User, uid: u32) -> Result<u32, Error> {
        if let Some(gid) = user.gid.filter(|gid| self.accounts.group_of(*gid).is_some()) {
            return Ok(gid);
        }
        if let Some(gid) = groups::gid(self.accounts, &user.name)? {
            same_number("gid", &user.name, gid, user.gid)?;
            if !self.asked.groups.contains(&user.name) {
                self.warnings.push(format!(
                    "the image's group `{0}` becomes the primary group of the new user `{0}`",
                    user.name
                ));
            }
            return Ok(gid);
        }
        let gid = user.gid.or_else(|| self.same_as_uid(uid));
        let gid = gid.map_or_else(|| groups::next_gid(self.accounts, &user.name, self.defaults, self.asked), Ok)?;
        groups::create(self.accounts, &user.name, gid)?;
        Ok(gid)
    }

    /// A private group has the user's own number where that is in the range for groups and nobody else has it or asks for it.
    fn same_as_uid(&self, uid: u32) -> Option<u32> {
        let free = self.accounts.group_of(uid).is_none() && !self.asked.gids.contains(&uid);
        (free && self.defaults.gid.contains(&uid)).then_some(uid)
    }

    fn next_uid(&self, name: &str) -> Result<u32, Error> {
        let used: BTreeSet<u32> = self.accounts.uids().collect();
        let (min, max) = (*self.defaults.uid.start(), *self.defaults.uid.end());
        let next = numbers::next(&used, &self.asked.uids, &self.defaults.uid);
        next.ok_or_else(|| Error::NoneFree { what: "uid", min, max, name: name.to_owned() })
    }

    /// What useradd falls back to is bash; an image without it has at least sh.
    fn default_shell(&self) -> Result<String, Error> {
        if let Some(shell) = &self.defaults.shell {
            return Ok(shell.clone());
        }
        let bash = "/bin/bash";
        Ok(if self.editor.find(bash)?.is_some() { bash } else { "/bin/sh" }.to_owned())
    }

    /// A locked password with the ages of login.defs. The day of the last change stays empty: 0 would force a change, and a day
    /// of the build is nothing that the password's age should count from.
    fn put_shadow(&mut self, name: &str) {
        let [min, max, warn] = &self.defaults.password_ages;
        self.accounts.shadow.put(&[name, "!", "", min, max, warn, "", "", ""]);
    }

    fn set_password(&mut self, name: &str, crypted: &str) {
        if self.accounts.shadow.find(name).is_none() {
            self.put_shadow(name);
        }
        self.accounts.passwd.set(name, field::PASSWORD, b"x");
        self.accounts.shadow.set(name, field::PASSWORD, crypted.as_bytes());
        self.accounts.shadow.set(name, field::shadow::LAST_CHANGE, b"");
    }

    fn warn_of_missing_shell(&mut self, user: &User) -> Result<(), Error> {
        let fields = self.accounts.find_user(&user.name).unwrap_or_default();
        let shell = fields.get(field::passwd::SHELL).map(|shell| String::from_utf8_lossy(shell).into_owned());
        let shell = shell.filter(|shell| !shell.is_empty() && !user.must_exist).unwrap_or_default();
        if !shell.is_empty() && self.editor.find(&shell)?.is_none() {
            self.warnings.push(format!("the shell {shell} of `{}` is not in the image", user.name));
        }
        Ok(())
    }

    /// Makes a missing home and puts the keys where sshd looks for them.
    fn place_home(&mut self, user: &User, account: &Account) -> Result<(), Error> {
        if account.owner.uid == 0 {
            return ssh_keys::place_for_root(self.editor, &user.name, &account.home, &user.keys);
        }
        if !account.created && user.home.is_none() && user.keys.is_empty() {
            return Ok(());
        }
        let home = home::ensure(self.editor, &user.name, &account.home, account.owner, self.defaults)?;
        ssh_keys::place(self.editor, home, &account.home, account.owner, &user.keys)
    }
}

/// Passes when no number was asked for, or the one that is there already.
pub fn same_number(what: &'static str, name: &str, found: u32, asked: Option<u32>) -> Result<(), Error> {
    match asked.filter(|&asked| asked != found) {
        Some(asked) => Err(Error::Differs { what, name: name.to_owned(), found, asked }),
        None => Ok(()),
    }
}
