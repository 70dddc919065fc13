//! The script: bob calls and talks, ann moderates him in the chat. Every step waits for what it promises, and says how long that took.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use super::{
    DemoError, Teller,
    chat::{self, ChatError, ChatUser},
    sound::{self, MELODY_HZ, VOICE_DB, VOICE_HZ},
    stage::{ROOM_JID, Stage},
};
use crate::{
    app::phone::{Ended, Phone, PhoneError},
    media::{softphone::Source, wav::Wav},
    xmpp::muc::status,
};

/// A step takes some 100 ms; this is for a machine that is busy building.
const LIMIT: Duration = Duration::from_secs(5);
/// A tone that stays away so long is gone: more than a jitter buffer holds.
const GONE_FOR: Duration = Duration::from_millis(300);
/// How often the recording is looked through: twice a packet.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How bob is shown in the chat.
const BOB: &str = "bob (phone)";
/// What bob is told at the end.
const GOODBYE: &str = "that is all for today";

/// Plays all steps.
pub(super) async fn play(stage: &Stage, teller: &Teller) -> Result<(), DemoError> {
    let script = Script { teller };
    let chat = stage.prosody.client_address();

    script
        .step("the listener hears the bot", hears(&stage.listener, MELODY_HZ[0]))
        .await?;
    let entering = ChatUser::enter(chat, "ann", ROOM_JID, "Ann", LIMIT);
    let mut ann = script.step("ann enters the chat", entering).await?;
    let moderator = ann.find(LIMIT, |s| {
        let ours = s.attr("from").is_some_and(|from| from.ends_with("/Ann"));
        (ours && chat::role(s) == Some("moderator")).then_some(())
    });
    script.step("ann is moderator", moderator).await?;
    let advertised = stage.advertised();
    let leads = async {
        let found = ann.room_info("audio-video-uri", LIMIT).await.map_err(|e| e.to_string())?;
        match found {
            Some(uri) if uri == advertised => Ok(uri),
            other => Err(format!("{other:?} instead of {advertised}")),
        }
    };
    script.step("the room's description names its phone number", leads).await?;

    let tone = Source::Tone {
        hz: VOICE_HZ,
        level_db: VOICE_DB,
    };
    let mut bob = Phone::call(stage.caller("bob", tone))?;
    script.step("bob's phone signs in and is let in", bob.wait_answered(LIMIT)).await?;
    script
        .step("ann sees `bob (phone)` in the chat", seen(&mut ann, "participant"))
        .await?;
    script.step("the listener hears bob", hears(&stage.listener, VOICE_HZ)).await?;

    let muting = moderate(&mut ann, &stage.listener, "visitor", Heard::Goes);
    let muted = script
        .step("ann takes bob's voice, and the listener hears it no more", muting)
        .await?;
    script.note("from stanza to silence, to a packet", muted);
    ann.forget();
    let unmuting = moderate(&mut ann, &stage.listener, "participant", Heard::Comes);
    let unmuted = script.step("ann gives it back, and the listener hears it again", unmuting).await?;
    script.note("from stanza to sound, to a packet", unmuted);
    script
        .step("ann writes, and the room shows it", ann.talk("Good morning", LIMIT))
        .await?;

    ann.forget();
    let kicking = kick(&mut ann, &mut bob);
    let (kicked, words) = script
        .step("ann removes bob, and his phone is hung up with a reason", kicking)
        .await?;
    script.note("from stanza to BYE", kicked);
    teller.say(&format!("          {words}"));
    let gone = ann.find(LIMIT, |s| {
        let his = s.attr("from") == Some(&format!("{ROOM_JID}/{BOB}")) && s.attr("type") == Some("unavailable");
        (his && chat::codes(s).any(|c| c == status::KICKED)).then_some(())
    });
    script.step("the chat shows that he was removed", gone).await?;
    script
        .step("the listener hears bob no more", hears_no_more(&stage.listener))
        .await?;
    ann.leave().await;
    Ok(())
}

/// What the recording has to have.
pub(super) fn check_recording(wav: &Wav) -> Result<(), DemoError> {
    let has = |hz| sound::listen(&wav.samples, wav.rate, hz).first.is_some();
    if has(VOICE_HZ) && has(MELODY_HZ[0]) {
        Ok(())
    } else {
        Err(DemoError::Step {
            step: "the recording has bob and the bot",
            why: "it lacks one of them".to_owned(),
        })
    }
}

