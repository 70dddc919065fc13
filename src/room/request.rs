//! What somebody wants. A request is answered at once, and may be refused.

use crate::model::{
    Affiliation, Aor, BareJid, Caller, Correlation, DialId, Entry, LegId, OccupantId, PersonId, Pii, ReferId, Role, RoomConfig,
};

/// What somebody wants of the room.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A chat user wants in. The peer chose the id. Accepted: [`Accepted::Entered`].
    Enter {
        /// A fresh id below [`STAND_IN_IDS`](super::STAND_IN_IDS).
        occupant: OccupantId,
        /// Their real bare JID.
        jid: BareJid,
        /// The nick they ask for, as prepared by the peer (RFC 8266).
        nick: String,
        /// The password they gave.
        password: Option<String>,
        /// For the logs.
        correlation: Correlation,
    },
    /// An occupant wants another nick.
    Rename {
        /// Who.
        occupant: OccupantId,
        /// The nick they ask for, prepared.
        nick: String,
    },
    /// May this occupant write to everybody?
    Write(OccupantId),
    /// May this occupant set the subject?
    SetSubject(OccupantId),
    /// A caller wants in. Accepted: [`Accepted::Joined`], the leg is placed and heard from the next tick on; or [`Accepted::Waits`].
    Join {
        /// Their leg, in the vestibule.
        leg: LegId,
        /// Who they are.
        caller: Caller,
        /// The account that a caller has proven and doesn't want shown: bans, quarantine and membership hold for it (rules R3, R13).
        account: Option<Aor>,
        /// SSRC of what we send to them; shown as `src-id`.
        ssrc: u32,
        /// What the endpoint is called in conference state: its Contact URI.
        endpoint: String,
        /// For the logs.
        correlation: Correlation,
        /// What they typed. A wrong PIN or code is refused with [`Refusal::Pin`](super::Refusal::Pin).
        entry: Entry,
    },
    /// Silences somebody's audio. By oneself: adds or keeps one's own reason; by a moderator: the host's (rule R4).
    Mute {
        /// Whom.
        target: Target,
        /// Said to them.
        why: Option<String>,
    },
    /// Takes back a mute (rules R4, R5). By a moderator on somebody muted by their own choice: refused with [`Refusal::OwnMute`](super::Refusal::OwnMute),
    /// and they are asked to. By somebody whom others muted: refused, and the moderators hear of the wish to speak (rule R32).
    Unmute {
        /// Whom.
        target: Target,
    },
    /// Sets a role (XEP-0045 sections 8.4 to 8.6, 9.6, 9.7). `Role::None` is a kick.
    SetRole {
        /// Whom.
        target: Target,
        /// To what.
        role: Role,
        /// Said to them.
        why: Option<String>,
    },
    /// Sets an affiliation, of somebody present or not (XEP-0045 sections 9 and 10). `Affiliation::Outcast` is a ban.
    SetAffiliation {
        /// Whose.
        jid: BareJid,
        /// To what.
        affiliation: Affiliation,
        /// Said to them.
        why: Option<String>,
    },
    /// Puts a person out by both doors (rules R7, R8). A leg as target ends that leg alone.
    Kick {
        /// Whom.
        target: Target,
        /// Said to them.
        why: Option<String>,
    },
    /// Bans a person's account and ban key (rule R3), and puts them out.
    Ban {
        /// Whom.
        target: Target,
        /// Said to them.
        why: Option<String>,
    },
    /// Nobody new enters (`true`), or they may again (rule R10).
    Lock(bool),
    /// Has the call recorded, or no longer (rule R82).
    Record(bool),
    /// Replaces the configuration; also ends the wait for it in a new room (XEP-0045 section 10.1).
    Configure(Box<RoomConfig>),
    /// May the asker read the configuration? Nothing changes.
    ReadConfig,
    /// May the asker read the list of this affiliation? Nothing changes. Accepted: [`Accepted::List`].
    ReadAffiliations(Affiliation),
    /// May the asker read the list of occupants with this role? Nothing changes.
    ReadRoles(Role),
    /// May the asker watch the conference state (rule R53)? Accepted: [`Accepted::View`].
    Watch,
    /// Ends the room for good (XEP-0045 section 10.9).
    Destroy {
        /// Where to go instead.
        alternate: Option<BareJid>,
        /// Why.
        why: Option<String>,
    },
    /// Lets somebody in who waits; of the chat, they may enter within some minutes and are invited to.
    Admit(Target),
    /// Silences everybody on the phone who isn't a moderator (`true`), or takes back what hosts have muted.
    MuteAll(bool),
    /// Ends every call. The chat goes on.
    EndForAll,
    /// The asker would like to speak (`true`), or no longer: moderators hear of it (rule R32).
    RaiseHand(bool),
    /// Has somebody called, who comes in when they answer (rule R47). Accepted: [`Accepted::Dialing`].
    Dial {
        /// Whom, as typed.
        target: String,
        /// What they are called meanwhile, and afterwards if they are nobody's account.
        name: Option<String>,
        /// The asker has been told that the call leaves our own domain (checklist F-1).
        confirmed: bool,
        /// The REFER that asked for it, for its answers.
        refer: Option<ReferId>,
    },
    /// Somebody whom the room has called has answered. Accepted: [`Accepted::Joined`].
    Answered {
        /// Which call.
        dial: DialId,
        /// Its leg, negotiated and waiting in the vestibule.
        leg: LegId,
        /// SSRC of what we send to it.
        ssrc: u32,
        /// Their Contact URI.
        endpoint: String,
        /// For the logs.
        correlation: Correlation,
        /// They answered at another address than the one that was asked for.
        redirected: bool,
    },
    /// Gives a present occupant a join code for their phone (rule R2). Accepted: [`Accepted::Code`].
    IssueCode(OccupantId),
}

/// Whom a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A row: all legs and all nicks. Somebody who waits has one too.
    Person(PersonId),
    /// The person behind a nick (rule R8).
    Occupant(OccupantId),
    /// One leg of a person.
    Leg(LegId),
    /// Somebody who is being called.
    Dial(DialId),
}

/// What was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is done; events tell the rest.
    Done,
    /// It was so already.
    Unchanged,
    /// The newcomer is in: event [`super::Event::OccupantEntered`] follows.
    Entered {
        /// Their row.
        person: PersonId,
    },
    /// The caller is in.
    Joined {
        /// Their row.
        person: PersonId,
    },
    /// Everybody with that affiliation.
    List(Vec<BareJid>),
    /// The view class that the asker may see.
    View(super::View),
    /// The caller is to wait, on music, until they are let in or sent away.
    Waits,
    /// Somebody is being called.
    Dialing(DialId),
    /// What the caller typed is the join code of the one of this name: they have to say that they mean it (rule R2).
    Confirm(String),
    /// The join code, for nobody else.
    Code(Pii<String>),
}
