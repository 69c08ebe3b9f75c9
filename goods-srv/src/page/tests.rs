use super::*;
use proptest::prelude::*;

const BY_NAME: Order = Order {
    name: "name",
    columns: &[Column::Text("name"), Column::Number("id")],
    descending: false,
};

fn parse(token: &str, list: &ListId) -> Result<Start, Violations> {
    let mut violations = Violations::default();
    let start = Start::parse(token, list, BY_NAME, &mut violations);
    violations.none().map(|()| start)
}

proptest! {
    #[test]
    fn a_token_brings_back_its_keys(name in ".{0,100}", id in any::<i64>()) {
        let list = ListId::new("goods", b"filter", BY_NAME);
        let keys = vec![Key::Text(name), Key::Number(id)];
        let token = Start::token(&list, keys.clone());
        prop_assert_eq!(parse(&token, &list), Ok(Start(Some(keys))));
        prop_assert!(parse(&token, &ListId::new("goods", b"other", BY_NAME)).is_err());
        prop_assert!(parse(&token, &ListId::new("brands", b"filter", BY_NAME)).is_err());
    }

    #[test]
    fn whatever_is_sent_as_a_token_is_refused(token in ".{1,60}") {
        prop_assert!(parse(&token, &ListId::new("goods", b"", BY_NAME)).is_err());
    }
}

#[test]
fn keys_of_the_wrong_kind_are_refused() {
    let list = ListId::new("goods", b"", BY_NAME);
    for keys in [vec![Key::Number(1), Key::Number(1)], vec![Key::Text("x".into())], Vec::new()] {
        assert!(parse(&Start::token(&list, keys), &list).is_err());
    }
}
