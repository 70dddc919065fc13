//! What must hold after each act, and at the end of a life.

use std::collections::{BTreeMap, BTreeSet};

use cusax::model::mute::MuteKind;
use cusax::model::origin::Asker;
use cusax::model::{Affiliation, Correlation, Door, OccupantId, Origin};
use cusax::room::{LegCause, OccupantCause, OccupantKind, Report, Request, Target};

use super::super::action::Action;
use super::super::reference::{Reason, Who};
use super::{World, jid};

impl World {
    pub(super) fn drain(&mut self) {
        while let Some(order) = self.room.poll_media() {
            self.ledger.order(&order);
        }
        while let Some(event) = self.room.poll_event() {
            self.ledger.event(&event);
        }
        while let Some(op) = self.room.poll_store() {
            self.ledger.kept(&op);
        }
    }

    pub(super) fn compare(&mut self) {
        self.drain();
        self.ledger.compare(&self.room);
        // Who is gone by somebody's act is gone here too.
        self.legs.retain(|id, _| self.room.person_of_leg(*id).is_some());
        self.nicks.retain(|id, _| self.room.occupant(*id).is_some());
        let shown: BTreeMap<Who, _> = self
            .room
            .people()
            .map(|p| {
                let leg = p.legs.first().and_then(|l| self.legs.get(&l.id));
                let nick = p.occupants.iter().find_map(|id| self.nicks.get(id));
                let who = leg.or(nick).expect("somebody we know").clone();
                let nicks = p.occupants.iter().filter(|id| self.nicks.contains_key(id)).count();
                let reasons: BTreeSet<Reason> = p.mutes.iter().map(|m| reason(m.kind())).collect();
                (who, (p.role, reasons, p.legs.len(), nicks, p.affiliation))
            })
            .collect();
        let expected: BTreeMap<Who, _> = self
            .reference
            .rows
            .iter()
            .map(|(who, r)| {
                (
                    who.clone(),
                    (
                        self.reference.shown_role(who),
                        r.reasons.clone(),
                        r.legs,
                        r.nicks,
                        self.reference.affiliation(who),
                    ),
                )
            })
            .collect();
        assert_eq!(shown, expected, "\n{}", self.context());
        let recorded = self.room.recording().is_some();
        assert_eq!(recorded, self.reference.recorded, "rule R82\n{}", self.context());
    }

    pub(super) fn context(&self) -> String {
        let last = self.done.len().saturating_sub(12);
        format!(
            "seed {}, after {} actions, the last: {:#?}",
            self.seed,
            self.done.len(),
            &self.done[last..]
        )
    }

    /// Rule R4: whatever happened, a moderator who comes now, and everybody for themselves, can bring every voice back.
    pub(crate) fn nobody_is_stuck(&mut self) {
        let appoint = Request::SetAffiliation {
            jid: jid("zoe"),
            affiliation: Affiliation::Admin,
            why: None,
        };
        self.room
            .request(
                self.now,
                &Origin {
                    door: Door::Control,
                    by: Asker::Operator,
                },
                appoint,
            )
            .expect("the operator may");
        let zoe = OccupantId(1_000_000);
        let enter = Request::Enter {
            occupant: zoe,
            jid: jid("zoe"),
            nick: "zoe".to_owned(),
            password: None,
            correlation: Correlation(1),
        };
        self.room
            .request(
                self.now,
                &Origin {
                    door: Door::Chat,
                    by: Asker::Jid(jid("zoe")),
                },
                enter,
            )
            .expect("an admin enters");
        for leg in self.legs.keys().copied().collect::<Vec<_>>() {
            for by in [Asker::Leg(leg), Asker::Occupant(zoe)] {
                let request = Request::Unmute { target: Target::Leg(leg) };
                // The first may be refused, since others' reasons are left; together they clear all.
                let _ = self.room.request(self.now, &Origin { door: Door::Chat, by }, request);
            }
            let person = self
                .room
                .person_of_leg(leg)
                .and_then(|id| self.room.person(id))
                .expect("in the room");
            assert!(!person.mutes.is_muted(), "stuck: {person:?}\n{}", self.context());
        }
        self.drain();
        self.ledger.compare(&self.room);
        self.report(Report::OccupantGone(zoe, OccupantCause::Left));
    }

    /// Rules R26 to R28: who is in by phone alone is shown in the end, as far as there are places.
    pub(crate) fn callers_are_shown(&mut self) {
        self.act(Action::Wait(20));
        self.compare();
        let alone = self
            .room
            .people()
            .filter(|p| !p.occupants.iter().any(|id| self.nicks.contains_key(id)))
            .count();
        let shown = self.room.occupants().filter(|o| o.kind == OccupantKind::Phone).count();
        assert_eq!(shown, alone.min(self.max_stand_ins), "{}", self.context());
        assert_eq!(shown + self.room.unshown_callers(), alone);
    }

    /// At the end nothing is left over.
    pub(crate) fn everybody_leaves(&mut self) {
        if self.seed.is_multiple_of(2) {
            self.report(Report::Shutdown);
            assert!(self.room.is_over());
        } else {
            for leg in self.legs.keys().copied().collect::<Vec<_>>() {
                self.report(Report::LegGone(leg, LegCause::Departed));
            }
            for occupant in self.nicks.keys().copied().collect::<Vec<_>>() {
                self.report(Report::OccupantGone(occupant, OccupantCause::Left));
            }
        }
        self.drain();
        self.ledger.compare(&self.room);
        assert_eq!(
            (self.room.people().count(), self.room.occupants().count(), self.room.poll_timeout()),
            (0, 0, None)
        );
    }
}

fn reason(kind: MuteKind) -> Reason {
    match kind {
        MuteKind::OwnChoice => Reason::Own,
        MuteKind::Host => Reason::Host,
        MuteKind::ChatVoice => Reason::Voice,
        MuteKind::Policy => Reason::Policy,
    }
}
