//! Numbers of the IPv4 protocol field and the IPv6 next header field, which
//! share one registry.

pub const HOP_BY_HOP: u8 = 0;
pub const ICMP: u8 = 1;
pub const IGMP: u8 = 2;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const DCCP: u8 = 33;
pub const ROUTING: u8 = 43;
pub const FRAGMENT: u8 = 44;
pub const ESP: u8 = 50;
pub const AH: u8 = 51;
pub const ICMPV6: u8 = 58;
pub const NO_NEXT_HEADER: u8 = 59;
pub const DESTINATION_OPTIONS: u8 = 60;
pub const SCTP: u8 = 132;
pub const MOBILITY: u8 = 135;
pub const UDP_LITE: u8 = 136;
pub const HIP: u8 = 139;
pub const SHIM6: u8 = 140;

/// Whether the number announces a further IPv6 header, not a payload. AH and
/// ESP do not count: they are payload of a tenant, IPv4 has them too.
#[inline]
pub const fn is_extension_header(number: u8) -> bool {
    matches!(
        number,
        HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6
    )
}

/// IPv4 protocols that no managed mode carries: as next headers they would
/// become extension headers, an end of headers, or ICMPv6 in a tenant's hand.
#[inline]
pub const fn is_not_carried(number: u8) -> bool {
    // One shift and mask in place of a chain of comparisons.
    const MASKS: [u64; 4] = {
        let mut masks = [0u64; 4];
        let mut number = 0;
        while number < 256 {
            if is_extension_header(number as u8)
                || number as u8 == ICMPV6
                || number as u8 == NO_NEXT_HEADER
            {
                masks[number / 64] |= 1 << (number % 64);
            }
            number += 1;
        }
        masks
    };
    MASKS[(number >> 6) as usize] >> (number & 63) & 1 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_carried() {
        let refused: Vec<u8> = (0..=255).filter(|&n| is_not_carried(n)).collect();
        assert_eq!(refused, [0, 43, 44, 58, 59, 60, 135, 139, 140]);
    }
}
