//! The stateroot `/ostree/deploy/NAME`: the deployment with its own /etc, and the /var that all deployments share.

use super::{CommitTree, DeployError};
use crate::tree::{InodeId, Seconds, Stat, Tree};

/// Directories of a stateroot that later edits reach into.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    pub deployment: InodeId,
    pub etc: InodeId,
    pub var: InodeId,
}

/// A name libostree accepts for a stateroot; it also becomes part of paths on /boot and of the boot menu's search pattern.
pub fn check_name(name: &str) -> Result<(), DeployError> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let good = name.bytes().next().is_some_and(word) && name.bytes().all(|byte| word(byte) || b"-.".contains(&byte));
    if good && name.len() <= 64 { Ok(()) } else { Err(DeployError::Stateroot { name: name.to_owned() }) }
}

/// Lays out the stateroot in the directory `at` and links the deployment into it.
pub fn place(commit: &mut CommitTree, at: InodeId, deployment_name: &str, origin: &str, time: Seconds) -> Places {
    let CommitTree { tree, deployment, .. } = commit;
    let deployment = *deployment;
    let var = tree.add_directory(at, "var", Stat::root(0o755, time));
    let deploy = tree.add_directory(at, "deploy", Stat::root(0o755, time));
    tree.link(deploy, deployment_name.as_bytes(), deployment);
    tree.add_file(deploy, &format!("{deployment_name}.origin"), Stat::root(0o644, time), origin);
    place_backing(tree, at, deployment_name, deployment, time);
    let etc = place_etc(tree, deployment, time);
    place_var(tree, deployment, var, time);
    // libostree sets it on the deployment's root only, against stray writes to `/`.
    tree.inode_mut(deployment).immutable = true;
    Places { deployment, etc, var }
}

/// Directories for a transient root, which ostree-prepare-root expects beside each deployment.
fn place_backing(tree: &mut Tree, at: InodeId, deployment_name: &str, deployment: InodeId, time: Seconds) {
    let private = Stat::root(0o700, time);
    let transient = tree.ensure_directories(at, &format!("backing/{deployment_name}/root-transient"), &private);
    let upper = Stat { permissions: tree.inode(deployment).stat.permissions, ..Stat::root(0, time) };
    tree.add_directory(transient, "upper", upper);
    tree.add_directory(transient, "work", private);
}

/// The deployment's /etc: a copy of usr/etc, never links, because the machine will edit it.
fn place_etc(tree: &mut Tree, deployment: InodeId, time: Seconds) -> InodeId {
    let source = tree.child(deployment, b"usr").and_then(|usr| tree.child(usr, b"etc"));
    let Some(source) = source else { return tree.add_directory(deployment, "etc", Stat::root(0o755, time)) };
    let etc = tree.copy(source, time);
    tree.unlink(etc, b".updated");
    tree.link(deployment, b"etc", etc);
    etc
}

/// The shared /var starts as a copy of the commit's; it is never merged again.
fn place_var(tree: &mut Tree, deployment: InodeId, var: InodeId, time: Seconds) {
    if let Some(source) = tree.child(deployment, b"var").filter(|&id| tree.is_directory(id)) {
        let names: Vec<_> = tree.entries(source).map(|(name, id)| (name.to_vec(), id)).collect();
        for (name, id) in names.into_iter().filter(|(name, _)| name != b".updated") {
            let copy = tree.copy(id, time);
            tree.link(var, &name, copy);
        }
    }
    // The mark that labelling is done. Without it the next deployment would walk all of /var at shutdown.
    tree.add_file(var, ".ostree-selabeled", Stat::root(0o644, time), "");
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn stateroot_names_are_words() {
        for name in ["default", "my-os.1", "_x"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "../x", "-a", "a b", "a/b", "ä"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
