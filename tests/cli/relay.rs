//! `weft relay`, `weft eam` and `weft outsider`.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::commands::{case, change};
use crate::scripted::{Appliance, Say};

fn relay() -> Value {
    json!({
        "pool6": "64:ff9b::/96", "well_known_strict": true, "hairpin": "intrinsic",
        "udp_zero_checksum": "compute", "traffic_class": "copy", "tos": 32,
        "lowest_ipv6_mtu": 1280, "mtu_plateaus": [1500, 1280], "deny4": ["10.0.0.0/8"],
        "error_source_extension": true, "icmp_rate": "unlimited",
        "ipv4": {"port": "v4", "address": "192.0.2.2/24", "via": "192.0.2.1"},
        "ipv6": {"port": "v6", "address": "2001:db8:ffff::2/64", "via": "fe80::1", "mtu": 1400},
    })
}

#[test]
fn a_relay_is_shown_with_every_key_and_its_state() {
    let report = json!({
        "relay": {"object": relay(), "origin": "file", "revision": 0},
        "eams": 1_000_000,
        "state": {
            "ipv4": {"up": true, "mtu": 1500, "next_hop": "02:00:00:00:04:01", "state": "reachable"},
            "ipv6": {"up": false, "mtu": 1400},
        },
    });
    case(
        "relay show",
        "relay.get",
        json!({}),
        report,
        "WHAT                    VALUE
         pool6                   64:ff9b::/96
         well_known_strict       yes
         hairpin                 intrinsic
         udp_zero_checksum       compute
         traffic_class           copy
         tos                     32
         lowest_ipv6_mtu         1280
         mtu_plateaus            1500,1280
         deny4                   10.0.0.0/8
         deny6                   -
         error_sources4          the relay's own
         error_source6           the relay's own
         error_source_extension  yes
         icmp_rate               unlimited
         eam_file                -
         explicit mappings       1000000
         ipv4.port               v4
         ipv4.address            192.0.2.2/24
         ipv4.via                192.0.2.1
         ipv4.via_mac            asked for by ARP
         ipv4.mtu                the port's
         ipv4 link               up
         ipv4 sends up to        1500
         ipv4 next hop           02:00:00:00:04:01, reachable
         ipv6.port               v6
         ipv6.address            2001:db8:ffff::2/64
         ipv6.via                fe80::1
         ipv6.via_mac            solicited
         ipv6.mtu                1400
         ipv6 link               down
         ipv6 sends up to        1400
         ipv6 next hop           not asked for yet
         origin                  file
         revision                0",
    );
}

#[test]
fn explicit_mappings() {
    change(
        "eam add 198.51.100.1 2001:db8::1 --revision 3",
        "eam.set",
        json!({"eams": [{"ipv4": "198.51.100.1/32", "ipv6": "2001:db8::1/128", "revision": 3}]}),
    );
    change(
        "eam add 198.51.100.0/28 2001:db8::/124",
        "eam.set",
        json!({"eams": [{"ipv4": "198.51.100.0/28", "ipv6": "2001:db8::/124"}]}),
    );
    change(
        "eam remove 198.51.100.1 198.51.100.0/28",
        "eam.remove",
        json!({"eams": [{"ipv4": "198.51.100.1/32"}, {"ipv4": "198.51.100.0/28"}]}),
    );
    let held = json!({"items": [
        {"object": {"ipv4": "198.51.100.1/32", "ipv6": "2001:db8::1/128"}, "origin": "operator", "revision": 3},
        {"object": {"ipv4": "198.51.100.16/28", "ipv6": "2001:db8:1::/124"}, "origin": "file", "revision": 0},
    ]});
    let text = "IPV4              IPV6              REVISION  ORIGIN
                198.51.100.1      2001:db8::1              3  operator
                198.51.100.16/28  2001:db8:1::/124         -  file";
    case("eam list", "eam.list", json!({}), held, text);
}

#[test]
fn an_address_is_translated_with_the_reason() {
    let eam = json!({"object": {"ipv4": "198.51.100.16/28", "ipv6": "2001:db8:1::/124"},
                     "origin": "file", "revision": 0});
    case(
        "eam get 198.51.100.18",
        "eam.get",
        json!({"address": "198.51.100.18"}),
        json!({"address": "198.51.100.18", "translated": "2001:db8:1::2", "eam": eam}),
        "ADDRESS        TRANSLATED     WHY
         198.51.100.18  2001:db8:1::2  explicit mapping 198.51.100.16/28 2001:db8:1::/124",
    );
    case(
        "eam get 64:ff9b::808:808",
        "eam.get",
        json!({"address": "64:ff9b::808:808"}),
        json!({"address": "64:ff9b::808:808", "translated": "8.8.8.8"}),
        "ADDRESS           TRANSLATED  WHY
         64:ff9b::808:808  8.8.8.8     pool6",
    );
    case(
        "eam get 2001:db8::9",
        "eam.get",
        json!({"address": "2001:db8::9"}),
        json!({"address": "2001:db8::9", "why": "it is on a deny list"}),
        "ADDRESS      TRANSLATED  WHY
         2001:db8::9  -           it is on a deny list",
    );
}

