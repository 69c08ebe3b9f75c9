//! What clients did and what they were told, call by call: one half of what the checker compares. The other half is
//! [`crate::books`].

use proto::inventory::v1::OrderState;
use std::{
    collections::BTreeMap,
    fmt,
    ops::AddAssign,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A moment of a history: the time since it began.
pub type Moment = Duration;

/// Pieces by goods id.
pub type Lines = BTreeMap<i64, i64>;

/// What is asked for about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Take these pieces for good.
    Sell(Lines),
    /// Hold these pieces for so long.
    Hold(Lines, Duration),
    /// Turn what is held into a sale.
    Confirm,
    /// Let go of what is held, and close the number.
    Cancel,
    /// Give all of it back, and close the number.
    Reback,
    /// Give these pieces back, under this request id.
    GiveBack(String, Lines),
}

/// One call, as it went over the wire. What a client sends again is another call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// About this order.
    pub order: String,
    /// What was asked for.
    pub act: Act,
    /// When it was sent.
    pub began: Moment,
    /// When its answer was there, or its caller gave up.
    pub ended: Moment,
    /// What came of it, as far as its caller knows.
    pub told: Told,
}

/// What a caller knows after a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is done, and the order was in this state by then; or it had been done before.
    Acknowledged {
        /// The state of the order.
        state: OrderState,
        /// It had been done before, and nothing moved.
        replayed: bool,
    },
    /// It is not done and will not be, for this reason.
    Refused(String),
    /// It is not done, this time, for this reason: it may be sent again.
    Undone(String),
    /// It may be done or not: no answer, or one that leaves it open.
    Unknown(String),
}

/// A look at a stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Of these goods.
    pub goods: i64,
    /// So many pieces were on hand.
    pub on_hand: i64,
    /// When it was sent.
    pub began: Moment,
    /// When its answer was there.
    pub ended: Moment,
}

/// All that clients did.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Every call about an order.
    pub calls: Vec<Call>,
    /// Every look that was answered.
    pub looks: Vec<Look>,
}

/// How many calls were told what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged, the replays among them included.
    pub acknowledged: u64,
    /// Acknowledged as done before.
    pub replayed: u64,
    /// Refused for good.
    pub refused: u64,
    /// Not done, and said so.
    pub undone: u64,
    /// Left open.
    pub unknown: u64,
}

impl Counts {
    /// Counts one more.
    pub fn note(&mut self, told: &Told) {
        match told {
            Told::Acknowledged { replayed, .. } => {
                self.acknowledged += 1;
                self.replayed += u64::from(*replayed);
            }
            Told::Refused(_) => self.refused += 1,
            Told::Undone(_) => self.undone += 1,
            Told::Unknown(_) => self.unknown += 1,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { acknowledged, replayed, refused, undone, unknown } = other;
        self.acknowledged += acknowledged;
        self.replayed += replayed;
        self.refused += refused;
        self.undone += undone;
        self.unknown += unknown;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, replayed, refused, undone, unknown } = self;
        write!(f, "{acknowledged} acknowledged ({replayed} replays), {refused} refused, ")?;
        write!(f, "{undone} undone, {unknown} unknown")
    }
}

impl History {
    /// The calls about each order, in the order in which they were sent.
    pub fn by_order(&self) -> BTreeMap<&str, Vec<&Call>> {
        let mut orders: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
        for call in &self.calls {
            orders.entry(&call.order).or_default().push(call);
        }
        for calls in orders.values_mut() {
            calls.sort_by_key(|call| call.began);
        }
        orders
    }

    /// What must and what may be in a copy of the books that was made between these moments: what was answered before
    /// must, what was sent before it was finished may.
    pub fn as_copied(&self, began: Moment, ended: Moment) -> Self {
        let sent = self.calls.iter().filter(|call| call.began < ended);
        let calls = sent.map(|call| match call.ended <= began {
            true => call.clone(),
            false => Call { told: Told::Unknown("copied meanwhile".to_owned()), ..call.clone() },
        });
        Self { calls: calls.collect(), looks: Vec::new() }
    }
}

/// Writes a history while it happens. Clones write the same.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    began: Instant,
    in_flight: AtomicUsize,
    written: Mutex<(History, Counts)>,
}

