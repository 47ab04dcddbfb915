use super::*;
use crate::appliance::plant::Plant;
use crate::appliance::testing;
use crate::control::proto::{Change, RouterRemove, RouterSet, VnetSet, VrouteRemove, VrouteSet};
use crate::model::Origin;
use crate::node::snmp::message::{self, Answer, kind};
use crate::node::snmp::{Oid, Value};

/// configs/subnets.toml; r1 answers `public`.
fn world() -> (Plant, Store) {
    let file = include_str!("../../../../configs/subnets.toml");
    let said =
        "[router.snmp]\ncommunities = [\"public\"]\ncontact = \"noc\"\n\n[[router]]\nname = \"r2\"";
    let said = file.replacen("[[router]]\nname = \"r2\"", said, 1);
    assert_ne!(said, file);
    testing::built(&said)
}

fn address(text: &str) -> Vaddr {
    text.parse().unwrap()
}

fn set(prefix: &str, via: Option<&str>) -> Change<'static> {
    Change::VrouteSet(VrouteSet {
        vroute: Vroute {
            router: "r1".to_owned(),
            prefix: prefix.parse().unwrap(),
            via: via.map(address),
            action: via.is_none().then_some(VrouteAction::Prohibit),
        },
        revision: 0,
    })
}

fn remove(prefix: &str) -> Change<'static> {
    Change::VrouteRemove(VrouteRemove {
        router: "r1".to_owned(),
        prefix: prefix.parse().unwrap(),
        revision: 0,
    })
}

fn changed(store: &Store, change: impl Fn(&mut Router)) -> Change<'static> {
    let mut router = store.router("r1").unwrap().clone();
    change(&mut router);
    let revision = 0;
    Change::RouterSet(Box::new(RouterSet { router, revision }))
}

fn shown(tables: &Tables) -> Vec<(String, Hop)> {
    let routes = tables.routes.iter();
    let route = |(&(address, len), &way): (&(u32, u8), &Way)| {
        let address = Vaddr(address);
        (format!("{address}/{len}"), tables.hop(way))
    };
    routes.map(route).collect()
}

/// Each change by itself ends where a fresh start does.
#[test]
fn routes_follow_the_store() {
    let (mut plant, mut store) = world();
    let mut tables = Tables::default();
    tables.follow(&store, store.router("r1").unwrap());
    let via = |address: &str, iface| Hop::Via {
        address: self::address(address),
        iface,
    };
    let expected = [
        ("0.0.0.0/0", Hop::Blackhole),
        ("10.0.1.0/24", Hop::Connected(1)),
        ("10.0.2.0/24", via("10.0.255.2", 2)),
        ("10.0.255.0/30", Hop::Connected(2)),
    ];
    let expected = expected.map(|(prefix, hop)| (prefix.to_owned(), hop));
    assert_eq!(shown(&tables), expected);
    let mut counts = Vec::new();
    let many: Vec<_> = (0..9000u32)
        .map(|i| {
            set(
                &format!("198.{}.{}.0/24", 18 + i / 256, i % 256),
                Some("10.0.1.9"),
            )
        })
        .collect();
    for changes in [
        vec![set("203.0.113.0/24", Some("10.0.1.9"))],
        vec![set("203.0.113.0/24", None)],
        vec![set("203.0.113.0/25", None), remove("10.0.2.0/24")],
        vec![remove("203.0.113.0/24")],
        vec![changed(&store, |router| router.interfaces.reverse())],
        // More than the store remembers.
        many,
        vec![remove("203.0.113.0/25")],
    ] {
        let done = store.apply(&mut plant, Origin::Operator, &changes, 0);
        done.unwrap();
        let router = store.router("r1").unwrap();
        tables.follow(&store, router);
        let mut fresh = Tables::default();
        fresh.follow(&store, router);
        assert_eq!(shown(&tables), shown(&fresh));
        assert_eq!(tables.places, fresh.places);
        counts.push(tables.routes.len());
    }
    assert_eq!(counts, [5, 5, 5, 4, 4, 9004, 9003]);
    assert_eq!(tables.places[0].subnet, "link");
    assert_eq!(tables.places[0].mac.to_string(), "72:5b:0a:00:ff:01");
}

/// What r1 says is its contact.
fn ask(plant: &mut Plant, store: &Store, community: &str) -> Option<Vec<u8>> {
    ask_of(plant, store, ("r1", community))
}