struct Script<'a> {
    teller: &'a Teller,
}

impl Script<'_> {
    /// Does a step, and says how it went.
    async fn step<T, E: ToString>(&self, step: &'static str, doing: impl Future<Output = Result<T, E>>) -> Result<T, DemoError> {
        let started = Instant::now();
        let done = doing.await;
        let ms = started.elapsed().as_millis();
        match done {
            Ok(value) => {
                self.teller.say(&format!("ok {ms:5} ms  {step}"));
                Ok(value)
            }
            Err(why) => Err(DemoError::Step {
                step,
                why: why.to_string(),
            }),
        }
    }

    fn note(&self, what: &str, took: Duration) {
        self.teller.say(&format!("          {what}: {} ms", took.as_millis()));
    }
}

/// What a change of role does to what is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Comes,
    Goes,
}

/// Waits until a tone is heard from now on.
async fn hears(listener: &Phone, hz: f64) -> Result<(), String> {
    look(listener, listener.mark(), hz, |heard| heard.first).await.map(|_| ())
}

/// Waits until bob's tone has been away for a while.
async fn hears_no_more(listener: &Phone) -> Result<(), String> {
    look(listener, listener.mark(), VOICE_HZ, gone_since).await.map(|_| ())
}

/// When a tone was heard last, if that is long enough ago.
fn gone_since(heard: &sound::Heard) -> Option<Duration> {
    let last = heard.last.unwrap_or_default();
    (heard.length >= last + GONE_FOR).then_some(last)
}

/// Looks through what was heard since a mark until it satisfies.
async fn look<T>(listener: &Phone, mark: usize, hz: f64, satisfied: impl Fn(&sound::Heard) -> Option<T>) -> Result<T, String> {
    let until = Instant::now() + LIMIT;
    loop {
        let heard = sound::listen(&listener.heard_since(mark), listener.rate(), hz);
        if let Some(found) = satisfied(&heard) {
            return Ok(found);
        }
        if Instant::now() >= until {
            let sound::Heard { first, last, length } = heard;
            return Err(format!("within {length:?} the tone was heard from {first:?} to {last:?}"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Gives bob a role, waits for what that does to the mix and in the chat, and tells the time from the stanza to the sound.
///
/// The recording itself is the clock: it goes on in real time, 20 ms a packet.
async fn moderate(ann: &mut ChatUser, listener: &Phone, role: &str, change: Heard) -> Result<Duration, String> {
    let mark = listener.mark();
    ann.set_role(BOB, role, None, LIMIT).await.map_err(|e| e.to_string())?;
    seen(ann, role).await.map_err(|e| e.to_string())?;
    let changed = look(listener, mark, VOICE_HZ, |heard| match change {
        Heard::Comes => heard.first,
        Heard::Goes => gone_since(heard),
    });
    // To the end of the first packet that sounds otherwise.
    Ok(changed.await? + sound::BLOCK)
}

/// Waits until bob is shown with a role.
async fn seen(ann: &mut ChatUser, role: &str) -> Result<(), ChatError> {
    let bob = format!("{ROOM_JID}/{BOB}");
    ann.find(LIMIT, |s| {
        (s.attr("from") == Some(&bob) && chat::role(s) == Some(role)).then_some(())
    })
    .await
}

/// Removes bob, and tells after which time his phone heard of it, and what.
async fn kick(ann: &mut ChatUser, bob: &mut Phone) -> Result<(Duration, String), String> {
    let sent = Instant::now();
    let asked = ann.set_role(BOB, "none", Some(GOODBYE), LIMIT);
    let ended = async { bob.wait_ended(LIMIT).await.map(|ended| (sent.elapsed(), ended)) };
    let (asked, ended) = tokio::join!(asked, ended);
    asked.map_err(|e| e.to_string())?;
    match ended.map_err(|e: PhoneError| e.to_string())? {
        (took, Ended::TheyHungUp { reason: Some(reason) }) if reason.contains("cause=603") && reason.contains(GOODBYE) => {
            Ok((took, format!("Reason: {reason}")))
        }
        (_, other) => Err(format!("the call ended otherwise: {other}")),
    }
}
