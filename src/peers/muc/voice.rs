//! Visitors ask for voice, and moderators grant it (sections 7.13 and 8.6, rule R32).

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};

use super::{MucRoom, join::addressed, refusal::failure, room::Inbound};
use crate::{
    model::{Now, Role},
    room::{Refusal, Request, Room, Target},
    xmpp::{
        muc::NS_DATA,
        stanza::{self, DefinedCondition, element, with},
    },
};

/// FORM_TYPE of both forms (section 15.5.2).
const FORM_TYPE: &str = "http://jabber.org/protocol/muc#request";
const ROLE: &str = "muc#role";
const NICK: &str = "muc#roomnick";
const ALLOW: &str = "muc#request_allow";

/// The form of a message, if it is one about voice.
pub(super) fn read(message: &Element) -> Option<DataForm> {
    let form = DataForm::try_from(message.get_child("x", NS_DATA)?.clone()).ok()?;
    (form.type_ == DataFormType::Submit && form.form_type() == Some(FORM_TYPE)).then_some(form)
}

impl MucRoom {
    /// A visitor's wish, or a moderator's answer to one.
    pub(super) fn voice_form(&mut self, now: Now, room: &mut Room, inbound: &Inbound, form: DataForm) {
        let Some(sender) = inbound.sender.and_then(|id| self.occupants.get(id)) else {
            return self.refuse(inbound, failure(Refusal::NotInRoom));
        };
        match (sender.role, value(&form, NICK)) {
            (Role::Moderator, Some(nick)) => {
                if !matches!(value(&form, ALLOW), Some("1" | "true")) {
                    return;
                }
                let Some(target) = self.occupants.by_nick(nick).map(|s| Target::Occupant(s.id)) else {
                    return self.refuse(inbound, failure(Refusal::NoSuchTarget));
                };
                let grant = Request::SetRole {
                    target,
                    role: Role::Participant,
                    why: None,
                };
                if let Err(refusal) = room.request(now, &inbound.origin(), grant) {
                    self.refuse(inbound, failure(refusal));
                }
            }
            (Role::Visitor, None) if value(&form, ROLE) == Some("participant") => {
                let (nick, jid) = (sender.nick.clone(), sender.full_jid());
                self.ask_for_voice(&nick, jid.map(|j| j.to_string()).unwrap_or_default());
            }
            // Who has voice needs none.
            (Role::None | Role::Visitor | Role::Participant | Role::Moderator, _) => self.refuse(inbound, DefinedCondition::BadRequest),
        }
    }

    fn ask_for_voice(&mut self, nick: &str, jid: String) {
        let labelled = |mut field: Field, label: &str| {
            field.label = Some(label.to_owned());
            field
        };
        let mut form = DataForm::new(
            DataFormType::Form,
            FORM_TYPE,
            vec![
                labelled(Field::new(ROLE, FieldType::ListSingle).with_value("participant"), "Requested role"),
                labelled(Field::new("muc#jid", FieldType::JidSingle).with_value(&jid), "User"),
                labelled(Field::text_single(NICK, nick), "Nick"),
                labelled(Field::new(ALLOW, FieldType::Boolean).with_value("0"), "Grant voice?"),
            ],
        );
        form.title = Some("Voice request".to_owned());
        let message = element("message", stanza::NS, &[("from", Some(self.jid.as_str()))]);
        let message = with(message, [Element::from(form)]);
        let moderators = self.occupants.sessions().filter(|(s, _)| s.role == Role::Moderator);
        let copies: Vec<Element> = moderators.map(|(_, client)| addressed(message.clone(), client)).collect();
        self.outbox.extend(copies);
    }
}

fn value<'a>(form: &'a DataForm, var: &str) -> Option<&'a str> {
    form.fields
        .iter()
        .find(|f| f.var.as_deref() == Some(var))
        .and_then(|f| f.values.first())
        .map(String::as_str)
}
