//! What one node wants of one group: RFC 3376 section 6, with the rules of
//! section 7 for hosts of older versions.
//!
//! The RFC keeps this state for a link with many listeners. A node has its link
//! for itself, so the state is that of one listener, and nobody else's report
//! keeps it alive or is suppressed by its own.

use std::collections::BTreeMap;

use crate::time::Time;
use crate::wire::Vaddr;
use crate::wire::igmp::{Message, RecordKind};

/// Robustness variable: how many losses in a row change nothing.
pub(super) const ROBUSTNESS: u8 = 2;
/// Between general queries.
pub(super) const QUERY_INTERVAL: u64 = 125_000;
/// Within which they are answered.
pub(super) const QUERY_RESPONSE: u64 = 10_000;
/// How long a report holds: robustness times interval, and a response.
pub(super) const MEMBERSHIP: u64 = ROBUSTNESS as u64 * QUERY_INTERVAL + QUERY_RESPONSE;
/// Within which a query for a group is answered, and between two of them.
pub(super) const LAST_MEMBER: u64 = 1_000;
/// How long a group is kept that nobody answers for.
pub(super) const LAST_MEMBER_TIME: u64 = ROBUSTNESS as u64 * LAST_MEMBER;

/// Most sources that a node may name for a group.
pub const SOURCES: usize = 64;

/// From whom a member takes packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    Any,
    Only(Vec<Vaddr>),
    Except(Vec<Vaddr>),
}

/// More sources than a node may name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManySources;

/// A question to be asked about the group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    pub suppress: bool,
    /// Empty: about the group as such.
    pub sources: Vec<Vaddr>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// The sources, and no others.
    Include,
    /// All others, and the sources whose timer runs.
    Exclude { until: Time },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Source {
    /// `None`: not wanted, which only `Exclude` has.
    until: Option<Time>,
    /// Questions about it that are still to be sent.
    questions: u8,
}

/// State of one group at one node. With no sources and `Include`, which it
/// begins with, there is no membership.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    mode: Mode,
    sources: BTreeMap<Vaddr, Source>,
    v1_until: Option<Time>,
    v2_until: Option<Time>,
    /// Questions about the group that are still to be sent.
    questions: u8,
    next_question: Option<Time>,
}

impl Default for Membership {
    fn default() -> Self {
        Membership {
            mode: Mode::Include,
            sources: BTreeMap::new(),
            v1_until: None,
            v2_until: None,
            questions: 0,
            next_question: None,
        }
    }
}

impl Membership {
    pub fn is_over(&self) -> bool {
        self.mode == Mode::Include && self.sources.is_empty()
    }

    pub fn filter(&self) -> Filter {
        let wanted = |wanted: bool| {
            let sources = self.sources.iter();
            sources
                .filter(move |(_, source)| source.until.is_some() == wanted)
                .map(|(address, _)| *address)
                .collect::<Vec<_>>()
        };
        match self.mode {
            Mode::Include => Filter::Only(wanted(true)),
            Mode::Exclude { .. } => match wanted(false) {
                none if none.is_empty() => Filter::Any,
                some => Filter::Except(some),
            },
        }
    }

