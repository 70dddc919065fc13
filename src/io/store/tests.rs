//! Files are real, in a temporary folder each.

use std::{collections::BTreeMap, fs, sync::mpsc as std_mpsc};

use rusqlite::Connection;

use super::*;
use crate::model::{Affiliation, AudioAccess, BareJid, CallLimits, HistoryItem, RoomConfig, RoomName, Whois};

/// Longer than anything here takes, on a machine that is busy building.
const LIMIT: Duration = Duration::from_secs(20);

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let path = std::env::temp_dir().join(format!("cusax-store-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed)));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("rooms.sqlite")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path) -> (Store, Vec<RoomRecord>) {
    Store::open(path, |trouble| panic!("{trouble:?}")).expect("a usable file")
}

fn reopened(path: &Path) -> Vec<RoomRecord> {
    Database::open(path).and_then(|d| d.load()).expect("a usable file")
}

async fn flush(store: &Store) {
    assert!(store.flush(LIMIT).await, "not on disk in time");
}

fn name(name: &str) -> RoomName {
    RoomName::new(name).expect("a room's name")
}

fn jid(jid: &str) -> BareJid {
    BareJid::new(jid).expect("a JID")
}

fn item(number: u64) -> HistoryItem {
    HistoryItem {
        unix_ms: 1_700_000_000_000 + number,
        nick: format!("ann {number} 🎤"),
        stanza: format!("<message xmlns='jabber:client' id='{number}'/>"),
    }
}

fn blank(room: &str) -> RoomRecord {
    RoomRecord {
        name: name(room),
        config: RoomConfig::default(),
        locked_until_configured: false,
        from_config: false,
        affiliations: BTreeMap::new(),
        voice: BTreeMap::new(),
        subject: None,
        history: Vec::new(),
    }
}

/// Every value differs from its default.
fn full(room: &str) -> RoomRecord {
    RoomRecord {
        config: RoomConfig {
            title: "Blau".into(),
            description: "'; DROP TABLE rooms; --".into(),
            public: false,
            persistent: true,
            members_only: true,
            moderated: true,
            whois: Whois::Anyone,
            open_subject: true,
            password: Some("pass".into()),
            audio: AudioAccess::Pin,
            chat_voice_governs_audio: false,
            membership_governs_audio: true,
            max_people: 7,
            history_length: 3,
            mixing_rate: 48_000,
            tones: true,
            pin: Some("123456".into()),
            moderator_pin: Some("654321".into()),
            number: Some("4711".into()),
            keypad: None,
            lobby: true,
            lecture: true,
            wait_for_moderator: true,
            limits: CallLimits {
                max_min: 90,
                alone_min: 5,
                unmoderated_min: 10,
            },
        },
        locked_until_configured: true,
        from_config: true,
        affiliations: BTreeMap::from([
            (jid("ann@a.example"), Affiliation::Owner),
            (jid("bob@a.example"), Affiliation::Outcast),
        ]),
        voice: BTreeMap::from([(jid("bob@a.example"), false), (jid("eve@a.example"), true)]),
        subject: Some(item(9)),
        history: vec![item(1), item(2)],
        ..blank(room)
    }
}

#[tokio::test]
async fn a_new_room_is_kept_whole() {
    let folder = Folder::new();
    let (store, records) = open(&folder.file());
    assert_eq!(records, []);
    let rooms = [full("blue"), blank("gröen")];
    for record in &rooms {
        store.store(StoreOp::SaveRoom(Box::new(record.clone())));
    }
    flush(&store).await;
    assert_eq!(reopened(&folder.file()), rooms);
}

#[tokio::test]
async fn every_change_is_kept() {
    let folder = Folder::new();
    let (store, _) = open(&folder.file());
    let blue = name("blue");
    let mut expected = full("blue");
    store.store(StoreOp::SaveRoom(Box::new(expected.clone())));
    store.store(StoreOp::SaveRoom(Box::new(full("gone"))));

    expected.config = RoomConfig {
        audio: AudioAccess::Members,
        ..RoomConfig::default()
    };
    expected.locked_until_configured = false;
    let changed = RoomRecord {
        config: expected.config.clone(),
        from_config: true,
        ..blank("blue")
    };
    store.store(StoreOp::SaveRoom(Box::new(changed)));
    for (who, affiliation) in [
        ("bob", Affiliation::None),
        ("ann", Affiliation::Admin),
        ("eve", Affiliation::Member),
    ] {
        let who = jid(&format!("{who}@a.example"));
        store.store(StoreOp::SetAffiliation(blue.clone(), who.clone(), affiliation));
        expected.affiliations.insert(who, affiliation);
    }
    expected.affiliations.remove(&jid("bob@a.example"));
    for (who, voice) in [("bob", None), ("eve", Some(false)), ("joe", Some(true))] {
        let who = jid(&format!("{who}@a.example"));
        store.store(StoreOp::SetVoice(blue.clone(), who.clone(), voice));
        expected.voice.remove(&who);
        if let Some(voice) = voice {
            expected.voice.insert(who, voice);
        }
    }
    store.store(StoreOp::SetSubject(blue.clone(), item(10)));
    expected.subject = Some(item(10));
    for n in 3..8 {
        store.store(StoreOp::Append(blue.clone(), item(n), 4));
    }
    expected.history = (4..8).map(item).collect();
    store.store(StoreOp::DeleteRoom(name("gone")));
    flush(&store).await;
    assert_eq!(reopened(&folder.file()), [expected]);
    let connection = Connection::open(folder.file()).expect("opened");
    for table in ["affiliations", "voice", "subjects", "history"] {
        let count = connection.query_row(&format!("SELECT count(*) FROM {table} WHERE room = 'gone'"), [], |row| row.get(0));
        assert_eq!(count, Ok(0), "what belongs to a room goes with it: {table}");
    }
}

#[tokio::test]
async fn history_is_cut_to_its_length_per_room() {
    let folder = Folder::new();
    let (store, _) = open(&folder.file());
    for room in ["blue", "red"] {
        store.store(StoreOp::SaveRoom(Box::new(blank(room))));
    }
    for n in 0..100 {
        store.store(StoreOp::Append(name("blue"), item(n), 20));
        store.store(StoreOp::Append(name("red"), item(n), if n == 99 { 0 } else { 5 }));
    }
    flush(&store).await;
    let records = reopened(&folder.file());
    assert_eq!(records[0].history, (80..100).map(item).collect::<Vec<_>>());
    assert_eq!(records[1].history, [], "no history is wanted");
}

#[tokio::test]
async fn what_belongs_to_no_kept_room_is_no_trouble() {
    let folder = Folder::new();
    let (store, _) = open(&folder.file());
    store.store(StoreOp::SetAffiliation(name("temp"), jid("ann@a.example"), Affiliation::Owner));
    store.store(StoreOp::SetVoice(name("temp"), jid("ann@a.example"), Some(true)));
    store.store(StoreOp::SetSubject(name("temp"), item(1)));
    store.store(StoreOp::Append(name("temp"), item(1), 5));
    store.store(StoreOp::DeleteRoom(name("temp")));
    flush(&store).await;
    assert_eq!(reopened(&folder.file()), []);
}

#[tokio::test]
async fn a_killed_process_leaves_all_that_was_flushed() {
    let folder = Folder::new();
    let (store, _) = open(&folder.file());
    store.store(StoreOp::SaveRoom(Box::new(full("blue"))));
    flush(&store).await;
    // What a kill leaves behind: the files as they are, with nobody to close them.
    let left = Folder::new();
    for file in fs::read_dir(&folder.0).expect("listed") {
        let file = file.expect("listed");
        if !file.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(file.path(), left.0.join(file.file_name())).expect("copied");
        }
    }
    assert!(left.0.join("rooms.sqlite-wal").exists(), "the last changes are in the log only");
    let (again, records) = open(&left.file());
    assert_eq!(records, [full("blue")]);
    again.store(StoreOp::DeleteRoom(name("blue")));
    flush(&again).await;
    assert_eq!(reopened(&left.file()), []);
}

