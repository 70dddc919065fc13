//! Methods: those we know by name, and any other token.

use std::fmt;

use super::lex::is_token;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A request method (RFC 3261 section 7.1). Case matters.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            /// Any other token.
            Other(String),
        }

        impl Method {
            /// The method on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(token) => token,
                }
            }

            /// Reads a token; `None` if it is none.
            pub fn parse(token: &str) -> Option<Self> {
                Some(match token {
                    $($text => Self::$variant,)*
                    other if !other.is_empty() && other.bytes().all(is_token) => Self::Other(other.to_owned()),
                    _ => return None,
                })
            }
        }
    };
}

methods! {
    /// RFC 3261 section 13.
    Invite = "INVITE",
    /// RFC 3261 section 13.
    Ack = "ACK",
    /// RFC 3261 section 15.
    Bye = "BYE",
    /// RFC 3261 section 9.
    Cancel = "CANCEL",
    /// RFC 3261 section 11.
    Options = "OPTIONS",
    /// RFC 3261 section 10.
    Register = "REGISTER",
    /// RFC 6665.
    Subscribe = "SUBSCRIBE",
    /// RFC 6665.
    Notify = "NOTIFY",
    /// RFC 3311.
    Update = "UPDATE",
    /// RFC 3262.
    Prack = "PRACK",
    /// RFC 6086.
    Info = "INFO",
    /// RFC 3515.
    Refer = "REFER",
    /// RFC 3428.
    Message = "MESSAGE",
    /// RFC 3903.
    Publish = "PUBLISH",
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_token_is_a_method_and_case_matters() {
        assert_eq!(Method::parse("INVITE"), Some(Method::Invite));
        assert_eq!(Method::parse("invite"), Some(Method::Other("invite".into())));
        assert_eq!(Method::parse("RE%47IST%45R"), Some(Method::Other("RE%47IST%45R".into())));
        assert_eq!(Method::parse("A B"), None);
        assert_eq!(Method::parse(""), None);
    }
}
