//! What the store's changes do to the appliance, and what it can be asked.
//!
//! The store decides and remembers; the plant compiles snapshots for the
//! workers and writes the mapping table. Between them there is only this
//! trait, so that the protocol is tested without a data path.

use crate::config::Config;
use crate::wire::Vni;
use crate::wire::address::Prefix4;

use super::proto::{
    CyclesReport, Error, ErrorCode, Explain, ExplainReport, GroupReport, Learned, Lease,
    NeighborReport, PlantStatus, PortReport, RelayState, Seen, StatsReport, TraceStart,
};
use super::store::Store;
use super::store::mappings::Place;

/// Why the appliance could not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlantError {
    /// A table is full.
    #[error("{table} is full: {limit} entries")]
    Full { table: &'static str, limit: usize },
    /// The thing asked about does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Any other reason, fit for the operator.
    #[error("{0}")]
    Refused(String),
}

impl From<PlantError> for Error {
    fn from(error: PlantError) -> Error {
        let code = match error {
            PlantError::Full { .. } => ErrorCode::Limit,
            PlantError::NotFound(_) => ErrorCode::NotFound,
            PlantError::Refused(_) => ErrorCode::Refused,
        };
        Error::new(code, error.to_string())
    }
}

/// The running appliance as the control socket sees it.
///
/// For one request the store calls, in this order: `topology_changed` when
/// anything but mappings changed, `mapping_set` for what is new,
/// `mapping_remove` for what is gone, and `topology_changed` once more if hosts
/// have gone that mappings named: the first call still shows them. When a table
/// is full, removals come before sets. If one of them fails, the store goes
/// back to what it was and calls the same again with the old state. All of them
/// are idempotent. The index of a removed host is not given to another host
/// within the same request.
pub trait Plant {
    /// The mapping now is so: at a host, which is an index for
    /// [`Store::host`], in a slot, and with a MAC. `expires_at` is on the clock that `now`
    /// is taken from.
    fn mapping_set(
        &mut self,
        vni: Vni,
        prefix: Prefix4,
        at: Place,
        expires_at: Option<u32>,
    ) -> Result<(), PlantError>;

    /// The mapping is gone; it may have been gone before.
    fn mapping_remove(&mut self, vni: Vni, prefix: Prefix4);

    /// Everything but mappings is now as in the store.
    fn topology_changed(&mut self, store: &Store) -> Result<(), PlantError>;

    fn status(&self) -> PlantStatus;
    fn stats(&self) -> StatsReport;
    /// Where the workers' cycles go, and what is how full.
    fn cycles(&self) -> CyclesReport;
    fn ports(&self) -> Vec<PortReport>;
    /// Neighbours as they live, static ones included.
    fn neighbors(&self) -> Vec<NeighborReport>;
    /// Groups that have members, here or at other hosts.
    fn groups(&self, _: &Store) -> Vec<GroupReport> {
        Vec::new()
    }
    /// Addresses that nodes have by DHCP.
    fn leases(&self) -> Vec<Lease> {
        Vec::new()
    }
    /// How the relay is doing, if one runs.
    fn relay_state(&self) -> Option<RelayState> {
        None
    }

    /// What was found out of a binding's node, if anything was.
    fn learned(&self, binding: &str) -> Option<Learned>;

    /// The slot that a node is in, in layout `slot`.
    fn slot_of(&self, _binding: &str) -> Option<u8> {
        None
    }

    /// The settings it runs with: a file without its objects.
    fn settings(&self) -> Config;

    /// Takes over settings of which only those differ that can change while
    /// running.
    fn settings_changed(&mut self, settings: &Config) -> Result<(), PlantError>;

    /// Opens ports that `wanted` has and the running appliance has not, all of
    /// them or none; the next `topology_changed` may name them.
    fn ports_open(&mut self, _wanted: &Config, names: &[&str]) -> Result<(), PlantError> {
        let names = names.join(", ");
        Err(PlantError::Refused(format!("cannot open ports: {names}")))
    }

    /// Gives up ports that nothing in the store names any more.
    fn ports_close(&mut self, _names: &[&str]) {}

    /// Whether all that the store holds has room in the tables.
    fn has_room(&self, _: &Store) -> Result<(), PlantError> {
        Ok(())
    }

    fn explain(&mut self, request: &Explain) -> Result<ExplainReport, PlantError>;

    /// Starts a trace and names it. Its records go to
    /// [`Server::trace_record`](super::server::Server::trace_record).
    fn trace_start(&mut self, request: &TraceStart) -> Result<u64, PlantError>;
    fn trace_stop(&mut self, trace: u64) -> Result<Seen, PlantError>;

    fn log_set(&mut self, filter: &str) -> Result<(), PlantError>;
}
