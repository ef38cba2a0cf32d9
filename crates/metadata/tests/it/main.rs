//! One suite for every engine: what holds on SQLite holds on PostgreSQL.

mod engine;
mod suite;

/// Stamps each test of the suite for an engine.
macro_rules! store_suite {
    ($engine:ident: $($test:ident),+ $(,)?) => {
        mod $engine {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    let engine = crate::engine::$engine().await;
                    crate::suite::$test(engine.database.clone()).await;
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

all_engines!(
    a_failed_write_leaves_nothing_and_spares_its_neighbours,
    a_write_that_panics_ends_alone,
    a_write_goes_on_when_its_caller_stops_waiting,
    changes_are_dense_per_registry_under_concurrency,
    a_registry_is_created_once_and_deleted_whole,
    admin_changes_start_a_new_generation,
    listings_are_in_the_order_of_bytes_and_lose_nothing,
    a_tag_moves_and_is_removed_alone,
    of_many_pushes_of_one_blob_one_is_kept,
    the_collector_and_a_push_never_both_win,
    an_object_is_claimed_or_doomed_never_both,
    a_referenced_link_cannot_be_cut,
    deleting_a_manifest_frees_its_blobs,
    referrers_are_paged_and_filtered,
    manifests_with_thousands_of_layers_are_written_whole,
    settings_are_put_once,
    signing_keys_expire,
    uploads_are_kept_and_expire,
    the_schema_can_be_opened_again,
);
