//! Errors say where they are, and have Azure's codes.

use serde_json::json;

use super::{plan, plan_at, registry};
use crate::template::Known;
use crate::{ArmError, Code};

#[test]
fn errors_are_answers_with_codes_and_targets() {
    let bad_function =
        plan(json!({"resources": [registry("r", json!({"tags": {"a": ["[nothing()]"]}}))]})).unwrap_err();
    let answer = ArmError::from(bad_function);
    assert_eq!((answer.code, answer.target.as_deref()), (Code::InvalidTemplate, Some("resources[0].tags.a[0]")));

    let unsupported =
        plan(json!({"outputs": {"o": {"type": "string", "value": "[pickZones('a', 'b', 'c')]"}}})).unwrap_err();
    let answer = ArmError::from(unsupported);
    assert_eq!(answer.code, Code::InvalidTemplateDeployment);
    assert!(answer.message.contains("'pickZones'") && answer.message.contains("outputs.o.value"), "{}", answer.message);

    let parameter =
        plan_at(&super::group(), json!({"parameters": {"p": {"type": "int"}}}), json!({"p": "x"})).unwrap_err();
    assert_eq!(ArmError::from(parameter).target.as_deref(), Some("parameters.p"));

    let inner = json!({"type": "Microsoft.Resources/deployments", "apiVersion": "2025-04-01", "name": "in", "properties": {
        "mode": "Incremental", "template": super::template(json!({"resources": [registry("r", json!({"tags": "[x()]"}))]}))}});
    let outer = plan(json!({"resources": [inner]})).unwrap();
    let answer = ArmError::from(outer.nested(0, &Known::default()).unwrap_err());
    assert_eq!(answer.target.as_deref(), Some("resources[0].properties.template.resources[0].tags"));
}

#[test]
fn hidden_branches_are_checked_too() {
    let outputs = json!({"outputs": {"o": {"type": "string", "value": "[if(true(), 'a', nothing())]"}}});
    assert!(plan(outputs).unwrap_err().to_string().contains("'nothing' is not valid"));
    let names = json!({"outputs": {"o": {"type": "object", "value": {"[nothing()]": 1}}}});
    assert!(plan(names).unwrap_err().to_string().contains("'nothing' is not valid"));
}
