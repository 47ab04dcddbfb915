//! Times by size class: each power of two in 64 parts, so that a percentile is
//! right to 1.6 % at any scale, in a table that is made once.

const PARTS_LOG: u32 = 6;

pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    least: u64,
    most: u64,
}

impl Histogram {
    pub(crate) fn new() -> Histogram {
        Histogram {
            counts: vec![0; class(u64::MAX) + 1],
            total: 0,
            least: u64::MAX,
            most: 0,
        }
    }

    pub(crate) fn add(&mut self, value: u64) {
        self.counts[class(value)] += 1;
        self.total += 1;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    /// The value that so many of a million are not above.
    fn percentile(&self, of_million: u64) -> u64 {
        let wanted = (u128::from(self.total) * u128::from(of_million)).div_ceil(1_000_000) as u64;
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return top(class).min(self.most);
            }
        }
        self.most
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        if self.total == 0 {
            return serde_json::Value::Null;
        }
        serde_json::json!({
            "min": self.least,
            "p50": self.percentile(500_000),
            "p90": self.percentile(900_000),
            "p99": self.percentile(990_000),
            "p999": self.percentile(999_000),
            "max": self.most,
        })
    }
}

fn class(value: u64) -> usize {
    let shift = (63 - (value | 1).leading_zeros()).saturating_sub(PARTS_LOG);
    ((u64::from(shift) << PARTS_LOG) + (value >> shift)) as usize
}

/// The largest value of a class.
fn top(class: usize) -> u64 {
    let class = class as u64;
    let shift = (class >> PARTS_LOG).saturating_sub(1);
    let first = (class - (shift << PARTS_LOG)) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: u64 = 1 << PARTS_LOG;

    #[test]
    fn every_value_is_in_its_class() {
        for value in [0, 1, 63, 64, 65, 127, 128, 1000, 123_456_789, u64::MAX] {
            let top = top(class(value));
            assert!(
                top >= value && top - value <= value / PARTS,
                "{value}: {top}"
            );
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|value| histogram.add(value));
        for (share, value) in [(500_000, 500), (990_000, 990), (1_000_000, 1000)] {
            let found = histogram.percentile(share);
            assert!(found.abs_diff(value) <= value / PARTS, "{share}: {found}");
        }
    }
}
