//! The workloads: routes by vnet, and addresses that are asked for.

use hashbrown::HashMap;
use weft::wire::Vaddr;
use weft::wire::address::Prefix4;

pub(crate) type Route = (Prefix4, u32);

/// A generator that is the same everywhere (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }
}

/// With the lengths of an Internet table.
pub(crate) fn internet(count: usize, seed: u64) -> Vec<Route> {
    let mut random = Random(seed << 32 | 0x9e37_79b9);
    let mut routes = HashMap::new();
    // Blocks of neighbours, as they are given out.
    while routes.len() < count {
        let block = random.next();
        for _ in 0..1 + random.next() % 16 {
            let len = match random.next() % 100 {
                0..60 => 24,
                60..70 => 22,
                70..78 => 23,
                78..84 => 21,
                84..90 => 20,
                90..94 => 19,
                94..96 => 18,
                96..98 => 16,
                98 => 17,
                _ => 32,
            };
            let address = block & 0xffff_0000 | random.next() & 0xffff;
            let address = Vaddr(address & Prefix4::mask(len));
            if routes.len() < count {
                let value = routes.len() as u32 % 251;
                routes.insert(Prefix4 { address, len }, value);
            }
        }
    }
    sorted(routes)
}

fn sorted(routes: HashMap<Prefix4, u32>) -> Vec<Route> {
    let mut routes: Vec<_> = routes.into_iter().collect();
    routes.sort_unstable_by_key(|(prefix, _)| (prefix.address.0, prefix.len));
    routes
}

/// Single addresses in 256 blocks of 16 bits, and one in fifty a prefix of 24
/// to 31 bits.
pub(crate) fn single(count: usize) -> Vec<Route> {
    let mut random = Random(0x9e37_79b9);
    let blocks: Vec<u32> = (0..256).map(|_| random.next() & 0xffff_0000).collect();
    let mut routes = HashMap::new();
    while routes.len() < count {
        let len = match random.below(50) {
            0 => 24 + random.below(8) as u8,
            _ => 32,
        };
        let address = blocks[random.below(blocks.len())] | random.next() & 0xffff;
        let address = Vaddr(address & Prefix4::mask(len));
        let value = routes.len() as u32;
        routes.entry(Prefix4 { address, len }).or_insert(value);
    }
    sorted(routes)
}
