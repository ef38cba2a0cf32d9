//! One piece of work for many who want its result at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Work that is under way, by key. It goes on when those who wait leave.
#[derive(Clone, Debug)]
pub(super) struct Flights<T>(Arc<Mutex<HashMap<String, watch::Receiver<Option<T>>>>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// The result of the work under this key: of that which is under way, else of `work`. `None` when it came to no end.
    pub(super) async fn join<F>(&self, key: &str, work: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut result = self.begin(key, work);
        let arrived = result.wait_for(Option::is_some).await.ok()?;
        arrived.clone()
    }

    fn begin<F>(&self, key: &str, work: impl FnOnce() -> F) -> watch::Receiver<Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut under_way = self.lock();
        if let Some(result) = under_way.get(key) {
            return result.clone();
        }
        let (sender, result) = watch::channel(None);
        under_way.insert(key.to_owned(), result.clone());
        drop(under_way);
        // Forgotten in any case, also when the work panics.
        let landing = Landing { flights: self.clone(), key: key.to_owned() };
        let work = work();
        tokio::spawn(async move {
            let arrived = work.await;
            drop(landing);
            sender.send_replace(Some(arrived));
        });
        result
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Receiver<Option<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Landing<T> {
    flights: Flights<T>,
    key: String,
}

impl<T> Drop for Landing<T> {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn many_share_one_result_and_the_next_begins_anew() {
        let flights: Flights<u32> = Flights::default();
        let (count, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let work = || {
            let (count, go) = (count.clone(), go.clone());
            async move {
                go.notified().await;
                count.fetch_add(1, Ordering::Relaxed) + 1
            }
        };
        let waiting: Vec<_> = (0..100).map(|_| flights.join("k", work)).collect();
        let all = futures_util::future::join_all(waiting);
        let (results, ()) = tokio::join!(all, async {
            tokio::task::yield_now().await;
            go.notify_one();
        });
        assert!(results.iter().all(|result| *result == Some(1)));
        go.notify_one();
        assert_eq!(flights.join("k", work).await, Some(2));
    }

    #[tokio::test]
    async fn work_goes_on_when_who_began_it_leaves() {
        let flights: Flights<u32> = Flights::default();
        let go = Arc::new(Notify::new());
        let begun = {
            let go = go.clone();
            flights.begin("k", || async move {
                go.notified().await;
                7
            })
        };
        drop(begun);
        let follower = flights.join("k", || async { 8 });
        go.notify_one();
        assert_eq!(follower.await, Some(7));
    }

    #[tokio::test]
    async fn a_panic_ends_the_flight_and_no_more() {
        let flights: Flights<u32> = Flights::default();
        assert_eq!(flights.join("k", || async { panic!("on purpose") }).await, None);
        assert_eq!(flights.join("k", || async { 1 }).await, Some(1));
    }
}
