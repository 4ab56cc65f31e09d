//! Keeping secrets out of everything that is printed.

use std::fmt;

/// A value that must never be printed: `Debug` shows `***` and there is no `Display`.
///
/// Made on the first line that sees the value; taken out, by [`expose`](Self::expose), on the line
/// that hands it to AWS.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Takes a secret out of a text that came from outside: services quote the value that they refuse.
#[must_use]
pub fn without(text: &str, secret: &str) -> String {
    if secret.is_empty() { text.to_owned() } else { text.replace(secret, "***") }
}

/// Cuts the query off every URL in a text: a presigned URL carries its signature there.
#[must_use]
pub fn without_queries(text: &str) -> String {
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

/// An error and its causes, each once, without the queries of their URLs.
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
    without_queries(&text)
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
    fn a_quoted_secret_is_taken_out() {
        assert_eq!(without("Value 'canary' at 'clientSecret'", "canary"), "Value '***' at 'clientSecret'");
        assert_eq!(without("text", ""), "text");
    }
}
