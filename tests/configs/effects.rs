//! Every key does something.

use weft::config;

/// Where each key takes effect: file and the words that read it. A key that is
/// accepted must do something; a new one has no row here and fails.
const EFFECTS: &[(&str, &str, &[&str])] = &[
    (
        "top",
        "src/appliance/compile/mod.rs",
        &["config.layout", "config.locator", "config.mtu"],
    ),
    ("top", "src/config/mod.rs", &["self.name"]),
    (
        "runtime",
        "src/appliance/dpdk.rs",
        &[
            "runtime.control_cpu",
            "runtime.workers",
            "runtime.in_memory",
            "runtime.huge",
            "runtime\n                .memory_mb",
            "runtime.eal_args",
        ],
    ),
    (
        "runtime",
        "src/config/mod.rs",
        &["self.runtime.file_prefix"],
    ),
    (
        "runtime",
        "src/appliance/start.rs",
        &["config.runtime.idle"],
    ),
    (
        "control",
        "src/appliance/start.rs",
        &["control.socket", "control.mode", "control.group"],
    ),
    (
        "control",
        "src/control/server/apply.rs",
        &[
            "control.group_access",
            "control.clients",
            "control.line_bytes",
            "control.batch",
            "control.queue_bytes",
        ],
    ),
    (
        "limits",
        "src/appliance/start.rs",
        &[
            "limits.mappings",
            "limits.prefixes",
            "limits.nodes",
            "limits.hosts",
            "limits.eams",
            "limits.outsiders",
            "limits.subnets",
            "limits.routers",
            "limits.vroutes",
            "limits.members",
            "limits.holds_per_destination",
            "limits.holds_per_node",
            "limits.holds",
            "limits.hold_ms",
            "limits.punt_rate",
            "limits.miss_rate",
            "limits.icmp_rate",
            "limits.flood_rate",
            "limits.group_rate",
            "limits.fanout",
            "limits.ring",
        ],
    ),
    (
        "limits",
        "src/appliance/plant.rs",
        &[
            "self.settings.limits.gone_seconds",
            "settings.limits.learned",
        ],
    ),
    (
        "limits",
        "src/appliance/multicast.rs",
        &["limits.groups", "limits.groups_per_node"],
    ),
    (
        "limits",
        "src/config/pools.rs",
        &["limits\n                .mbufs"],
    ),
    (
        "multicast",
        "src/appliance/multicast.rs",
        &["settings.multicast.carriage"],
    ),
    ("log", "src/appliance/start.rs", &["config.log.level"]),
    (
        "metrics",
        "src/appliance/start.rs",
        &["config.metrics.listen"],
    ),
    ("state", "src/appliance/start.rs", &["config.state.journal"]),
    (
        "port",
        "src/appliance/dpdk.rs",
        &[
            "wanted.device",
            "wanted\n        .queues",
            "port.rss_key",
            "wanted.offloads",
            "wanted.descriptors",
            "wanted.mtu",
            "wanted.mac",
            "wanted.role",
        ],
    ),
    (
        "port",
        "src/appliance/compile/ports.rs",
        &[
            "port.config.name",
            "port.config.vlan",
            "port.config.exception",
            "port.config.nd_proxy",
        ],
    ),
    ("port", "src/substrate/config.rs", &["port.addresses"]),
    ("port", "src/config/mod.rs", &["port.worker"]),
    (
        "vnet",
        "src/appliance/compile/nodes.rs",
        &[
            "vnet.name",
            "vnet.vni",
            "vnet.mode",
            "vnet.dscp",
            "vnet.prefixes",
            "vnet.verify",
            "vnet.mtu",
            "vnet.mss_clamp",
            "vnet.unknown_mac",
            "vnet.macs",
        ],
    ),
    (
        "vnet",
        "src/appliance/answer/addresses.rs",
        &["vnet.learn", "vnet.learn_as", "vnet.learn_seconds"],
    ),
    ("binding", "src/appliance/compile/mod.rs", &["binding.vnet"]),
    (
        "binding",
        "src/appliance/compile/nodes.rs",
        &[
            "binding.name",
            "binding.address",
            "binding.prefixes",
            "binding.port",
            "binding.vlan",
            "binding.mac",
        ],
    ),
    ("binding", "src/appliance/compile/slots.rs", &["one.slot"]),
    (
        "binding",
        "src/appliance/compile/segments.rs",
        &["binding.subnet"],
    ),
    (
        "host",
        "src/appliance/compile/hosts.rs",
        &["host.name", "host.locator"],
    ),
    (
        "mapping",
        "src/control/store/replace.rs",
        &[
            "mapping.vnet",
            "mapping.address",
            "mapping.host",
            "mapping.expires",
            "mapping.revision",
            "mapping.slot",
            "mapping.mac",
        ],
    ),
    (
        "route",
        "src/substrate/reload.rs",
        &["route.prefix", "route\n                .via"],
    ),
    (
        "via",
        "src/substrate/reload.rs",
        &["hop.address", "hop.port"],
    ),
    (
        "neighbor",
        "src/substrate/reload.rs",
        &["neighbor.port", "neighbor.address", "neighbor.mac"],
    ),
    (
        "relay",
        "src/control/store/translate.rs",
        &[
            "relay.pool6",
            "relay.well_known_strict",
            "relay.deny4",
            "relay.deny6",
            "relay.error_sources4",
            "relay.error_source6",
        ],
    ),
    ("relay", "src/config/load.rs", &["r.eam_file"]),
    (
        "relay",
        "src/appliance/relay.rs",
        &[
            "relay.hairpin",
            "relay.udp_zero_checksum",
            "relay.traffic_class",
            "relay.tos",
            "relay.lowest_ipv6_mtu",
            "relay.mtu_plateaus",
            "relay.error_source_extension",
            "relay.icmp_rate",
        ],
    ),
    (
        "relay.ipv4",
        "src/appliance/relay.rs",
        &[
            "relay.ipv4.address",
            "relay.ipv4.via",
            "side.via_mac",
            "relay.ipv4.mtu",
        ],
    ),
    // That the side has the one port of its role.
    ("relay.ipv4", "src/config/check/relay.rs", &["side.port"]),
    (
        "relay.ipv6",
        "src/appliance/relay.rs",
        &[
            "side.address",
            "relay.ipv6.via",
            "side.via_mac",
            "relay.ipv6.mtu",
        ],
    ),
    ("relay.ipv6", "src/config/check/relay.rs", &["side.port"]),
    (
        "eam",
        "src/siit/rfc7757/entry.rs",
        &["eam.ipv4", "eam.ipv6"],
    ),
    (
        "outsider",
        "src/control/store/check_outsider.rs",
        &[
            "outsider.name",
            "outsider.vnet",
            "outsider.address",
            "outsider.ipv6",
            "outsider.nodes",
        ],
    ),
    (
        "vnet",
        "src/appliance/multicast.rs",
        &["vnet.broadcast", "vnet.withheld"],
    ),
    (
        "member",
        "src/appliance/multicast.rs",
        &["member.vnet", "member.group", "member.host"],
    ),
    (
        "member",
        "src/control/store/check_member.rs",
        &["member.expires"],
    ),
    ("vnet", "src/appliance/answer/dhcp.rs", &["vnet.dhcp"]),
    (
        "vnet",
        "src/appliance/compile/nodes.rs",
        &["vnet.dhcp_server"],
    ),
    (
        "subnet.dhcp",
        "src/appliance/answer/dhcp/pool.rs",
        &["dhcp.pool"],
    ),
    (
        "subnet.dhcp",
        "src/appliance/answer/dhcp.rs",
        &[
            "told.server",
            "told.dns",
            "told.domain",
            "told.search",
            "told.ntp",
            "told.lease_seconds",
            "told.mtu",
            "told.routes",
        ],
    ),
    (
        "routes",
        "src/appliance/answer/dhcp.rs",
        &["route.prefix", "route.via"],
    ),
    (
        "vnet.snmp",
        "src/appliance/answer/snmp.rs",
        &[
            "wanted.communities",
            "snmp.contact",
            "snmp.location",
            "wanted.users",
        ],
    ),
    (
        "router.snmp",
        "src/appliance/answer/snmp.rs",
        &[
            "wanted.communities",
            "snmp.contact",
            "snmp.location",
            "wanted.users",
        ],
    ),
    (
        "users",
        "src/appliance/answer/snmp.rs",
        &[
            "user.name",
            "user.auth",
            "user.auth_key",
            "user.privacy",
            "user.privacy_key",
        ],
    ),
    (
        "subnet",
        "src/appliance/routing.rs",
        &[
            "subnet.name",
            "subnet.vnet",
            "subnet.prefix",
            "subnet.gateway",
        ],
    ),
    (
        "router",
        "src/appliance/routing.rs",
        &["router.name", "router.vnet", "router.interfaces"],
    ),
    (
        "interfaces",
        "src/appliance/routing.rs",
        &["interface.subnet", "interface.address"],
    ),
    (
        "vroute",
        "src/appliance/routing.rs",
        &["vroute.prefix", "vroute.via", "vroute.action"],
    ),
    (
        "vroute",
        "src/control/store/segments.rs",
        &["vroute.router"],
    ),
];

