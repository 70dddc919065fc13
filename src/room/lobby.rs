//! Who waits to be let in: in the lobby, by a moderator; or for a moderator to come. They are in no view but the moderators', and callers hear music.
//!
//! In the chat a lobby is a refused join, so that nobody reads along who hasn't been let in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::{Actor, Affiliation, BareJid, LegId, MediaOrder, Now, PersonId, Phrase};

use super::binding::Key;
use super::doors::Knock;
use super::lasting::Lasting;
use super::policy::{self, Arriving, Asking};
use super::quarantine::Barred;
use super::{Accepted, EndCause, Event, Guest, Hold, LegCause, LobbyStep, Refusal, Report, Room, Target, WaitingView, nick};

/// Who was in, or was let in and isn't yet, needn't wait (again) for so long.
const PASS_FOR: Duration = Duration::from_secs(600);
/// A call that nobody takes in for so long is ended: it costs its caller money and the room a place.
const CALLERS_WAIT: Duration = Duration::from_secs(3600);
/// How long moderators can let in somebody whom the chat has refused; trying again begins it anew.
const KNOCK_FOR: Duration = Duration::from_secs(600);
/// Of those so many at most; the one that tried first makes room.
const KNOCKS_MAX: usize = 100;

/// Who waits, and who needn't.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    callers: BTreeMap<PersonId, Caller>,
    knocks: BTreeMap<PersonId, Knocker>,
    passes: Lasting<Barred>,
}

/// A caller who waits.
#[derive(Debug)]
struct Caller {
    knock: Knock,
    name: String,
    hidden_entity: String,
    hold: Hold,
    since: Now,
    state: LegFacts,
}

/// What has been reported of a leg.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LegFacts {
    pub(super) confirmed: bool,
    pub(super) held: bool,
    pub(super) listens_only: bool,
}

/// A chat user whose join was refused.
#[derive(Debug)]
struct Knocker {
    jid: BareJid,
    nick: String,
    since_unix_ms: u64,
    until: Instant,
}

impl Lobby {
    /// Places that those who wait have already.
    pub(super) fn places(&self) -> usize {
        self.callers.len()
    }

    fn of_leg(&self, leg: LegId) -> Option<PersonId> {
        self.callers.iter().find(|(_, c)| c.knock.leg == leg).map(|(row, _)| *row)
    }

    pub(super) fn find(&self, target: &Target) -> Option<PersonId> {
        match target {
            Target::Person(row) => Some(*row).filter(|row| self.callers.contains_key(row) || self.knocks.contains_key(row)),
            Target::Leg(leg) => self.of_leg(*leg),
            Target::Occupant(_) | Target::Dial(_) => None,
        }
    }
}

impl Room {
    /// Everybody who waits, first come first. For moderators and the operator alone.
    pub fn waiting(&self) -> impl Iterator<Item = WaitingView> {
        let callers = self.lobby.callers.iter().map(|(row, caller)| WaitingView {
            row: *row,
            name: caller.name.clone(),
            hold: caller.hold,
            since_unix_ms: caller.since.unix_ms,
            guest: Guest::Caller {
                leg: caller.knock.leg,
                caller: caller.knock.caller.clone(),
                held: caller.state.held,
                hidden_entity: caller.hidden_entity.clone(),
                correlation: caller.knock.correlation,
            },
        });
        let knocks = self.lobby.knocks.iter().map(|(row, knocker)| WaitingView {
            row: *row,
            name: knocker.nick.clone(),
            hold: Hold::Lobby,
            since_unix_ms: knocker.since_unix_ms,
            guest: Guest::Chat(knocker.jid.clone()),
        });
        callers.chain(knocks)
    }

    /// Who waits under this name or row (`#3`), if it is one alone.
    pub fn find_waiting(&self, name: &str) -> Result<Target, Refusal> {
        let row = name.strip_prefix('#').and_then(|n| n.parse().ok()).map(PersonId);
        let mut found = self.waiting().filter(|w| Some(w.row) == row || w.name == name).map(|w| w.row);
        match (found.next(), found.next()) {
            (Some(row), None) => Ok(Target::Person(row)),
            (Some(_), Some(_)) | (None, _) => Err(Refusal::NoSuchTarget),
        }
    }

