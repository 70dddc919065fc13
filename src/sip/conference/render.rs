//! Conference state as documents: full ones, and the least that leads from one state to another (RFC 4575 sections 4.4 and 4.6).
//!
//! A document depends on nothing but the states and the version, so that watchers of one view class can share it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    state::{
        Departure, DepartureMethod, Description, Endpoint, EndpointStatus, Entry, JoiningMethod, Media, MediaKind, MediaStatus, State, User,
    },
    xml::{Xml, date_time},
};

/// Bytes of one document, at most (rule R54): one UDP datagram with the head of its NOTIFY.
pub const MAX_DOCUMENT: usize = 60_000;

/// Users of one document, at most (rule R54).
pub const CROWD: usize = 200;

/// Digits of a version, at most.
const VERSION_MAX: usize = 10;

/// Bodies that are kept, at most: as many as watchers can lie behind one another in a busy room.
const BODIES_MAX: usize = 256;

const NAMESPACE: &str = "urn:ietf:params:xml:ns:conference-info";

/// What documents tell of one state: keys unique, and no more people than they hold. Shared by all watchers of one view class.
#[derive(Debug)]
pub struct Revision {
    /// Another one than that of any other revision of the same printer.
    pub(super) id: u64,
    state: State,
    /// Of all, those left out included.
    user_count: usize,
    /// Bytes of the full document, without its version.
    full_len: usize,
    /// Who is disconnected.
    pub(super) departed: Vec<User>,
}

impl Revision {
    /// Takes what fits into a full document: moderators first, then the others in their order.
    fn new<'a>(id: u64, state: &'a State, parting: impl Iterator<Item = &'a User>) -> Self {
        let user_count = state.others + state.users.iter().filter(|u| u.takes_part()).count();
        let mut seen = BTreeSet::new();
        let mut users: Vec<&User> = state.users.iter().chain(parting).filter(|u| seen.insert(&u.entity)).collect();
        if users.len() > CROWD {
            users.sort_by_key(|u| !u.roles.iter().any(|r| r == "moderator"));
            users.truncate(CROWD);
        }
        let mut users: Vec<User> = users.into_iter().map(User::with_unique_keys).collect();
        let mut revision = Self {
            id,
            state: state.without_users(),
            user_count,
            full_len: 0,
            departed: Vec::new(),
        };
        let head = revision.full().len();
        let mut left = (MAX_DOCUMENT - VERSION_MAX).saturating_sub(head);
        users.retain(|user| {
            let mut xml = Xml::piece();
            full_user(&mut xml, user);
            let fits = xml.len() <= left;
            left -= if fits { xml.len() } else { 0 };
            fits
        });
        revision.full_len = MAX_DOCUMENT - VERSION_MAX - left;
        revision.departed = users.iter().filter(|u| !u.is_present()).cloned().collect();
        revision.state.users = users;
        revision
    }

    pub(super) fn users(&self) -> &[User] {
        &self.state.users
    }

    pub(super) fn has(&self, entity: &str) -> bool {
        self.state.users.iter().any(|u| u.entity == entity)
    }

    fn tells_the_same(&self, other: &Self) -> bool {
        self.id == other.id || (self.state == other.state && self.user_count == other.user_count)
    }

    /// Everything.
    fn full(&self) -> Body {
        self.document("full", |xml| {
            description(xml, &self.state.description);
            host(xml, self.state.host.as_deref());
            self.conference_state(xml);
            xml.element("users", &[("state", "full")], |xml| {
                self.state.users.iter().for_each(|u| full_user(xml, u))
            });
        })
    }

    /// What is new since `base`, or everything where that is shorter, or where something went that only a full document can take away.
    fn since(&self, base: &Self) -> Body {
        if base.state.entity != self.state.entity || (base.state.host.is_some() && self.state.host.is_none()) {
            return self.full();
        }
        let partial = self.partial(base);
        if partial.len() < self.full_len { partial } else { self.full() }
    }

    fn partial(&self, base: &Self) -> Body {
        self.document("partial", |xml| {
            let (old, new) = (&base.state, &self.state);
            if old.description != new.description {
                description(xml, &new.description);
            }
            if old.host != new.host {
                host(xml, new.host.as_deref());
            }
            if (old.active, old.locked, base.user_count) != (new.active, new.locked, self.user_count) {
                self.conference_state(xml);
            }
            if old.users != new.users {
                xml.element("users", &[("state", "partial")], |xml| users_since(xml, &old.users, &new.users));
            }
        })
    }

    fn document(&self, state: &str, inner: impl FnOnce(&mut Xml)) -> Body {
        let mut xml = Xml::document();
        let root = [
            ("xmlns", NAMESPACE),
            ("entity", &self.state.entity),
            ("state", state),
            ("version", ""),
        ];
        let mut version_at = 0;
        xml.element("conference-info", &root, |xml| {
            // The root's tag ends here, with `version="">`.
            version_at = xml.len() - 2;
            inner(xml);
        });
        Body {
            bytes: xml.into_bytes(),
            version_at,
        }
    }

    fn conference_state(&self, xml: &mut Xml) {
        xml.element("conference-state", &[], |xml| {
            xml.text("user-count", &self.user_count.to_string());
            xml.text("active", &self.state.active.to_string());
            xml.text("locked", &self.state.locked.to_string());
        });
    }
}

