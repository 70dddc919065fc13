//! SIP messages: read, looked into, built, written. Headers are bytes until a typed accessor asks. Knows neither transactions nor sockets.

mod access;
mod escape;
mod headers;
pub(crate) mod lex;
mod message;
mod method;
mod name;
mod params;
mod parse;
mod refer;
mod salvage;
mod stream;
mod typed;
mod uri;

pub use access::{Access, HeaderError};
pub use escape::{percent_decode, percent_encode, room_of_user, user_of_room};
pub use headers::Headers;
pub use message::{Message, Request, Response, reason_phrase};
pub use method::Method;
pub use name::Name;
pub use params::Params;
pub use parse::{MAX_HEADERS, MAX_MESSAGE, Malformed, Why, parse_datagram};
pub use refer::{DialogId, ReferTo};
pub use stream::{FramingLost, StreamDecoder, StreamItem};
pub use typed::{CSeq, Contacts, MediaType, NameAddr, RAck, Refresher, SessionExpires, Tagged, Via};
pub use uri::{BadUri, DEFAULT_PORT, DEFAULT_TLS_PORT, DEFAULT_WS_PORT, DEFAULT_WSS_PORT, Host, SipUri, Uri};
