use super::*;
use crate::order::{GoodsId, Key, Order};

const CAPS: Caps = Caps { jobs: 2, lines: 10, goods: 10 };
const BATCH: Duration = Duration::from_secs(10);
const ROOMY: LaneSettings = LaneSettings { count: 1, batch_orders: 2, queued_orders: 1_000 };

type Caller = oneshot::Receiver<Result<Verdict<Receipt>, Setback>>;

/// An order for one piece of each of these goods, with so many seconds left, and who waits for its answer.
fn job(sn: &str, goods: &[i64], left: u64) -> (Job, Caller) {
    let lines: Vec<_> = goods.iter().map(|goods| (*goods, 1)).collect();
    let order = Order::parse(sn.to_owned(), &lines, None).unwrap();
    let until = Deadline(Instant::now() + Duration::from_secs(left));
    let (answer, caller) = oneshot::channel();
    (Job::new(Work::Order(Arc::new(OrderAct::Sell(order)), answer), until), caller)
}

/// A queue of orders `o-0`, `o-1`, .. for these goods, and their callers.
fn queue_of(orders: &[&[i64]]) -> (Queue, Vec<Caller>) {
    let queue = Queue::default();
    let push = |(number, goods): (usize, &&[i64])| {
        let (job, caller) = job(&format!("o-{number}"), goods, 60);
        assert!(queue.push(job, &ROOMY).is_ok());
        caller
    };
    let callers = orders.iter().enumerate().map(push).collect();
    (queue, callers)
}

fn goods(ids: &[i64]) -> BTreeSet<GoodsId> {
    ids.iter().filter_map(|id| GoodsId::new(*id)).collect()
}

/// The numbers of the jobs that are taken when these goods are held and every number was looked up.
fn taken(queue: &Queue, ids: &[i64], caps: &Caps) -> Vec<String> {
    let orders = queue.lock().jobs.iter().filter_map(|job| job.sn().cloned()).collect();
    let held = Needs { goods: goods(ids), orders, ..Needs::default() };
    numbers(&queue.take_fitting(&held, caps).0)
}

fn numbers(jobs: &[Job]) -> Vec<String> {
    jobs.iter().map(|job| job.sn().unwrap().to_string()).collect()
}

/// The numbers of the jobs that are taken from a queue whose batches take so long, of jobs with so many seconds left.
fn taken_of(left: &[u64]) -> Vec<String> {
    let queue = Queue::default();
    let mut callers = Vec::new();
    for (number, left) in left.iter().enumerate() {
        let (job, caller) = job(&format!("o-{number}"), &[1], *left);
        callers.push(caller);
        assert!(queue.push(job, &ROOMY).is_ok());
    }
    queue.note_pace(2, BATCH);
    taken(&queue, &[1], &CAPS)
}

#[test]
fn while_too_many_wait_those_that_would_be_answered_too_late_are_passed_by() {
    assert_eq!(taken_of(&[5, 60, 5, 60, 60]), ["o-1", "o-3"]);
}

#[test]
fn what_fits_into_one_batch_is_tried_however_slow_batches_were() {
    assert_eq!(taken_of(&[5, 0]), ["o-0"]);
}

#[test]
fn one_too_many_is_told_when_to_come_again() {
    let (queue, _callers) = queue_of(&[&[1], &[1], &[1]]);
    queue.note_pace(2, BATCH);
    let full = LaneSettings { queued_orders: 3, ..ROOMY };
    let (late, mut caller) = job("late", &[1], 60);
    let Err(Setback::Overloaded { retry_after }) = queue.push(late, &full) else {
        panic!("it was taken")
    };
    assert_eq!(retry_after, BATCH.mul_f64(2.5), "two batches, and what is left of one under way");
    assert!(caller.try_recv().is_err(), "it was queued all the same");
}

#[test]
fn whose_turn_would_come_after_its_deadline_is_refused_at_once_unless_nobody_waits() {
    let queue = Queue::default();
    queue.note_pace(2, BATCH);
    let mut callers = Vec::new();
    let mut push = |sn: &str, left| {
        let (job, caller) = job(sn, &[1], left);
        callers.push(caller);
        queue.push(job, &ROOMY).is_ok()
    };
    assert!(push("alone", 1));
    assert!(!push("short of time", 14), "a batch and a half are before it");
    assert!(push("in good time", 16));
}

#[test]
fn only_orders_whose_goods_are_all_held_are_taken_and_those_passed_over_head_the_next_batch() {
    let (queue, _callers) = queue_of(&[&[1, 2], &[1], &[3], &[1], &[1]]);
    assert_eq!(taken(&queue, &[1], &CAPS), ["o-1", "o-3"]);
    assert_eq!(queue.needs_of_next_batch(&CAPS).goods, goods(&[1, 2, 3]));
    assert_eq!(taken(&queue, &[1, 2, 3], &CAPS), ["o-0", "o-2"]);
    assert_eq!(taken(&queue, &[1, 2, 3], &CAPS), ["o-4"]);
}

