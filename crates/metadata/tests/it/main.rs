//! One suite for every engine: what holds on SQLite holds on PostgreSQL.

/// Stamps each test of the module that it stands in for an engine.
macro_rules! store_suite {
    ($engine:ident: $($test:ident),+ $(,)?) => {
        mod $engine {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    let engine = crate::engine::$engine().await;
                    super::$test(engine.database.clone()).await;
                    engine.stop().await;
                }
            )+
        }
    };
}

macro_rules! all_engines {
    ($($test:ident),+ $(,)?) => {
        store_suite!(sqlite: $($test),+);
        store_suite!(postgres: $($test),+);
    };
}

mod attributes;
mod cache;
mod charts;
mod deployments;
mod directory;
mod engine;
mod imports;
mod jobs;
mod policies;
mod pulls;
mod purge;
mod registries;
mod resources;
mod roles;
mod sign_ins;
mod sizes;
mod suite;
mod tokens;
mod trash;
mod values;
