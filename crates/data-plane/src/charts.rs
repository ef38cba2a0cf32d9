//! `/helm/v1/<home>/…`: charts as Helm 2 and `az acr helm` know them (`acr/data-plane.md` section 6). What is stored is what
//! Helm 3.8 and later push; see `wharf_registry`'s charts.

mod files;
mod lists;

pub(crate) use files::{delete as delete_file, get as get_file, put as put_file, replace as replace_file};
pub(crate) use lists::{delete, get_index, get_version, list, list_versions};

use wharf_model::RepositoryName;
use wharf_registry::ChartsTarget;

use crate::router::Call;

impl Call<'_> {
    fn charts<'h>(&'h self, home: &'h RepositoryName) -> ChartsTarget<'h> {
        ChartsTarget { registry: &self.host.registry, home }
    }
}
