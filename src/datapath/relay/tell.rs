//! What the relay's stages say of a packet.

use std::fmt::{self, Write};
use std::net::Ipv6Addr;

use crate::siit::address_map::{End, Pair4, Pair6, Unpaired};
use crate::siit::halves::joined;

use super::super::tell::Tell;
use super::super::topology::Topology;
use super::classify::{Passing4, Passing6};
use super::parse::{From4, Net4};
use super::resolve::Onward;

impl Tell for From4 {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        let Net4::Ipv4(words) = &self.net else {
            return write!(out, "arp from {}", self.link.source);
        };
        let ip = words.header();
        write!(out, "ipv4 {} > {} protocol {}", ip.src, ip.dst, ip.protocol)?;
        write!(out, " length {} ttl {}", ip.total_len, ip.ttl)?;
        out.write_str(if ip.df { " df" } else { "" })?;
        match ip.is_fragment() {
            true => write!(out, " fragment at {}", u32::from(ip.offset) * 8),
            false => Ok(()),
        }
    }
}

impl Tell for Passing4 {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        out.write_str("passes through")
    }
}

impl Tell for Passing6 {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        out.write_str("passes through")
    }
}

impl<P> Tell for Onward<P, Pair6> {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        match &self.ends {
            Some(Ok(ends)) => {
                let [source, destination] =
                    [ends.source, ends.destination].map(|words| Ipv6Addr::from(joined(words)));
                write!(out, "{source} > {destination}")
            }
            Some(Err(unpaired)) => tell_unpaired(unpaired, out),
            None => Ok(()),
        }
    }
}

impl<P> Tell for Onward<P, Pair4> {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        match &self.ends {
            Some(Ok(ends)) => write!(out, "{} > {}", ends.source, ends.destination),
            Some(Err(unpaired)) => tell_unpaired(unpaired, out),
            None => Ok(()),
        }
    }
}

fn tell_unpaired(unpaired: &Unpaired, out: &mut impl Write) -> fmt::Result {
    let end = match unpaired.end {
        End::Source => "source",
        End::Destination => "destination",
    };
    write!(out, "{end}: {}", unpaired.why)
}
