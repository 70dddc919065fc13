//! RFC 4575: conference documents against the schema, and against a reader that does what section 4.6 says, to the letter.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use cusax::sip::conference::{
    Departure, DepartureMethod, Description, Endpoint, EndpointStatus, Entry, JoiningMethod, Media, MediaKind, MediaStatus, Printer, State,
    User, Watcher,
};
use minidom::Element;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::specs;

const INTERVAL: Duration = Duration::from_secs(5);

/// A subscriber's local information, by section 4.6: atomic elements whole, the others by key.
#[derive(Debug, Clone, Default, PartialEq)]
struct Reader {
    version: Option<u32>,
    info: Node,
}

/// One non-atomic element.
#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    atoms: BTreeMap<String, String>,
    children: BTreeMap<(String, String), Self>,
}

fn state_of(element: &Element) -> &str {
    element.attr("state").unwrap_or("full")
}

impl Reader {
    fn take(&mut self, document: &[u8]) {
        let root: Element = std::str::from_utf8(document)
            .unwrap()
            .parse()
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(document)));
        let version: u32 = root.attr("version").expect("section 4.3").parse().unwrap();
        assert!(
            self.version.is_none_or(|v| version == v + 1),
            "r50: {version} after {:?}",
            self.version
        );
        assert!(self.version.is_some() || state_of(&root) == "full", "the first document is full");
        self.version = Some(version);
        check_states(&root, state_of(&root));
        self.info.apply(&root);
    }
}

impl Node {
    fn apply(&mut self, element: &Element) {
        if state_of(element) == "full" {
            *self = Self::default();
        }
        for child in element.children() {
            match key(child) {
                Some(key) if state_of(child) == "deleted" => {
                    assert!(self.children.remove(&key).is_some(), "{key:?} is deleted but was never there");
                }
                Some(key) => self.children.entry(key).or_default().apply(child),
                None => {
                    self.atoms.insert(atom_key(child), String::from(child));
                }
            }
        }
    }
}

/// Section 4.5: the elements that have a state, with their keys.
fn key(element: &Element) -> Option<(String, String)> {
    let key = match element.name() {
        "users" => "",
        "user" | "endpoint" => element.attr("entity").expect("a key"),
        _ => return None,
    };
    Some((element.name().to_owned(), key.to_owned()))
}

/// `<media>` has a key but no state: it is replaced as a whole.
fn atom_key(element: &Element) -> String {
    format!("{} {}", element.name(), element.attr("id").unwrap_or_default())
}

/// Section 4.4: below a full element everything is full, below a deleted one there is nothing.
fn check_states(element: &Element, state: &str) {
    assert!(state != "deleted" || element.children().count() == 0);
    for child in element.children().filter(|c| key(c).is_some()) {
        assert!(state != "full" || state_of(child) == "full", "{}", String::from(element));
        check_states(child, state_of(child));
    }
}

/// What somebody who subscribes now is told.
fn told_afresh(state: &Arc<State>, now: Instant) -> Node {
    let mut watcher = Watcher::new(INTERVAL);
    let mut printer = Printer::default();
    watcher.update(now, &printer.revision(state));
    let mut reader = Reader::default();
    reader.take(&watcher.poll_document(now, &mut printer).expect("a first document"));
    reader.info
}

fn some<T>(rng: &mut StdRng, make: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    rng.random_bool(0.6).then(|| make(rng))
}

fn words(rng: &mut StdRng) -> String {
    let all = [
        "",
        "Ann & Bob",
        "<b>",
        "line\r\nend",
        "\u{1}\u{b}",
        "größe 😀",
        "]]>",
        "\"quoted\" 'too'",
        "plain",
    ];
    (*all.choose(rng).unwrap()).to_owned()
}

fn endpoint(rng: &mut StdRng, user: &str) -> Endpoint {
    let statuses = [
        EndpointStatus::Pending,
        EndpointStatus::Connected,
        EndpointStatus::OnHold,
        EndpointStatus::MutedViaFocus,
        EndpointStatus::Disconnected,
        EndpointStatus::DialingOut,
        EndpointStatus::Alerting,
    ];
    let status = *statuses.choose(rng).unwrap();
    let departure = (status == EndpointStatus::Disconnected).then(|| Departure {
        method: *[
            DepartureMethod::Departed,
            DepartureMethod::Booted,
            DepartureMethod::Failed,
            DepartureMethod::Busy,
        ]
        .choose(rng)
        .unwrap(),
        unix_ms: rng.random_range(0..4_000_000_000_000),
        reason: some(rng, words),
        by: some(rng, |_| "sip:host@example.com".to_owned()),
    });
    let media = (0..rng.random_range(0..3)).map(|id| Media {
        id: id.to_string(),
        kind: *[MediaKind::Audio, MediaKind::Message].choose(rng).unwrap(),
        src_id: some(rng, |rng| rng.random()),
        status: *[
            MediaStatus::SendRecv,
            MediaStatus::SendOnly,
            MediaStatus::RecvOnly,
            MediaStatus::Inactive,
        ]
        .choose(rng)
        .unwrap(),
    });
    let media = media.collect();
    Endpoint {
        entity: format!("{user};leg={}", rng.random_range(0..3)),
        display_text: some(rng, words),
        status,
        joining: some(rng, |rng| *[JoiningMethod::DialedIn, JoiningMethod::DialedOut].choose(rng).unwrap()),
        joined_unix_ms: some(rng, |rng| rng.random_range(0..4_000_000_000_000)),
        departure,
        media,
    }
}

