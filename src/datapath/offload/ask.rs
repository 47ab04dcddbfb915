//! What a device is asked to do with a packet behind the walk: complete its
//! checksum, or cut the whole packet whose first segment walked ahead.

use crate::packet::{NoRoom, Packet, Request, Segments, Transport};
use crate::port::Capabilities;
use crate::wire::{ipv4, tcp};

use super::place::Place;
use super::segment::{self, Segmenting};
use super::sum;

pub(super) fn takes_scattered<P: Packet>(packet: &P, capabilities: &Capabilities) -> bool {
    packet.parts() <= usize::from(capabilities.scattered.max(1))
}

/// What to ask the device for; `None` if it cannot, or if it would not compute
/// what the sender meant.
pub(super) fn request<P: Packet>(
    place: &Place,
    packet: &P,
    capabilities: &Capabilities,
) -> Option<Request> {
    let can = match place.transport {
        Transport::Tcp => capabilities.tcp_checksum,
        Transport::Udp => capabilities.udp_checksum,
    };
    let meant = sum::is_of_pseudo_header(place, place.checksum(packet.head()));
    if !can || !meant || !place.exact {
        return None;
    }
    asking(place, None)
}

fn asking(place: &Place, cut: Option<Segments>) -> Option<Request> {
    let l3_len = u16::try_from(place.l4 - place.l3).ok()?;
    Some(Request {
        l2_len: u8::try_from(place.l3).ok().filter(|len| *len < 128)?,
        l3_len: Some(l3_len).filter(|len| *len < 512)?,
        ipv6: place.ipv6,
        transport: place.transport,
        cut,
    })
}

/// What to ask the device for that could cut the whole packet, of which `first`
/// is the first segment as it came out of the walk.
pub(super) fn uncut<P: Packet>(
    segments: &Segmenting,
    first: &P,
    packet: &P,
    capabilities: &Capabilities,
) -> Option<Request> {
    let place = Place::of_frame(first.head(), first.total_len())?;
    // Also that the checksum is one the device computes, see `request`.
    request(&place, first, capabilities)?;
    let came = segments.place();
    let can = capabilities.tcp_segments && (place.ipv6 || capabilities.ipv4_checksum);
    // Neither may segments differ in more than a device makes them differ: where
    // IPv4 is made up, each has an ID and a DF of its own.
    let made_up = came.ipv6 && !place.ipv6;
    let padded = came.l4 + came.len != packet.total_len();
    if !can || made_up || padded || packet.is_shared() || !takes_scattered(packet, capabilities) {
        return None;
    }
    segment::length(&place, came.len)?;
    let cut = Segments {
        l4_len: u8::try_from(segments.tcp_header_len()).ok()?,
        size: segments.size(),
    };
    asking(&place, Some(cut))
}

/// The whole packet with the headers that its first segment got on its walk.
pub(super) fn rejoin<P: Packet>(
    segments: &Segmenting,
    first: &P,
    mut packet: P,
    request: &Request,
) -> Result<P, NoRoom> {
    let place = Place::of_frame(first.head(), first.total_len()).ok_or(NoRoom)?;
    let headers = first.head().get(..place.l4 + segments.tcp_header_len());
    let headers = headers.ok_or(NoRoom)?;
    packet.trim_front(segments.headers().len())?;
    packet.prepend(headers.len())?;
    let head = packet.head_mut();
    head.get_mut(..headers.len())
        .ok_or(NoRoom)?
        .copy_from_slice(headers);
    let (at, told) = segment::length(&place, segments.place().len).ok_or(NoRoom)?;
    segment::set_word(head, at, told);
    if !place.ipv6 {
        segment::set_word(head, place.l3 + ipv4::field::CHECKSUM, 0);
    }
    // Which the first segment need not have.
    let flags = segments
        .headers()
        .get(segments.place().l4 + tcp::field::FLAGS);
    if let (Some(flags), Some(at)) = (flags, head.get_mut(place.l4 + tcp::field::FLAGS)) {
        *at = *flags;
    }
    place.set_checksum(head, place.pseudo_header(0));
    packet.request(Some(request))?;
    Ok(packet)
}