    /// What somebody has to wait for, if they have to.
    pub(super) fn hold(&self, now: Now, who: Arriving, barred: Option<&Barred>) -> Option<Hold> {
        let has_pass = barred.is_some_and(|barred| self.lobby.passes.holds(now.at, barred));
        if who.affiliation >= Affiliation::Admin {
            None
        } else if self.config.lobby && who.affiliation < Affiliation::Member && !who.is_in && !has_pass {
            Some(Hold::Lobby)
        } else {
            // A meeting that has begun goes on without its moderator, for those who were in it.
            let comes_back = has_pass && self.roster.legs() > 0;
            (self.config.wait_for_moderator && !comes_back && !self.is_moderated()).then_some(Hold::Moderator)
        }
    }

    /// A moderator is in, by either door.
    pub(super) fn is_moderated(&self) -> bool {
        let moderates = |id| self.standing(id).is_some_and(|s| s.role == crate::model::Role::Moderator);
        self.roster.people().any(|(id, _)| moderates(id))
    }

    /// Takes a caller in who has to wait; they are answered, and hear music.
    pub(super) fn wait(&mut self, now: Now, knock: Knock, hold: Hold) -> Accepted {
        let row = self.roster.next_row();
        let caller = Caller {
            name: nick::of_caller(&knock.caller),
            hidden_entity: super::binding::hidden_entity(&mut self.rng),
            hold,
            since: now,
            state: LegFacts::default(),
            knock,
        };
        tracing::debug!(correlation = %caller.knock.correlation, room = %self.name, leg = caller.knock.leg.0, "waits to be let in");
        if hold == Hold::Lobby {
            let name = &caller.name;
            let text = format!("{name} waits on the phone to be let in: `admit {name}` lets them in, `kick {name}` sends them away.");
            self.out.tell(Event::Notice { to: None, text });
        }
        self.out.tell(Event::Lobby {
            name: caller.name.clone(),
            correlation: Some(caller.knock.correlation),
            step: LobbyStep::Waits(hold),
        });
        let leg = caller.knock.leg;
        self.out.order(MediaOrder::Wait(leg, true));
        self.out.order(MediaOrder::Say(leg, vec![what_for(hold)]));
        self.lobby.callers.insert(row, caller);
        Accepted::Waits
    }

    /// A join of the chat that was refused: moderators are told, once in a while.
    pub(super) fn knock(&mut self, now: Now, jid: BareJid, nick: String) {
        let until = now.at + KNOCK_FOR;
        if let Some(known) = self.lobby.knocks.values_mut().find(|k| k.jid == jid) {
            known.until = until;
            return;
        }
        self.lobby.knocks.retain(|_, k| k.until > now.at);
        if self.lobby.knocks.len() >= KNOCKS_MAX {
            self.lobby.knocks.pop_first();
        }
        let text = format!("{nick} ({jid}) asks to be let in: `admit {nick}` lets them in, `kick {nick}` sends them away.");
        self.out.tell(Event::Notice { to: None, text });
        self.out.tell(Event::Lobby {
            name: nick.clone(),
            correlation: None,
            step: LobbyStep::Knocks,
        });
        let row = self.roster.next_row();
        let knocker = Knocker {
            jid,
            nick,
            since_unix_ms: now.unix_ms,
            until,
        };
        self.lobby.knocks.insert(row, knocker);
    }

    /// They are in: nobody need let them in any more.
    pub(super) fn stop_knocking(&mut self, jid: &BareJid) {
        self.lobby.knocks.retain(|_, k| k.jid != *jid);
    }

