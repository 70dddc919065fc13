//! What protection costs a packet: SRTP with 160 bytes of payload, as PCMU has, each profile, both directions, in place.
//!
//! `cargo bench --bench srtp`. The last line is for machines: nanoseconds of processor time per packet, the median of many batches.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;

use cusax::rtp::srtp::{Keys, MAX_KEY_LEN, MAX_OVERHEAD, Profile, ReceiveContext, SendContext};

/// Bytes of an RTP packet before protection.
const LEN: usize = 12 + 160;

/// Packets timed together in so many rounds: the kernel counts a thread's time by the tick, some milliseconds.
const BATCH: u16 = 1000;
const ROUNDS: u32 = 200;

type Slot = [u8; LEN + MAX_OVERHEAD];

fn main() {
    // `cargo bench` says so; as a test one batch is enough.
    let batches = if std::env::args().any(|argument| argument == "--bench") {
        20
    } else {
        1
    };
    let profiles = [
        ("cm80", Profile::Aes128CmSha1_80),
        ("cm32", Profile::Aes128CmSha1_32),
        ("gcm", Profile::AeadAes128Gcm),
    ];
    let mut line = Vec::new();
    for (name, profile) in profiles {
        let (mut protect, mut open): (Vec<_>, Vec<_>) = (0..batches).map(|_| batch(profile)).unzip();
        line.push(format!(
            "{name}_protect_ns={:.0} {name}_open_ns={:.0}",
            median(&mut protect),
            median(&mut open)
        ));
    }
    println!("{}", line.join(" "));
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Nanoseconds per packet to protect and to open.
fn batch(profile: Profile) -> (f64, f64) {
    let keys = Keys {
        profile,
        key: [7; MAX_KEY_LEN],
        salt: [9; 14],
    };
    let fresh: Vec<Slot> = (0..BATCH).map(packet).collect();
    let (mut sealed, mut len) = (fresh.clone(), 0);
    let start = on_cpu();
    for _ in 0..ROUNDS {
        let mut send = SendContext::new(&keys);
        for (from, into) in fresh.iter().zip(&mut sealed) {
            *into = *from;
            len = send.protect(black_box(into), LEN).expect("protected");
        }
    }
    let between = on_cpu();
    for _ in 0..ROUNDS {
        let mut receive = ReceiveContext::new(&keys);
        for packet in &sealed {
            let mut packet = *packet;
            assert_eq!(receive.unprotect(black_box(&mut packet[..len])), Ok(LEN));
        }
    }
    let each = f64::from(ROUNDS) * f64::from(BATCH);
    ((between - start) / each, (on_cpu() - between) / each)
}

fn packet(sequence: u16) -> Slot {
    let mut slot = [0x55; LEN + MAX_OVERHEAD];
    slot[..2].copy_from_slice(&[0x80, 0]);
    slot[2..4].copy_from_slice(&sequence.to_be_bytes());
    slot
}

/// Nanoseconds that this thread has run: on a shared machine the clock tells mostly what others do.
fn on_cpu() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells every thread its schedule");
    schedule
        .split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .expect("its first figure is the time on a processor")
}
