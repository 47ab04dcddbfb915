//! Watching packets go through the stages.
//!
//! The walk is generic over a [`Tracer`]. [`Off`] compiles to nothing, and is
//! what runs unless somebody watches; a worker picks the walk with the
//! recording tracer for a burst only while a trace or capture is on.

use std::fmt;

use crate::packet::{Meta, Packet};

use super::tell::Tell;
use super::{Exit, Outcome};

/// The stages, in the order of the walk. `tx` is the worker's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    Parse,
    Classify,
    Authorize,
    Resolve,
    Rewrite,
    Tx,
}

impl Stage {
    pub const ALL: [Stage; 6] = [
        Stage::Parse,
        Stage::Classify,
        Stage::Authorize,
        Stage::Resolve,
        Stage::Rewrite,
        Stage::Tx,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Stage::Parse => "parse",
            Stage::Classify => "classify",
            Stage::Authorize => "authorize",
            Stage::Resolve => "resolve",
            Stage::Rewrite => "rewrite",
            Stage::Tx => "tx",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a walk tells of itself. `i` is the packet's place in the burst.
pub trait Tracer {
    /// Whether anybody hears of it. If not, a walk may take a shorter way to the
    /// same end.
    const WATCHES: bool = true;

    /// A packet enters.
    fn packet<P: Packet>(&mut self, i: usize, meta: &Meta, packet: &P);

    /// A stage came to a verdict. Passes it on unchanged.
    fn see<T: Tell>(&mut self, i: usize, stage: Stage, verdict: Result<T, Exit>)
    -> Result<T, Exit>;

    /// A packet leaves, rewritten if it got through.
    fn done<P: Packet>(&mut self, i: usize, packet: &P, result: &Result<Outcome, Exit>);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Off;

impl Tracer for Off {
    const WATCHES: bool = false;

    #[inline(always)]
    fn packet<P: Packet>(&mut self, _: usize, _: &Meta, _: &P) {}

    #[inline(always)]
    fn see<T: Tell>(&mut self, _: usize, _: Stage, verdict: Result<T, Exit>) -> Result<T, Exit> {
        verdict
    }

    #[inline(always)]
    fn done<P: Packet>(&mut self, _: usize, _: &P, _: &Result<Outcome, Exit>) {}
}