impl Recorder {
    /// A history that begins now.
    pub fn new() -> Self {
        let written = Mutex::default();
        Self(Arc::new(Inner { began: Instant::now(), in_flight: AtomicUsize::new(0), written }))
    }

    /// A call is sent. If what is returned is dropped, its caller has given up.
    pub fn begin(&self, order: &str, act: &Act) -> Begun {
        self.0.in_flight.fetch_add(1, Ordering::SeqCst);
        let (order, act) = (order.to_owned(), act.clone());
        let (began, ended) = (self.now(), Moment::ZERO);
        let told = Told::Unknown("its caller gave up".to_owned());
        Begun { recorder: self.clone(), call: Some(Call { order, act, began, ended, told }) }
    }

    /// A look that was sent at `began` was answered just now.
    pub fn looked(&self, goods: i64, on_hand: i64, began: Moment) {
        let look = Look { goods, on_hand, began, ended: self.now() };
        self.written().0.looks.push(look);
    }

    /// This moment.
    pub fn now(&self) -> Moment {
        self.0.began.elapsed()
    }

    /// How many calls have no answer yet.
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::SeqCst)
    }

    /// How many calls were told what, so far.
    pub fn counts(&self) -> Counts {
        self.written().1
    }

    /// Whether a call that was sent at this moment or later is acknowledged.
    pub fn acknowledged_since(&self, moment: Moment) -> bool {
        let written = self.written();
        // The last answer stands last: those before the moment need not be looked at.
        let mut later = written.0.calls.iter().rev().take_while(|call| call.ended >= moment);
        later.any(|call| call.began >= moment && matches!(call.told, Told::Acknowledged { .. }))
    }

    /// Whether any call was refused for this reason so far.
    pub fn was_refused(&self, reason: &str) -> bool {
        let refused = |call: &Call| matches!(&call.told, Told::Refused(told) if told == reason);
        self.written().0.calls.iter().any(refused)
    }

    /// The history so far.
    pub fn history(&self) -> History {
        self.written().0.clone()
    }

    fn written(&self) -> MutexGuard<'_, (History, Counts)> {
        // Each change is one step, so a panic elsewhere leaves none half done.
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

/// A call that was sent and has no answer yet.
pub struct Begun {
    recorder: Recorder,
    call: Option<Call>,
}

impl Begun {
    /// Its answer is there.
    pub fn end(mut self, told: Told) {
        if let Some(call) = &mut self.call {
            call.told = told;
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let Some(mut call) = self.call.take() else { return };
        call.ended = self.recorder.now();
        self.recorder.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        let mut written = self.recorder.written();
        written.1.note(&call.told);
        written.0.calls.push(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(order: &str, began: u64, ended: u64) -> Call {
        let told = Told::Acknowledged { state: OrderState::Confirmed, replayed: false };
        let [began, ended] = [began, ended].map(Duration::from_millis);
        Call { order: order.into(), act: Act::Reback, began, ended, told }
    }

    #[test]
    fn a_caller_that_gives_up_knows_nothing() {
        let recorder = Recorder::new();
        let begun = recorder.begin("o-1", &Act::Confirm);
        assert_eq!(recorder.in_flight(), 1);
        drop(begun);
        recorder.begin("o-2", &Act::Confirm).end(Told::Refused("ORDER_NOT_FOUND".into()));
        assert_eq!(recorder.in_flight(), 0);
        assert_eq!((recorder.counts().unknown, recorder.counts().refused), (1, 1));
        let history = recorder.history();
        assert_eq!(history.by_order().keys().copied().collect::<Vec<_>>(), ["o-1", "o-2"]);
        assert!(matches!(history.calls[0].told, Told::Unknown(_)));
    }

    #[test]
    fn a_copy_must_hold_what_was_answered_before_it_and_may_hold_what_was_sent_during_it() {
        let calls = vec![call("before", 1, 9), call("during", 5, 11), call("later", 21, 22)];
        let history = History { calls, looks: Vec::new() };
        let copied = history.as_copied(Duration::from_millis(10), Duration::from_millis(20));
        let told: Vec<_> = copied.calls.iter().map(|call| (&*call.order, &call.told)).collect();
        assert!(matches!(
            told[..],
            [("before", Told::Acknowledged { .. }), ("during", Told::Unknown(_))]
        ));
    }
}
