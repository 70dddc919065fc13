//! Vectors of the RFCs, an independent implementation at the other end, and what must be refused.

use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

use super::*;

mod hostile;
mod oracle;
mod rekey;
mod vectors;

const PROFILES: [Profile; 4] = [
    Profile::Aes128CmSha1_80,
    Profile::Aes128CmSha1_32,
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
];

fn keys(profile: Profile, rng: &mut StdRng) -> Keys {
    let (mut key, mut salt) = ([0; MAX_KEY_LEN], [0; MAX_SALT_LEN]);
    rng.fill_bytes(&mut key[..profile.key_len()]);
    rng.fill_bytes(&mut salt[..profile.salt_len()]);
    Keys { profile, key, salt }
}

/// An RTP packet; now and then with sources and an extension.
fn rtp(ssrc: u32, sequence: u16, rng: &mut StdRng) -> Vec<u8> {
    let mut packet = vec![0x80, rng.random_range(0..128)];
    packet.extend(sequence.to_be_bytes());
    packet.extend(rng.random::<u32>().to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    if rng.random_ratio(1, 4) {
        packet[0] |= 2;
        packet.extend([7; 8]);
    }
    if rng.random_ratio(1, 4) {
        packet[0] |= 0x10;
        packet.extend([0xbe, 0xde, 0, 1, 0x10, 9, 0, 0]);
    }
    packet.extend((0..rng.random_range(0..200)).map(|_| rng.random::<u8>()));
    packet
}

/// An RTCP receiver report with nothing to tell and a BYE.
fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 203, 0, 1]);
    packet.extend(ssrc.to_be_bytes());
    packet
}

fn protected(context: &mut SendContext, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [packet, &[0; MAX_OVERHEAD]].concat();
    let len = context.protect(&mut buffer, packet.len()).expect("protected");
    buffer.truncate(len);
    buffer
}

fn protected_rtcp(context: &mut SendContext, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [packet, &[0; MAX_OVERHEAD]].concat();
    let len = context.protect_rtcp(&mut buffer, packet.len()).expect("protected");
    buffer.truncate(len);
    buffer
}

fn opened(context: &mut ReceiveContext, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut packet = packet.to_vec();
    let len = context.unprotect(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

fn opened_rtcp(context: &mut ReceiveContext, packet: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut packet = packet.to_vec();
    let len = context.unprotect_rtcp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}
