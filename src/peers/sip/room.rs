//! The phone door of one room: who watches it, and what they are told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::{Actor, Correlation, DialFailure, DialId, Door, LegId, Now, Origin, ReferId, RoomName, SubscriptionId, origin::Asker};
use crate::room::{Accepted, DialChange, EndCause, Event, LobbyStep, Numbered, PersonView, Refusal, Report, Request, Room, View};
use crate::sip::conference::{Departure, DepartureMethod, Endpoint, EndpointStatus, Printer, Revision, User, Watcher as Told};
use crate::sip::msg::user_of_room;

use super::state::{self, entity};
use super::{DialOut, FromRoom, Referral, ToRoom, WatchEnd, Watcher, people};

/// How long a departed person stays in the documents as disconnected (rule R52: 5 to 60 s): two of the slowest watchers' intervals.
const DEPARTED_FOR: Duration = Duration::from_secs(10);
/// Departed people remembered at once; beyond it the oldest is deleted early, which rule R52 lets a full room do.
const DEPARTED_MAX: usize = 200;

/// What a room's phone door is told about its service.
#[derive(Debug, Clone)]
pub struct SipRoomSettings {
    /// Domain of the conference URIs.
    pub domain: String,
    /// Domain of the rooms in the chat.
    pub rooms_domain: String,
    /// Announce the chat as `xmpp:…?join` rather than as a bare address (checklist M-3).
    pub join_uri: bool,
    /// Shortest time between two documents to one watcher (rule R51).
    pub notify_interval: Duration,
    /// People who may watch at once.
    pub max_watchers: usize,
}

impl SipRoomSettings {
    /// The room's conference URI (rule R14: the user part is the name, escaped).
    pub fn room_uri(&self, room: &RoomName) -> String {
        format!("sip:{}@{}", user_of_room(room), self.domain)
    }

    /// The chat's URI (RFC 5122).
    pub fn chat_uri(&self, room: &RoomName) -> String {
        format!(
            "xmpp:{}@{}{}",
            user_of_room(room),
            self.rooms_domain,
            if self.join_uri { "?join" } else { "" }
        )
    }
}

/// The phone door of one room.
#[derive(Debug)]
pub struct SipRoom {
    settings: SipRoomSettings,
    watchers: BTreeMap<SubscriptionId, Watching>,
    departed: Vec<Departed>,
    /// Calls as the last documents showed them: a departure is told to those who knew of it.
    shown: BTreeMap<LegId, Arc<PersonView>>,
    subject: Option<String>,
    printer: Printer,
    /// Something may have changed since the watchers' revisions were made.
    changed: bool,
    standing_changed: bool,
    commands: VecDeque<FromRoom>,
}

#[derive(Debug)]
struct Watching {
    origin: Origin,
    view: View,
    told: Told,
}

/// A call that is over, still shown.
#[derive(Debug, Clone)]
pub(super) struct Departed {
    leg: LegId,
    dialed_out: bool,
    person: Arc<PersonView>,
    departure: Departure,
    until: Instant,
}

impl Departed {
    /// The departed person as they are shown to one view class.
    pub(super) fn user_for(&self, view: View) -> User {
        User {
            entity: entity(&self.person, view),
            display_text: Some(self.person.name.clone()),
            associated_aors: Vec::new(),
            roles: vec!["participant".to_owned()],
            endpoints: vec![Endpoint {
                entity: state::call_entity(&self.person, self.leg, view),
                display_text: None,
                status: EndpointStatus::Disconnected,
                joining: Some(state::joining(self.dialed_out)),
                joined_unix_ms: None,
                departure: Some(self.departure.clone()),
                media: Vec::new(),
            }],
        }
    }
}

impl SipRoom {
    /// A door that nobody watches yet.
    pub fn new(settings: SipRoomSettings) -> Self {
        Self {
            settings,
            watchers: BTreeMap::new(),
            departed: Vec::new(),
            shown: BTreeMap::new(),
            subject: None,
            printer: Printer::default(),
            changed: false,
            standing_changed: false,
            commands: VecDeque::new(),
        }
    }

