//! What a network card does to packets it sends, as its data sheet would have
//! it: byte by byte, and with nothing of the code it serves to test. It takes
//! its orders from the request alone, and refuses what does not add up.

use crate::packet::{Buffer, Packet, Request, Transport};
use crate::port::{Capabilities, Refused};

/// The frames that leave; `None` if the packet leaves as it is.
pub(super) fn send(
    packet: &Buffer,
    capabilities: &Capabilities,
) -> Result<Option<Vec<Vec<u8>>>, Refused> {
    if packet.parts() > usize::from(capabilities.scattered.max(1)) {
        return Err(Refused);
    }
    let Some(request) = packet.requested() else {
        return Ok(None);
    };
    let frame = packet.frame();
    expect(is_able(&request, capabilities))?;
    let l3 = usize::from(request.l2_len);
    let l4 = l3 + usize::from(request.l3_len);
    expect_headers(frame, &request, l3, l4)?;
    match request.cut {
        None => {
            let sum = fold(pseudo_header(frame, &request, l3, frame.len() - l4));
            expect(field(frame, &request, l4)? == sum)?;
            let mut frame = frame.to_vec();
            complete(&mut frame, &request, l4)?;
            Ok(Some(vec![frame]))
        }
        Some(cut) => {
            expect(field(frame, &request, l4)? == fold(pseudo_header(frame, &request, l3, 0)))?;
            let data = l4 + usize::from(cut.l4_len);
            expect(cut.l4_len == (byte(frame, l4 + 12)? >> 4) * 4 && data <= frame.len())?;
            segments(frame, &request, (l3, l4, data), usize::from(cut.size.get())).map(Some)
        }
    }
}

fn expect(holds: bool) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(Refused) }
}

fn is_able(request: &Request, capabilities: &Capabilities) -> bool {
    let checksum = match request.transport {
        Transport::Tcp => capabilities.tcp_checksum,
        Transport::Udp => capabilities.udp_checksum,
    };
    let cuts = capabilities.tcp_segments
        && request.transport == Transport::Tcp
        && (request.ipv6 || capabilities.ipv4_checksum);
    checksum && (request.cut.is_none() || cuts)
}

/// That the headers are where the request says, of the kind it says, and that
/// the packet is as long as they say.
fn expect_headers(frame: &[u8], request: &Request, l3: usize, l4: usize) -> Result<(), Refused> {
    let expected: [u8; 2] = if request.ipv6 { [0x86, 0xdd] } else { [8, 0] };
    expect(l3 >= 14 && frame.get(l3 - 2..l3) == Some(&expected))?;
    let (header_len, length, protocol) = if request.ipv6 {
        (
            40,
            40 + usize::from(word(frame, l3 + 4)?),
            byte(frame, l3 + 6)?,
        )
    } else {
        let header_len = usize::from(byte(frame, l3)? & 15) * 4;
        (
            header_len,
            usize::from(word(frame, l3 + 2)?),
            byte(frame, l3 + 9)?,
        )
    };
    let number = match request.transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
    };
    expect(l4 == l3 + header_len && protocol == number && frame.len() == l3 + length)
}

fn segments(
    frame: &[u8],
    request: &Request,
    (l3, l4, data): (usize, usize, usize),
    size: usize,
) -> Result<Vec<Vec<u8>>, Refused> {
    let (headers, data_bytes) = frame.split_at_checked(data).ok_or(Refused)?;
    let mut out = Vec::new();
    let last = data_bytes.len().div_ceil(size).saturating_sub(1);
    for (number, part) in data_bytes.chunks(size).enumerate() {
        let mut segment = [headers, part].concat();
        let bytes = segment.len();
        if request.ipv6 {
            put(&mut segment, l3 + 4, (bytes - l3 - 40) as u16)?;
        } else {
            expect(word(headers, l3 + 10)? == 0)?;
            put(&mut segment, l3 + 2, (bytes - l3) as u16)?;
            let id = word(headers, l3 + 4)?.wrapping_add(number as u16);
            put(&mut segment, l3 + 4, id)?;
            let checksum = !fold(sum(segment.get(l3..l4).ok_or(Refused)?));
            put(&mut segment, l3 + 10, checksum)?;
        }
        let first = u32::from(word(headers, l4 + 4)?) << 16 | u32::from(word(headers, l4 + 6)?);
        let sequence = first.wrapping_add((number * size) as u32);
        put(&mut segment, l4 + 4, (sequence >> 16) as u16)?;
        put(&mut segment, l4 + 6, sequence as u16)?;
        let flags = segment.get_mut(l4 + 13).ok_or(Refused)?;
        if number < last {
            *flags &= 0b1111_0110;
        }
        if number > 0 {
            *flags &= 0b0111_1111;
        }
        let sum = fold(pseudo_header(&segment, request, l3, bytes - l4));
        put(&mut segment, l4 + 16, sum)?;
        complete(&mut segment, request, l4)?;
        out.push(segment);
    }
    Ok(out)
}

/// Replaces the sum over the pseudo header by the checksum.
fn complete(frame: &mut [u8], request: &Request, l4: usize) -> Result<(), Refused> {
    let checksum = match (
        !fold(sum(frame.get(l4..).ok_or(Refused)?)),
        request.transport,
    ) {
        (0, Transport::Udp) => 0xffff,
        (checksum, _) => checksum,
    };
    put(frame, at(request, l4), checksum)
}

fn pseudo_header(frame: &[u8], request: &Request, l3: usize, len: usize) -> u64 {
    let (addresses, number) = match request.ipv6 {
        true => (l3 + 8..l3 + 40, l3 + 6),
        false => (l3 + 12..l3 + 20, l3 + 9),
    };
    let number = frame.get(number).copied().unwrap_or(0);
    sum(frame.get(addresses).unwrap_or(&[])) + u64::from(number) + len as u64
}

fn at(request: &Request, l4: usize) -> usize {
    match request.transport {
        Transport::Tcp => l4 + 16,
        Transport::Udp => l4 + 6,
    }
}

fn field(frame: &[u8], request: &Request, l4: usize) -> Result<u16, Refused> {
    word(frame, at(request, l4))
}

fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| {
        let (high, low) = (pair.first(), pair.get(1));
        u64::from(*high.unwrap_or(&0)) << 8 | u64::from(*low.unwrap_or(&0))
    };
    bytes.chunks(2).map(word).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn byte(frame: &[u8], at: usize) -> Result<u8, Refused> {
    frame.get(at).copied().ok_or(Refused)
}

fn word(frame: &[u8], at: usize) -> Result<u16, Refused> {
    Ok(u16::from(byte(frame, at)?) << 8 | u16::from(byte(frame, at + 1)?))
}

fn put(frame: &mut [u8], at: usize, value: u16) -> Result<(), Refused> {
    let place = frame.get_mut(at..at + 2).ok_or(Refused)?;
    place.copy_from_slice(&value.to_be_bytes());
    Ok(())
}
