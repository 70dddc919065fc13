//! What can be read of a message that can't be used, to say no to its sender. Decides nothing about messages that can.

use super::{
    headers::Headers,
    lex::is_token,
    message::{Response, reason_phrase},
    name::Name,
    parse::{MAX_HEADERS, Malformed, Why, read_fields, split_line},
    typed::Via,
};

/// Reads once more, skipping what can't be read, to say no to the sender.
pub(crate) fn malformed(head: &[u8], why: Why) -> Malformed {
    let reply = salvage(head, &why).map(Box::new);
    Malformed { why, reply }
}

fn salvage(head: &[u8], why: &Why) -> Option<Response> {
    let (start_line, _) = split_line(head);
    let method = start_line.split(|b| *b == b' ' || *b == b'\t').next()?;
    if method == b"ACK" || method.is_empty() || !method.iter().all(|b| is_token(*b)) || start_line.starts_with(b"SIP/") {
        return None;
    }
    let mut headers = Headers::new();
    let found = lenient_headers(head);
    for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
        headers.copy(name, &found);
    }
    repair_via(&mut headers)?;
    let status = why.status();
    // The sender, or whoever reads its trace, learns which part is wrong (RFC 3261 section 21.4.1).
    let reason = if status == 400 {
        format!("Bad Request: {why}")
    } else {
        reason_phrase(status).to_owned()
    };
    Some(Response {
        status,
        reason,
        headers,
        body: Vec::new(),
    })
}

/// Makes the topmost `Via` one that an answer can be sent by: what can't be read of its parameters is left out.
fn repair_via(headers: &mut Headers) -> Option<()> {
    if headers.top_via().is_err() {
        let via = Via::read_start(headers.first(Name::Via)?)?;
        headers.remove(Name::Via);
        headers.insert_front(Name::Via, via);
    }
    Some(())
}

/// Every header field of a head that can be read.
pub(crate) fn lenient_headers(head: &[u8]) -> Headers {
    let (_, lines) = split_line(head);
    let mut headers = Headers::new();
    let all = read_fields(lines, |field| {
        match field {
            Ok((name, value, folds)) if headers.len() < MAX_HEADERS => headers.push_parsed(name, value, folds),
            Ok(_) | Err(_) => {}
        }
        Ok(())
    });
    debug_assert!(all.is_ok(), "no field is refused");
    headers
}
