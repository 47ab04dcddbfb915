//! Requests that change things: applied, journalled, then acknowledged.
//!
//! An operator's change is applied and its journal line noted; the answer
//! waits until the lines of the slice are on disk. If they cannot be written,
//! the changes are undone in reverse order and refused. That is only right
//! while nothing else builds on them, so whatever is not an operator's change
//! settles the journal first.

use super::{Asker, Server, dispatch};
use crate::control::plant::Plant;
use crate::control::proto::{
    Applied, Change, Done, Error, ErrorCode, Event, Method, Request, Swept, SyncBegin, SyncCommit,
};
use crate::control::store::{Store, SyncStep, Transaction};
use crate::model::Origin;

/// A change that is applied, but not yet on disk.
#[derive(Debug)]
pub(super) struct Pending {
    asker: Asker,
    origin: Origin,
    method: Method,
    transaction: Transaction,
    result: Vec<u8>,
    applied: u32,
}

/// A sync that goes in steps.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) asker: Asker,
    pub(super) step: SyncStep,
}

/// An answer, or the promise of one.
pub(super) enum Answer {
    Now(Vec<u8>),
    Later,
}

pub(super) fn result<R: Request>(reply: &R::Reply) -> Result<Answer, Error> {
    json(reply).map(Answer::Now)
}

fn json(reply: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(reply).map_err(|e| Error::new(ErrorCode::Internal, e.to_string()))
}

