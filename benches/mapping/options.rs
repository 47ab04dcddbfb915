//! What the command line says.

use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Options {
    /// Under `cargo test`: that it works, not how fast.
    check: bool,
    quick: bool,
    pub(crate) json: bool,
    only: Option<Vec<String>>,
    sizes: Option<Vec<u32>>,
    rounds: Option<usize>,
    upkeep: bool,
    lookups: bool,
}

const SIZES: [(&str, u32); 4] = [
    ("1k", 1 << 10),
    ("64k", 1 << 16),
    ("1m", 1 << 20),
    ("8m", 1 << 23),
];

pub(crate) fn size_name(size: u32) -> &'static str {
    let named = SIZES.iter().find(|(_, n)| *n == size);
    named.map_or("?", |(name, _)| name)
}

impl Options {
    pub(crate) fn parse() -> Self {
        let mut options = Self {
            check: true,
            quick: false,
            json: false,
            only: None,
            sizes: None,
            rounds: None,
            upkeep: true,
            lookups: true,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut list = || -> Vec<String> {
                let value = args.next().unwrap_or_else(|| usage(&arg));
                value.split(',').map(str::to_owned).collect()
            };
            match arg.as_str() {
                "--bench" => options.check = false,
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--upkeep" => options.lookups = false,
                "--only" => {
                    options.only = Some(list());
                    options.upkeep = false;
                }
                "--sizes" => {
                    let size = |name: &String| SIZES.iter().find(|s| s.0 == name);
                    let sizes = list().iter().map(size).map(|s| s.map(|s| s.1)).collect();
                    options.sizes = Some(Option::unwrap_or_else(sizes, || usage(&arg)));
                }
                "--rounds" => {
                    let rounds = list().first().and_then(|n| n.parse().ok());
                    options.rounds = Some(rounds.unwrap_or_else(|| usage(&arg)));
                }
                _ => usage(&arg),
            }
        }
        options
    }

    pub(crate) fn sizes(&self) -> Vec<u32> {
        match &self.sizes {
            _ if !self.lookups => Vec::new(),
            Some(sizes) => sizes.clone(),
            None if self.check => vec![1 << 10],
            None if self.quick => vec![1 << 10, 1 << 20],
            None => SIZES.map(|(_, size)| size).to_vec(),
        }
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        match &self.only {
            Some(only) => only.iter().any(|it| it == name),
            None => true,
        }
    }

    pub(crate) fn rounds(&self) -> usize {
        match self.rounds {
            Some(rounds) => rounds.max(1),
            None if self.check => 1,
            None if self.quick => 7,
            None => 21,
        }
    }

    /// Length of one measurement.
    pub(crate) fn slice(&self) -> Duration {
        Duration::from_millis(if self.check { 1 } else { 4 })
    }

    pub(crate) fn upkeep(&self) -> bool {
        self.upkeep
    }

    /// Mappings of the rows about upkeep.
    pub(crate) fn upkeep_size(&self) -> u32 {
        if self.check { 1 << 12 } else { 1 << 20 }
    }
}

fn usage(arg: &str) -> ! {
    eprintln!(
        "mapping: {arg}? usage: [--quick] [--json] [--only NAME,…] [--sizes 1k,64k,1m,8m] \
         [--rounds N] [--upkeep]"
    );
    std::process::exit(2);
}