/// A document that lacks its version: that alone differs between the watchers who are told the same.
#[derive(Debug)]
struct Body {
    bytes: Vec<u8>,
    version_at: usize,
}

impl Body {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn with_version(&self, version: u32) -> Vec<u8> {
        let (head, tail) = self.bytes.split_at(self.version_at);
        let mut document = Vec::with_capacity(self.bytes.len() + VERSION_MAX);
        document.extend_from_slice(head);
        document.extend_from_slice(version.to_string().as_bytes());
        document.extend_from_slice(tail);
        document
    }
}

/// Makes documents, each body once however many watchers are told it (rule R54).
#[derive(Debug, Default)]
pub struct Printer {
    last_id: u64,
    /// By the revision that it leads to, and the one that it begins from; without that it is full. `None`: both tell the same.
    bodies: BTreeMap<(u64, Option<u64>), Option<Body>>,
}

impl Printer {
    /// Takes a state up.
    pub fn revision(&mut self, state: &State) -> Arc<Revision> {
        Arc::new(self.apart(state, std::iter::empty()))
    }

    /// The same for one watcher, who is told of people who are gone for the others.
    pub(super) fn with_parting<'a>(&mut self, revision: &'a Revision, parting: impl Iterator<Item = &'a User>) -> Arc<Revision> {
        let mut apart = self.apart(&revision.state, parting);
        apart.user_count = revision.user_count;
        Arc::new(apart)
    }

    fn apart<'a>(&mut self, state: &'a State, parting: impl Iterator<Item = &'a User>) -> Revision {
        self.last_id += 1;
        Revision::new(self.last_id, state, parting)
    }

    /// The document that leads from `base`, or from nothing, to `revision`; `None` if there is nothing to tell.
    pub(super) fn document(&mut self, revision: &Revision, base: Option<&Revision>, version: u32) -> Option<Vec<u8>> {
        if self.bodies.len() > BODIES_MAX {
            self.bodies.clear();
        }
        let body = self.bodies.entry((revision.id, base.map(|b| b.id))).or_insert_with(|| match base {
            None => Some(revision.full()),
            Some(base) => (!revision.tells_the_same(base)).then(|| revision.since(base)),
        });
        body.as_ref().map(|body| body.with_version(version))
    }
}

impl User {
    /// Whether any endpoint isn't disconnected (rule R52).
    pub(super) fn is_present(&self) -> bool {
        self.endpoints.iter().any(|e| e.status != EndpointStatus::Disconnected)
    }

    /// Whether they take part, and so are counted (RFC 4575 section 5.5.1): nobody does who is called, waits or is gone.
    fn takes_part(&self) -> bool {
        self.endpoints.iter().any(|e| e.status.takes_part())
    }

    /// Keys must be unique among siblings (RFC 4575 section 4.5): the first of its key stays.
    fn with_unique_keys(&self) -> Self {
        let mut user = self.clone();
        retain_first(&mut user.endpoints, |e| &e.entity);
        user.endpoints.iter_mut().for_each(|e| retain_first(&mut e.media, |m| &m.id));
        user
    }
}

