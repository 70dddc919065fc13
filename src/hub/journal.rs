//! What happened in a room, as people read it: one log line an event (what nobody decided, like who speaks, at level debug), and the same to
//! whoever follows along.
//!
//! Names are shown as the room shows them to everybody; numbers and JIDs stay out (rule R13).

use tokio::sync::broadcast;
use tracing::{debug, info};

use crate::model::{Actor, Correlation, PersonId};
use crate::room::{AudioLevel, DialChange, EndCause, Event, Hold, LeaveCause, LobbyStep, Numbered, PersonView, Room};

/// One line of a room's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The room.
    pub room: String,
    /// What happened, in words.
    pub text: String,
}

pub(super) fn write(room: &Room, event: &Numbered, follower: Option<&broadcast::Sender<Line>>) {
    let Some((text, correlation)) = describe(room, &event.event) else {
        return;
    };
    let correlation = correlation.map(|c| c.to_string());
    // Who speaks changes all the time.
    if matches!(event.event, Event::AudioChanged { by: None, .. }) {
        debug!(room = %room.name(), seq = event.seq, correlation, "{text}");
    } else {
        info!(room = %room.name(), seq = event.seq, correlation, "{text}");
    }
    if let Some(follower) = follower {
        // Nobody following is the normal case.
        let _ = follower.send(Line {
            room: room.name().to_string(),
            text,
        });
    }
}

/// The event in words, and whom it is about.
fn describe(room: &Room, event: &Event) -> Option<(String, Option<Correlation>)> {
    let person = |id: PersonId| room.person(id);
    let name = |id: PersonId| room.person(id).map_or_else(|| "somebody".to_owned(), |p| p.name);
    let (text, person) = match event {
        Event::OccupantEntered(occupant) => {
            let view = room.occupant(*occupant)?;
            (
                format!("{} enters the chat as {}", view.nick, view.role.as_str()),
                person(view.person),
            )
        }
        Event::OccupantLeft {
            person: id, nick, cause, ..
        } => (format!("{nick} leaves the chat{}", left(cause)), person(*id)),
        Event::Renamed { occupant, from } => {
            let view = room.occupant(*occupant)?;
            (format!("{from} is now known as {}", view.nick), person(view.person))
        }
        Event::StandingChanged {
            occupant,
            role,
            affiliation,
            by,
            ..
        } => {
            let view = room.occupant(*occupant)?;
            (
                format!(
                    "{} is now {} ({}), by {}",
                    view.nick,
                    role.as_str(),
                    affiliation.as_str(),
                    actor(by)
                ),
                person(view.person),
            )
        }
        Event::AbsentAffiliation { affiliation, by, .. } => {
            (format!("somebody absent is now {}, by {}", affiliation.as_str(), actor(by)), None)
        }
        Event::LegJoined { person: id, .. } => (format!("{} joins by phone", name(*id)), person(*id)),
        Event::LegLeft {
            name, correlation, cause, ..
        } => {
            return Some((format!("{name} is no longer on the phone{}", ended(cause)), Some(*correlation)));
        }
        Event::AudioChanged { person: id, by } => {
            let view = person(*id)?;
            let by = by.as_ref().map_or_else(String::new, |by| format!(", by {}", actor(by)));
            (
                format!(
                    "audio of {}: {}{}{}{by}",
                    view.name,
                    audio(view.audio),
                    if view.speaking { ", speaking" } else { "" },
                    if view.hand_raised { ", hand raised" } else { "" }
                ),
                Some(view),
            )
        }
        Event::LockChanged(true) => ("the room is locked".to_owned(), None),
        Event::LockChanged(false) => ("the room is open again".to_owned(), None),
        Event::RecordingChanged { on, by } => {
            let whose = by.as_ref().and_then(|by| match by {
                Actor::Person { id, .. } => person(*id),
                Actor::Account(_) | Actor::Operator | Actor::Room => None,
            });
            let what = if *on { "is being recorded" } else { "is no longer recorded" };
            let by = by.as_ref().map_or_else(String::new, |by| format!(", by {}", actor(by)));
            (format!("the call {what}{by}"), whose)
        }
        Event::Lobby { name, correlation, step } => return Some((in_lobby(name, step), *correlation)),
        Event::CodeIssued { .. } => ("somebody in the chat was given a join code".to_owned(), None),
        Event::Said(text) => (format!("said to all: {text}"), None),
        Event::Audit(text) => (text.clone(), None),
        Event::ConfigChanged { .. } => ("the room's configuration changed".to_owned(), None),
        Event::Closed { destroyed } => (
            if destroyed.is_some() {
                "the room was destroyed"
            } else {
                "the room ends"
            }
            .to_owned(),
            None,
        ),
        Event::Dial {
            name, correlation, change, ..
        } => {
            let what = match change {
                DialChange::Begun(_) => "is being called".to_owned(),
                DialChange::Alerting => "is alerted".to_owned(),
                DialChange::Failed(why) => format!("was called: {why}"),
                // Joining tells of itself.
                DialChange::Answered(_) | DialChange::Forgotten => return None,
            };
            return Some((format!("{name} {what}"), Some(*correlation)));
        }
        // Private, or for the peers only.
        Event::Notice { .. } => return None,
    };
    Some((text, person.map(|p: PersonView| p.correlation)))
}

