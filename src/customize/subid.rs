//! Subordinate ids of new users, for containers without root (subuid(5), subgid(5)), where the image has these files.

use super::Error;
use super::accounts::Accounts;
use super::login_defs::{Defaults, SubIds};
use super::passwd::{Table, field, number_at};

pub fn add(accounts: &mut Accounts, user: &str, defaults: &Defaults) -> Result<(), Error> {
    for (what, table, ids) in
        [("subuid", &mut accounts.subuid, &defaults.sub_uid), ("subgid", &mut accounts.subgid, &defaults.sub_gid)]
    {
        let Some(table) = table.as_mut().filter(|table| ids.count > 0 && table.find(user).is_none()) else { continue };
        let (min, max) = (*ids.range.start(), *ids.range.end());
        let start = first_gap(table, ids).ok_or_else(|| Error::NoneFree { what, min, max, name: user.to_owned() })?;
        table.put(&[user, &start.to_string(), &ids.count.to_string()]);
    }
    Ok(())
}

/// The lowest start of `count` ids in the range that overlap nobody's, as `useradd` looks for it.
fn first_gap(table: &Table, ids: &SubIds) -> Option<u64> {
    let number = |fields: &[&[u8]], field| number_at(fields, field).map(u64::from);
    let taken = table
        .records()
        .filter_map(|fields| Some((number(&fields, field::subid::START)?, number(&fields, field::subid::COUNT)?)));
    let mut taken: Vec<(u64, u64)> = taken.collect();
    taken.sort_unstable();
    let count = u64::from(ids.count);
    let start = taken.into_iter().fold(u64::from(*ids.range.start()), |start, (other, others)| {
        if start + count <= other { start } else { start.max(other + others) }
    });
    (start + count <= u64::from(*ids.range.end()) + 1).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_goes_into_the_first_gap_that_holds_it() {
        for (taken, expected) in [
            ("", Some(1000)),
            ("a:1000:100\n", Some(1100)),
            ("a:1000:100\nb:1150:10\n", Some(1160)),
            ("b:1200:10\na:1000:100\n", Some(1100)),
            ("a:1000:1000\n", Some(2000)),
            ("a:1000:1001\n", None),
            ("a:x:y\n", Some(1000)),
        ] {
            let ids = SubIds { range: 1000..=2099, count: 100 };
            assert_eq!(first_gap(&Table::parse(taken.as_bytes()), &ids), expected, "{taken}");
        }
    }
}
