//! All dialogs, by number and by tag, each kept as long as somebody uses it (RFC 5057).

use std::collections::BTreeMap;

use super::Dialog;
use crate::sip::{endpoint::Flow, msg::DialogId, transaction::Seen};

/// A dialog's number. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DialogNo(u64);

#[derive(Debug)]
struct Entry {
    dialog: Dialog,
    usages: usize,
}

/// All dialogs. Bounded by the calls and subscriptions that use them.
#[derive(Debug, Default)]
pub(crate) struct Dialogs {
    next: u64,
    all: BTreeMap<DialogNo, Entry>,
    /// By our tag and theirs: the branches of a forked INVITE of ours differ in theirs alone.
    by_tags: BTreeMap<(String, Option<String>), DialogNo>,
}

impl Dialogs {
    /// Adds a dialog with one usage.
    pub(crate) fn add(&mut self, dialog: Dialog) -> DialogNo {
        let no = DialogNo(self.next);
        self.next += 1;
        self.by_tags.insert(dialog.tags(), no);
        self.all.insert(no, Entry { dialog, usages: 1 });
        no
    }

    /// The dialog that a request is inside of.
    pub(crate) fn find(&self, seen: &Seen) -> Option<DialogNo> {
        let no = self.by_tags.get(&(seen.to_tag.clone()?, seen.from_tag.clone()))?;
        self.all.get(no).filter(|entry| entry.dialog.is_of(seen)).map(|_| *no)
    }

    /// The dialog that an INVITE names (RFC 3891 section 3): their `to-tag` is ours.
    pub(crate) fn named(&self, wanted: &DialogId) -> Option<DialogNo> {
        let no = self.by_tags.get(&(wanted.to_tag.clone(), Some(wanted.from_tag.clone())))?;
        self.all.get(no).filter(|entry| entry.dialog.call_id == wanted.call_id).map(|_| *no)
    }

    pub(crate) fn get(&self, no: DialogNo) -> Option<&Dialog> {
        self.all.get(&no).map(|entry| &entry.dialog)
    }

    pub(crate) fn get_mut(&mut self, no: DialogNo) -> Option<&mut Dialog> {
        self.all.get_mut(&no).map(|entry| &mut entry.dialog)
    }

    /// One more usage.
    pub(crate) fn keep(&mut self, no: DialogNo) {
        if let Some(entry) = self.all.get_mut(&no) {
            entry.usages += 1;
        }
    }

    /// One usage less; with the last one the dialog goes.
    pub(crate) fn release(&mut self, no: DialogNo) {
        let Some(entry) = self.all.get_mut(&no) else { return };
        entry.usages -= 1;
        if entry.usages == 0
            && let Some(entry) = self.all.remove(&no)
        {
            self.by_tags.remove(&entry.dialog.tags());
        }
    }

    /// A connection is gone: dialogs over it find another way.
    pub(crate) fn handle_flow_lost(&mut self, flow: Flow) {
        self.all.values_mut().for_each(|entry| entry.dialog.handle_flow_lost(flow));
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}
