//! Whether an object already is what is asked for, so that no write is needed.

use serde_json::{Map, Value};

/// Lists that server-side apply merges item by item, and the key that tells the items apart. Others may add items of
/// their own there, which we do not own and must not fight over. Every other list is ours as a whole.
const MERGED_BY_KEY: [(&str, &str); 9] = [
    ("containers", "name"),
    ("env", "name"),
    ("imagePullSecrets", "name"),
    ("initContainers", "name"),
    ("ownerReferences", "uid"),
    ("ports", "name"),
    ("topologySpreadConstraints", "topologyKey"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
];

/// Fields that server-side apply takes as a whole: one key more selects other pods.
const WHOLE: [&str; 2] = ["labelSelector", "selector"];

/// Whether `live` has every field of `desired` with the same value. What the API server and others add beside them
/// (defaults, status, annotations of `kubectl rollout restart`) does not count.
pub(crate) fn covers(live: &Value, desired: &Value) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => covers_fields(live, desired),
        (Value::Array(live), Value::Array(desired)) => covers_list(live, desired),
        (Value::String(live), Value::String(desired)) => {
            live == desired || same_quantity(live, desired)
        }
        _ => live == desired,
    }
}

fn covers_fields(live: &Map<String, Value>, desired: &Map<String, Value>) -> bool {
    desired.iter().all(|(field, desired)| match live.get(field) {
        Some(live) if WHOLE.contains(&field.as_str()) => live == desired,
        Some(live) => {
            match (
                MERGED_BY_KEY.iter().find(|(list, _)| list == field),
                live.as_array(),
                desired.as_array(),
            ) {
                (Some((_, key)), Some(live), Some(desired)) => covers_items(live, desired, key),
                _ => covers(live, desired),
            }
        }
        // The API server leaves empty maps and lists out.
        None => {
            desired.as_object().is_some_and(Map::is_empty)
                || desired.as_array().is_some_and(Vec::is_empty)
        }
    })
}

fn covers_list(live: &[Value], desired: &[Value]) -> bool {
    live.len() == desired.len()
        && live.iter().zip(desired).all(|(live, desired)| covers(live, desired))
}

fn covers_items(live: &[Value], desired: &[Value], key: &str) -> bool {
    desired.iter().all(|desired| {
        live.iter().find(|live| live[key] == desired[key]).is_some_and(|live| covers(live, desired))
    })
}

/// Whether two texts are the same amount: the API server rewrites `0.5` as `500m` and `1024Mi` as `1Gi`.
fn same_quantity(one: &str, other: &str) -> bool {
    quantity(one).zip(quantity(other)).is_some_and(|(one, other)| {
        // Sixty-four bits of mantissa hold every amount that means something; the rest is rounding.
        (one - other).abs() <= one.abs() * 1e-12
    })
}

fn quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '.' | '+' | '-')) {
        return None;
    }
    let suffixed =
        SUFFIXES.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)));
    let (number, unit) = suffixed.unwrap_or((text, 1.0));
    number.parse::<f64>().ok().map(|number| number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(live: Value, desired: Value, covered: bool) {
        assert_eq!(covers(&live, &desired), covered, "{live} covers {desired}");
    }

    #[test]
    fn what_others_add_beside_our_fields_does_not_count() {
        check(json!({"a": 1, "b": 2}), json!({"a": 1}), true);
        check(
            json!({"env": [{"name": "X"}, {"name": "Y", "value": "1"}]}),
            json!({"env": [{"name": "Y"}]}),
            true,
        );
        check(json!({}), json!({"data": {}, "list": []}), true);
    }

    #[test]
    fn a_field_of_ours_that_differs_or_is_missing_is_seen() {
        check(json!({"a": 2}), json!({"a": 1}), false);
        check(json!({}), json!({"a": 1}), false);
        check(
            json!({"env": [{"name": "X", "value": "2"}]}),
            json!({"env": [{"name": "X", "value": "1"}]}),
            false,
        );
        check(json!({"env": []}), json!({"env": [{"name": "X"}]}), false);
    }

    #[test]
    fn a_list_that_is_ours_as_a_whole_may_not_be_longer() {
        check(json!({"verbs": ["get", "list"]}), json!({"verbs": ["get"]}), false);
        check(
            json!({"rules": [{"verbs": ["get"]}, {}]}),
            json!({"rules": [{"verbs": ["get"]}]}),
            false,
        );
        check(
            json!({"subjects": [{"name": "a"}, {"name": "b"}]}),
            json!({"subjects": [{"name": "a"}]}),
            false,
        );
    }

    #[test]
    fn a_selector_is_ours_as_a_whole() {
        let two = json!({"app": "inventory", "track": "canary"});
        for field in WHOLE {
            check(json!({field: two}), json!({field: {"app": "inventory"}}), false);
            check(json!({field: two}), json!({field: two}), true);
        }
    }

    #[test]
    fn an_amount_written_in_another_way_is_the_same_amount() {
        for (one, other) in [("0.5", "500m"), ("1024Mi", "1Gi"), ("2", "2000m"), ("1e3", "1k")] {
            check(json!(one), json!(other), true);
        }
        for (one, other) in [("1", "2"), ("64Mi", "64M"), ("7-1a", "7-1b"), ("", "0")] {
            check(json!(one), json!(other), false);
        }
    }
}
