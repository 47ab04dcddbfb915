use super::*;
use crate::appliance::testing;
use crate::control::proto::{Change, SubnetSet, VrouteRemove, VrouteSet};
use crate::datapath::Topology;
use crate::datapath::route::{End, Route, follow};
use crate::model::Origin;

/// Host R of configs/subnets.toml, changed.
fn built(change: impl Fn(String) -> String) -> (crate::appliance::plant::Plant, Store) {
    let file = include_str!("../../../configs/subnets.toml");
    testing::built(&change(file.to_owned()))
}

fn address(text: &str) -> Vaddr {
    text.parse().unwrap()
}

/// What becomes of a packet of the node there.
fn from(topology: &Topology, node: &str, dst: &str) -> Route {
    let mut nodes = topology.nodes.iter();
    let node = nodes.find(|record| record.name == node).unwrap();
    assert!(!node.segment.prefix.contains(address(dst)));
    follow(topology, node.segment.gateway, address(dst), 64)
}

#[test]
fn a_file_becomes_routers() {
    let (plant, _) = built(|file| file);
    let topology = plant.topology();
    assert_eq!((topology.subnets.len(), topology.routers.len()), (4, 3));
    let a = &topology.nodes[plant.numbers.get("A").unwrap().index()];
    assert_eq!(a.segment.prefix.to_string(), "10.0.1.0/24");
    assert_eq!(
        a.segment.gateway_mac.unwrap().to_string(),
        "72:5b:0a:00:01:01"
    );
    for (node, dst, end, hops) in [
        ("A", "10.0.2.5", End::Connected, 2),
        ("C", "10.0.1.2", End::Connected, 2),
        ("A", "10.0.255.2", End::Own, 1),
        ("A", "10.0.2.1", End::Own, 1),
        ("A", "10.0.255.1", End::Own, 0),
        ("A", "10.0.2.255", End::Broadcast, 1),
        ("A", "192.0.2.1", End::Blackhole, 0),
        // r1's default route is none of r2's.
        ("C", "192.0.2.1", End::NoRoute, 0),
        ("C", "10.0.3.9", End::NoRoute, 0),
    ] {
        let route = from(topology, node, dst);
        assert_eq!((route.end, route.hops), (end, hops), "{node} to {dst}");
    }
    // The vnet's own router: a node of `lab` routes.
    let own = (0..).zip(&topology.ifaces);
    let mut own = own.filter(|(_, iface)| iface.address == address("10.0.3.1"));
    let entry = own.next().unwrap().0;
    let behind = follow(topology, entry, address("10.0.64.1"), 64);
    assert_eq!(behind.end, End::Node(address("10.0.3.9")));
}

#[test]
fn a_link_without_gateway_has_its_first_router() {
    let (plant, _) = built(|file| file.replacen("gateway = \"10.0.2.1\"\n", "", 1));
    let topology = plant.topology();
    let route = from(topology, "C", "10.0.1.2");
    assert_eq!((route.end, route.hops), (End::Connected, 2));
}

fn vroute(router: &str, prefix: &str, via: Option<&str>) -> Vroute {
    Vroute {
        router: router.to_owned(),
        prefix: prefix.parse().unwrap(),
        via: via.map(address),
        action: via.is_none().then_some(VrouteAction::Prohibit),
    }
}

fn set(vroute: Vroute) -> Change<'static> {
    let revision = 0;
    Change::VrouteSet(VrouteSet { vroute, revision })
}

fn remove(router: &str, prefix: &str) -> Change<'static> {
    Change::VrouteRemove(VrouteRemove {
        router: router.to_owned(),
        prefix: prefix.parse().unwrap(),
        revision: 0,
    })
}

