//! Groups that were asked for, and who is in them.

use std::collections::BTreeSet;

use super::accounts::Accounts;
use super::login_defs::Defaults;
use super::numbers::{self, Asked};
use super::passwd::{field, number_at};
use super::{Error, users};
use crate::config::Group;

/// Makes the groups that the image does not have.
pub fn add(accounts: &mut Accounts, groups: &[Group], defaults: &Defaults, asked: &Asked) -> Result<(), Error> {
    for group in groups {
        match gid(accounts, &group.name)? {
            Some(found) => users::same_number("gid", &group.name, found, group.gid)?,
            None => {
                let gid = group.gid.map_or_else(|| next_gid(accounts, &group.name, defaults, asked), Ok)?;
                create(accounts, &group.name, gid)?;
            }
        }
    }
    Ok(())
}

/// The number of a group of the machine; `None` when there is no such group.
pub fn gid(accounts: &Accounts, name: &str) -> Result<Option<u32>, Error> {
    let Some(fields) = accounts.find_group(name) else { return Ok(None) };
    let gid = number_at(&fields, field::group::GID);
    gid.map(Some).ok_or_else(|| Error::NoNumber { file: "group", name: name.to_owned() })
}

pub fn create(accounts: &mut Accounts, name: &str, gid: u32) -> Result<(), Error> {
    if let Some(owner) = accounts.group_of(gid) {
        return Err(Error::Taken { what: "gid", id: gid, name: name.to_owned(), owner });
    }
    accounts.group.put(&[name, "x", &gid.to_string(), ""]);
    accounts.lock_group(name);
    Ok(())
}

pub fn next_gid(accounts: &Accounts, name: &str, defaults: &Defaults, asked: &Asked) -> Result<u32, Error> {
    let used: BTreeSet<u32> = accounts.gids().collect();
    let (min, max) = (*defaults.gid.start(), *defaults.gid.end());
    numbers::next(&used, &asked.gids, &defaults.gid).ok_or_else(|| Error::NoneFree {
        what: "gid",
        min,
        max,
        name: name.to_owned(),
    })
}

/// Puts a user into a group that is there already; one that only /usr/lib has is copied to /etc first.
pub fn add_member(accounts: &mut Accounts, group: &str, user: &str) -> Result<(), Error> {
    if accounts.find_group(group).is_none() {
        return Err(Error::NoSuchGroup { user: user.to_owned(), group: group.to_owned() });
    }
    accounts.bring_group_to_etc(group);
    accounts.group.add_member(group, field::group::MEMBERS, user);
    if let Some(gshadow) = &mut accounts.gshadow {
        gshadow.add_member(group, field::gshadow::MEMBERS, user);
    }
    Ok(())
}