#[tokio::test]
async fn a_locked_file_is_told_and_tried_again() {
    let folder = Folder::new();
    let (tell, told) = std_mpsc::channel();
    let (store, _) = Store::open(&folder.file(), move |t| tell.send(t).expect("the test listens")).expect("a usable file");
    let other = Connection::open(folder.file()).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    store.store(StoreOp::SaveRoom(Box::new(full("blue"))));
    assert!(matches!(told.recv_timeout(LIMIT), Ok(Trouble::Failing(why)) if why.contains("locked")));
    assert!(!store.flush(Duration::from_millis(10)).await, "nothing is on disk yet");
    store.store(StoreOp::Append(name("blue"), item(3), 3));
    other.execute_batch("COMMIT").expect("unlocked");
    flush(&store).await;
    assert_eq!(told.recv_timeout(LIMIT), Ok(Trouble::Recovered));
    assert_eq!(
        reopened(&folder.file())[0].history,
        [item(1), item(2), item(3)],
        "in order, and nothing is lost"
    );
}

#[test]
fn a_full_disk_costs_no_change_once_there_is_room() {
    let folder = Folder::new();
    let mut database = Database::open(&folder.file()).expect("a usable file");
    database.limit_pages(20);
    let long = HistoryItem {
        stanza: "x".repeat(100_000),
        ..item(1)
    };
    let ops = [StoreOp::SaveRoom(Box::new(full("blue"))), StoreOp::Append(name("blue"), long, 3)];
    assert!(matches!(database.apply(ops.iter()), Err(BatchError::Later(e)) if e.to_string().contains("full")));
    assert_eq!(reopened(&folder.file()), [], "all or nothing");
    database.limit_pages(10_000);
    assert!(database.apply(ops.iter()).is_ok());
    assert_eq!(reopened(&folder.file())[0].history.len(), 3);
}

