//! Which modules an image needs, and in what order: each behind those it depends on (`util/resolve.c`).

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_the_last_of_a_line_before_the_others_and_circles_end() {
        let moddep = "a: b c\nb: c\nd: e\ne: d\n";
        assert_eq!(in_order(moddep, &["a", "x", "d"]), ["c", "b", "a", "x", "e", "d"]);
    }
}
