//! Edits on the deployment that the user asked for: users, groups, keys, host name.
//!
//! Touches the deployment's `etc` and the stateroot's `var`, never `usr`. What was asked comes from `config` and is valid in
//! itself; here it meets the image. Kernel arguments and sizes of filesystems belong to `deploy` and `plan`.

mod accounts;
mod editor;
mod groups;
mod home;
mod hostname;
mod login_defs;
mod numbers;
mod passwd;
mod password;
mod ssh_keys;
mod subid;
mod users;

use crate::config::Customizations;
use crate::seed::Seed;
use crate::spool::{Spool, SpoolError};
use crate::tree::{InodeId, Seconds, Tree};

use accounts::Accounts;
use editor::Editor;

/// Where the machine's directories are in the tree.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The root of the deployment, `/` of the machine.
    pub deployment: InodeId,
    pub etc: InodeId,
    /// The stateroot's, which lies over the deployment's own.
    pub var: InodeId,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the image's {path} cannot be read back: {source}")]
    Spool { path: String, source: SpoolError },
    #[error("the image's {path} is no regular file, so it cannot be edited")]
    NotAFile { path: String },
    #[error("the image's {path} is no directory")]
    NotADirectory { path: String },
    #[error("the image's {path} is {len} bytes, and at most {limit} are read")]
    TooLarge { path: String, len: u64, limit: u64 },
    #[error("the path {path} goes through more than {limit} symbolic links")]
    TooManyLinks { path: String, limit: u32 },
    #[error("the image's line for `{name}` in {file} has no number where one has to be")]
    NoNumber { file: &'static str, name: String },
    #[error("the key is for the user `{name}`, which neither the image nor the configuration has")]
    NoSuchUser { name: String },
    #[error("the user `{user}` shall be in the group `{group}`, which neither the image nor the configuration has")]
    NoSuchGroup { user: String, group: String },
    #[error("the {what} {id} asked for `{name}` belongs to `{owner}` already")]
    Taken { what: &'static str, id: u32, name: String, owner: String },
    #[error("`{name}` has the {what} {found} in the image, and {asked} was asked for")]
    Differs { what: &'static str, name: String, found: u32, asked: u32 },
    #[error("no {what} from {min} to {max} is free for `{name}`")]
    NoneFree { what: &'static str, min: u32, max: u32, name: String },
    #[error(
        "the home {home} of `{user}` is {resolved} on the machine, and only directories below /var can be written there"
    )]
    HomeOutsideVar { user: String, home: String, resolved: String },
    #[error("the password of `{user}` could not be crypted")]
    Crypt { user: String },
}

/// Applies all of `customizations`; `time` is that of everything made or changed. Hands back warnings, one sentence each.
pub fn apply(
    tree: &mut Tree,
    place: &Place,
    spool: &Spool,
    customizations: &Customizations,
    seed: &Seed,
    time: Seconds,
) -> Result<Vec<String>, Error> {
    let mut editor = Editor { tree, place: *place, spool, time };
    if let Some(name) = &customizations.hostname {
        hostname::set(&mut editor, name);
    }
    if customizations.users.is_empty() && customizations.groups.is_empty() {
        return Ok(Vec::new());
    }
    let mut accounts = Accounts::load(&editor)?;
    let defaults = login_defs::Defaults::load(&editor)?;
    let asked = numbers::Asked::of(customizations);
    groups::add(&mut accounts, &customizations.groups, &defaults, &asked)?;
    let mut users = users::Users {
        editor: &mut editor,
        accounts: &mut accounts,
        defaults: &defaults,
        asked: &asked,
        seed,
        warnings: Vec::new(),
    };
    users.apply(&customizations.users)?;
    let warnings = users.warnings;
    accounts.store(&mut editor);
    Ok(warnings)
}
