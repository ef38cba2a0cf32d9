//! The proof that the directory can be used.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::Ordering;

use super::Shared;
use super::upload::FILE_MODE;
use crate::Error;

/// Creates, writes, syncs, reads and deletes a file. Blocks.
pub(super) fn run(shared: &Shared) -> Result<(), Error> {
    // A number, for two probes may run at once; what a killed process left under it is overwritten.
    let path = shared.shards.root().join(format!("probe-{}", shared.probes.fetch_add(1, Ordering::Relaxed)));
    let failed = |action| {
        let what = format!("the probe file {}", path.display());
        move |error: io::Error| Error::io(action, what, error)
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true).mode(FILE_MODE);
    let file = options.open(&path).map_err(failed("create"))?;
    let result = (|| {
        file.write_all_at(CONTENT, 0).map_err(failed("write"))?;
        file.sync_data().map_err(failed("sync"))?;
        shared.shards.root_file().sync_all().map_err(failed("sync the directory of"))?;
        let mut read = [0; CONTENT.len()];
        file.read_exact_at(&mut read, 0).map_err(failed("read"))?;
        if read == *CONTENT {
            Ok(())
        } else {
            Err(failed("verify")(io::Error::other("other bytes came back than were written")))
        }
    })();
    // Also behind a failure, whose report comes first then.
    result.and(fs::remove_file(&path).map_err(failed("delete")))
}

const CONTENT: &[u8; 32] = b"Wharf can use this directory...\n";