fn ask_of(plant: &mut Plant, store: &Store, (router, community): (&str, &str)) -> Option<Vec<u8>> {
    let mut bindings = Vec::new();
    let contact = Oid::new(&[1, 3, 6, 1, 2, 1, 1, 4, 0]);
    message::put_binding(&mut bindings, &contact, &Value::Integer(0));
    let get = Answer {
        kind: kind::GET,
        request: 7,
        status: 0,
        index: 0,
        bindings,
    };
    let mut asked = Asked {
        snmp: &mut plant.snmp,
        store,
        host: "2001:db8:0:a:100::/72",
        node_mtu: 1472,
        vnet_mtu: 1472,
        traffic: &|_, _| None,
        now: Time(1000),
    };
    asked.answer(&Ask {
        vnet: "Z",
        router,
        own: address("10.0.1.1"),
        from: (address("10.0.1.2"), 4000),
        data: &message::v2c(community.as_bytes(), &get),
    })
}

#[test]
fn who_may_ask_is_what_the_store_says_now() {
    let (mut plant, mut store) = world();
    let reply = ask(&mut plant, &store, "public").unwrap();
    assert!(
        reply.windows(5).any(|part| part == b"\x04\x03noc"),
        "{reply:?}"
    );
    assert_eq!(ask(&mut plant, &store, "other"), None);
    let community = SnmpRefused::Community as usize;
    assert_eq!((plant.snmp.answered, plant.snmp.refused[community]), (1, 1));
    let change = changed(&store, |router| {
        let snmp = router.snmp.as_mut().unwrap();
        snmp.communities = vec!["other".to_owned()];
    });
    store
        .apply(&mut plant, Origin::Operator, &[change], 0)
        .unwrap();
    assert!(ask(&mut plant, &store, "other").is_some());
    assert_eq!(ask(&mut plant, &store, "public"), None);
    let change = changed(&store, |router| router.snmp = None);
    store
        .apply(&mut plant, Origin::Operator, &[change], 0)
        .unwrap();
    assert_eq!(ask(&mut plant, &store, "other"), None);
    assert_eq!(plant.snmp.refused[community], 2);
}

/// Z's own router: in `lab`, and where r2 was.
#[test]
fn a_vnets_own_router_is_asked_if_the_vnet_says_so() {
    let (mut plant, mut store) = world();
    assert_eq!(ask_of(&mut plant, &store, ("Z", "public")), None);
    let mut vnet = store.vnet("Z").unwrap().clone();
    vnet.snmp = Some(Box::new(model::Snmp {
        communities: vec!["public".to_owned()],
        contact: "own".to_owned(),
        ..model::Snmp::default()
    }));
    let set = |vnet: &model::Vnet| {
        let (vnet, revision) = (vnet.clone(), 0);
        Change::VnetSet(VnetSet { vnet, revision })
    };
    store
        .apply(&mut plant, Origin::Operator, &[set(&vnet)], 0)
        .unwrap();
    let reply = ask_of(&mut plant, &store, ("Z", "public")).unwrap();
    assert!(reply.windows(5).any(|part| part == b"\x04\x03own"));
    assert_eq!(ask_of(&mut plant, &store, ("Z", "other")), None);
    let own = |store: &Store| {
        let own = router(store, "Z").unwrap().into_owned();
        let mut tables = Tables::default();
        tables.follow(store, &own);
        let places = tables.places.iter();
        let places: Vec<_> = places.map(|place| place.address.to_string()).collect();
        (places, shown(&tables))
    };
    let via = Hop::Via {
        address: address("10.0.3.9"),
        iface: 1,
    };
    let (lab, behind) = ("10.0.3.0/24".to_owned(), "10.0.64.0/18".to_owned());
    assert_eq!(
        own(&store),
        (
            vec!["10.0.3.1".to_owned()],
            vec![(lab, Hop::Connected(1)), (behind, via)]
        )
    );
    // It takes what another router gives up, and says so from then on.
    let gone = [
        Change::VrouteRemove(VrouteRemove {
            router: "r2".to_owned(),
            prefix: "10.0.1.0/24".parse().unwrap(),
            revision: 0,
        }),
        remove("10.0.2.0/24"),
        Change::RouterRemove(RouterRemove {
            name: "r2".to_owned(),
            revision: 0,
        }),
    ];
    store.apply(&mut plant, Origin::Operator, &gone, 0).unwrap();
    assert_eq!(own(&store).0, ["10.0.2.1", "10.0.3.1"]);
    // Without a router it has nothing to say, and is not left so.
    vnet.name = "Y".to_owned();
    vnet.vni = crate::wire::Vni(0x59_0001);
    let refused = store.apply(&mut plant, Origin::Operator, &[set(&vnet)], 0);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("has no router of its own"), "{text}");
}
