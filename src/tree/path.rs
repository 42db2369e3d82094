//! Finding an inode by its path, links followed, never leaving the tree.

use std::path::PathBuf;

use super::{InodeId, Kind, Tree};

/// As many links as Linux follows in one path (`path_resolution(7)`).
const MAX_LINKS: u32 = 40;

#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error("{} goes through more than {MAX_LINKS} symbolic links", path.display())]
    TooManyLinks { path: PathBuf },
}

impl Tree {
    /// The inode that `path` names when `root` is `/`; `None` when nothing is there. The last component's link is followed too.
    pub fn resolve(&self, root: InodeId, path: &str) -> Result<Option<InodeId>, PathError> {
        let mut links = 0;
        let mut way = vec![root];
        let mut left: Vec<Vec<u8>> = components(path.as_bytes());
        while let Some(name) = left.pop() {
            if name == b".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let here = *way.last().unwrap_or(&root);
            let Some(next) = self.child(here, &name) else { return Ok(None) };
            if let Kind::Symlink(target) = &self.inode(next).kind {
                links += 1;
                if links > MAX_LINKS {
                    return Err(PathError::TooManyLinks { path: path.into() });
                }
                if target.starts_with(b"/") {
                    way.truncate(1);
                }
                left.extend(components(target));
            } else {
                way.push(next);
            }
        }
        Ok(way.last().copied())
    }
}

/// The components of a path, last first, so that the next one to walk is at the end.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.rev().map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Stat;

    fn tree() -> Tree {
        let stat = Stat::root(0o755, 0);
        let mut tree = Tree::new(stat.clone());
        let etc = tree.ensure_directories(Tree::ROOT, "usr/etc", &stat);
        tree.add_file(etc, "passwd", stat.clone(), "root");
        tree.add_symlink(Tree::ROOT, "etc", stat.clone(), "usr/etc");
        tree.add_symlink(etc, "up", stat.clone(), "../../../../usr/etc/passwd");
        tree.add_symlink(etc, "absolute", stat.clone(), "/etc/passwd");
        tree.add_symlink(etc, "loop", stat, "loop");
        tree
    }

    #[test]
    fn links_are_followed_and_never_leave_the_root() {
        let tree = tree();
        let direct = tree.resolve(Tree::ROOT, "/usr/etc/passwd").unwrap().unwrap();
        for path in ["etc/passwd", "/etc/up", "etc/absolute", "../../usr/./etc//passwd"] {
            assert_eq!(tree.resolve(Tree::ROOT, path).unwrap(), Some(direct), "{path}");
        }
        assert_eq!(tree.resolve(Tree::ROOT, "etc/none").unwrap(), None);
    }

    #[test]
    fn a_loop_of_links_is_an_error() {
        assert!(tree().resolve(Tree::ROOT, "etc/loop").is_err());
    }
}
