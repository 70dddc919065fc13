//! The room as conference state: what a watcher of one view class may see (rules R13, R52, R53; checklist M-3, M-6, X-6).

use std::cmp::Reverse;

use crate::model::mute::MuteKind;
use crate::model::{AudioAccess, Caller, DialFailure, DialState, LegId, MuteSet, Role, Whois};
use crate::room::{AudioLevel, DialView, Guest, LegState, LegView, PersonView, Room, TextLevel, View, WaitingView};
use crate::sip::conference::{
    CROWD, Departure, DepartureMethod, Description, Endpoint, EndpointStatus, Entry, JoiningMethod, Media, MediaKind, MediaStatus, State,
    User,
};

use super::room::{Departed, SipRoomSettings};

/// Builds the document's content for one view class.
pub(super) fn state(
    room: &Room,
    people: &[PersonView],
    settings: &SipRoomSettings,
    subject: Option<&str>,
    departed: &[Departed],
    view: View,
) -> State {
    let entity = settings.room_uri(room.name());
    let (seen, others) = crowd(people);
    let mut users: Vec<User> = seen.into_iter().map(|p| user(room, p, view)).collect();
    if view == View::Moderator {
        users.extend(room.waiting().filter_map(|w| waiting(&w, view)));
    }
    for gone in departed {
        let shown = gone.user_for(view);
        match users.iter_mut().find(|u| u.entity == shown.entity) {
            Some(user) => user.endpoints.extend(shown.endpoints),
            None => users.push(shown),
        }
    }
    for dial in room.dials() {
        let called = called(room, &dial, view);
        match users.iter_mut().find(|u| u.entity == called.entity) {
            Some(user) => user.endpoints.extend(called.endpoints),
            None => users.push(called),
        }
    }
    State {
        description: description(room, settings, &entity, subject),
        entity,
        host: Some(settings.domain.clone()),
        active: people.iter().any(|p| !p.legs.is_empty()),
        locked: room.is_locked(),
        users,
        others,
    }
}

/// Rule R54: of more people than a document holds, moderators, raised hands, who speaks and who spoke last; in the order of their rows. The others
/// who take part are counted.
fn crowd(people: &[PersonView]) -> (Vec<&PersonView>, usize) {
    let mut here: Vec<&PersonView> = people.iter().filter(|p| !p.legs.is_empty() || p.text != TextLevel::None).collect();
    if here.len() <= CROWD {
        return (here, 0);
    }
    let last = |p: &&PersonView| {
        let prominent = p.role == Role::Moderator || p.hand_raised;
        (!prominent, !p.speaking, Reverse(p.spoke_unix_ms), p.id)
    };
    here.sort_by_key(last);
    let others = here.split_off(CROWD);
    here.sort_by_key(|p| p.id);
    let joining = |p: &&&PersonView| p.text != TextLevel::None || p.audio != AudioLevel::Joining;
    (here, others.iter().filter(joining).count())
}

fn description(room: &Room, settings: &SipRoomSettings, entity: &str, subject: Option<&str>) -> Description {
    let config = room.config();
    let conf_uris = if config.audio == AudioAccess::Off {
        Vec::new()
    } else {
        vec![Entry {
            uri: entity.to_owned(),
            display_text: None,
            purpose: "participation".to_owned(),
        }]
    };
    Description {
        display_text: Some(config.title.clone())
            .filter(|t| !t.is_empty())
            .or_else(|| Some(room.name().to_string())),
        subject: subject.filter(|s| !s.is_empty()).map(str::to_owned),
        // RFC 4575 has no element for it (rule R82). This one is for people to read; `keywords` are for search engines, and the schema
        // would let an element of ours in where phones show nothing.
        free_text: room.recording().map(|_| "This conference is being recorded.".to_owned()),
        conf_uris,
        service_uris: vec![Entry {
            uri: settings.chat_uri(room.name()),
            display_text: None,
            purpose: "grouptextchat".to_owned(),
        }],
        maximum_user_count: Some(config.max_people),
    }
}

fn user(room: &Room, person: &PersonView, view: View) -> User {
    let mut endpoints: Vec<Endpoint> = person.legs.iter().map(|leg| call_endpoint(person, leg, view)).collect();
    if person.text != TextLevel::None {
        endpoints.push(chat_endpoint(room, person));
    }
    User {
        entity: entity(person, view),
        display_text: Some(person.name.clone()),
        associated_aors: associated(room, person, view),
        roles: vec![
            if person.role == Role::Moderator {
                "moderator"
            } else {
                "participant"
            }
            .to_owned(),
        ],
        endpoints,
    }
}

