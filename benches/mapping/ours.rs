//! weft's own table, through the calls that the walk makes.

use weft::mapping::{
    Domain, Found, HostIndex, Key, Limits, Mapping, Participant, Target, Writer as Table,
};

use crate::candidate::{Built, Far, Reader, Writer, host_of};
use crate::floor::Floor;
use crate::plan::{Asked, Plan};

pub(crate) struct Ours {
    pub(crate) reader: weft::mapping::Reader,
    pub(crate) pin: Participant,
}

pub(crate) fn mapping(n: u32, revision: u32) -> Mapping {
    let host = HostIndex::new(host_of(n, revision)).expect("small");
    Mapping {
        expires: revision,
        ..Mapping::new(Target::Remote(host))
    }
}

pub(crate) fn build(plan: Plan) -> Built<Ours, Table> {
    let domain = Domain::default();
    let limits = Limits {
        mappings: plan.size as usize,
        initial: plan.size as usize,
        prefixes: 0,
    };
    let mut writer = Table::new(&domain, limits).expect("memory");
    for (n, key) in plan.keys() {
        writer.insert(key, mapping(n, 0)).expect("room");
    }
    Built {
        reader: Ours {
            reader: writer.readers().reader(),
            pin: domain.register().expect("a slot"),
        },
        bytes: writer.memory_bytes(),
        writer,
    }
}

impl Reader for Ours {
    type Answer = Found;
    const NOTHING: Found = Found::NOTHING;

    #[inline]
    fn burst(&mut self, asked: Asked<'_>, out: &mut [Found]) {
        self.reader.resolve_burst(&self.pin, asked.keys, out);
        self.pin.quiescent();
    }

    #[inline]
    fn far(floor: &Floor, key: Key, answer: &Found) -> Option<Far> {
        match answer.mapping()?.target {
            Target::Remote(host) => Some(floor.host(host.get(), key)),
            _ => None,
        }
    }
}

impl Writer for Table {
    fn update(&mut self, key: Key, n: u32, revision: u32) {
        self.insert(key, mapping(n, revision)).expect("it is there");
    }
}
