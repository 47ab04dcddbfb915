//! A frame in one line, for trace and explain.
//!
//! Every byte is looked at through `get`: frames are shown because something
//! may be wrong with them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The bytes written as hexadecimal digits, or `None` if they are not.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |d: u8| char::from(d).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}

/// Who sends what to whom.
pub(super) fn describe(frame: &[u8]) -> String {
    summary(frame).unwrap_or_else(|| format!("{} bytes, cut off within its headers", frame.len()))
}

/// Sixteen bytes a line, with their offset.
pub(super) fn dump(frame: &[u8]) -> Vec<String> {
    let line = |(index, bytes): (usize, &[u8])| {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}  {}", index * 16, hex.join(" "))
    };
    frame.chunks(16).enumerate().map(line).collect()
}

fn summary(frame: &[u8]) -> Option<String> {
    let mut at = 12;
    let mut tags = String::new();
    while matches!(word(frame, at)?, 0x8100 | 0x88a8) {
        tags += &format!("vlan {} ", word(frame, at + 2)? & 0xfff);
        at += 4;
    }
    let packet = frame.get(at + 2..)?;
    let text = match word(frame, at)? {
        0x0800 => ipv4(packet)?,
        0x86dd => ipv6(packet)?,
        0x0806 => arp(packet)?,
        other => format!("ethertype 0x{other:04x}, {} bytes", frame.len()),
    };
    Some(tags + &text)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([two[0], two[1]]))
}

fn ipv4(p: &[u8]) -> Option<String> {
    let (source, destination) = (ipv4_address(p, 12)?, ipv4_address(p, 16)?);
    let header = usize::from(p[0] & 15) * 4;
    let fragment = word(p, 6)?;
    let offset = usize::from(fragment & 0x1fff) * 8;
    let mut text = format!("{source} > {destination} ");
    text += &transport(p[9], p.get(header..).unwrap_or_default(), offset);
    text += &format!(", length {}, ttl {}", word(p, 2)?, p[8]);
    if p[1] != 0 {
        text += &format!(", tos 0x{:02x}", p[1]);
    }
    if fragment & 0x4000 != 0 {
        text += ", df";
    }
    text += &piece(offset, fragment & 0x2000 != 0);
    Some(text)
}

fn ipv6(p: &[u8]) -> Option<String> {
    let (source, destination) = (ipv6_address(p, 8)?, ipv6_address(p, 24)?);
    let label = u32::from(p[1] & 15) << 16 | u32::from(word(p, 2)?);
    let class = (p[0] & 15) << 4 | p[1] >> 4;
    let (next, payload, part) = match p[6] {
        44 => {
            let fragment = word(p, 42)?;
            let offset = usize::from(fragment & 0xfff8);
            (p[40], p.get(48..)?, Some((offset, fragment & 1 != 0)))
        }
        next => (next, p.get(40..)?, None),
    };
    let offset = part.map_or(0, |(offset, _)| offset);
    let mut text = format!(
        "{source} > {destination} {}",
        transport(next, payload, offset)
    );
    text += &format!(
        ", payload {}, hop limit {}, label 0x{label:05x}",
        word(p, 4)?,
        p[7]
    );
    if class != 0 {
        text += &format!(", class 0x{class:02x}");
    }
    if let Some((offset, more)) = part {
        text += &piece(offset, more);
    }
    Some(text)
}

fn arp(p: &[u8]) -> Option<String> {
    let (sender, target) = (ipv4_address(p, 14)?, ipv4_address(p, 24)?);
    Some(match word(p, 6)? {
        1 => format!("arp who has {target}, tell {sender}"),
        2 => format!("arp {sender} is at {}", mac(p, 8)?),
        operation => format!("arp operation {operation}"),
    })
}

fn transport(protocol: u8, bytes: &[u8], offset: usize) -> String {
    let ports = || Some((word(bytes, 0)?, word(bytes, 2)?));
    let name = match protocol {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        58 => "icmpv6",
        other => return format!("protocol {other}"),
    };
    match (protocol, ports()) {
        // Only the first piece has the transport header.
        _ if offset != 0 => name.to_owned(),
        (6 | 17, Some((source, destination))) => format!("{name} {source} > {destination}"),
        (1 | 58, Some((kind, _))) => format!("{name} type {} code {}", kind >> 8, kind & 0xff),
        _ => name.to_owned(),
    }
}

