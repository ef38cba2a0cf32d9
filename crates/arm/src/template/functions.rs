//! The functions of the template language, by name.
//!
//! Here are those that need nothing but their arguments. Those that look at the template, the deployment or resources
//! (`parameters`, `resourceId`, `reference` …), and those that do not evaluate all their arguments (`if`, `map` …), are
//! the evaluator's own, see `evaluate.rs`.
//!
//! Source: "ARM template functions".

mod arguments;
mod collections;
mod comparison;
mod dates;
mod format;
mod logic;
mod numbers;
mod text;

pub(crate) use arguments::{as_text, kind_of, member, same};
pub(crate) use dates::now_as_text;

use serde_json::Value;

use super::error::Fault;

/// A function of its arguments alone: how few and how many it takes, and itself.
pub(crate) struct Function {
    pub(crate) fewest: usize,
    pub(crate) most: usize,
    pub(crate) run: fn(Vec<Value>) -> Result<Value, Fault>,
}

/// No limit but that of the expression's length.
const ANY: usize = usize::MAX;

/// The function with this name, given in lower case.
pub(crate) fn find(name: &str) -> Option<Function> {
    let function = |fewest, most, run| Some(Function { fewest, most, run });
    match name {
        "base64" => function(1, 1, text::base64),
        "base64tostring" => function(1, 1, text::base64_to_string),
        "base64tojson" => function(1, 1, text::base64_to_json),
        "datauri" => function(1, 1, text::data_uri),
        "datauritostring" => function(1, 1, text::data_uri_to_string),
        "endswith" => function(2, 2, text::ends_with),
        "startswith" => function(2, 2, text::starts_with),
        "format" => function(1, ANY, format::format),
        "guid" => function(1, ANY, text::guid),
        "indexof" => function(2, 2, text::index_of),
        "lastindexof" => function(2, 2, text::last_index_of),
        "join" => function(2, 2, text::join),
        "padleft" => function(2, 3, text::pad_left),
        "replace" => function(3, 3, text::replace),
        "split" => function(2, 2, text::split),
        "string" => function(1, 1, text::string),
        "substring" => function(2, 3, text::substring),
        "tolower" => function(1, 1, text::to_lower),
        "toupper" => function(1, 1, text::to_upper),
        "trim" => function(1, 1, text::trim),
        "uniquestring" => function(1, ANY, text::unique_string),
        "uri" => function(2, 2, text::uri),
        "uricomponent" => function(1, 1, text::uri_component),
        "uricomponenttostring" => function(1, 1, text::uri_component_to_string),
        "array" => function(1, 1, collections::array),
        "concat" => function(1, ANY, collections::concat),
        "contains" => function(2, 2, collections::contains),
        "createarray" => function(0, ANY, collections::create_array),
        "createobject" => function(0, ANY, collections::create_object),
        "empty" => function(1, 1, collections::empty),
        "first" => function(1, 1, collections::first),
        "last" => function(1, 1, collections::last),
        "flatten" => function(1, 1, collections::flatten),
        "intersection" => function(2, ANY, collections::intersection),
        "items" => function(1, 1, collections::items),
        "length" => function(1, 1, collections::length),
        "objectkeys" => function(1, 1, collections::object_keys),
        "range" => function(2, 2, collections::range),
        "shallowmerge" => function(1, 1, collections::shallow_merge),
        "skip" => function(2, 2, collections::skip),
        "take" => function(2, 2, collections::take),
        "tryget" => function(2, ANY, collections::try_get),
        "tryindexfromend" => function(2, 2, collections::try_index_from_end),
        "indexfromend" => function(2, 2, collections::index_from_end),
        "union" => function(2, ANY, collections::union),
        "add" => function(2, 2, numbers::add),
        "sub" => function(2, 2, numbers::sub),
        "mul" => function(2, 2, numbers::mul),
        "div" => function(2, 2, numbers::div),
        "mod" => function(2, 2, numbers::modulo),
        "min" => function(1, ANY, numbers::min),
        "max" => function(1, ANY, numbers::max),
        "int" => function(1, 1, numbers::int),
        "float" => function(1, 1, numbers::float),
        "bool" => function(1, 1, logic::bool),
        "not" => function(1, 1, logic::not),
        "true" => function(0, 0, |_| Ok(Value::Bool(true))),
        "false" => function(0, 0, |_| Ok(Value::Bool(false))),
        "null" => function(0, 0, |_| Ok(Value::Null)),
        "json" => function(1, 1, logic::json),
        "equals" => function(2, 2, comparison::equals),
        "less" => function(2, 2, comparison::less),
        "lessorequals" => function(2, 2, comparison::less_or_equals),
        "greater" => function(2, 2, comparison::greater),
        "greaterorequals" => function(2, 2, comparison::greater_or_equals),
        "datetimeadd" => function(2, 3, dates::date_time_add),
        "datetimefromepoch" => function(1, 1, dates::date_time_from_epoch),
        "datetimetoepoch" => function(1, 1, dates::date_time_to_epoch),
        _ => None,
    }
}

/// Whether Azure has a function of this name, given in lower case, that is not here.
pub(crate) fn is_unsupported(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "cidrhost",
        "cidrsubnet",
        "externalinput",
        "extension",
        "extensions",
        "getsecret",
        "managementgroup",
        "managementgroupresourceid",
        "parsecidr",
        "pickzones",
        "providers",
        "resourceinfo",
        "tologicalzone",
        "tologicalzones",
        "tophysicalzone",
        "tophysicalzones",
    ];
    NAMES.contains(&name)
}
