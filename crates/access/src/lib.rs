//! Who may do what: roles, conditions, scope maps, and the rights that come of them. No I/O.
