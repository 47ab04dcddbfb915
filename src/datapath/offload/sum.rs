//! Checksums that senders left to a device.
//!
//! The walk knows nothing of them. A partial field holds the sum `S` over the
//! pseudo header, and is exchanged for `!S` before the walk: that is the
//! checksum of a packet of zeros, and every way of adjusting a checksum, in
//! any mode, adjusts it rightly. Behind the walk `S` is taken out of it again;
//! if it is the sum over the pseudo header that now stands there, the device
//! that sends the packet can do the rest. If not, because the mode leaves
//! payloads alone or the sender wrote something else, only software can.

use crate::packet::{Packet, Transport};
use crate::wire::checksum;

use super::place::Place;

/// Exchanges the sum over the pseudo header for a checksum, and back: of the
/// two zeros of one's complement the one that the walk takes for no other
/// thing. Nothing changes where UDP has no checksum at all.
pub(super) fn invert(place: &Place, head: &mut [u8]) {
    let value = place.checksum(head);
    if is_absent(place, value) {
        return;
    }
    let inverted = match (place.transport, !value) {
        (Transport::Udp, 0) => 0xffff,
        (Transport::Tcp, 0xffff) => 0,
        (_, inverted) => inverted,
    };
    place.set_checksum(head, inverted);
}

/// Whether there is no checksum: in UDP a field of zero.
pub(super) fn is_absent(place: &Place, value: u16) -> bool {
    place.transport == Transport::Udp && value == 0
}

/// Whether a field that went through the walk stands for the pseudo header
/// that the packet has now. One's complement has two zeros, so it is not the
/// same as being equal.
pub(super) fn is_of_pseudo_header(place: &Place, value: u16) -> bool {
    let sum = u64::from(place.pseudo_header(place.len));
    checksum::fold(sum + u64::from(value)) == 0xffff
}

/// Completes the checksum of a packet whose field went through [`invert`].
pub(super) fn complete<P: Packet>(packet: &mut P, place: &Place) {
    let value = place.checksum(packet.head());
    if is_absent(place, value) {
        return;
    }
    // The field is summed up with the rest: once more inverted it is taken
    // out, and a second time it stands for the pseudo header.
    let sum = of(packet, place.l4, place.len) + 2 * u64::from(!value);
    let completed = match (place.transport, !checksum::fold(sum)) {
        (Transport::Udp, 0) => 0xffff,
        (_, completed) => completed,
    };
    place.set_checksum(packet.head_mut(), completed);
}

/// The sum over bytes of a packet, whichever segments they lie in.
fn of<P: Packet>(packet: &P, at: usize, len: usize) -> u64 {
    let (mut sum, mut odd) = (0, false);
    packet.visit(at, len, |bytes| {
        let part = words(bytes);
        // What begins with the lower half of a word is exchanged.
        sum += u64::from(if odd { part.swap_bytes() } else { part });
        odd ^= bytes.len() % 2 != 0;
    });
    sum
}

/// The folded sum over bytes, read as the machine reads them: the order of
/// bytes matters only in the end (RFC 1071 section 2). Eight sums beside each
/// other are what the compiler makes vectors of.
fn words(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut sums = [0u64; 8];
    for block in blocks {
        for (sum, word) in sums.iter_mut().zip(block.as_chunks::<4>().0) {
            *sum += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let whole = checksum::fold(sums.iter().sum());
    checksum::fold(u64::from(u16::from_be(whole)) + checksum::sum(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Buffer;

    #[test]
    fn sums_of_every_length_and_split() {
        let bytes: Vec<u8> = (0..200u32).map(|i| (i * i + 251 * i) as u8 | 1).collect();
        for len in 0..bytes.len() {
            let right = checksum::fold(checksum::sum(&bytes[..len]));
            assert_eq!(words(&bytes[..len]), right, "{len} bytes");
            let packet = Buffer::new(&bytes);
            assert_eq!(checksum::fold(of(&packet, 0, len)), right);
        }
        for at in 1..bytes.len() {
            let (first, second) = bytes.split_at(at);
            let (mut sum, mut odd) = (0u64, false);
            for part in [first, second] {
                let folded = words(part);
                sum += u64::from(if odd { folded.swap_bytes() } else { folded });
                odd ^= part.len() % 2 != 0;
            }
            assert_eq!(checksum::fold(sum), checksum::fold(checksum::sum(&bytes)));
        }
        assert_eq!(words(&[0xff; 65_536]), 0xffff, "no overflow");
    }
}
