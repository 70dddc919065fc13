//! Calls that are answered and in no room: the menu leads them to one, and the rooms say who may come in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::{
    Aor, CallId, Caller, Correlation, Entry, LegId, MediaOrder, MediaPlane, Now, Phrase, RoomName, TrunkId, entry::NumberTarget,
};
use crate::peers::sip::ToRoom;
use crate::room::Refusal;
use crate::sip::endpoint::{Body, Reason, Rejection};
use crate::sip::msg::Uri;

use super::call::{Call, State};
use super::lockout::{Lockouts, Suspect};
use super::menu::{Menu, Question, Step};
use super::{RoomLookup, SipFront, focus};

/// Join codes known at once; of more than a server's rooms give out in five minutes the oldest is forgotten here.
const MAX_CODES: usize = 10_000;

/// What all calls on their way in have in common.
#[derive(Debug, Default)]
pub(super) struct Entrances {
    lockouts: Lockouts,
    codes: Codes,
}

/// Which room a join code is for. Only that room knows whose it is, and whether it was used.
#[derive(Default)]
struct Codes(BTreeMap<String, (RoomName, Instant)>);

impl std::fmt::Debug for Codes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Codes({})", self.0.len())
    }
}

impl Codes {
    fn insert(&mut self, now: Instant, code: String, room: RoomName, until: Instant) {
        self.0.retain(|_, (_, until)| *until > now);
        if self.0.len() >= MAX_CODES
            && let Some(first) = self.0.iter().min_by_key(|(_, (_, until))| *until).map(|(code, _)| code.clone())
        {
            self.0.remove(&first);
        }
        self.0.insert(code, (room, until));
    }

    fn room(&self, now: Instant, code: &str) -> Option<RoomName> {
        self.0.get(code).filter(|(_, until)| *until > now).map(|(room, _)| room.clone())
    }
}

/// Who stands at the door, told to each room that they ask.
#[derive(Debug)]
pub(super) struct Knock {
    pub(super) caller: Caller,
    pub(super) account: Option<Aor>,
    pub(super) trunk: Option<TrunkId>,
    pub(super) ssrc: u32,
    pub(super) correlation: Correlation,
    /// For whom wrong entries count.
    pub(super) suspects: Vec<Suspect>,
    /// What they typed last.
    pub(super) entry: Entry,
}

/// What a request's URI leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    Room(RoomName),
    Menu,
    /// A room that is yet to be made.
    Factory,
}

impl SipFront {
    /// Where a URI leads, if anywhere: to a room by its name, or by a number, to the factory, or to the menu (rule R14).
    pub(super) fn destination(&self, uri: &Uri, rooms: &dyn RoomLookup) -> Option<Destination> {
        if let Some(room) = self.room_by_name(uri, rooms) {
            return Some(Destination::Room(room));
        }
        if self.is_factory(uri) {
            return Some(Destination::Factory);
        }
        let number = self.number(uri)?;
        match self.settings.numbers.get(&number) {
            Some(NumberTarget::Menu) => Some(Destination::Menu),
            Some(NumberTarget::Room(room)) => rooms.dialable(room).then(|| Destination::Room(room.clone())),
            None => room_by_number(&number, rooms).map(Destination::Room),
        }
    }

