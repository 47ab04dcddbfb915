//! The mapping table: (vni, vaddr) to where frames for it go.
//!
//! One [`Writer`] in control, one [`Reader`] per worker. A reader sees an
//! entry in full or not at all, waits for nobody and writes nothing that
//! anybody else reads; growing, deletion, expiry and iteration go on beside
//! it. Memory that readers may still hold is freed after each worker has
//! passed a quiescent state.
//!
//! | File | What |
//! |---|---|
//! | `entry` | keys, mappings, and the words they are stored as |
//! | `hash`, `table` | where an entry is, how readers find it, why that is safe |
//! | `update` | how the writer changes a table under readers: all stores, in order |
//! | `grow` | replacing a table by a larger one in small steps; sweeps |
//! | `reader` | the lookup of a burst, its cache misses side by side |
//! | `prefix` | prefixes behind one host or node, asked on an exact miss |
//! | `writer` | what control calls |
//! | `reclaim` | when memory can be freed |
//! | `published` | one value replaced as a whole: host table, bindings, policy |
//! | `region`, `arch`, `sync` | pages, fetching ahead, and the seam for the model checker |
//!
//! ```
//! use weft::mapping::{Domain, Found, HostIndex, Key, Limits, Mapping, Target, Writer};
//!
//! let domain = Domain::default();
//! let mut writer = Writer::new(&domain, Limits::default())?;
//! let reader = writer.readers().reader();
//! let mut worker = domain.register()?;
//!
//! let g = Key::new(0x5A0001, 0x0A000003);
//! let at_s = Mapping::new(Target::Remote(HostIndex::new(1).unwrap()));
//! writer.insert(g, at_s)?;
//!
//! let mut found = [Found::NOTHING; 2];
//! let keys = [g, Key::new(0x590001, 0x0A000003)];
//! reader.lookup_burst(&worker, &keys, &mut found);
//! assert_eq!(found.map(Found::mapping), [Some(at_s), None]);
//! worker.quiescent();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arch;
mod entry;
mod grow;
mod hash;
mod prefix;
mod published;
mod reader;
mod reclaim;
mod region;
mod sync;
mod table;
mod update;
mod writer;

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod model;
#[cfg(all(test, not(loom)))]
mod torture;

pub use entry::{Found, HostIndex, Key, Mapping, NodeIndex, Reached, SideIndex, Target};
pub use grow::Cursor;
pub use prefix::{Prefix, PrefixError};
pub use published::{Publisher, Refused, Subscriber};
pub use reader::{BURST, Reader, ReaderFactory};
pub use reclaim::{Busy, Domain, DomainLimits, Participant, Pending, TooManyParticipants};
pub use writer::{Limits, Writer};

/// Whether a piece of work done within a budget is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// Call again.
    More,
    /// Complete.
    Done,
}

/// Why a mapping was not added. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The configured limit is reached.
    #[error("the table is full: {current} entries of at most {limit}; raise its limit")]
    Full {
        /// The configured limit.
        limit: usize,
        /// Entries now.
        current: usize,
    },
    /// The table must grow, and a worker that stands still keeps the memory of
    /// earlier ones from being freed.
    #[error("the table cannot grow: {0}")]
    Busy(#[from] Busy),
    /// The system has no memory for a larger table.
    #[error("no memory for a table of {entries} entries")]
    Memory {
        /// Entries it was to have room for.
        entries: usize,
    },
}
