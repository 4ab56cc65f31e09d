use std::collections::BTreeMap;

use serde_json::json;

use super::{Pseudo, WHEN_UNKNOWN, assert_it, it_with, problems, template};

#[test]
fn conditions_are_worked_out() {
    for (condition, holds) in
        [("Shop", true), ("NotShop", false), ("Sixty", true), ("Both", true), ("One", true), ("Neither", false)]
    {
        assert_it(&format!("!If [{condition}, holds, does not]"), if holds { "holds" } else { "does not" });
    }
    assert_eq!(it_with("!If [Shop, x, y]", &[("Name", "Shop")]), Ok(json!("y")), "the case counts");
    assert_eq!(it_with("!If [Both, x, y]", &[("Count", "60.0")]), Ok(json!("y")), "the text counts");
}

#[test]
fn what_is_wrong_with_a_condition_is_reported_once() {
    let twice = |condition: &str| problems(&format!("[!If [{condition}, a, b], !If [{condition}, c, d]]"));
    assert_eq!(twice("Round"), "Conditions.Round: the condition depends on itself");
    assert_eq!(twice("Late"), format!("Conditions.Late: Fn::GetAtt Queue.Arn {WHEN_UNKNOWN}"));
    assert_eq!(twice("Alone"), "Conditions.Alone: Fn::And has the wrong arguments");
    assert_eq!(twice("Text"), "Conditions.Text: a condition must be one function");
}

#[test]
fn a_chain_of_conditions_has_an_end_and_a_net_of_them_is_walked_once() {
    let of = |count: usize, condition: &dyn Fn(usize) -> String| {
        let conditions: Vec<_> = (0..count).map(|n| format!("  C{n}: {}", condition(n + 1))).collect();
        let conditions = conditions.join("\n");
        let last = format!("  C{count}: !Equals [a, a]\nResources: {{A: {{Condition: C0}}}}");
        template(&format!("Conditions:\n{conditions}\n{last}")).properties("A", &BTreeMap::new(), &Pseudo::default())
    };
    assert_eq!(of(45, &|next| format!("!And [!Condition C{next}, !Condition C{next}]")), Ok(json!({})));
    let error = of(20_000, &|next| format!("!Not [!Condition C{next}]")).unwrap_err();
    assert!(error.to_string().ends_with(": is nested more than 100 levels deep"), "{error}");
}

#[test]
fn a_condition_that_is_no_name_is_a_problem() {
    let error = template("Resources: {A: {Condition: {Fn::Equals: [a, a]}}}")
        .properties("A", &BTreeMap::new(), &Pseudo::default())
        .unwrap_err();
    assert!(error.to_string().ends_with("Condition: the template has no condition \"\""), "{error}");
}