    pub(super) fn admit(&mut self, now: Now, asking: &Asking, target: &Target) -> Result<Accepted, Refusal> {
        policy::moderate(asking.power)?;
        let Some(row) = self.lobby.find(target) else {
            // Who is in was let in.
            return self.find(target).map(|_| Accepted::Unchanged);
        };
        if let Some(caller) = self.lobby.callers.get(&row) {
            // A moderator has the key to a locked room.
            self.may_join(now, &caller.knock, true)?;
            self.let_in(now, row, &asking.actor);
        } else if let Some(knocker) = self.lobby.knocks.remove(&row) {
            let barred = Barred::Proven(Key::Jid(knocker.jid.clone()));
            self.lobby.passes.add(now.at, barred, now.at + PASS_FOR);
            self.out.tell(Event::Lobby {
                name: knocker.nick,
                correlation: None,
                step: LobbyStep::Invited(knocker.jid),
            });
        }
        Ok(Accepted::Done)
    }

    /// Sends somebody away who waits, and keeps them out as a kick does (rule R7).
    pub(super) fn send_away(&mut self, now: Now, asking: &Asking, row: PersonId, why: Option<String>) -> Result<Accepted, Refusal> {
        policy::moderate(asking.power)?;
        let barred = match (self.lobby.callers.get(&row), self.lobby.knocks.remove(&row)) {
            (Some(caller), _) => self.barred(&caller.knock),
            (None, Some(knocker)) => {
                self.out.tell(Event::Lobby {
                    name: knocker.nick,
                    correlation: None,
                    step: LobbyStep::SentAway,
                });
                Some(Barred::Proven(Key::Jid(knocker.jid)))
            }
            (None, None) => None,
        };
        let by = asking.actor.clone();
        self.end_waiting(row, EndCause::Kicked { by, why });
        if let Some(barred) = barred {
            self.quarantine.add(now.at, barred, now.at + self.settings.kick_quarantine);
        }
        Ok(Accepted::Done)
    }

    /// Looks again who still has to wait.
    pub(super) fn review_lobby(&mut self, now: Now) {
        let rows: Vec<PersonId> = self.lobby.callers.keys().copied().collect();
        for row in rows {
            let Some(caller) = self.lobby.callers.get(&row) else { continue };
            let may = self.may_join(now, &caller.knock, false);
            let hold = match &may {
                Ok(who) => self.hold(now, *who, self.barred(&caller.knock).as_ref()),
                Err(_) => Some(caller.hold),
            };
            if may == Err(Refusal::Banned) {
                let (by, why) = (Actor::Room, None);
                self.end_waiting(row, EndCause::Banned { by, why });
            } else if now.at.saturating_duration_since(caller.since.at) >= CALLERS_WAIT {
                let why = Some("nobody has let you in".to_owned());
                self.end_waiting(row, EndCause::MeetingOver { by: Actor::Room, why });
            } else if let Some(hold) = hold {
                self.change_hold(row, hold);
            } else {
                self.let_in(now, row, &Actor::Room);
            }
        }
    }

    /// When the first of those who wait has waited for too long.
    pub(super) fn next_waited_too_long(&self) -> Option<Instant> {
        self.lobby.callers.values().map(|c| c.since.at + CALLERS_WAIT).min()
    }

    fn change_hold(&mut self, row: PersonId, hold: Hold) {
        let Some(caller) = self.lobby.callers.get_mut(&row).filter(|c| c.hold != hold) else {
            return;
        };
        caller.hold = hold;
        self.out.order(MediaOrder::Say(caller.knock.leg, vec![what_for(hold)]));
        self.out.tell(Event::Lobby {
            name: caller.name.clone(),
            correlation: Some(caller.knock.correlation),
            step: LobbyStep::Waits(hold),
        });
    }

    fn let_in(&mut self, now: Now, row: PersonId, by: &Actor) {
        let Some(caller) = self.lobby.callers.remove(&row) else { return };
        self.out.tell(Event::Lobby {
            name: caller.name,
            correlation: Some(caller.knock.correlation),
            step: LobbyStep::LetIn(by.clone()),
        });
        let (leg, state) = (caller.knock.leg, caller.state);
        self.out.order(MediaOrder::Say(leg, Vec::new()));
        self.place(now, caller.knock, Some(row), state);
        if state.confirmed && !state.held {
            self.somebody_hears(now);
        }
        tracing::debug!(room = %self.name, leg = leg.0, "let in");
    }

