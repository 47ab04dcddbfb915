//! Commands that list, show, add and remove objects.

use serde_json::{Value, json};

use crate::commands::{case, change};
use crate::scripted::{Appliance, Say};

#[test]
fn vnets() {
    change(
        "vnet add Z --vni 0x5A0001",
        "vnet.set",
        json!({"vnet": {"name": "Z", "vni": 0x5a_0001, "mode": "siit", "dscp": "copy", "verify": "strict"}}),
    );
    change(
        "vnet add Y --vni 5832705 --mode transparent --dscp 46 --verify locator --mtu 1400 \
         --prefix 10.0.0.0/24 --prefix 10.1.0.0/16 --revision 7",
        "vnet.set",
        json!({
            "vnet": {
                "name": "Y", "vni": 0x59_0001, "mode": "transparent", "dscp": 46,
                "verify": "locator", "mtu": 1400, "prefixes": ["10.0.0.0/24", "10.1.0.0/16"],
            },
            "revision": 7,
        }),
    );
    change("vnet remove Z", "vnet.remove", json!({"name": "Z"}));
    let held = json!({"items": [
        {"object": {"name": "Z", "vni": 0x5a_0001, "mode": "siit", "dscp": "copy", "verify": "strict"},
         "origin": "file", "revision": 0},
        {"object": {"name": "Y", "vni": 0x59_0001, "mode": "transparent", "dscp": 46,
                    "prefixes": ["10.0.0.0/24"], "verify": "locator", "mtu": 1400},
         "origin": "agent", "revision": 12},
    ]});
    case(
        "vnet list",
        "vnet.list",
        json!({}),
        held.clone(),
        "NAME  VNI       MODE         DSCP  PREFIXES     VERIFY    MTU  REVISION  ORIGIN
         Z     0x5a0001  siit         copy  -            strict      -         -  file
         Y     0x590001  transparent  46    10.0.0.0/24  locator  1400        12  agent",
    );
    let appliance = Appliance::answering("vnet.list", held.clone());
    let ran = appliance.weft("vnet show Y --json").ok();
    assert_eq!(ran.json(), [held["items"][1].clone()]);
    let ran = appliance.weft("vnet show Z").ok();
    assert!(ran.out.contains("0x5a0001") && !ran.out.contains("0x590001"));
    appliance
        .weft("vnet show X")
        .failed(1, "weft: no vnet `X`; see `weft vnet list`");
}

#[test]
fn hosts() {
    change(
        "host add S 2001:db8:0:b:200::/72 --revision 3",
        "host.set",
        json!({"host": {"name": "S", "locator": "2001:db8:0:b:200::/72"}, "revision": 3}),
    );
    change("host remove S", "host.remove", json!({"name": "S"}));
    let held = json!({"items": [
        {"object": {"name": "S", "locator": "2001:db8:0:b:200::/72"}, "origin": "operator", "revision": 3},
    ]});
    let text = "NAME  LOCATOR                REVISION  ORIGIN
                S     2001:db8:0:b:200::/72         3  operator";
    case("host list", "host.list", json!({}), held.clone(), text);
    let ran = Appliance::answering("host.list", held)
        .weft("host show S")
        .ok();
    assert!(ran.out.contains("2001:db8:0:b:200::/72"));
}

