//! What a conference document tells (RFC 4575 section 5), as plain data. Who may see what has been decided before.

/// The whole state of a conference, for one view class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The conference URI: `entity` of the document.
    pub entity: String,
    /// `<conference-description>`.
    pub description: Description,
    /// `<host-info>`: the service's name.
    pub host: Option<String>,
    /// `<conference-state><active>`.
    pub active: bool,
    /// `<conference-state><locked>` (rule R10).
    pub locked: bool,
    /// `<users>`, in a stable order. `user-count` counts those with an endpoint that isn't disconnected.
    pub users: Vec<User>,
    /// People who take part and have no place in `users` (rule R54); they are counted.
    pub others: usize,
}

/// `<conference-description>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Title.
    pub display_text: Option<String>,
    /// Subject, as the chat has it.
    pub subject: Option<String>,
    /// `<free-text>`: what else people should know of the conference.
    pub free_text: Option<String>,
    /// URI and purpose: how to take part (`participation`).
    pub conf_uris: Vec<Entry>,
    /// URI and purpose: the chat (`grouptextchat`, RFC 7106) and other services.
    pub service_uris: Vec<Entry>,
    /// `<maximum-user-count>`.
    pub maximum_user_count: Option<u32>,
}

/// One `<entry>` of a list of URIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The URI, unique in its list.
    pub uri: String,
    /// For people.
    pub display_text: Option<String>,
    /// `participation`, `grouptextchat`, …
    pub purpose: String,
}

/// `<user>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Key: unique, the same over the life of the conference.
    pub entity: String,
    /// The name.
    pub display_text: Option<String>,
    /// Other addresses: the JID as an `xmpp:` URI, where the viewer may know it.
    pub associated_aors: Vec<String>,
    /// `moderator`, `participant`, …
    pub roles: Vec<String>,
    /// Their calls, and their place in the chat.
    pub endpoints: Vec<Endpoint>,
}

/// `<endpoint>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Key: unique in the document.
    pub entity: String,
    /// For people.
    pub display_text: Option<String>,
    /// `<status>`.
    pub status: EndpointStatus,
    /// `<joining-method>`; `None` for somebody who waits to be let in, and so hasn't joined.
    pub joining: Option<JoiningMethod>,
    /// When it joined, ms since the UNIX epoch.
    pub joined_unix_ms: Option<u64>,
    /// `<disconnection-method>` and `<disconnection-info>`, when disconnected.
    pub departure: Option<Departure>,
    /// `<media>`.
    pub media: Vec<Media>,
}

/// Status of an endpoint (RFC 4575 section 5.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointStatus {
    /// `pending`: our 200 isn't acknowledged, or they wait in the lobby.
    Pending,
    /// `connected`.
    Connected,
    /// `on-hold`.
    OnHold,
    /// `muted-via-focus`.
    MutedViaFocus,
    /// `disconnected`.
    Disconnected,
    /// `dialing-out`: we call them and have heard nothing yet.
    DialingOut,
    /// `alerting`: their phone rings.
    Alerting,
}

/// `<joining-method>` (RFC 4575 section 5.7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoiningMethod {
    /// `dialed-in`.
    DialedIn,
    /// `dialed-out`: the focus called them.
    DialedOut,
}

/// How an endpoint went (RFC 4575 sections 5.7.6 and 5.7.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The method.
    pub method: DepartureMethod,
    /// When, ms since the UNIX epoch.
    pub unix_ms: u64,
    /// Why, in words.
    pub reason: Option<String>,
    /// By whom: a URI of the conference.
    pub by: Option<String>,
}

/// `<disconnection-method>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepartureMethod {
    /// `departed`.
    Departed,
    /// `booted`.
    Booted,
    /// `failed`.
    Failed,
    /// `busy`: they were called and were busy.
    Busy,
}

/// `<media>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Key: unique in its endpoint.
    pub id: String,
    /// `audio`, or `message` for a place in the chat.
    pub kind: MediaKind,
    /// SSRC of what this participant is sent, as `<src-id>`.
    pub src_id: Option<u32>,
    /// `<status>`, from the participant's point of view.
    pub status: MediaStatus,
}

/// `<type>` of a media stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// `audio`.
    Audio,
    /// `message`: the chat (checklist M-6).
    Message,
}

/// `<status>` of a media stream, from the participant's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaStatus {
    /// Speaks and hears.
    SendRecv,
    /// Speaks only.
    SendOnly,
    /// Hears only: muted.
    RecvOnly,
    /// Neither.
    Inactive,
}