#[test]
fn every_key_takes_effect() {
    let mut listed = std::collections::BTreeSet::new();
    for (table, file, reads) in EFFECTS {
        // Code only: tests may read anything.
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let joined: String = code.split_whitespace().collect();
        for read in *reads {
            let words: String = read.split_whitespace().collect();
            assert!(joined.contains(&words), "{file} does not read {words}");
            // `priv` is a word of the language.
            let key = words.rsplit('.').next().unwrap();
            let key = key.replace("privacy", "priv");
            listed.insert((table.to_string(), key));
        }
    }
    let mut table = String::new();
    let mut keys = std::collections::BTreeSet::new();
    for line in config::reference().lines() {
        if let Some(heading) = line
            .strip_prefix("## ")
            .or_else(|| line.strip_prefix("### "))
        {
            table = match heading {
                "Top of the file" => "top".to_owned(),
                "Words and values" => break,
                _ => heading.split('`').nth(1).unwrap().replace(['[', ']'], ""),
            };
        } else if let Some(row) = line.strip_prefix("| `") {
            keys.insert((table.clone(), row.split('`').next().unwrap().to_owned()));
        }
    }
    assert!(keys.len() > 60, "{keys:?}");
    assert_eq!(
        listed, keys,
        "left: keys with a row here; right: keys of the reference"
    );
}
