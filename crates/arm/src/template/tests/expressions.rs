//! Expressions and functions.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{SUB, value, value_in};

/// `expression => value`, one per line.
fn hold(cases: &[(&str, Value)]) {
    for (expression, expected) in cases {
        assert_eq!(value(&format!("[{expression}]")).as_ref(), Ok(expected), "{expression}");
    }
}

#[test]
fn functions_on_texts() {
    hold(&[
        ("concat('a', 1, true())", json!("a1True")),
        ("format('{0}-{1}{{}}', 'a', 2)", json!("a-2{}")),
        (
            "format('{0:D3}|{1,4}|{1,-4}|{2:X4}|{3:N0}|{0:00}', 7, 'ab', 255, 1234567)",
            json!("007|  ab|ab  |00FF|1,234,567|07"),
        ),
        ("toLower('ÄB')", json!("äb")),
        ("toUpper('ab')", json!("AB")),
        ("trim('  a b ')", json!("a b")),
        ("startsWith('Abc', 'aB')", json!(true)),
        ("endsWith('abC', 'Bc')", json!(true)),
        ("contains('abc', 'B')", json!(false)),
        ("indexOf('test', 'T')", json!(0)),
        ("lastIndexOf('test', 't')", json!(3)),
        ("indexOf('test', 'x')", json!(-1)),
        ("replace('a-b-c', '-', '')", json!("abc")),
        ("split('a,b;c', createArray(',', ';'))", json!(["a", "b", "c"])),
        ("split('a,,b', ',')", json!(["a", "", "b"])),
        ("join(createArray('a', 'b', 1), ', ')", json!("a, b, 1")),
        ("substring('abcdef', 2, 3)", json!("cde")),
        ("substring('äöü', 1)", json!("öü")),
        ("padLeft(5, 3, '0')", json!("005")),
        ("first('abc')", json!("a")),
        ("last('abc')", json!("c")),
        ("skip('abc', 1)", json!("bc")),
        ("take('abc', 5)", json!("abc")),
        ("length('äbc')", json!(3)),
        ("empty('')", json!(true)),
        ("base64('one, two, three')", json!("b25lLCB0d28sIHRocmVl")),
        ("base64ToString(base64('é'))", json!("é")),
        ("base64ToJson(base64('{''one'': ''a''}')).one", json!("a")),
        ("uri('http://contoso.org/firstpath', 'myscript.sh')", json!("http://contoso.org/myscript.sh")),
        ("uri('http://contoso.org/firstpath/', 'myscript.sh')", json!("http://contoso.org/firstpath/myscript.sh")),
        ("uriComponent('http://a b/?x=ä')", json!("http%3A%2F%2Fa%20b%2F%3Fx%3D%C3%A4")),
        ("uriComponentToString('a%20b')", json!("a b")),
        ("dataUriToString(dataUri('Hello'))", json!("Hello")),
        ("uniqueString('foo', 'bar', 'baz')", json!("xzi4ioaxtmth4")),
        ("length(guid('a', 'b'))", json!(36)),
        ("string(createArray('a', 1))", json!("[\"a\",1]")),
        ("string(false())", json!("False")),
        ("'it''s'", json!("it's")),
    ]);
    assert_eq!(value("[[not()]"), Ok(json!("[not()]")));
}

