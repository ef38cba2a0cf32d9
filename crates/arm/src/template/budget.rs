//! How much work and room an evaluation has taken, so that template bombs end early.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::error::TemplateError;
use super::limits;

/// What one deployment, with all that are in it, has used.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    steps: AtomicU64,
    bytes: AtomicU64,
    resources: AtomicU64,
}

impl Budget {
    /// Counts one step, or several.
    pub(crate) fn step(&self, place: &str, steps: u64) -> Result<(), TemplateError> {
        if self.steps.fetch_add(steps, Ordering::Relaxed) + steps > limits::STEPS {
            let what = format!("its expressions take more than {} steps", limits::STEPS);
            return Err(TemplateError::TooLarge { place: place.to_owned(), what });
        }
        Ok(())
    }

    /// Counts one resource.
    pub(crate) fn resource(&self, place: &str) -> Result<(), TemplateError> {
        if self.resources.fetch_add(1, Ordering::Relaxed) >= limits::RESOURCES_ALTOGETHER {
            let what =
                format!("there are more than {} resources with the deployments in it", limits::RESOURCES_ALTOGETHER);
            return Err(TemplateError::TooLarge { place: place.to_owned(), what });
        }
        Ok(())
    }

    /// Counts a value that was produced, and refuses one that nests too deep.
    pub(crate) fn charge(&self, place: &str, value: &Value) -> Result<(), TemplateError> {
        let too_large = |what| Err(TemplateError::TooLarge { place: place.to_owned(), what });
        let (bytes, depth) = measure(value);
        if depth > limits::DEPTH {
            return too_large(format!("a value nests deeper than {}", limits::DEPTH));
        }
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > limits::PRODUCED_BYTES {
            return too_large(format!("its expressions produce more than {} MiB", limits::PRODUCED_BYTES >> 20));
        }
        Ok(())
    }
}

/// About how many bytes a value takes, and how deep it nests.
fn measure(value: &Value) -> (u64, usize) {
    /// What a value takes beside its content.
    const EACH: u64 = 32;
    let together = |(bytes, depth): (u64, usize), (more, other): (u64, usize)| (bytes + more, depth.max(other));
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => (EACH, 0),
        Value::String(text) => (EACH + text.len() as u64, 0),
        Value::Array(elements) => {
            let (bytes, depth) = elements.iter().map(measure).fold((EACH, 0), together);
            (bytes, depth + 1)
        }
        Value::Object(members) => {
            let each = members.iter().map(|(name, value)| {
                let (bytes, depth) = measure(value);
                (bytes + EACH + name.len() as u64, depth)
            });
            let (bytes, depth) = each.fold((EACH, 0), together);
            (bytes, depth + 1)
        }
    }
}
