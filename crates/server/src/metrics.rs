//! Counts for Prometheus, at `/metrics`.
//!
//! Labels have few values: the name of an endpoint, a method, the class of a status. What a request counts is looked up
//! once per endpoint, method and class, and kept, so that counting costs a few atomic additions.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use wharf_jobs::Statistics;
use wharf_metadata::CommitStatistics;

use crate::log::AccessLine;

/// All counters. Clones share them.
#[derive(Clone)]
pub(crate) struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram, fn() -> Histogram>,
    received: Counter,
    sent: Counter,
    connections: Family<ListenerLabels, Gauge>,
    uploads: Gauge,
    commits: Counter,
    writes: Counter,
    pulls: Family<PullLabels, Counter>,
    open_jobs: Family<OpenJobLabels, Gauge>,
    job_attempts: Family<AttemptLabels, Counter>,
    routes: RwLock<HashMap<usize, Arc<Route>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PullLabels {
    registry: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpenJobLabels {
    kind: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}

/// Methods that are told apart; others are one.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];

/// Classes of status.
const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "cut"];

/// Upper bounds of the duration's buckets, in seconds: manifests take tens of microseconds, layers minutes.
const BUCKETS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];

/// The counters of one endpoint.
struct Route {
    requests: [[OnceLock<Counter>; CLASSES.len()]; METHODS.len()],
    duration: Histogram,
}

impl Metrics {
    /// Counters that stand at zero.
    pub(crate) fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            received: Counter::default(),
            sent: Counter::default(),
            connections: Family::default(),
            uploads: Gauge::default(),
            commits: Counter::default(),
            writes: Counter::default(),
            pulls: Family::default(),
            open_jobs: Family::default(),
            job_attempts: Family::default(),
            routes: RwLock::default(),
        };
        let registry = &mut inner.registry;
        registry.register(
            "registry_requests",
            "Requests by endpoint, method and class of status; the class cut is an answer that was not sent to its end",
            inner.requests.clone(),
        );
        registry.register_with_unit(
            "registry_request_duration",
            "Time from a request's head to the last byte of its answer",
            Unit::Seconds,
            inner.durations.clone(),
        );
        registry.register_with_unit(
            "registry_received",
            "Bytes of requests' bodies",
            Unit::Bytes,
            inner.received.clone(),
        );
        registry.register_with_unit("registry_sent", "Bytes of answers' bodies", Unit::Bytes, inner.sent.clone());
        registry.register("registry_open_connections", "Connections that are open", inner.connections.clone());
        registry.register("registry_uploads_in_flight", "Requests that carry an upload now", inner.uploads.clone());
        registry.register("registry_commits", "Transactions committed to the database", inner.commits.clone());
        registry.register(
            "registry_commit_writes",
            "Writes that those transactions carried; divided by them, how well writers share a commit",
            inner.writes.clone(),
        );
        registry.register(
            "registry_pulls",
            "Manifests that were pulled, by registry; some seconds late",
            inner.pulls.clone(),
        );
        registry.register("registry_jobs", "Jobs that wait or run, on all nodes", inner.open_jobs.clone());
        registry.register(
            "registry_job_attempts",
            "Attempts at jobs that have ended here: how the job ended, or retried",
            inner.job_attempts.clone(),
        );
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("registry_build", "The program that runs", build);
        Self { inner: Arc::new(inner) }
    }

    /// Counts a request that has ended.
    pub(crate) fn count_request(&self, line: &AccessLine<'_>) {
        let route = self.route(line.route);
        let method = METHODS.iter().position(|method| *method == line.method).unwrap_or(METHODS.len() - 1);
        let class = if line.is_cut_short { CLASSES.len() - 1 } else { usize::from(line.status / 100).clamp(1, 5) - 1 };
        let labels = || RequestLabels { route: line.route, method: METHODS[method], status: CLASSES[class] };
        route.requests[method][class].get_or_init(|| self.inner.requests.get_or_create_owned(&labels())).inc();
        route.duration.observe(line.duration.as_secs_f64());
        if line.received_bytes > 0 {
            self.inner.received.inc_by(line.received_bytes);
        }
        if line.sent_bytes > 0 {
            self.inner.sent.inc_by(line.sent_bytes);
        }
    }

    /// The counters of an endpoint, found by where its name lies in memory: names are constants of the program. One that
    /// lies there twice is found twice and counts the same.
    fn route(&self, name: &'static str) -> Arc<Route> {
        let key = name.as_ptr().addr();
        let routes = self.inner.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = routes.get(&key) {
            return route.clone();
        }
        drop(routes);
        let duration = self.inner.durations.get_or_create_owned(&RouteLabels { route: name });
        let route = Arc::new(Route { requests: Default::default(), duration });
        self.inner.routes.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(route).clone()
    }

    /// Counts a connection for as long as the result lives.
    pub(crate) fn open_connection(&self, listener: &'static str) -> GaugeGuard {
        GaugeGuard::new(self.inner.connections.get_or_create_owned(&ListenerLabels { listener }))
    }

    /// Counts an upload for as long as the result lives.
    pub(crate) fn begin_upload(&self) -> GaugeGuard {
        GaugeGuard::new(self.inner.uploads.clone())
    }

    /// Takes over what the database counted.
    pub(crate) fn set_commits(&self, statistics: &CommitStatistics) {
        let load = |total: &AtomicU64| total.load(std::sync::atomic::Ordering::Relaxed);
        catch_up(&self.inner.commits, load(&statistics.commits));
        catch_up(&self.inner.writes, load(&statistics.writes));
    }

    /// Takes over what was pulled from each registry.
    pub(crate) fn set_pulls(&self, totals: Vec<(String, u64)>) {
        for (registry, total) in totals {
            catch_up(&self.inner.pulls.get_or_create_owned(&PullLabels { registry }), total);
        }
    }

    /// Takes over what the workers of jobs did.
    pub(crate) fn set_jobs(&self, statistics: &Statistics) {
        for (kind, counts) in statistics.kinds() {
            for (state, count) in [("pending", counts.pending), ("running", counts.running)] {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                self.inner.open_jobs.get_or_create_owned(&OpenJobLabels { kind, state }).set(count);
            }
            let outcomes = [
                ("succeeded", counts.succeeded),
                ("failed", counts.failed),
                ("canceled", counts.canceled),
                ("retried", counts.retried),
            ];
            for (outcome, total) in outcomes {
                catch_up(&self.inner.job_attempts.get_or_create_owned(&AttemptLabels { kind, outcome }), total);
            }
        }
    }

    /// Everything, in the text format of OpenMetrics.
    pub(crate) fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.inner.registry).expect("writing into a string cannot fail");
        text
    }
}