fn user(rng: &mut StdRng) -> User {
    let entity = format!("sip:u{}@example.com", rng.random_range(0..12));
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for _ in 0..rng.random_range(0..3) {
        let new = endpoint(rng, &entity);
        if endpoints.iter().all(|e| e.entity != new.entity) {
            endpoints.push(new);
        }
    }
    User {
        display_text: some(rng, words),
        associated_aors: some(rng, |_| "xmpp:ann@example.com".to_owned()).into_iter().collect(),
        roles: some(rng, |_| "moderator".to_owned()).into_iter().collect(),
        endpoints,
        entity,
    }
}

fn change(rng: &mut StdRng, state: &mut State) {
    match rng.random_range(0..9) {
        8 => state.description.free_text = some(rng, words),
        0 => state.locked = !state.locked,
        1 => state.description.subject = some(rng, words),
        2 => state.host = some(rng, words),
        3 if !state.users.is_empty() => {
            state.users.remove(rng.random_range(0..state.users.len()));
        }
        4 if !state.users.is_empty() => {
            let at = rng.random_range(0..state.users.len());
            let user = &mut state.users[at];
            for endpoint in &mut user.endpoints {
                endpoint.status = EndpointStatus::Disconnected;
                endpoint.departure = Some(Departure {
                    method: DepartureMethod::Departed,
                    unix_ms: 0,
                    reason: None,
                    by: None,
                });
            }
        }
        _ => {
            let new = user(rng);
            match state.users.iter_mut().find(|u| u.entity == new.entity) {
                Some(old) => *old = new,
                None => state.users.push(new),
            }
        }
    }
}

fn empty_room() -> State {
    let entry = |uri: &str, purpose: &str| Entry {
        uri: uri.to_owned(),
        display_text: None,
        purpose: purpose.to_owned(),
    };
    State {
        entity: "sip:standup@conf.example.com".into(),
        description: Description {
            display_text: Some("Stand-up".into()),
            subject: None,
            free_text: None,
            conf_uris: vec![entry("sip:standup@conf.example.com", "participation")],
            service_uris: vec![entry("xmpp:standup@rooms.example.com?join", "grouptextchat")],
            maximum_user_count: Some(500),
        },
        host: None,
        active: true,
        locked: false,
        users: Vec::new(),
        others: 0,
    }
}

/// Lets a room change at random and tells one watcher, whose NOTIFYs take their time. Returns every document.
fn story(seed: u64, steps: usize) -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut printer, mut watcher, mut reader) = (Printer::default(), Watcher::new(INTERVAL), Reader::default());
    let (mut state, mut now) = (empty_room(), Instant::now());
    let mut documents = Vec::new();
    for _ in 0..steps {
        for _ in 0..rng.random_range(0..4) {
            change(&mut rng, &mut state);
        }
        let shared = Arc::new(state.clone());
        watcher.update(now, &printer.revision(&shared));
        if rng.random_bool(0.1) {
            watcher.refresh();
        }
        now += Duration::from_millis(rng.random_range(0..8_000));
        let mut tell = |watcher: &mut Watcher, now| {
            let Some(document) = watcher.poll_document(now, &mut printer) else {
                return false;
            };
            assert!(
                watcher.poll_document(now + INTERVAL * 10, &mut printer).is_none(),
                "r51: one NOTIFY at a time"
            );
            reader.take(&document);
            documents.push(document);
            true
        };
        if tell(&mut watcher, now) && rng.random_bool(0.7) {
            watcher.notified();
        }
        if rng.random_bool(0.2) {
            watcher.notified();
            for _ in 0..10 {
                now = watcher.poll_timeout().map_or(now, |(at, _)| at.max(now));
                if tell(&mut watcher, now) {
                    watcher.notified();
                }
            }
            assert!(watcher.poll_timeout().is_none(), "it comes to rest");
            assert!(
                reader.info == told_afresh(&shared, now),
                "seed {seed}, document {}",
                documents.len()
            );
        }
    }
    documents
}

