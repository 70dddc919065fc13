//! The spoken menu: asks a caller for a room, a PIN or a join code, collects what they type, and gives up in time. One for each call that is
//! answered but in no room. It knows neither rooms nor media: [`Step`]s say what it wants.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::model::Phrase;

/// Wrong answers in one call: after the last the menu says goodbye.
const TRIES: u32 = 3;
/// Questions that may go unanswered.
const SILENCES: u32 = 3;
/// How long the first key is waited for once a question has been asked, and each further one.
const FIRST_KEY: Duration = Duration::from_secs(10);
const NEXT_KEY: Duration = Duration::from_secs(5);
/// Longer than anything that is said: whether it was said to its end is told by the media plane, unless it has no voice yet.
const SPEECH: Duration = Duration::from_secs(30);
/// How long a call may stay in the menu altogether.
const PATIENCE: Duration = Duration::from_secs(3 * 60);
/// Longer than any number, PIN or code; what follows is dropped.
const DIGITS_MAX: usize = 32;

/// What the menu asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// A room's number, or a join code.
    Room,
    /// The PIN of the room that was named, or a join code for it.
    Pin,
    /// Whether they mean to join as the one whose code it is.
    Confirm,
}

/// What the menu wants done.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Say this; nothing: be quiet.
    Say(Vec<Phrase>),
    /// Take this answer; one of [`Menu::wrong`], [`Menu::ask`] and [`Menu::farewell`] follows, or the caller is in.
    Answer(Question, String),
    /// Hang up.
    HangUp,
}

/// Without what was typed.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Say(phrases) => write!(f, "Say({phrases:?})"),
            Self::Answer(question, _) => write!(f, "Answer({question:?}, ***)"),
            Self::HangUp => f.write_str("HangUp"),
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Their ACK isn't here.
    Waiting,
    /// Asks.
    Speaking,
    /// Listens.
    Listening,
    /// Waits to hear whether the answer was right.
    Answered,
    /// Says goodbye.
    Leaving,
    /// Has said so.
    Over,
}

/// One call's menu.
#[derive(Debug)]
pub(super) struct Menu {
    question: Question,
    /// What `*` goes back to.
    first: Question,
    state: State,
    typed: String,
    /// As whom a code lets them in.
    join_as: String,
    wrong: u32,
    silences: u32,
    due: Option<Instant>,
    /// When patience ends.
    ends: Option<Instant>,
    steps: VecDeque<Step>,
}

impl Menu {
    /// A menu that will begin with this question.
    pub(super) fn new(question: Question) -> Self {
        Self {
            question,
            first: question,
            state: State::Waiting,
            typed: String::new(),
            join_as: String::new(),
            wrong: 0,
            silences: 0,
            due: None,
            ends: None,
            steps: VecDeque::new(),
        }
    }

