//! Typed accessors of headers: which field holds what, and how often it may come.

use super::{
    headers::Headers,
    lex::{Cursor, lossy, number},
    method::Method,
    name::Name,
    typed::{CSeq, Contacts, MediaType, NameAddr, RAck, SessionExpires, Tagged, Via, read_delta},
};

/// Why a header can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// It has to be there.
    #[error("no {0} header")]
    Missing(Name),
    /// It may come once.
    #[error("more than one {0} header")]
    Repeated(Name),
    /// Its value is against the grammar.
    #[error("{0} header: {1}")]
    Bad(Name, &'static str),
}

/// The result of a typed accessor.
pub type Access<T> = Result<T, HeaderError>;

impl Headers {
    /// The topmost `Via`.
    pub fn top_via(&self) -> Access<Via> {
        if let Some(read) = self.remembered() {
            return Ok(read.via.clone());
        }
        let value = self.first(Name::Via).ok_or(HeaderError::Missing(Name::Via))?;
        let mut cursor = Cursor::new(value);
        let via = Via::read(&mut cursor).map_err(|flaw| HeaderError::Bad(Name::Via, flaw))?;
        if !cursor.at_end() && cursor.peek() != Some(b',') {
            return Err(HeaderError::Bad(Name::Via, TRAILING));
        }
        Ok(via)
    }

    /// Every `Via`, topmost first.
    pub fn vias(&self) -> Access<Vec<Via>> {
        self.list(Name::Via, Via::read)
    }

    /// Replaces the topmost `Via`, which may share its line with others.
    pub fn set_top_via(&mut self, via: &Via) -> Access<()> {
        let mut vias = self.vias()?;
        let top = vias.first_mut().ok_or(HeaderError::Missing(Name::Via))?;
        top.clone_from(via);
        let at_front = self.iter().next().is_some_and(|(n, _)| *n == Name::Via);
        let text = vias.iter().map(Via::to_string).collect::<Vec<_>>();
        if at_front || text.len() == 1 {
            self.set(Name::Via, text.join(", "));
        } else {
            self.remove(Name::Via);
            self.insert_front(Name::Via, text.join(", "));
        }
        Ok(())
    }

    /// `From`.
    pub fn from(&self) -> Access<NameAddr> {
        match self.remembered() {
            Some(read) => Ok(read.from.clone()),
            None => self.required(Name::From, NameAddr::read),
        }
    }

    /// `To`.
    pub fn to(&self) -> Access<NameAddr> {
        match self.remembered() {
            Some(read) => Ok(read.to.clone()),
            None => self.required(Name::To, NameAddr::read),
        }
    }

    /// `CSeq`.
    pub fn cseq(&self) -> Access<CSeq> {
        match self.remembered() {
            Some(read) => Ok(read.cseq.clone()),
            None => self.required(Name::CSeq, CSeq::read),
        }
    }

    /// `Call-ID`.
    pub fn call_id(&self) -> Access<&str> {
        let value = self.once(Name::CallId)?.ok_or(HeaderError::Missing(Name::CallId))?;
        match std::str::from_utf8(value) {
            Ok(text) if !text.is_empty() && !text.contains([' ', '\t']) => Ok(text),
            _ => Err(HeaderError::Bad(Name::CallId, "not a word")),
        }
    }

    /// `Contact`.
    pub fn contacts(&self) -> Access<Contacts> {
        if self.first(Name::Contact) == Some(b"*") {
            self.once(Name::Contact)?;
            return Ok(Contacts::Star);
        }
        self.list(Name::Contact, NameAddr::read).map(Contacts::List)
    }

    /// The one `Contact` of a request or response that makes or refreshes a dialog (RFC 3261 section 8.1.1.8).
    pub fn contact(&self) -> Access<NameAddr> {
        match self.contacts()? {
            Contacts::Star => Err(HeaderError::Bad(Name::Contact, "`*` outside a registration")),
            Contacts::List(list) => match <[NameAddr; 1]>::try_from(list) {
                Ok([one]) => Ok(one),
                Err(list) if list.is_empty() => Err(HeaderError::Missing(Name::Contact)),
                Err(_) => Err(HeaderError::Repeated(Name::Contact)),
            },
        }
    }

