//! What single tools of other people say of what we wrote.

pub mod composefs;
pub mod disk;
pub mod ext4;
pub mod fat;
pub mod ostree;
pub mod ostree_layer;
