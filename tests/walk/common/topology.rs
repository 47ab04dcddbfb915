//! The test plan of addresses as two hosts' topologies.
//!
//! ```text
//! R: uplink 0, A on 1, C on 2 (tag 100), Y's twin of A on 3, exception port 4,
//!    a trunk with two nodes of Z on 5 (tags 200 and 300)
//! S: uplink 0, G on 1, Y's node with G's address on 2
//! ```

use weft::datapath::segments::Segment;
use weft::datapath::topology::{
    Entropy, Hop, HostRecord, NodeRecord, PATHS, PortNodes, PortRecord, Topology, VnetRecord,
};
use weft::mapping::{HostIndex, Key, Mapping, NodeIndex, Target};
use weft::model::{Dscp, Macs, Mode, Role, Verify};
use weft::wire::ethernet::{self, ethertype};
use weft::wire::virtual_mac::{Family, Kind};
use weft::wire::{Layout, Locator, Mac, Saddr, Vaddr, Vni, checksum};

use super::Setup;

pub const Z: Vni = Vni(0x5a_0001);
pub const Y: Vni = Vni(0x59_0001);

pub const A: Vaddr = Vaddr(0x0a00_0002);
pub const C: Vaddr = Vaddr(0x0a00_0005);
pub const G: Vaddr = Vaddr(0x0a00_0003);
/// On the trunk of R.
pub const E: Vaddr = Vaddr(0x0a00_0006);
pub const F: Vaddr = Vaddr(0x0a00_0007);
/// In Z's range, and nowhere.
pub const NOBODY: Vaddr = Vaddr(0x0a00_0063);
/// Outside of Z's range.
pub const OUTSIDE: Vaddr = Vaddr(0xc000_0201);

pub const MAC_A: Mac = Mac([0x02, 0, 0, 0, 0, 0x0a]);
pub const MAC_C: Mac = Mac([0x02, 0, 0, 0, 0, 0x0c]);
pub const MAC_G: Mac = Mac([0x02, 0, 0, 0, 0, 0x06]);
pub const MAC_TWIN: Mac = Mac([0x02, 0, 0, 0, 0, 0x1a]);
pub const MAC_E: Mac = Mac([0x02, 0, 0, 0, 0, 0x0e]);
pub const MAC_F: Mac = Mac([0x02, 0, 0, 0, 0, 0x0f]);
pub const MAC_R: Mac = Mac([0x02, 0, 0, 0, 1, 0]);
pub const MAC_S: Mac = Mac([0x02, 0, 0, 0, 2, 0]);

pub const UPLINK: u16 = 0;
pub const PORT_A: u16 = 1;
pub const PORT_C: u16 = 2;
pub const PORT_TWIN: u16 = 3;
pub const EXCEPTION: u16 = 4;
pub const TRUNK: u16 = 5;
/// At S.
pub const PORT_G: u16 = 1;
pub const PORT_G_TWIN: u16 = 2;

pub const TAG_C: u16 = 100;
pub const TAG_E: u16 = 200;
pub const TAG_F: u16 = 300;

pub const NODE_A: NodeIndex = node_index(0);
pub const NODE_C: NodeIndex = node_index(1);
pub const NODE_TWIN: NodeIndex = node_index(2);
pub const NODE_E: NodeIndex = node_index(3);
pub const NODE_F: NodeIndex = node_index(4);
/// At S.
pub const NODE_G: NodeIndex = node_index(0);
pub const NODE_G_TWIN: NodeIndex = node_index(1);

pub const HOST_R: HostIndex = host_index(0);
pub const HOST_S: HostIndex = host_index(1);
pub const HOST_T: HostIndex = host_index(2);

pub const MTU: u16 = 1500;

pub const fn node_index(i: u32) -> NodeIndex {
    NodeIndex::new(i).expect("small")
}

pub const fn host_index(i: u32) -> HostIndex {
    HostIndex::new(i).expect("small")
}

pub fn locator_r() -> Locator {
    "2001:db8:0:a:100::/72".parse().expect("literal")
}