    /// Takes a message of the front.
    pub fn handle(&mut self, now: Now, room: &mut Room, message: ToRoom) {
        match message {
            ToRoom::Join {
                leg,
                caller,
                account,
                ssrc,
                endpoint,
                correlation,
                entry,
            } => {
                let origin = Origin {
                    door: Door::Sip,
                    by: Asker::Caller(caller.clone()),
                };
                let answer = room.request(
                    now,
                    &origin,
                    Request::Join {
                        leg,
                        caller,
                        account,
                        ssrc,
                        endpoint,
                        correlation,
                        entry,
                    },
                );
                self.answer_call(room, leg, correlation, answer);
            }
            ToRoom::TakeOver { old, join } => {
                let leg = if let ToRoom::Join { leg, .. } = &*join { Some(*leg) } else { None };
                self.handle(now, room, *join);
                if let Some(leg) = leg {
                    room.report(now, Report::LegSucceeds { leg, old });
                }
            }
            ToRoom::Confirmed(leg) => room.report(now, Report::LegConfirmed(leg)),
            ToRoom::Held(leg, held) => room.report(now, Report::LegHeld(leg, held)),
            ToRoom::ListensOnly(leg, only) => room.report(now, Report::LegListensOnly(leg, only)),
            ToRoom::Gone(leg, cause) => room.report(now, Report::LegGone(leg, cause)),
            ToRoom::Quiet(leg, seconds) => room.report(now, Report::LegQuiet(leg, seconds)),
            ToRoom::Digit(leg, key) => room.report(now, Report::Key(leg, key)),
            ToRoom::Speaking(leg, speaking) => room.report(now, Report::Speaking(leg, speaking)),
            ToRoom::MediaFailed => room.report(now, Report::MediaFailed),
            ToRoom::RecordingStarted { file } => room.report(now, Report::RecordingStarted { file }),
            ToRoom::RecordingEnded { lost_ms, error } => room.report(now, Report::RecordingEnded { lost_ms, error }),
            ToRoom::Watch { subscription, watcher } => self.watch(now, room, subscription, watcher),
            ToRoom::Refresh(subscription) => {
                if let Some(watching) = self.watchers.get_mut(&subscription) {
                    watching.told.refresh();
                    self.changed = true;
                }
            }
            ToRoom::Notified(subscription) => {
                if let Some(watching) = self.watchers.get_mut(&subscription) {
                    watching.told.notified();
                    self.changed = true;
                }
            }
            ToRoom::Unwatch(subscription) => {
                self.watchers.remove(&subscription);
            }
            ToRoom::Refer { refer, by, what } => self.refer(now, room, refer, by, what),
            ToRoom::DialAlerts(dial) => room.report(now, Report::DialAlerts(dial)),
            ToRoom::DialFailed(dial, why) => room.report(now, Report::DialFailed(dial, why)),
            ToRoom::Answered {
                dial,
                leg,
                ssrc,
                endpoint,
                correlation,
                redirected,
            } => {
                // The right to call them was looked at when the call began.
                let origin = Origin {
                    door: Door::Rule,
                    by: Asker::Operator,
                };
                let answered = Request::Answered {
                    dial,
                    leg,
                    ssrc,
                    endpoint,
                    correlation,
                    redirected,
                };
                let answer = room.request(now, &origin, answered);
                self.answer_call(room, leg, correlation, answer);
            }
        }
    }

    fn refer(&mut self, now: Now, room: &mut Room, refer: ReferId, by: Watcher, what: Referral) {
        let origin = Origin {
            door: Door::Sip,
            by: asker(by),
        };
        let (answer, is_done) = match what {
            Referral::Add { target, name } => {
                let dial = Request::Dial {
                    target,
                    name,
                    confirmed: false,
                    refer: Some(refer),
                };
                (room.request(now, &origin, dial), false)
            }
            Referral::Remove { entity } => {
                let kick = |target| Request::Kick { target, why: None };
                let target = people::find(room, &entity).ok_or(Refusal::NoSuchTarget);
                (target.and_then(|target| room.request(now, &origin, kick(target))), true)
            }
        };
        match answer {
            Ok(_) => {
                self.commands.push_back(FromRoom::AcceptRefer(refer));
                if is_done {
                    self.commands.push_back(FromRoom::EndRefer(refer));
                }
            }
            Err(refusal) => self.commands.push_back(FromRoom::RefuseRefer(refer, refusal)),
        }
    }

    fn answer_call(&mut self, room: &Room, leg: LegId, correlation: Correlation, answer: Result<Accepted, Refusal>) {
        self.commands.push_back(match answer {
            Ok(Accepted::Confirm(name)) => FromRoom::Confirm(leg, name),
            Ok(_) => FromRoom::Admit(
                leg,
                room.person_of_leg(leg)
                    .and_then(|id| room.person(id))
                    .map_or(correlation, |p| p.correlation),
            ),
            Err(refusal) => FromRoom::Refuse(leg, refusal),
        });
    }

