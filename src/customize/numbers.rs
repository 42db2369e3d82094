//! Which uid and gid a new user or group gets.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::config::Customizations;

/// What the configuration names itself: numbers that nobody else may be given before, and groups.
pub struct Asked {
    pub uids: BTreeSet<u32>,
    pub gids: BTreeSet<u32>,
    pub groups: BTreeSet<String>,
}

impl Asked {
    pub fn of(customizations: &Customizations) -> Asked {
        let gids =
            customizations.groups.iter().map(|group| group.gid).chain(customizations.users.iter().map(|user| user.gid));
        Asked {
            uids: customizations.users.iter().filter_map(|user| user.uid).collect(),
            gids: gids.flatten().collect(),
            groups: customizations.groups.iter().map(|group| group.name.clone()).collect(),
        }
    }
}

/// As `useradd` does: one more than the highest number in use within the range; the lowest free one when that is past its end.
pub fn next(used: &BTreeSet<u32>, asked: &BTreeSet<u32>, range: &RangeInclusive<u32>) -> Option<u32> {
    if range.is_empty() {
        return None;
    }
    let free = |number: &u32| !used.contains(number) && !asked.contains(number);
    let after = used.range(range.clone()).next_back().map_or(*range.start(), |highest| highest.saturating_add(1));
    (after..=*range.end()).find(free).or_else(|| range.clone().find(free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_after_the_highest_and_then_in_the_first_gap() {
        for (used, asked, range, expected) in [
            (vec![0, 999, 70_000], vec![], 1000..=60_000, Some(1000)),
            (vec![1000, 1005], vec![], 1000..=60_000, Some(1006)),
            (vec![1000], vec![1001, 1002], 1000..=60_000, Some(1003)),
            (vec![1000, 1003], vec![1001], 1000..=1003, Some(1002)),
            (vec![1, 2], vec![], 1..=2, None),
            (vec![u32::MAX], vec![], 5..=u32::MAX, Some(5)),
            (vec![], vec![], RangeInclusive::new(9, 3), None),
        ] {
            let found = next(&used.iter().copied().collect(), &asked.iter().copied().collect(), &range);
            assert_eq!(found, expected, "{used:?} {asked:?} {range:?}");
        }
    }
}
