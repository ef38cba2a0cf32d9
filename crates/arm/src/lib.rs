//! The words of Azure Resource Manager: api-versions, errors, envelopes, paging, templates. No I/O.