/// A subnet of a router that is there or not.
fn subnet(name: &str, prefix: &str, gateway: &str) -> Change<'static> {
    let subnet = crate::model::Subnet {
        name: name.to_owned(),
        vnet: "Z".to_owned(),
        prefix: prefix.parse().unwrap(),
        gateway: Some(address(gateway)),
        dhcp: None,
    };
    let revision = 0;
    Change::SubnetSet(Box::new(SubnetSet { subnet, revision }))
}

/// Each change by itself ends where a fresh start does.
#[test]
fn tables_follow_the_store() {
    let (mut plant, mut store) = built(|file| file);
    let dsts = [
        "192.0.2.1",
        "10.0.1.7",
        "10.0.2.7",
        "10.0.2.1",
        "10.0.3.7",
        "10.0.9.1",
        "10.0.9.7",
        "10.0.64.1",
        "10.0.255.2",
        "198.51.100.1",
    ];
    let legs = |topology: &Topology| -> Vec<Vec<Option<Leg>>> {
        let routers = topology.routers.iter();
        let legs = routers.map(|router| dsts.map(|dst| router.leg(address(dst))).to_vec());
        legs.collect()
    };
    let mut seen = vec![legs(plant.topology())];
    for changes in [
        vec![set(vroute("r1", "198.51.100.0/24", Some("10.0.1.99")))],
        vec![set(vroute("r1", "198.51.100.0/24", Some("10.0.255.2")))],
        vec![set(vroute("r1", "198.51.100.0/25", None))],
        vec![remove("r1", "198.51.100.0/24")],
        // Another interface of the vnet's own router.
        vec![subnet("more", "10.0.9.0/24", "10.0.9.1")],
        // An own address stays one, whatever a route says of it.
        vec![set(vroute("r2", "10.0.2.1/32", None))],
        vec![remove("r2", "10.0.2.1/32")],
        vec![set(vroute("Z", "192.0.2.0/24", Some("10.0.9.9")))],
        vec![
            remove("Z", "192.0.2.0/24"),
            remove("r2", "10.0.1.0/24"),
            set(vroute("r2", "0.0.0.0/0", None)),
        ],
    ] {
        let changed = store.apply(&mut plant, Origin::Operator, &changes, 0);
        changed.unwrap();
        let now = legs(plant.topology());
        let mut fresh = Routing::default();
        fresh.follow(&store);
        let mut topology = Topology::default();
        let vnets = HashMap::from([("Z", 0)]);
        (topology.subnets, topology.ifaces, topology.routers) = fresh.records(&vnets);
        assert_eq!(now, legs(&topology), "{changes:?}");
        seen.push(now);
    }
    seen.dedup();
    // A shorter route behind a longer one, and two about an own address, change
    // nothing that is asked for here.
    assert_eq!(seen.len(), 7);
}

/// More changes than the store remembers.
#[test]
fn many_changes_at_once() {
    let (mut plant, mut store) = built(|file| file);
    let routes: Vec<_> = (0..10_000u32)
        .map(|i| Prefix4 {
            address: Vaddr(0xc000_0000 + (i << 8)),
            len: 24,
        })
        .collect();
    let changes: Vec<_> = routes
        .iter()
        .map(|prefix| set(vroute("r1", &prefix.to_string(), Some("10.0.255.2"))))
        .collect();
    store
        .apply(&mut plant, Origin::Operator, &changes, 0)
        .unwrap();
    let router = |plant: &crate::appliance::plant::Plant| {
        let mut routers = plant.topology().routers.iter();
        routers.find(|router| router.name == "r1").unwrap().clone()
    };
    assert!(router(&plant).routes.len() > 10_000);
    assert_eq!(router(&plant).legs.len(), 6, "one for each hop");
    let last = routes[9_999].address;
    assert!(matches!(router(&plant).leg(last), Some(Leg::Next { .. })));
    let prefix = routes[9_999].to_string();
    let gone = [remove("r1", &prefix)];
    store.apply(&mut plant, Origin::Operator, &gone, 0).unwrap();
    assert_eq!(router(&plant).leg(last), Some(Leg::Blackhole));
}