#[test]
fn s4_6_r50_the_reader_always_ends_at_the_current_state() {
    let (mut partial, mut deleted) = (0, 0);
    for seed in 0..40 {
        for document in story(seed, 60) {
            let text = String::from_utf8(document).unwrap();
            partial += usize::from(text.contains("state=\"partial\""));
            deleted += text.matches("state=\"deleted\"").count();
        }
    }
    assert!(
        partial > 200 && deleted > 50,
        "the test must see both: {partial} partial, {deleted} deletions"
    );
}

#[test]
fn s4_4_a_change_costs_only_itself() {
    let now = Instant::now();
    let mut rng = StdRng::seed_from_u64(3);
    let mut state = empty_room();
    while state.users.len() < 10 {
        let new = user(&mut rng);
        if state.users.iter().all(|u| u.entity != new.entity) && new.endpoints.iter().any(|e| e.status == EndpointStatus::Connected) {
            state.users.push(new);
        }
    }
    let (mut printer, mut watcher) = (Printer::default(), Watcher::new(INTERVAL));
    watcher.update(now, &printer.revision(&state));
    let full = watcher.poll_document(now, &mut printer).unwrap();
    watcher.notified();
    let at = state.users[4]
        .endpoints
        .iter()
        .position(|e| e.status == EndpointStatus::Connected)
        .unwrap();
    state.users[4].endpoints[at].status = EndpointStatus::MutedViaFocus;
    watcher.update(now, &printer.revision(&state));
    let document = String::from_utf8(watcher.poll_document(now + INTERVAL, &mut printer).unwrap()).unwrap();
    let endpoint = &state.users[4].endpoints[at].entity;
    let user = &state.users[4].entity;
    assert!(
        document.ends_with(&format!(
            "state=\"partial\" version=\"2\"><users state=\"partial\"><user entity=\"{user}\" state=\"partial\">\
             <endpoint entity=\"{endpoint}\" state=\"partial\"><status>muted-via-focus</status></endpoint></user></users></conference-info>"
        )),
        "{document}"
    );
    assert!(document.len() * 5 < full.len());
}

#[test]
fn s5_5_1_whoever_is_called_or_waits_is_shown_and_not_counted() {
    let now = Instant::now();
    let mut rng = StdRng::seed_from_u64(4);
    let mut state = empty_room();
    let shown = [
        (EndpointStatus::Connected, "connected"),
        (EndpointStatus::Pending, "pending"),
        (EndpointStatus::DialingOut, "dialing-out"),
        (EndpointStatus::Alerting, "alerting"),
        (EndpointStatus::Disconnected, "disconnected"),
    ];
    for (n, (status, _)) in shown.iter().enumerate() {
        let entity = format!("sip:u{n}@example.com");
        let mut only = endpoint(&mut rng, &entity);
        only.status = *status;
        state.users.push(User {
            entity,
            display_text: None,
            associated_aors: Vec::new(),
            roles: Vec::new(),
            endpoints: vec![only],
        });
    }
    let (mut printer, mut watcher) = (Printer::default(), Watcher::new(INTERVAL));
    watcher.update(now, &printer.revision(&state));
    let document = String::from_utf8(watcher.poll_document(now, &mut printer).unwrap()).unwrap();
    assert!(document.contains("<user-count>1</user-count>"), "{document}");
    for (_, word) in shown {
        assert!(document.contains(&format!("<status>{word}</status>")), "{document}");
    }
}

#[test]
fn m3_the_chat_is_announced_as_grouptextchat() {
    let now = Instant::now();
    let (mut printer, mut watcher) = (Printer::default(), Watcher::new(INTERVAL));
    watcher.update(now, &printer.revision(&empty_room()));
    let document = String::from_utf8(watcher.poll_document(now, &mut printer).unwrap()).unwrap();
    let chat = "<service-uris><entry><uri>xmpp:standup@rooms.example.com?join</uri><purpose>grouptextchat</purpose></entry></service-uris>";
    assert!(document.contains(chat), "{document}");
}

#[test]
fn s6_every_document_validates_against_the_schema() {
    let Some(folder) = specs("schema") else { return };
    let documents: Vec<Vec<u8>> = (100..108).flat_map(|seed| story(seed, 40)).collect();
    let place = std::env::temp_dir().join(format!("cusax-conference-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let mut xmllint = Command::new("xmllint");
    xmllint
        .args(["--nonet", "--noout", "--schema"])
        .arg(folder.join("conference-info.xsd"));
    for (index, document) in documents.iter().enumerate() {
        let file = place.join(format!("{index}.xml"));
        std::fs::write(&file, document).unwrap();
        xmllint.arg(file);
    }
    let done = xmllint.output();
    std::fs::remove_dir_all(&place).unwrap();
    match done {
        Err(missing) => eprintln!("skipped: xmllint can't be started: {missing}"),
        Ok(done) => assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr)),
    }
    assert!(documents.len() > 100);
}
