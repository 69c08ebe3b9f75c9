use super::*;
use proptest::prelude::*;

fn id(id: i64) -> Id {
    Id::parse(id, "id", &mut Default::default()).unwrap()
}

/// 1 > 2 > 3, and 4.
fn small() -> Tree {
    Tree::new([(1, TOP, 1), (2, 1, 2), (3, 2, 3), (4, TOP, 1)])
}

#[test]
fn what_is_under_a_category_comes_parents_first() {
    let tree = Tree::new([(5, 4, 2), (3, 1, 2), (4, TOP, 1), (2, 3, 3), (1, TOP, 1)]);
    assert_eq!(tree.under(TOP, LEVEL_MAX), [1, 3, 2, 4, 5]);
    assert_eq!(tree.under(TOP, 1), [1, 4]);
    assert_eq!(tree.under(1, 1), [3]);
    assert_eq!(tree.under(9, LEVEL_MAX), Vec::<i64>::new());
}

#[test]
fn a_move_shifts_what_is_under_it() {
    let moved = Move { level: 2, shift: 1, under: vec![2, 3] };
    assert_eq!(small().put(id(1), 4), Ok(moved));
    assert_eq!(small().put(id(2), TOP), Ok(Move { level: 1, shift: -1, under: vec![3] }));
}

#[test]
fn a_category_is_not_put_under_itself_nor_under_nothing() {
    assert_eq!(small().put(id(1), 1), Err(Misplaced::UnderItself));
    assert_eq!(small().put(id(1), 3), Err(Misplaced::UnderItself));
    assert_eq!(small().put(id(1), 9), Err(Misplaced::NoParent));
    assert_eq!(small().level_under(9), Err(Misplaced::NoParent));
}

#[test]
fn rows_in_a_circle_end_a_walk() {
    let circle = Tree::new([(1, 2, 1), (2, 1, 2)]);
    assert!(circle.under(1, LEVEL_MAX).len() <= 8);
    assert!(circle.under(TOP, LEVEL_MAX).is_empty());
}

proptest! {
    /// Random trees and random moves: whatever is allowed leaves a tree, and what is refused would not have.
    #[test]
    fn allowed_moves_leave_a_tree(moves in prop::collection::vec((1i64..=12, 0i64..=12), 1..60)) {
        let mut nodes: HashMap<i64, (i64, i64)> = (1..=12).map(|id| (id, (TOP, 1))).collect();
        for (category, parent) in moves {
            let tree = Tree::new(nodes.iter().map(|(id, (parent, level))| (*id, *parent, *level)));
            match tree.put(id(category), parent) {
                Ok(Move { level, shift, under }) => {
                    for id in under {
                        nodes.get_mut(&id).unwrap().1 += shift;
                    }
                    nodes.insert(category, (parent, level));
                }
                Err(Misplaced::UnderItself) => {
                    prop_assert!(path(&nodes, parent).contains(&category));
                }
                Err(Misplaced::TooDeep) => {}
                Err(Misplaced::NoParent) => prop_assert!(false, "every parent is there"),
            }
            for (id, (_, level)) in &nodes {
                let path = path(&nodes, *id);
                prop_assert!(path.len() <= 8, "a circle or too deep");
                prop_assert_eq!(i64::try_from(path.len()).unwrap(), *level);
            }
        }
    }
}

/// The category and those above it.
fn path(nodes: &HashMap<i64, (i64, i64)>, mut category: i64) -> Vec<i64> {
    let mut path = Vec::new();
    while category != TOP && path.len() < 20 {
        path.push(category);
        category = nodes[&category].0;
    }
    path
}
