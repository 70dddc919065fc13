//! `cusax room dial` and its patience: asks the room how the call goes until it is answered or came to nothing.

use std::{path::Path, thread, time::Duration};

use super::operator::{OperatorError, ask};
use crate::model::control::{ControlReply, ControlRequest, RoomCommand, RoomReply};

/// How often the room is asked.
const EVERY: Duration = Duration::from_millis(200);

/// Waits until a call of a room is answered or came to nothing, and says which.
pub fn follow(socket: &Path, room: &str, dial: u32) -> Result<ControlReply, OperatorError> {
    let show = ControlRequest::Room {
        room: room.to_owned(),
        command: RoomCommand::Show,
    };
    loop {
        let reply = ask(socket, &show)?;
        let ControlReply::Room {
            reply: RoomReply::Show(report),
        } = reply
        else {
            return Ok(reply);
        };
        let outcome = match report.dials.into_iter().find(|d| d.dial == dial) {
            // Whoever answers is one of the people.
            None => Some(RoomReply::Done),
            Some(call) => call.why.map(|message| RoomReply::Failed { message }),
        };
        if let Some(reply) = outcome {
            return Ok(ControlReply::Room { reply });
        }
        thread::sleep(EVERY);
    }
}
