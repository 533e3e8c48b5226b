//! The seam for a simulation: what it puts in the place of tokio, of the system's clocks and generator, and of the network.
//! Does not know any simulation.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes to and from a server.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// A future that a simulation runs, or that it completes.
type SimulatedFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where code runs whose time and whose luck somebody else decides.
pub trait Simulation: Send + Sync {
    /// Begins a task.
    fn spawn(&self, future: SimulatedFuture<()>);

    /// Waits for some time.
    fn sleep(&self, span: Duration) -> SimulatedFuture<()>;

    /// Connects to a server.
    fn connect(&self, host: &str, port: u16) -> SimulatedFuture<io::Result<Box<dyn ByteStream>>>;

    /// How long the machine has been up.
    fn uptime(&self) -> Duration;

    /// Since the Unix epoch.
    fn time_of_day(&self) -> Duration;

    /// Random bytes that a seed repeats.
    fn fill_random(&self, bytes: &mut [u8]);
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Simulation>>> = const { RefCell::new(None) };
}

/// The simulation that this thread is within, if it is within one.
pub fn simulation() -> Option<Arc<dyn Simulation>> {
    // A thread that ends is within none.
    CURRENT.try_with(|current| current.borrow().clone()).unwrap_or_default()
}

/// Runs something within a simulation.
pub fn within<T>(simulation: Arc<dyn Simulation>, run: impl FnOnce() -> T) -> T {
    let _left = Left(CURRENT.replace(Some(simulation)));
    run()
}

/// Puts back what the thread was within before.
struct Left(Option<Arc<dyn Simulation>>);

impl Drop for Left {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
