//! Names that are being looked up for requests of ours: each once, however many wait for it.

use std::collections::{BTreeMap, VecDeque};

use super::{
    ClientId, Dice,
    ways::{Unsendable, Ways},
};
use crate::sip::locate::{Lookup, LookupId, Question};

/// Names under way at a time: what a few hundred peers behind names need in the second after a restart.
const MAX_UNDER_WAY: usize = 256;

/// Who waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waiting {
    /// A request.
    Request(ClientId),
    /// The ACK of this branch of an INVITE.
    Ack(ClientId, Option<String>),
}

/// Lookups under way.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    next: u64,
    under_way: BTreeMap<LookupId, (Question, Vec<Waiting>)>,
    by_question: BTreeMap<Question, LookupId>,
    out: VecDeque<Lookup>,
}

impl Lookups {
    /// Asks, or waits for the answer that others wait for already.
    pub(super) fn ask(&mut self, dice: &mut Dice, ways: &Ways, question: Question, who: Waiting) -> Result<(), Unsendable> {
        if let Some((_, waiting)) = self.by_question.get(&question).and_then(|id| self.under_way.get_mut(id)) {
            waiting.push(who);
            return Ok(());
        }
        if self.under_way.len() >= MAX_UNDER_WAY {
            return Err(Unsendable("too many names are being looked up"));
        }
        self.next += 1;
        let id = LookupId(self.next);
        self.by_question.insert(question.clone(), id);
        self.under_way.insert(id, (question.clone(), vec![who]));
        self.out.push_back(Lookup {
            id,
            question,
            usable: ways.usable(),
            seed: dice.seed(),
        });
        Ok(())
    }

    pub(super) fn poll(&mut self) -> Option<Lookup> {
        self.out.pop_front()
    }

    /// Who waited for this one; nobody, if it comes too late.
    pub(super) fn answered(&mut self, id: LookupId) -> Vec<Waiting> {
        let Some((question, waiting)) = self.under_way.remove(&id) else {
            return Vec::new();
        };
        self.by_question.remove(&question);
        waiting
    }

    /// Somebody doesn't wait any longer; what nobody waits for is forgotten.
    pub(super) fn leave(&mut self, client: ClientId) {
        let Self {
            under_way, by_question, ..
        } = self;
        under_way.retain(|_, (question, waiting)| {
            waiting.retain(|who| *who != Waiting::Request(client));
            if waiting.is_empty() {
                by_question.remove(question);
            }
            !waiting.is_empty()
        });
    }

    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }
}
