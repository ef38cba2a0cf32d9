//! Templates that are made to fill the memory or to run for long: each is refused, and soon.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{plan, registry, value, value_in};
use crate::template::{Template, limits};

/// What it fails with.
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
        format!("format('{}', padLeft('', 2000))", "{0}".repeat(2000)),
        "replace(padLeft('', 200000), ' ', padLeft('', 200000))".to_owned(),
        "join(range(0, 10000), padLeft('', 1000))".to_owned(),
        format!("uriComponent(concat({}))", ["padLeft('', 250000)"; 4].join(", ")),
    ] {
        let error = ends_soon(|| value(&format!("[{expression}]")));
        assert!(error.contains("too large"), "{expression}: {error}");
    }
}

#[test]
fn variables_that_double_are_refused() {
    let mut arrays = json!({"v0": [1, 2, 3, 4, 5, 6, 7, 8]});
    let mut texts = json!({"v0": "0123456789"});
    for i in 1..40 {
        let before = format!("variables('v{0}'), variables('v{0}')", i - 1);
        arrays[format!("v{i}")] = json!(format!("[createArray({before})]"));
        texts[format!("v{i}")] = json!(format!("[concat({before})]"));
    }
    for variables in [arrays, texts] {
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
}

/// What is allowed fits on the stack of a server's thread, in debug mode too: tests run on the same size.
#[test]
fn the_deepest_nesting_has_room() {
    let nest = |inner: &str, depth: usize| format!("{}{inner}{}", "array(".repeat(depth), ")".repeat(depth));
    assert!(value(&format!("[{}]", nest("1", limits::EXPRESSION_DEPTH))).is_ok());
    let mut variables = json!({"v0": 1});
    for i in 1..4 {
        variables[format!("v{i}")] = json!(format!("[length({})]", nest(&format!("variables('v{}')", i - 1), 55)));
    }
    assert_eq!(value_in(json!({"variables": variables}), "[variables('v3')]"), Ok(json!(1)));
    let lambdas = "map(createArray(1), lambda('a', ".repeat(28);
    assert!(value(&format!("[{lambdas}1{}]", "))".repeat(28))).is_ok());
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
    let one_more = json!({"resources": [copies(800), registry("x", json!({}))]});
    let error = ends_soon(|| plan(one_more).map_err(|e| e.to_string()));
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

#[test]
fn large_resources_in_loops_are_refused() {
    let long: Vec<String> = (0..2000).map(|i| format!("[concat('{i}', parameters('p'), 'reference')]")).collect();
    let properties = json!({"list": long});
    let child = json!({"type": "tokens", "apiVersion": "2025-11-01", "name": "t", "properties": properties});
    let looped = |more: Value| {
        let mut resource = registry("[format('r{0}', copyIndex())]", more);
        resource["copy"] = json!({"name": "c", "count": 800});
        json!({"parameters": {"p": {"type": "string", "defaultValue": "x"}}, "resources": [resource]})
    };
    for members in [looped(json!({"properties": properties})), looped(json!({"resources": [child]}))] {
        let error = ends_soon(|| plan(members).map_err(|e| e.to_string()));
        assert!(error.contains("too large"), "{error}");
    }
    let many: Vec<String> = (0..20_000).map(|_| "c".to_owned()).collect();
    let members = looped(json!({"dependsOn": many}));
    let error = ends_soon(|| plan(members).map_err(|e| e.to_string()));
    assert!(error.contains("too large"), "{error}");
}

#[test]
fn templates_in_templates_are_counted_together() {
    let mut small = registry("[format('r{0}', copyIndex())]", json!({}));
    small["copy"] = json!({"name": "c", "count": 800});
    let nested = json!({"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": "[format('d{0}', copyIndex())]",
        "copy": {"name": "d", "count": 10}, "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"},
        "template": super::template(json!({"resources": [small]}))}});
    let outer = plan(json!({"resources": [nested]})).unwrap();
    let known = crate::template::Known::default();
    let inner = |position| {
        let nested = super::ready(outer.nested(position, &known));
        crate::template::Plan::of_nested(&nested, super::environment(&nested.scope))
    };
    let refused = (0..10).map(inner).find_map(Result::err).expect("there are 8,010").to_string();
    assert!(refused.contains("more than 5000 resources with the deployments in it"), "{refused}");
}
