//! DPDK's `rte_fib` and `rte_lpm`, a table for each vnet.

use dpdk::routes::{self, Fib, Routes};
use dpdk::{Eal, EalConfig, Error, eal::Huge};
use weft::lpm::BURST;
use weft::wire::Vaddr;

use crate::candidate::{Candidate, NOTHING, groups};
use crate::routes::Route;

/// Of ordinary pages unless asked for: large ones may be somebody's.
pub(crate) fn start(huge: bool) -> Result<Eal, Error> {
    let config = EalConfig {
        program: "lpm".into(),
        huge: if huge { Huge::Yes } else { Huge::No },
        // Sixteen tables of 64 MB, of each kind.
        memory_mb: Some(if huge { 1024 } else { 3072 }),
        lcores: vec![(0, 1)],
        // The vector forms of lookups, if the processor has them.
        extra: vec!["--force-max-simd-bitwidth=512".into()],
        ..EalConfig::default()
    };
    Eal::init(&config)
}

pub(crate) struct Tables<T> {
    name: &'static str,
    beside: &'static str,
    vnets: Vec<T>,
    bytes: usize,
}

const _: () = assert!(NOTHING == routes::NOTHING);

/// 64 MB, 1 KB for each group that has longer routes, and what the writer
/// remembers of each route.
fn bytes(vnets: &[Vec<Route>], rule: usize) -> usize {
    let of = |routes: &Vec<Route>| (64 << 20) + groups(routes) * 1024 + routes.len() * rule;
    vnets.iter().map(of).sum()
}

fn fill(table: &mut impl Routes, routes: &[Route]) {
    for (prefix, value) in routes {
        assert!(table.add(prefix.address.0, prefix.len, *value), "no room");
    }
}

/// Room for those groups that come and go while routes change.
fn room(routes: &[Route]) -> u32 {
    groups(routes) as u32 + 256
}

pub(crate) fn fib(eal: &Eal, name: &str, vnets: &[Vec<Route>]) -> Result<Tables<Fib>, Error> {
    let table = |(at, routes): (usize, &Vec<Route>)| {
        let most = 2 * routes.len() as i32;
        let mut fib = Fib::new(eal, &format!("fib {name} {at}"), most, room(routes))?;
        fill(&mut fib, routes);
        Ok(fib)
    };
    Ok(Tables {
        name: "rte_fib",
        beside: "go on, may see it in part",
        vnets: vnets
            .iter()
            .enumerate()
            .map(table)
            .collect::<Result<_, _>>()?,
        // A node of a tree for a route, and one more where two part.
        bytes: bytes(vnets, 2 * 64),
    })
}

pub(crate) fn lpm(
    eal: &Eal,
    name: &str,
    vnets: &[Vec<Route>],
) -> Result<Tables<routes::Lpm>, Error> {
    let table = |(at, routes): (usize, &Vec<Route>)| {
        let most = 2 * routes.len() as u32;
        let mut lpm = routes::Lpm::new(eal, &format!("lpm {name} {at}"), most, room(routes))?;
        fill(&mut lpm, routes);
        Ok(lpm)
    };
    Ok(Tables {
        name: "rte_lpm",
        beside: "go on, may see it in part",
        vnets: vnets
            .iter()
            .enumerate()
            .map(table)
            .collect::<Result<_, _>>()?,
        bytes: bytes(vnets, 8),
    })
}

impl<T: Routes> Candidate for Tables<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn find(&self, vnet: usize, addresses: &[Vaddr; BURST], out: &mut [u32; BURST]) {
        self.vnets[vnet].find(&addresses.map(|address| address.0), out);
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn change(&mut self, vnet: usize, (prefix, value): Route) -> bool {
        let table = &mut self.vnets[vnet];
        assert!(table.delete(prefix.address.0, prefix.len));
        assert!(table.add(prefix.address.0, prefix.len, value));
        true
    }

    fn beside(&self) -> &'static str {
        self.beside
    }
}
