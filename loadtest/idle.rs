//! What WebSockets cost that do nothing.

use std::io;

use crate::servers::Server;
use crate::socket::Socket;

/// Opens `sockets` of them, each on a session of its own, and prints the server's memory.
pub(crate) fn measure(sockets: usize) -> io::Result<()> {
    let server = Server::synckairos()?;
    let before = server.memory()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let open = runtime.block_on(async {
        let mut open = Vec::with_capacity(sockets);
        for n in 0..sockets {
            open.push(Socket::open(server.address, &format!("00000000-0000-4000-8000-{n:012x}")).await?);
        }
        io::Result::Ok(open)
    })?;
    let after = server.memory()?;
    println!(
        "{} idle WebSockets: {:.1} MB in all, {:.1} KB each",
        open.len(),
        after as f64 / 1e6,
        (after - before) as f64 / 1e3 / open.len() as f64
    );
    Ok(())
}
