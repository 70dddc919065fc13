//! The owner's configuration form (section 15.5.3): each field in one row of a table. Decides nothing about who may fill it.

use xmpp_parsers::data_forms::{DataForm, DataFormType, Field, FieldType, Option_};

use crate::{
    model::{
        AudioAccess, RoomConfig, RoomName, Whois,
        entry::{check_pin, check_room_number},
    },
    xmpp::muc::CONFIG_FORM,
};

/// The field that opens and closes the audio half (rule R14). XEP-0068 section 3.4 asks for this notation; the bare name is read too.
const AUDIO: &str = "{urn:cusax:room:0}audio";
const SECRET: &str = "muc#roomconfig_roomsecret";
const HAS_SECRET: &str = "muc#roomconfig_passwordprotectedroom";

/// Longest title and password, in bytes: they stand in one line.
const MAX_LINE: usize = 200;
/// Longest description, in bytes.
const MAX_TEXT: usize = 4096;
/// More people than one machine's mixer serves in one room.
const MAX_PEOPLE: u32 = 5000;
/// More than a newcomer reads.
const MAX_HISTORY: u32 = 200;
/// A week: longer than that is no limit.
const MAX_MINUTES: u32 = 7 * 24 * 60;

/// Why a filled form can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadForm {
    /// A value that its field doesn't take.
    #[error("{0} can't be that")]
    Value(String),
    /// A password is wanted and not given (section 10.1.3).
    #[error("a password is needed")]
    Password,
    /// Callers are to type a PIN, and none is given, or the moderators' is no other.
    #[error("a PIN is needed, and another one for moderators")]
    Pin,
}

/// One field: how it is shown, printed and read.
struct Row {
    var: &'static str,
    label: &'static str,
    type_: FieldType,
    options: &'static [(&'static str, &'static str)],
    print: fn(&RoomConfig) -> String,
    /// Takes a value over; says whether it may be that.
    read: fn(&mut RoomConfig, &str) -> bool,
}

macro_rules! flag {
    ($var:expr, $label:expr, $field:ident) => {
        Row {
            var: $var,
            label: $label,
            type_: FieldType::Boolean,
            options: &[],
            print: |c| bit(c.$field),
            read: |c, v| truth(v).map(|is| c.$field = is).is_some(),
        }
    };
}

