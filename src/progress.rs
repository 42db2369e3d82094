//! What the library tells whoever watches it work. Printing it is `cli/`'s business.

/// A piece of work that has a beginning and an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Reading the layer with this index in the manifest.
    Layer(usize),
    /// Fetching the parts of a static delta.
    Delta,
    /// Fetching the objects of an ostree commit.
    Pull,
    /// Making the sysroot.
    Deploy,
    /// Writing the outputs.
    Write,
}

/// One thing that happened. Numbers are bytes, those of [`Task::Pull`] objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A second one for the same task begins it anew.
    Begin {
        task: Task,
        label: &'a str,
        total: Option<u64>,
    },
    Advance {
        task: Task,
        by: u64,
    },
    /// The total is larger than was said so far.
    Grow {
        task: Task,
        by: u64,
    },
    /// Comes once for every `Begin` whose work did not fail.
    End {
        task: Task,
    },
    Warning(&'a str),
}

/// Receives events, from any thread, several at once.
pub trait Progress: Sync {
    fn report(&self, event: &Event<'_>);
}

/// Hears everything and says nothing.
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: &Event<'_>) {}
}
