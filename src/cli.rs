//! What was typed. Says nothing about how it is carried out.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::model::control::{ControlRequest, RoomCommand};

/// One meeting room with two doors: a SIP conference and an XMPP chat room.
#[derive(Debug, Parser)]
#[command(name = "cusax", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server
    Serve {
        /// The configuration
        #[arg(long, value_name = "FILE", default_value = "/etc/cusax/cusax.toml")]
        config: PathBuf,
    },
    /// Read a configuration; tell all that is wrong with it, or how many calls it can hold
    CheckConfig {
        /// The configuration
        #[arg(value_name = "FILE")]
        config: PathBuf,
    },
    /// Show a whole installation on this machine: a chat server, a room, a bot that plays; for you to join
    Demo(DemoArgs),
    /// Print every key of the configuration with its meaning and default
    ConfigReference,
    /// Look at the rooms of a running server, and moderate them
    #[command(subcommand)]
    Room(RoomArgs),
    /// Look at the trunks of a running server
    #[command(subcommand)]
    Trunk(TrunkArgs),
    /// Show the counters of a running server, from its start
    Stats(Connection),
    /// Let a running server take no new calls, and end when its last one is over
    Drain {
        /// Take new calls again
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

/// How the demo is run.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DemoArgs {
    /// Play a scripted phone and a scripted chat user instead, and succeed only if all they do works within so many seconds
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Where configuration, data and logs go and stay [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Where the mix is recorded
    #[arg(long, value_name = "FILE", default_value = "out.wav")]
    pub out: PathBuf,
    /// Ask nothing: for the script `demo`, which installs what is missing
    #[arg(long)]
    pub yes: bool,
}

/// How a running server is asked, and how its answer is shown.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Connection {
    /// The server's control socket
    #[arg(long, value_name = "PATH", default_value = "/run/cusax/control.sock")]
    pub socket: PathBuf,
    /// Show the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// One room and, for most commands, somebody in it.
#[derive(Debug, PartialEq, Eq, Args)]
pub struct Whom {
    /// The room's name
    pub room: String,
    /// A nick or a name, as `room show` has it, or the number of a row, for a shell in quotes: '#3'
    pub who: String,
    #[command(flatten)]
    connection: Connection,
}

/// What to do with rooms.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum RoomArgs {
    /// List the rooms
    List(Connection),
    /// Show everybody in a room
    Show {
        /// The room's name
        room: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Silence somebody's voice; they go on hearing
    Mute(Whom),
    /// Give somebody's voice back, whichever moderator took it
    Unmute(Whom),
    /// Put somebody out by both doors; for a minute they don't come back (`kick_quarantine_s`)
    Kick {
        #[command(flatten)]
        whom: Whom,
        /// Said to them
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Let somebody in who waits in the lobby or for a moderator
    Admit(Whom),
    /// Silence everybody on the phone but moderators
    MuteAll {
        /// The room's name
        room: String,
        /// Take back what moderators have muted
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// End all calls of a room; the chat goes on
    End {
        /// The room's name
        room: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Let nobody new enter, by either door, until `--off` or a restart
    Lock {
        /// The room's name
        room: String,
        /// Let people enter again
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Record the call, until `--off` or the last caller hangs up; everybody in the room is told
    Record {
        /// The room's name
        room: String,
        /// End the recording
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Play a file to everybody who is in a room by phone
    Play {
        /// The room's name
        room: String,
        /// A WAV file: one channel, 16 bits, 8000, 16000 or 48000 Hz
        file: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
    /// Call somebody, who comes into the room when they answer; wait until they do
    Dial(DialArgs),
}

/// What `room dial` is told.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DialArgs {
    /// The room's name
    pub room: String,
    /// A telephone number or a SIP address
    pub target: String,
    /// What they are called in the room
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The call may leave our own domain and cost money
    #[arg(long)]
    pub confirm_cost: bool,
    /// Don't wait for their answer
    #[arg(long)]
    pub no_wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What to do with trunks.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum TrunkArgs {
    /// List the trunks, whether we are registered with them, and whether they answer
    List(Connection),
}

impl TrunkArgs {
    /// The request for the server, and how to make it.
    pub fn into_request(self) -> (ControlRequest, Connection) {
        match self {
            Self::List(connection) => (ControlRequest::Trunks, connection),
        }
    }
}

impl RoomArgs {
    /// The request for the server, and how to make it.
    pub fn into_request(self) -> (ControlRequest, Connection) {
        let about = |room, command, connection| (ControlRequest::Room { room, command }, connection);
        match self {
            Self::List(connection) => (ControlRequest::List, connection),
            Self::Show { room, connection } => about(room, RoomCommand::Show, connection),
            Self::Mute(Whom { room, who, connection }) => about(room, RoomCommand::Mute { who }, connection),
            Self::Unmute(Whom { room, who, connection }) => about(room, RoomCommand::Unmute { who }, connection),
            Self::Kick {
                whom: Whom { room, who, connection },
                why,
            } => about(room, RoomCommand::Kick { who, why }, connection),
            Self::Admit(Whom { room, who, connection }) => about(room, RoomCommand::Admit { who }, connection),
            Self::MuteAll { room, off, connection } => about(room, RoomCommand::MuteAll { on: !off }, connection),
            Self::End { room, connection } => about(room, RoomCommand::End, connection),
            Self::Record { room, off, connection } => about(room, RoomCommand::Record { on: !off }, connection),
            Self::Play { room, file, connection } => {
                // The server has another working directory.
                let file = std::path::absolute(&file).unwrap_or(file);
                (ControlRequest::Play { room, file }, connection)
            }
            Self::Dial(args) => {
                let command = RoomCommand::Dial {
                    target: args.target,
                    name: args.name,
                    confirmed: args.confirm_cost,
                };
                about(args.room, command, args.connection)
            }
            Self::Lock { room, off, connection } => about(room, RoomCommand::Lock { on: !off }, connection),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
    }

    fn request(line: &str) -> (ControlRequest, Connection) {
        match typed(line) {
            Ok(Command::Room(args)) => args.into_request(),
            other => panic!("{line} is no room command: {other:?}"),
        }
    }

    #[test]
    fn clap_finds_no_contradiction() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn room_commands_become_requests() {
        let (asked, connection) = request("cusax room kick standup ann --why noise --socket /tmp/s --json");
        assert_eq!(
            asked,
            ControlRequest::Room {
                room: "standup".into(),
                command: RoomCommand::Kick {
                    who: "ann".into(),
                    why: Some("noise".into())
                }
            }
        );
        assert_eq!(
            connection,
            Connection {
                socket: "/tmp/s".into(),
                json: true
            }
        );
        let lock = |on| ControlRequest::Room {
            room: "standup".into(),
            command: RoomCommand::Lock { on },
        };
        assert_eq!(request("cusax room lock standup").0, lock(true));
        assert_eq!(request("cusax room lock standup --off").0, lock(false));
        let record = |on| ControlRequest::Room {
            room: "standup".into(),
            command: RoomCommand::Record { on },
        };
        assert_eq!(request("cusax room record standup").0, record(true));
        assert_eq!(request("cusax room record standup --off").0, record(false));
        let about = |command| ControlRequest::Room {
            room: "standup".into(),
            command,
        };
        assert_eq!(
            request("cusax room admit standup zoe").0,
            about(RoomCommand::Admit { who: "zoe".into() })
        );
        assert_eq!(request("cusax room mute-all standup").0, about(RoomCommand::MuteAll { on: true }));
        assert_eq!(
            request("cusax room mute-all standup --off").0,
            about(RoomCommand::MuteAll { on: false })
        );
        assert_eq!(request("cusax room end standup").0, about(RoomCommand::End));
        assert_eq!(request("cusax room list").0, ControlRequest::List);
        assert_eq!(
            request("cusax room dial standup +4930123 --name Bob --confirm-cost").0,
            ControlRequest::Room {
                room: "standup".into(),
                command: RoomCommand::Dial {
                    target: "+4930123".into(),
                    name: Some("Bob".into()),
                    confirmed: true
                }
            }
        );
    }

    #[test]
    fn what_is_missing_is_told() {
        assert!(typed("cusax room mute standup").is_err());
        assert!(typed("cusax check-config").is_err());
        assert!(typed("cusax").is_err());
    }
}
