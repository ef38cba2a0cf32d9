//! What every store promises, written once.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use proptest::test_runner::{Config, TestRunner};
use wharf_blobs::Error;
use wharf_model::{Algorithm, Digest};

use crate::support::{Fixture, content, eventually, list, new_key, put, read, read_all, write_frames};

/// Stamps the suite for one kind of store: a test function per promise.
macro_rules! store_suite {
    ($fixture:ty) => {
        store_suite!(@ $fixture:
            empty_blobs_exist,
            sizes_around_the_borders_of_batches,
            many_small_frames,
            ranges_are_what_they_say,
            an_upload_resumes_at_any_acknowledged_length,
            resuming_nothing,
            digests_of_both_algorithms,
            digests_may_be_asked_for_at_any_time,
            many_uploads_at_once,
            deleting_does_not_disturb_readers,
            what_is_missing_is_said_to_be,
            a_truncated_blob_is_never_served_as_whole,
            a_range_past_the_end_is_an_error,
            a_dropped_upload_leaves_nothing,
            an_acknowledged_upload_stays_when_dropped,
            a_key_is_not_written_twice,
            whoever_resumes_puts_an_end_to_the_earlier_writer,
            deleting_puts_an_end_to_the_writer,
            lists_are_complete_and_in_order,
            probes_leave_nothing,
            a_growing_blob_is_read_as_far_as_it_is_written,
        );
    };
    (@ $fixture:ty: $($test:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $crate::suite::$test::<$fixture>().await;
            }
        )*
    };
}

pub(crate) async fn empty_blobs_exist<F: Fixture>() {
    let fixture = F::new();
    let key = new_key();
    let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
    writer.write(Bytes::new()).await.unwrap();
    writer.sync().await.unwrap();
    assert_eq!(writer.digest(Algorithm::Sha256).await.unwrap(), Digest::of(Algorithm::Sha256, b""));
    assert_eq!(writer.digest(Algorithm::Sha512).await.unwrap(), Digest::of(Algorithm::Sha512, b""));
    let blob = fixture.store().open(&key).await.unwrap();
    assert_eq!(blob.size(), 0);
    assert!(read(&blob, 0..0).await.unwrap().is_empty());
}

pub(crate) async fn sizes_around_the_borders_of_batches<F: Fixture>() {
    const MIB: usize = 1 << 20;
    let mut fixture = F::new();
    let mut stored = Vec::new();
    for size in [1, 65_535, 65_537, MIB / 2 - 1, MIB / 2, MIB / 2 + 1, MIB - 1, MIB, MIB + 1, 8 * MIB + 3, 24 * MIB + 1]
    {
        for frame in [65_536, 300_001, usize::MAX] {
            let bytes = content(size, size as u64);
            let key = new_key();
            let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
            write_frames(writer.as_mut(), &bytes, frame).await.unwrap();
            assert_eq!(writer.length(), size as u64);
            writer.sync().await.unwrap();
            let digest = writer.digest(Algorithm::Sha256).await.unwrap();
            assert_eq!(digest, Digest::of(Algorithm::Sha256, &bytes), "{size} in frames of {frame}");
            drop(writer);
            assert!(read_all(fixture.store(), &key).await.unwrap() == bytes, "{size} in frames of {frame}");
            stored.push((key, bytes));
        }
    }
    fixture.restart().await;
    for (key, bytes) in stored {
        assert!(read_all(fixture.store(), &key).await.unwrap() == bytes, "{} bytes after a restart", bytes.len());
    }
}

pub(crate) async fn many_small_frames<F: Fixture>() {
    let fixture = F::new();
    let bytes = content(100_003, 5);
    for frame in [1, 7, 1000] {
        let key = new_key();
        let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
        write_frames(writer.as_mut(), &bytes, frame).await.unwrap();
        assert_eq!(writer.digest(Algorithm::Sha256).await.unwrap(), Digest::of(Algorithm::Sha256, &bytes));
        writer.sync().await.unwrap();
        assert!(read_all(fixture.store(), &key).await.unwrap() == bytes, "frames of {frame}");
    }
}