fn actor(by: &Actor) -> &str {
    match by {
        Actor::Person { name, .. } => name,
        Actor::Account(_) => "somebody outside",
        Actor::Operator => "the operator",
        Actor::Room => "the room",
    }
}

fn left(cause: &LeaveCause) -> String {
    match cause {
        LeaveCause::Left | LeaveCause::Withdrawn => String::new(),
        LeaveCause::Kicked { by, .. } => format!(": removed by {}", actor(by)),
        LeaveCause::Banned { by, .. } => format!(": banned by {}", actor(by)),
        LeaveCause::MembershipLost { .. } | LeaveCause::MembersOnlyNow => ": members only".to_owned(),
        LeaveCause::Unreachable => ": unreachable".to_owned(),
        LeaveCause::Shutdown => ": the server goes down".to_owned(),
        LeaveCause::Destroyed { .. } => ": the room was destroyed".to_owned(),
    }
}

fn ended(cause: &EndCause) -> String {
    match cause {
        EndCause::Departed => String::new(),
        EndCause::Failed => ": lost".to_owned(),
        EndCause::Kicked { by, .. } => format!(": removed by {}", actor(by)),
        EndCause::Banned { by, .. } => format!(": banned by {}", actor(by)),
        EndCause::MembershipLost => ": members only".to_owned(),
        EndCause::RoomGone => ": the room was destroyed".to_owned(),
        EndCause::Shutdown => ": the server goes down".to_owned(),
        EndCause::MeetingOver { by, why: None } => format!(": ended for all by {}", actor(by)),
        EndCause::MeetingOver { why: Some(why), .. } => format!(": {why}"),
    }
}

fn in_lobby(name: &str, step: &LobbyStep) -> String {
    match step {
        LobbyStep::Waits(Hold::Lobby) => format!("{name} waits on the phone to be let in"),
        LobbyStep::Waits(Hold::Moderator) => format!("{name} waits on the phone for a moderator"),
        LobbyStep::LetIn(by) => format!("{name} is let in by {}", actor(by)),
        LobbyStep::CallOver(_, cause) => format!("{name} no longer waits on the phone{}", ended(cause)),
        LobbyStep::Knocks => format!("{name} asks to be let into the chat"),
        LobbyStep::Invited(_) => format!("{name} is let into the chat"),
        LobbyStep::SentAway => format!("{name} is not let into the chat"),
    }
}

fn audio(level: AudioLevel) -> &'static str {
    match level {
        AudioLevel::TwoWay => "two-way",
        AudioLevel::ListenOnly => "listens only",
        AudioLevel::MutedBySelf => "muted by their own choice",
        AudioLevel::MutedByHost => "muted",
        AudioLevel::OnHold => "on hold",
        AudioLevel::Joining => "joining",
        AudioLevel::None => "none",
    }
}
