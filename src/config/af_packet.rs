//! `net_af_packet` and frames that are larger than usual.
//!
//! The driver exchanges frames with the kernel in slots of `framesz` bytes,
//! 2048 if nothing is said, and cuts off what does not fit. Slots lie in blocks
//! of `blocksz` bytes, a page if nothing is said. So a port of a larger MTU
//! needs both in its device string; they follow from the MTU, and are added
//! where the file does not say them.

use crate::model::Port;

use super::check::device::{argument, identity};

/// `framesz` of the driver.
const FRAME: u32 = 2048;
/// `blocksz` of the driver, and what it must be a multiple of.
const PAGE: u32 = 4096;
/// What a slot holds beside the packet: the kernel's header with the address
/// (`TPACKET_ALIGN(TPACKET2_HDRLEN + 16)`), two VLAN tags. The Ethernet header
/// ends where the kernel's begins to count, so it is in there.
const AROUND: u32 = 80 + 8;
/// Of a slot, what the driver wants no room for in a packet buffer.
const HEADER: u32 = 32;
/// Slots are multiples of this: four of them fill whole pages.
const STEP: u32 = 1024;
/// A packet buffer counts its bytes in 16 bits; slots must fit into one.
const MOST: u32 = 32 * 1024;

/// Why a device string does not do for its port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) message: String,
    pub(super) hint: String,
}

fn is_af_packet(port: &Port) -> bool {
    identity(&port.device).starts_with("net_af_packet")
}

/// A number of the device string. One that is none is the driver's to refuse.
fn given(port: &Port, key: &str) -> Option<u32> {
    argument(&port.device, key)?.parse().ok()
}

/// The smallest slot that holds the port's largest packet.
fn needed(mtu: u16) -> u32 {
    (u32::from(mtu) + AROUND).next_multiple_of(STEP).max(FRAME)
}

fn frame(port: &Port) -> u32 {
    given(port, "framesz").unwrap_or_else(|| needed(port.mtu))
}

/// The smallest block that is filled by slots.
fn block(frame: u32) -> u32 {
    let pages = (1..=PAGE).find(|n| frame.saturating_mul(*n).is_multiple_of(PAGE));
    frame.saturating_mul(pages.unwrap_or(1))
}

/// The device string with what the port's MTU needs.
pub fn device_string(port: &Port) -> String {
    let mut device = port.device.clone();
    let frame = frame(port);
    if !is_af_packet(port) || frame == FRAME {
        return device;
    }
    for (key, value) in [("framesz", frame), ("blocksz", block(frame))] {
        if argument(&port.device, key).is_none() {
            device += &format!(",{key}={value}");
        }
    }
    device
}

/// Bytes that the driver wants in a packet buffer of this port; 0 of any other.
pub(super) fn room(port: &Port) -> u32 {
    match is_af_packet(port) {
        true => frame(port).min(MOST).saturating_sub(HEADER),
        false => 0,
    }
}

/// Whether what the file says of slots and blocks does for the port.
pub(super) fn check(port: &Port) -> Result<(), Unfit> {
    if !is_af_packet(port) {
        return Ok(());
    }
    let needed = needed(port.mtu);
    let unfit = |message: String, hint: String| Err(Unfit { message, hint });
    let frame = frame(port);
    let least = u32::from(port.mtu) + AROUND;
    if frame < least || frame > MOST || !frame.is_multiple_of(16) {
        return unfit(
            format!(
                "`framesz={frame}` does not do for packets of {} bytes: it must be a multiple of \
                 16 from {least} to {MOST}",
                port.mtu
            ),
            format!("leave out `framesz` and `blocksz`, or write `framesz={needed}`"),
        );
    }
    let Some(given) = given(port, "blocksz") else {
        return Ok(());
    };
    if given == 0 || !given.is_multiple_of(PAGE) || !given.is_multiple_of(frame) {
        return unfit(
            format!("`blocksz={given}` is not a multiple of {PAGE} and of the frame size, {frame}"),
            format!("leave out `blocksz`, or write `blocksz={}`", block(frame)),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn port(device: &str, mtu: u16) -> Port {
        let text = format!("name = \"up\"\ndevice = \"{device}\"\nrole = \"uplink\"\nmtu = {mtu}");
        let port: Port = toml::from_str(&text).unwrap();
        assert_eq!(port.role, Role::Uplink);
        port
    }

    #[test]
    fn large_packets_get_large_slots() {
        for (given, mtu, added, needs) in [
            ("net_af_packet0,iface=a", 1500, "", 2016),
            ("net_af_packet0,iface=a", 1960, "", 2016),
            (
                "net_af_packet0,iface=a",
                1961,
                ",framesz=3072,blocksz=12288",
                3040,
            ),
            (
                "net_af_packet0,iface=a",
                9000,
                ",framesz=9216,blocksz=36864",
                9184,
            ),
            (
                "net_af_packet0,iface=a",
                16000,
                ",framesz=16384,blocksz=16384",
                16352,
            ),
            (
                "net_af_packet0,framesz=16384",
                9000,
                ",blocksz=16384",
                16352,
            ),
            (
                "net_af_packet0,framesz=16384,blocksz=32768",
                9000,
                "",
                16352,
            ),
            ("net_tap0", 9000, "", 0),
        ] {
            let port = port(given, mtu);
            assert_eq!(device_string(&port), format!("{given}{added}"));
            assert_eq!(room(&port), needs, "{given} {mtu}");
            assert_eq!(check(&port), Ok(()), "{given} {mtu}");
        }
    }

    #[test]
    fn blocks_are_filled_by_slots() {
        for frame in (16..=MOST).step_by(16) {
            let block = block(frame);
            assert!(
                block.is_multiple_of(frame) && block.is_multiple_of(PAGE),
                "{frame}: {block}"
            );
            // 512 slots, unless the file says how many, fill whole blocks.
            assert_eq!(512 % (block / frame), 0, "{frame}: {block}");
        }
    }

    #[test]
    fn slots_that_do_not_do_are_refused() {
        for (device, mtu) in [
            ("net_af_packet0,framesz=2048", 9000),
            ("net_af_packet0,framesz=9000", 9000),
            ("net_af_packet0,framesz=0", 1500),
            ("net_af_packet0,framesz=65536", 1500),
            ("net_af_packet0,framesz=2056", 1500),
            ("net_af_packet0,blocksz=4096", 9000),
            ("net_af_packet0,blocksz=0", 1500),
            ("net_af_packet0,framesz=4096,blocksz=6144", 1500),
        ] {
            assert!(check(&port(device, mtu)).is_err(), "{device}");
        }
        let unfit = check(&port("net_af_packet0,framesz=2048", 9000)).unwrap_err();
        assert!(unfit.hint.contains("framesz=9216"), "{unfit:?}");
    }
}
