//! Calculations with templates, off the threads that answer requests: a template may make a second of work.

use tokio::sync::Semaphore;
use wharf_arm::template::TemplateError;

use crate::failure::Failure;

/// Runs a calculation where it keeps nobody waiting. A panic in it is an error of its own request.
pub(super) async fn in_background<T: Send + 'static>(
    calculate: impl FnOnce() -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, Failure> {
    /// Few at a time, since each may take the memory that a template may.
    static PERMITS: Semaphore = Semaphore::const_new(4);
    let permit = PERMITS.acquire().await.map_err(Failure::internal)?;
    let done = tokio::task::spawn_blocking(move || {
        let outcome = calculate();
        drop(permit);
        outcome
    });
    Ok(done.await.map_err(Failure::internal)?.map_err(wharf_arm::ArmError::from)?)
}