#[test]
fn bindings() {
    change(
        "binding add A --vnet Z --address 10.0.0.2 --port vm1",
        "binding.set",
        json!({"binding": {"name": "A", "vnet": "Z", "address": "10.0.0.2", "port": "vm1"}}),
    );
    change(
        "binding add C --vnet Z --address 10.0.0.5 --port vm1 --vlan 100 \
         --mac 02:00:00:00:00:05 --prefix 10.9.0.0/16",
        "binding.set",
        json!({"binding": {
            "name": "C", "vnet": "Z", "address": "10.0.0.5", "port": "vm1", "vlan": 100,
            "mac": "02:00:00:00:00:05", "prefixes": ["10.9.0.0/16"],
        }}),
    );
    change(
        "binding remove A --revision 4",
        "binding.remove",
        json!({"name": "A", "revision": 4}),
    );
    let held = json!({"items": [
        {"object": {"name": "A", "vnet": "Z", "address": "10.0.0.2", "port": "vm1", "vlan": 100},
         "origin": "operator", "revision": 0},
        {"object": {"name": "C", "vnet": "Z", "address": "10.0.0.5", "port": "vm1",
                    "mac": "02:00:00:00:00:05"}, "origin": "file", "revision": 0},
        {"object": {"name": "D", "vnet": "Z", "address": "10.0.0.6", "port": "vm2"},
         "origin": "file", "revision": 0, "learned": {"mac": "02:00:00:00:00:06", "slot": 0}},
        {"object": {"name": "E", "vnet": "Z", "address": "10.0.0.7", "port": "vm3", "slot": 63},
         "origin": "file", "revision": 0, "learned": {"addresses": [
            {"address": "10.0.0.9", "mac": "02:00:00:00:00:07", "by": "packet", "instead": true},
            {"address": "10.0.0.10", "mac": "02:00:00:00:00:07", "by": "arp", "watched": true}]}},
        {"object": {"name": "F", "vnet": "Z", "address": "10.0.0.8", "port": "vm4"},
         "origin": "file", "revision": 0, "learned": {"slot": 2}},
    ]});
    case(
        "binding list --vnet Z",
        "binding.list",
        json!({"vnet": "Z"}),
        held.clone(),
        "NAME  VNET  ADDRESS                                      PREFIXES  PORT  VLAN  SLOT  MAC                MAC-FROM  REVISION  ORIGIN
         A     Z     10.0.0.2                                     -         vm1    100     -  -                  -                -  operator
         C     Z     10.0.0.5                                     -         vm1      -     -  02:00:00:00:00:05  given            -  file
         D     Z     10.0.0.6                                     -         vm2      -     0  02:00:00:00:00:06  learned          -  file
         E     Z     10.0.0.7 (now 10.0.0.9) (watched 10.0.0.10)  -         vm3      -    63  -                  -                -  file
         F     Z     10.0.0.8                                     -         vm4      -     2  -                  -                -  file",
    );
    let ran = Appliance::answering("binding.list", held)
        .weft("binding show A")
        .ok();
    assert!(ran.out.contains("10.0.0.2"));
}

#[test]
fn mappings() {
    change(
        "mapping add --vnet Z 10.0.0.3 --host S --expires 300 --revision 9",
        "mapping.set",
        json!({"vnet": "Z", "mappings": [
            {"address": "10.0.0.3/32", "host": "S", "expires": 300, "revision": 9},
        ]}),
    );
    change(
        "mapping add --vnet Z 10.0.9.0/28 --host S --slot 63",
        "mapping.set",
        json!({"vnet": "Z", "mappings": [
            {"address": "10.0.9.0/28", "host": "S", "slot": 63},
        ]}),
    );
    change(
        "mapping add --vnet Z 10.0.0.3 --host S --mac 02:00:00:00:00:03",
        "mapping.set",
        json!({"vnet": "Z", "mappings": [
            {"address": "10.0.0.3/32", "host": "S", "mac": "02:00:00:00:00:03"},
        ]}),
    );
    change(
        "mapping remove --vnet Z 10.0.0.3 10.1.0.0/16",
        "mapping.remove",
        json!({"vnet": "Z", "mappings": [{"address": "10.0.0.3/32"}, {"address": "10.1.0.0/16"}]}),
    );
    case(
        "mapping show --vnet Z 10.1.2.3 --match",
        "mapping.get",
        json!({"vnet": "Z", "address": "10.1.2.3/32", "match": true}),
        json!({"object": {"vnet": "Z", "address": "10.1.0.0/16", "host": "S", "expires": 20,
                          "slot": 7, "mac": "02:00:00:00:00:03"},
               "origin": "agent", "revision": 1}),
        "VNET  ADDRESS      HOST  SLOT  MAC                EXPIRES  REVISION  ORIGIN
         Z     10.1.0.0/16  S        7  02:00:00:00:00:03       20         1  agent",
    );
    case(
        "mapping show --vnet Z 10.0.0.3",
        "mapping.get",
        json!({"vnet": "Z", "address": "10.0.0.3/32"}),
        json!({"object": {"vnet": "Z", "address": "10.0.0.3/32", "host": "S"},
               "origin": "file", "revision": 0}),
        "VNET  ADDRESS   HOST  SLOT  MAC  EXPIRES  REVISION  ORIGIN
         Z     10.0.0.3  S        -  -          -         -  file",
    );
}

