//! Writes the audit into PostgreSQL and reads it back. Does not know where jobs come from.
