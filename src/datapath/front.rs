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

    /// The same as two numbers whose lowest byte comes first: the bytes, and
    /// the bits that are known of them.
    #[inline(always)]
    pub(super) fn words(&self) -> ([u64; 2], [u64; 2]) {
        let words = |form: u128| {
            let form = form.to_le();
            [form as u64, (form >> 64) as u64]
        };
        (words(self.bytes), words(self.known))
    }

    #[inline(always)]
    pub(super) fn is_of(&self, front: [u8; 16]) -> bool {
        u128::from_ne_bytes(front) & self.known == self.bytes
    }
}
