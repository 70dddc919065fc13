//! RFC 3711 appendix B and RFC 7714 sections 16 and 17, as far as they are about our profiles.

use aes::Aes128Enc;
use ctr::cipher::KeyInit;
use data_encoding::HEXLOWER_PERMISSIVE;

use super::{
    super::{
        cm::keystream,
        derive::{Label, derive},
        gcm::Gcm,
    },
    *,
};

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_ascii_whitespace().collect();
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).expect("hex digits")
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().expect("its length")
}

/// RFC 3711 appendix B.2.
#[test]
fn aes_counter_mode() {
    let aes = Aes128Enc::new(&array::<16>("2b7e151628aed2a6abf7158809cf4f3c").into());
    let mut stream = vec![0; 65_282 * 16];
    keystream(&aes, &array("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000"), &mut stream);
    let first = hex("e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab 41e95b3bb0a2e8dd477901e4fca894c0");
    let last = hex("ec8cdf7398607cb0f2d21675ea9ea1e4 362b7c3c6773516318a077d7fc5073ae 6a2cc3787889374fbeb4c81b17ba6c44");
    assert_eq!(stream[..48], first);
    assert_eq!(stream[stream.len() - 48..], last);
}

/// RFC 3711 appendix B.3.
#[test]
fn key_derivation() {
    let keys = Keys {
        profile: Profile::Aes128CmSha1_80,
        key: array("e1f97a0d3e018be0d64fa32c06de4139 00000000000000000000000000000000"),
        salt: array("0ec675ad498afeebb6960b3aabe6"),
    };
    assert_eq!(derive(&keys, Label::RtpKey), array::<16>("c61e7a93744f39ee10734afe3ff7a087"));
    assert_eq!(derive(&keys, Label::RtpSalt), array::<14>("30cbbc08863d8c85d49db34a9ae1"));
    let tag = "cebe321f6ff7716b6fd4ab49af256a15 6d38baa48f0a0acf3c34e2359e6cdbce e049646c43d9327ad175578ef7227098 \
               6371c10c9a369ac2f94a8c5fbcdddc25 6d6e919a48b610ef17c2041e47403576 6b68642c59bbfc2f34db60dbdfb2";
    assert_eq!(derive(&keys, Label::RtpTag), array::<94>(tag));
}

fn gcm() -> Gcm {
    Gcm::of_session(&array("000102030405060708090a0b0c0d0e0f"), array("517569642070726f2071756f"))
}

/// RFC 7714 sections 16.1.1 and 16.1.2.
#[test]
fn gcm_on_rtp() {
    let clear = hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573");
    let sealed = hex(
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 \
         6a9152cf 765ee439 0cce",
    );
    let mut buffer = [clear.as_slice(), &[0; 16]].concat();
    assert_eq!(gcm().seal_rtp(0x5501_a0b2, 0xf17b, 12, &mut buffer, clear.len()), Ok(sealed.len()));
    assert_eq!(buffer, sealed);
    assert_eq!(gcm().open_rtp(0x5501_a0b2, 0xf17b, 12, &mut buffer), Ok(clear.len()));
    assert_eq!(buffer[..clear.len()], clear);
}

const REPORT: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef";

/// RFC 7714 section 17.1.
#[test]
fn gcm_on_rtcp() {
    let clear = hex(REPORT);
    let sealed = hex(
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 \
         96cf4d2f c5abf872 45d9eade 800005d4",
    );
    let mut buffer = [clear.as_slice(), &[0; 20]].concat();
    assert_eq!(gcm().seal_rtcp(0x4d61_7273, 0x5d4, &mut buffer, clear.len()), Ok(sealed.len()));
    assert_eq!(buffer, sealed);
    assert_eq!(gcm().open_rtcp(0x4d61_7273, 0x8000_05d4, &mut buffer), Ok(clear.len()));
    assert_eq!(buffer[..clear.len()], clear);
}

/// RFC 7714 section 17.3.
#[test]
fn gcm_on_rtcp_that_is_only_tagged() {
    let clear = hex(REPORT);
    let mut packet = [clear.as_slice(), &hex("841dd968 3dd78ec9 2ae58790 125f62b3 000005d4")].concat();
    assert_eq!(gcm().open_rtcp(0x4d61_7273, 0x5d4, &mut packet), Ok(clear.len()));
    assert_eq!(packet[..clear.len()], clear);
}
