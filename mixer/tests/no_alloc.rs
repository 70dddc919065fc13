//! Rule R71: the tick neither allocates nor frees, C included. Both doors to the heap are watched: Rust's global allocator, and the C
//! library's functions themselves, which this binary defines in its stead.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(unsafe_code, reason = "an allocator can't be watched in safe code")]

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    ffi::c_void,
    hint::black_box,
};

use common::{CODECS, Dice, Phone, RATES, Room, Says};
use mixer::{Codec, Command, Keys, Leg, LegAudio, LegSettings, Mixer, Player, Rate, Sound, Step, Stock};

thread_local! {
    /// Calls to the heap while the watch is on. Per thread, for the test harness has threads of its own.
    static CALLS: Cell<Option<u64>> = const { Cell::new(None) };
    /// Bytes that Rust asked the heap for, ever.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no watch any more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get().map(|n| n + 1)));
}

/// How often the heap is called while something runs.
fn heap_calls(run: impl FnOnce()) -> u64 {
    CALLS.with(|calls| calls.set(Some(0)));
    run();
    CALLS.with(Cell::take).unwrap_or(0)
}

struct Watched;

#[global_allocator]
static WATCHED: Watched = Watched;

// SAFETY: every call goes on to the system's allocator unchanged; counting touches no heap.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + layout.size()));
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The C library's names, in front of the C library.
mod c {
    use super::{c_void, count};

    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
        fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
        fn __libc_realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
        fn __libc_free(pointer: *mut c_void);
    }

    // SAFETY (all four): same signature and meaning as the C library's function of that name, to which the call goes on.
    #[unsafe(no_mangle)]
    pub(crate) unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
        count();
        unsafe { __libc_malloc(size) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn calloc(number: usize, size: usize) -> *mut c_void {
        count();
        unsafe { __libc_calloc(number, size) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
        count();
        unsafe { __libc_realloc(pointer, size) }
    }

    #[unsafe(no_mangle)]
    pub(crate) unsafe extern "C" fn free(pointer: *mut c_void) {
        count();
        unsafe { __libc_free(pointer) }
    }
}

#[test]
fn the_watch_sees_rust_and_c() {
    assert_eq!(heap_calls(|| ()), 0);
    // Rust's allocator calls the C library: each is seen twice.
    assert_eq!(heap_calls(|| drop(black_box(Box::new(1)))), 4);
    unsafe extern "C" {
        fn strdup(text: *const std::ffi::c_char) -> *mut std::ffi::c_char;
    }
    // SAFETY: `strdup` gets a terminated string; what it returns was made by malloc, and is freed once.
    let c_alone = heap_calls(|| unsafe { c::free(black_box(strdup(c"text".as_ptr())).cast()) });
    assert_eq!(c_alone, 2, "the C library's own calls are seen");
    assert!(
        heap_calls(|| drop(black_box(opusic_c::Encoder::new(
            opusic_c::Channels::Mono,
            opusic_c::SampleRate::Hz48000,
            opusic_c::Application::Voip
        )))) > 0
    );
}

#[test]
fn r71_push_tick_skip_and_outputs_leave_the_heap_alone() {
    for rate in RATES {
        let mut dice = Dice(3);
        let mut phones: Vec<Phone> = (0..9)
            .map(|n| Phone::tone(n, CODECS[n as usize % 4], 300.0 + 70.0 * n as f64))
            .collect();
        phones[1].sends_ms = 10;
        phones[2].sends_ms = 60;
        phones[4].sends_ms = 30;
        for (n, ptime_ms) in [(3, 40), (4, 60), (5, 10), (6, 30), (8, 60)] {
            phones[n].settings.ptime_ms = ptime_ms;
        }
        phones[3].settings.dtx = true;
        phones[0].settings.comfort_noise = true;
        for n in [1, 6, 7] {
            (phones[n].settings.agc, phones[n].settings.denoise) = (true, true);
        }
        let mut room = Room::new(rate, phones);
        let music = Player::new((0..5000).collect::<Vec<i16>>().into(), Rate::Wide, 12, true);
        room.mixer.play(Sound(1), music).expect("there is room");
        room.stock = Stock::empty();
        let (mut outputs, mut held) = (0, Vec::new());
        for turn in 0..200u64 {
            if turn % 20 == 0 {
                for phone in &mut room.phones {
                    phone.says = if dice.below(2) == 0 {
                        Says::Nothing
                    } else {
                        Says::Tone {
                            hz: 440.0,
                            amplitude: 18_000.0,
                        }
                    };
                }
                room.command(Command::Mute(Leg(dice.below(9)), dice.below(2) == 0));
                room.command(Command::Send(Leg(dice.below(9)), dice.below(4) > 0));
                room.set_voices(dice.below(6) as u8);
                room.command(Command::Volume {
                    leg: Leg(dice.below(9)),
                    hear: Step::new(dice.below(5) as i8 - 2),
                    speak: Step::new(dice.below(5) as i8 - 2),
                });
                let word = Player::new((0..4000).collect::<Vec<i16>>().into(), Rate::Wide, 6, false);
                room.mixer.say(Leg(dice.below(9)), (dice.below(4) > 0).then_some(word));
                while room.mixer.poll_said().is_some() {}
            }
            let mut sent: Vec<_> = room
                .phones
                .iter_mut()
                .flat_map(|phone| phone.packets().into_iter().map(|sent| (phone.leg, sent)))
                .collect();
            sent.retain(|_| dice.below(8) > 0);
            // One after another stalls for a quarter of a second, and then comes all at once: its delay grows and shrinks.
            if turn % 25 < 12 {
                held.extend(sent.extract_if(.., |(leg, _)| leg.0 == turn / 25));
            } else {
                sent.splice(0..0, held.drain(..));
            }
            sent.iter_mut().for_each(|(_, sent)| {
                sent.level = (dice.below(3) == 0).then(|| dice.below(128) as u8);
                if dice.below(8) == 0 && !sent.payload.is_empty() {
                    sent.payload[0] ^= 0x5a;
                }
            });
            let Room { mixer, stock, .. } = &mut room;
            let calls = heap_calls(|| {
                for (leg, sent) in &sent {
                    mixer.push(*leg, sent.packet());
                }
                if turn % 50 == 49 {
                    mixer.skip(3);
                }
                mixer.tick(stock);
                mixer.outputs(|_, output| outputs += output.payload.len());
                while mixer.poll_event().is_some() {}
            });
            assert_eq!(calls, 0, "{rate:?}, tick {turn}");
            if turn == 150 {
                let waits = room.stock.waits();
                assert!(waits > 0, "nothing was in stock");
                room.stock.fill(room.stock.lack().unwrap().make().unwrap());
            }
        }
        assert!(outputs > 100_000);
    }
}

#[test]
fn r71_neither_does_a_vestibule() {
    let mut phones: Vec<Phone> = (0..8)
        .map(|n| Phone::tone(n, CODECS[n as usize % 4], 300.0 + 70.0 * n as f64))
        .collect();
    let mut mixer = Mixer::vestibule(8).expect("a vestibule");
    let mut stock = Stock::new().expect("codec states");
    let music = Player::new((0..5000).collect::<Vec<i16>>().into(), Rate::Full, 12, true);
    mixer.play(Sound(0), music).expect("there is room");
    for phone in &phones {
        mixer.handle(Command::Add(phone.leg, phone.audio())).expect("there is room");
    }
    let mut keys = 0;
    for turn in 0..120u64 {
        let leg = Leg(turn % 8);
        if turn % 5 == 0 {
            let word = Player::new((0..4000).collect::<Vec<i16>>().into(), Rate::Wide, 6, false);
            mixer.say(leg, Some(word));
            mixer.handle(Command::Wait(leg, turn % 3 > 0)).expect("it is there");
            mixer.find_keys(leg, (turn % 4 > 0).then(Keys::new));
        }
        let sent: Vec<_> = phones
            .iter_mut()
            .flat_map(|phone| {
                phone.says = match turn % 10 {
                    0..5 => Says::Pair {
                        hz: [697.0, 1209.0],
                        amplitude: 5000.0,
                    },
                    _ => Says::Nothing,
                };
                phone.packets().into_iter().map(|sent| (phone.leg, sent))
            })
            .collect();
        let calls = heap_calls(|| {
            for (leg, sent) in &sent {
                mixer.push(*leg, sent.packet());
            }
            mixer.tick(&mut stock);
            mixer.outputs(|_, _| ());
            while let Some(event) = mixer.poll_event() {
                keys += u32::from(matches!(event, mixer::Event::Key(..)));
            }
        });
        assert_eq!(calls, 0, "tick {turn}");
        while mixer.poll_said().is_some() {}
        if let Some(lack) = stock.lack() {
            stock.fill(lack.make().expect("codec states"));
        }
    }
    assert!(keys > 5, "{keys} keys");
}

#[test]
fn adding_and_removing_leave_the_heap_alone_too() {
    let phone = Phone::tone(1, CODECS[2], 440.0);
    let mut room = Room::new(RATES[1], vec![]);
    let mut audio = Some(phone.audio());
    for _ in 0..5 {
        let calls = heap_calls(|| {
            let coming = audio.take().expect("it came back");
            room.mixer.handle(Command::Add(Leg(1), coming)).expect("there is room");
            room.mixer.tick(&mut room.stock);
            audio = room.mixer.handle(Command::Remove(Leg(1))).expect("it is there");
        });
        assert_eq!(calls, 0);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "tells what a leg weighs")]
fn a_leg_is_light() {
    fn weight<T>(make: impl FnOnce() -> T) -> usize {
        let before = ASKED.get();
        drop(black_box(make()));
        ASKED.get() - before
    }
    for codec in CODECS {
        for ptime_ms in [20, 60] {
            let settings = LegSettings {
                ptime_ms,
                ..LegSettings::plain(codec)
            };
            let bytes = weight(|| LegAudio::new(settings).unwrap());
            println!("a leg of {codec:?} in packets of {ptime_ms} ms: {bytes} bytes");
            // Sockets, streams and reports come on top, for less than half as much: 24 KiB in all.
            assert!(bytes < 12 * 1024, "{codec:?} {ptime_ms}: {bytes}");
        }
    }
    for rate in RATES {
        let bytes = weight(|| Mixer::new(rate, 1000).unwrap());
        println!("a mixer up to {} Hz for 1000 legs: {bytes} bytes", rate.hz());
    }
    println!("a full stock: {} bytes", weight(|| Stock::new().unwrap()));
}

#[test]
fn who_only_listens_has_nothing_of_the_stock() {
    // Two who speak, by G.711, and many who listen with all kinds of settings and send silence.
    let mut phones = vec![Phone::tone(0, Codec::Pcmu, 440.0), Phone::tone(1, Codec::Pcma, 700.0)];
    phones.extend((2..60).map(|leg| Phone::new(leg, Codec::Opus, Says::Nothing)));
    let mut room = Room::new(RATES[2], phones);
    room.restock = false;
    room.run(100);
    assert_eq!(room.stock.waits(), 0, "one encoder is enough for all of them");
    assert!(room.phones[59].level(440.0, 500).abs() < 1.0);
}
