//! How large a template may be, and how much work it may make. Numbers that Azure documents are Azure's
//! ("Template limits"); the others are ours, far above what templates need and far below what hurts a server.

/// The template's text, in bytes.
pub const TEMPLATE_BYTES: usize = 4 * 1024 * 1024;
/// Parameters of a template.
pub const PARAMETERS: usize = 256;
/// Variables of a template.
pub const VARIABLES: usize = 512;
/// Resources, with all copies, in one template.
pub const RESOURCES: usize = 800;
/// Outputs of a template.
pub const OUTPUTS: usize = 64;
/// Characters of one expression.
pub const EXPRESSION_CHARACTERS: usize = 24_576;
/// Iterations of one copy loop.
pub const COPIES: i64 = 800;
/// Elements that `range` returns.
pub const RANGE: i64 = 10_000;
/// Deployments within deployments.
pub const NESTED_DEPLOYMENTS: usize = 5;

/// How deep JSON may nest, in documents and in results.
pub const DEPTH: usize = 100;
/// How deep an expression may nest.
pub const EXPRESSION_DEPTH: usize = 60;
/// How deep evaluations may nest through variables, parameters and functions of the template.
pub const EVALUATION_DEPTH: usize = 200;
/// Values in one document.
pub const VALUES: usize = 250_000;
/// Bytes of one text that an expression returns.
pub const TEXT_BYTES: usize = 1024 * 1024;
/// Resources of one deployment, with the deployments in it.
pub const RESOURCES_ALTOGETHER: u64 = 5_000;
/// Evaluation steps of one deployment, with the deployments in it.
pub const STEPS: u64 = 1_000_000;
/// Bytes that the expressions of one deployment may produce altogether.
pub const PRODUCED_BYTES: u64 = 32 * 1024 * 1024;
