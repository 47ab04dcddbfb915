//! What became of numbered frames. Each number has a bit in a window that
//! moves with the highest one seen: a second copy is known as such, and one
//! that was overtaken is not taken for lost.

/// Numbers that are remembered: seconds of any rate that is measured here.
const WINDOW: u64 = 1 << 24;

#[derive(Default)]
pub(crate) struct Account {
    seen: Vec<u64>,
    /// One more than the highest number seen.
    next: u64,
    pub(crate) received: u64,
    pub(crate) duplicates: u64,
    pub(crate) reordered: u64,
    /// Came so late that it is not known whether they are copies.
    pub(crate) stale: u64,
}

impl Account {
    pub(crate) fn new() -> Account {
        Account {
            seen: vec![0; (WINDOW / 64) as usize],
            ..Account::default()
        }
    }

    pub(crate) fn add(&mut self, number: u64) {
        if number >= self.next {
            // The words that the window moves into are used again.
            let first = self.next.div_ceil(64);
            let last = number / 64;
            for word in first..=last {
                self.seen[(word % (WINDOW / 64)) as usize] = 0;
            }
            self.next = number + 1;
        } else if number + WINDOW <= self.next + 64 {
            self.stale += 1;
            return;
        } else {
            self.reordered += 1;
        }
        let word = &mut self.seen[(number % WINDOW / 64) as usize];
        let bit = 1 << (number % 64);
        if *word & bit != 0 {
            self.duplicates += 1;
            return;
        }
        *word |= bit;
        self.received += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: impl IntoIterator<Item = u64>) -> (u64, u64, u64) {
        let mut account = Account::new();
        numbers.into_iter().for_each(|number| account.add(number));
        (account.received, account.duplicates, account.reordered)
    }

    #[test]
    fn copies_and_late_ones_are_told_apart() {
        assert_eq!(of(0..1000), (1000, 0, 0));
        assert_eq!(of([0, 1, 3, 2, 4]), (5, 0, 1));
        assert_eq!(of([0, 1, 1, 200, 130, 130]), (4, 2, 3));
    }

    #[test]
    fn the_window_is_used_again() {
        assert_eq!(of((0..3).map(|n| n * WINDOW)), (3, 0, 0));
        let wide = (0..WINDOW + 1000).step_by(7);
        let count = wide.clone().count() as u64;
        assert_eq!(of(wide), (count, 0, 0));
        let mut account = Account::new();
        for number in [5, 2 * WINDOW, 6] {
            account.add(number);
        }
        assert_eq!((account.received, account.stale), (2, 1));
    }
}