pub(crate) async fn ranges_are_what_they_say<F: Fixture>() {
    let fixture = F::new();
    let bytes = content(3_000_000, 1);
    let key = put(fixture.store(), &bytes).await;
    let blob = fixture.store().open(&key).await.unwrap();
    assert_eq!(blob.size(), bytes.len() as u64);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        let length = bytes.len();
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(200) })
            .run(&(0..=length, 0..=length), |(a, b)| {
                let range = a.min(b)..a.max(b);
                let read = runtime.block_on(read(&blob, range.clone())).unwrap();
                proptest::prop_assert!(read == bytes[range]);
                Ok(())
            })
            .unwrap();
    });
}

pub(crate) async fn an_upload_resumes_at_any_acknowledged_length<F: Fixture>() {
    let bytes = content(3 << 20, 2);
    for (length, extra) in [(1, 0), (1000, 1), (1 << 20, 70_000), ((1 << 20) + 1, 1 << 20), (2_000_001, 3)] {
        let mut fixture = F::new();
        let key = new_key();
        let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
        write_frames(writer.as_mut(), &bytes.slice(..length), 65_536).await.unwrap();
        writer.sync().await.unwrap();
        // Taken but not acknowledged: other bytes than those that will come in their place.
        writer.write(content(extra, 3)).await.unwrap();
        let _ = writer.digest(Algorithm::Sha256).await.unwrap();
        drop(writer);

        fixture.restart().await;
        let mut writer = fixture.store().resume(&key, length as u64, Algorithm::Sha256).await.unwrap();
        assert_eq!(writer.length(), length as u64);
        let so_far = writer.digest(Algorithm::Sha256).await.unwrap();
        assert_eq!(so_far, Digest::of(Algorithm::Sha256, &bytes[..length]));
        write_frames(writer.as_mut(), &bytes.slice(length..), 200_000).await.unwrap();
        writer.sync().await.unwrap();
        assert_eq!(writer.digest(Algorithm::Sha256).await.unwrap(), Digest::of(Algorithm::Sha256, &bytes));
        assert!(read_all(fixture.store(), &key).await.unwrap() == bytes, "resumed at {length}");
    }
}

pub(crate) async fn resuming_nothing<F: Fixture>() {
    let fixture = F::new();
    let missing = fixture.store().resume(&new_key(), 5, Algorithm::Sha256).await;
    assert!(matches!(missing.err(), Some(Error::Missing { .. })));

    let short = put(fixture.store(), &content(10, 1)).await;
    let truncated = fixture.store().resume(&short, 11, Algorithm::Sha256).await;
    assert!(matches!(truncated.err(), Some(Error::Truncated { expected_bytes: 11, found_bytes: 10, .. })));
    assert_eq!(read_all(fixture.store(), &short).await.unwrap().len(), 10, "a failed attempt changes nothing");

    // A session without bytes may come back, whether or not anything was made for it.
    let key = new_key();
    let mut writer = fixture.store().resume(&key, 0, Algorithm::Sha256).await.unwrap();
    writer.write(content(10, 2)).await.unwrap();
    writer.sync().await.unwrap();
    let mut writer = fixture.store().resume(&key, 0, Algorithm::Sha256).await.unwrap();
    writer.write(content(7, 3)).await.unwrap();
    writer.sync().await.unwrap();
    assert!(read_all(fixture.store(), &key).await.unwrap() == content(7, 3));
}