pub fn locator_s() -> Locator {
    "2001:db8:0:b:200::/72".parse().expect("literal")
}

pub fn locator_t() -> Locator {
    "2001:db8:0:c:500::/72".parse().expect("literal")
}

/// A node's place on the substrate.
pub fn saddr(locator: &Locator, vni: Vni, vaddr: Vaddr) -> Saddr {
    Layout::P72.compose(locator, vni, vaddr)
}

/// An uplink's own address.
pub fn own_r() -> Saddr {
    "2001:db8:ffff::a"
        .parse::<std::net::Ipv6Addr>()
        .expect("literal")
        .octets()
}

pub fn all_nodes() -> Saddr {
    "ff02::1"
        .parse::<std::net::Ipv6Addr>()
        .expect("literal")
        .octets()
}

pub fn port(name: &str, role: Role, mac: Mac, nodes: PortNodes) -> PortRecord {
    PortRecord {
        name: name.to_owned(),
        role,
        mac,
        vlan: None,
        own: Vec::new(),
        groups: Vec::new(),
        mtu: MTU,
        exception: None,
        nd_proxy: false,
        nodes,
    }
}

pub fn node(
    name: &str,
    own: &Locator,
    (vni, vnet): (Vni, u32),
    vaddr: Vaddr,
    (port, vlan): (u16, u16),
    mac: Mac,
) -> NodeRecord {
    let layout = Layout::P72;
    let vni_alone = checksum::sum(&(u128::from(vni.0) << 32).to_be_bytes());
    NodeRecord {
        name: name.to_owned(),
        vni,
        vaddr,
        vnet,
        port,
        vlan,
        mac: Some(mac),
        prefixes: Vec::new(),
        neighbors: Family::new(Kind::Node, vni),
        sees_given: false,
        given: None,
        saddr: layout.compose(own, vni, Vaddr(0)),
        checksum_part: checksum::fold(layout.checksum_part(own, vni) + vni_alone),
        segment: Segment::default(),
        macs: Vec::new(),
        watched: Vec::new(),
        serves_dhcp: false,
    }
}

fn vnet(name: &str, vni: Vni) -> VnetRecord {
    VnetRecord {
        name: name.to_owned(),
        vni,
        mode: Mode::Siit,
        dscp: Dscp::Copy,
        verify: Verify::Strict,
        mtu: MTU - 28,
        mss: 0,
        prefixes: vec!["10.0.0.0/24".parse().expect("literal")],
        learns: false,
        resolves: false,
        dhcp_server: None,
        macs: Macs::Computed,
    }
}

pub fn host(name: &str, locator: Locator) -> HostRecord {
    HostRecord {
        name: name.to_owned(),
        checksum_part: checksum::fold(checksum::sum(&locator.bits().to_be_bytes())),
        locator,
        mtu: MTU,
        paths: [0; PATHS],
    }
}

pub fn hop(source: Mac, destination: Mac, vlan: Option<u16>) -> Hop {
    let link = ethernet::Header {
        destination,
        source,
        vlan,
        ethertype: ethertype::IPV6,
        len: 0,
    };
    Hop::new(UPLINK, "fe80::1".parse().expect("literal"), &link)
}

fn common(own: Locator) -> Topology {
    let hosts = vec![
        host("R", locator_r()),
        host("S", locator_s()),
        host("T", locator_t()),
    ];
    Topology {
        layout: Layout::P72,
        locator: Some(own),
        substrate_mtu: MTU,
        vnets: vec![vnet("Z", Z), vnet("Y", Y)],
        host_by_locator: hosts
            .iter()
            .zip(0..)
            .map(|(host, i)| (host.locator.bits(), host_index(i)))
            .collect(),
        hosts,
        ..Topology::default()
    }
}

pub fn local(node: NodeIndex) -> Mapping {
    Mapping::new(Target::Local(node))
}

pub fn remote(host: HostIndex) -> Mapping {
    Mapping::new(Target::Remote(host))
}