#[test]
fn functions_on_arrays_and_objects() {
    hold(&[
        ("array('a')", json!(["a"])),
        ("concat(createArray(1), createArray(2))", json!([1, 2])),
        ("contains(createArray(1, 2), 2)", json!(true)),
        ("contains(createObject('A', 1), 'a')", json!(true)),
        ("createObject('a', 1, 'b', null())", json!({"a": 1, "b": null})),
        ("union(createArray(1, 2), createArray(2, 3))", json!([1, 2, 3])),
        (
            "union(json('{''a'':{''x'':1},''b'':1}'), json('{''a'':{''y'':2},''b'':2}'))",
            json!({"a": {"x": 1, "y": 2}, "b": 2}),
        ),
        ("intersection(createArray(1, 2, 2, 3), createArray(3, 2))", json!([2, 3])),
        ("intersection(json('{''a'':1,''b'':2}'), json('{''a'':1,''b'':3}'))", json!({"a": 1})),
        ("first(createArray())", json!(null)),
        ("last(createArray(1, 2))", json!(2)),
        ("skip(createArray(1, 2, 3), 1)", json!([2, 3])),
        ("take(createArray(1, 2, 3), -1)", json!([])),
        ("range(3, 3)", json!([3, 4, 5])),
        ("flatten(createArray(createArray(1), createArray(2, 3)))", json!([1, 2, 3])),
        ("items(json('{''b'':1,''a'':2}'))", json!([{"key": "a", "value": 2}, {"key": "b", "value": 1}])),
        ("objectKeys(json('{''b'':1,''a'':2}'))", json!(["a", "b"])),
        ("tryGet(json('{''a'':[1,2]}'), 'a', 1)", json!(2)),
        ("tryGet(json('{''a'':[1,2]}'), 'b', 1)", json!(null)),
        ("tryIndexFromEnd(createArray(1, 2), 1)", json!(2)),
        ("shallowMerge(createArray(json('{''a'':{''x'':1}}'), json('{''a'':{''y'':1}}')))", json!({"a": {"y": 1}})),
        ("length(createObject('a', 1))", json!(1)),
        ("coalesce(null(), 'a')", json!("a")),
    ]);
}

#[test]
fn functions_on_numbers_and_truth() {
    hold(&[
        ("add(1, mul(2, 3))", json!(7)),
        ("sub(1, 2)", json!(-1)),
        ("div(7, 2)", json!(3)),
        ("mod(-7, 3)", json!(-1)),
        ("min(3, 1, 2)", json!(1)),
        ("max(createArray(3, 1, 2))", json!(3)),
        ("int('12')", json!(12)),
        ("bool('TRUE')", json!(true)),
        ("bool(0)", json!(false)),
        ("json('1.5')", json!(1.5)),
        ("equals(json('1.0'), 1)", json!(true)),
        ("equals(createArray(1), createArray(1))", json!(true)),
        ("equals('a', 'A')", json!(false)),
        ("less(1, 2)", json!(true)),
        ("greaterOrEquals('b', 'a')", json!(true)),
        ("and(true(), not(false()))", json!(true)),
        ("or(false(), equals(1, 1))", json!(true)),
        ("if(true(), 'a', div(1, 0))", json!("a")),
        ("dateTimeAdd('2020-04-07 14:53:14Z', 'P3Y')", json!("2023-04-07T14:53:14Z")),
        ("dateTimeAdd('2020-04-07T14:53:14Z', '-P9DT1H', 'yyyy/MM/dd HH')", json!("2020/03/29 13")),
        ("dateTimeToEpoch(dateTimeFromEpoch(1683040573))", json!(1_683_040_573)),
    ]);
}

#[test]
fn functions_with_lambdas() {
    hold(&[
        ("map(range(0, 3), lambda('i', mul(lambdaVariables('i'), 2)))", json!([0, 2, 4])),
        (
            "map(createArray('a', 'b'), lambda('x', 'i', format('{0}{1}', lambdaVariables('x'), lambdaVariables('i'))))",
            json!(["a0", "b1"]),
        ),
        ("filter(range(0, 5), lambda('i', greater(lambdaVariables('i'), 2)))", json!([3, 4])),
        ("reduce(range(1, 4), 0, lambda('sum', 'i', add(lambdaVariables('sum'), lambdaVariables('i'))))", json!(10)),
        (
            "sort(createArray(3, 1, 2), lambda('a', 'b', less(lambdaVariables('a'), lambdaVariables('b'))))",
            json!([1, 2, 3]),
        ),
        ("sort(createArray(3, 1, 2), lambda('a', 'b', true()))", json!([2, 1, 3])),
        ("toObject(createArray('a'), lambda('x', lambdaVariables('x')), lambda('x', 1))", json!({"a": 1})),
        (
            "groupBy(createArray('ab', 'ac', 'b'), lambda('x', first(lambdaVariables('x'))))",
            json!({"a": ["ab", "ac"], "b": ["b"]}),
        ),
        ("mapValues(createObject('a', 1), lambda('v', add(lambdaVariables('v'), 1)))", json!({"a": 2})),
    ]);
}

