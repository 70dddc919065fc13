//! The reserved nick that takes private messages and does what they say (rule R33), by the same policy as every door. It is no occupant.

use minidom::Element;

use super::{MucRoom, join::addressed, marks, occupants::on_the_wire, refusal::failure, room::Inbound, stand_in::info};
use crate::{
    model::{FullJid, Now, OccupantId, PersonId, Role},
    room::{Accepted, Guest, Refusal, Request, Room, Target, WaitingView},
    xmpp::{
        muc::{NS_INFO, NS_PING, NS_USER},
        stanza::{self, DefinedCondition, element, text, with},
    },
};

/// The nick.
pub(super) const NICK: &str = "bridge";

/// People told of in one answer: more would be no answer to read.
const MAX_TOLD: usize = 100;

const HELP: &str = "who: who is here, and by which means\n\
    mute [NAME], unmute [NAME]: a person's phone, or your own\n\
    kick NAME: out of the chat and off the phone\n\
    admit NAME, admit all: lets in who waits\n\
    mute all, unmute all: everybody's phone but the moderators'\n\
    hand, hand down: whether you would like to speak\n\
    lock, unlock: whether anybody new may enter\n\
    end: all calls; the chat goes on\n\
    record, record off: a recording of the call, of which everybody is told\n\
    code: a number by which a phone becomes yours here\n\
    dial NUMBER or ADDRESS [as NAME]: a call into the room; dial! if it may cost money";