#[test]
fn more_than_the_disk_takes_is_lost_and_told() {
    let folder = Folder::new();
    let (tell, told) = std_mpsc::channel();
    let (store, _) = Store::open(&folder.file(), move |t| tell.send(t).expect("the test listens")).expect("a usable file");
    let other = Connection::open(folder.file()).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let long = HistoryItem {
        stanza: "x".repeat(1024 * 1024),
        ..item(1)
    };
    store.store(StoreOp::SetSubject(name("blue"), item(1)));
    assert!(matches!(told.recv_timeout(LIMIT), Ok(Trouble::Failing(_))));
    for _ in 0..70 {
        store.store(StoreOp::SetSubject(name("blue"), long.clone()));
    }
    other.execute_batch("COMMIT").expect("unlocked");
    assert_eq!(told.recv_timeout(LIMIT), Ok(Trouble::Recovered));
    assert_eq!(told.recv_timeout(LIMIT), Ok(Trouble::Overflow(7)));
}

#[test]
fn a_file_that_is_not_ours_is_named() {
    let folder = Folder::new();
    fs::write(folder.0.join("file"), "in the way").expect("written");
    let blocked = folder.0.join("file").join("rooms.sqlite");
    let error = Store::open(&blocked, |_| {}).expect_err("no folder can be there").to_string();
    assert!(error.contains("file/rooms.sqlite"), "{error}");
    drop(open(&folder.0.join("missing").join("rooms.sqlite")));

    fs::write(folder.file(), "not a database, but long enough to be read as one".repeat(50)).expect("written");
    let error = Store::open(&folder.file(), |_| {}).expect_err("not a database").to_string();
    assert!(error.contains("not a database"), "{error}");

    fs::remove_file(folder.file()).expect("removed");
    drop(open(&folder.file()));
    Connection::open(folder.file())
        .and_then(|c| c.pragma_update(None, "user_version", 99))
        .expect("changed");
    let error = Store::open(&folder.file(), |_| {}).expect_err("from the future");
    assert!(matches!(error, StoreError::Newer { found: 99, known: 4 }), "{error}");
}

#[test]
fn a_file_of_an_earlier_release_is_brought_up_to_date() {
    let folder = Folder::new();
    let mut database = Database::open(&folder.file()).expect("a usable file");
    database.apply([StoreOp::SaveRoom(Box::new(full("blue")))].iter()).expect("written");
    drop(database);
    Connection::open(folder.file())
        .and_then(|c| {
            for column in [
                "tones",
                "lobby",
                "lecture",
                "wait_for_moderator",
                "max_min",
                "alone_min",
                "unmoderated_min",
                "pin",
                "moderator_pin",
                "number",
            ] {
                c.execute_batch(&format!("ALTER TABLE rooms DROP COLUMN {column}"))?;
            }
            c.pragma_update(None, "user_version", 1)
        })
        .expect("changed");
    let rooms = Database::open(&folder.file()).and_then(|d| d.load()).expect("up to date");
    let mut expected = full("blue");
    expected.config = RoomConfig {
        tones: false,
        lobby: false,
        lecture: false,
        wait_for_moderator: false,
        limits: CallLimits::default(),
        pin: None,
        moderator_pin: None,
        number: None,
        ..expected.config
    };
    assert_eq!(rooms, [expected]);
}

#[test]
fn a_value_that_is_not_ours_is_named() {
    let folder = Folder::new();
    let mut database = Database::open(&folder.file()).expect("a usable file");
    database.apply([StoreOp::SaveRoom(Box::new(full("blue")))].iter()).expect("written");
    Connection::open(folder.file())
        .and_then(|c| c.execute("UPDATE affiliations SET affiliation = 'king'", []))
        .expect("changed");
    let error = database.load().expect_err("no such affiliation").to_string();
    assert!(error.contains("king") && error.contains("blue"), "{error}");
}

#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    drop(Database::open(&folder.file()).expect("a usable file"));
    let mode = fs::metadata(folder.file()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
