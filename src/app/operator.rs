//! The operator's side of the control socket: asks a running server, and shows its answer as tables or JSON.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::model::control::{
    ControlReply, ControlRequest, DialReport, LegReport, PersonReport, RoomReply, RoomReport, RoomSummary, TrunkReport, WaitingReport,
};

/// A server that takes longer is stuck.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// A room of 10,000 people, with a kilobyte each.
const ANSWER_SIZE: u64 = 10 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// Nobody listens.
    #[error("no server answers at {path}: is it running, and is this its socket?")]
    NoServer {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke, or nothing came in time.
    #[error("the server did not answer")]
    NoAnswer(#[source] io::Error),
    /// What came is no answer.
    #[error("the server's answer can't be read; is it of this version?")]
    BadAnswer(#[source] serde_json::Error),
}

/// Asks the server behind a socket.
pub fn ask(socket: &Path, request: &ControlRequest) -> Result<ControlReply, OperatorError> {
    let mut stream = UnixStream::connect(socket).map_err(|source| OperatorError::NoServer {
        path: socket.to_owned(),
        source,
    })?;
    let mut exchange = || {
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        stream.write_all(line.as_bytes())?;
        let mut answer = String::new();
        BufReader::new(Read::take(&mut stream, ANSWER_SIZE)).read_line(&mut answer)?;
        if answer.is_empty() {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(answer)
        }
    };
    let answer = exchange().map_err(OperatorError::NoAnswer)?;
    serde_json::from_str(&answer).map_err(OperatorError::BadAnswer)
}

/// Whether the server did, or told, what was asked.
pub fn is_success(reply: &ControlReply) -> bool {
    match reply {
        ControlReply::Rooms { .. } | ControlReply::Stats { .. } | ControlReply::Draining { .. } | ControlReply::Trunks { .. } => true,
        ControlReply::Room { reply } => match reply {
            RoomReply::Show(_) | RoomReply::Done | RoomReply::Unchanged | RoomReply::Dialing { .. } => true,
            RoomReply::Refused { .. } | RoomReply::Failed { .. } => false,
        },
        ControlReply::Error { .. } => false,
    }
}

/// The answer as people read it, with a newline at its end.
pub fn render(reply: &ControlReply) -> String {
    match reply {
        ControlReply::Rooms { rooms } => table(&["room", "title", "chat", "calls", "sip", "xmpp"], rooms.iter().map(room_row)),
        ControlReply::Stats { counters } => table(
            &["counter", "value"],
            counters.iter().map(|(name, n)| vec![name.clone(), n.to_string()]),
        ),
        ControlReply::Draining { on: true } => "no new calls are taken; the server ends when the last one is over\n".into(),
        ControlReply::Draining { on: false } => "new calls are taken\n".into(),
        ControlReply::Trunks { trunks } => table(
            &["trunk", "server", "registration", "state", "for"],
            trunks.iter().map(|trunk| trunk_row(trunk, unix_ms())),
        ),
        ControlReply::Room { reply } => match reply {
            RoomReply::Show(report) => show(report),
            RoomReply::Done => "done\n".into(),
            RoomReply::Unchanged => "it was so already\n".into(),
            RoomReply::Dialing { dial } => format!("calling, as #d{dial}\n"),
            RoomReply::Refused { message } => format!("refused: {}\n", clean(message)),
            RoomReply::Failed { message } => format!("failed: {}\n", clean(message)),
        },
        ControlReply::Error { message } => format!("{}\n", clean(message)),
    }
}

fn trunk_row(trunk: &TrunkReport, now_ms: u64) -> Vec<String> {
    let shown = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), clean);
    vec![
        clean(&trunk.name),
        shown(&trunk.server),
        shown(&trunk.registration),
        shown(&trunk.state),
        age(now_ms.saturating_sub(trunk.since_unix_ms)),
    ]
}

fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A time span in the largest unit of which there are two.
fn age(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn room_row(room: &RoomSummary) -> Vec<String> {
    let sip = room.sip.clone().unwrap_or_else(|| "-".into());
    vec![
        room.name.clone(),
        room.title.clone(),
        room.occupants.to_string(),
        room.legs.to_string(),
        sip,
        room.xmpp.clone(),
    ]
}

fn show(report: &RoomReport) -> String {
    let lock = if report.locked { ", locked" } else { "" };
    let recorded = match (&report.recording_file, report.recording) {
        (Some(file), true) => format!(", recorded into {}", clean(file)),
        (None, true) => ", recorded".to_owned(),
        (_, false) => String::new(),
    };
    let title = if report.title.is_empty() {
        String::new()
    } else {
        format!(" ({})", clean(&report.title))
    };
    let people = table(
        &[
            "row", "name", "text", "audio", "role", "standing", "nicks", "calls", "mos", "muted by",
        ],
        report.people.iter().map(person_row),
    );
    let calls = if report.dials.is_empty() {
        String::new()
    } else {
        table(&["call", "name", "state", "why"], report.dials.iter().map(dial_row))
    };
    let (name, count) = (clean(&report.name), report.people.len());
    let waiting = if report.waiting.is_empty() {
        String::new()
    } else {
        let row = |w: &WaitingReport| vec![format!("#{}", w.row), w.name.clone(), w.door.clone(), w.waits_for.clone()];
        let table = table(&["row", "waiting", "at", "for"], report.waiting.iter().map(row));
        format!("{} waiting to be let in\n{table}", report.waiting.len())
    };
    format!("{name}{title}{lock}{recorded}: {count} people\n{people}{waiting}{calls}")
}

fn dial_row(dial: &DialReport) -> Vec<String> {
    vec![
        format!("#d{}", dial.dial),
        dial.name.clone(),
        dial.state.clone(),
        dial.why.clone().unwrap_or_else(|| "-".into()),
    ]
}

fn person_row(person: &PersonReport) -> Vec<String> {
    let speaking = if person.speaking { ", speaking" } else { "" };
    let hand = if person.hand_raised { ", hand raised" } else { "" };
    vec![
        format!("#{}", person.row),
        person.name.clone(),
        person.text.clone(),
        format!("{}{speaking}{hand}", person.audio),
        person.role.clone(),
        person.affiliation.clone(),
        person.nicks.join(", "),
        person.legs.len().to_string(),
        worst_mos(&person.legs),
        person.muted_by.join(", "),
    ]
}

/// How the room hears the worst of somebody's calls.
fn worst_mos(legs: &[LegReport]) -> String {
    let scores = legs.iter().filter_map(|leg| leg.voice?.mos);
    scores.reduce(f32::min).map_or_else(|| "-".into(), |mos| format!("{mos:.1}"))
}

/// Columns as wide as their widest cell.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut lines: Vec<Vec<String>> = vec![header.iter().map(|h| (*h).to_owned()).collect()];
    lines.extend(rows.map(|row| row.iter().map(|cell| clean(cell)).collect()));
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Names come from the network; a terminal must not obey them.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LegStats;
    use std::os::unix::net::UnixListener;

    #[test]
    fn trunks_are_shown_with_how_long_they_stand_so() {
        let trunk = TrunkReport {
            name: "telco".into(),
            server: Some("sip:sip.telco.example".into()),
            registration: Some("refused: 403 Forbidden".into()),
            state: None,
            since_unix_ms: 1_000,
        };
        for (ms, expected) in [(120_999, "119 s"), (121_000, "2 min"), (7_201_000, "2 h"), (172_801_000, "2 d")] {
            let row = trunk_row(&trunk, ms);
            assert_eq!(row, ["telco", "sip:sip.telco.example", "refused: 403 Forbidden", "-", expected]);
        }
    }

    fn person() -> PersonReport {
        PersonReport {
            row: 3,
            name: "Ann\u{1b}[2J".into(),
            text: "two-way".into(),
            audio: "muted-host".into(),
            muted_by: vec!["bob".into()],
            speaking: false,
            hand_raised: false,
            role: "participant".into(),
            affiliation: "none".into(),
            nicks: vec!["ann".into()],
            legs: vec![LegReport {
                leg: 1,
                state: "up".into(),
                joined_unix_ms: 0,
                correlation: "c".into(),
                voice: Some(LegStats {
                    mos: Some(4.3),
                    ..LegStats::default()
                }),
            }],
        }
    }

    fn shown() -> ControlReply {
        let report = RoomReport {
            name: "standup".into(),
            title: "Daily".into(),
            locked: true,
            recording: true,
            recording_by: Some("bob".into()),
            recording_since_unix_ms: Some(0),
            recording_file: Some("/rec/standup.ogg".into()),
            people: vec![person()],
            waiting: Vec::new(),
            dials: Vec::new(),
        };
        ControlReply::Room {
            reply: RoomReply::Show(report),
        }
    }

    #[test]
    fn a_room_is_shown_as_a_table_that_no_name_can_break() {
        let expected = "standup (Daily), locked, recorded into /rec/standup.ogg: 1 people\n\
                        row  name     text     audio       role         standing  nicks  calls  mos  muted by\n\
                        #3   Ann\u{fffd}[2J  two-way  muted-host  participant  none      ann    1      4.3  bob\n";
        assert_eq!(render(&shown()), expected);
    }

    #[test]
    fn a_refusal_is_no_success() {
        let refused = ControlReply::Room {
            reply: RoomReply::Refused {
                message: "they outrank you".into(),
            },
        };
        assert!(!is_success(&refused));
        assert_eq!(render(&refused), "refused: they outrank you\n");
        assert!(is_success(&shown()));
    }

    #[test]
    fn questions_and_answers_are_one_line_each() {
        let socket = std::env::temp_dir().join(format!("cusax-operator-{}", std::process::id()));
        let listener = UnixListener::bind(&socket).expect("a free path");
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).expect("a question");
            let answer = serde_json::to_string(&shown()).expect("plain data") + "\n";
            (&stream).write_all(answer.as_bytes()).expect("writable");
            line
        });
        let reply = ask(&socket, &ControlRequest::List);
        std::fs::remove_file(&socket).expect("removable");
        assert_eq!(reply.expect("an answer"), shown());
        assert_eq!(server.join().expect("no panic"), "{\"do\":\"list\"}\n");
    }

    #[test]
    fn without_a_server_the_socket_is_named() {
        let error = ask(Path::new("/nonexistent/socket"), &ControlRequest::Stats).expect_err("nobody listens");
        assert!(error.to_string().contains("/nonexistent/socket"), "{error}");
    }
}
