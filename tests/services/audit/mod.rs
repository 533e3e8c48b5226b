//! The audit: `queue` with sinks that fail as the test says, everything else from a request to a row, on a real Redis and a
//! real PostgreSQL.

/// Each of these as a test with one Redis, with TLS on every way, and with a Cluster.
macro_rules! on_one_and_on_many {
    ($($test:ident),* $(,)?) => {
        mod one {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::audit::rig::Rig::start().await).await;
            })*
        }
        mod encrypted {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::audit::rig::Rig::start_encrypted().await).await;
            })*
        }
        mod many {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::audit::rig::Rig::start_divided().await).await;
            })*
        }
    };
}
use on_one_and_on_many;

mod chaos;
mod first_start;
mod idle;
mod outage;
mod privileges;
mod queue;
mod recovery;
mod revocations;
mod rig;
mod room;
mod rows;
mod time_controls;
mod version_1;