pub(crate) async fn digests_of_both_algorithms<F: Fixture>() {
    let fixture = F::new();
    for size in [10, 100_000, 2_000_000] {
        let bytes = content(size, 9);
        for first in [Algorithm::Sha256, Algorithm::Sha512] {
            let mut writer = fixture.store().create(&new_key(), first).await.unwrap();
            write_frames(writer.as_mut(), &bytes, 65_536).await.unwrap();
            for algorithm in [Algorithm::Sha512, Algorithm::Sha256, Algorithm::Sha512] {
                assert_eq!(writer.digest(algorithm).await.unwrap(), Digest::of(algorithm, &bytes));
            }
        }
    }
}

pub(crate) async fn digests_may_be_asked_for_at_any_time<F: Fixture>() {
    let fixture = F::new();
    let bytes = content(1_500_000, 4);
    let key = new_key();
    let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
    for (number, start) in (0..bytes.len()).step_by(50_000).enumerate() {
        writer.write(bytes.slice(start..start + 50_000)).await.unwrap();
        match number % 4 {
            0 => writer.sync().await.unwrap(),
            1 => {}
            _ => {
                let digest = writer.digest(Algorithm::Sha256).await.unwrap();
                assert_eq!(digest, Digest::of(Algorithm::Sha256, &bytes[..start + 50_000]));
            }
        }
    }
    writer.sync().await.unwrap();
    writer.sync().await.unwrap();
    assert!(read_all(fixture.store(), &key).await.unwrap() == bytes);
}

pub(crate) async fn many_uploads_at_once<F: Fixture>() {
    let fixture = F::new();
    let uploads = (0..50_usize).map(|number| {
        let store = fixture.store();
        async move {
            let bytes = content(number * 77_777 + 1, number as u64);
            let key = new_key();
            let mut writer = store.create(&key, Algorithm::Sha256).await.unwrap();
            write_frames(writer.as_mut(), &bytes, 30_000).await.unwrap();
            writer.sync().await.unwrap();
            assert_eq!(writer.digest(Algorithm::Sha256).await.unwrap(), Digest::of(Algorithm::Sha256, &bytes));
            assert!(read_all(store, &key).await.unwrap() == bytes);
        }
    });
    futures_util::future::join_all(uploads).await;
    assert_eq!(list(fixture.store()).await.len(), 50);
}

pub(crate) async fn deleting_does_not_disturb_readers<F: Fixture>() {
    let fixture = F::new();
    let bytes = content(3 << 20, 6);
    let key = put(fixture.store(), &bytes).await;
    let mut stream = fixture.store().open(&key).await.unwrap().stream(0..bytes.len() as u64);
    let mut read = stream.next().await.unwrap().unwrap().to_vec();
    fixture.store().delete(&key).await.unwrap();
    assert!(matches!(fixture.store().open(&key).await, Err(Error::Missing { .. })));
    while let Some(piece) = stream.next().await {
        read.extend_from_slice(&piece.unwrap());
    }
    assert!(read == bytes);
    fixture.store().delete(&key).await.unwrap();
}

pub(crate) async fn what_is_missing_is_said_to_be<F: Fixture>() {
    let fixture = F::new();
    let key = new_key();
    match fixture.store().open(&key).await {
        Err(Error::Missing { key: named }) => assert_eq!(named, key),
        other => panic!("{other:?}"),
    }
    fixture.store().delete(&key).await.unwrap();
}

pub(crate) async fn a_truncated_blob_is_never_served_as_whole<F: Fixture>() {
    let fixture = F::new();
    let bytes = content(2 << 20, 7);
    let key = put(fixture.store(), &bytes).await;
    let blob = fixture.store().open(&key).await.unwrap();
    fixture.truncate(&key, 1_000_000).await;
    let error = read(&blob, 0..bytes.len()).await.unwrap_err();
    assert!(matches!(error, Error::Truncated { found_bytes: 1_000_000, .. }), "{error}");
}