/// A caller who waits to be let in. Who waits at the chat has no endpoint here.
fn waiting(waiting: &WaitingView, view: View) -> Option<User> {
    let Guest::Caller {
        leg,
        caller,
        held,
        hidden_entity,
        ..
    } = &waiting.guest
    else {
        return None;
    };
    let entity = entity_of(Some(caller), hidden_entity, view);
    Some(User {
        // Somebody who is in already keeps the entity: a key stands once in a document.
        entity: format!("{entity};waits={}", waiting.row.0),
        display_text: Some(waiting.name.clone()),
        associated_aors: claim(Some(caller), view).into_iter().collect(),
        roles: vec!["participant".to_owned()],
        endpoints: vec![Endpoint {
            entity: format!("{entity};leg={}", leg.0),
            display_text: None,
            status: if *held { EndpointStatus::OnHold } else { EndpointStatus::Pending },
            joining: None,
            joined_unix_ms: None,
            departure: None,
            media: Vec::new(),
        }],
    })
}

/// A proven AOR is shown to those in the room, unless it is a number; what is only claimed, and who wants to stay unknown, gets a name of ours.
pub(super) fn entity(person: &PersonView, view: View) -> String {
    entity_of(person.caller.as_ref(), &person.hidden_entity, view)
}

fn entity_of(caller: Option<&Caller>, hidden_entity: &str, view: View) -> String {
    match caller {
        Some(Caller::Account { aor, .. }) if view == View::Moderator || (view == View::Member && !is_number(aor.user())) => {
            aor.as_str().to_owned()
        }
        Some(Caller::Account { .. } | Caller::Claimed { .. } | Caller::Anonymous | Caller::Trunk { .. }) | None => hidden_entity.to_owned(),
    }
}

/// Other addresses of a person: the JID where the viewer may know it, and for moderators what an unproven caller claims to be.
fn associated(room: &Room, person: &PersonView, view: View) -> Vec<String> {
    let jid = person
        .jid
        .iter()
        .filter(|_| may_see_jid(room, view))
        .map(|jid| format!("xmpp:{jid}"));
    jid.chain(claim(person.caller.as_ref(), view)).collect()
}

fn claim(caller: Option<&Caller>, view: View) -> Option<String> {
    match caller {
        Some(Caller::Claimed { uri, .. }) if view == View::Moderator => Some(uri.clone()),
        Some(Caller::Trunk { number, .. }) if view == View::Moderator && is_number(number) => Some(format!("tel:{number}")),
        Some(Caller::Account { .. } | Caller::Claimed { .. } | Caller::Anonymous | Caller::Trunk { .. }) | None => None,
    }
}

