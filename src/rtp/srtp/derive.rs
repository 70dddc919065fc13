//! Session keys from master keys (RFC 3711 section 4.3), with a key derivation rate of zero.

use aes::{Aes128Enc, Aes256Enc};
use ctr::cipher::KeyInit;

use super::{Keys, MAX_KEY_LEN, cm::keystream};

/// What a session key is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Label {
    RtpKey = 0,
    RtpTag = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpTag = 4,
    RtcpSalt = 5,
}

/// Derives `N` bytes of session key.
pub(super) fn derive<const N: usize>(keys: &Keys, label: Label) -> [u8; N] {
    let mut block = [0; 16];
    block[..14].copy_from_slice(&keys.salt);
    // The label stands before a 48-bit count of derivations, which is zero here.
    block[7] ^= label as u8;
    let mut bytes = [0; N];
    // AES with a longer key derives with one (RFC 7714 section 11).
    match keys.profile.key_len() {
        MAX_KEY_LEN => keystream(&Aes256Enc::new(&keys.key.into()), &block, &mut bytes),
        len => keystream(&Aes128Enc::new(keys.key[..len].into()), &block, &mut bytes),
    }
    bytes
}
