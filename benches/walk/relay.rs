//! The relay's part of the walk: a peer behind the prefix, and hosts of which
//! each has an explicit mapping.

use super::common::topology::{hop, port};
use weft::datapath::topology::{PortNodes, RelayRecord, Topology};
use weft::model::{Eam, IcmpRate, Role};
use weft::siit::address_map::{AddressMap, AddressRules};
use weft::siit::rfc6052::Pool6;
use weft::siit::rfc7757::Eams;
use weft::siit::rfc7915::{ClassRule, Hairpin, Rules, UdpZero};
use weft::wire::address::Prefix4;
use weft::wire::{Mac, Prefix6, Saddr, Vaddr};

pub(crate) const V4: u16 = 0;
pub(crate) const V6: u16 = 1;
pub(crate) const PEER: Vaddr = Vaddr(0xc633_6402);
const OURS: Mac = Mac([2, 0, 0, 0, 0, 0x46]);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 0x01]);

/// The link header of frames for the relay, without the ethertype.
pub(crate) fn link() -> Vec<u8> {
    [OURS.0, ROUTER.0].concat()
}

pub(crate) fn host(address: Vaddr) -> Saddr {
    (0x2001_0db8_beef_u128 << 80 | u128::from(address.0)).to_be_bytes()
}

pub(crate) fn behind_pool(address: Vaddr) -> Saddr {
    (0x2001_0db8_0064_u128 << 80 | u128::from(address.0)).to_be_bytes()
}

fn eam(address: Vaddr) -> Eam {
    let ipv6 = Prefix6::new(host(address).into(), 128).expect("no bits after it");
    Eam {
        ipv4: Prefix4 { address, len: 32 },
        ipv6,
    }
}

/// A relay with mappings of these addresses.
pub(crate) fn topology(addresses: impl Iterator<Item = Vaddr>) -> Topology {
    let rules = Rules {
        traffic_class: ClassRule::Copy,
        tos: ClassRule::Copy,
        udp_zero: UdpZero::Compute,
        hairpin: Hairpin::Intrinsic,
        mtu4: 1500,
        mtu6: 1500,
        lowest_ipv6_mtu: 1280,
        mtu_plateaus: vec![65535, 1492, 68],
        error_source_extension: false,
    };
    let own6 = (0x2001_0db8_0006_u128 << 80 | 1).to_be_bytes();
    let pool = "2001:db8:64::/96".parse().expect("a prefix");
    let address_rules = AddressRules {
        pool6: Some(Pool6::new(pool).expect("of length 96")),
        strict: true,
        own4: Some(Vaddr(0xc000_0201)),
        own6: Some(own6),
        ..AddressRules::default()
    };
    let eams = Eams::build(usize::MAX, addresses.map(eam)).expect("no two alike");
    let (mut out4, mut out6) = (hop(OURS, ROUTER, None), hop(OURS, ROUTER, None));
    (out4.port, out6.port) = (V4, V6);
    let relay = RelayRecord {
        uncut6: rules.lowest_ipv6_mtu,
        rules,
        addresses: AddressMap::new(&address_rules, eams),
        own4: Vaddr(0xc000_0201),
        broadcast4: Vaddr(0xc000_020f),
        hop4: Some(out4),
        hop6: Some(out6),
        icmp_rate: IcmpRate::Unlimited,
    };
    let side = |name, role| port(name, role, OURS, PortNodes::default());
    let mut topology = Topology {
        ports: vec![side("v4", Role::Relay4), side("v6", Role::Relay6)],
        relay: Some(Box::new(relay)),
        ..Topology::default()
    };
    topology.ports[usize::from(V6)].own = vec![own6];
    topology
}
