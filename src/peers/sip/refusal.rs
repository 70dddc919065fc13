//! From a refusal to a SIP response: one total match.

use crate::room::Refusal;

/// Status code and reason phrase for a refusal (RFC 3261 section 21).
pub fn refusal_response(refusal: Refusal) -> (u16, &'static str) {
    match refusal {
        Refusal::NotModerator
        | Refusal::NotAdmin
        | Refusal::NotOwner
        | Refusal::Outranked
        | Refusal::NotInRoom
        | Refusal::NoVoice
        | Refusal::BadNick
        | Refusal::OwnMute
        | Refusal::PolicyMute
        | Refusal::CannotBan
        | Refusal::Oneself
        | Refusal::LastOwner
        | Refusal::RecordsNothing
        | Refusal::NobodyOnPhone
        | Refusal::Lobby
        | Refusal::NumberTaken
        | Refusal::FixedByConfig => (403, "Forbidden"),
        Refusal::NotDialable => (403, "Calls There Are Not Allowed"),
        Refusal::Emergency => (403, "Emergency Numbers Are Not Called"),
        Refusal::Premium => (403, "Special Rates Are Not Called"),
        Refusal::Unconfirmed => (403, "The Call May Cost Money"),
        Refusal::TooManyDials => (403, "Too Many Calls"),
        Refusal::BadTarget => (400, "No Address That Can Be Called"),
        Refusal::Banned => (403, "Banned From This Room"),
        Refusal::KickedRecently => (403, "Removed A Moment Ago"),
        Refusal::MembersOnly => (403, "Members Only"),
        Refusal::Locked => (403, "The Room Is Locked"),
        Refusal::Password | Refusal::Pin => (403, "A PIN Is Needed"),
        // A room that takes no calls is not to be told from one that does not exist.
        Refusal::AudioOff | Refusal::NotConfigured | Refusal::NoSuchTarget => (404, "Not Found"),
        Refusal::NickTaken | Refusal::Full => (486, "Busy Here"),
        Refusal::Closing => (480, "Temporarily Unavailable"),
    }
}
