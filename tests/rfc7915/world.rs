//! The relay of a case: `relay.toml`, and what the case has different.

use serde::Deserialize;
use toml::{Table, Value};
use weft::model::{Eam, Relay};
use weft::siit::address_map::{AddressMap, AddressRules};
use weft::siit::rfc6052::Pool6;
use weft::siit::rfc7757::Eams;
use weft::siit::rfc7915::Rules;
use weft::wire::{Saddr, Vaddr};

use super::case::Case;

/// What of a host file a relay is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    relay: Relay,
    #[serde(default)]
    eam: Vec<Eam>,
}

/// All that a translation reads, and the relay's own addresses.
pub(super) struct World {
    pub(super) rules: Rules,
    pub(super) addresses: AddressMap,
    pub(super) own4: Vaddr,
    pub(super) own6: Saddr,
}

impl World {
    pub(super) fn of(case: &Case) -> Result<World, String> {
        let table = table(case)?;
        let file: File = table.try_into().map_err(|e| e.to_string())?;
        let Relay { ipv4, ipv6, .. } = &file.relay;
        let (own4, own6) = (ipv4.address.address, ipv6.address.address.octets());
        Ok(World {
            rules: rules(&file.relay),
            addresses: addresses(&file, own4, own6)?,
            own4,
            own6,
        })
    }
}

/// The host file of a case's relay.
pub(super) fn host_file(case: &Case) -> Result<String, String> {
    let frame = r#"
        name = "relay"
        [[port]]
        name = "four"
        device = "net_tap0"
        role = "relay4"
        mtu = 16000
        [[port]]
        name = "six"
        device = "net_tap1"
        role = "relay6"
        mtu = 16000
    "#;
    let mut file = table(case)?;
    merge(
        &mut file,
        frame.parse::<Table>().map_err(|e| e.to_string())?,
    );
    toml::to_string(&file).map_err(|e| e.to_string())
}

/// `relay.toml` with the changes of a case.
fn table(case: &Case) -> Result<Table, String> {
    let path = super::folder().join("relay.toml");
    let parse = |text: &str| text.parse::<Table>().map_err(|e| e.to_string());
    let mut file = parse(&std::fs::read_to_string(path).map_err(|e| e.to_string())?)?;
    let mut changes = parse(&case.set.join("\n"))?;
    if let Some(eam) = changes.remove("eam") {
        file.insert("eam".to_owned(), eam);
    }
    let Some(Value::Table(relay)) = file.get_mut("relay") else {
        return Err("no [relay]".to_owned());
    };
    merge(relay, changes);
    for key in &case.unset {
        relay.remove(key).ok_or(format!("`{key}` is not set"))?;
    }
    Ok(file)
}

fn merge(into: &mut Table, changes: Table) {
    for (key, value) in changes {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

fn rules(relay: &Relay) -> Rules {
    Rules {
        traffic_class: relay.traffic_class,
        tos: relay.tos,
        udp_zero: relay.udp_zero_checksum,
        hairpin: relay.hairpin,
        mtu4: relay.ipv4.mtu.unwrap_or(1500),
        mtu6: relay.ipv6.mtu.unwrap_or(1500),
        lowest_ipv6_mtu: relay.lowest_ipv6_mtu,
        mtu_plateaus: relay.mtu_plateaus.clone(),
        error_source_extension: relay.error_source_extension,
    }
}

fn addresses(file: &File, own4: Vaddr, own6: Saddr) -> Result<AddressMap, String> {
    let relay = &file.relay;
    let pool6 = relay.pool6.map(Pool6::new).transpose();
    let eams = Eams::build(file.eam.len(), file.eam.iter().copied());
    let rules = AddressRules {
        pool6: pool6.map_err(|e| e.to_string())?,
        strict: relay.well_known_strict,
        deny4: relay.deny4.clone(),
        deny6: relay.deny6.clone(),
        error_sources4: relay.error_sources4.clone(),
        error_source6: relay.error_source6.map(|address| address.octets()),
        own4: Some(own4),
        own6: Some(own6),
    };
    Ok(AddressMap::new(&rules, eams.map_err(|e| e.to_string())?))
}
