//! A look at the records of a datagram before the library sees them: it gives a whole association up over some that prove nothing.

/// Bytes before the content of a record in the clear (RFC 6347 section 4.1).
const HEAD: usize = 13;

/// Content type of alerts.
const ALERT: u8 = 21;

/// Content type of handshake messages.
const HANDSHAKE: u8 = 22;

/// Handshake messages that a side sends at most, and then some.
const MAX_MESSAGES: u16 = 32;

/// Whether a datagram is worth the library's time: whole records, and in the clear neither alerts nor handshake messages that never
/// are. A peer that gives up in the clear isn't believed, since anybody can say so; if it meant it, silence will tell.
pub(super) fn are_credible(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some(kind) = rest.first() {
        match kind {
            // A record of DTLS 1.3 under keys (RFC 9147 section 4): all of it is authenticated.
            32..=63 => return true,
            20..=26 => {
                let Some((head, behind)) = rest.split_first_chunk::<HEAD>() else {
                    return false;
                };
                let epoch = u16::from_be_bytes([head[3], head[4]]);
                let length = u16::from_be_bytes([head[11], head[12]]).into();
                let versioned = head[1] == 0xfe && matches!(head[2], 0xfd | 0xff);
                let Some((content, next)) = behind.split_at_checked(length) else {
                    return false;
                };
                let clear = match *kind {
                    ALERT => false,
                    HANDSHAKE => is_sent_in_the_clear(content),
                    _ => true,
                };
                if !versioned || (epoch == 0 && !clear) {
                    return false;
                }
                rest = next;
            }
            _ => return false,
        }
    }
    !datagram.is_empty()
}

/// Whether a handshake message is one of those before the keys: those of both hellos, certificates and key exchanges (RFC 5246
/// section 7.4), and early in the handshake. A message for later would stay queued and fail it at its very end.
fn is_sent_in_the_clear(content: &[u8]) -> bool {
    match content {
        [0..=3 | 11..=16, _, _, _, high, low, ..] => u16::from_be_bytes([*high, *low]) < MAX_MESSAGES,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u8, content: &[u8]) -> Vec<u8> {
        let head = [kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1, 0, content.len() as u8];
        [&head[..], content].concat()
    }

    #[test]
    fn whole_records_pass_and_halves_do_not() {
        let two = [record(22, 0, b"\x01\0\0\0\0\0"), record(20, 0, b"\x01")].concat();
        assert!(are_credible(&two));
        for cut in 0..two.len() {
            assert_eq!(are_credible(&two[..cut]), cut == HEAD + 6, "{cut}");
        }
        assert!(
            are_credible(&[record(22, 0, b"\x01\0\0\0\0\0"), vec![0x2f, 1, 2, 3]].concat()),
            "ciphertext behind it"
        );
        assert!(!are_credible(&[19; 40]) && !are_credible(&[27; 40]) && !are_credible(&[64; 40]));
        assert!(!are_credible(&[22; 40]), "another version");
    }

    #[test]
    fn an_alert_counts_only_under_keys() {
        assert!(!are_credible(&record(ALERT, 0, &[2, 40])));
        assert!(!are_credible(
            &[record(22, 0, &[1, 0, 0, 0, 0, 0]), record(ALERT, 0, &[2, 40])].concat()
        ));
        assert!(are_credible(&record(ALERT, 1, &[2, 40])));
    }

    #[test]
    fn handshake_messages_that_are_never_in_the_clear_are_nonsense_there() {
        assert!(are_credible(&record(HANDSHAKE, 0, &[11, 0, 0, 0, 0, 5])));
        assert!(!are_credible(&record(HANDSHAKE, 0, &[11, 0, 0, 0, 0, 98])), "a message far ahead");
        assert!(!are_credible(&record(HANDSHAKE, 0, &[20, 0, 0, 0, 0, 5])), "Finished");
        assert!(are_credible(&record(HANDSHAKE, 1, &[20, 0, 0, 0, 0, 5])));
    }
}
