//! Homes of users: directories below the stateroot's /var, made once, with what /etc/skel holds.

use super::Error;
use super::editor::{Editor, Step};
use super::login_defs::Defaults;
use crate::tree::{InodeId, Stat};

/// The numbers of a user and its primary group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    pub fn stat(self, editor: &Editor<'_>, permissions: u16) -> Stat {
        Stat { uid: self.uid, gid: self.gid, ..editor.root_stat(permissions) }
    }
}

/// The directory of a home, made where it is missing: it with HOME_MODE and the files of skel, those above it root's with 0755.
pub fn ensure(
    editor: &mut Editor<'_>,
    user: &str,
    home: &str,
    owner: Owner,
    defaults: &Defaults,
) -> Result<InodeId, Error> {
    let steps = below_var(editor, user, home)?;
    let mut here = editor.place.var;
    for (index, step) in steps.iter().enumerate() {
        here = match step.inode {
            Some(inode) if editor.tree.is_directory(inode) => inode,
            Some(_) => return Err(Error::NotADirectory { path: path(&steps[..=index]) }),
            None => {
                let last = index + 1 == steps.len();
                let stat = if last { owner.stat(editor, defaults.home_mode) } else { editor.root_stat(0o755) };
                let made = editor.tree.add(here, &step.name, stat, crate::tree::Kind::Directory(Default::default()));
                if last {
                    copy_skel(editor, made, owner, &defaults.skel)?;
                }
                made
            }
        };
    }
    Ok(here)
}

/// The path of a home on the machine, without links and always below /var: everything else is the image's and read-only.
pub fn resolved(editor: &Editor<'_>, user: &str, home: &str) -> Result<String, Error> {
    Ok(path(&below_var(editor, user, home)?))
}

/// The steps after /var.
fn below_var(editor: &Editor<'_>, user: &str, home: &str) -> Result<Vec<Step>, Error> {
    let mut steps = editor.walk(home)?;
    if steps.len() < 2 || steps[0].name != b"var" {
        let resolved = steps.iter().map(|step| format!("/{}", String::from_utf8_lossy(&step.name))).collect::<String>();
        let resolved = if resolved.is_empty() { "/".to_owned() } else { resolved };
        return Err(Error::HomeOutsideVar { user: user.to_owned(), home: home.to_owned(), resolved });
    }
    steps.remove(0);
    Ok(steps)
}

fn path(below_var: &[Step]) -> String {
    below_var.iter().fold("/var".to_owned(), |path, step| format!("{path}/{}", String::from_utf8_lossy(&step.name)))
}

fn copy_skel(editor: &mut Editor<'_>, home: InodeId, owner: Owner, skel: &str) -> Result<(), Error> {
    let Some(skel) = editor.find(skel)? else { return Ok(()) };
    let entries: Vec<_> = editor.tree.entries(skel).map(|(name, inode)| (name.to_vec(), inode)).collect();
    for (name, inode) in entries {
        let copy = editor.tree.copy(inode, editor.time);
        give(editor, copy, owner);
        editor.tree.link(home, &name, copy);
    }
    Ok(())
}

fn give(editor: &mut Editor<'_>, inode: InodeId, owner: Owner) {
    let stat = &mut editor.tree.inode_mut(inode).stat;
    (stat.uid, stat.gid) = (owner.uid, owner.gid);
    let children: Vec<_> = editor.tree.entries(inode).map(|(_, child)| child).collect();
    children.into_iter().for_each(|child| give(editor, child, owner));
}
