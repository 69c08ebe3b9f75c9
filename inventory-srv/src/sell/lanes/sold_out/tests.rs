//! What is remembered, and for how long.

use super::*;

fn goods(id: i64) -> GoodsId {
    GoodsId::new(id).unwrap()
}

fn zero(written: u64, until: Instant) -> Zero {
    Zero { written, until }
}

#[test]
fn a_zero_is_remembered_until_its_time_is_over() {
    let mut memory = Memory::default();
    let now = Instant::now();
    let until = now + REMEMBERED_FOR;
    assert!(!memory.holds(goods(1), 0, now));
    memory.keep(goods(1), zero(0, until), now);
    assert!(memory.holds(goods(1), 0, now));
    assert!(memory.holds(goods(1), 0, until - Duration::from_nanos(1)));
    assert!(!memory.holds(goods(1), 0, until));
    assert!(!memory.holds(goods(2), 0, now));
}

#[test]
fn a_zero_ends_with_the_next_write_and_is_remembered_anew_when_it_was_found_anew() {
    let mut memory = Memory::default();
    let now = Instant::now();
    let until = now + REMEMBERED_FOR;
    memory.keep(goods(1), zero(7, until), now);
    assert!(memory.holds(goods(1), 7, now));
    assert!(!memory.holds(goods(1), 8, now));
    // It came too late: the goods were written to between the look and its being remembered.
    memory.keep(goods(1), zero(7, until), now);
    assert!(!memory.holds(goods(1), 8, now));
    memory.keep(goods(1), zero(8, until), now);
    assert!(memory.holds(goods(1), 8, now));
}

#[test]
fn so_many_goods_are_remembered_and_no_more_until_some_are_over() {
    let mut memory = Memory::default();
    let now = Instant::now();
    let (soon, later) = (now + Duration::from_millis(1), now + REMEMBERED_FOR);
    let last = i64::try_from(GOODS_MAX).unwrap();
    memory.keep(goods(1), zero(0, soon), now);
    (2..=last).for_each(|id| memory.keep(goods(id), zero(0, later), now));
    memory.keep(goods(last + 1), zero(0, later), now);
    assert!(!memory.holds(goods(last + 1), 0, now));
    memory.keep(goods(last + 1), zero(0, later), soon);
    assert!(memory.holds(goods(last + 1), 0, soon) && memory.holds(goods(last), 0, soon));
    assert_eq!(memory.0.len(), GOODS_MAX);
}