const ROWS: [Row; 27] = [
    Row {
        var: "muc#roomconfig_roomname",
        label: "Title",
        type_: FieldType::TextSingle,
        options: &[],
        print: |c| c.title.clone(),
        read: |c, v| take_text(&mut c.title, v, MAX_LINE),
    },
    Row {
        var: "muc#roomconfig_roomdesc",
        label: "Description",
        type_: FieldType::TextSingle,
        options: &[],
        print: |c| c.description.clone(),
        read: |c, v| take_text(&mut c.description, v, MAX_TEXT),
    },
    Row {
        var: AUDIO,
        label: "Who may enter by phone",
        type_: FieldType::ListSingle,
        options: &[
            ("off", "Nobody"),
            ("members", "Members"),
            ("pin", "Members, and who knows the PIN"),
            ("anyone", "Everybody"),
        ],
        print: |c| audio(c.audio).to_owned(),
        read: |c, v| AUDIO_ACCESS.into_iter().find(|a| audio(*a) == v).map(|a| c.audio = a).is_some(),
    },
    flag!(
        "muc#roomconfig_persistentroom",
        "The room stays when everybody has left",
        persistent
    ),
    flag!("muc#roomconfig_publicroom", "The room is listed", public),
    flag!("muc#roomconfig_membersonly", "Only members enter", members_only),
    flag!(
        "muc#roomconfig_moderatedroom",
        "Newcomers only read until they are given voice",
        moderated
    ),
    flag!("muc#roomconfig_changesubject", "Participants may change the subject", open_subject),
    Row {
        var: "muc#roomconfig_whois",
        label: "Who sees real addresses",
        type_: FieldType::ListSingle,
        options: &[("moderators", "Moderators"), ("anyone", "Everybody")],
        print: |c| match c.whois {
            Whois::Moderators => "moderators".to_owned(),
            Whois::Anyone => "anyone".to_owned(),
        },
        read: |c, v| {
            let whois = match v {
                "moderators" => Some(Whois::Moderators),
                "anyone" => Some(Whois::Anyone),
                _ => None,
            };
            whois.map(|w| c.whois = w).is_some()
        },
    },
    Row {
        var: HAS_SECRET,
        label: "A password is needed",
        type_: FieldType::Boolean,
        options: &[],
        print: |c| bit(c.password.is_some()),
        // An unset flag takes the password away; a set one waits for the next field.
        read: |c, v| {
            let wanted = truth(v);
            match wanted {
                Some(true) => _ = c.password.get_or_insert_default(),
                Some(false) => c.password = None,
                None => {}
            }
            wanted.is_some()
        },
    },
    Row {
        var: SECRET,
        label: "The password",
        type_: FieldType::TextPrivate,
        options: &[],
        print: |c| c.password.clone().unwrap_or_default(),
        read: |c, v| c.password.as_mut().is_none_or(|p| take_text(p, v, MAX_LINE)),
    },
    Row {
        var: "muc#roomconfig_maxusers",
        label: "People, at most",
        type_: FieldType::TextSingle,
        options: &[],
        print: |c| c.max_people.to_string(),
        read: |c, v| take_number(&mut c.max_people, v, 1, MAX_PEOPLE),
    },
    Row {
        var: "muc#maxhistoryfetch",
        label: "Messages for newcomers, at most",
        type_: FieldType::TextSingle,
        options: &[],
        print: |c| c.history_length.to_string(),
        read: |c, v| take_number(&mut c.history_length, v, 0, MAX_HISTORY),
    },
    flag!(
        "{urn:cusax:room:0}chat-voice-governs-audio",
        "Losing voice in the chat mutes on the phone",
        chat_voice_governs_audio
    ),
    flag!(
        "{urn:cusax:room:0}membership-governs-audio",
        "Losing membership ends the call",
        membership_governs_audio
    ),
    Row {
        var: "{urn:cusax:room:0}mixing-rate",
        label: "Sound",
        type_: FieldType::ListSingle,
        options: &[("8000", "Telephone"), ("16000", "Wide band"), ("48000", "Full band")],
        print: |c| c.mixing_rate.to_string(),
        read: |c, v| match v {
            "8000" | "16000" | "48000" => v.parse().map(|rate| c.mixing_rate = rate).is_ok(),
            _ => false,
        },
    },
    flag!(
        "{urn:cusax:room:0}tones",
        "A tone when somebody comes to the phone or leaves it",
        tones
    ),
    flag!(
        "{urn:cusax:room:0}lobby",
        "Whoever is no member waits until a moderator lets them in",
        lobby
    ),
    flag!(
        "{urn:cusax:room:0}lecture",
        "Everybody but moderators is muted until they are given voice",
        lecture
    ),
    flag!(
        "{urn:cusax:room:0}wait-for-moderator",
        "Callers wait until a moderator is in",
        wait_for_moderator
    ),
    Row {
        var: "{urn:cusax:room:0}max-duration",
        label: "Calls end after so many minutes (0: never)",
        type_: FieldType::TextSingle,
        options: &[],
        print: |c| c.limits.max_min.to_string(),
        read: |c, v| take_number(&mut c.limits.max_min, v, 0, MAX_MINUTES),
    },
    Row {
        var: "{urn:cusax:room:0}alone",
        label: "Who is alone on the phone stays for so many minutes (0: as long as they like)",
        type_: FieldType::TextSingle,
        options: &[],
        print: |c| c.limits.alone_min.to_string(),
        read: |c, v| take_number(&mut c.limits.alone_min, v, 0, MAX_MINUTES),
    },
    Row {
        var: "{urn:cusax:room:0}unmoderated",
        label: "Calls end after so many minutes without a moderator (0: never)",
        type_: FieldType::TextSingle,
        options: &[],
        print: |c| c.limits.unmoderated_min.to_string(),
        read: |c, v| take_number(&mut c.limits.unmoderated_min, v, 0, MAX_MINUTES),
    },
    Row {
        var: "{urn:cusax:room:0}pin",
        label: "The PIN that callers type, 4 to 16 digits",
        type_: FieldType::TextPrivate,
        options: &[],
        print: |c| c.pin.clone().unwrap_or_default(),
        read: |c, v| take_digits(&mut c.pin, v, check_pin),
    },
    Row {
        var: "{urn:cusax:room:0}moderator-pin",
        label: "The PIN of callers who moderate on the phone",
        type_: FieldType::TextPrivate,
        options: &[],
        print: |c| c.moderator_pin.clone().unwrap_or_default(),
        read: |c, v| take_digits(&mut c.moderator_pin, v, check_pin),
    },
    Row {
        var: "{urn:cusax:room:0}number",
        label: "The number that the voice menu knows the room by",
        type_: FieldType::TextSingle,
        options: &[],
        print: |c| c.number.clone().unwrap_or_default(),
        read: |c, v| take_digits(&mut c.number, v, check_room_number),
    },
    // Section 10.2 has it; rooms keep no public log, and it can't be switched on.
    Row {
        var: "muc#roomconfig_enablelogging",
        label: "A public log is kept",
        type_: FieldType::Boolean,
        options: &[],
        print: |_| bit(false),
        read: |_, v| truth(v) == Some(false),
    },
];