#[test]
fn outsiders() {
    change(
        "outsider add printer --vnet Z --address 10.0.0.20 --ipv6 2001:db8::20",
        "outsider.set",
        json!({"outsider": {"name": "printer", "vnet": "Z", "address": "10.0.0.20/32",
                            "ipv6": "2001:db8::20/128"}}),
    );
    change(
        "outsider add lab --vnet Z --address 10.0.1.0/24 --ipv6 2001:db8:1::/64 --node A --node C \
         --revision 2",
        "outsider.set",
        json!({"outsider": {"name": "lab", "vnet": "Z", "address": "10.0.1.0/24",
                            "ipv6": "2001:db8:1::/64", "nodes": ["A", "C"]}, "revision": 2}),
    );
    change(
        "outsider add gone --vnet Z --address 10.0.0.21 --ipv6 2001:db8::21 --no-nodes",
        "outsider.set",
        json!({"outsider": {"name": "gone", "vnet": "Z", "address": "10.0.0.21/32",
                            "ipv6": "2001:db8::21/128", "nodes": []}}),
    );
    change(
        "outsider remove printer",
        "outsider.remove",
        json!({"name": "printer"}),
    );
    let held = json!({"items": [
        {"object": {"name": "lab", "vnet": "Z", "address": "10.0.1.0/24", "ipv6": "2001:db8:1::/64",
                    "nodes": ["A", "C"]}, "origin": "operator", "revision": 2},
        {"object": {"name": "printer", "vnet": "Z", "address": "10.0.0.20/32",
                    "ipv6": "2001:db8::20/128"}, "origin": "file", "revision": 0},
    ]});
    case(
        "outsider list --vnet Z",
        "outsider.list",
        json!({"vnet": "Z"}),
        held.clone(),
        "NAME     VNET  ADDRESS      IPV6             NODES  REVISION  ORIGIN
         lab      Z     10.0.1.0/24  2001:db8:1::/64  A,C           2  operator
         printer  Z     10.0.0.20    2001:db8::20     all           -  file",
    );
    let ran = Appliance::answering("outsider.list", held)
        .weft("outsider show lab")
        .ok();
    assert!(ran.out.contains("2001:db8:1::/64") && !ran.out.contains("printer"));
}

fn loading() -> Appliance {
    Appliance::new(|method, params| {
        vec![Say::Result(match method {
            "sync.begin" | "sync.abort" => json!({}),
            "sync.commit" => json!({"removed": 4, "kept": []}),
            "eam.set" => {
                let rows = params["eams"].as_array().unwrap();
                json!({"applied": rows.len(), "unchanged": 0, "stale": 0})
            }
            other => panic!("{other}"),
        })]
    })
}

#[test]
fn a_file_of_explicit_mappings_is_loaded_inside_one_sync() {
    let appliance = loading();
    let mut file = "# all of them\n\n".to_owned();
    for n in 0..2500 {
        writeln!(
            file,
            "198.18.{}.{}\t2001:db8::{n:x} # web",
            n / 250,
            n % 250
        )
        .unwrap();
    }
    let ran = appliance.weft_with("eam load - --json", &file).ok();
    let report = &ran.json()[0];
    for (key, value) in [("eams", 2500), ("applied", 2500), ("removed", 4)] {
        assert_eq!(report[key], json!(value), "{key}");
    }
    let asked = appliance.asked();
    assert_eq!(asked[0].1, json!({"kinds": ["eam"]}));
    let sizes: Vec<_> = asked[1..4]
        .iter()
        .map(|(_, p)| p["eams"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [998, 1000, 502]);
    assert_eq!(
        asked[1].1["eams"][0],
        json!({"ipv4": "198.18.0.0/32", "ipv6": "2001:db8::/128"})
    );
    assert_eq!(asked[4].0, "sync.commit");
    let listed = "{\"object\":{\"ipv4\":\"198.51.100.1/32\",\"ipv6\":\"2001:db8::1/128\"},\"origin\":\"file\",\"revision\":5}\n";
    let ran = appliance.weft_with("eam load --keep -", listed).ok();
    assert!(
        ran.out.ends_with(": 1 applied, 0 unchanged, 0 stale\n"),
        "{}",
        ran.out
    );
    let (method, params) = appliance.asked().pop().unwrap();
    assert_eq!(
        (method.as_str(), &params["eams"][0]["revision"]),
        ("eam.set", &json!(5))
    );
}

#[test]
fn a_wrong_line_ends_the_sync_and_a_refused_one_is_found() {
    let appliance = loading();
    let mut file = "198.51.100.1 2001:db8::1\n".repeat(1000);
    file += "198.51.100.0/24 2001:db8::/124\n";
    appliance.weft_with("eam load -", &file).failed(
        1,
        "weft: -:1001: 198.51.100.0/24 has 8 bits after its prefix and 2001:db8::/124 has 4, \
         which must be as many or more (an IPv6 prefix of length 120 or shorter); \
         the 1000 mappings before it are loaded, nothing is removed",
    );
    let last = appliance.asked().pop().unwrap();
    assert_eq!(last.0, "sync.abort");
    let appliance = Appliance::new(|method, _| {
        vec![match method {
            "eam.set" => Say::Error(
                json!({"code": -32602, "message": "2001:db8::1/128 is mapped already", "data": {"field": "eams[1].ipv6"}}),
            ),
            _ => Say::Result(json!({})),
        }]
    });
    appliance
        .weft_with(
            "eam load -",
            "\n198.51.100.1 2001:db8::1\n# again\n198.51.100.2 2001:db8::1\n",
        )
        .failed(
            1,
            "weft: -:4: eams[1].ipv6: 2001:db8::1/128 is mapped already",
        );
}
