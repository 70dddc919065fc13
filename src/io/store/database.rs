//! What is kept, as SQL.

use std::{collections::BTreeMap, fs, io, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, named_params, params};

use super::{StoreError, schema};
use crate::model::{Affiliation, AudioAccess, BareJid, CallLimits, HistoryItem, RoomConfig, RoomName, RoomRecord, StoreOp, Whois};

/// How long a lock of somebody else (a backup) is waited for before it counts as a failure.
const BUSY_LIMIT: Duration = Duration::from_millis(500);

/// An open file.
#[derive(Debug)]
pub(super) struct Database(Connection);

/// Why a batch was not written.
#[derive(Debug)]
pub(super) enum BatchError {
    /// Nothing is wrong with the batch: the disk is full, or the file is locked. Nothing of it was written.
    Later(rusqlite::Error),
    /// This change can't be written, now or later.
    Never(usize, rusqlite::Error),
}

impl Database {
    /// Opens or creates a file, for its owner only: it holds room passwords and who is banned.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::File {
                    path: path.to_owned(),
                    source,
                });
            }
            Ok(_) | Err(_) => {}
        }
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_LIMIT)?;
        // The write-ahead log keeps writes short. A power cut may cost the last of them, never the file.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&mut connection)?;
        Ok(Self(connection))
    }

    /// Carries changes out in order, all or (on an error) none.
    pub(super) fn apply<'a>(&mut self, ops: impl Iterator<Item = &'a StoreOp>) -> Result<(), BatchError> {
        let transaction = self.0.transaction().map_err(BatchError::Later)?;
        for (number, op) in ops.enumerate() {
            apply(&transaction, op).map_err(|e| {
                if is_passing(&e) {
                    BatchError::Later(e)
                } else {
                    BatchError::Never(number, e)
                }
            })?;
        }
        transaction.commit().map_err(BatchError::Later)
    }

    /// Makes the disk as small as this.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, pages: u32) {
        self.0.pragma_update(None, "max_page_count", pages).expect("a pragma");
    }

    /// Everything that is kept, in order of name.
    pub(super) fn load(&self) -> Result<Vec<RoomRecord>, StoreError> {
        let mut statement = self.0.prepare("SELECT * FROM rooms ORDER BY name")?;
        let mut rows = statement.query([])?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(self.record(row)?);
        }
        Ok(records)
    }

    fn record(&self, row: &Row<'_>) -> Result<RoomRecord, StoreError> {
        let key: String = row.get("name")?;
        let corrupt = |what: &str, value: String| StoreError::Corrupt {
            room: key.clone(),
            what: what.to_owned(),
            value,
        };
        let whois: String = row.get("whois")?;
        let audio: String = row.get("audio")?;
        let config = RoomConfig {
            title: row.get("title")?,
            description: row.get("description")?,
            public: row.get("public")?,
            persistent: row.get("persistent")?,
            members_only: row.get("members_only")?,
            moderated: row.get("moderated")?,
            whois: WHOIS
                .iter()
                .find(|(_, w)| *w == whois)
                .map(|(v, _)| *v)
                .ok_or_else(|| corrupt("whois", whois))?,
            open_subject: row.get("open_subject")?,
            password: row.get("password")?,
            audio: AUDIO
                .iter()
                .find(|(_, a)| *a == audio)
                .map(|(v, _)| *v)
                .ok_or_else(|| corrupt("audio", audio))?,
            chat_voice_governs_audio: row.get("chat_voice_governs_audio")?,
            membership_governs_audio: row.get("membership_governs_audio")?,
            max_people: row.get("max_people")?,
            history_length: row.get("history_length")?,
            mixing_rate: row.get("mixing_rate")?,
            tones: row.get("tones")?,
            pin: row.get("pin")?,
            moderator_pin: row.get("moderator_pin")?,
            number: row.get("number")?,
            // The configuration's matter.
            keypad: None,
            lobby: row.get("lobby")?,
            lecture: row.get("lecture")?,
            wait_for_moderator: row.get("wait_for_moderator")?,
            limits: CallLimits {
                max_min: row.get("max_min")?,
                alone_min: row.get("alone_min")?,
                unmoderated_min: row.get("unmoderated_min")?,
            },
        };
        let mut affiliations = BTreeMap::new();
        for (jid, affiliation) in self.pairs::<String>("SELECT jid, affiliation FROM affiliations WHERE room = ?", &key)? {
            let affiliation = Affiliation::parse(&affiliation).ok_or_else(|| corrupt("affiliation", affiliation))?;
            affiliations.insert(BareJid::new(&jid).map_err(|_| corrupt("JID", jid))?, affiliation);
        }
        let mut voice = BTreeMap::new();
        for (jid, granted) in self.pairs::<bool>("SELECT jid, granted FROM voice WHERE room = ?", &key)? {
            voice.insert(BareJid::new(&jid).map_err(|_| corrupt("JID", jid))?, granted);
        }
        Ok(RoomRecord {
            name: RoomName::new(&key).map_err(|_| corrupt("name", key.clone()))?,
            config,
            locked_until_configured: row.get("locked_until_configured")?,
            from_config: row.get("from_config")?,
            affiliations,
            voice,
            subject: self.items("SELECT unix_ms, nick, stanza FROM subjects WHERE room = ?", &key)?.pop(),
            history: self.items("SELECT unix_ms, nick, stanza FROM history WHERE room = ? ORDER BY id", &key)?,
        })
    }

    fn pairs<T: rusqlite::types::FromSql>(&self, sql: &str, room: &str) -> rusqlite::Result<Vec<(String, T)>> {
        self.0
            .prepare(sql)?
            .query_map([room], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    fn items(&self, sql: &str, room: &str) -> rusqlite::Result<Vec<HistoryItem>> {
        let item = |row: &Row<'_>| {
            Ok(HistoryItem {
                unix_ms: row.get::<_, i64>(0)?.try_into().unwrap_or(0),
                nick: row.get(1)?,
                stanza: row.get(2)?,
            })
        };
        self.0.prepare(sql)?.query_map([room], item)?.collect()
    }
}

