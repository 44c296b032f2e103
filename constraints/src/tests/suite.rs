//! The JSON-Schema-Test-Suite for draft 2020-12: of each schema that is taken, whatever is valid can be written, and nothing that is not.

use std::{collections::BTreeMap, fs};

use serde_json::{Map, Value, json};

use super::{accepts, asked};

/// Texts that one value is tried as at most.
const MOST_WAYS: usize = 2000;

/// The texts of a value: its keys in any order, numbers that are whole with and without a fraction.
fn ways(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => {
            joined(items.iter().map(ways).collect()).into_iter().map(|items| format!("[{items}]")).collect()
        }
        Value::Object(members) => {
            let members: Vec<Vec<String>> = members
                .iter()
                .map(|(name, value)| ways(value).into_iter().map(|value| format!("{}: {value}", json!(name))).collect())
                .collect();
            orders(members.len())
                .into_iter()
                .flat_map(|order| joined(order.into_iter().map(|at| members[at].clone()).collect()))
                .map(|members| format!("{{{members}}}"))
                .take(MOST_WAYS)
                .collect()
        }
        Value::Number(number) => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e300);
            let mut ways = vec![number.to_string()];
            ways.extend(whole.map(|number| format!("{number:.0}")));
            ways.dedup();
            ways
        }
        other => vec![other.to_string()],
    }
}

/// One of each, behind one another.
fn joined(parts: Vec<Vec<String>>) -> Vec<String> {
    let mut all = vec![String::new()];
    for (at, ways) in parts.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        all = all.iter().flat_map(|begun| ways.iter().map(move |way| format!("{begun}{comma}{way}"))).collect();
        all.truncate(MOST_WAYS);
    }
    all
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    match count {
        0 => vec![vec![]],
        _ => orders(count - 1)
            .into_iter()
            .flat_map(|order| {
                (0..count).rev().map(move |at| {
                    let mut order = order.clone();
                    order.insert(at, count - 1);
                    order
                })
            })
            .take(MOST_WAYS)
            .collect(),
    }
}

/// Why a schema is refused, in a word to count by.
fn reason(said: &str) -> String {
    let keys = said.strip_prefix("schema uses [").and_then(|rest| rest.split_once(']'));
    let sentence = |said: &str| said.split([':', ';', '(']).next().unwrap_or_default().trim().to_owned();
    keys.map_or_else(
        || sentence(said.strip_prefix("schema cannot be taken: ").unwrap_or(said)),
        |(keys, _)| keys.into(),
    )
}

#[test]
fn what_the_standards_own_cases_say_holds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/json_schema_suite.json");
    let told: Map<String, Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let (mut taken, mut valid, mut invalid, mut otherwise) = (0, 0, 0, 0);
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for (file, groups) in told["files"].as_object().unwrap() {
        for group in groups.as_array().unwrap() {
            let (schema, description) = (&group["schema"], group["description"].as_str().unwrap());
            let request = json!({ "schema": schema }).to_string();
            if let Err(error) = asked(&request) {
                let can_be = group["tests"].as_array().unwrap().iter().any(|test| test[1] == true);
                assert!(!(can_be && error.to_string().contains("can be met by no text")), "{schema}: {error}");
                *refused.entry(reason(&error.to_string())).or_default() += 1;
                continue;
            }
            taken += 1;
            for test in group["tests"].as_array().unwrap() {
                let (data, is_valid) = (&test[0], test[1].as_bool().unwrap());
                let accepted = ways(data).into_iter().find(|text| accepts(&mut asked(&request).unwrap(), text));
                if accepted.is_some() != is_valid {
                    // A format is held to here, where validators may pass it over; and no schema of schemas is fetched.
                    let differs = is_valid && (file == "format" && data.is_string() || file == "vocabulary");
                    assert!(differs, "{description}: {data} is taken as {accepted:?} by {schema}");
                    otherwise += 1;
                } else if is_valid {
                    valid += 1;
                } else {
                    invalid += 1;
                }
            }
        }
    }
    println!("refused: {refused:#?}");
    let refused: usize = refused.values().sum();
    assert_eq!((taken, refused, valid, invalid, otherwise), (159, 205, 337, 230, 11));
}
