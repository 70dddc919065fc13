//! Who may do what (XEP-0045 sections 5, 8, 9, 10; rules R4, R9, R14): the only permission check, whichever the door.
//!
//! It compares standings; it neither looks anybody up nor changes anything.

use super::Refusal;
use crate::model::{Actor, Affiliation, AudioAccess, PersonId, Role, RoomConfig, dial::DialRight};

/// Places kept for admins and owners beyond a full room's number (XEP-0045 section 7.2.9).
const PLACES_FOR_ADMINS: usize = 20;
/// People that no configuration exceeds: each costs every view a line, and a mixer a leg.
const PLACES_AT_MOST: usize = 10_000;

/// How much somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) affiliation: Affiliation,
    pub(super) role: Role,
}

/// Somebody who asks for something.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    pub(super) actor: Actor,
    /// Their row, if they have one.
    pub(super) person: Option<PersonId>,
    pub(super) power: Power,
}

/// By what right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// The operator's: everything.
    Operator,
    /// One's own standing.
    Of(Standing),
}

impl Power {
    fn affiliation(self) -> Affiliation {
        match self {
            Self::Operator => Affiliation::Owner,
            Self::Of(standing) => standing.affiliation,
        }
    }

    pub(super) fn is_operator(self) -> bool {
        self == Self::Operator
    }

    /// Moderates: by role, or as an absent admin or owner.
    pub(super) fn moderates(self) -> bool {
        match self {
            Self::Operator => true,
            Self::Of(standing) => standing.role == Role::Moderator || self.administers(),
        }
    }

    pub(super) fn administers(self) -> bool {
        self.affiliation() >= Affiliation::Admin
    }

    fn owns(self) -> bool {
        self.affiliation() == Affiliation::Owner
    }
}

/// May they moderate at all?
pub(super) fn moderate(by: Power) -> Result<(), Refusal> {
    if by.moderates() { Ok(()) } else { Err(Refusal::NotModerator) }
}

/// May they change who moderates, who is banned, who is a member?
pub(super) fn administer(by: Power) -> Result<(), Refusal> {
    if by.administers() { Ok(()) } else { Err(Refusal::NotAdmin) }
}

/// May they have the call recorded, or end that (rule R82)?
pub(super) fn record(by: Power, server_records: bool) -> Result<(), Refusal> {
    moderate(by)?;
    if server_records { Ok(()) } else { Err(Refusal::RecordsNothing) }
}

/// May they have somebody called (rule R47)?
pub(super) fn dial(by: Power, right: DialRight) -> Result<(), Refusal> {
    match (by, right) {
        (Power::Operator, _) => Ok(()),
        (Power::Of(_), DialRight::Operator) => Err(Refusal::NotDialable),
        (Power::Of(_), DialRight::Moderators) => moderate(by),
        (Power::Of(standing), DialRight::Participants) if standing.role >= Role::Participant => Ok(()),
        (Power::Of(_), DialRight::Participants) => moderate(by),
    }
}

/// Would somebody whom the room calls get in? Nobody's telephone rings for nothing.
pub(super) fn invite(doors: Doors<'_>) -> Result<(), Refusal> {
    let who = Arriving {
        affiliation: Affiliation::None,
        is_in: false,
        quarantined: false,
        invited: true,
        has_pin: false,
    };
    join(doors, who)
}

/// May they configure and destroy?
pub(super) fn own(by: Power) -> Result<(), Refusal> {
    if by.owns() { Ok(()) } else { Err(Refusal::NotOwner) }
}

/// May they silence or remove this person (XEP-0045 section 8.2, rule R9)?
pub(super) fn act_on(by: Power, target: Standing) -> Result<(), Refusal> {
    moderate(by)?;
    let above = target.affiliation >= Affiliation::Admin && by.affiliation() < target.affiliation;
    // XEP-0045 section 5.1.3: a moderator loses that role, by kick or otherwise, through admins and owners only.
    let peer = target.role == Role::Moderator && !by.administers();
    if above || peer { Err(Refusal::Outranked) } else { Ok(()) }
}

/// May they give this person this role?
pub(super) fn set_role(by: Power, target: Standing, role: Role) -> Result<(), Refusal> {
    match role {
        Role::None => act_on(by, target),
        Role::Visitor => {
            moderate(by)?;
            // Section 8.4: "a service MUST NOT allow the voice privileges of an admin or owner to be removed by anyone".
            let never = target.affiliation >= Affiliation::Admin;
            // Ibid.: not from "a user whose affiliation is at or above the moderator's level"; to have none is to be at no level.
            let level = target.affiliation > Affiliation::None && target.affiliation >= by.affiliation();
            if never || (level && !by.is_operator()) {
                Err(Refusal::Outranked)
            } else {
                act_on(by, target)
            }
        }
        Role::Participant if target.role == Role::Moderator => {
            moderate(by)?;
            // Section 9.7: only from "a user whose affiliation is "member" or "none"".
            if target.affiliation >= Affiliation::Admin {
                Err(Refusal::Outranked)
            } else {
                act_on(by, target)
            }
        }
        Role::Participant => moderate(by),
        Role::Moderator => administer(by),
    }
}

/// May they change this account's affiliation (section 5.2.2)? Whether owners remain is looked at by the caller.
pub(super) fn set_affiliation(by: Power, own: bool, from: Affiliation, to: Affiliation) -> Result<(), Refusal> {
    administer(by)?;
    if own && to == Affiliation::Outcast {
        return Err(Refusal::Oneself);
    }
    if by.owns() {
        return Ok(());
    }
    if to >= Affiliation::Admin {
        Err(Refusal::NotOwner)
    } else if from >= Affiliation::Admin && !own {
        Err(Refusal::Outranked)
    } else {
        Ok(())
    }
}

