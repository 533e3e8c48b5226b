//! The only wiring: puts the parts together and starts them, in the order in which [`start`] reads. Nothing imports this but
//! the program and the tests.

mod access;
mod audit;
mod backend;
mod clients;
mod descriptors;
mod instances;
mod running;
mod tasks;
mod wiring;

use std::io;
use std::sync::Arc;

use tracing::info;

use crate::config::{Address, Config};
use crate::http;
use crate::process;
use crate::revocations::RevocationStores;
use crate::shutdown;
use crate::ws::Hub;

use access::WiredAccess;
use audit::WiredAudit;
use backend::WiredBackend;
use wiring::Wiring;

pub use running::RunningServer;

/// Why a server cannot start.
#[derive(Debug)]
pub enum StartError {
    /// Nothing can listen there.
    Listen {
        /// Where it was to listen.
        address: Address,
        /// Why it cannot.
        error: io::Error,
    },
    /// Sessions cannot be kept there.
    Store(io::Error),
}

/// Starts a server; it accepts connections when this returns.
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let (listener, address) = listen(&config.address).await?;
    let (operators, admin_address) = match &config.admin_address {
        Some(address) => listen(address).await.map(|(listener, address)| (Some(listener), Some(address)))?,
        None => (None, None),
    };
    let (trigger, shutdown) = shutdown::channel();
    let descriptors = process::raise_descriptors();

    let mut wiring = Wiring::new(&config, shutdown);
    let hub = Arc::new(Hub::new(&mut wiring.registry, config.outbox_bytes_max, &wiring.supervisor));
    let store_metrics = wiring.store_metrics();
    let data = wiring.data_dir(&store_metrics).map_err(StartError::Store)?;
    let redis = wiring.redis().map_err(StartError::Store)?;
    wiring.report_shutdown();
    let backend = wiring.backend(&hub, &store_metrics, data.as_ref(), redis.as_ref()).map_err(StartError::Store)?;
    let WiredBackend { store, wake_ups, record_format } = backend;
    wiring.join_instances(redis.as_ref(), &address, record_format).map_err(StartError::Store)?;
    let revocations = wiring.revocation_store(data.as_ref(), redis.as_ref());
    let WiredAudit { archive, consumer, revocations: archived } =
        wiring.audit(redis, wake_ups).map_err(StartError::Store)?;
    wiring.report_tasks();
    wiring.keep_time();
    wiring.keep_data_dir(data.as_ref());
    let archive = archive.or_else(|| data.as_ref().map(|data| data.archive()));

    let stores = RevocationStores { store: revocations, archive: archived };
    let WiredAccess { options: access, keeper } = wiring.access(stores).await.map_err(StartError::Store)?;
    let sessions = wiring.sessions(&store, archive, &store_metrics);
    let context = wiring.websockets(&sessions, &store, &hub, &access);
    wiring.fire_deadlines(sessions, &store);
    wiring.send_warnings(hub, &context);
    wiring.run_store(Arc::clone(&store));

    let Wiring { registry, readiness, supervisor, tasks, clock, shutdown, .. } = wiring;
    let options = clients::options(&config, descriptors, access, store_metrics);
    let environment = http::Environment { clock, shutdown, supervisor: supervisor.clone() };
    let server = http::Server::new(context, store, options, registry, readiness, environment);
    let server = supervisor.spawn("server", server.run(listener, operators));
    let (audit, end_audit) = audit::start(consumer, &supervisor);
    access::announce(&config, &address);
    announce(&config, &address, admin_address.as_ref(), data.as_ref().map(|data| data.path()));
    let drain = config.drain;
    let running = RunningServer {
        address,
        admin_address,
        drain,
        trigger,
        server,
        tasks,
        audit,
        supervisor,
        end_audit,
        data,
        keeper,
    };
    Ok(running)
}

async fn listen(address: &Address) -> Result<(http::HttpListener, Address), StartError> {
    let listener = match address {
        Address::Tcp(address) => http::HttpListener::tcp(*address).await,
        Address::Unix(path) => http::HttpListener::unix(path).await,
    };
    // Of port 0 only the listener knows which one it is.
    let bound = listener.and_then(|listener| listener.address().map(|found| (listener, found)));
    let (listener, found) = bound.map_err(|error| StartError::Listen { address: address.clone(), error })?;
    Ok((listener, found.map_or_else(|| address.clone(), Address::Tcp)))
}

/// Logs where the server listens, and where sessions are kept.
fn announce(config: &Config, address: &Address, admin_address: Option<&Address>, data: Option<&std::path::Path>) {
    let (version, auth) = (env!("CARGO_PKG_VERSION"), access::summary(config));
    let admin_address = admin_address.map(tracing::field::display);
    match (&config.redis, data) {
        (Some(_), _) => info!(%address, admin_address, store = "Redis", auth, version, "SyncKairos listens"),
        (None, Some(path)) => {
            info!(%address, admin_address, store = "file", path = %path.display(), auth, version, "SyncKairos listens");
        }
        (None, None) => info!(
            %address,
            admin_address,
            store = "memory",
            auth,
            version,
            "SyncKairos listens; sessions are lost when it ends: --data-dir or --redis-url keeps them"
        ),
    }
}
