//! `bootwright test`: boots a finished disk in QEMU, listens to its console and says whether it came up; `life` goes on from there.
//!
//! The only room that starts a host program, and that program is QEMU. It never writes to the disk: the guest's
//! writes go to a qcow2 overlay in a private directory that is gone afterwards.
//!
//! Leaf room: knows nothing of images, layouts or plans. What the disk contains is not asked here (`inspect/`), so
//! the caller decides which firmware fits. Printing is not here either: progress is an [`Event`], the end a [`Verdict`].

mod accel;
mod boot;
mod command;
mod console;
mod error;
mod firmware;
mod install;
mod interrupt;
mod life;
mod machine;
mod overlay;
mod qmp;
mod report;
mod request;
mod shell;
mod socket;
mod stage;
mod terminal;
mod transcript;
mod verdict;

pub use accel::{Accel, Accelerator};
pub use boot::run;
pub use command::{Arch, Network};
pub use console::Console;
pub use error::Error;
pub use firmware::Firmware;
pub use interrupt::stop_on_signals;
pub use life::{Life, Step, Upgrade, live};
pub use machine::{Changes, Drive, Machine, MachineConfig};
pub use overlay::{DiskFormat, detect};
pub use regex::Regex;
pub use report::{json, junit};
pub use request::{Event, Request};
pub use stage::Stage;
pub use verdict::Verdict;
