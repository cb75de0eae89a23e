use std::fmt::Write;
use std::path::Path;

use super::*;

/// Set to rewrite the page in place of comparing it.
const REWRITE: &str = "TIDEGATE_REWRITE_DOCS";

#[test]
fn the_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/codes.md");
    let current = page();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == current,
        "docs/codes.md is not current: run the tests with {REWRITE}=1"
    );
}

#[test]
fn numbers_ascend_within_their_ranges() {
    fn check(what: &str, range: std::ops::Range<u32>, numbers: impl Iterator<Item = u32>) {
        let numbers: Vec<_> = numbers.collect();
        assert!(numbers.is_sorted(), "{what}: {numbers:?}");
        assert!(
            numbers.iter().all(|number| range.contains(number)),
            "{what}: {numbers:?}"
        );
    }
    check(
        "errors",
        100..400,
        ErrorCode::ALL.iter().map(|row| row.value.code),
    );
    check(
        "disconnects",
        3000..4000,
        Disconnect::ALL.iter().map(|row| row.value.code),
    );
    check(
        "unsubscribes",
        2000..3000,
        Unsubscribe::ALL.iter().map(|row| row.value.code),
    );
}

/// SDKs index texts without asking whether they are there, and a close frame has little room (protocol.md 4.2, 6).
#[test]
fn texts_are_short_and_never_empty() {
    let texts = ErrorCode::ALL
        .iter()
        .map(|row| row.value.message)
        .chain(Disconnect::ALL.iter().map(|row| row.value.reason.as_ref()))
        .chain(Unsubscribe::ALL.iter().map(|row| &*row.value.reason));
    for text in texts {
        assert!(
            (1..=32).contains(&text.len()) && text.is_ascii() && !text.starts_with('{'),
            "{text:?}"
        );
    }
}

#[test]
fn only_the_refresh_of_a_subscription_makes_a_number_ambiguous() {
    let mut numbers: Vec<_> = ErrorCode::ALL.iter().map(|row| row.value.code).collect();
    numbers.extend(Disconnect::ALL.iter().map(|row| row.value.code));
    numbers.extend(Unsubscribe::ALL.iter().map(|row| row.value.code));
    numbers.sort_unstable();
    let twice: Vec<_> = numbers
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    assert_eq!(twice, [109]);
}

#[test]
fn advice_follows_the_number() {
    let custom = |code| Disconnect {
        code,
        reason: "custom".into(),
    };
    for code in [3000, 3499, 4000, 4499, 5000] {
        assert!(custom(code).lets_reconnect(), "{code}");
    }
    for code in [3500, 3999, 4500, 4999] {
        assert!(!custom(code).lets_reconnect(), "{code}");
    }
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str(ERRORS);
    for row in ErrorCode::ALL {
        let ErrorCode {
            code,
            message,
            temporary,
        } = row.value;
        let retry = match (temporary, code) {
            (true, _) => "tries again",
            (false, 109) => "fetches a token, tries again",
            (false, _) => "gives up",
        };
        line(
            &mut page,
            &[
                &code.to_string(),
                message,
                yes(temporary),
                retry,
                &issued(row.issued),
            ],
        );
    }
    page.push_str(DISCONNECTS);
    for row in Disconnect::ALL {
        let next = if row.value.lets_reconnect() {
            "reconnects"
        } else {
            "gives up"
        };
        line(
            &mut page,
            &[
                &row.value.code.to_string(),
                &row.value.reason,
                next,
                &issued(row.issued),
            ],
        );
    }
    page.push_str(UNSUBSCRIBES);
    for row in Unsubscribe::ALL {
        let next = if row.value.lets_resubscribe() {
            "subscribes again"
        } else {
            "gives up"
        };
        line(
            &mut page,
            &[
                &row.value.code.to_string(),
                &row.value.reason,
                next,
                &issued(row.issued),
            ],
        );
    }
    page
}

fn line(page: &mut String, cells: &[&str]) {
    let cells = cells.join(" | ");
    let _ = writeln!(page, "| {cells} |");
}

/// The documentation of a constant as one line.
fn issued(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

const INTRODUCTION: &str = "\
# Codes

Every number that a client can be told, made from the table in `src/protocol/codes`. They are the same over every \
transport and in both encodings.

";

const ERRORS: &str = "\
## Errors

The answer to one command, `{\"id\":1,\"error\":{\"code\":103,\"message\":\"permission denied\"}}`; the connection goes \
on. `\"temporary\":true` is there only where it is true. The next-to-last column is what SDKs do when connecting, \
subscribing or refreshing is answered so; after anything else the application gets the error and nobody repeats it. \
Numbers from 400 to 1999 are the application's, those below 100 an SDK's own.

| Code | Text | Temporary | The SDK | When |
|---|---|---|---|---|
";

const DISCONNECTS: &str = "
## Disconnects

The end of the connection. WebSocket closes with code and reason; WebTransport does so after a push, HTTP-streaming \
and SSE tell it by a push: `{\"push\":{\"disconnect\":{\"code\":3001,\"reason\":\"shutdown\"}}}`.

| Codes | The SDK |
|---|---|
| below 3000: codes of WebSocket itself | reconnects, except after 1009 (a message above the size limit) |
| 3000–3499, 4000–4499, from 5000 | reconnects, after a delay that grows |
| 3500–3999, 4500–4999 | gives up |

Numbers from 4000 to 4999 are the application's, for the server API. Keep reasons to 32 ASCII characters.

| Code | Reason | The SDK | When |
|---|---|---|---|
";

const UNSUBSCRIBES: &str = "
## Unsubscribes

The end of one subscription of the client by the server: \
`{\"push\":{\"channel\":\"news\",\"unsubscribe\":{\"code\":2500,\"reason\":\"insufficient state\"}}}`. From 2500 on SDKs \
subscribe again by themselves. A subscription made by the server is not ended so but with its connection (3006, 3010), \
unless the server API ends it. SDKs use 0 and 1 for what the application did itself; those never travel.

| Code | Reason | The SDK | When |
|---|---|---|---|
";