#[test]
fn functions_on_surroundings() {
    hold(&[
        ("resourceGroup().location", json!("westeurope")),
        ("resourceGroup().tags['team']", json!("blue")),
        ("subscription().id", json!(SUB)),
        ("deployment().name", json!("main")),
        ("environment().suffixes.acrLoginServer", json!(".wharf.test")),
        ("tenant().tenantId", json!("t")),
        ("deployer().objectId", json!("o")),
        ("resourceId('Microsoft.X/ys', 'z')", json!(format!("{SUB}/resourceGroups/g/providers/Microsoft.X/ys/z"))),
    ]);
    let members = json!({"parameters": {
        "now": {"type": "string", "defaultValue": "[utcNow()]"},
        "day": {"type": "string", "defaultValue": "[utcNow('yyyy-M-d dddd ''at'' h:mm tt .fff')]"},
        "guid": {"type": "string", "defaultValue": "[newGuid()]"},
        "other": {"type": "string", "defaultValue": "[concat(parameters('now'), '!')]"},
    }});
    for (name, expected) in [
        ("now", "20260921T141320Z"),
        ("day", "2026-9-21 Monday at 2:13 PM .123"),
        ("guid", "00000000-0000-0000-0000-000000000007"),
        ("other", "20260921T141320Z!"),
    ] {
        assert_eq!(value_in(members.clone(), &format!("[parameters('{name}')]")), Ok(json!(expected)), "{name}");
    }
}