pub(crate) async fn a_range_past_the_end_is_an_error<F: Fixture>() {
    let fixture = F::new();
    let key = put(fixture.store(), &content(100, 1)).await;
    let blob = fixture.store().open(&key).await.unwrap();
    for range in [0..101, 100..101, 5000..5001] {
        let mut stream = Arc::clone(&blob).stream(range);
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Truncated { found_bytes: 100, .. }), "{error}");
        assert!(stream.next().await.is_none());
    }
    assert!(read(&blob, 100..100).await.unwrap().is_empty());
}

pub(crate) async fn a_dropped_upload_leaves_nothing<F: Fixture>() {
    let fixture = F::new();
    // From nothing taken to a batch being worked on, at several moments of it.
    for size in [0, 10, 600_000, 1_200_000, 5_000_000] {
        let mut writer = fixture.store().create(&new_key(), Algorithm::Sha256).await.unwrap();
        write_frames(writer.as_mut(), &content(size, 1), 100_000).await.unwrap();
        drop(writer);

        let mut writer = fixture.store().create(&new_key(), Algorithm::Sha256).await.unwrap();
        write_frames(writer.as_mut(), &content(size, 1), 100_000).await.unwrap();
        let _ = writer.digest(Algorithm::Sha512).await.unwrap();
        drop(writer);

        // A sync that nobody saw the end of acknowledges nothing either.
        let mut writer = fixture.store().create(&new_key(), Algorithm::Sha256).await.unwrap();
        write_frames(writer.as_mut(), &content(size, 1), 100_000).await.unwrap();
        let _ = futures_util::poll!(writer.sync());
        drop(writer);
    }
    eventually("nothing left", async || list(fixture.store()).await.is_empty()).await;
}

pub(crate) async fn an_acknowledged_upload_stays_when_dropped<F: Fixture>() {
    let fixture = F::new();
    let key = new_key();
    let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
    writer.write(content(2_000_000, 1)).await.unwrap();
    writer.sync().await.unwrap();
    write_frames(writer.as_mut(), &content(2_000_000, 2), 100_000).await.unwrap();
    drop(writer);
    let mut writer = fixture.store().resume(&key, 2_000_000, Algorithm::Sha256).await.unwrap();
    write_frames(writer.as_mut(), &content(2_000_000, 3), 100_000).await.unwrap();
    drop(writer);
    let mut writer = fixture.store().resume(&key, 2_000_000, Algorithm::Sha256).await.unwrap();
    writer.sync().await.unwrap();
    assert!(read_all(fixture.store(), &key).await.unwrap() == content(2_000_000, 1));
}

pub(crate) async fn a_key_is_not_written_twice<F: Fixture>() {
    let fixture = F::new();
    let key = put(fixture.store(), &content(10, 1)).await;
    let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
    writer.write(content(5, 2)).await.unwrap();
    assert!(matches!(writer.sync().await, Err(Error::Io { .. })));
    assert!(matches!(writer.sync().await, Err(Error::Broken { .. })));
    assert!(matches!(writer.digest(Algorithm::Sha256).await, Err(Error::Broken { .. })));
    drop(writer);
    assert!(read_all(fixture.store(), &key).await.unwrap() == content(10, 1));
}

