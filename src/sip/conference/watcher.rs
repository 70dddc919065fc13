//! One subscription: what its watcher has been told, and when it is told more. Sends nothing: each document goes out in a NOTIFY of the caller's.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    render::{Printer, Revision},
    state::User,
};

/// How long somebody stays in the documents after this watcher was told that they are disconnected, at least (rule R52).
const PARTING: Duration = Duration::from_secs(5);

/// Tells one watcher of changes: versions rise by one (rule R50), not more often than the interval (rule R51), one NOTIFY at a time.
#[derive(Debug)]
pub struct Watcher {
    interval: Duration,
    version: u32,
    current: Option<Arc<Revision>>,
    told: Option<Arc<Revision>>,
    /// Who is gone from the state, but not yet long enough for this watcher, with the moment when it was told.
    parting: BTreeMap<String, (User, Option<Instant>)>,
    /// A SUBSCRIBE waits for its full document.
    full_wanted: bool,
    /// A NOTIFY is on its way.
    outstanding: bool,
    /// Something may have changed since `told`.
    changed: bool,
    sent_at: Option<Instant>,
}

impl Watcher {
    /// A new subscription: its first document is full. RFC 4575 section 3.9 recommends an interval of 5 s.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            version: 0,
            current: None,
            told: None,
            parting: BTreeMap::new(),
            full_wanted: true,
            outstanding: false,
            changed: false,
            sent_at: None,
        }
    }

    /// A SUBSCRIBE came in this subscription: the next document is full and exempt from the interval.
    pub fn refresh(&mut self) {
        self.full_wanted = true;
    }

    /// The NOTIFY with the last document was answered.
    pub fn notified(&mut self) {
        self.outstanding = false;
    }

    /// The conference is in this state now.
    pub fn update(&mut self, now: Instant, revision: &Arc<Revision>) {
        if let Some(before) = self.current.replace(Arc::clone(revision)) {
            for user in &before.departed {
                let is_told = self.told.as_ref().is_some_and(|told| told.has(&user.entity));
                if is_told && !self.parting.contains_key(&user.entity) && !revision.has(&user.entity) {
                    self.parting.insert(user.entity.clone(), (user.clone(), None));
                }
            }
        }
        self.parting.retain(|entity, _| !revision.has(entity));
        self.note_told(now);
        self.changed = true;
    }

    /// The next document, if one is due. Until [`notified`](Self::notified) is called, none is.
    pub fn poll_document(&mut self, now: Instant, printer: &mut Printer) -> Option<Vec<u8>> {
        let current = Arc::clone(self.current.as_ref()?);
        if !self.is_due(now) {
            return None;
        }
        self.parting.retain(|_, (_, told)| told.is_none_or(|at| now < at + PARTING));
        let revision = if self.parting.is_empty() {
            current
        } else {
            printer.with_parting(&current, self.parting.values().map(|(user, _)| user))
        };
        self.changed = false;
        let version = self.version + 1;
        let base = self.told.as_deref().filter(|_| !self.full_wanted);
        let Some(document) = printer.document(&revision, base, version) else {
            // Told the same, so that who is behind needn't stay it.
            self.told = Some(revision);
            return None;
        };
        self.version = version;
        self.full_wanted = false;
        self.outstanding = true;
        self.sent_at = Some(now);
        // Who found no place in a crowded document has just been deleted by it.
        self.parting.retain(|entity, _| revision.has(entity));
        self.told = Some(revision);
        self.note_told(now);
        Some(document)
    }

    /// Something may have changed: [`update`](Self::update) is wanted before the next document.
    pub fn touch(&mut self) {
        self.changed = true;
    }

    /// A document may go now, if there is something to tell.
    pub fn is_due(&self, now: Instant) -> bool {
        !self.outstanding && (self.full_wanted || self.due().is_some_and(|at| at <= now))
    }

    /// When [`poll_document`](Self::poll_document) may have something although nothing happened.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        if self.outstanding {
            return None;
        }
        self.due().map(|at| (at, "conference state is told"))
    }

    /// When changes may be told, if there are any or somebody has parted for long enough.
    fn due(&self) -> Option<Instant> {
        let earliest = self.sent_at? + self.interval;
        let parted = self.parting.values().filter_map(|(_, told)| told.map(|at| at + PARTING)).min();
        if self.changed {
            Some(earliest)
        } else {
            parted.map(|at| at.max(earliest))
        }
    }

    /// Starts the clock of those whom the watcher knows to be disconnected.
    fn note_told(&mut self, now: Instant) {
        let Some(told) = &self.told else { return };
        let sent_at = self.sent_at.unwrap_or(now);
        for (entity, (_, at)) in self.parting.iter_mut().filter(|(_, (_, at))| at.is_none()) {
            if told.users().iter().any(|u| u.entity == *entity && !u.is_present()) {
                *at = Some(sent_at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::conference::{
        CROWD, Departure, DepartureMethod, Description, Endpoint, EndpointStatus, JoiningMethod, MAX_DOCUMENT, State,
    };

    const INTERVAL: Duration = Duration::from_secs(5);

    fn user(name: &str, status: EndpointStatus) -> User {
        let departure = (status == EndpointStatus::Disconnected).then(|| Departure {
            method: DepartureMethod::Booted,
            unix_ms: 1_000,
            reason: Some("noise".into()),
            by: None,
        });
        User {
            entity: format!("sip:{name}@example.com"),
            display_text: Some(name.into()),
            associated_aors: Vec::new(),
            roles: vec!["participant".into()],
            endpoints: vec![Endpoint {
                entity: format!("sip:{name}@example.com;leg=1"),
                display_text: None,
                status,
                joining: Some(JoiningMethod::DialedIn),
                joined_unix_ms: Some(0),
                departure,
                media: Vec::new(),
            }],
        }
    }

    fn room(users: Vec<User>) -> Arc<State> {
        Arc::new(State {
            entity: "sip:r@example.com".into(),
            description: Description::default(),
            host: None,
            active: true,
            locked: false,
            users,
            others: 0,
        })
    }

    fn connected(names: &[&str]) -> Arc<State> {
        room(names.iter().map(|n| user(n, EndpointStatus::Connected)).collect())
    }

    struct World {
        printer: Printer,
        watcher: Watcher,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self {
                printer: Printer::default(),
                watcher: Watcher::new(INTERVAL),
                now: Instant::now(),
            }
        }

        fn update(&mut self, state: &Arc<State>) {
            let revision = self.printer.revision(state);
            self.watcher.update(self.now, &revision);
        }

        fn poll(&mut self) -> Option<String> {
            self.watcher
                .poll_document(self.now, &mut self.printer)
                .map(|d| String::from_utf8(d).unwrap())
        }

        /// A document that has to come, and its answer.
        fn told(&mut self) -> String {
            let document = self.poll().expect("a document");
            assert_eq!(self.poll(), None, "one NOTIFY at a time");
            self.watcher.notified();
            document
        }

        fn wait(&mut self, ms: u64) {
            self.now += Duration::from_millis(ms);
        }
    }

    fn version(document: &str) -> u32 {
        document
            .split("version=\"")
            .nth(2)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    #[test]
    fn r50_versions_rise_by_one_and_a_refresh_is_full() {
        let mut w = World::new();
        w.update(&connected(&["a"]));
        for expected in 1..4 {
            let document = w.told();
            assert_eq!(version(&document), expected);
            assert!(document.contains("state=\"full\""), "{document}");
            w.watcher.refresh();
        }
        let _ = w.told();
        w.update(&connected(&["a", "b"]));
        w.wait(5_000);
        let document = w.told();
        assert_eq!(version(&document), 5);
        assert!(
            document.contains("state=\"partial\"") && document.contains("sip:b@") && !document.contains("sip:a@"),
            "{document}"
        );
    }

    #[test]
    fn r51_changes_gather_until_the_interval_has_passed_and_the_notify_is_answered() {
        let mut w = World::new();
        w.update(&connected(&["a"]));
        let _ = w.told();
        w.update(&connected(&["a", "b"]));
        w.wait(1_000);
        w.update(&connected(&["a", "b", "c"]));
        assert_eq!(w.poll(), None);
        let (at, _) = w.watcher.poll_timeout().expect("a timeout");
        assert_eq!(at, w.now + Duration::from_secs(4));
        w.wait(4_000);
        let document = w.poll().expect("at the mark");
        assert!(document.contains("sip:b@") && document.contains("sip:c@"), "{document}");
        w.update(&connected(&["a", "c"]));
        w.wait(60_000);
        assert_eq!((w.poll(), w.watcher.poll_timeout()), (None, None), "one is on its way");
        w.watcher.notified();
        assert!(w.told().contains("<user entity=\"sip:b@example.com\" state=\"deleted\"/>"));
        w.wait(60_000);
        w.update(&connected(&["a", "c"]));
        assert_eq!(w.poll(), None, "nothing changed");
        w.update(&connected(&["a"]));
        let _ = w.told();
        w.update(&connected(&["c"]));
        w.watcher.refresh();
        assert!(w.told().contains("state=\"full\""), "exempt from the interval");
    }

    #[test]
    fn r52_departures_are_told_then_deleted() {
        let mut w = World::new();
        w.update(&connected(&["a", "b"]));
        assert!(w.told().contains("<user-count>2</user-count>"));
        // Gone and forgotten by the room before the interval lets this watcher hear of it.
        w.update(&room(vec![
            user("a", EndpointStatus::Connected),
            user("b", EndpointStatus::Disconnected),
        ]));
        w.wait(4_000);
        w.update(&connected(&["a"]));
        w.wait(1_000);
        let document = w.told();
        assert!(
            document.contains("<status>disconnected</status>") && document.contains("<reason>noise</reason>"),
            "{document}"
        );
        assert!(
            document.contains("<disconnection-method>booted</disconnection-method>") && document.contains("<user-count>1</user-count>")
        );
        w.wait(1_000);
        w.watcher.refresh();
        assert!(w.told().contains("sip:b@"), "not yet told of the deletion");
        w.wait(4_000);
        assert_eq!(w.poll(), None);
        let (at, _) = w.watcher.poll_timeout().expect("the deletion is due");
        w.now = at;
        assert!(w.told().contains("<user entity=\"sip:b@example.com\" state=\"deleted\"/>"));
        assert_eq!(w.watcher.poll_timeout(), None);
        w.watcher.refresh();
        assert!(!w.told().contains("sip:b@"));
    }

    #[test]
    fn r52_leaving_and_coming_back_in_one_interval_shows_the_new_joining() {
        let mut w = World::new();
        w.update(&connected(&["a"]));
        let _ = w.told();
        w.update(&room(vec![user("a", EndpointStatus::Disconnected)]));
        w.update(&room(Vec::new()));
        let mut back = user("a", EndpointStatus::Connected);
        back.endpoints[0].joined_unix_ms = Some(60_000);
        w.update(&room(vec![back]));
        w.wait(5_000);
        let document = w.told();
        assert!(
            document.contains("<joining-info><when>1970-01-01T00:01:00Z</when></joining-info>"),
            "{document}"
        );
        assert!(!document.contains("disconnected"), "{document}");
        w.wait(60_000);
        assert_eq!(w.poll(), None);
    }

    #[test]
    fn r54_a_crowd_fits_and_moderators_come_first() {
        let mut w = World::new();
        let mut users: Vec<User> = (0..5_000).map(|n| user(&format!("u{n}"), EndpointStatus::Connected)).collect();
        users[4_999].roles = vec!["moderator".into()];
        users[0].display_text = Some("\"".repeat(10_000));
        users[1].entity = format!("sip:{}@example.com", "x".repeat(MAX_DOCUMENT));
        let state = room(users);
        w.update(&state);
        let document = w.told();
        assert!(
            document.len() <= MAX_DOCUMENT && document.matches("<user ").count() <= CROWD,
            "{} bytes",
            document.len()
        );
        assert!(document.contains("<user-count>5000</user-count>") && document.contains("sip:u4999@"));
        let mut users = state.users.clone();
        users.reverse();
        w.update(&room(users));
        w.wait(5_000);
        let document = w.told();
        assert!(document.len() <= MAX_DOCUMENT, "{} bytes", document.len());
    }

    #[test]
    fn keys_are_unique_whatever_the_state_says() {
        let mut w = World::new();
        let mut twice = user("a", EndpointStatus::Connected);
        twice.endpoints.push(twice.endpoints[0].clone());
        w.update(&room(vec![twice.clone(), twice]));
        let document = w.told();
        assert_eq!((document.matches("<user ").count(), document.matches("<endpoint ").count()), (1, 1));
    }
}