const WHOIS: [(Whois, &str); 2] = [(Whois::Moderators, "moderators"), (Whois::Anyone, "anyone")];

const AUDIO: [(AudioAccess, &str); 4] = [
    (AudioAccess::Off, "off"),
    (AudioAccess::Members, "members"),
    (AudioAccess::Pin, "pin"),
    (AudioAccess::Anyone, "anyone"),
];

/// Whether an error may pass without anything being done to the change.
fn is_passing(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        None | Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig | ErrorCode::ParameterOutOfRange)
    )
}

/// Carries one change out. What belongs to a room that isn't kept is kept nowhere.
fn apply(transaction: &Transaction<'_>, op: &StoreOp) -> rusqlite::Result<()> {
    match op {
        StoreOp::SaveRoom(record) => save_room(transaction, record),
        StoreOp::DeleteRoom(room) => execute(transaction, "DELETE FROM rooms WHERE name = ?1", params![room.as_str()]),
        StoreOp::SetAffiliation(room, jid, Affiliation::None) => execute(
            transaction,
            "DELETE FROM affiliations WHERE room = ?1 AND jid = ?2",
            params![room.as_str(), jid.as_str()],
        ),
        StoreOp::SetAffiliation(room, jid, affiliation) => execute(
            transaction,
            "INSERT OR REPLACE INTO affiliations SELECT name, ?2, ?3 FROM rooms WHERE name = ?1",
            params![room.as_str(), jid.as_str(), affiliation.as_str()],
        ),
        StoreOp::SetVoice(room, jid, None) => execute(
            transaction,
            "DELETE FROM voice WHERE room = ?1 AND jid = ?2",
            params![room.as_str(), jid.as_str()],
        ),
        StoreOp::SetVoice(room, jid, Some(granted)) => execute(
            transaction,
            "INSERT OR REPLACE INTO voice SELECT name, ?2, ?3 FROM rooms WHERE name = ?1",
            params![room.as_str(), jid.as_str(), granted],
        ),
        StoreOp::SetSubject(room, item) => execute(
            transaction,
            "INSERT OR REPLACE INTO subjects SELECT name, ?2, ?3, ?4 FROM rooms WHERE name = ?1",
            params![room.as_str(), unix_ms(item), item.nick, item.stanza],
        ),
        StoreOp::Append(room, item, length) => {
            execute(
                transaction,
                "INSERT INTO history (room, unix_ms, nick, stanza) SELECT name, ?2, ?3, ?4 FROM rooms WHERE name = ?1",
                params![room.as_str(), unix_ms(item), item.nick, item.stanza],
            )?;
            execute(
                transaction,
                "DELETE FROM history WHERE room = ?1 AND id <= (SELECT id FROM history WHERE room = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                params![room.as_str(), length],
            )
        }
    }
}

