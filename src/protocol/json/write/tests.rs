use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn written(fields: impl FnOnce(&mut JsonWriter<'_>)) -> String {
    let mut out = Vec::new();
    JsonWriter::new(&mut out).object(fields);
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn commas_stand_between_siblings_only() {
    let json = written(|w| {
        w.u64_field("a", 1);
        w.object_field("b", |_| {});
        w.array_field("c", |w| {
            w.object(|w| w.str_field("d", "e"));
            w.object(|_| {});
            w.u64(2);
            w.str("f");
        });
        w.name("g");
        w.begin_object();
        w.key("h\n");
        w.f64(60.0);
        w.key("i");
        w.f64(0.25);
        w.end_object();
        w.bool_field("j", false);
        w.i64_field("k", -5);
        w.i64_field("l", i64::MIN);
        w.u64_field("m", u64::MAX);
        w.raw_field("n", b"{\n\"x\": [1,\n2] }");
    });
    assert_eq!(
        json,
        concat!(
            r#"{"a":1,"b":{},"c":[{"d":"e"},{},2,"f"],"g":{"h\n":60,"i":0.25},"j":false,"k":-5,"#,
            r#""l":-9223372036854775808,"m":18446744073709551615,"n":{"x": [1,2] }}"#
        )
    );
}

#[test]
fn zero_values_are_left_out_when_asked() {
    let json = written(|w| {
        w.str_field_nonzero("a", "");
        w.u64_field_nonzero("b", 0);
        w.i64_field_nonzero("c", 0);
        w.bool_field_nonzero("d", false);
        w.raw_field_nonzero("e", b"");
        w.compact_html_field_nonzero("f", b"").expect("nothing to check");
        w.str_field("g", "");
        w.u64_field("h", 0);
    });
    assert_eq!(json, r#"{"g":"","h":0}"#);
}

#[test]
fn strings_are_escaped_like_the_reference_does() {
    let json = written(|w| w.str_field("s", "\"\\\n\r\t\u{8}\u{1f}<>&\u{2028}\u{2029}\u{202a}é\u{7f}"));
    assert_eq!(
        json,
        "{\"s\":\"\\\"\\\\\\n\\r\\t\\u0008\\u001f\\u003c\\u003e\\u0026\\u2028\\u2029\u{202a}é\u{7f}\"}"
    );
}

#[test]
fn embedded_json_of_responses_is_compacted_and_escaped() {
    let json = written(|w| {
        w.compact_html_field_nonzero("a", b" {\"a\" : [ 1 ,\t2 ],\n\"b <\\\" \": \"&\xe2\x80\xa8\"} ")
            .expect("JSON");
    });
    assert_eq!(json, r#"{"a":{"a":[1,2],"b \u003c\" ":"\u0026\u2028"}}"#);
    let mut out = Vec::new();
    for bad in [&b"{"[..], b"{} {}", b"\xff", b" ", b"\"\xff\""] {
        assert_eq!(
            JsonWriter::new(&mut out).compact_html_field_nonzero("a", bad),
            Err(InvalidJson),
            "{bad:?}"
        );
    }
}

#[test]
fn floats_are_always_json() {
    let mut out = Vec::new();
    let mut writer = JsonWriter::new(&mut out);
    writer.begin_array();
    for value in [f64::NAN, f64::INFINITY, 1e300, f64::MIN_POSITIVE, -0.0] {
        writer.f64(value);
    }
    writer.end_array();
    serde_json::from_slice::<Vec<f64>>(&out).expect("JSON");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_parses_to_what_was_meant(text: String, key: String, number: u64, signed: i64, json in any_json()) {
        let pretty = serde_json::to_vec_pretty(&json).expect("JSON");
        let out = written(|w| {
            w.str_field("text", &text);
            w.u64_field("number", number);
            w.i64_field("signed", signed);
            w.raw_field("raw", &pretty);
            w.compact_html_field_nonzero("compact", &pretty).expect("JSON");
            w.key(&format!("k{key}"));
            w.u64(1);
        });
        prop_assert!(!out.contains('\n'), "one line");
        let read: Value = serde_json::from_str(&out).expect("JSON");
        prop_assert_eq!(&read["text"], &Value::from(text));
        prop_assert_eq!(&read["number"], &Value::from(number));
        prop_assert_eq!(&read["signed"], &Value::from(signed));
        prop_assert_eq!(&read["raw"], &json);
        prop_assert_eq!(&read["compact"], &json);
        prop_assert_eq!(&read[format!("k{key}")], &Value::from(1));
    }
}