const AUDIO_ACCESS: [AudioAccess; 4] = [AudioAccess::Off, AudioAccess::Members, AudioAccess::Pin, AudioAccess::Anyone];

fn audio(access: AudioAccess) -> &'static str {
    match access {
        AudioAccess::Off => "off",
        AudioAccess::Members => "members",
        AudioAccess::Pin => "pin",
        AudioAccess::Anyone => "anyone",
    }
}

fn bit(is: bool) -> String {
    if is { "1" } else { "0" }.to_owned()
}

fn truth(value: &str) -> Option<bool> {
    match value {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn take_text(field: &mut String, value: &str, at_most: usize) -> bool {
    let fits = value.len() <= at_most;
    if fits {
        value.trim().clone_into(field);
    }
    fits
}

/// Empty: none.
fn take_digits(field: &mut Option<String>, value: &str, check: fn(&str) -> Result<(), &'static str>) -> bool {
    let value = value.trim();
    let fits = value.is_empty() || check(value).is_ok();
    if fits {
        *field = Some(value.to_owned()).filter(|v| !v.is_empty());
    }
    fits
}

fn take_number(field: &mut u32, value: &str, least: u32, most: u32) -> bool {
    let number = value.trim().parse().ok().filter(|n| (least..=most).contains(n));
    number.map(|n| *field = n).is_some()
}

/// The form with the present values.
pub(super) fn of(name: &RoomName, config: &RoomConfig) -> DataForm {
    let fields = ROWS.iter().map(|row| {
        let mut field = Field::new(row.var, row.type_.clone()).with_value(&(row.print)(config));
        field.label = Some(row.label.to_owned());
        let option = |(value, label): &(&str, &str)| Option_ {
            label: Some((*label).to_owned()),
            value: (*value).to_owned(),
        };
        field.options = row.options.iter().map(option).collect();
        field
    });
    let mut form = DataForm::new(DataFormType::Form, CONFIG_FORM, fields.collect());
    form.title = Some(format!("Configuration of {name}"));
    form
}

/// What a filled form makes of the configuration. Fields that it doesn't have stay as they are, and those that nobody knows are passed over.
pub(super) fn read(form: &DataForm, before: &RoomConfig, from_config: bool) -> Result<RoomConfig, BadForm> {
    let mut after = before.clone();
    for row in &ROWS {
        let is_this = |f: &&Field| f.var.as_deref() == Some(row.var) || (row.var == AUDIO && f.var.as_deref() == Some("audio"));
        let Some(value) = form.fields.iter().find(is_this).and_then(|f| f.values.first()) else {
            continue;
        };
        if !(row.read)(&mut after, value) {
            return Err(BadForm::Value(row.label.to_owned()));
        }
    }
    if after.password.as_deref() == Some("") {
        return Err(BadForm::Password);
    }
    // What nobody could enter, or everybody would moderate.
    if after.audio == AudioAccess::Pin && after.pin.is_none() || after.pin.is_some() && after.pin == after.moderator_pin {
        return Err(BadForm::Pin);
    }
    // A room made on demand that closes itself to strangers closes to callers too, unless its owner says otherwise (rule R14).
    if after.members_only && !before.members_only && after.audio == before.audio && !from_config {
        after.audio = AudioAccess::Off;
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CallLimits;

    fn filled(values: &[(&str, &str)]) -> DataForm {
        DataForm::new(
            DataFormType::Submit,
            CONFIG_FORM,
            values.iter().map(|(var, value)| Field::text_single(var, value)).collect(),
        )
    }

    fn apply(values: &[(&str, &str)]) -> Result<RoomConfig, BadForm> {
        read(&filled(values), &RoomConfig::default(), false)
    }

    #[test]
    fn muc_10_2_2_what_is_printed_is_read_the_same() {
        let config = RoomConfig {
            title: "Blue".to_owned(),
            description: "Talk".to_owned(),
            public: false,
            persistent: true,
            members_only: true,
            moderated: true,
            whois: Whois::Anyone,
            open_subject: true,
            password: Some("x".to_owned()),
            audio: AudioAccess::Pin,
            chat_voice_governs_audio: false,
            membership_governs_audio: true,
            max_people: 7,
            history_length: 3,
            mixing_rate: 48_000,
            tones: true,
            pin: Some("123456".to_owned()),
            moderator_pin: Some("654321".to_owned()),
            number: Some("4711".to_owned()),
            keypad: None,
            lobby: true,
            lecture: true,
            wait_for_moderator: true,
            limits: CallLimits {
                max_min: 90,
                alone_min: 5,
                unmoderated_min: 10,
            },
        };
        let mut form = of(&RoomName::new("blue").expect("a name"), &config);
        form.type_ = DataFormType::Submit;
        assert_eq!(read(&form, &RoomConfig::default(), false), Ok(config));
    }

    #[test]
    fn what_is_not_said_stays() {
        let config = apply(&[("muc#roomconfig_roomname", "Blue"), ("muc#roomconfig_lang", "en")]);
        let expected = RoomConfig {
            title: "Blue".to_owned(),
            ..RoomConfig::default()
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn muc_10_1_3_6_bad_values_are_refused() {
        for (var, value) in [
            ("muc#roomconfig_whois", "nobody"),
            ("muc#roomconfig_publicroom", "maybe"),
            ("muc#roomconfig_maxusers", "0"),
            ("muc#roomconfig_maxusers", "many"),
            ("muc#maxhistoryfetch", "1000"),
            ("muc#roomconfig_enablelogging", "1"),
            ("{urn:cusax:room:0}mixing-rate", "11025"),
            ("audio", "some"),
            ("muc#roomconfig_passwordprotectedroom", "1"),
        ] {
            assert!(apply(&[(var, value)]).is_err(), "{var} {value}");
        }
        assert_eq!(apply(&[(HAS_SECRET, "1"), (SECRET, "")]), Err(BadForm::Password));
    }

    #[test]
    fn passwords_come_and_go() {
        let with = apply(&[(SECRET, "x"), (HAS_SECRET, "1")]).expect("a password is set");
        assert_eq!(with.password.as_deref(), Some("x"));
        let without = read(&filled(&[(HAS_SECRET, "0"), (SECRET, "x")]), &with, false).expect("it is taken away");
        assert_eq!(without.password, None);
    }

    #[test]
    fn r14_a_room_for_members_takes_no_calls_unless_its_owner_says_so() {
        let members = ("muc#roomconfig_membersonly", "1");
        let audio = |values: &[(&str, &str)]| apply(values).map(|c| c.audio);
        assert_eq!(audio(&[members]), Ok(AudioAccess::Off));
        assert_eq!(
            audio(&[members, (AUDIO, "anyone")]),
            Ok(AudioAccess::Off),
            "the form's own default is nobody's word"
        );
        assert_eq!(audio(&[members, (AUDIO, "members")]), Ok(AudioAccess::Members));
        assert_eq!(audio(&[("audio", "off")]), Ok(AudioAccess::Off));
        let later = RoomConfig {
            members_only: true,
            audio: AudioAccess::Off,
            ..RoomConfig::default()
        };
        let opened = read(&filled(&[members, (AUDIO, "anyone")]), &later, false).map(|c| c.audio);
        assert_eq!(opened, Ok(AudioAccess::Anyone));
    }
}
