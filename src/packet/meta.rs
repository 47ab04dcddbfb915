//! What is known of a packet beside its bytes.

/// Travels in parallel to its packet through one burst. Filled by the
/// receiving port; nothing in here outlives the burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Index of the port the frame came in by.
    pub port: u16,
    /// A tag that the device took off (its id), 0 without one.
    pub vlan: u16,
}

const _: () = assert!(size_of::<Meta>() <= 16, "Meta is copied for every packet");

impl Meta {
    /// Whether there is nothing to know of the packet but its bytes.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        self.vlan == 0
    }
}