    /// The caller can hear now.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.state == State::Waiting {
            self.ends = Some(now + PATIENCE);
            self.ask(now, self.question);
        }
    }

    /// Asks this next.
    pub(super) fn ask(&mut self, now: Instant, question: Question) {
        self.question = question;
        self.speak(now, Vec::new());
    }

    /// Asks whether they mean to join as the one of this name.
    pub(super) fn confirm(&mut self, now: Instant, name: &str) {
        name.clone_into(&mut self.join_as);
        self.ask(now, Question::Confirm);
    }

    /// They don't: asks what it asked first.
    pub(super) fn back(&mut self, now: Instant) {
        self.ask(now, self.first);
    }

    /// The answer was wrong: once more, or goodbye.
    pub(super) fn wrong(&mut self, now: Instant) {
        self.wrong += 1;
        if self.wrong >= TRIES {
            return self.farewell(now, None);
        }
        // Whoever was asked to confirm had answered something else before.
        if self.question == Question::Confirm {
            self.question = self.first;
        }
        self.speak(now, vec![Phrase::WrongTryAgain]);
    }

    /// Says goodbye, and why if there is a reason; then hangs up.
    pub(super) fn farewell(&mut self, now: Instant, why: Option<Phrase>) {
        if matches!(self.state, State::Leaving | State::Over) {
            return;
        }
        self.state = State::Leaving;
        self.ends = None;
        self.due = Some(now + SPEECH);
        self.steps.push_back(Step::Say(why.into_iter().chain([Phrase::Goodbye]).collect()));
    }

    /// They pressed a key.
    pub(super) fn handle_key(&mut self, now: Instant, key: char) {
        match self.state {
            State::Waiting | State::Answered | State::Leaving | State::Over => return,
            // Who knows the question needn't hear it out.
            State::Speaking => self.steps.push_back(Step::Say(Vec::new())),
            State::Listening => {}
        }
        self.state = State::Listening;
        self.silences = 0;
        self.due = Some(now + NEXT_KEY);
        match key {
            '*' => {
                if self.typed.is_empty() {
                    self.question = self.first;
                }
                self.speak(now, Vec::new());
            }
            '#' => self.answer(now),
            '0'..='9' if self.typed.len() < DIGITS_MAX => {
                self.typed.push(key);
                if self.question == Question::Confirm {
                    self.answer(now);
                }
            }
            _ => {}
        }
    }

    /// What was to be said was said.
    pub(super) fn handle_said(&mut self, now: Instant) {
        match self.state {
            State::Speaking => {
                self.state = State::Listening;
                self.due = Some(now + FIRST_KEY);
            }
            State::Leaving => {
                self.state = State::Over;
                self.due = None;
                self.steps.push_back(Step::HangUp);
            }
            State::Waiting | State::Listening | State::Answered | State::Over => {}
        }
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.ends.is_some_and(|at| at <= now) && self.state != State::Answered {
            self.farewell(now, None);
        }
        if self.due.is_none_or(|at| at > now) {
            return;
        }
        self.due = None;
        match self.state {
            State::Speaking | State::Leaving => self.handle_said(now),
            State::Listening => self.answer(now),
            State::Waiting | State::Answered | State::Over => {}
        }
    }

    /// When [`Menu::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let ends = self.ends.filter(|_| self.state != State::Answered);
        self.due.into_iter().chain(ends).min()
    }

    /// What is to be done next.
    pub(super) fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    fn speak(&mut self, now: Instant, before: Vec<Phrase>) {
        self.typed.clear();
        self.state = State::Speaking;
        self.due = Some(now + SPEECH);
        let asked: &[Phrase] = match self.question {
            Question::Room => &[Phrase::EnterRoomOrCode],
            Question::Pin => &[Phrase::EnterPin],
            Question::Confirm => &[Phrase::PressOneToConfirm],
        };
        let mut phrases = before;
        if self.question == Question::Confirm {
            phrases.extend([Phrase::JoinAs, Phrase::Spell(self.join_as.clone())]);
        }
        phrases.extend_from_slice(asked);
        self.steps.push_back(Step::Say(phrases));
    }

    fn answer(&mut self, now: Instant) {
        if self.typed.is_empty() {
            self.silences += 1;
            if self.silences >= SILENCES {
                self.farewell(now, None);
            } else {
                self.speak(now, Vec::new());
            }
            return;
        }
        self.state = State::Answered;
        self.due = None;
        let typed = std::mem::take(&mut self.typed);
        self.steps.push_back(Step::Answer(self.question, typed));
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// A menu, its clock, and what it said and wanted so far.
    struct Talk {
        menu: Menu,
        now: Instant,
        steps: Vec<Step>,
    }

    impl Talk {
        fn new(question: Question) -> Self {
            let now = Instant::now();
            let mut menu = Menu::new(question);
            menu.begin(now);
            let mut talk = Self {
                menu,
                now,
                steps: Vec::new(),
            };
            talk.drain();
            talk
        }

        fn drain(&mut self) {
            while let Some(step) = self.menu.poll_step() {
                self.steps.push(step);
            }
        }

        fn keys(&mut self, keys: &str) -> &[Step] {
            self.steps.clear();
            for key in keys.chars() {
                self.menu.handle_key(self.now, key);
            }
            self.drain();
            &self.steps
        }

        fn said(&mut self) -> &[Step] {
            self.steps.clear();
            self.menu.handle_said(self.now);
            self.drain();
            &self.steps
        }

        fn pass(&mut self, time: Duration) -> &[Step] {
            self.steps.clear();
            self.now += time;
            while self.menu.poll_timeout().is_some_and(|at| at <= self.now) {
                self.menu.handle_timeout(self.now);
                self.drain();
            }
            &self.steps
        }

        fn wrong(&mut self) -> &[Step] {
            self.steps.clear();
            self.menu.wrong(self.now);
            self.drain();
            &self.steps
        }
    }

    fn say(phrases: &[Phrase]) -> Step {
        Step::Say(phrases.to_vec())
    }

    fn answer(question: Question, typed: &str) -> Step {
        Step::Answer(question, typed.to_owned())
    }

    #[test]
    fn hash_ends_an_answer_and_so_does_a_pause() {
        let mut t = Talk::new(Question::Room);
        assert_eq!(t.steps, [say(&[Phrase::EnterRoomOrCode])]);
        assert_eq!(t.said(), []);
        assert_eq!(t.keys("1234#"), [answer(Question::Room, "1234")]);
        let mut t = Talk::new(Question::Pin);
        t.said();
        assert_eq!(t.keys("99"), []);
        assert_eq!(t.pass(NEXT_KEY), [answer(Question::Pin, "99")]);
    }

    #[test]
    fn a_key_interrupts_the_question() {
        let mut t = Talk::new(Question::Pin);
        assert_eq!(t.keys("1#"), [say(&[]), answer(Question::Pin, "1")]);
    }

    #[test]
    fn a_star_starts_over() {
        let mut t = Talk::new(Question::Room);
        t.said();
        assert_eq!(
            t.keys("12*34#"),
            [say(&[Phrase::EnterRoomOrCode]), say(&[]), answer(Question::Room, "34")]
        );
        t.menu.ask(t.now, Question::Pin);
        t.said();
        assert_eq!(
            t.keys("**"),
            [say(&[Phrase::EnterRoomOrCode]), say(&[]), say(&[Phrase::EnterRoomOrCode])]
        );
    }

    #[test]
    fn three_tries_and_goodbye() {
        let mut t = Talk::new(Question::Pin);
        for _ in 0..2 {
            t.keys("1#");
            assert_eq!(t.wrong(), [say(&[Phrase::WrongTryAgain, Phrase::EnterPin])]);
        }
        t.keys("1#");
        assert_eq!(t.wrong(), [say(&[Phrase::Goodbye])]);
        assert_eq!(t.keys("1#"), []);
        assert_eq!(t.said(), [Step::HangUp]);
        assert_eq!(t.menu.poll_timeout(), None);
    }

    #[test]
    fn silence_is_asked_again_and_then_given_up() {
        let mut t = Talk::new(Question::Pin);
        for _ in 0..2 {
            t.said();
            assert_eq!(t.pass(FIRST_KEY), [say(&[Phrase::EnterPin])]);
        }
        t.said();
        assert_eq!(t.pass(FIRST_KEY), [say(&[Phrase::Goodbye])]);
        assert_eq!(t.pass(SPEECH), [Step::HangUp], "also when nothing was heard to its end");
    }

    #[test]
    fn r02_one_key_confirms() {
        let mut t = Talk::new(Question::Pin);
        t.keys("12345678#");
        t.steps.clear();
        t.menu.confirm(t.now, "bob");
        t.drain();
        assert_eq!(
            t.steps,
            [say(&[Phrase::JoinAs, Phrase::Spell("bob".into()), Phrase::PressOneToConfirm])]
        );
        assert_eq!(t.keys("1"), [say(&[]), answer(Question::Confirm, "1")]);
        assert_eq!(t.wrong(), [say(&[Phrase::WrongTryAgain, Phrase::EnterPin])]);
    }

    /// Whatever they press: one answer at a time, three wrong ones at most, and the call is over in the end.
    #[test]
    fn no_keys_keep_a_call_in_the_menu_for_ever() {
        for seed in 0..500 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut t = Talk::new(Question::Room);
            let begun = t.now;
            let (mut open, mut wrong) = (false, 0);
            for _ in 0..rng.random_range(0..400) {
                match rng.random_range(0..14) {
                    0..8 => _ = t.keys(&char::from(b"0123456789*#AD"[rng.random_range(0..14)]).to_string()),
                    8..10 => _ = t.said(),
                    10..12 => _ = t.pass(Duration::from_millis(rng.random_range(0..15_000))),
                    12 if open => {
                        (open, wrong) = (false, wrong + 1);
                        t.wrong();
                    }
                    13 if open => {
                        open = false;
                        t.steps.clear();
                        t.menu
                            .ask(t.now, [Question::Room, Question::Pin, Question::Confirm][rng.random_range(0..3)]);
                        t.drain();
                    }
                    _ => continue,
                }
                for step in &t.steps {
                    if let Step::Answer(_, typed) = step {
                        assert!(!open, "seed {seed}: one answer at a time");
                        assert!((1..=DIGITS_MAX).contains(&typed.len()) && typed.bytes().all(|b| b.is_ascii_digit()));
                        open = true;
                    }
                }
            }
            assert!(wrong <= TRIES, "seed {seed}");
            if open {
                t.wrong();
            }
            let left = (begun + PATIENCE).saturating_duration_since(t.now);
            t.pass(left);
            t.pass(SPEECH);
            assert_eq!(t.menu.state, State::Over, "seed {seed}");
            assert_eq!(t.menu.poll_timeout(), None);
        }
    }
}