impl State {
    fn without_users(&self) -> Self {
        let Self {
            entity,
            description,
            host,
            active,
            locked,
            users: _,
            others: _,
        } = self;
        let (entity, description, host) = (entity.clone(), description.clone(), host.clone());
        Self {
            entity,
            description,
            host,
            active: *active,
            locked: *locked,
            users: Vec::new(),
            others: 0,
        }
    }
}

fn retain_first<T>(list: &mut Vec<T>, key: impl Fn(&T) -> &String) {
    let mut seen = BTreeSet::new();
    list.retain(|item| seen.insert(key(item).clone()));
}

fn description(xml: &mut Xml, description: &Description) {
    xml.element("conference-description", &[], |xml| {
        xml.optional("display-text", description.display_text.as_deref());
        xml.optional("subject", description.subject.as_deref());
        xml.optional("free-text", description.free_text.as_deref());
        uris(xml, "conf-uris", &description.conf_uris);
        uris(xml, "service-uris", &description.service_uris);
        xml.optional(
            "maximum-user-count",
            description.maximum_user_count.map(|n| n.to_string()).as_deref(),
        );
    });
}

/// The schema wants at least one entry.
fn uris(xml: &mut Xml, name: &str, entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    xml.element(name, &[], |xml| {
        for entry in entries {
            xml.element("entry", &[], |xml| {
                xml.text("uri", &entry.uri);
                xml.optional("display-text", entry.display_text.as_deref());
                xml.text("purpose", &entry.purpose);
            });
        }
    });
}

fn host(xml: &mut Xml, name: Option<&str>) {
    if let Some(name) = name {
        xml.element("host-info", &[], |xml| xml.text("display-text", name));
    }
}

/// RFC 4575 section 4.6: elements with keys are added, changed or removed by key, whatever their order.
fn users_since(xml: &mut Xml, old: &[User], new: &[User]) {
    for user in new {
        match old.iter().find(|u| u.entity == user.entity) {
            Some(before) if before == user => {}
            Some(before) if needs_whole_user(before, user) => full_user(xml, user),
            Some(before) => user_since(xml, before, user),
            None => full_user(xml, user),
        }
    }
    for gone in old.iter().filter(|u| !new.iter().any(|n| n.entity == u.entity)) {
        xml.empty("user", &[("entity", &gone.entity), ("state", "deleted")]);
    }
}

/// A part of an element that has no key and no state of its own can only be taken away with the element.
fn needs_whole_user(old: &User, new: &User) -> bool {
    let emptied = |old: &[String], new: &[String]| !old.is_empty() && new.is_empty();
    (old.display_text.is_some() && new.display_text.is_none())
        || emptied(&old.associated_aors, &new.associated_aors)
        || emptied(&old.roles, &new.roles)
}

fn needs_whole_endpoint(old: &Endpoint, new: &Endpoint) -> bool {
    (old.display_text.is_some() && new.display_text.is_none())
        || (old.joining.is_some() && new.joining.is_none())
        || (old.joined_unix_ms.is_some() && new.joined_unix_ms.is_none())
        || (old.departure.is_some() && new.departure.is_none())
        || old.media.iter().any(|m| !new.media.iter().any(|n| n.id == m.id))
}

fn full_user(xml: &mut Xml, user: &User) {
    xml.element("user", &[("entity", &user.entity), ("state", "full")], |xml| {
        xml.optional("display-text", user.display_text.as_deref());
        associated(xml, &user.associated_aors);
        roles(xml, &user.roles);
        user.endpoints.iter().for_each(|e| full_endpoint(xml, e));
    });
}

fn user_since(xml: &mut Xml, old: &User, new: &User) {
    xml.element("user", &[("entity", &new.entity), ("state", "partial")], |xml| {
        if old.display_text != new.display_text {
            xml.optional("display-text", new.display_text.as_deref());
        }
        if old.associated_aors != new.associated_aors {
            associated(xml, &new.associated_aors);
        }
        if old.roles != new.roles {
            roles(xml, &new.roles);
        }
        for endpoint in &new.endpoints {
            match old.endpoints.iter().find(|e| e.entity == endpoint.entity) {
                Some(before) if before == endpoint => {}
                Some(before) if needs_whole_endpoint(before, endpoint) => full_endpoint(xml, endpoint),
                Some(before) => endpoint_since(xml, before, endpoint),
                None => full_endpoint(xml, endpoint),
            }
        }
        for gone in old.endpoints.iter().filter(|e| !new.endpoints.iter().any(|n| n.entity == e.entity)) {
            xml.empty("endpoint", &[("entity", &gone.entity), ("state", "deleted")]);
        }
    });
}

