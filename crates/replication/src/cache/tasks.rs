//! What goes on when nobody waits for it: counted, so that somebody can wait for all of it.

use std::sync::Arc;

use tokio::sync::watch;

/// Work in the background. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Tasks(Arc<watch::Sender<usize>>);

impl Default for Tasks {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Tasks {
    /// Runs `work`, whoever leaves.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let under_way = self.begin();
        tokio::spawn(async move {
            work.await;
            drop(under_way);
        });
    }

    /// Counts until what is returned is dropped.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.send_modify(|count| *count += 1);
        UnderWay(self.clone())
    }

    /// Waits until nothing is under way.
    pub(super) async fn settle(&self) {
        // The sender is ours, so this cannot fail.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// Something that is under way.
#[derive(Debug)]
pub(super) struct UnderWay(Tasks);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