    /// `Route`, first hop first.
    pub fn route(&self) -> Access<Vec<NameAddr>> {
        self.list(Name::Route, NameAddr::read)
    }

    /// `Record-Route`, in the order written.
    pub fn record_route(&self) -> Access<Vec<NameAddr>> {
        self.list(Name::RecordRoute, NameAddr::read)
    }

    /// `P-Asserted-Identity` (RFC 3325 section 9.1).
    pub fn asserted_identities(&self) -> Access<Vec<NameAddr>> {
        self.list(Name::PAssertedIdentity, NameAddr::read)
    }

    /// The values of `Privacy`, in lower case (RFC 3323 section 4.2, separated by semicolons).
    pub fn privacy(&self) -> Vec<String> {
        self.all(Name::Privacy)
            .flat_map(|v| {
                lossy(v)
                    .split([';', ','])
                    .map(|p| p.trim().to_ascii_lowercase())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// `Max-Forwards`: 0 to 255 (RFC 3261 section 20.22).
    pub fn max_forwards(&self) -> Access<Option<u8>> {
        self.optional(Name::MaxForwards, |c| {
            c.skip_space();
            let value = number(c.take_while(|b| b.is_ascii_digit()));
            value.and_then(|n| u8::try_from(n).ok()).ok_or("not a number from 0 to 255")
        })
    }

    /// `Content-Length`.
    pub fn content_length(&self) -> Access<Option<u64>> {
        self.optional(Name::ContentLength, |c| {
            c.skip_space();
            number(c.take_while(|b| b.is_ascii_digit())).ok_or("not a number below 2^64")
        })
    }

    /// `Content-Type`.
    pub fn content_type(&self) -> Access<Option<MediaType>> {
        self.optional(Name::ContentType, MediaType::read)
    }

    /// `Accept`; `None` without the header, which isn't the same as an empty one.
    pub fn accept(&self) -> Access<Option<Vec<MediaType>>> {
        if !self.has(Name::Accept) {
            return Ok(None);
        }
        self.list(Name::Accept, MediaType::read).map(Some)
    }

    /// `Expires`, in seconds, at most 2^32 - 1.
    pub fn expires(&self) -> Access<Option<u32>> {
        self.optional(Name::Expires, read_delta)
    }

    /// `Min-Expires`, likewise.
    pub fn min_expires(&self) -> Access<Option<u32>> {
        self.optional(Name::MinExpires, read_delta)
    }

    /// `Retry-After`, in seconds; its comment and parameters are ignored.
    pub fn retry_after(&self) -> Access<Option<u32>> {
        let Some(value) = self.once(Name::RetryAfter)? else {
            return Ok(None);
        };
        read_delta(&mut Cursor::new(value))
            .map(Some)
            .map_err(|flaw| HeaderError::Bad(Name::RetryAfter, flaw))
    }

    /// `Event` (RFC 6665 section 8.2.1).
    pub fn event(&self) -> Access<Option<Tagged>> {
        self.optional(Name::Event, Tagged::read)
    }

    /// `Subscription-State` (RFC 6665 section 8.2.3).
    pub fn subscription_state(&self) -> Access<Option<Tagged>> {
        self.optional(Name::SubscriptionState, Tagged::read)
    }

    /// `Session-Expires` (RFC 4028 section 4).
    pub fn session_expires(&self) -> Access<Option<SessionExpires>> {
        self.optional(Name::SessionExpires, SessionExpires::read)
    }

    /// `Min-SE`, in seconds (RFC 4028 section 5).
    pub fn min_se(&self) -> Access<Option<u32>> {
        self.optional(Name::MinSe, |c| SessionExpires::read(c).map(|s| s.seconds))
    }

    /// `RSeq` (RFC 3262 section 7.1).
    pub fn rseq(&self) -> Access<Option<u32>> {
        self.optional(Name::RSeq, read_delta)
    }

    /// `RAck` (RFC 3262 section 7.2).
    pub fn rack(&self) -> Access<Option<RAck>> {
        self.optional(Name::RAck, RAck::read)
    }

    /// `Reason` values (RFC 3326): protocol, with `cause` and `text`.
    pub fn reasons(&self) -> Access<Vec<Tagged>> {
        self.list(Name::Reason, Tagged::read)
    }

    /// Option tags of `Require`.
    pub fn require(&self) -> Access<Vec<String>> {
        self.tokens(Name::Require)
    }

    /// Option tags of `Supported`.
    pub fn supported(&self) -> Access<Vec<String>> {
        self.tokens(Name::Supported)
    }

    /// Methods of `Allow`.
    pub fn allow(&self) -> Access<Vec<Method>> {
        self.list(Name::Allow, |c| {
            c.skip_space();
            c.token().and_then(Method::parse).ok_or("no method")
        })
    }

    /// Event packages of `Allow-Events`.
    pub fn allow_events(&self) -> Access<Vec<String>> {
        self.tokens(Name::AllowEvents)
    }

    /// Whether `Supported` or `Require` names an option tag.
    pub fn offers_option(&self, tag: &str) -> bool {
        [self.supported(), self.require()]
            .into_iter()
            .flatten()
            .flatten()
            .any(|t| t.eq_ignore_ascii_case(tag))
    }

    /// Each `Authorization` as written, to be read by `sip::auth`.
    pub fn authorization(&self) -> impl Iterator<Item = &[u8]> {
        self.all(Name::Authorization)
    }

    fn tokens(&self, name: Name) -> Access<Vec<String>> {
        self.list(name, |c| {
            c.skip_space();
            c.token().map(str::to_owned).ok_or("no token")
        })
    }

    /// The value of a header that may come once.
    fn once(&self, name: Name) -> Access<Option<&[u8]>> {
        let mut values = self.all(name.clone());
        let first = values.next();
        if values.next().is_some() {
            return Err(HeaderError::Repeated(name));
        }
        Ok(first)
    }

    pub(super) fn optional<T>(&self, name: Name, read: impl Fn(&mut Cursor<'_>) -> Result<T, &'static str>) -> Access<Option<T>> {
        let Some(value) = self.once(name.clone())? else { return Ok(None) };
        let mut cursor = Cursor::new(value);
        let parsed = read(&mut cursor).map_err(|flaw| HeaderError::Bad(name.clone(), flaw))?;
        if !cursor.at_end() {
            return Err(HeaderError::Bad(name, TRAILING));
        }
        Ok(Some(parsed))
    }

    fn required<T>(&self, name: Name, read: impl Fn(&mut Cursor<'_>) -> Result<T, &'static str>) -> Access<T> {
        self.optional(name.clone(), read)?.ok_or(HeaderError::Missing(name))
    }

    /// Values of every field of this name, split at commas (RFC 3261 section 7.3.1). Fields without a value add none.
    pub(super) fn list<T>(&self, name: Name, read: impl Fn(&mut Cursor<'_>) -> Result<T, &'static str>) -> Access<Vec<T>> {
        let mut out = Vec::new();
        for value in self.all(name.clone()) {
            let mut cursor = Cursor::new(value);
            if cursor.at_end() {
                continue;
            }
            loop {
                out.push(read(&mut cursor).map_err(|flaw| HeaderError::Bad(name.clone(), flaw))?);
                if cursor.at_end() {
                    break;
                }
                if !cursor.eat(b',') {
                    return Err(HeaderError::Bad(name, TRAILING));
                }
            }
        }
        Ok(out)
    }
}

const TRAILING: &str = "something after the end of the value";