    fn watch(&mut self, now: Now, room: &mut Room, subscription: SubscriptionId, watcher: Watcher) {
        let origin = Origin {
            door: Door::Sip,
            by: asker(watcher),
        };
        let refusal = match may_watch(room, now, &origin) {
            Ok(_) if self.watchers.len() >= self.settings.max_watchers => Refusal::Full,
            Ok(view) => {
                self.watchers.insert(
                    subscription,
                    Watching {
                        origin,
                        view,
                        told: Told::new(self.settings.notify_interval),
                    },
                );
                self.commands.push_back(FromRoom::AcceptWatch(subscription));
                self.changed = true;
                return;
            }
            Err(refusal) => refusal,
        };
        self.commands.push_back(FromRoom::RefuseWatch(subscription, refusal));
    }

    /// Takes a change of the room.
    pub fn handle_event(&mut self, now: Now, room: &Room, event: &Numbered) {
        self.changed = true;
        match &event.event {
            Event::LegLeft { leg, cause, .. } => {
                self.keep_departed(now, *leg, cause);
                // The peer's own BYE needs no answer of the room's.
                if *cause != EndCause::Departed {
                    self.commands.push_back(FromRoom::HangUp(*leg, cause.clone()));
                }
                self.standing_changed = true;
            }
            Event::StandingChanged { .. }
            | Event::AbsentAffiliation { .. }
            | Event::OccupantEntered(_)
            | Event::OccupantLeft { .. }
            | Event::LegJoined { .. } => self.standing_changed = true,
            Event::CodeIssued { room, code, until } => self.commands.push_back(FromRoom::Code {
                room: room.clone(),
                code: code.clone(),
                until: *until,
            }),
            Event::Closed { .. } => {
                for subscription in std::mem::take(&mut self.watchers).into_keys() {
                    self.commands.push_back(FromRoom::Terminate(subscription, WatchEnd::NoResource));
                }
            }
            Event::Dial { dial, change, .. } => self.handle_dial(room, *dial, change),
            Event::Lobby {
                step: LobbyStep::CallOver(leg, cause),
                ..
            } => {
                if *cause != EndCause::Departed {
                    self.commands.push_back(FromRoom::HangUp(*leg, cause.clone()));
                }
            }
            Event::Lobby { .. }
            | Event::Said(_)
            | Event::Renamed { .. }
            | Event::AudioChanged { .. }
            | Event::LockChanged(_)
            | Event::RecordingChanged { .. }
            | Event::Audit(_)
            | Event::ConfigChanged { .. }
            | Event::Notice { .. } => {}
        }
    }

    fn handle_dial(&mut self, room: &Room, dial: DialId, change: &DialChange) {
        let name = room.name().clone();
        match change {
            DialChange::Begun(order) => self.commands.push_back(FromRoom::Dial(Box::new(DialOut {
                chat: self.settings.chat_uri(&name),
                room: name,
                dial,
                order: (**order).clone(),
            }))),
            DialChange::Failed(DialFailure::Cancelled) => self.commands.push_back(FromRoom::TakeBack(name, dial)),
            DialChange::Alerting | DialChange::Answered(_) | DialChange::Failed(_) | DialChange::Forgotten => {}
        }
    }

    /// Remembers a call that is over for those who were shown it.
    fn keep_departed(&mut self, now: Now, leg: LegId, cause: &EndCause) {
        let Some(person) = self.shown.remove(&leg) else { return };
        if self.departed.len() >= DEPARTED_MAX {
            self.departed.remove(0);
        }
        self.departed.push(Departed {
            leg,
            dialed_out: person.legs.iter().any(|l| l.id == leg && l.dialed_out),
            person,
            departure: departure(now, cause),
            until: now.at + DEPARTED_FOR,
        });
    }

    /// Writes what has become due to watchers. To be called after every input, when all events have been handled.
    pub fn flush(&mut self, now: Now, room: &mut Room, subject: Option<&str>) {
        if self.subject.as_deref() != subject {
            self.subject = subject.map(str::to_owned);
            self.changed = true;
        }
        let before = self.departed.len();
        self.departed.retain(|d| d.until > now.at);
        self.changed |= self.departed.len() != before;
        if self.watchers.is_empty() {
            self.shown.clear();
            return;
        }
        if std::mem::take(&mut self.standing_changed) {
            self.recheck(now, room);
        }
        if self.changed {
            self.watchers.values_mut().for_each(|w| w.told.touch());
            // Before somebody may be told, nobody needs to know what.
            if self.watchers.values().any(|w| w.told.is_due(now.at)) {
                self.changed = false;
                self.tell(now, room);
            }
        }
        for (subscription, watching) in &mut self.watchers {
            if let Some(document) = watching.told.poll_document(now.at, &mut self.printer) {
                self.commands.push_back(FromRoom::Notify(*subscription, document));
            }
        }
    }