pub(crate) fn mapping(n: u8) -> Value {
    json!({"object": {"vnet": "Z", "address": format!("10.0.0.{n}/32"), "host": "S"},
           "origin": "operator", "revision": 0})
}

/// Five mappings on pages of two.
fn paged() -> Appliance {
    Appliance::new(|method, params| {
        assert_eq!(method, "mapping.list");
        let from: u8 = params["cursor"].as_str().map_or(1, |c| c.parse().unwrap());
        let most = params["limit"].as_u64().unwrap_or(2).min(2) as u8;
        let items: Vec<_> = (from..=5).take(most.into()).map(mapping).collect();
        let next = from + most;
        let page = match next > 5 {
            true => json!({"items": items}),
            false => json!({"items": items, "next": next.to_string()}),
        };
        vec![Say::Result(page)]
    })
}

#[test]
fn a_long_list_comes_page_by_page_under_one_heading() {
    let appliance = paged();
    let ran = appliance.weft("mapping list --vnet Z").ok();
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(
        lines[5],
        "Z     10.0.0.5  S        -  -          -         -  operator"
    );
    let cursors: Vec<_> = appliance.asked().into_iter().map(|(_, p)| p).collect();
    assert_eq!(
        cursors,
        [
            json!({"vnet": "Z"}),
            json!({"vnet": "Z", "cursor": "3"}),
            json!({"vnet": "Z", "cursor": "5"}),
        ]
    );
    let ran = appliance.weft("mapping list --json").ok();
    assert_eq!(ran.json(), (1..=5).map(mapping).collect::<Vec<_>>());
}

#[test]
fn a_limit_ends_a_list_and_says_that_there_is_more() {
    let appliance = paged();
    let ran = appliance.weft("mapping list --limit 3");
    assert_eq!((ran.code, ran.out.lines().count()), (0, 4));
    assert!(ran.err.contains("there are more"), "{}", ran.err);
    let limits: Vec<_> = appliance
        .asked()
        .iter()
        .map(|(_, p)| p["limit"].clone())
        .collect();
    assert_eq!(limits, [json!(2), json!(1)]);
    assert_eq!(
        appliance
            .weft("mapping list --limit 5")
            .ok()
            .out
            .lines()
            .count(),
        6
    );
}

#[test]
fn routes() {
    change(
        "route add ::/0 --via fe80::1%wan0 --via fe80::2%wan1",
        "route.set",
        json!({"route": {"prefix": "::/0", "via": [
            {"address": "fe80::1", "port": "wan0"}, {"address": "fe80::2", "port": "wan1"},
        ]}}),
    );
    change(
        "route remove ::/0",
        "route.remove",
        json!({"prefix": "::/0"}),
    );
    case(
        "route list",
        "route.list",
        json!({}),
        json!({"items": [{"object": {"prefix": "2001:db8::/32", "via": [
            {"address": "fe80::1", "port": "wan0"}, {"address": "fe80::2", "port": "wan1"},
        ]}, "origin": "file", "revision": 0}]}),
        "PREFIX         VIA                        REVISION  ORIGIN
         2001:db8::/32  fe80::1%wan0,fe80::2%wan1         -  file",
    );
}

