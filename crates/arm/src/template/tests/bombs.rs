//! Templates that are made to fill the memory or to run for long: each is refused, and soon.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{plan, registry, value, value_in};
use crate::template::{Template, limits};

fn ends_soon<T>(what: impl FnOnce() -> Result<T, String>) -> String {
    let start = Instant::now();
    let error = what().err().unwrap_or_default();
    assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
    error
}

#[test]
fn texts_that_grow_are_refused() {
    for expression in [
        "padLeft('x', 9223372036854775807)".to_owned(),
        format!("format('{}', {})", "{0}".repeat(2000), "padLeft('', 2000)"),
        format!("replace({0}, ' ', {0})", "padLeft('', 200000)"),
        format!("join(range(0, 10000), {})", "padLeft('', 1000)"),
        format!("uriComponent(concat({}))", ["padLeft('', 250000)"; 4].join(", ")),
    ] {
        let error = ends_soon(|| value(&format!("[{expression}]")));
        assert!(error.contains("too large"), "{expression}: {error}");
    }
}

#[test]
fn variables_that_double_are_refused() {
    let mut variables = json!({"v0": [1, 2, 3, 4, 5, 6, 7, 8]});
    let mut texts = json!({"v0": "0123456789"});
    for i in 1..40 {
        variables[format!("v{i}")] = json!(format!("[createArray(variables('v{0}'), variables('v{0}'))]", i - 1));
        texts[format!("v{i}")] = json!(format!("[concat(variables('v{0}'), variables('v{0}'))]", i - 1));
    }
    for variables in [variables, texts] {
        let error = ends_soon(|| value_in(json!({"variables": variables}), "[length(variables('v39'))]"));
        assert!(error.contains("too large"), "{error}");
    }
}

#[test]
fn nesting_is_refused() {
    let error =
        ends_soon(|| value("[reduce(range(0, 10000), 0, lambda('a', 'i', createArray(lambdaVariables('a'))))]"));
    assert!(error.contains("a value nests deeper than 100"), "{error}");

    let mut variables = json!({"v0": 1});
    for i in 1..limits::VARIABLES {
        variables[format!("v{i}")] = json!(format!("[add(variables('v{}'), 1)]", i - 1));
    }
    let error = ends_soon(|| value_in(json!({"variables": variables}), "[variables('v511')]"));
    assert!(error.contains("expressions nest deeper than 200"), "{error}");

    // As deep as may be, on the stack of a thread of a server in debug mode.
    let deep = format!("[{}1{}]", "array(".repeat(limits::EXPRESSION_DEPTH), ")".repeat(limits::EXPRESSION_DEPTH));
    assert!(value(&deep).is_ok());
    let chain = |step: usize| format!("{}variables('v{step}'){}", "array(".repeat(55), ")".repeat(55));
    let mut variables = json!({"v0": 1});
    for i in 1..40 {
        variables[format!("v{i}")] = json!(format!("[createArray(variables('v{0}'), variables('v{0}'))]", i - 1));
        texts[format!("v{i}")] = json!(format!("[concat(variables('v{0}'), variables('v{0}'))]", i - 1));
    }
    for variables in [variables, texts] {
        let error = ends_soon(|| value_in(json!({"variables": variables}), "[length(variables('v39'))]"));
        assert!(error.contains("too large"), "{error}");
    }
}

#[test]
fn nesting_is_refused() {
    let error =
        ends_soon(|| value("[reduce(range(0, 10000), 0, lambda('a', 'i', createArray(lambdaVariables('a'))))]"));
    assert!(error.contains("a value nests deeper than 100"), "{error}");

    let mut variables = json!({"v0": 1});
    for i in 1..limits::VARIABLES {
        variables[format!("v{i}")] = json!(format!("[add(variables('v{}'), 1)]", i - 1));
    }
    let error = ends_soon(|| value_in(json!({"variables": variables}), "[variables('v511')]"));
    assert!(error.contains("expressions nest deeper than 200"), "{error}");

    // As deep as may be, on the stack of a thread of a server in debug mode.
    let deep = format!("[{}1{}]", "array(".repeat(limits::EXPRESSION_DEPTH), ")".repeat(limits::EXPRESSION_DEPTH));
    assert!(value(&deep).is_ok());
    let chain =
        |step: usize| format!("{}variables('v{step}'){}", "array(".repeat(55), ")[0]".repeat(0) + &")".repeat(55));
    let mut variables = json!({"v0": 1});
    for i in 1..4 {
        variables[format!("v{i}")] = json!(format!("[length({})]", chain(i - 1)));
    }
    let outcome = value_in(json!({"variables": variables}), "[variables('v3')]");
    assert_eq!(outcome, Ok(json!(1)));
}

#[test]
fn loops_in_loops_are_refused() {
    let inner = |body: Value| json!([{"name": "c", "count": 800, "input": body}]);
    let body = json!({"copy": inner(json!({"copy": inner(json!({"copy": inner(json!("x"))}))}))});
    let error = ends_soon(|| value_in(json!({"variables": {"v": body}}), "[length(variables('v'))]"));
    assert!(error.contains("too large"), "{error}");

    let lambdas = "map(range(0, 10000), lambda('a', map(range(0, 10000), lambda('b', lambdaVariables('a')))))";
    let error = ends_soon(|| value(&format!("[{lambdas}]")));
    assert!(error.contains("too large"), "{error}");

    let quiet = "length(filter(range(0, 10000), lambda('a', empty(filter(range(0, 10000), lambda('b', false()))))))";
    let error = ends_soon(|| value(&format!("[{quiet}]")));
    assert!(error.contains("too large"), "{error}");
}

#[test]
fn too_much_of_anything_is_refused() {
    let copies =
        |count: usize| registry("[format('r{0}', copyIndex())]", json!({"copy": {"name": "c", "count": count}}));
    assert!(plan(json!({"resources": [copies(800)]})).is_ok());
    let error =
        ends_soon(|| plan(json!({"resources": [copies(800), registry("x", json!({}))]})).map_err(|e| e.to_string()));
    assert!(error.contains("more than 800 resources"), "{error}");

    let many = |count: usize, each: Value| Value::Object((0..count).map(|i| (format!("n{i}"), each.clone())).collect());
    for (section, most, each) in [
        ("parameters", limits::PARAMETERS, json!({"type": "int", "defaultValue": 1})),
        ("variables", limits::VARIABLES, json!(1)),
        ("outputs", limits::OUTPUTS, json!({"type": "int", "value": 1})),
    ] {
        let members = |count| super::template(json!({section: many(count, each.clone())}));
        assert!(Template::parse(members(most)).is_ok());
        let error = Template::parse(members(most + 1)).unwrap_err().to_string();
        assert!(error.contains(&format!("there are more than {most} {section}")), "{error}");
    }
}