/// What somebody asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command<'a> {
    Who,
    Mute(Option<&'a str>),
    Unmute(Option<&'a str>),
    Kick(&'a str),
    Lock(bool),
    Record(bool),
    Admit(&'a str),
    AdmitAll,
    MuteAll(bool),
    Hand(bool),
    End,
    Dial {
        target: &'a str,
        name: Option<&'a str>,
        confirmed: bool,
    },
    Code,
    Help,
}

fn parse(body: &str) -> Command<'_> {
    let body = body.trim();
    let (verb, name) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
    let name = Some(name.trim()).filter(|n| !n.is_empty());
    match (verb.to_lowercase().as_str(), name) {
        ("who", None) => Command::Who,
        ("mute", Some("all")) => Command::MuteAll(true),
        ("unmute", Some("all")) => Command::MuteAll(false),
        ("admit", Some("all")) => Command::AdmitAll,
        ("admit", Some(name)) => Command::Admit(name),
        ("hand", None | Some("up")) => Command::Hand(true),
        ("hand", Some("down")) => Command::Hand(false),
        ("end", None) => Command::End,
        ("code", None) => Command::Code,
        ("mute", name) => Command::Mute(name),
        ("unmute", name) => Command::Unmute(name),
        ("kick", Some(name)) => Command::Kick(name),
        ("lock", None) => Command::Lock(true),
        ("unlock", None) => Command::Lock(false),
        ("record", None | Some("on")) => Command::Record(true),
        ("record", Some("off")) => Command::Record(false),
        ("dial" | "dial!", Some(whom)) => {
            let (target, name) = whom
                .rsplit_once(" as ")
                .map_or((whom, None), |(target, name)| (target, Some(name.trim())));
            Command::Dial {
                target: target.trim(),
                name,
                confirmed: verb.ends_with('!'),
            }
        }
        _ => Command::Help,
    }
}

impl MucRoom {
    /// A private message to the bridge from somebody in the room.
    pub(super) fn command(&mut self, now: Now, room: &mut Room, inbound: &Inbound) {
        let (Some(own), Some(client)) = (inbound.sender, inbound.client()) else {
            return self.refuse(inbound, failure(Refusal::NotInRoom));
        };
        // Chat states and receipts ask for nothing.
        let Some(body) = inbound.stanza.get_child("body", stanza::NS).map(Element::text) else {
            return;
        };
        let request = match parse(&body) {
            Command::Who => {
                // Whom the room lets moderate is told of the lobby too.
                let sees = self.occupants.get(own).is_some_and(|s| s.role == Role::Moderator);
                let waiting = who_waits(room)
                    .filter(|_| sees)
                    .map_or_else(String::new, |list| format!("\n{list}"));
                return self.answer_by_bridge(client, &format!("{}{waiting}", who(room)));
            }
            Command::Help => return self.answer_by_bridge(client, HELP),
            Command::Lock(locked) => Ok(Request::Lock(locked)),
            Command::Record(on) => Ok(Request::Record(on)),
            Command::Mute(name) => self.target(room, own, name).map(|target| Request::Mute { target, why: None }),
            Command::Unmute(name) => self.target(room, own, name).map(|target| Request::Unmute { target }),
            Command::Kick(name) => self
                .target(room, own, Some(name))
                .or_else(|_| room.find_waiting(name))
                .map(|target| Request::Kick { target, why: None }),
            Command::Admit(name) => room
                .find_waiting(name)
                .or_else(|_| self.target(room, own, Some(name)))
                .map(Request::Admit),
            Command::AdmitAll => return self.admit_all(now, room, inbound),
            Command::MuteAll(on) => Ok(Request::MuteAll(on)),
            Command::Hand(up) => Ok(Request::RaiseHand(up)),
            Command::End => Ok(Request::EndForAll),
            Command::Dial { target, name, confirmed } => Ok(Request::Dial {
                target: target.to_owned(),
                name: name.map(str::to_owned),
                confirmed,
                refer: None,
            }),
            Command::Code => Ok(Request::IssueCode(own)),
        };
        let answer = match request.and_then(|request| room.request(now, &inbound.origin(), request)) {
            Ok(Accepted::Code(code)) => format!(
                "type {} when the voice menu asks for a room or a PIN: it is good once, for five minutes, and your call is yours here",
                code.0
            ),
            Ok(Accepted::Unchanged) => "it is so already".to_owned(),
            Ok(
                Accepted::Done
                | Accepted::Entered { .. }
                | Accepted::Joined { .. }
                | Accepted::Waits
                | Accepted::Confirm(_)
                | Accepted::List(_)
                | Accepted::View(_),
            ) => "done".to_owned(),
            Ok(Accepted::Dialing(dial)) => {
                let name = room.dials().find(|d| d.id == dial).map(|d| d.name).unwrap_or_default();
                format!("calling {name}; `kick {name}` takes it back")
            }
            // Checklist F-1.
            Err(Refusal::Unconfirmed) => format!(
                "this call leaves {} and may cost money; to make it, write `dial!` instead of `dial`",
                self.settings.sip_host
            ),
            Err(refusal) => refusal.to_string(),
        };
        self.answer_by_bridge(client, &answer);
    }

    fn admit_all(&mut self, now: Now, room: &mut Room, inbound: &Inbound) {
        let waiting: Vec<PersonId> = room.waiting().map(|w| w.row).collect();
        let mut answer = "nobody waits".to_owned();
        for row in waiting {
            let done = room.request(now, &inbound.origin(), Request::Admit(Target::Person(row)));
            answer = done.map_or_else(|refusal| refusal.to_string(), |_| "done".to_owned());
        }
        if let Some(client) = inbound.client() {
            self.answer_by_bridge(client, &answer);
        }
    }

    /// A moderator who has just come is told who waits.
    pub(super) fn tell_who_waits(&mut self, room: &Room, client: &FullJid) {
        if let Some(list) = who_waits(room) {
            self.answer_by_bridge(client, &list);
        }
    }

    /// Whom a name means: a nick, or what a person is called; without a name the asker.
    fn target(&self, room: &Room, own: OccupantId, name: Option<&str>) -> Result<Target, Refusal> {
        let Some(name) = name else { return Ok(Target::Occupant(own)) };
        if let Some(shown) = self.occupants.by_nick(&on_the_wire(name)) {
            return Ok(Target::Person(shown.person));
        }
        let mut called: Vec<PersonId> = room
            .people()
            .filter(|p| p.name == name || on_the_wire(&p.name) == name)
            .map(|p| p.id)
            .collect();
        match (called.pop(), called.is_empty()) {
            (Some(person), true) => Ok(Target::Person(person)),
            (None, _) => {
                let mut called = room.dials().filter(|d| d.name == name && d.is_live()).map(|d| d.id);
                match (called.next(), called.next()) {
                    (Some(dial), None) => Ok(Target::Dial(dial)),
                    _ => Err(Refusal::NoSuchTarget),
                }
            }
            // Two callers of one name: nobody is muted by guess.
            _ => Err(Refusal::NoSuchTarget),
        }
    }

    fn answer_by_bridge(&mut self, client: &FullJid, body: &str) {
        let message = self.by_bridge(body);
        self.outbox.push_back(addressed(message, client));
    }

    fn by_bridge(&self, body: &str) -> Element {
        let from = format!("{}/{NICK}", self.jid);
        let message = element("message", stanza::NS, &[("type", Some("chat")), ("from", Some(&from))]);
        with(message, [text("body", stanza::NS, body), Element::bare("x", NS_USER)])
    }

    /// Tells one occupant, or every moderator, something in private.
    pub(super) fn tell(&mut self, to: Option<OccupantId>, body: &str) {
        let note = self.by_bridge(body);
        let hears = |id, role| to.map_or(role == Role::Moderator, |t| t == id);
        let clients = self.occupants.sessions().filter(|(s, _)| hears(s.id, s.role));
        let notes: Vec<Element> = clients.map(|(_, client)| addressed(note.clone(), client)).collect();
        self.outbox.extend(notes);
    }

    /// A query to the bridge from somebody in the room.
    pub(super) fn bridge_query(&mut self, inbound: &Inbound) {
        let asked = stanza::payload(&inbound.stanza).map(|p| (p.name().to_owned(), p.ns()));
        match asked.as_ref().map(|(name, ns)| (name.as_str(), ns.as_str())) {
            Some(("query", NS_INFO)) => self.result(inbound, Some(info("client", "bot", NICK, &[NS_INFO, NS_PING]))),
            Some(("ping", NS_PING)) => self.result(inbound, None),
            _ => self.refuse(inbound, DefinedCondition::ServiceUnavailable),
        }
    }
}

/// A line for each person.
fn who(room: &Room) -> String {
    let line = |person| {
        let mark = marks::of(&person);
        format!("{}: text {}, audio {}", person.name, mark.text.as_str(), mark.audio.as_str())
    };
    let lines: Vec<String> = room.people().take(MAX_TOLD).map(line).collect();
    let called = room.dials().filter(|d| d.is_live()).take(MAX_TOLD);
    let lines: Vec<String> = lines
        .into_iter()
        .chain(called.map(|d| format!("{}: {}", d.name, d.state.as_str())))
        .collect();
    let more = room.people().count().saturating_sub(MAX_TOLD);
    let rest = if more == 0 { String::new() } else { format!("\nand {more} more") };
    let recorded = if room.recording().is_some() {
        "the call is being recorded\n"
    } else {
        ""
    };
    format!("{recorded}{}{rest}", lines.join("\n"))
}

/// Who waits to be let in, in one line each; `None` if nobody does.
fn who_waits(room: &Room) -> Option<String> {
    let line = |w: WaitingView| {
        let place = match w.guest {
            Guest::Caller { .. } => "on the phone",
            Guest::Chat(_) => "at the chat",
        };
        format!("#{} {}: waits {place}", w.row.0, w.name)
    };
    let lines: Vec<String> = room.waiting().take(MAX_TOLD).map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r33_commands_are_read() {
        for (body, command) in [
            ("who", Command::Who),
            (" WHO ", Command::Who),
            ("mute", Command::Mute(None)),
            ("Mute  Ann Lee ", Command::Mute(Some("Ann Lee"))),
            ("unmute bob", Command::Unmute(Some("bob"))),
            ("kick bob", Command::Kick("bob")),
            ("kick", Command::Help),
            ("lock", Command::Lock(true)),
            ("unlock", Command::Lock(false)),
            ("lock the door", Command::Help),
            ("record", Command::Record(true)),
            ("Record off", Command::Record(false)),
            ("record everything", Command::Help),
            ("admit Zoe (phone)", Command::Admit("Zoe (phone)")),
            ("admit all", Command::AdmitAll),
            ("admit", Command::Help),
            ("mute all", Command::MuteAll(true)),
            ("unmute all", Command::MuteAll(false)),
            ("hand", Command::Hand(true)),
            ("hand down", Command::Hand(false)),
            ("end", Command::End),
            ("code", Command::Code),
            ("end it", Command::Help),
            (
                "dial +49 30 1234 as Bob Lee",
                Command::Dial {
                    target: "+49 30 1234",
                    name: Some("Bob Lee"),
                    confirmed: false,
                },
            ),
            (
                "Dial! bob@example.com",
                Command::Dial {
                    target: "bob@example.com",
                    name: None,
                    confirmed: true,
                },
            ),
            ("dial", Command::Help),
            ("", Command::Help),
            ("hello", Command::Help),
        ] {
            assert_eq!(parse(body), command, "{body:?}");
        }
    }
}
