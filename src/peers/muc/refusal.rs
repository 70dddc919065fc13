//! The room's refusals in the words of RFC 6120 section 8.3 and XEP-0045. Decides nothing.

use crate::{
    room::Refusal,
    xmpp::stanza::{DefinedCondition as C, ErrorType as T, Failure},
};

/// How a refusal is told in the chat.
pub(super) fn failure(refusal: Refusal) -> Failure {
    let (type_, condition) = match refusal {
        Refusal::NotModerator | Refusal::NotAdmin | Refusal::NotOwner | Refusal::NoVoice | Refusal::Banned => (T::Auth, C::Forbidden),
        Refusal::Outranked
        | Refusal::Locked
        | Refusal::AudioOff
        | Refusal::Pin
        | Refusal::OwnMute
        | Refusal::PolicyMute
        | Refusal::CannotBan
        | Refusal::RecordsNothing
        | Refusal::FixedByConfig
        | Refusal::NotDialable
        | Refusal::Emergency
        | Refusal::Premium => (T::Cancel, C::NotAllowed),
        Refusal::NotInRoom | Refusal::BadNick | Refusal::BadTarget | Refusal::Unconfirmed => (T::Modify, C::NotAcceptable),
        Refusal::NumberTaken => (T::Cancel, C::Conflict),
        Refusal::NoSuchTarget | Refusal::NobodyOnPhone | Refusal::NotConfigured => (T::Cancel, C::ItemNotFound),
        // RFC 6120 names "wait" for a policy that time satisfies.
        Refusal::KickedRecently | Refusal::TooManyDials => (T::Wait, C::PolicyViolation),
        Refusal::MembersOnly | Refusal::Lobby => (T::Auth, C::RegistrationRequired),
        Refusal::Password => (T::Auth, C::NotAuthorized),
        Refusal::NickTaken | Refusal::LastOwner | Refusal::Oneself => (T::Cancel, C::Conflict),
        Refusal::Full | Refusal::Closing => (T::Wait, C::ServiceUnavailable),
    };
    Failure::from(condition).of_type(type_).with_text(refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn muc_7_2_17_errors_on_entering_are_those_of_the_table() {
        for (refusal, type_, condition) in [
            (Refusal::Password, T::Auth, C::NotAuthorized),
            (Refusal::Banned, T::Auth, C::Forbidden),
            (Refusal::NotConfigured, T::Cancel, C::ItemNotFound),
            (Refusal::MembersOnly, T::Auth, C::RegistrationRequired),
            (Refusal::NickTaken, T::Cancel, C::Conflict),
            (Refusal::Full, T::Wait, C::ServiceUnavailable),
            (Refusal::Locked, T::Cancel, C::NotAllowed),
            (Refusal::Lobby, T::Auth, C::RegistrationRequired),
        ] {
            let failure = failure(refusal);
            assert_eq!((failure.type_, failure.condition), (type_, condition), "{refusal:?}");
            assert!(failure.text.is_some(), "{refusal:?}");
        }
    }
}
