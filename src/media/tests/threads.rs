//! Rooms on several threads: moves, and what a thread without time gives up.

use super::{
    wire::{assert_unbroken, phone},
    *,
};
use crate::model::media::Unopened;

#[test]
fn r60_a_room_moves_a_hundred_times_under_load_and_no_leg_notices() {
    let mut world = World::new(2);
    let crowd: Vec<_> = (0..20).map(|_| phone(&mut world)).collect();
    crowd.iter().for_each(|(leg, _)| world.place(*leg, "crowd", 8000));
    let mut people: Vec<_> = (0..3).map(|_| phone(&mut world)).collect();
    people.iter().for_each(|(leg, _)| world.place(*leg, "blue", 8000));
    let mut headers: Vec<Vec<Header>> = people.iter().map(|(_, wire)| wire.take(2)).collect();
    for turn in 0..100u32 {
        world.plane.move_room(&name("blue"), turn as usize % 2);
        for ((_, wire), headers) in people.iter_mut().zip(&mut headers) {
            wire.send(0, turn * 160, &[0x10; 160]);
            headers.push(wire.next());
        }
    }
    assert_eq!(world.plane.stats().moved_rooms, 100);
    // No gap over 40 ms, unless the machine itself stood still.
    let late = world.plane.stats();
    let most = if late.late_ticks + late.skipped_ticks == 0 { 2 } else { 50 };
    headers.iter().for_each(|headers| assert_unbroken(headers, most));
    // They still hear each other.
    let (talker, talks) = people.split_first_mut().expect("three");
    for n in 100..130 {
        talker.1.send(0, n * 160, &[0x10; 160]);
    }
    wait_for("a voice", || talks[0].1.next_payload().iter().any(|&byte| byte & 0x70 < 0x50));
}

#[test]
fn a_thread_without_time_refuses_new_legs_until_it_has_some() {
    let mut world = World::new(1);
    let (_, wire) = phone(&mut world);
    wire.take(1);
    world.plane.shed(usize::MAX);
    let opening = || Opening {
        leg: LegId(1000),
        correlation: Correlation(1000),
        peer: Ipv4Addr::LOCALHOST.into(),
        room: Some(name("blue")),
        port: PortKind::Own,
    };
    wait_for("a refusal", || world.plane.open(&opening()) == Err(Unopened::Overloaded));
    assert!(world.plane.threads()[0].shed > 0);
    // Legs that are there are served on.
    wire.take(3);
    wait_for("room for another", || world.plane.open(&opening()).is_ok());
}

#[test]
fn what_was_given_up_is_taken_back_when_the_last_leg_leaves() {
    let mut world = World::new(1);
    let (leg, wire) = phone(&mut world);
    wire.take(1);
    world.plane.shed(usize::MAX);
    wait_for("the load", || world.plane.threads()[0].shed > 0);
    world.close(leg);
    wait_for("rest", || world.plane.threads()[0] == ThreadStats { busy: 0, shed: 0, legs: 0 });
    world.open();
}
