//! The verifier finds what is wrong.

use std::fs;

use crate::world::World;

#[tokio::test]
async fn flipped_missing_and_shortened_bytes_are_found() {
    let world = World::new().await;
    let flipped = world.push_blob("app", &[1; 40 << 10]).await;
    let shortened = world.push_blob("app", &[2; 41 << 10]).await;
    let missing = world.push_blob("app", &[3; 42 << 10]).await;
    let sound = world.push_blob("app", &[4; 43 << 10]).await;
    world.assert_sound().await;
    let mut open = vec![world.directory.path().join("blobs")];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            match bytes[0] {
                1 => {
                    bytes[777] ^= 1;
                    fs::write(&path, bytes).unwrap();
                }
                2 => fs::write(&path, &bytes[..100]).unwrap(),
                3 => fs::remove_file(&path).unwrap(),
                _ => {}
            }
        }
    }
    let report = world.again().await.artifacts.verify(|_, _| {}).await.unwrap();
    assert_eq!(report.blobs, 4);
    assert_eq!(report.problems.len(), 3, "{:?}", report.problems);
    for digest in [flipped, shortened, missing] {
        assert!(report.problems.iter().any(|problem| problem.contains(digest.as_str())), "{digest}");
    }
    assert!(!report.problems.iter().any(|problem| problem.contains(sound.as_str())));
}