    /// Takes note of what concerns a leg that waits; says whether it does.
    pub(super) fn note_waiting(&mut self, report: &Report) -> bool {
        let leg = match report {
            Report::LegGone(leg, _)
            | Report::LegConfirmed(leg)
            | Report::LegHeld(leg, _)
            | Report::LegListensOnly(leg, _)
            | Report::LegQuiet(leg, _) => *leg,
            Report::OccupantGone(..)
            | Report::Speaking(..)
            | Report::Key(..)
            | Report::LegSucceeds { .. }
            | Report::ChatLink(_)
            | Report::MediaFailed
            | Report::RecordingStarted { .. }
            | Report::RecordingEnded { .. }
            | Report::DialAlerts(_)
            | Report::DialFailed(..)
            | Report::Shutdown => return false,
        };
        let Some(row) = self.lobby.of_leg(leg) else { return false };
        let Some(caller) = self.lobby.callers.get_mut(&row) else {
            return false;
        };
        match report {
            Report::LegConfirmed(_) => caller.state.confirmed = true,
            Report::LegHeld(_, held) => caller.state.held = *held,
            Report::LegListensOnly(_, listens_only) => caller.state.listens_only = *listens_only,
            Report::LegGone(_, LegCause::Departed) => self.end_waiting(row, EndCause::Departed),
            Report::LegQuiet(_, seconds) if caller.state.held || *seconds < self.settings.silence_limit_s => {}
            Report::LegGone(_, LegCause::Failed) | Report::LegQuiet(..) => self.end_waiting(row, EndCause::Failed),
            Report::OccupantGone(..)
            | Report::Speaking(..)
            | Report::Key(..)
            | Report::LegSucceeds { .. }
            | Report::ChatLink(_)
            | Report::MediaFailed
            | Report::RecordingStarted { .. }
            | Report::RecordingEnded { .. }
            | Report::DialAlerts(_)
            | Report::DialFailed(..)
            | Report::Shutdown => {}
        }
        true
    }

    pub(super) fn end_waiting(&mut self, row: PersonId, cause: EndCause) {
        let Some(caller) = self.lobby.callers.remove(&row) else { return };
        let leg = caller.knock.leg;
        self.out.order(MediaOrder::Close(leg));
        self.out.tell(Event::Lobby {
            name: caller.name,
            correlation: Some(caller.knock.correlation),
            step: LobbyStep::CallOver(leg, cause),
        });
    }

    /// Nobody is to be waited for any more.
    pub(super) fn empty_lobby(&mut self, cause: &EndCause) {
        self.lobby.knocks.clear();
        self.empty_callers(cause);
    }

    /// Ends the calls of all who wait.
    pub(super) fn empty_callers(&mut self, cause: &EndCause) {
        for row in self.lobby.callers.keys().copied().collect::<Vec<_>>() {
            self.end_waiting(row, cause.clone());
        }
    }

    /// Lets somebody who goes of themselves, or is lost, come back without waiting. Unproven callers leave nothing to know them by.
    pub(super) fn give_pass(&mut self, now: Now, barred: Option<Barred>) {
        if let Some(barred) = barred.filter(|barred| matches!(barred, Barred::Proven(_))) {
            self.lobby.passes.add(now.at, barred, now.at + PASS_FOR);
        }
    }

    /// Who was put out has to wait again.
    pub(super) fn take_pass(&mut self, barred: &Barred) {
        self.lobby.passes.remove(barred);
    }
}

fn what_for(hold: Hold) -> Phrase {
    match hold {
        Hold::Lobby => Phrase::WaitInLobby,
        Hold::Moderator => Phrase::WaitForModerator,
    }
}
