//! Both directions against an independent implementation, all profiles.

use rtc_srtp::{context::Context, crypto::default_provider, protection_profile::ProtectionProfile};

use super::*;

fn oracle(keys: &Keys) -> Context {
    let profile = match keys.profile {
        Profile::Aes128CmSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        Profile::Aes128CmSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let (salt, provider) = (&keys.salt[..keys.profile.salt_len()], default_provider().expect("a provider"));
    Context::new(&keys.key[..keys.profile.key_len()], salt, profile, None, None, provider.crypto()).expect("a context")
}

#[test]
fn rtp_over_three_rounds_of_sequence_numbers() {
    let mut rng = StdRng::seed_from_u64(1);
    for profile in PROFILES {
        let keys = keys(profile, &mut rng);
        let (mut theirs_in, mut theirs_out) = (oracle(&keys), oracle(&keys));
        let (mut ours_in, mut ours_out) = (ReceiveContext::new(&keys), SendContext::new(&keys));
        let mut sequence = 0x7000u16;
        for n in 0..700 {
            let packet = rtp(9, sequence, &mut rng);
            let ours = protected(&mut ours_out, &packet);
            let theirs = theirs_out.encrypt_rtp(&packet).expect("protected");
            assert_eq!(ours, theirs, "{profile:?} {n}");
            assert_eq!(theirs_in.decrypt_rtp(&ours).expect("opened"), packet, "{profile:?} {n}");
            assert_eq!(opened(&mut ours_in, &theirs), Ok(packet), "{profile:?} {n}");
            sequence = sequence.wrapping_add(rng.random_range(1..600));
        }
    }
}

#[test]
fn rtcp_of_both() {
    let mut rng = StdRng::seed_from_u64(2);
    for profile in PROFILES {
        let keys = keys(profile, &mut rng);
        let (mut theirs_in, mut theirs_out) = (oracle(&keys), oracle(&keys));
        let (mut ours_in, mut ours_out) = (ReceiveContext::new(&keys), SendContext::new(&keys));
        for n in 0..50 {
            let packet = [rtcp(5), vec![n; usize::from(n)]].concat();
            let ours = protected_rtcp(&mut ours_out, &packet);
            let theirs = theirs_out.encrypt_rtcp(&packet).expect("protected");
            assert_eq!(theirs_in.decrypt_rtcp(&ours).expect("opened"), packet, "{profile:?}");
            assert_eq!(opened_rtcp(&mut ours_in, &theirs), Ok(packet), "{profile:?}");
        }
    }
}
