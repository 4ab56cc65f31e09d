//! Keeps secrets out of everything that is printed.

use std::fmt;

use serde::Deserialize;

/// A value that must never be printed. `Debug` shows `***`, and there is no `Display`.
///
/// Wrap a secret on the first line that sees it. Call [`expose`](Self::expose) only on the line that
/// hands it to AWS.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value itself.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Removes a secret from a text that came from outside. Services quote the value that they refuse.
#[must_use]
pub fn without(text: &str, secret: &str) -> String {
    if secret.is_empty() { text.to_owned() } else { text.replace(secret, "***") }
}

/// Removes the query of every URL in a text. The query of a presigned URL is its signature.
fn without_queries(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, url) = rest.split_at(start);
        let end =
            url.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | ')')).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        clean.push_str(before);
        match url.find('?') {
            Some(query) => {
                clean.push_str(&url[..query]);
                clean.push_str("?***");
            }
            None => clean.push_str(url),
        }
        rest = after;
    }
    clean.push_str(rest);
    clean
}

/// Texts that precede a credential, in what services quote from the request that they refuse.
const CREDENTIAL_MARKS: [&str; 6] =
    ["basic ", "bearer ", "signature=", "credential=", "x-amz-security-token:", "x-amz-security-token="];

/// Makes a text that came from outside fit to be shown: removes the queries of URLs and every credential.
#[must_use]
pub fn sanitize(text: &str) -> String {
    let mut clean = without_queries(text);
    for mark in CREDENTIAL_MARKS {
        let mut from = 0;
        // ASCII lower case keeps every byte offset.
        while let Some(found) = clean[from..].to_ascii_lowercase().find(mark) {
            let value = from + found + mark.len();
            let start = value + (clean[value..].len() - clean[value..].trim_start().len());
            let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '&' | '<' | '>' | ')');
            let end = clean[start..].find(is_end).map_or(clean.len(), |length| start + length);
            clean.replace_range(start..end, HIDDEN);
            from = start + HIDDEN.len();
        }
    }
    clean
}

const HIDDEN: &str = "***";

/// An error and its causes, each once, fit to be shown.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    sanitize(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_secret_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", Some(Secret::new("canary".to_owned()))), "Some(***)");
    }

    #[test]
    fn queries_are_cut_wherever_a_url_stands() {
        assert_eq!(
            without_queries("PUT https://h/p?X-Amz-Signature=canary failed (http://127.0.0.1:1/a?b) at 10:30?"),
            "PUT https://h/p?*** failed (http://127.0.0.1:1/a?***) at 10:30?"
        );
        assert_eq!(without_queries("why? https://h/p."), "why? https://h/p.");
        assert_eq!(without_queries("a://b?c://d?e"), "a://b?***");
    }

    #[test]
    fn what_stands_behind_the_marks_of_a_credential_is_taken_out() {
        for (text, clean) in [
            ("Authorization=Basic aWQ6Y2FuYXJ5 is wrong", "Authorization=Basic *** is wrong"),
            ("'authorization:BASIC  aWQ6Y2FuYXJ5'", "'authorization:BASIC  ***'"),
            (
                "AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature=canary",
                "AWS4-HMAC-SHA256 Credential=***, SignedHeaders=host, Signature=***",
            ),
            ("host:h\nx-amz-security-token:canary\n\nhost", "host:h\nx-amz-security-token:***\n\nhost"),
            ("Bearer canary", "Bearer ***"),
            ("é Basic é", "é Basic ***"),
            ("Basic ", "Basic ***"),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert_eq!(sanitize(text), clean);
        }
    }

    #[test]
    fn a_quoted_secret_is_taken_out() {
        assert_eq!(without("Value 'canary' at 'clientSecret'", "canary"), "Value '***' at 'clientSecret'");
        assert_eq!(without("text", ""), "text");
    }
}
