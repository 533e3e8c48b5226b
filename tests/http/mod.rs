//! HTTP as clients see it: responses, refusals, connections.

mod bad_input;
mod compression;
mod concurrency;
mod connections;
mod conditional;
mod cors;
mod framing;
mod handling;
mod idempotency;
mod limits;
mod places;
mod proxies;
mod request_ids;
mod rest;
mod slow_clients;