fn piece(offset: usize, more: bool) -> String {
    match (offset, more) {
        (0, false) => String::new(),
        (offset, true) => format!(", piece at {offset}, more follow"),
        (offset, false) => format!(", last piece at {offset}"),
    }
}

fn ipv4_address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(bytes.into())
}

fn ipv6_address(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let bytes: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(bytes.into())
}

fn mac(bytes: &[u8], at: usize) -> Option<crate::wire::Mac> {
    let bytes: [u8; 6] = bytes.get(at..at + 6)?.try_into().ok()?;
    Some(crate::wire::Mac(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS: &str = "02000000000202000000000a";

    fn frame(rest: &str) -> Vec<u8> {
        from_hex(&format!("{MACS}{}", rest.replace(' ', ""))).unwrap()
    }

    #[test]
    fn hexadecimal_is_read_or_refused() {
        assert_eq!(from_hex("00fFa5"), Some(vec![0, 0xff, 0xa5]));
        assert_eq!(from_hex(""), Some(vec![]));
        for bad in ["0", "0g", "é", "+1"] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_ipv4_packet_is_told_in_one_line() {
        let udp = "0800 45000020 00004000 40110000 0a000002 0a000003 04d2 0035 000c 0000";
        assert_eq!(
            describe(&frame(udp)),
            "10.0.0.2 > 10.0.0.3 udp 1234 > 53, length 32, ttl 64, df"
        );
        let later = "8100 0064 0800 45b80020 00002002 40060000 0a000002 0a000003 04d20035";
        assert_eq!(
            describe(&frame(later)),
            "vlan 100 10.0.0.2 > 10.0.0.3 tcp, length 32, ttl 64, tos 0xb8, piece at 16, more follow"
        );
    }

    #[test]
    fn a_substrate_packet_shows_its_label() {
        let echo = "86dd 6b840a00 0008 3a 40 20010db80000000a015a00010a000002 \
                    20010db80000000b025a00010a000003 8000 0000 0001 0001";
        assert_eq!(
            describe(&frame(echo)),
            "2001:db8:0:a:15a:1:a00:2 > 2001:db8:0:b:25a:1:a00:3 icmpv6 type 128 code 0, \
             payload 8, hop limit 64, label 0x40a00, class 0xb8"
        );
        let last = "86dd 60000000 0010 2c 40 20010db80000000a015a00010a000002 \
                    20010db80000000b025a00010a000003 0600 0010 00000001 0102030405060708";
        assert!(describe(&frame(last)).ends_with("label 0x00000, last piece at 16"));
    }

    #[test]
    fn arp_and_strangers_have_a_line_too() {
        let ask = "0806 0001 0800 0604 0001 02000000000a 0a000002 000000000000 0a000003";
        assert_eq!(describe(&frame(ask)), "arp who has 10.0.0.3, tell 10.0.0.2");
        assert_eq!(describe(&frame("88cc 0207")), "ethertype 0x88cc, 16 bytes");
    }

    #[test]
    fn no_length_of_any_packet_panics() {
        let echo = "86dd 60000000 0010 2c 40 20010db80000000a015a00010a000002 \
                    20010db80000000b025a00010a000003 0600 0010 00000001 0102030405060708";
        let udp = "8100 0064 0800 4f000020 00004000 40110000 0a000002 0a000003 04d20035 000c0000";
        let arp = "0806 0001 0800 0604 0002 02000000000a 0a000002 000000000000 0a000003";
        for whole in [echo, udp, arp] {
            let whole = frame(whole);
            for length in 0..=whole.len() {
                assert!(!describe(&whole[..length]).is_empty());
            }
        }
    }

    #[test]
    fn a_dump_has_sixteen_bytes_a_line() {
        let lines = dump(&[0xa5; 17]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], "0010  a5");
    }
}
