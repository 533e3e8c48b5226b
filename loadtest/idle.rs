//! What WebSockets cost that do nothing.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::servers::Server;

/// Opens `sockets` of them, each on a session of its own, and prints the server's memory.
pub(crate) fn measure(sockets: usize) -> io::Result<()> {
    let server = Server::synckairos()?;
    let before = server.memory()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let open = runtime.block_on(async {
        let mut open = Vec::with_capacity(sockets);
        for n in 0..sockets {
            let mut tcp = TcpStream::connect(server.address).await?;
            let handshake = format!(
                "GET /ws?sessionId=00000000-0000-4000-8000-{n:012x} HTTP/1.1\r\nhost: loadtest\r\n\
                 connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            tcp.write_all(handshake.as_bytes()).await?;
            let mut answer = vec![0; 1_024];
            let mut len = 0;
            while !String::from_utf8_lossy(&answer[..len]).contains("CONNECTED") {
                match tcp.read(&mut answer[len..]).await? {
                    0 => return Err(io::Error::other("the server closed a socket")),
                    more => len += more,
                }
            }
            open.push(tcp);
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