    /// Somebody's standing changed: who may watch, and how much, is asked again.
    fn recheck(&mut self, now: Now, room: &mut Room) {
        let mut out = Vec::new();
        for (subscription, watching) in &mut self.watchers {
            match may_watch(room, now, &watching.origin) {
                Ok(view) => watching.view = view,
                Err(_) => out.push(*subscription),
            }
        }
        for subscription in out {
            self.watchers.remove(&subscription);
            self.commands.push_back(FromRoom::Terminate(subscription, WatchEnd::Rejected));
        }
    }

    /// Builds the state once per view class and hands it to the watchers of that class.
    fn tell(&mut self, now: Now, room: &Room) {
        let people: Vec<PersonView> = room.people().collect();
        let mut revisions: BTreeMap<View, Arc<Revision>> = BTreeMap::new();
        for watching in self.watchers.values_mut() {
            let revision = revisions.entry(watching.view).or_insert_with(|| {
                let (subject, departed) = (self.subject.as_deref(), &self.departed);
                let state = state::state(room, &people, &self.settings, subject, departed, watching.view);
                self.printer.revision(&state)
            });
            watching.told.update(now.at, revision);
        }
        let people: Vec<Arc<PersonView>> = people.into_iter().map(Arc::new).collect();
        let calls = people.iter().flat_map(|p| p.legs.iter().map(move |l| (l.id, Arc::clone(p))));
        self.shown = calls.collect();
    }

    /// When [`SipRoom::flush`] has something to do although nothing happened.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let documents = self.watchers.values().filter_map(|w| w.told.poll_timeout());
        let departed = self.departed.iter().map(|d| (d.until, "departed participant leaves the documents"));
        documents
            .chain(departed.filter(|_| !self.watchers.is_empty()))
            .min_by_key(|(at, _)| *at)
    }

    /// What the front has to do.
    pub fn poll_command(&mut self) -> Option<FromRoom> {
        self.commands.pop_front()
    }
}

fn asker(who: Watcher) -> Asker {
    match who {
        Watcher::Leg(leg) => Asker::Leg(leg),
        Watcher::Caller(caller) => Asker::Caller(caller),
    }
}

/// The view class that the room grants, if it does.
fn may_watch(room: &mut Room, now: Now, origin: &Origin) -> Result<View, Refusal> {
    match room.request(now, origin, Request::Watch)? {
        Accepted::View(view) => Ok(view),
        Accepted::Done
        | Accepted::Unchanged
        | Accepted::Entered { .. }
        | Accepted::Joined { .. }
        | Accepted::Waits
        | Accepted::List(_)
        | Accepted::Dialing(_)
        | Accepted::Confirm(_)
        | Accepted::Code(_) => Ok(View::Other),
    }
}

/// How a call went, in the words of RFC 4575 sections 5.7.6 and 5.7.7.
fn departure(now: Now, cause: &EndCause) -> Departure {
    let (method, reason, by) = match cause {
        EndCause::Departed => (DepartureMethod::Departed, None, None),
        EndCause::Failed => (DepartureMethod::Failed, None, None),
        EndCause::Kicked { by, why } | EndCause::Banned { by, why } => (DepartureMethod::Booted, why.clone(), Some(by)),
        EndCause::MembershipLost => (DepartureMethod::Booted, Some("members only".to_owned()), None),
        EndCause::RoomGone => (DepartureMethod::Booted, Some("the room was destroyed".to_owned()), None),
        EndCause::MeetingOver { by, why } => (DepartureMethod::Booted, why.clone(), Some(by)),
        EndCause::Shutdown => (DepartureMethod::Booted, Some("the server goes down".to_owned()), None),
    };
    let by = by.and_then(|by| match by {
        Actor::Person { name, .. } => Some(name.clone()),
        Actor::Account(_) | Actor::Operator | Actor::Room => None,
    });
    Departure {
        method,
        unix_ms: now.unix_ms,
        reason,
        by,
    }
}