/// Brings a counter to a total that was counted elsewhere.
fn catch_up(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

/// One more for as long as it lives.
pub(crate) struct GaugeGuard(Gauge);

impl GaugeGuard {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(status: u16, is_cut_short: bool) -> AccessLine<'static> {
        AccessLine {
            request_id: None,
            method: "GET",
            route: "manifest.get",
            status,
            registry: None,
            repository: None,
            digest: None,
            upload: None,
            caller: None,
            received_bytes: 3,
            sent_bytes: 5,
            is_cut_short,
            duration: Duration::from_micros(300),
        }
    }

    #[test]
    fn requests_are_counted_by_few_labels() {
        let metrics = Metrics::new();
        for line in [line(200, false), line(201, false), line(404, false), line(200, true), line(999, false)] {
            metrics.count_request(&line);
        }
        metrics.count_request(&AccessLine { method: "BREW", ..line(200, false) });
        let open = metrics.open_connection("http");
        for pulls in [3, 7] {
            metrics.set_pulls(vec![("contoso".into(), pulls)]);
        }
        let text = metrics.encode();
        for expected in [
            r#"registry_requests_total{route="manifest.get",method="GET",status="2xx"} 2"#,
            r#"registry_requests_total{route="manifest.get",method="GET",status="4xx"} 1"#,
            r#"registry_requests_total{route="manifest.get",method="GET",status="5xx"} 1"#,
            r#"registry_requests_total{route="manifest.get",method="GET",status="cut"} 1"#,
            r#"registry_requests_total{route="manifest.get",method="other",status="2xx"} 1"#,
            r#"registry_request_duration_seconds_count{route="manifest.get"} 6"#,
            "registry_received_bytes_total 18",
            "registry_sent_bytes_total 30",
            r#"registry_open_connections{listener="http"} 1"#,
            "registry_build_info{version=",
            r#"registry_pulls_total{registry="contoso"} 7"#,
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
        drop(open);
        assert!(metrics.encode().contains(r#"registry_open_connections{listener="http"} 0"#));
    }
}
