//! What a root without an overlay could not show, taken out of the layers over an ostree commit (ostree-ext `tar/write.rs`).

use std::collections::BTreeMap;

use crate::image::Image;
use crate::ostree::Directory;

/// Names at the top that every deployment has; `etc` has become `usr/etc`.
const KEPT: [&str; 7] = ["usr", "var", "run", "tmp", "proc", "sys", "dev"];

/// Leaves out of the layers all other names at the top, and says so in the image's warnings.
pub fn leave_out_what_is_outside_usr(image: &mut Image) {
    let mut left_out = BTreeMap::new();
    for layer in &mut image.layers {
        let dirs = layer.tree.dirs.extract_if(.., |name, _| !KEPT.contains(&&**name));
        let dirs = dirs.map(|(name, dir)| (name, 1 + names_in(&dir))).collect::<Vec<_>>();
        let files = layer.tree.files.extract_if(.., |name, _| !KEPT.contains(&&**name)).map(|(name, _)| (name, 1));
        for (name, count) in dirs.into_iter().chain(files) {
            *left_out.entry(name).or_insert(0) += count;
        }
    }
    if !left_out.is_empty() {
        let list: Vec<_> = left_out.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        image.warnings.push(format!(
            "the layers' files outside of /usr, /etc and /var are left out, as bootc does where prepare-root.conf of the ostree \
             commit turns on neither composefs nor root.transient: {}",
            list.join(", ")
        ));
    }
    image.drop_unnamed_objects();
}

fn names_in(directory: &Directory) -> usize {
    directory.files.len() + directory.dirs.values().map(|below| 1 + names_in(below)).sum::<usize>()
}
