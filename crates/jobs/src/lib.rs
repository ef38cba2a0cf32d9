//! Work that is done later, or again: a durable queue, its workers, and schedules.
