//! Multi-user chat (XEP-0045) as it looks on the wire. Knows no room: no occupants, no rights, no state.
//!
//! The types are ours since those of `xmpp-parsers` leave out `affiliation='none'` and `role='none'`, and refuse bare JIDs and unknown codes.

mod admin;
mod join;
mod owner;
mod parts;
pub mod stamp;
mod strip;
mod user;

pub use admin::{AdminItem, AdminQuery, BadAdminQuery};
pub use join::{HistoryWish, Join};
pub use owner::{BadOwnerQuery, FORM_TYPE as CONFIG_FORM, OwnerQuery};
pub use parts::{delay, groupchat, occupant_id, stanza_id, subject_change};
pub use strip::{Forger, weight};
pub use user::{ActorRef, Destroy, Invitation, Item, UserX, status};

/// Marks a join (section 7.2.1).
pub const NS_MUC: &str = "http://jabber.org/protocol/muc";
/// What only the service may say (section 17.3).
pub const NS_USER: &str = "http://jabber.org/protocol/muc#user";
/// Roles and affiliations (sections 8 and 9).
pub const NS_ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// Configuration and destruction (section 10).
pub const NS_OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// Identifiers of occupants that outlive nicks (XEP-0421).
pub const NS_OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// Identifiers of stanzas (XEP-0359).
pub const NS_STANZA_ID: &str = "urn:xmpp:sid:0";
/// Delayed delivery (XEP-0203).
pub const NS_DELAY: &str = "urn:xmpp:delay";
/// Data forms (XEP-0004).
pub const NS_DATA: &str = "jabber:x:data";
/// Service discovery (XEP-0030).
pub const NS_INFO: &str = "http://jabber.org/protocol/disco#info";
/// Service discovery (XEP-0030).
pub const NS_ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Ping (XEP-0199), also to oneself (XEP-0410).
pub const NS_PING: &str = "urn:xmpp:ping";
/// vCards (XEP-0054).
pub const NS_VCARD: &str = "vcard-temp";
/// Publish-subscribe (XEP-0060).
pub const NS_PUBSUB: &str = "http://jabber.org/protocol/pubsub";
/// Message processing hints (XEP-0334).
pub const NS_HINTS: &str = "urn:xmpp:hints";
