//! What a room tells about itself (sections 6.4 and 6.5), the way to its audio half included (checklist M-4).

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType};

use super::{MucRoom, room::Inbound, service::STABLE_ID, stand_in::info};
use crate::{
    model::{Affiliation, AudioAccess, RoomConfig, RoomName, Whois},
    room::Room,
    xmpp::{
        mark,
        muc::{NS_INFO, NS_ITEMS, NS_MUC, NS_OCCUPANT_ID, NS_PING, NS_STANZA_ID},
        stanza::{DefinedCondition, element, with},
    },
};

/// FORM_TYPE of the room's description (section 15.5.4).
const ROOM_INFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// Names of the field that leads to the audio half. No document registers it: the words of RFC 7081 section 4, the custom of muc#roominfo, and
/// the notation that XEP-0068 section 3.4 asks for.
const AUDIO_VIDEO_URI: [&str; 3] = [
    "audio-video-uri",
    "muc#roominfo_audio-video-uri",
    "{urn:ietf:rfc:7081}audio-video-uri",
];
/// Whether anybody new may enter (rule R10).
const LOCKED: &str = "{urn:cusax:room:0}locked";
/// Whether the call is being recorded (rule R82).
const RECORDING: &str = "{urn:cusax:room:0}recording";

const SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
const REQUEST: &str = "http://jabber.org/protocol/muc#request";

impl MucRoom {
    pub(super) fn room_info(&mut self, room: &Room, inbound: &Inbound, node: Option<&str>) {
        match node {
            None => {}
            // Section 18.1.1: nothing is discarded for its namespace alone.
            Some("http://jabber.org/protocol/muc#traffic") => return self.refuse(inbound, DefinedCondition::ServiceUnavailable),
            Some("x-roomuser-item") => return self.refuse(inbound, DefinedCondition::FeatureNotImplemented),
            Some(_) => return self.refuse(inbound, DefinedCondition::ItemNotFound),
        }
        let config = room.config();
        let name = if config.title.is_empty() {
            room.name().as_str()
        } else {
            &config.title
        };
        let common = [
            NS_INFO,
            NS_ITEMS,
            NS_MUC,
            STABLE_ID,
            SELF_PING,
            REQUEST,
            NS_PING,
            NS_STANZA_ID,
            NS_OCCUPANT_ID,
            mark::NS,
        ];
        let features: Vec<&str> = common.into_iter().chain(features(config)).collect();
        let form = self.roominfo(room, self.is_insider(room, inbound));
        let query = with(info("conference", "text", name, &features), [Element::from(form)]);
        self.result(inbound, Some(query));
    }

    pub(super) fn room_items(&mut self, room: &Room, inbound: &Inbound) {
        let items = self.occupants.iter().filter(|_| self.is_insider(room, inbound)).map(|shown| {
            let jid = format!("{}/{}", self.jid, shown.nick);
            element("item", NS_ITEMS, &[("jid", Some(&jid)), ("name", Some(&shown.nick))])
        });
        let query = with(Element::bare("query", NS_ITEMS), items);
        self.result(inbound, Some(query));
    }

    /// Whether an asker may know who is in and what is talked about: in a room that anybody may enter that is no secret.
    fn is_insider(&self, room: &Room, inbound: &Inbound) -> bool {
        let config = room.config();
        let open = config.public && !config.members_only && config.password.is_none();
        open || inbound.sender.is_some() || room.affiliation(&inbound.from.to_bare()) >= Affiliation::Member
    }

    fn roominfo(&self, room: &Room, insider: bool) -> DataForm {
        let config = room.config();
        let said = |var, label, value: &str| labelled(Field::text_single(var, value), label);
        let mut fields = vec![said("muc#roominfo_description", "Description", &config.description)];
        if insider {
            fields.push(said("muc#roominfo_subject", "Current subject", &self.subject()));
            fields.push(said(
                "muc#roominfo_occupants",
                "Number of occupants",
                &self.occupants.iter().count().to_string(),
            ));
        }
        let flag = |var, label, is: bool| labelled(Field::new(var, FieldType::Boolean).with_value(if is { "1" } else { "0" }), label);
        fields.push(flag(
            "muc#roominfo_subjectmod",
            "Participants may change the subject",
            config.open_subject,
        ));
        fields.push(said(
            "muc#maxhistoryfetch",
            "Messages for newcomers, at most",
            &config.history_length.to_string(),
        ));
        fields.push(flag(LOCKED, "Nobody new may enter", room.is_locked()));
        if insider {
            fields.push(flag(RECORDING, "The call is being recorded", room.recording().is_some()));
        }
        if config.audio != AudioAccess::Off {
            let uri = sip_uri(room.name(), &self.settings.sip_host);
            fields.extend(AUDIO_VIDEO_URI.map(|var| said(var, "Audio conference", &uri)));
        }
        DataForm::new(DataFormType::Result_, ROOM_INFO, fields)
    }
}

fn labelled(mut field: Field, label: &str) -> Field {
    field.label = Some(label.to_owned());
    field
}

/// The features of section 6.4 for a configuration.
fn features(config: &RoomConfig) -> [&'static str; 6] {
    let either = |is: bool, yes, no| if is { yes } else { no };
    [
        either(config.members_only, "muc_membersonly", "muc_open"),
        either(config.moderated, "muc_moderated", "muc_unmoderated"),
        either(config.whois == Whois::Anyone, "muc_nonanonymous", "muc_semianonymous"),
        either(config.persistent, "muc_persistent", "muc_temporary"),
        either(config.public, "muc_public", "muc_hidden"),
        either(config.password.is_some(), "muc_passwordprotected", "muc_unsecured"),
    ]
}

/// The room's SIP URI: its name, percent-encoded where RFC 3261 section 25.1 (`user`) asks for it (rule R14).
fn sip_uri(name: &RoomName, host: &str) -> String {
    let mut user = String::new();
    for byte in name.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            user.push(char::from(byte));
        } else {
            user.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("sip:{user}@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_the_room_name_is_escaped_in_its_sip_uri() {
        for (name, uri) in [
            ("standup", "sip:standup@conf.example"),
            ("blue-room.2", "sip:blue-room.2@conf.example"),
            ("müll", "sip:m%C3%BCll@conf.example"),
            ("a+b", "sip:a%2Bb@conf.example"),
        ] {
            assert_eq!(sip_uri(&RoomName::new(name).expect("a room's name"), "conf.example"), uri);
        }
    }
}