#[test]
fn variables_and_functions_of_the_template() {
    let members = json!({
        "variables": {
            "a": "[variables('B').list[1]]",
            "b": {"list": ["x", "[concat('y', 'z')]"], "[concat('k', '1')]": true},
            "copy": [{"name": "loop", "count": 3, "input": {"i": "[copyIndex('loop', 1)]"}}],
            "inner": {"copy": [{"name": "each", "count": "[length(variables('b').list)]", "input": "[variables('b').list[copyIndex('each')]]"}]},
        },
        "functions": [{"namespace": "contoso", "members": {"both": {
            "parameters": [{"name": "first", "type": "string"}, {"name": "second", "type": "string"}],
            "output": {"type": "string", "value": "[concat(parameters('first'), '+', parameters('second'))]"}}}}],
    });
    for (expression, expected) in [
        ("variables('a')", json!("yz")),
        ("variables('b').k1", json!(true)),
        ("variables('loop')[2].i", json!(3)),
        ("variables('inner').each", json!(["x", "yz"])),
        ("contoso.both('1', variables('a'))", json!("1+yz")),
    ] {
        assert_eq!(value_in(members.clone(), &format!("[{expression}]")), Ok(expected), "{expression}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_told_with_the_expression() {
    for (expression, expected) in [
        ("nothing('a')", "the template function 'nothing' is not valid (at 'outputs.x.value[0]')"),
        ("concat('a'", "unable to parse the language expression 'concat('a'': expected ',' or ')' at character 11"),
        ("cidrSubnet('10.0.0.0/8', 16, 0)", "does not support: the template function 'cidrSubnet'"),
        ("parameters('p')", "the template parameter 'p' is not found"),
        ("variables('v')", "the template variable 'v' is not found"),
        (
            "substring('abc', 2, 2)",
            "the template function 'substring' was asked for a part that is not within the text's 3 characters: 'substring('abc', 2, 2)'",
        ),
        ("div(1, 0)", "the template function 'div' cannot divide by zero: 'div(1, 0)'"),
        ("add(9223372036854775807, 1)", "comes to more than 64 bits hold"),
        ("toLower(1)", "expects a string as argument 1 and was given Integer"),
        ("toLower()", "the template function 'toLower' expects 1 arguments and is given 0"),
        (
            "createObject('a', 1).b",
            "the language expression property 'b' doesn't exist in an object with the members 'a'",
        ),
        ("createArray(1)[1]", "element 1 doesn't exist in an array of 1"),
        ("resourceId('x')", "expects at least 2 arguments"),
        ("utcNow()", "is expected in the default of a parameter only"),
        ("copyIndex()", "is expected within a copy loop only"),
        ("format('{0:C}', 1)", "does not support: the format 'C' in 'format('{0:C}', 1)'"),
        ("int('x')", "was given what is no integer"),
        ("contoso.f()", "the template function 'contoso.f' is not defined in the template"),
        ("map(createArray(1), 'x')", "expects a lambda with 1 to 2 variables as argument 2"),
        ("range(0, 10001)", "expects a count from 0 to 10000"),
        ("fail('no good')", "the template says: no good"),
    ] {
        let error = value(&format!("[{expression}]")).unwrap_err();
        assert!(error.contains(expected), "{expression}: {error}");
    }
}

#[test]
fn circles_are_refused() {
    let members = json!({"variables": {"a": "[variables('b')]", "b": "[variables('A')]"}});
    let error = value_in(members, "[variables('a')]").unwrap_err();
    assert!(error.contains("there is a circle: variable 'a' → variable 'b' → variable 'A'"), "{error}");
    let members = json!({"parameters": {"a": {"type": "string", "defaultValue": "[parameters('a')]"}}});
    assert!(value_in(members, "[1]").unwrap_err().contains("circle"));
    let members = json!({"functions": [{"namespace": "n", "members": {"f": {"output": {"type": "string", "value": "[n.f()]"}}}}]});
    assert!(value_in(members, "[n.f()]").unwrap_err().contains("circle"));
}

#[test]
fn secrets_are_not_in_errors() {
    for expression in [
        "int(parameters('p'))",
        "json(parameters('p'))",
        "parameters('p').x",
        "base64ToString(parameters('p'))",
        "substring(parameters('p'), 50)",
        "format('{0:D}', parameters('p'))",
        "uri(parameters('p'), 'x')",
        "bool(parameters('p'))",
    ] {
        let members = json!({"parameters": {"p": {"type": "securestring", "defaultValue": "s3cret!"}}});
        let error = value_in(members, &format!("[{expression}]")).unwrap_err();
        assert!(!error.contains("s3cret"), "{expression}: {error}");
    }
}

proptest! {
    #[test]
    fn any_call_ends_in_a_value_or_an_error(
        name in prop::sample::select(vec![
            "add", "array", "base64ToString", "bool", "coalesce", "concat", "contains", "copyIndex", "createArray",
            "createObject", "dataUriToString", "dateTimeAdd", "dateTimeFromEpoch", "div", "empty", "equals", "first",
            "flatten", "format", "guid", "if", "indexOf", "int", "intersection", "items", "join", "json", "lastIndexOf",
            "length", "less", "max", "mod", "mul", "padLeft", "range", "replace", "resourceId", "skip", "split",
            "string", "substring", "take", "tryGet", "tryIndexFromEnd", "union", "uri", "uriComponentToString",
        ]),
        arguments in prop::collection::vec(prop_oneof![
            "[a-z{}0:,D%/. -]{0,12}".prop_map(|text| format!("'{text}'")),
            "-?P[0-9]{1,12}[YMWDT\u{e4}\u{33b}]{1,3}".prop_map(|text| format!("'{text}'")),
            any::<i64>().prop_map(|number| number.to_string()),
            (-3..9_i64).prop_map(|number| number.to_string()),
            Just("createArray('a', 1)".to_owned()),
            Just("json('{\"a\": [1]}')".to_owned()),
            Just("null()".to_owned()),
            Just("true()".to_owned()),
        ], 0..4),
    ) {
        let _ = value(&format!("[{name}({})]", arguments.join(", ")));
    }
}
