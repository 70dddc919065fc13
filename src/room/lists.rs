//! Standing that outlives a visit: affiliations, and voice by rule R5.

use std::collections::BTreeMap;

use crate::model::{Affiliation, BareJid, Directory};

use super::nick::Look;

/// Accounts with an affiliation, at most: a list of that many is 1 MB of memory, and more than a moderator can read.
pub(super) const MAX_AFFILIATIONS: usize = 10_000;
/// Accounts whose voice is remembered, at most; beyond it a change lasts for the visit.
pub(super) const MAX_VOICES: usize = 10_000;

/// The room's two lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    affiliations: BTreeMap<BareJid, Entry>,
    voice: BTreeMap<BareJid, bool>,
}

#[derive(Debug)]
struct Entry {
    affiliation: Affiliation,
    /// Names that are theirs even while they are away (rule R26): the local part, and the name in the directory.
    looks: Vec<Look>,
}

impl Lists {
    pub(super) fn new(affiliations: BTreeMap<BareJid, Affiliation>, voice: BTreeMap<BareJid, bool>, directory: &dyn Directory) -> Self {
        let mut lists = Self {
            affiliations: BTreeMap::new(),
            voice,
        };
        for (jid, affiliation) in affiliations {
            lists.set_affiliation(&jid, affiliation, directory);
        }
        lists
    }

    pub(super) fn affiliation(&self, jid: &BareJid) -> Affiliation {
        self.affiliations.get(jid).map_or(Affiliation::None, |e| e.affiliation)
    }

    pub(super) fn set_affiliation(&mut self, jid: &BareJid, affiliation: Affiliation, directory: &dyn Directory) {
        if affiliation == Affiliation::None {
            self.affiliations.remove(jid);
            return;
        }
        let names = jid
            .node()
            .map(|n| n.as_str().to_owned())
            .into_iter()
            .chain(directory.by_jid(jid).map(|a| a.name));
        let looks = names.map(|n| Look::of(&n)).collect();
        self.affiliations.insert(jid.clone(), Entry { affiliation, looks });
    }

    pub(super) fn affiliations(&self) -> impl Iterator<Item = (&BareJid, Affiliation)> {
        self.affiliations.iter().map(|(jid, e)| (jid, e.affiliation))
    }

    pub(super) fn with(&self, affiliation: Affiliation) -> Vec<BareJid> {
        self.affiliations()
            .filter(|(_, a)| *a == affiliation)
            .map(|(jid, _)| jid.clone())
            .collect()
    }

    pub(super) fn owners(&self) -> usize {
        self.affiliations().filter(|(_, a)| *a == Affiliation::Owner).count()
    }

    pub(super) fn is_full(&self) -> bool {
        self.affiliations.len() >= MAX_AFFILIATIONS
    }

    /// Whether this look belongs to somebody on the lists who is in good standing, other than `owner`.
    pub(super) fn knows_look(&self, look: &Look, owner: Option<&BareJid>) -> bool {
        self.affiliations
            .iter()
            .any(|(jid, e)| e.affiliation >= Affiliation::Member && Some(jid) != owner && e.looks.iter().any(|l| l.resembles(look)))
    }

    pub(super) fn voice(&self, jid: &BareJid) -> Option<bool> {
        self.voice.get(jid).copied()
    }

    pub(super) fn voices(&self) -> &BTreeMap<BareJid, bool> {
        &self.voice
    }

    /// Remembers or forgets; says whether anything changed.
    pub(super) fn set_voice(&mut self, jid: &BareJid, voice: Option<bool>) -> bool {
        match voice {
            None => self.voice.remove(jid).is_some(),
            Some(_) if self.voice.len() >= MAX_VOICES && !self.voice.contains_key(jid) => false,
            Some(v) => self.voice.insert(jid.clone(), v) != Some(v),
        }
    }
}
