//! Ways out: leaving, being put out (rules R7, R8), and the room's own end (rule R14).

use crate::model::{BareJid, LegId, MediaOrder, Now, OccupantId, PersonId, StoreOp, mute::MuteKind};

use super::policy::{self, Asking};
use super::roster::{Person, StandIn};
use super::{Accepted, EndCause, Event, LeaveCause, Refusal, Room, Stage, Target};

impl Room {
    pub(super) fn kick(&mut self, now: Now, asking: &Asking, target: &Target, why: Option<String>) -> Result<Accepted, Refusal> {
        if let Target::Dial(dial) = target {
            return self.cancel_dial(now, asking, *dial);
        }
        if let Some(row) = self.lobby.find(target) {
            return self.send_away(now, asking, row, why);
        }
        let id = self.find(target)?;
        policy::act_on(asking.power, self.standing(id).ok_or(Refusal::NoSuchTarget)?)?;
        let barred = self.roster.person(id).and_then(Person::barred);
        let by = asking.actor.clone();
        let leave = LeaveCause::Kicked {
            by: by.clone(),
            why: why.clone(),
        };
        let end = EndCause::Kicked { by, why };
        match target {
            Target::Person(_) | Target::Occupant(_) => self.put_out(id, &leave, &end),
            Target::Leg(leg) => self.end_leg(*leg, end, &leave),
            Target::Dial(_) => {}
        }
        // Somebody who is still here by another leg or nick was not put out.
        if self.roster.person(id).is_none()
            && let Some(barred) = barred
        {
            self.take_pass(&barred);
            self.quarantine.add(now.at, barred, now.at + self.settings.kick_quarantine);
        }
        self.settle();
        Ok(Accepted::Done)
    }

    /// Puts a person out by both doors.
    pub(super) fn put_out(&mut self, id: PersonId, leave: &LeaveCause, end: &EndCause) {
        for leg in self.legs_of(id) {
            self.end_leg(leg, end.clone(), leave);
        }
        for occupant in self.roster.person(id).map(|p| p.chats.clone()).unwrap_or_default() {
            self.drop_occupant(occupant, leave.clone());
        }
        self.roster.drop_if_gone(id);
    }

    /// Ends one call; `leave` is what the chat is told if a stand-in goes with it.
    pub(super) fn end_leg(&mut self, leg: LegId, cause: EndCause, leave: &LeaveCause) {
        let Some(gone) = self.roster.remove_leg(leg) else { return };
        let id = gone.person;
        let (name, correlation) = self
            .roster
            .person(id)
            .map_or_else(|| (String::new(), gone.correlation), |p| (self.name_of(p), p.correlation));
        self.out.order(MediaOrder::Close(leg));
        self.out.tell(Event::LegLeft {
            person: id,
            leg,
            name,
            correlation,
            cause,
        });
        self.sound_of_leaving(id);
        let Some(person) = self.roster.person_mut(id).filter(|p| p.legs.is_empty()) else {
            return;
        };
        // One's own mute is a state of one's call: a new call begins without it.
        person.mutes.remove(MuteKind::OwnChoice);
        person.moderates_by_phone = false;
        person.hand_raised = false;
        match person.stand_in {
            StandIn::Here(occupant) => self.drop_occupant(occupant, leave.clone()),
            StandIn::Due(_) | StandIn::Crowded => person.stand_in = StandIn::Absent,
            StandIn::Absent => {}
        }
        self.roster.drop_if_gone(id);
    }

    /// One nick of a chat user goes; their calls go on (rule R7).
    pub(super) fn leave_chat(&mut self, now: Now, occupant: OccupantId, cause: &LeaveCause) {
        let Ok(id) = self.occupant_person(occupant) else { return };
        let barred = self.roster.person(id).and_then(Person::barred);
        self.drop_occupant(occupant, cause.clone());
        let due = now.at + self.settings.phone_occupant_delay;
        if let Some(person) = self.roster.person_mut(id).filter(|p| p.is_audio_only() && !p.legs.is_empty()) {
            person.stand_in = StandIn::Due(due);
        }
        if self.roster.drop_if_gone(id) {
            self.give_pass(now, barred);
        }
    }

    pub(super) fn drop_occupant(&mut self, occupant: OccupantId, cause: LeaveCause) {
        let Some(gone) = self.roster.remove_occupant(occupant) else {
            return;
        };
        let affiliation = self
            .roster
            .person(gone.person)
            .map_or_else(|| self.lists.affiliation(&gone.jid), |p| self.affiliation_of(p));
        self.out.tell(Event::OccupantLeft {
            occupant,
            person: gone.person,
            nick: gone.nick,
            affiliation,
            jid: gone.jid,
            cause,
        });
    }

    pub(super) fn legs_of(&self, id: PersonId) -> Vec<LegId> {
        self.roster.person(id).map(|p| p.legs.clone()).unwrap_or_default()
    }

    pub(super) fn destroy(&mut self, asking: &Asking, alternate: Option<BareJid>, why: Option<String>) -> Result<Accepted, Refusal> {
        policy::own(asking.power)?;
        if self.from_config {
            return Err(Refusal::FixedByConfig);
        }
        let leave = LeaveCause::Destroyed {
            alternate: alternate.clone(),
            why: why.clone(),
        };
        self.empty(&leave, &EndCause::RoomGone);
        self.out.keep(StoreOp::DeleteRoom(self.name.clone()));
        self.end(Some((alternate, why)));
        Ok(Accepted::Done)
    }

    /// The server goes down: a room that is kept will be taken up again.
    pub(super) fn shut_down(&mut self) {
        self.empty(&LeaveCause::Shutdown, &EndCause::Shutdown);
        if self.is_temporary() {
            self.out.keep(StoreOp::DeleteRoom(self.name.clone()));
        }
        self.end(None);
    }

    fn empty(&mut self, leave: &LeaveCause, end: &EndCause) {
        for id in self.roster.ids() {
            self.put_out(id, leave, end);
        }
        self.empty_lobby(end);
    }

    /// After somebody has gone: their stand-in's place goes to the next, and a temporary room ends with its last (rule R14).
    pub(super) fn settle(&mut self) {
        if self.is_over() {
            return;
        }
        self.show_crowded();
        if self.is_temporary() && self.roster.people().next().is_none() {
            self.empty_lobby(&EndCause::RoomGone);
            self.out.keep(StoreOp::DeleteRoom(self.name.clone()));
            self.end(None);
        }
    }

    fn is_temporary(&self) -> bool {
        !self.config.persistent && !self.from_config
    }

    fn end(&mut self, destroyed: Option<(Option<BareJid>, Option<String>)>) {
        self.take_back_dials();
        self.stage = Stage::Over;
        self.claim_number(None);
        self.out.tell(Event::Closed { destroyed });
    }
}