#[test]
fn goods_that_few_want_have_their_turn_among_those_that_everybody_wants() {
    let (queue, _callers) = queue_of(&[&[1], &[1], &[1], &[2], &[1], &[1]]);
    let batches: Vec<_> = std::iter::repeat_with(|| {
        let needs = queue.needs_of_next_batch(&CAPS);
        numbers(&queue.take_fitting(&needs, &CAPS).0)
    })
    .take(3)
    .collect();
    assert_eq!(batches, [["o-0", "o-1"], ["o-2", "o-3"], ["o-4", "o-5"]]);
}

#[test]
fn a_batch_has_no_more_lines_than_it_may() {
    let (queue, _callers) = queue_of(&[&[1, 2], &[1, 2], &[1]]);
    let caps = Caps { jobs: 10, lines: 3, goods: 10 };
    assert_eq!(taken(&queue, &[1, 2], &caps), ["o-0", "o-2"]);
    assert_eq!(taken(&queue, &[1, 2], &caps), ["o-1"]);
}

#[test]
fn a_batch_holds_no_more_goods_than_it_may_unless_one_order_wants_them() {
    let caps = Caps { jobs: 10, lines: 10, goods: 2 };
    let (queue, _callers) = queue_of(&[&[1], &[1, 2], &[3], &[1]]);
    assert_eq!(queue.needs_of_next_batch(&caps).goods, goods(&[1, 2]));
    let (queue, _callers) = queue_of(&[&[1, 2, 3], &[4]]);
    assert_eq!(queue.needs_of_next_batch(&caps).goods, goods(&[1, 2, 3]));
}

#[test]
fn what_is_put_back_comes_first_and_in_its_order() {
    let (queue, _callers) = queue_of(&[&[1], &[1], &[1]]);
    let needs = queue.needs_of_next_batch(&CAPS);
    queue.put_back(queue.take_fitting(&needs, &CAPS).0);
    assert_eq!(taken(&queue, &[1], &CAPS), ["o-0", "o-1"]);
}

#[test]
fn an_order_whose_caller_is_gone_is_not_begun() {
    let (queue, mut callers) = queue_of(&[&[1], &[1]]);
    drop(callers.remove(0));
    assert_eq!(taken(&queue, &[1], &CAPS), ["o-1"]);
}

#[test]
fn who_came_after_the_look_up_waits_in_line_unless_most_did() {
    let (queue, _callers) = queue_of(&[&[1], &[1, 2], &[1], &[1], &[1]]);
    queue.put_back_to_look_up(Vec::new());
    let caps = Caps { jobs: 10, lines: 10, goods: 10 };
    let held = |numbers: &[&str]| {
        let orders = numbers.iter().map(|sn| Key::from_record((*sn).to_owned())).collect();
        Needs { goods: goods(&[1]), orders, ..Needs::default() }
    };
    let take = |held: &Needs| {
        let (taken, late) = queue.take_fitting(held, &caps);
        (numbers(&taken), numbers(&late))
    };
    // One came late; it stays behind the one whose goods are not held.
    let (taken, late) = take(&held(&["o-0", "o-2", "o-3"]));
    assert_eq!((taken, late), (["o-0", "o-2", "o-3"].map(str::to_owned).into(), Vec::new()));
    assert_eq!(numbers(queue.lock().jobs.make_contiguous()), ["o-1", "o-4"]);
    // Nothing else fits: it is all there is.
    assert_eq!(take(&held(&["o-1"])), (Vec::new(), vec!["o-4".to_owned()]));
    assert_eq!(numbers(queue.lock().jobs.make_contiguous()), ["o-1"]);
}

#[test]
fn an_order_to_sell_is_presumed_new_unless_a_repeat_was_met_a_moment_ago() {
    let (queue, mut callers) = queue_of(&[&[1], &[1]]);
    let looked_up = || -> Vec<String> {
        let needs = queue.needs_of_next_batch(&Caps { jobs: 10, lines: 10, goods: 10 });
        needs.orders.iter().map(ToString::to_string).collect()
    };
    assert!(looked_up().is_empty());
    let mut push = |sn: &str| {
        let (job, caller) = job(sn, &[1], 60);
        callers.push(caller);
        assert!(queue.push(job, &ROOMY).is_ok());
    };
    let (met, _) = queue.take_fitting(&queue.needs_of_next_batch(&CAPS), &CAPS);
    push("waits");
    queue.put_back_to_look_up(met);
    push("comes");
    assert_eq!(looked_up(), ["comes", "o-0", "o-1", "waits"]);
    queue.lock().looks_up_until = Some(Instant::now());
    push("comes later");
    assert_eq!(looked_up(), ["comes", "o-0", "o-1", "waits"]);
}
