//! What a GRUB image consists of beside its kernel: modules, each behind those it depends on (`util/resolve.c`), a
//! configuration and a prefix, as a list of objects (`include/grub/kernel.h`). The same for every platform but for the padding.

use std::collections::{BTreeMap, BTreeSet};

/// The modules `wanted` with all that `moddep` (lines `name: dependency …`) says they need.
pub fn in_order(moddep: &str, wanted: &[&str]) -> Vec<String> {
    let line = |line: &'_ str| {
        let (name, dependencies) = line.split_once(':')?;
        Some((name.trim().to_owned(), dependencies.split_whitespace().map(str::to_owned).collect()))
    };
    let dependencies: BTreeMap<String, Vec<String>> = moddep.lines().filter_map(line).collect();
    let mut order = Order { dependencies: &dependencies, begun: BTreeSet::new(), done: Vec::new() };
    wanted.iter().for_each(|name| order.add(name));
    order.done
}

struct Order<'a> {
    dependencies: &'a BTreeMap<String, Vec<String>>,
    /// Also ends circles.
    begun: BTreeSet<String>,
    done: Vec<String>,
}

impl Order<'_> {
    /// The list is read into a chain by its front, so GRUB walks it backwards. No list is deeper than it has names.
    fn add(&mut self, name: &str) {
        if !self.begun.insert(name.to_owned()) {
            return;
        }
        for dependency in self.dependencies.get(name).into_iter().flatten().rev() {
            self.add(dependency);
        }
        self.done.push(name.to_owned());
    }
}

/// `GRUB_MODULE_MAGIC`.
pub const MODULE_MAGIC: u32 = 0x676d_696d;
const OBJECT_ELF: u32 = 0;
const OBJECT_CONFIG: u32 = 2;
const OBJECT_PREFIX: u32 = 3;

/// The objects back to back, each {kind u32, size with header and padding u32, bytes}, padded to a multiple of `alignment`: the
/// files of the modules, the configuration that GRUB runs first, and the directory it looks for more in. `None` when an object
/// would pass 4 GiB.
pub fn objects(modules: &[Vec<u8>], config: &str, prefix: &str, alignment: usize) -> Option<Vec<u8>> {
    let mut objects = Vec::new();
    for module in modules {
        push(&mut objects, OBJECT_ELF, module, module.len().next_multiple_of(alignment))?;
    }
    for (kind, text) in [(OBJECT_CONFIG, config), (OBJECT_PREFIX, prefix)] {
        push(&mut objects, kind, text.as_bytes(), (text.len() + 1).next_multiple_of(alignment))?;
    }
    Some(objects)
}

fn push(objects: &mut Vec<u8>, kind: u32, bytes: &[u8], padded: usize) -> Option<()> {
    objects.extend(kind.to_le_bytes());
    objects.extend(u32::try_from(padded.checked_add(8)?).ok()?.to_le_bytes());
    objects.extend(bytes);
    objects.resize(objects.len() + padded - bytes.len(), 0);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_the_last_of_a_line_before_the_others_and_circles_end() {
        let moddep = "a: b c\nb: c\nd: e\ne: d\n";
        assert_eq!(in_order(moddep, &["a", "x", "d"]), ["c", "b", "a", "x", "e", "d"]);
    }
}
