//! Which keys there are, and in what order they are asked for.
//!
//! Vnets of sixteen thousand addresses and more, taken in turn: those of even
//! number are given out one after the other, as DHCP does, those of odd number
//! lie scattered over 10.0.0.0/8. Small tables have four vnets.

use weft::mapping::Key;

const FIRST_VNET: u32 = 0x5A_0001;
const PER_VNET: u32 = 1 << 14;
/// Asked keys that are prepared; longer than what any cache holds of a table
/// of millions.
const LONG: usize = 1 << 21;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spread {
    Uniform,
    /// The key of rank r is asked for in proportion to r^-0.99.
    Zipf,
}

impl Spread {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }
}

/// `size` keys, a power of two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) size: u32,
}

impl Plan {
    pub(crate) fn key(self, n: u32) -> Key {
        let vnets = (self.size / PER_VNET).max(4);
        let (vnet, index) = (n % vnets, n / vnets);
        let host = match vnet % 2 {
            0 => index + 2,
            // Odd multipliers are one to one modulo a power of two.
            _ => index.wrapping_mul(0x9E_3779) & 0xff_ffff,
        };
        Key::new(FIRST_VNET + vnet, 0x0A00_0000 | host)
    }

    pub(crate) fn keys(self) -> impl Iterator<Item = (u32, Key)> {
        (0..self.size).map(move |n| (n, self.key(n)))
    }
}

/// Xorshift: variety, and the same every time.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    #[inline]
    pub(crate) fn roll(&mut self, below: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(below)) >> 32) as u32
    }

    fn fraction(&mut self) -> f64 {
        f64::from(self.roll(u32::MAX)) / f64::from(u32::MAX)
    }
}

/// What is asked, burst after burst, round and round.
#[derive(Debug)]
pub(crate) struct Stream {
    keys: Vec<Key>,
    /// The number of each key: what a direct index would find in the frame.
    numbers: Vec<u32>,
    at: usize,
}

/// One burst of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) keys: &'a [Key],
    pub(crate) numbers: &'a [u32],
}

impl Stream {
    pub(crate) fn new(plan: Plan, spread: Spread) -> Self {
        let len = LONG.min(plan.size as usize * 64);
        let mut dice = Dice(0x5EED);
        let numbers: Vec<u32> = match spread {
            Spread::Uniform => (0..len).map(|_| dice.roll(plan.size)).collect(),
            Spread::Zipf => {
                let sums = zipf_sums(plan.size);
                let all = sums[sums.len() - 1];
                let mut rank = || sums.partition_point(|sum| *sum < dice.fraction() * all);
                let scattered = |rank: usize| {
                    // The best known are not neighbours.
                    (rank as u32).wrapping_mul(0x9E37_79B1) & (plan.size - 1)
                };
                (0..len)
                    .map(|_| scattered(rank().min(plan.size as usize - 1)))
                    .collect()
            }
        };
        let keys = numbers.iter().map(|n| plan.key(*n)).collect();
        Self {
            keys,
            numbers,
            at: 0,
        }
    }

    #[inline]
    pub(crate) fn burst(&mut self, len: usize) -> Asked<'_> {
        if self.at + len > self.keys.len() {
            self.at = 0;
        }
        let range = self.at..self.at + len;
        self.at = range.end;
        Asked {
            keys: &self.keys[range.clone()],
            numbers: &self.numbers[range],
        }
    }
}

fn zipf_sums(size: u32) -> Vec<f64> {
    let mut sum = 0.0;
    let weight = |rank: u32| f64::from(rank).powf(-0.99);
    let add = |rank| {
        sum += weight(rank);
        sum
    };
    (1..=size).map(add).collect()
}
