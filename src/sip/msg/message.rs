//! Requests and responses, and how they are written.

use super::{headers::Headers, method::Method, name::Name, uri::Uri};

/// A SIP message (RFC 3261 section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request (RFC 3261 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// Header fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

/// A response (RFC 3261 section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// Header fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// The header fields.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(r) => &r.headers,
            Self::Response(r) => &r.headers,
        }
    }

    /// The message on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(r) => r.to_bytes(),
            Self::Response(r) => r.to_bytes(),
        }
    }
}

impl Request {
    /// A request without headers.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: Headers::new(),
            body: Vec::new(),
        }
    }

    /// Sets the body and its `Content-Type`.
    pub fn set_body(&mut self, content_type: &str, body: Vec<u8>) {
        self.headers.set(Name::ContentType, content_type);
        self.body = body;
    }

    /// The message on the wire, `Content-Length` included.
    pub fn to_bytes(&self) -> Vec<u8> {
        let uri = self.uri.to_string();
        write(
            &[self.method.as_str().as_bytes(), b" ", uri.as_bytes(), b" SIP/2.0"],
            &self.headers,
            &self.body,
        )
    }
}

impl Response {
    /// An answer to `request` with the usual phrase, and what RFC 3261 section 8.2.6 has copied: `Via`, `From`, `To`, `Call-ID`, `CSeq`,
    /// and into a 100 the `Timestamp`. The `To` tag is the caller's business.
    pub fn to_request(request: &Request, status: u16) -> Self {
        let mut headers = Headers::new();
        for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            headers.copy(name, &request.headers);
        }
        if status == 100 {
            headers.copy(Name::Timestamp, &request.headers);
        }
        Self {
            status,
            reason: reason_phrase(status).to_owned(),
            headers,
            body: Vec::new(),
        }
    }

    /// Sets the body and its `Content-Type`.
    pub fn set_body(&mut self, content_type: &str, body: Vec<u8>) {
        self.headers.set(Name::ContentType, content_type);
        self.body = body;
    }

    /// The message on the wire, `Content-Length` included.
    pub fn to_bytes(&self) -> Vec<u8> {
        let status = self.status.to_string();
        let reason: String = self.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        write(
            &[b"SIP/2.0 ", status.as_bytes(), b" ", reason.as_bytes()],
            &self.headers,
            &self.body,
        )
    }
}

fn write(start_line: &[&[u8]], headers: &Headers, body: &[u8]) -> Vec<u8> {
    /// More than most heads take, so that the buffer rarely grows.
    const HEAD: usize = 1024;
    let mut out = Vec::with_capacity(HEAD + body.len());
    start_line.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\r\n");
    headers.write(&mut out);
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out
}

/// The usual phrase of a status code (RFC 3261 section 21 and later documents).
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        204 => "No Notification",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        other => match other / 100 {
            1 => "Progress",
            2 => "Success",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}