#[test]
fn neighbors() {
    change(
        "neighbor add fe80::1 02:00:00:00:00:01 --port wan0",
        "neighbor.set",
        json!({"neighbor": {"port": "wan0", "address": "fe80::1", "mac": "02:00:00:00:00:01"}}),
    );
    change(
        "neighbor remove fe80::1 --port wan0",
        "neighbor.remove",
        json!({"port": "wan0", "address": "fe80::1"}),
    );
    case(
        "neighbor list",
        "neighbor.list",
        json!({}),
        json!({"neighbors": [
            {"port": "wan0", "address": "fe80::1", "mac": "02:00:00:00:00:01", "state": "permanent", "origin": "file"},
            {"port": "wan0", "address": "fe80::2", "mac": "02:00:00:00:00:02", "state": "reachable", "confirmed_ms": 1200},
            {"port": "wan1", "address": "fe80::3", "state": "failed"},
        ]}),
        "PORT  ADDRESS  MAC                STATE      CONFIRMED  ORIGIN
         wan0  fe80::1  02:00:00:00:00:01  permanent          -  file
         wan0  fe80::2  02:00:00:00:00:02  reachable      1.2 s  learned
         wan1  fe80::3  -                  failed             -  learned",
    );
}

#[test]
fn subnets_and_virtual_routers() {
    let web = json!({"name": "web", "vnet": "Z", "prefix": "10.0.1.0/24", "gateway": "10.0.1.1"});
    change(
        "subnet add web --vnet Z --prefix 10.0.1.0/24 --gateway 10.0.1.1",
        "subnet.set",
        json!({ "subnet": web }),
    );
    change("subnet remove web", "subnet.remove", json!({"name": "web"}));
    let held = |object: Value| json!({"object": object, "origin": "file", "revision": 0});
    case(
        "subnet list --vnet Z",
        "subnet.list",
        json!({"vnet": "Z"}),
        json!({"items": [held(web)]}),
        "NAME  VNET  PREFIX       GATEWAY   REVISION  ORIGIN
         web   Z     10.0.1.0/24  10.0.1.1         -  file",
    );
    let r1 = json!({"name": "r1", "vnet": "Z", "interfaces": [
        {"subnet": "web", "address": "10.0.1.1"}, {"subnet": "link", "address": "10.0.255.1"},
    ]});
    change(
        "router add r1 --vnet Z --interface web=10.0.1.1 --interface link=10.0.255.1",
        "router.set",
        json!({ "router": r1 }),
    );
    change("router remove r1", "router.remove", json!({"name": "r1"}));
    case(
        "router show r1",
        "router.list",
        json!({}),
        json!({"items": [held(r1)]}),
        "NAME  VNET  INTERFACES                    REVISION  ORIGIN
         r1    Z     web=10.0.1.1,link=10.0.255.1         -  file",
    );
    let via = json!({"router": "r1", "prefix": "10.0.2.0/24", "via": "10.0.255.2"});
    let none = json!({"router": "r1", "prefix": "0.0.0.0/0", "action": "blackhole"});
    change(
        "vroute add r1 10.0.2.0/24 --via 10.0.255.2",
        "vroute.set",
        json!({ "vroute": via }),
    );
    change(
        "vroute add r1 0.0.0.0/0 --action blackhole",
        "vroute.set",
        json!({ "vroute": none }),
    );
    change(
        "vroute remove r1 10.0.2.0/24 --revision 4",
        "vroute.remove",
        json!({"router": "r1", "prefix": "10.0.2.0/24", "revision": 4}),
    );
    case(
        "vroute list --router r1",
        "vroute.list",
        json!({"router": "r1"}),
        json!({"items": [held(none), held(via)]}),
        "ROUTER  PREFIX       NEXT-HOP    REVISION  ORIGIN
         r1      0.0.0.0/0    blackhole          -  file
         r1      10.0.2.0/24  10.0.255.2         -  file",
    );
}