    /// The number that a URI is about: of a `tel` URI (RFC 3966), or the user part of one of our own.
    fn number(&self, uri: &Uri) -> Option<String> {
        let text = match uri {
            Uri::Sip(sip) if self.is_ours(&sip.host) => sip.user.as_deref()?,
            Uri::Sip(_) => return None,
            Uri::Other(text) => text.split_once(':').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("tel"))?.1,
        };
        let text = crate::sip::msg::percent_decode(text);
        crate::model::entry::plain_number(std::str::from_utf8(&text).ok()?)
    }

    /// Asks a room to let a call in.
    pub(super) fn knock(&mut self, id: CallId, room: RoomName, entry: Entry, rooms: &dyn RoomLookup) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(knock) = &mut call.knock else { return };
        knock.entry = entry.clone();
        call.life = rooms.life(&room);
        call.room = Some(room.clone());
        let join = ToRoom::Join {
            leg: call.leg,
            caller: knock.caller.clone(),
            account: knock.account.clone(),
            ssrc: knock.ssrc,
            endpoint: call.contact.clone(),
            correlation: knock.correlation,
            entry,
        };
        let replaces = call.replaces;
        let join = self.as_successor(replaces, join);
        self.to_rooms.push_back((room, join));
    }

    /// How long a call's caller has to wait before they are asked anything again.
    pub(super) fn locked_out(&mut self, now: Now, suspects: &[Suspect]) -> Option<Rejection> {
        let wait = self.entrances.lockouts.wait(now.at, suspects)?;
        self.counters.locked_out += 1;
        let rejection = Rejection::new(480).because("Too Many Wrong Entries");
        Some(rejection.retry_after(wait.max(Duration::from_secs(1))))
    }

    /// Answers a call and has the menu begin with this question, as soon as the caller can hear it.
    pub(super) fn answer_by_menu(&mut self, now: Now, id: CallId, question: Question, plane: &mut dyn MediaPlane) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.state = State::Menu(Box::new(Menu::new(question)));
        let (leg, description) = (call.leg, Body::sdp(call.description.clone()));
        self.counters.menus += 1;
        plane.order(MediaOrder::InBandKeys(leg, true));
        if let Some(record) = self.records.get_mut(&leg) {
            let correlation = record.correlation;
            record.answered(now, correlation);
        }
        // Gone: the end of the call is reported by an event of its own.
        let _ = self.endpoint.accept(now.at, id, focus(), description);
    }

    /// A room has let somebody in who was in the menu: it learns what it has missed.
    pub(super) fn leave_menu(&mut self, id: CallId, plane: &mut dyn MediaPlane) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.state = State::Accepted;
        call.knock = None;
        let leg = call.leg;
        plane.order(MediaOrder::InBandKeys(leg, false));
        let missed = [
            (call.confirmed, ToRoom::Confirmed(leg)),
            (call.held, ToRoom::Held(leg, true)),
            (call.listens_only, ToRoom::ListensOnly(leg, true)),
        ];
        for (_, message) in missed.into_iter().filter(|(was, _)| *was) {
            self.tell_room_of(leg, message);
        }
    }

    /// A room has refused somebody who is in the menu.
    pub(super) fn refused_in_menu(&mut self, now: Now, id: CallId, refusal: Refusal, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        let Some((menu, knock)) = self.calls.get_mut(&id).and_then(Call::in_menu) else {
            return;
        };
        if refusal == Refusal::Pin && knock.entry == Entry::Nothing {
            menu.ask(now.at, Question::Pin);
        } else if refusal == Refusal::Pin {
            self.wrong_entry(now, id);
        } else {
            // Nothing that they type would change that.
            let told = [(Refusal::Locked, Phrase::Locked), (Refusal::Full, Phrase::RoomFull)];
            let why = told.into_iter().find(|(which, _)| *which == refusal).map(|(_, phrase)| phrase);
            menu.farewell(now.at, why);
        }
        self.run_menu(now, id, plane, rooms);
    }

    /// A room asks whether somebody means to join as the one of this name (rule R2).
    pub(super) fn confirm(&mut self, now: Now, leg: LegId, name: &str, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        self.in_menu_of(now, leg, plane, rooms, |menu, now| menu.confirm(now, name));
    }

    /// A room has given out a join code (rule R2).
    pub(super) fn learn_code(&mut self, now: Now, room: RoomName, code: String, until: Instant) {
        self.entrances.codes.insert(now.at, code, room, until);
    }

    /// Does something to a leg's menu, and what follows; says whether the leg has one.
    pub(super) fn in_menu_of(
        &mut self,
        now: Now,
        leg: LegId,
        plane: &mut dyn MediaPlane,
        rooms: &dyn RoomLookup,
        act: impl FnOnce(&mut Menu, Instant),
    ) -> bool {
        let Some(id) = self.legs.get(&leg).copied() else { return false };
        let Some((menu, _)) = self.calls.get_mut(&id).and_then(Call::in_menu) else {
            return false;
        };
        act(menu, now.at);
        self.run_menu(now, id, plane, rooms);
        true
    }

    /// Runs the menus' timers that are due.
    pub(super) fn time_menus(&mut self, now: Now, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        let is_due = |call: &Call| call.menu().and_then(Menu::poll_timeout).is_some_and(|at| at <= now.at);
        let due: Vec<LegId> = self.calls.values().filter(|call| is_due(call)).map(|call| call.leg).collect();
        for leg in due {
            self.in_menu_of(now, leg, plane, rooms, Menu::handle_timeout);
        }
    }

    /// When a menu has something to do.
    pub(super) fn next_menu(&self) -> Option<Instant> {
        self.calls.values().filter_map(|call| call.menu()?.poll_timeout()).min()
    }

    /// Ends the calls that are in no room: no room will.
    pub(super) fn close_menus(&mut self, now: Now) {
        let left: Vec<CallId> = self.calls.iter().filter(|(_, c)| c.menu().is_some()).map(|(id, _)| *id).collect();
        for id in left {
            let text = "The server goes down".to_owned();
            self.break_off(now, id, Reason { cause: 503, text });
        }
    }

    fn run_menu(&mut self, now: Now, id: CallId, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        while let Some(call) = self.calls.get_mut(&id)
            && let leg = call.leg
            && let Some((menu, _)) = call.in_menu()
            && let Some(step) = menu.poll_step()
        {
            match step {
                Step::Say(phrases) => plane.order(MediaOrder::Say(leg, phrases)),
                Step::Answer(question, typed) => self.take_answer(now, id, question, typed, rooms),
                Step::HangUp => {
                    self.counters.menus_left += 1;
                    let text = "No room was found".to_owned();
                    self.break_off(now, id, Reason { cause: 480, text });
                }
            }
        }
    }

    fn take_answer(&mut self, now: Now, id: CallId, question: Question, typed: String, rooms: &dyn RoomLookup) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(knock) = &call.knock else { return };
        let named = call.room.clone();
        match (question, named) {
            (Question::Room, _) => {
                let by_code = || self.entrances.codes.room(now.at, &typed);
                let reaches = |room: &RoomName| knock.trunk.as_ref().is_none_or(|trunk| self.trunks.reaches(trunk, room));
                let found = match room_by_number(&typed, rooms) {
                    Some(room) => Some((room, Entry::Nothing)),
                    None => by_code().map(|room| (room, Entry::Typed(typed.clone()))),
                };
                match found.filter(|(room, _)| reaches(room)) {
                    Some((room, entry)) => self.knock(id, room, entry, rooms),
                    None => self.wrong_entry(now, id),
                }
            }
            (Question::Pin, Some(room)) => self.knock(id, room, Entry::Typed(typed), rooms),
            (Question::Confirm, Some(room)) if typed == "1" => {
                let code = match &knock.entry {
                    Entry::Typed(code) | Entry::Confirmed(code) => code.clone(),
                    Entry::Nothing => String::new(),
                };
                self.knock(id, room, Entry::Confirmed(code), rooms);
            }
            (Question::Confirm | Question::Pin, _) => {
                if let Some((menu, _)) = call.in_menu() {
                    menu.back(now.at);
                }
            }
        }
    }

    /// Counts it, and has the menu say so.
    fn wrong_entry(&mut self, now: Now, id: CallId) {
        self.counters.wrong_entries += 1;
        let Some((menu, knock)) = self.calls.get_mut(&id).and_then(Call::in_menu) else {
            return;
        };
        menu.wrong(now.at);
        self.entrances.lockouts.failed(now.at, &knock.suspects);
    }
}

fn room_by_number(number: &str, rooms: &dyn RoomLookup) -> Option<RoomName> {
    rooms.by_number(number).filter(|room| rooms.dialable(room))
}
