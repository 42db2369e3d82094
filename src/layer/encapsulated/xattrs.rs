//! The sets of xattrs in one layer, and the one that waits for its file.

use std::collections::HashMap;

use super::Error;
use crate::ostree::{self, Checksum, ObjectName, Xattrs};

/// Files with equal xattrs share one set, of which a whole system has a few hundred.
#[derive(Default)]
pub struct XattrSets {
    /// By the checksum of their bytes; looked up only, so its order does not show.
    sets: HashMap<Checksum, Xattrs>,
    waiting: Option<(Checksum, Xattrs)>,
}

impl XattrSets {
    /// Adds a set in its serialised form, `a(ayay)`. Answers its name, and the set when it is new.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(Checksum, Option<Xattrs>), ostree::Error> {
        let name = Checksum::of(bytes);
        if self.sets.contains_key(&name) {
            return Ok((name, None));
        }
        let set = Xattrs::parse_object(bytes)?;
        self.sets.insert(name, set.clone());
        Ok((name, Some(set)))
    }

    /// The set `name` belongs to the file that follows. False: there is no such set.
    pub fn announce(&mut self, file: Checksum, name: Checksum) -> Result<bool, Error> {
        if let Some((first, _)) = self.waiting {
            return Err(Error::FileMissing { first, second: file });
        }
        self.waiting = self.sets.get(&name).map(|xattrs| (file, xattrs.clone()));
        Ok(self.waiting.is_some())
    }

    /// The xattrs of the file that is here now.
    pub fn take(&mut self, object: ObjectName) -> Result<Xattrs, Error> {
        match self.waiting.take() {
            Some((file, xattrs)) if file == object.checksum => Ok(xattrs),
            Some((other, _)) => Err(Error::XattrsOfAnother { object, other }),
            None => Err(Error::XattrsMissing { object }),
        }
    }
}