/// A new room is saved whole: its creator owns it from the start. Of a known one only the configuration is.
fn save_room(transaction: &Transaction<'_>, record: &RoomRecord) -> rusqlite::Result<()> {
    let room = record.name.as_str();
    let known = transaction
        .prepare("SELECT 1 FROM rooms WHERE name = ?")?
        .query_row([room], |_| Ok(()))
        .optional()?
        .is_some();
    let config = &record.config;
    transaction
        .prepare(
            "INSERT INTO rooms VALUES (:name, :locked_until_configured, :from_config, :title, :description, :public, :persistent,
                 :members_only, :moderated, :whois, :open_subject, :password, :audio, :chat_voice_governs_audio,
                 :membership_governs_audio, :max_people, :history_length, :mixing_rate, :tones, :lobby, :lecture, :wait_for_moderator,
                 :max_min, :alone_min, :unmoderated_min, :pin, :moderator_pin, :number)
             ON CONFLICT (name) DO UPDATE SET
                 locked_until_configured = :locked_until_configured, from_config = :from_config, title = :title,
                 description = :description, public = :public, persistent = :persistent, members_only = :members_only,
                 moderated = :moderated, whois = :whois, open_subject = :open_subject, password = :password, audio = :audio,
                 chat_voice_governs_audio = :chat_voice_governs_audio, membership_governs_audio = :membership_governs_audio,
                 max_people = :max_people, history_length = :history_length, mixing_rate = :mixing_rate,
                 tones = :tones, lobby = :lobby, lecture = :lecture, wait_for_moderator = :wait_for_moderator,
                 max_min = :max_min, alone_min = :alone_min, unmoderated_min = :unmoderated_min,
                 pin = :pin, moderator_pin = :moderator_pin, number = :number",
        )?
        .execute(named_params! {
            ":name": room,
            ":locked_until_configured": record.locked_until_configured,
            ":from_config": record.from_config,
            ":title": config.title,
            ":description": config.description,
            ":public": config.public,
            ":persistent": config.persistent,
            ":members_only": config.members_only,
            ":moderated": config.moderated,
            ":whois": WHOIS.iter().find(|(v, _)| *v == config.whois).map(|(_, w)| w),
            ":open_subject": config.open_subject,
            ":password": config.password,
            ":audio": AUDIO.iter().find(|(v, _)| *v == config.audio).map(|(_, a)| a),
            ":chat_voice_governs_audio": config.chat_voice_governs_audio,
            ":membership_governs_audio": config.membership_governs_audio,
            ":max_people": config.max_people,
            ":history_length": config.history_length,
            ":mixing_rate": config.mixing_rate,
            ":tones": config.tones,
            ":lobby": config.lobby,
            ":lecture": config.lecture,
            ":wait_for_moderator": config.wait_for_moderator,
            ":max_min": config.limits.max_min,
            ":alone_min": config.limits.alone_min,
            ":unmoderated_min": config.limits.unmoderated_min,
            ":pin": config.pin,
            ":moderator_pin": config.moderator_pin,
            ":number": config.number,
        })?;
    if known {
        return Ok(());
    }
    let name = &record.name;
    for (jid, affiliation) in &record.affiliations {
        apply(transaction, &StoreOp::SetAffiliation(name.clone(), jid.clone(), *affiliation))?;
    }
    for (jid, granted) in &record.voice {
        apply(transaction, &StoreOp::SetVoice(name.clone(), jid.clone(), Some(*granted)))?;
    }
    if let Some(subject) = &record.subject {
        apply(transaction, &StoreOp::SetSubject(name.clone(), subject.clone()))?;
    }
    for item in &record.history {
        apply(transaction, &StoreOp::Append(name.clone(), item.clone(), config.history_length))?;
    }
    Ok(())
}

fn execute(transaction: &Transaction<'_>, sql: &str, values: impl rusqlite::Params) -> rusqlite::Result<()> {
    transaction.prepare(sql)?.execute(values).map(|_| ())
}

/// SQLite's integers have a sign; the year 292 million is far enough.
fn unix_ms(item: &HistoryItem) -> i64 {
    item.unix_ms.try_into().unwrap_or(i64::MAX)
}
