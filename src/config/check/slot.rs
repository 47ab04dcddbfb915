//! Slots of nodes: only layout `slot` has them, and each is one node's.

use super::{At, Findings, Once, in_range};
use crate::config::Config;
use crate::wire::{Layout, Mark};

pub(super) fn check(config: &Config, out: &mut Findings) {
    let mut once = Once::new("binding");
    for (nth, one) in config.binding.iter().enumerate() {
        let at = At::nth("binding", nth);
        slot(at, one.slot, config.layout, out);
        let Some(given) = one.slot else { continue };
        if let Some(first) = once.again(given, nth) {
            let message = format!("slot {given} is {first}'s already");
            out.problem(at.key("slot"), message);
        }
    }
    if config.layout == Layout::Slot && config.binding.len() > Mark::SLOTS {
        let message = format!("a host has {} slots, and each is one node's", Mark::SLOTS);
        let hint = "bind the other nodes at another host, or use layout `p72` or `p64`";
        out.hinted(format!("binding[{}]", Mark::SLOTS), message, hint);
    }
    for (nth, one) in config.mapping.iter().enumerate() {
        slot(At::nth("mapping", nth), one.slot, config.layout, out);
    }
}

/// The slot that a binding or a mapping names.
pub fn slot(at: At<'_>, slot: Option<u8>, layout: Layout, out: &mut Findings) {
    let Some(slot) = slot else { return };
    match layout {
        Layout::Slot => in_range(|| at.key("slot"), "Binding", "slot", slot.into(), out),
        Layout::P72 | Layout::P64 => {
            let message = format!("addresses of layout `{layout}` have no slot");
            out.hinted(at.key("slot"), message, "leave it out");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_host_has_64() {
        let text = |bindings: usize| {
            let binding = |n| {
                let name = format!("[[binding]]\nname = \"n{n}\"\nvnet = \"Z\"\nport = \"nodes\"");
                format!("{name}\naddress = \"10.0.1.{}\"\nvlan = {}\n", n + 1, n + 1)
            };
            let all: String = (0..bindings).map(binding).collect();
            format!(
                "name = \"R\"\nlayout = \"slot\"\nlocator = \"2001:db8:0:a::/64\"\n\
                 [[port]]\nname = \"up\"\ndevice = \"net_tap0\"\nrole = \"uplink\"\n\
                 [[port]]\nname = \"nodes\"\ndevice = \"net_tap1\"\nrole = \"node\"\n\
                 [[vnet]]\nname = \"Z\"\nvni = 1\n{all}"
            )
        };
        Config::parse("64", text(64).as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let problems = Config::parse("65", text(65).as_bytes()).unwrap_err();
        assert_eq!(problems.problems.len(), 1, "{problems}");
        assert!(
            problems.to_string().contains("a host has 64 slots"),
            "{problems}"
        );
    }
}
