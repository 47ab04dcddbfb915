//! Who hears which multicast group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::Vaddr;

/// A host with nodes that have joined a multicast group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Name of the vnet.
    pub vnet: String,
    /// The group, such as `239.1.2.3`.
    pub group: Vaddr,
    /// Name of the host.
    pub host: String,
    /// Seconds from now after which it is one no longer; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u32>,
}