fn associated(xml: &mut Xml, aors: &[String]) {
    if !aors.is_empty() {
        xml.element("associated-aors", &[], |xml| {
            for aor in aors {
                xml.element("entry", &[], |xml| xml.text("uri", aor));
            }
        });
    }
}

fn roles(xml: &mut Xml, roles: &[String]) {
    if !roles.is_empty() {
        xml.element("roles", &[], |xml| roles.iter().for_each(|role| xml.text("entry", role)));
    }
}

fn full_endpoint(xml: &mut Xml, endpoint: &Endpoint) {
    xml.element("endpoint", &[("entity", &endpoint.entity), ("state", "full")], |xml| {
        xml.optional("display-text", endpoint.display_text.as_deref());
        xml.text("status", endpoint.status.as_str());
        joining_method(xml, endpoint.joining);
        joined(xml, endpoint.joined_unix_ms);
        departed(xml, endpoint.departure.as_ref());
        endpoint.media.iter().for_each(|m| medium(xml, m));
    });
}

fn endpoint_since(xml: &mut Xml, old: &Endpoint, new: &Endpoint) {
    xml.element("endpoint", &[("entity", &new.entity), ("state", "partial")], |xml| {
        if old.display_text != new.display_text {
            xml.optional("display-text", new.display_text.as_deref());
        }
        if old.status != new.status {
            xml.text("status", new.status.as_str());
        }
        if old.joining != new.joining {
            joining_method(xml, new.joining);
        }
        if old.joined_unix_ms != new.joined_unix_ms {
            joined(xml, new.joined_unix_ms);
        }
        if old.departure != new.departure {
            departed(xml, new.departure.as_ref());
        }
        for media in new.media.iter().filter(|m| !old.media.contains(m)) {
            medium(xml, media);
        }
    });
}

fn joining_method(xml: &mut Xml, method: Option<JoiningMethod>) {
    xml.optional("joining-method", method.map(JoiningMethod::as_str));
}

fn joined(xml: &mut Xml, unix_ms: Option<u64>) {
    if let Some(unix_ms) = unix_ms {
        xml.element("joining-info", &[], |xml| xml.text("when", &date_time(unix_ms)));
    }
}

fn departed(xml: &mut Xml, departure: Option<&Departure>) {
    let Some(departure) = departure else { return };
    xml.text("disconnection-method", departure.method.as_str());
    xml.element("disconnection-info", &[], |xml| {
        xml.text("when", &date_time(departure.unix_ms));
        xml.optional("reason", departure.reason.as_deref());
        xml.optional("by", departure.by.as_deref());
    });
}

fn medium(xml: &mut Xml, media: &Media) {
    xml.element("media", &[("id", &media.id)], |xml| {
        xml.text("type", media.kind.as_str());
        xml.optional("src-id", media.src_id.map(|ssrc| ssrc.to_string()).as_deref());
        xml.text("status", media.status.as_str());
    });
}

impl EndpointStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Connected => "connected",
            Self::OnHold => "on-hold",
            Self::MutedViaFocus => "muted-via-focus",
            Self::Disconnected => "disconnected",
            Self::DialingOut => "dialing-out",
            Self::Alerting => "alerting",
        }
    }

    fn takes_part(self) -> bool {
        match self {
            Self::Connected | Self::OnHold | Self::MutedViaFocus => true,
            Self::Pending | Self::Disconnected | Self::DialingOut | Self::Alerting => false,
        }
    }
}

impl JoiningMethod {
    fn as_str(self) -> &'static str {
        match self {
            Self::DialedIn => "dialed-in",
            Self::DialedOut => "dialed-out",
        }
    }
}

impl DepartureMethod {
    fn as_str(self) -> &'static str {
        match self {
            Self::Departed => "departed",
            Self::Booted => "booted",
            Self::Failed => "failed",
            Self::Busy => "busy",
        }
    }
}

impl MediaKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Message => "message",
        }
    }
}

impl MediaStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}
