//! HTTP, as clients see it: what is asked and answered, what is refused, and how connections behave.

mod bad_input;
mod concurrency;
mod connections;
mod conditional;
mod cors;
mod framing;
mod limits;
mod proxies;
mod rest;
mod slow_clients;