impl Server {
    #[allow(
        clippy::too_many_arguments,
        reason = "one request with its surroundings"
    )]
    pub(super) fn change(
        &mut self,
        asker: Asker,
        origin: Origin,
        method: Method,
        changes: &[Change<'_>],
        store: &mut Store,
        plant: &mut impl Plant,
        now: u32,
    ) -> Result<Answer, (Asker, Error)> {
        let size: usize = changes.iter().map(Change::size).sum();
        if size > self.config.batch {
            let error =
                Error::new(ErrorCode::Limit, format!("{size} objects in one request")).hint(
                    format!("at most {}; send several requests", self.config.batch),
                );
            return Err((asker, error));
        }
        let transaction = match store.apply(plant, origin, changes, now) {
            Ok(transaction) => transaction,
            Err(error) => return Err((asker, error)),
        };
        let applied: Applied = transaction.applied;
        let result = match json(&applied) {
            Ok(result) => result,
            Err(error) => return Err((asker, error)),
        };
        self.acknowledge(
            Pending {
                asker,
                origin,
                method,
                transaction,
                result,
                applied: applied.applied,
            },
            store,
            plant,
            now,
        );
        Ok(Answer::Later)
    }

    /// Answers now, or when the journal has it.
    fn acknowledge(&mut self, done: Pending, store: &mut Store, plant: &mut impl Plant, now: u32) {
        match &mut self.journal {
            // What had no effect waits too if others wait: it was judged by
            // what they made, which may yet be undone.
            Some(journal)
                if !self.pending.is_empty()
                    || store.concerns_journal(done.origin, &done.transaction) =>
            {
                let noted = journal.append(store.changes_of(&done.transaction, now));
                match noted {
                    Ok(()) => self.pending.push(done),
                    Err(error) => self.refuse(done, &error, store, plant),
                }
            }
            _ => self.confirm(done),
        }
    }

    fn confirm(&mut self, done: Pending) {
        if done.asker.id.is_some() {
            let line = dispatch::success(done.asker.id.as_deref(), &done.result);
            self.answer(&done.asker, &line);
        }
        if done.applied > 0 {
            self.publish(&Event::Config {
                origin: done.origin,
                method: done.method.name().to_owned(),
                applied: done.applied,
            });
        }
    }

    fn refuse(
        &mut self,
        done: Pending,
        error: &std::io::Error,
        store: &mut Store,
        plant: &mut impl Plant,
    ) {
        store.revert(plant, done.transaction);
        self.counters.journal_errors += 1;
        let error = Error::new(
            ErrorCode::Journal,
            format!("the journal cannot be written: {error}"),
        )
        .hint("nothing was changed; make room on the disk of the journal and try again");
        self.fail(&done.asker, &error);
    }

    pub(super) fn fail(&mut self, asker: &Asker, error: &Error) {
        self.counters.errors += 1;
        if asker.id.is_some() {
            let line = dispatch::failure(asker.id.as_deref(), error);
            self.answer(asker, &line);
        }
    }

    /// Brings what is pending to disk and answers.
    pub(super) fn settle(&mut self, store: &mut Store, plant: &mut impl Plant, now: u32) {
        if self.pending.is_empty() {
            return;
        }
        let Some(journal) = &mut self.journal else {
            return;
        };
        let committed = journal.commit();
        let pending = std::mem::take(&mut self.pending);
        match committed {
            Ok(()) => {
                if journal.wants_compaction()
                    && let Err(error) = journal.compact(store, now)
                {
                    log::warn!("journal: snapshot: {error}; the old journal stays");
                }
                pending.into_iter().for_each(|done| self.confirm(done));
            }
            Err(error) => {
                log::error!("journal: {error}; {} changes refused", pending.len());
                for done in pending.into_iter().rev() {
                    self.refuse(done, &error, store, plant);
                }
            }
        }
    }

    pub(super) fn sync_begin(
        &mut self,
        asker: Asker,
        origin: Origin,
        ask: &SyncBegin,
        store: &mut Store,
    ) -> Result<Answer, (Asker, Error)> {
        match store.sync_begin(origin, &ask.kinds) {
            Err(error) => Err((asker, error)),
            Ok(step) => {
                if let Some(client) = self.clients.get_mut(asker.token) {
                    client.syncing = true;
                }
                match step {
                    Some(step) => {
                        self.job = Some(Job { asker, step });
                        Ok(Answer::Later)
                    }
                    None => result::<SyncBegin>(&Done {}).map_err(|error| (asker, error)),
                }
            }
        }
    }

    pub(super) fn sync_commit(
        &mut self,
        asker: Asker,
        origin: Origin,
        store: &mut Store,
    ) -> Result<Answer, (Asker, Error)> {
        match self
            .own_sync(asker.token)
            .and_then(|()| store.sync_commit(origin))
        {
            Ok(step) => {
                self.job = Some(Job { asker, step });
                Ok(Answer::Later)
            }
            Err(error) => Err((asker, error)),
        }
    }

    /// A sync belongs to the connection that began it. It is over for that
    /// connection with this call.
    pub(super) fn own_sync(&mut self, token: usize) -> Result<(), Error> {
        let client = self.clients.get_mut(token);
        match client.map(|client| std::mem::take(&mut client.syncing)) {
            Some(true) => Ok(()),
            _ => Err(
                Error::new(ErrorCode::Sync, "no sync is open on this connection")
                    .hint("sync.begin first"),
            ),
        }
    }

    /// A step of the job.
    pub(super) fn work(&mut self, store: &mut Store, plant: &mut impl Plant, now: u32) {
        let Some(mut job) = self.job.take() else {
            return;
        };
        match store.sync_step(plant, &mut job.step, now) {
            Ok(false) => self.job = Some(job),
            Ok(true) => self.finish(job, store, plant, now),
            Err(error) => {
                if let SyncStep::Sweep { transaction, .. } = job.step {
                    store.revert(plant, transaction);
                }
                self.fail(&job.asker, &error);
            }
        }
    }

    fn finish(&mut self, job: Job, store: &mut Store, plant: &mut impl Plant, now: u32) {
        let (origin, method, transaction, reply) = match job.step {
            SyncStep::Prepare { origin, .. } => (
                origin,
                SyncBegin::METHOD,
                Transaction::default(),
                json(&Done {}),
            ),
            SyncStep::Sweep {
                origin,
                transaction,
                swept,
                ..
            } => {
                let Swept { removed, .. } = &swept;
                let removed = u32::try_from(*removed).unwrap_or(u32::MAX);
                let mut transaction = transaction;
                transaction.applied.applied = removed;
                (origin, SyncCommit::METHOD, transaction, json(&swept))
            }
        };
        match reply {
            Ok(result) => {
                let applied = transaction.applied.applied;
                let done = Pending {
                    asker: job.asker,
                    origin,
                    method,
                    transaction,
                    result,
                    applied,
                };
                self.acknowledge(done, store, plant, now);
            }
            Err(error) => self.fail(&job.asker, &error),
        }
    }
}
