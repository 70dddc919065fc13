//! The tables, and how older files get them.

use rusqlite::Connection;

use super::StoreError;

/// One step each, never changed once released: `PRAGMA user_version` counts those that a file has been through.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE rooms (
        name TEXT PRIMARY KEY,
        locked_until_configured INTEGER NOT NULL,
        from_config INTEGER NOT NULL,
        title TEXT NOT NULL,
        description TEXT NOT NULL,
        public INTEGER NOT NULL,
        persistent INTEGER NOT NULL,
        members_only INTEGER NOT NULL,
        moderated INTEGER NOT NULL,
        whois TEXT NOT NULL,
        open_subject INTEGER NOT NULL,
        password TEXT,
        audio TEXT NOT NULL,
        chat_voice_governs_audio INTEGER NOT NULL,
        membership_governs_audio INTEGER NOT NULL,
        max_people INTEGER NOT NULL,
        history_length INTEGER NOT NULL,
        mixing_rate INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE affiliations (
        room TEXT NOT NULL REFERENCES rooms ON DELETE CASCADE,
        jid TEXT NOT NULL,
        affiliation TEXT NOT NULL,
        PRIMARY KEY (room, jid)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE voice (
        room TEXT NOT NULL REFERENCES rooms ON DELETE CASCADE,
        jid TEXT NOT NULL,
        granted INTEGER NOT NULL,
        PRIMARY KEY (room, jid)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE subjects (
        room TEXT PRIMARY KEY REFERENCES rooms ON DELETE CASCADE,
        unix_ms INTEGER NOT NULL,
        nick TEXT NOT NULL,
        stanza TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE history (
        id INTEGER PRIMARY KEY,
        room TEXT NOT NULL REFERENCES rooms ON DELETE CASCADE,
        unix_ms INTEGER NOT NULL,
        nick TEXT NOT NULL,
        stanza TEXT NOT NULL
    ) STRICT;
    CREATE INDEX history_of_room ON history (room, id);
",
    "
    ALTER TABLE rooms ADD COLUMN tones INTEGER NOT NULL DEFAULT 0;
",
    "
    ALTER TABLE rooms ADD COLUMN lobby INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rooms ADD COLUMN lecture INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rooms ADD COLUMN wait_for_moderator INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rooms ADD COLUMN max_min INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rooms ADD COLUMN alone_min INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rooms ADD COLUMN unmoderated_min INTEGER NOT NULL DEFAULT 0;
",
    "
    ALTER TABLE rooms ADD COLUMN pin TEXT;
    ALTER TABLE rooms ADD COLUMN moderator_pin TEXT;
    ALTER TABLE rooms ADD COLUMN number TEXT;
",
];

/// Brings a file up to date.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let mut version = 0;
    for step in MIGRATIONS {
        version += 1;
        if version > found {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
    }
    if found > version {
        Err(StoreError::Newer { found, known: version })
    } else {
        Ok(())
    }
}
