//! Durations in the spelling of Go: `25s`, `1h30m`, `-1ms` (configuration.md 2.4).

/// Reads a duration as nanoseconds.
///
/// # Errors
///
/// What is wrong with the text.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration \"{text}\"");
    let (negative, mut rest) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|char: char| char != '.' && !char.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return Err(invalid());
        }
        let end = tail
            .find(|char: char| char == '.' || char.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration \"{text}\""));
        }
        let unit = unit_nanos(unit)
            .ok_or_else(|| format!("time: unknown unit \"{unit}\" in duration \"{text}\""))?;
        total += scale(whole, fraction, unit).ok_or_else(invalid)?;
        // Each number is bounded, but a text may hold many of them.
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// The canonical spelling: `25s`, `1m0s`, `720h0m0s`, `1.5s`, `300ms`.
pub(crate) fn format(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let text = match nanos {
        0 => "0s".to_owned(),
        1..MICRO => format!("{nanos}ns"),
        MICRO..MILLI => decimal(nanos, MICRO, "µs"),
        MILLI..SECOND => decimal(nanos, MILLI, "ms"),
        _ => {
            let seconds = decimal(nanos % (60 * SECOND), SECOND, "s");
            match (nanos / (3600 * SECOND), nanos / (60 * SECOND) % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

const MICRO: u64 = 1_000;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => MICRO,
        "ms" => MILLI,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        _ => return None,
    })
}

/// `whole.fraction` of a unit; what is less than a nanosecond is cut off.
fn scale(whole: &str, fraction: &str, unit: u64) -> Option<i128> {
    let unit = i128::from(unit);
    let whole = if whole.is_empty() {
        0
    } else {
        i128::from(whole.parse::<u64>().ok()?)
    };
    let mut nanos = whole * unit;
    let mut place = unit;
    for digit in fraction.bytes() {
        // Exact: tenths of hours and below are whole nanoseconds up to the last digit that counts.
        nanos += i128::from(digit - b'0') * place / 10;
        place /= 10;
    }
    Some(nanos)
}

/// `value / unit` with as many decimals as needed.
fn decimal(value: u64, unit: u64, suffix: &str) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return format!("{whole}{suffix}");
    }
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    format!("{whole}.{}{suffix}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn spellings() {
        for (text, nanos, canonical) in [
            ("0", 0, "0s"),
            ("-0", 0, "0s"),
            ("0s", 0, "0s"),
            ("25s", 25_000_000_000, "25s"),
            ("60s", 60_000_000_000, "1m0s"),
            ("720h", 2_592_000_000_000_000, "720h0m0s"),
            ("1h30m", 5_400_000_000_000, "1h30m0s"),
            ("1m1h", 3_660_000_000_000, "1h1m0s"),
            ("1000ms", 1_000_000_000, "1s"),
            ("1.5s", 1_500_000_000, "1.5s"),
            (".5s", 500_000_000, "500ms"),
            ("1.s", 1_000_000_000, "1s"),
            ("+1us", 1_000, "1µs"),
            ("1µs", 1_000, "1µs"),
            ("1.5μs", 1_500, "1.5µs"),
            ("999ns", 999, "999ns"),
            ("1.0000000001ns", 1, "1ns"),
            ("0.1h", 360_000_000_000, "6m0s"),
            ("-1ns", -1, "-1ns"),
            ("-1m", -60_000_000_000, "-1m0s"),
            ("1h0m0.001s", 3_600_001_000_000, "1h0m0.001s"),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
            assert_eq!(format(nanos), canonical, "{text}");
            assert_eq!(parse(canonical), Ok(nanos), "{canonical}");
        }
        assert_eq!(format(i64::MIN), "-2562047h47m16.854775808s");
    }

    #[test]
    fn malformed() {
        for (text, error) in [
            ("8", "time: missing unit in duration \"8\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("", "time: invalid duration \"\""),
            ("-", "time: invalid duration \"-\""),
            ("s", "time: invalid duration \"s\""),
            (".s", "time: invalid duration \".s\""),
            ("1..5s", "time: invalid duration \"1..5s\""),
            (" 1s", "time: invalid duration \" 1s\""),
            ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
            ("3000000h", "time: invalid duration \"3000000h\""),
            (
                "99999999999999999999s",
                "time: invalid duration \"99999999999999999999s\"",
            ),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn printed_durations_are_read_back(nanos: i64) {
            proptest::prop_assume!(nanos != i64::MIN);
            proptest::prop_assert_eq!(parse(&format(nanos)), Ok(nanos));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = parse(&text);
        }
    }
}
