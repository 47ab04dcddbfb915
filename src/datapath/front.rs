//! What is known of a frame's first bytes, to be compared in one go.

/// Sixteen bytes at the front of a frame, of which some are known: both
/// hardware addresses, the ethertype, and the version of what follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form16 {
    bytes: u128,
    known: u128,
}

impl Form16 {
    /// Which no frame has.
    pub(super) const NONE: Form16 = Form16 { bytes: 1, known: 0 };

    pub(super) fn new(bytes: [u8; 16], known: [u8; 16]) -> Form16 {
        let known = u128::from_ne_bytes(known);
        Form16 {
            bytes: u128::from_ne_bytes(bytes) & known,
            known,
        }
    }

    #[inline(always)]
    pub(super) fn is_of(&self, front: [u8; 16]) -> bool {
        u128::from_ne_bytes(front) & self.known == self.bytes
    }
}