/// May they read the list of this affiliation (sections 9.2, 9.5, 10.5, 10.8)?
pub(super) fn read_affiliations(by: Power, list: Affiliation, jids_are_public: bool) -> Result<(), Refusal> {
    match list {
        Affiliation::Outcast | Affiliation::None => administer(by),
        Affiliation::Member | Affiliation::Admin | Affiliation::Owner if jids_are_public && by.affiliation() >= Affiliation::Member => {
            Ok(())
        }
        Affiliation::Member => administer(by),
        Affiliation::Admin | Affiliation::Owner => own(by),
    }
}

/// May they read the list of this role (sections 8.5, 9.8)?
pub(super) fn read_roles(by: Power, list: Role) -> Result<(), Refusal> {
    match list {
        Role::Moderator => administer(by),
        Role::None | Role::Visitor | Role::Participant => moderate(by),
    }
}

/// May this role write to everybody (section 7.4)?
pub(super) fn write(role: Role) -> Result<(), Refusal> {
    if role >= Role::Participant { Ok(()) } else { Err(Refusal::NoVoice) }
}

/// May this role set the subject (section 8.1)?
pub(super) fn set_subject(role: Role, config: &RoomConfig) -> Result<(), Refusal> {
    let needed = if config.open_subject { Role::Participant } else { Role::Moderator };
    if role >= needed { Ok(()) } else { Err(Refusal::NotModerator) }
}

/// Somebody at one of the doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arriving {
    pub(super) affiliation: Affiliation,
    /// They are in the room already, by this door or the other.
    pub(super) is_in: bool,
    /// They were put out a moment ago (rule R7).
    pub(super) quarantined: bool,
    /// The room called them, at the wish of somebody who may let people in (rule R47).
    pub(super) invited: bool,
    /// They typed the PIN, the moderators', or a code of somebody's who is in.
    pub(super) has_pin: bool,
}

/// The state of the doors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doors<'a> {
    pub(super) config: &'a RoomConfig,
    pub(super) unconfigured: bool,
    pub(super) locked: bool,
    /// Legs and occupants together.
    pub(super) places: usize,
}

/// May they enter the chat (section 7.2)?
pub(super) fn enter(doors: Doors<'_>, who: Arriving, password: Option<&str>) -> Result<(), Refusal> {
    if who.affiliation == Affiliation::Outcast {
        return Err(Refusal::Banned);
    }
    if doors.unconfigured && who.affiliation != Affiliation::Owner {
        return Err(Refusal::NotConfigured);
    }
    common(doors, who)?;
    if doors.config.members_only && who.affiliation < Affiliation::Member {
        return Err(Refusal::MembersOnly);
    }
    if doors.config.password.is_some() && doors.config.password.as_deref() != password {
        return Err(Refusal::Password);
    }
    capacity(doors, who)
}

/// May they come in by phone (rule R14)?
pub(super) fn join(doors: Doors<'_>, who: Arriving) -> Result<(), Refusal> {
    if doors.unconfigured {
        return Err(Refusal::NotConfigured);
    }
    if doors.config.audio == AudioAccess::Off {
        return Err(Refusal::AudioOff);
    }
    if who.affiliation == Affiliation::Outcast {
        return Err(Refusal::Banned);
    }
    common(doors, who)?;
    if who.affiliation < Affiliation::Member && !who.invited {
        match doors.config.audio {
            AudioAccess::Off => return Err(Refusal::AudioOff),
            AudioAccess::Members => return Err(Refusal::MembersOnly),
            AudioAccess::Pin if who.has_pin => {}
            AudioAccess::Pin => return Err(Refusal::Pin),
            // The chat's own conditions hold at this door too: a caller can show neither membership nor password,
            // unless they are somebody who is in the chat already.
            AudioAccess::Anyone if doors.config.members_only => return Err(Refusal::MembersOnly),
            AudioAccess::Anyone if doors.config.password.is_some() && !who.is_in => return Err(Refusal::Password),
            AudioAccess::Anyone => {}
        }
    }
    capacity(doors, who)
}

/// May this person watch the conference state, by their affiliation (rule R53)?
pub(super) fn watch(config: &RoomConfig, who: Arriving) -> Result<(), Refusal> {
    if who.affiliation == Affiliation::Outcast {
        Err(Refusal::Banned)
    } else if config.members_only && who.affiliation < Affiliation::Member && !who.is_in {
        Err(Refusal::MembersOnly)
    } else {
        Ok(())
    }
}

fn common(doors: Doors<'_>, who: Arriving) -> Result<(), Refusal> {
    if who.quarantined {
        return Err(Refusal::KickedRecently);
    }
    // Rule R10: nobody new enters. Who is in by one door is not new at the other, and admins hold the key.
    if doors.locked && !who.is_in && who.affiliation < Affiliation::Admin {
        return Err(Refusal::Locked);
    }
    Ok(())
}

fn capacity(doors: Doors<'_>, who: Arriving) -> Result<(), Refusal> {
    let most = usize::try_from(doors.config.max_people)
        .unwrap_or(PLACES_AT_MOST)
        .min(PLACES_AT_MOST);
    let extra = if who.affiliation >= Affiliation::Admin {
        PLACES_FOR_ADMINS
    } else {
        0
    };
    if doors.places < most + extra { Ok(()) } else { Err(Refusal::Full) }
}