#[test]
fn what_nodes_are_given() {
    change(
        "vnet add Z --vni 0x5A0001 --dhcp node --dhcp-server 10.0.1.9 --broadcast \
         --withheld 224.0.0.0/16 --mss-clamp true --learn auto --learn-as watch \
         --learn-seconds 10 --unknown-mac resolve --macs given",
        "vnet.set",
        json!({"vnet": {
            "name": "Z", "vni": 0x5a_0001, "mode": "siit", "dscp": "copy", "verify": "strict",
            "dhcp": "node", "dhcp_server": "10.0.1.9", "broadcast": true,
            "withheld": ["224.0.0.0/16"], "mss_clamp": true, "learn": "auto",
            "learn_as": "watch", "learn_seconds": 10, "unknown_mac": "resolve",
            "macs": "given",
        }}),
    );
    change(
        "subnet add web --vnet Z --prefix 10.0.1.0/24 --dhcp-server 10.0.1.9 --dns 10.0.1.8 \
         --domain lab.example.net --search example.net --ntp 10.0.1.7 --lease-seconds 600 \
         --mtu 1400 --pool 10.0.1.100-10.0.1.199 --route 10.9.0.0/16=10.0.1.9",
        "subnet.set",
        json!({"subnet": {"name": "web", "vnet": "Z", "prefix": "10.0.1.0/24", "dhcp": {
            "server": "10.0.1.9", "dns": ["10.0.1.8"], "domain": "lab.example.net",
            "search": ["example.net"], "ntp": ["10.0.1.7"], "lease_seconds": 600, "mtu": 1400,
            "pool": "10.0.1.100-10.0.1.199",
            "routes": [{"prefix": "10.9.0.0/16", "via": "10.0.1.9"}],
        }}}),
    );
    change(
        "router add r1 --vnet Z --interface web=10.0.1.1 --snmp-community public --contact noc",
        "router.set",
        json!({"router": {
            "name": "r1", "vnet": "Z", "interfaces": [{"subnet": "web", "address": "10.0.1.1"}],
            "snmp": {"communities": ["public"], "contact": "noc"},
        }}),
    );
}

#[test]
fn members() {
    let member = json!({"vnet": "Z", "group": "239.1.2.3", "host": "S", "expires": 260});
    change(
        "member add Z 239.1.2.3 S --expires 260",
        "member.set",
        json!({ "member": member }),
    );
    change(
        "member remove Z 239.1.2.3 S",
        "member.remove",
        json!({"vnet": "Z", "group": "239.1.2.3", "host": "S"}),
    );
    case(
        "member list --vnet Z",
        "member.list",
        json!({"vnet": "Z"}),
        json!({"items": [{"object": member, "origin": "agent", "revision": 4}]}),
        "VNET  GROUP      HOST  EXPIRES  REVISION  ORIGIN
         Z     239.1.2.3  S         260         4  agent",
    );
}

#[test]
fn leases() {
    let of = |node: &str| json!({"node": node, "vnet": "Z", "address": "10.0.0.2", "mac": "02:00:00:00:00:0a"});
    let with = |node: &str, more: Value| {
        let (mut lease, more) = (of(node), more);
        lease
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        lease
    };
    case(
        "lease list --vnet Z",
        "lease.list",
        json!({"vnet": "Z"}),
        json!({"items": [
            with("A", json!({"host_name": "alpha", "expires": 3600})),
            with("C", json!({"expires": 59})),
            of("G"),
        ]}),
        "NODE  VNET  ADDRESS   MAC                HOST NAME    EXPIRES
         A     Z     10.0.0.2  02:00:00:00:00:0a  alpha      1 h 0 min
         C     Z     10.0.0.2  02:00:00:00:00:0a  -             59.0 s
         G     Z     10.0.0.2  02:00:00:00:00:0a  -              never",
    );
    // Page after page, until there is none.
    let appliance = Appliance::new(move |_, params| {
        let pages = [("A", Some("A")), ("C", None)];
        let (node, next) = pages[usize::from(params.get("cursor").is_some())];
        let mut page = json!({"items": [json!({
            "node": node, "vnet": "Z", "address": "10.0.0.2", "mac": "02:00:00:00:00:0a",
        })]});
        if let Some(next) = next {
            page["next"] = next.into();
        }
        vec![Say::Result(page)]
    });
    let ran = appliance.weft("lease list --json").ok();
    let nodes: Vec<_> = ran
        .json()
        .iter()
        .map(|lease| lease["node"].clone())
        .collect();
    assert_eq!(nodes, ["A", "C"]);
}
