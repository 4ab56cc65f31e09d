//! What a scalar without quotes is: null, a boolean, a number or text.

use serde_json::{Number, Value};

/// Reads a plain scalar as CloudFormation does: as YAML 1.1.
///
/// Single letters stay text: CloudFormation takes `yes` and `on` for booleans, but not `y`.
pub(super) fn plain(text: &str) -> Value {
    match plain_yaml_1_2(text) {
        Value::String(text) => match text.as_str() {
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" => true.into(),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" => false.into(),
            _ => octal_yaml_1_1(&text).unwrap_or(Value::String(text)),
        },
        other => other,
    }
}

/// `010` is 8.
fn octal_yaml_1_1(text: &str) -> Option<Value> {
    let octal = text.strip_prefix('0').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    u64::from_str_radix(octal, 8).ok().map(Value::from)
}

/// Reads a plain scalar as YAML 1.2 does: the argument of a short form, such as `!Sub yes`, is read this way.
pub(super) fn plain_yaml_1_2(text: &str) -> Value {
    null(text)
        .or_else(|| boolean(text))
        .or_else(|| integer(text))
        .or_else(|| float(text))
        .unwrap_or_else(|| text.into())
}

/// Reads a scalar with one of YAML's own tags, such as `!!int`, in quotes or not.
pub(super) fn of_core_tag(text: &str, tag: &str) -> Result<Value, String> {
    let value = match tag {
        "null" => null(text),
        "bool" => boolean(text),
        "int" => integer(text),
        "float" => float(text),
        _ => Some(text.into()),
    };
    value.ok_or_else(|| format!("{text:?} is not a value for the tag !!{tag}"))
}

/// A scalar as CloudFormation hands it to a custom resource: always text.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn null(text: &str) -> Option<Value> {
    matches!(text, "" | "~" | "null" | "Null" | "NULL").then_some(Value::Null)
}

fn boolean(text: &str) -> Option<Value> {
    match text {
        "true" | "True" | "TRUE" => Some(true.into()),
        "false" | "False" | "FALSE" => Some(false.into()),
        _ => None,
    }
}

fn integer(text: &str) -> Option<Value> {
    let (sign, magnitude) = split_sign(text);
    let (radix, digits) = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .find_map(|(prefix, radix)| Some((*radix, magnitude.strip_prefix(prefix)?)))
        .unwrap_or((10, magnitude));
    // The standard library would take a second sign.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) || (radix == 10 && has_leading_zero(digits)) {
        return None;
    }
    let magnitude = u128::from_str_radix(digits, radix).ok()?;
    let number = if sign == "-" {
        i64::try_from(magnitude).ok().map(|magnitude| Number::from(-magnitude))
    } else {
        u64::try_from(magnitude).ok().map(Number::from)
    };
    // JSON has no place for so large a number, and CloudFormation makes text of every number.
    Some(number.map_or_else(|| format!("{}{magnitude}", sign.trim_start_matches('+')).into(), Value::Number))
}

fn float(text: &str) -> Option<Value> {
    let (sign, magnitude) = split_sign(text);
    match (sign, magnitude) {
        // Infinity and NaN are not numbers in JSON.
        ("", ".nan" | ".NaN" | ".NAN") => return Some("NaN".into()),
        ("-", ".inf" | ".Inf" | ".INF") => return Some("-inf".into()),
        (_, ".inf" | ".Inf" | ".INF") => return Some("inf".into()),
        _ => {}
    }
    if magnitude.starts_with(['+', '-']) || has_leading_zero(magnitude) {
        return None;
    }
    let number = text.parse::<f64>().ok().and_then(Number::from_f64)?;
    Some(Value::Number(number))
}

fn split_sign(text: &str) -> (&str, &str) {
    text.split_at(usize::from(text.starts_with(['+', '-'])))
}

/// `0888` is text, and so is `-010`; `0` and `0.5` are numbers.
fn has_leading_zero(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_one_in_every_notation() {
        for (text, value) in [
            ("0", json!(0)),
            ("-0", json!(0)),
            ("+5", json!(5)),
            ("-5", json!(-5)),
            ("0x1F", json!(31)),
            ("-0x1F", json!(-31)),
            ("0o17", json!(15)),
            ("0b101", json!(5)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("18446744073709551616", json!("18446744073709551616")),
            ("-9223372036854775809", json!("-9223372036854775809")),
            ("1.10", json!(1.1)),
            ("1e3", json!(1000.0)),
            ("08.5", json!(8.5)),
            ("-.inf", json!("-inf")),
            (".nan", json!("NaN")),
        ] {
            assert_eq!(plain_yaml_1_2(text), value, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_number_is_text() {
        for text in ["+-5", "0x-1", "0x", "0o+1", "0888", "-010", "1_000", "1:30", "nan", "inf", "1e999", "+", "-", "."]
        {
            assert_eq!(plain_yaml_1_2(text), json!(text), "{text}");
        }
        assert_eq!(plain("010"), json!(8));
        assert_eq!(plain("-010"), json!("-010"));
    }

    #[test]
    fn yaml_s_own_tags_decide_what_a_scalar_is() {
        assert_eq!(of_core_tag("5", "int"), Ok(json!(5)));
        assert_eq!(of_core_tag("true", "bool"), Ok(json!(true)));
        assert_eq!(of_core_tag("1.5", "float"), Ok(json!(1.5)));
        assert_eq!(of_core_tag("~", "null"), Ok(json!(null)));
        assert_eq!(of_core_tag("5", "str"), Ok(json!("5")));
        assert_eq!(of_core_tag("x", "int"), Err("\"x\" is not a value for the tag !!int".to_owned()));
    }
}