/// A telephone number as the user part of a URI, an extension included.
fn is_number(user: &str) -> bool {
    let digits = user.strip_prefix('+').unwrap_or(user);
    digits.len() >= 3 && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Real JIDs go where the room's own anonymity lets them (rule R13).
fn may_see_jid(room: &Room, view: View) -> bool {
    match view {
        View::Moderator => true,
        View::Member => room.config().whois == Whois::Anyone,
        View::Other => false,
    }
}

fn call_endpoint(person: &PersonView, leg: &LegView, view: View) -> Endpoint {
    let status = match leg.state {
        LegState::Joining => EndpointStatus::Pending,
        LegState::Held => EndpointStatus::OnHold,
        LegState::Up if muted_by_focus(&person.mutes) => EndpointStatus::MutedViaFocus,
        LegState::Up => EndpointStatus::Connected,
    };
    let media = match leg.state {
        LegState::Held => MediaStatus::Inactive,
        LegState::Joining | LegState::Up if person.mutes.is_muted() || person.audio == AudioLevel::ListenOnly => MediaStatus::RecvOnly,
        LegState::Joining | LegState::Up => MediaStatus::SendRecv,
    };
    Endpoint {
        entity: call_entity(person, leg.id, view),
        display_text: None,
        status,
        joining: Some(joining(leg.dialed_out)),
        joined_unix_ms: Some(leg.joined_unix_ms),
        departure: None,
        media: vec![Media {
            id: "1".to_owned(),
            kind: MediaKind::Audio,
            src_id: Some(leg.ssrc),
            status: media,
        }],
    }
}

/// How somebody came in (RFC 4575 section 5.7.4).
pub(super) fn joining(dialed_out: bool) -> JoiningMethod {
    if dialed_out {
        JoiningMethod::DialedOut
    } else {
        JoiningMethod::DialedIn
    }
}

/// Somebody whom the room calls: beside what else of them is in the room, if anything is.
fn called(room: &Room, dial: &DialView, view: View) -> User {
    let person = dial.person.and_then(|id| room.person(id));
    let entity = match &person {
        Some(person) => entity(person, view),
        None => entity_of(Some(&dial.caller), &dial.hidden_entity, view),
    };
    let (status, departure) = match dial.state {
        DialState::DialingOut => (EndpointStatus::DialingOut, None),
        DialState::Alerting => (EndpointStatus::Alerting, None),
        DialState::Failed { why, unix_ms } => {
            let method = match why {
                DialFailure::Busy => DepartureMethod::Busy,
                DialFailure::Cancelled => DepartureMethod::Booted,
                DialFailure::NoAnswer
                | DialFailure::Declined
                | DialFailure::NotFound
                | DialFailure::Unreachable
                | DialFailure::NoWay
                | DialFailure::NoMedia
                | DialFailure::Loop
                | DialFailure::SentAway
                | DialFailure::Limit
                | DialFailure::Overloaded
                | DialFailure::NotAdmitted
                | DialFailure::Refused(_) => DepartureMethod::Failed,
            };
            let departure = Departure {
                method,
                unix_ms,
                reason: Some(why.to_string()),
                by: None,
            };
            (EndpointStatus::Disconnected, Some(departure))
        }
    };
    User {
        display_text: Some(person.map_or_else(|| dial.name.clone(), |p| p.name)),
        associated_aors: claim(Some(&dial.caller), view).into_iter().collect(),
        roles: vec!["participant".to_owned()],
        endpoints: vec![Endpoint {
            entity: format!("{entity};dial={}", dial.id.0),
            display_text: None,
            status,
            joining: Some(JoiningMethod::DialedOut),
            joined_unix_ms: None,
            departure,
            media: Vec::new(),
        }],
        entity,
    }
}

/// Somebody's own choice isn't the focus's doing.
fn muted_by_focus(mutes: &MuteSet) -> bool {
    [MuteKind::Host, MuteKind::ChatVoice, MuteKind::Policy]
        .into_iter()
        .any(|kind| mutes.has(kind))
}

/// A call's key in the documents: stable, and telling no address.
pub(super) fn call_entity(person: &PersonView, leg: LegId, view: View) -> String {
    format!("{};leg={}", entity(person, view), leg.0)
}

/// Somebody's place in the chat: text only (checklist M-6).
fn chat_endpoint(room: &Room, person: &PersonView) -> Endpoint {
    let status = match person.text {
        TextLevel::TwoWay => MediaStatus::SendRecv,
        TextLevel::ReadOnly => MediaStatus::RecvOnly,
        TextLevel::None => MediaStatus::Inactive,
    };
    Endpoint {
        entity: format!("{};chat", person.hidden_entity),
        display_text: person.occupants.iter().find_map(|o| room.occupant(*o)).map(|o| o.nick),
        status: EndpointStatus::Connected,
        joining: Some(JoiningMethod::DialedIn),
        joined_unix_ms: None,
        departure: None,
        media: vec![Media {
            id: "text".to_owned(),
            kind: MediaKind::Message,
            src_id: None,
            status,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Affiliation, Aor, PersonId};

    #[test]
    fn r13_a_proven_address_is_for_those_in_the_room_and_a_number_for_moderators() {
        let person = |aor: &str| PersonView {
            id: PersonId(1),
            name: "Ann".to_owned(),
            caller: Some(Caller::Account {
                aor: Aor::from_normalised(aor.to_owned()),
                name: String::new(),
            }),
            jid: None,
            affiliation: Affiliation::None,
            role: Role::Participant,
            mutes: MuteSet::default(),
            text: TextLevel::None,
            audio: AudioLevel::TwoWay,
            speaking: false,
            hand_raised: false,
            spoke_unix_ms: None,
            legs: Vec::new(),
            occupants: Vec::new(),
            hidden_entity: "hidden".to_owned(),
            correlation: crate::model::Correlation(0),
        };
        let shown = |aor: &str| [View::Other, View::Member, View::Moderator].map(|view| entity(&person(aor), view));
        assert_eq!(shown("sip:ann@x"), ["hidden", "sip:ann@x", "sip:ann@x"]);
        for number in ["sip:+491701234512@x", "sip:1004@x"] {
            assert_eq!(shown(number), ["hidden", "hidden", number]);
        }
    }
}