pub fn key(vni: Vni, vaddr: Vaddr) -> Key {
    Key::new(vni.0, vaddr.0)
}

pub fn topology_r() -> Topology {
    let own = locator_r();
    let known = |mac, node| PortNodes::Sole { vlan: 0, mac, node };
    let mut uplink = port("uplink", Role::Uplink, MAC_R, PortNodes::None);
    uplink.own = vec![own_r(), Layout::P72.control_address(&own)];
    uplink.groups = vec![all_nodes()];
    uplink.mtu = 9000;
    Topology {
        ports: vec![
            uplink,
            port("a", Role::Node, Mac::ZERO, known(MAC_A, NODE_A)),
            port(
                "c",
                Role::Node,
                Mac::ZERO,
                PortNodes::Sole {
                    vlan: TAG_C,
                    mac: Mac::ZERO,
                    node: NODE_C,
                },
            ),
            port("twin", Role::Node, Mac::ZERO, known(MAC_TWIN, NODE_TWIN)),
            PortRecord {
                exception: Some(UPLINK),
                ..port("exception", Role::Exception, Mac::ZERO, PortNodes::None)
            },
            port(
                "trunk",
                Role::Node,
                Mac::ZERO,
                PortNodes::Many(
                    [((TAG_E, MAC_E), NODE_E), ((TAG_F, MAC_F), NODE_F)]
                        .into_iter()
                        .collect(),
                ),
            ),
        ],
        nodes: vec![
            node("A", &own, (Z, 0), A, (PORT_A, 0), MAC_A),
            node("C", &own, (Z, 0), C, (PORT_C, TAG_C), MAC_C),
            node("twin", &own, (Y, 1), A, (PORT_TWIN, 0), MAC_TWIN),
            node("E", &own, (Z, 0), E, (TRUNK, TAG_E), MAC_E),
            node("F", &own, (Z, 0), F, (TRUNK, TAG_F), MAC_F),
        ],
        hops: vec![hop(MAC_R, MAC_S, None)],
        ..common(own)
    }
}

pub fn topology_s() -> Topology {
    let own = locator_s();
    let mac = Mac::ZERO;
    let sole = |node| PortNodes::Sole { vlan: 0, mac, node };
    Topology {
        ports: vec![
            port("uplink", Role::Uplink, MAC_S, PortNodes::None),
            port("g", Role::Node, Mac::ZERO, sole(NODE_G)),
            port("g-twin", Role::Node, Mac::ZERO, sole(NODE_G_TWIN)),
        ],
        nodes: vec![
            node("G", &own, (Z, 0), G, (PORT_G, 0), MAC_G),
            node("G-twin", &own, (Y, 1), G, (PORT_G_TWIN, 0), MAC_G),
        ],
        hops: vec![hop(MAC_S, MAC_R, None)],
        ..common(own)
    }
}

/// R with everybody's mappings.
pub fn setup_r() -> Setup {
    let mappings = vec![
        (key(Z, A), local(NODE_A)),
        (key(Z, C), local(NODE_C)),
        (key(Z, E), local(NODE_E)),
        (key(Z, F), local(NODE_F)),
        (key(Z, G), remote(HOST_S)),
        (key(Y, A), local(NODE_TWIN)),
        (key(Y, G), remote(HOST_S)),
    ];
    Setup::new(topology_r(), mappings)
}

/// S with everybody's mappings.
pub fn setup_s() -> Setup {
    let mappings = vec![
        (key(Z, G), local(NODE_G)),
        (key(Z, A), remote(HOST_R)),
        (key(Z, C), remote(HOST_R)),
        (key(Y, G), local(NODE_G_TWIN)),
        (key(Y, A), remote(HOST_R)),
    ];
    Setup::new(topology_s(), mappings)
}

/// The same with labels that do not depend on the flow.
pub fn still(mut setup: Setup) -> Setup {
    setup.topology.entropy = Entropy::Zero;
    setup
}

pub fn with(mut setup: Setup, change: impl FnOnce(&mut Topology)) -> Setup {
    change(&mut setup.topology);
    setup
}
