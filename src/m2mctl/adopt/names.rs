//! The names that a client gets in the template.

use std::collections::BTreeSet;

/// The longest ClientName: Cognito takes 128 characters, and the mark needs 18 of them.
const MAX_CLIENT_NAME: usize = 110;
/// CloudFormation takes 255 characters. The rest is for a number.
const MAX_LOGICAL_ID: usize = 240;

/// Names that are taken in a template.
#[derive(Default)]
pub(super) struct Names {
    client_names: BTreeSet<String>,
    logical_ids: BTreeSet<String>,
}

impl Names {
    /// Starts with the names of the template's parameters, which logical ids must not repeat.
    pub(super) fn with_parameters(parameters: &[&str]) -> Self {
        let logical_ids = parameters.iter().map(|name| (*name).to_owned()).collect();
        Self { logical_ids, ..Self::default() }
    }

    /// Returns a ClientName for a client with this name in Cognito. The name itself if it fits: the secret of two
    /// clients with one name would have one name, too.
    pub(super) fn client_name(&mut self, name: &str) -> String {
        let fitting: String = name.chars().map(|c| if is_fitting(c) { c } else { '-' }).collect();
        let fitting = if name.chars().all(is_fitting) { &*fitting } else { fitting.trim_matches('-') };
        let base = if fitting.is_empty() { "client" } else { fitting };
        unused(&mut self.client_names, base, "-", MAX_CLIENT_NAME)
    }

    /// Returns a logical id for a client: the words of its name, each with a capital letter.
    pub(super) fn logical_id(&mut self, client_name: &str) -> String {
        let words = client_name.split(|c: char| !c.is_ascii_alphanumeric());
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
        };
        let joined: String = words.map(capital).collect();
        let begins_well = joined.starts_with(|c: char| c.is_ascii_alphabetic());
        let base = if begins_well { joined } else { format!("Client{joined}") };
        unused(&mut self.logical_ids, &base, "", MAX_LOGICAL_ID)
    }
}

fn is_fitting(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=.@-".contains(c)
}

/// Returns the name, or the name with the first number that makes it a new one. `base` is ASCII.
fn unused(taken: &mut BTreeSet<String>, base: &str, separator: &str, max: usize) -> String {
    let numbered = |number: usize| {
        let suffix = if number == 1 { String::new() } else { format!("{separator}{number}") };
        let head = &base[..base.len().min(max - suffix.len())];
        format!("{head}{suffix}")
    };
    // One more name than there are names that are taken.
    let name = (1..=taken.len() + 1).map(numbered).find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_is_kept_and_another_is_made_of_it() {
        let mut names = Names::default();
        for (name, made) in [
            ("web-shop", "web-shop"),
            ("-a=b@c.d_", "-a=b@c.d_"),
            ("web shop, new", "web-shop--new"),
            (" \t", "client"),
            ("", "client-2"),
            ("web-shop", "web-shop-2"),
            ("web-shop", "web-shop-3"),
        ] {
            assert_eq!(names.client_name(name), made, "{name:?}");
        }
        let long = "x".repeat(128);
        assert_eq!(names.client_name(&long), "x".repeat(110));
        assert_eq!(names.client_name(&long), format!("{}-2", "x".repeat(108)));
    }

    #[test]
    fn a_logical_id_is_made_of_the_words_of_a_name_and_is_unique() {
        let mut names = Names::with_parameters(&["ProviderStackName"]);
        for (name, logical_id) in [
            ("web-shop", "WebShop"),
            ("webShop", "WebShop2"),
            ("web_shop2", "WebShop22"),
            ("2fast", "Client2fast"),
            ("@=", "Client"),
            ("provider-stack-name", "ProviderStackName2"),
        ] {
            assert_eq!(names.logical_id(name), logical_id, "{name}");
        }
    }
}