    /// The oldest version that its host may have.
    pub fn version(&self, now: Time) -> u8 {
        let runs = |until: Option<Time>| until.is_some_and(|until| until > now);
        match (runs(self.v1_until), runs(self.v2_until)) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 3,
        }
    }

    /// When it ends if the node says nothing more.
    pub fn until(&self) -> Time {
        match self.mode {
            Mode::Exclude { until } => until,
            Mode::Include => {
                let sources = self.sources.values().filter_map(|source| source.until);
                sources.max().unwrap_or_default()
            }
        }
    }

    /// A message of an older version (RFC 3376 section 7.3.2).
    pub fn older(&mut self, message: &Message<'_>, now: Time) {
        let present = Some(now.after(MEMBERSHIP));
        match message {
            Message::ReportV1(_) => self.v1_until = present,
            Message::ReportV2(_) => self.v2_until = present,
            // A host of version 1 does not leave: another one said it.
            Message::Leave(_) if self.version(now) == 1 => return,
            Message::Leave(_) => return self.change_to_include(&[], now),
            Message::Query | Message::ReportV3(_) => return,
        }
        self.is_ex(&[], now.after(MEMBERSHIP), now);
    }

    /// A record of version 3, as far as hosts of older versions let it count.
    /// `said` is sorted and says nothing twice.
    pub fn record(
        &mut self,
        kind: RecordKind,
        said: &[Vaddr],
        now: Time,
    ) -> Result<(), TooManySources> {
        let version = self.version(now);
        let (kind, said) = match kind {
            RecordKind::Block if version < 3 => return Ok(()),
            RecordKind::ToIn if version < 2 => return Ok(()),
            RecordKind::ToEx if version < 3 => (kind, &[][..]),
            _ => (kind, said),
        };
        self.has_room(kind, said)?;
        match kind {
            RecordKind::IsIn | RecordKind::Allow => self.allow(said, now),
            RecordKind::ToIn => self.change_to_include(said, now),
            RecordKind::IsEx => self.is_ex(said, now.after(MEMBERSHIP), now),
            RecordKind::ToEx => self.change_to_exclude(said, now),
            RecordKind::Block => self.block(said, now),
        }
        Ok(())
    }

    /// Whether what would be kept stays within [`SOURCES`].
    fn has_room(&self, kind: RecordKind, said: &[Vaddr]) -> Result<(), TooManySources> {
        let further = said.iter().filter(|said| !self.sources.contains_key(said));
        let kept = match (kind, self.mode) {
            // All that is kept is what is said.
            (RecordKind::IsEx | RecordKind::ToEx, _) => said.len(),
            (RecordKind::Block, Mode::Include) => self.sources.len(),
            _ => self.sources.len() + further.count(),
        };
        match kept <= SOURCES {
            true => Ok(()),
            false => Err(TooManySources),
        }
    }

    /// IS_IN and ALLOW, in either mode: these are wanted from now on.
    fn allow(&mut self, said: &[Vaddr], now: Time) {
        for address in said {
            let source = Source {
                until: Some(now.after(MEMBERSHIP)),
                questions: self.sources.get(address).map_or(0, |old| old.questions),
            };
            self.sources.insert(*address, source);
        }
    }

    fn change_to_include(&mut self, said: &[Vaddr], now: Time) {
        let mut doubted = self.wanted();
        doubted.retain(|address| said.binary_search(address).is_err());
        self.allow(said, now);
        self.ask_about(&doubted, now);
        if let Mode::Exclude { .. } = self.mode {
            self.ask(now);
        }
    }

    /// IS_EX, and what TO_EX shares with it. `until` is the timer of sources
    /// that were in neither list.
    fn is_ex(&mut self, said: &[Vaddr], until: Time, now: Time) {
        let unknown = match self.mode {
            Mode::Include => None,
            Mode::Exclude { .. } => Some(until),
        };
        self.sources
            .retain(|address, _| said.binary_search(address).is_ok());
        for address in said {
            self.sources.entry(*address).or_insert(Source {
                until: unknown,
                questions: 0,
            });
        }
        self.mode = Mode::Exclude {
            until: now.after(MEMBERSHIP),
        };
    }

    fn change_to_exclude(&mut self, said: &[Vaddr], now: Time) {
        let until = match self.mode {
            Mode::Include => now,
            Mode::Exclude { until } => until,
        };
        self.is_ex(said, until, now);
        let doubted = self.wanted();
        self.ask_about(&doubted, now);
    }

    fn block(&mut self, said: &[Vaddr], now: Time) {
        if let Mode::Exclude { until } = self.mode {
            for address in said {
                self.sources.entry(*address).or_insert(Source {
                    until: Some(until),
                    questions: 0,
                });
            }
        }
        let mut doubted = self.wanted();
        doubted.retain(|address| said.binary_search(address).is_ok());
        self.ask_about(&doubted, now);
    }

    /// Sources whose timer runs.
    fn wanted(&self) -> Vec<Vaddr> {
        let running = self
            .sources
            .iter()
            .filter(|(_, source)| source.until.is_some());
        running.map(|(address, _)| *address).collect()
    }

    /// Section 6.6.3.1: is the group still wanted?
    fn ask(&mut self, now: Time) {
        if let Mode::Exclude { until } = &mut self.mode {
            *until = (*until).min(now.after(LAST_MEMBER_TIME));
        }
        self.questions = ROBUSTNESS;
        self.next_question = Some(now);
    }

    /// Section 6.6.3.2: are these sources still wanted? Those that are asked
    /// about already are not asked about more often.
    fn ask_about(&mut self, sources: &[Vaddr], now: Time) {
        let end = now.after(LAST_MEMBER_TIME);
        for address in sources {
            if let Some(source) = self.sources.get_mut(address)
                && source.until.is_some_and(|until| until > end)
            {
                source.until = Some(end);
                source.questions = ROBUSTNESS;
                self.next_question = Some(now);
            }
        }
    }

    /// When something is to be done.
    pub fn due(&self) -> Option<Time> {
        let mode = match self.mode {
            Mode::Include => None,
            Mode::Exclude { until } => Some(until),
        };
        let sources = self.sources.values().filter_map(|source| source.until);
        sources.chain(mode).chain(self.next_question).min()
    }

    /// Ends what has run out; gives the questions that are due.
    pub fn timer(&mut self, now: Time) -> Vec<Question> {
        self.expire(now);
        match self.next_question {
            Some(due) if due <= now && !self.is_over() => self.questions(now),
            _ => Vec::new(),
        }
    }

    /// Section 6.2.2, 6.2.3 and 6.3: timers at their end.
    fn expire(&mut self, now: Time) {
        if let Mode::Exclude { until } = self.mode
            && until <= now
        {
            // Whoever excluded sources is gone; who included some may not be.
            self.sources.retain(|_, source| source.until.is_some());
            self.mode = Mode::Include;
        }
        let over = |source: &Source| source.until.is_some_and(|until| until <= now);
        match self.mode {
            Mode::Include => self.sources.retain(|_, source| !over(source)),
            Mode::Exclude { .. } => {
                for source in self.sources.values_mut().filter(|source| over(source)) {
                    source.until = None;
                    source.questions = 0;
                }
            }
        }
    }

    fn questions(&mut self, now: Time) -> Vec<Question> {
        let end = now.after(LAST_MEMBER_TIME);
        let mut questions = Vec::new();
        if self.questions > 0 {
            self.questions -= 1;
            questions.push(Question {
                // A report has come since: routers need not hurry.
                suppress: matches!(self.mode, Mode::Exclude { until } if until > end),
                sources: Vec::new(),
            });
        }
        let (mut answered, mut open) = (Vec::new(), Vec::new());
        for (address, source) in &mut self.sources {
            let (Some(until), 1..) = (source.until, source.questions) else {
                continue;
            };
            source.questions -= 1;
            match until > end {
                true => answered.push(*address),
                false => open.push(*address),
            }
        }
        let about_group = !questions.is_empty();
        let mut push = |suppress, sources: Vec<Vaddr>| {
            if !sources.is_empty() {
                questions.push(Question { suppress, sources });
            }
        };
        // A question about the group asks about these anyway.
        if !about_group {
            push(true, answered);
        }
        push(false, open);
        let more = self.questions > 0 || self.sources.values().any(|source| source.questions > 0);
        self.next_question = more.then_some(now.after(LAST_MEMBER));
        questions
    }
}

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
