//! The operator's orders to one room.

use crate::model::control::{DialReport, LegReport, PersonReport, RoomCommand, RoomReply, RoomReport, WaitingReport};
use crate::model::{Actor, DialId, DialState, Door, Mute, Now, Origin, PersonId, origin::Asker};
use crate::room::{
    Accepted, AudioLevel, DialView, Guest, Hold, LegState, PersonView, Refusal, Request, Room, Target, TextLevel, WaitingView,
};

/// Carries out an order, or says why not.
pub(super) fn carry_out(room: &mut Room, now: Now, command: RoomCommand) -> RoomReply {
    let request = match command {
        RoomCommand::Show => return RoomReply::Show(report(room)),
        RoomCommand::Lock { on } => Ok(Request::Lock(on)),
        RoomCommand::Record { on } => Ok(Request::Record(on)),
        RoomCommand::Dial { target, name, confirmed } => Ok(Request::Dial {
            target,
            name,
            confirmed,
            refer: None,
        }),
        RoomCommand::Mute { who } => find(room, &who).map(|target| Request::Mute { target, why: None }),
        RoomCommand::Unmute { who } => find(room, &who).map(|target| Request::Unmute { target }),
        RoomCommand::Kick { who, why } => find(room, &who)
            .or_else(|_| room.find_waiting(&who))
            .map(|target| Request::Kick { target, why }),
        RoomCommand::Admit { who } => room.find_waiting(&who).or_else(|_| find(room, &who)).map(Request::Admit),
        RoomCommand::MuteAll { on } => Ok(Request::MuteAll(on)),
        RoomCommand::End => Ok(Request::EndForAll),
    };
    let origin = Origin {
        door: Door::Control,
        by: Asker::Operator,
    };
    match request.and_then(|request| room.request(now, &origin, request)) {
        Ok(Accepted::Unchanged) => RoomReply::Unchanged,
        Ok(Accepted::Dialing(dial)) => RoomReply::Dialing { dial: dial.0 },
        Ok(
            Accepted::Done
            | Accepted::Entered { .. }
            | Accepted::Joined { .. }
            | Accepted::Waits
            | Accepted::List(_)
            | Accepted::Confirm(_)
            | Accepted::Code(_)
            | Accepted::View(_),
        ) => RoomReply::Done,
        Err(refusal) => RoomReply::Refused {
            message: refusal.to_string(),
        },
    }
}

/// Somebody by row number (`#3`), nick, or the name that everybody sees.
fn find(room: &Room, who: &str) -> Result<Target, Refusal> {
    if let Some(dial) = who.strip_prefix("#d").and_then(|n| n.parse().ok()) {
        return room
            .dials()
            .find(|d| d.id == DialId(dial))
            .map(|d| Target::Dial(d.id))
            .ok_or(Refusal::NoSuchTarget);
    }
    if let Some(row) = who.strip_prefix('#').and_then(|n| n.parse().ok()) {
        return room
            .person(PersonId(row))
            .map(|p| Target::Person(p.id))
            .ok_or(Refusal::NoSuchTarget);
    }
    if let Some(occupant) = room.occupant_by_nick(who) {
        return Ok(Target::Occupant(occupant));
    }
    let mut same = room.people().filter(|p| p.name == who).map(|p| p.id);
    match (same.next(), same.next()) {
        (Some(id), None) => Ok(Target::Person(id)),
        (None, _) => called(room, who),
        // Two of one name: the operator has to say which row.
        (Some(_), Some(_)) => Err(Refusal::NoSuchTarget),
    }
}

/// Somebody who is being called, by name.
fn called(room: &Room, who: &str) -> Result<Target, Refusal> {
    let mut same = room.dials().filter(|d| d.name == who && d.is_live()).map(|d| d.id);
    match (same.next(), same.next()) {
        (Some(id), None) => Ok(Target::Dial(id)),
        (Some(_), Some(_)) | (None, _) => Err(Refusal::NoSuchTarget),
    }
}

fn report(room: &Room) -> RoomReport {
    let recording = room.recording();
    RoomReport {
        name: room.name().to_string(),
        title: room.config().title.clone(),
        locked: room.is_locked(),
        recording: recording.is_some(),
        recording_by: recording.map(|r| room.shown_actor(&r.by)),
        recording_since_unix_ms: recording.map(|r| r.since_unix_ms),
        recording_file: recording.and_then(|r| r.file.clone()),
        people: room.people().map(|p| person(room, &p)).collect(),
        waiting: room.waiting().map(waiting).collect(),
        dials: room.dials().map(|d| dial(&d)).collect(),
    }
}

fn dial(view: &DialView) -> DialReport {
    let why = match view.state {
        DialState::Failed { why, .. } => Some(why.to_string()),
        DialState::DialingOut | DialState::Alerting => None,
    };
    DialReport {
        dial: view.id.0,
        name: view.name.clone(),
        state: view.state.as_str().to_owned(),
        why,
        since_unix_ms: view.since_unix_ms,
        correlation: view.correlation.to_string(),
    }
}

fn person(room: &Room, view: &PersonView) -> PersonReport {
    PersonReport {
        row: view.id.0,
        name: view.name.clone(),
        text: match view.text {
            TextLevel::TwoWay => "two-way",
            TextLevel::ReadOnly => "read-only",
            TextLevel::None => "none",
        }
        .to_owned(),
        audio: match view.audio {
            AudioLevel::TwoWay => "two-way",
            AudioLevel::ListenOnly => "listen-only",
            AudioLevel::MutedBySelf => "muted-self",
            AudioLevel::MutedByHost => "muted-host",
            AudioLevel::OnHold => "on-hold",
            AudioLevel::Joining => "joining",
            AudioLevel::None => "none",
        }
        .to_owned(),
        muted_by: view.mutes.iter().map(muted_by).collect(),
        speaking: view.speaking,
        hand_raised: view.hand_raised,
        role: view.role.as_str().to_owned(),
        affiliation: view.affiliation.as_str().to_owned(),
        nicks: view.occupants.iter().filter_map(|o| room.occupant(*o)).map(|o| o.nick).collect(),
        legs: view
            .legs
            .iter()
            .map(|leg| LegReport {
                leg: leg.id.0,
                state: match leg.state {
                    LegState::Joining => "joining",
                    LegState::Up => "up",
                    LegState::Held => "held",
                }
                .to_owned(),
                joined_unix_ms: leg.joined_unix_ms,
                correlation: leg.correlation.to_string(),
                voice: None,
            })
            .collect(),
    }
}

fn waiting(view: WaitingView) -> WaitingReport {
    WaitingReport {
        row: view.row.0,
        name: view.name,
        waits_for: match view.hold {
            Hold::Lobby => "admission",
            Hold::Moderator => "moderator",
        }
        .to_owned(),
        door: match view.guest {
            Guest::Caller { .. } => "phone",
            Guest::Chat(_) => "chat",
        }
        .to_owned(),
        since_unix_ms: view.since_unix_ms,
    }
}

fn muted_by(mute: &Mute) -> String {
    match mute {
        Mute::OwnChoice => "themselves".to_owned(),
        Mute::Host {
            by: Actor::Person { name, .. },
            ..
        } => name.clone(),
        Mute::Host {
            by: Actor::Account(jid), ..
        } => jid.to_string(),
        Mute::Host { by: Actor::Operator, .. } => "the operator".to_owned(),
        Mute::Host { by: Actor::Room, .. } => "the room".to_owned(),
        Mute::ChatVoice => "no voice in the chat".to_owned(),
        Mute::Policy => "the room is moderated".to_owned(),
    }
}