pub(crate) async fn whoever_resumes_puts_an_end_to_the_earlier_writer<F: Fixture>() {
    let fixture = F::new();
    let bytes = content(4_000_000, 1);
    for rest in [0, 10, 600_000, 2_000_000] {
        let key = new_key();
        let mut earlier = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
        earlier.write(bytes.slice(..1_000_000)).await.unwrap();
        earlier.sync().await.unwrap();
        // Being worked on, or waiting, when the other comes.
        write_frames(earlier.as_mut(), &content(rest, 2), 100_000).await.unwrap();
        let mut writer = fixture.store().resume(&key, 1_000_000, Algorithm::Sha256).await.unwrap();
        assert!(earlier.write(content(2_000_000, 3)).await.is_err());
        assert!(matches!(earlier.sync().await, Err(Error::Broken { .. })));
        write_frames(writer.as_mut(), &bytes.slice(1_000_000..), 100_000).await.unwrap();
        drop(earlier);
        writer.sync().await.unwrap();
        assert_eq!(writer.digest(Algorithm::Sha256).await.unwrap(), Digest::of(Algorithm::Sha256, &bytes));
        assert!(read_all(fixture.store(), &key).await.unwrap() == bytes, "{rest} bytes under way");
    }

    // All at once: one of them has it in the end, whole.
    let key = put(fixture.store(), &bytes).await;
    let resumes = (0..10).map(|_| fixture.store().resume(&key, 4_000_000, Algorithm::Sha256));
    let mut writers = futures_util::future::join_all(resumes).await;
    let mut working = 0;
    for writer in &mut writers {
        working += usize::from(writer.as_mut().unwrap().sync().await.is_ok());
    }
    assert_eq!(working, 1);
    drop(writers);
    assert!(read_all(fixture.store(), &key).await.unwrap() == bytes);
}

pub(crate) async fn deleting_puts_an_end_to_the_writer<F: Fixture>() {
    let fixture = F::new();
    for size in [10, 600_000, 2_000_000] {
        for is_acknowledged in [false, true] {
            let key = new_key();
            let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
            if is_acknowledged {
                writer.write(content(1000, 1)).await.unwrap();
                writer.sync().await.unwrap();
            }
            write_frames(writer.as_mut(), &content(size, 1), 100_000).await.unwrap();
            fixture.store().delete(&key).await.unwrap();
            assert!(list(fixture.store()).await.is_empty());
            assert!(writer.sync().await.is_err());
            drop(writer);
            assert!(list(fixture.store()).await.is_empty());
        }
    }
}

pub(crate) async fn lists_are_complete_and_in_order<F: Fixture>() {
    let fixture = F::new();
    assert!(list(fixture.store()).await.is_empty());
    let mut expected = Vec::new();
    for number in 0..300 {
        expected.push((put(fixture.store(), &content(number, 1)).await, number as u64));
    }
    expected.sort();
    assert_eq!(list(fixture.store()).await, expected);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as i64;
    let page = fixture.store().list_page(None).await.unwrap();
    assert!((page[0].modified_at.0 - now).abs() < 600_000_000, "{:?}", page[0]);
}

pub(crate) async fn probes_leave_nothing<F: Fixture>() {
    let fixture = F::new();
    futures_util::future::join_all((0..5).map(|_| fixture.store().probe())).await.into_iter().for_each(Result::unwrap);
    assert!(list(fixture.store()).await.is_empty());
}

pub(crate) async fn a_growing_blob_is_read_as_far_as_it_is_written<F: Fixture>() {
    let fixture = F::new();
    let key = new_key();
    let bytes = content(1_500_000, 7);
    let mut writer = fixture.store().create(&key, Algorithm::Sha256).await.unwrap();
    let mut written = writer.written();
    assert!(matches!(fixture.store().open_growing(&key).await, Err(Error::Missing { .. })));
    let mut told = 0_usize;
    for piece in bytes.chunks(300_000) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        writer.flush().await.unwrap();
        told += piece.len();
        written.wait_for(|&length| length == told as u64).await.unwrap();
        let growing = fixture.store().open_growing(&key).await.unwrap();
        assert!(read(&growing, 0..told).await.unwrap() == bytes[..told]);
        assert!(read(&growing, 0..told + 1).await.is_err(), "what is not written yet cannot be read");
    }
    writer.sync().await.unwrap();
    // That it was looked at while it grew is not remembered.
    assert_eq!(fixture.store().open(&key).await.unwrap().size(), told as u64);
    let growing = fixture.store().open_growing(&key).await.unwrap();
    drop(writer);
    assert!(written.wait_for(|_| false).await.is_err());
    fixture.store().delete(&key).await.unwrap();
    assert!(read(&growing, 0..told).await.unwrap() == bytes);
}
