//! The clients in `clients/`: each is built from its lockfile and tested as whoever works on it does, against this server.

mod typescript;
