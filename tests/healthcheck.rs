//! `synckairos health`: what it probes, what it prints, its exit codes.

use std::net::TcpListener as Listener;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use test_support::program::{Program, command};

/// Exit code and what is printed: on standard output when all is well, on standard error when not.
async fn told(arguments: &[&str], settings: &[(&str, &str)]) -> (i32, String) {
    let mut command = command();
    command.arg("health").args(arguments).envs(settings.iter().copied());
    run(command).await
}

async fn run(mut command: Command) -> (i32, String) {
    let output = tokio::task::spawn_blocking(move || command.output().expect("the program runs")).await;
    let output = output.expect("it does not panic");
    let code = output.status.code().expect("it exits by itself");
    let (said, silent) = if code == 0 { (output.stdout, output.stderr) } else { (output.stderr, output.stdout) };
    let said = String::from_utf8(said).expect("it writes text");
    assert_eq!((said.lines().count(), &*silent), (1, &b""[..]), "{said}");
    (code, said.trim_end().to_owned())
}

#[tokio::test]
async fn a_server_is_found_by_its_own_settings() {
    let program = Program::start(&[]);
    let port = program.address.port().to_string();
    for host in ["127.0.0.1", "localhost", "0.0.0.0"] {
        let (code, said) = told(&[], &[("HOST", host), ("PORT", &port)]).await;
        assert_eq!((code, said), (0, format!("http://127.0.0.1:{port}/health: {{\"status\":\"ok\"}}")), "{host}");
    }
    // What else the server was told does not matter, nor what is wrong with it.
    let (code, said) = told(&["--ready"], &[("PORT", &port), ("REDIS_URL", "x"), ("MAX_SESSIONS", "x")]).await;
    assert_eq!((code, said), (0, format!("http://127.0.0.1:{port}/ready: {{\"status\":\"ready\"}}")));
    let mut options = command();
    options.args(["--port", &port, "health"]);
    assert_eq!(run(options).await.0, 0);
    for url in [format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}/")] {
        let (code, said) = told(&["--url", &url], &[("PORT", "nonsense")]).await;
        assert_eq!((code, said.ends_with("/health: {\"status\":\"ok\"}")), (0, true), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_an_error() {
    // On an address on which nobody else finds a free port.
    let taken = Listener::bind("127.0.0.7:0").expect("a port is free");
    let port = taken.local_addr().expect("it has an address").port().to_string();
    // It accepts, and says nothing.
    let (code, said) = told(&[], &[("HOST", "127.0.0.7"), ("PORT", &port)]).await;
    assert_eq!((code, said), (1, format!("synckairos: http://127.0.0.7:{port}/health: no answer within 2 s")));
    drop(taken);
    let (code, said) = told(&[], &[("HOST", "127.0.0.7"), ("PORT", &port)]).await;
    let refused = said.starts_with(&format!("synckairos: http://127.0.0.7:{port}/health: Connection refused"));
    assert_eq!((code, refused), (1, true), "{said}");
}

#[tokio::test]
async fn invalid_arguments_are_errors() {
    let (code, said) = told(&[], &[("HOST", "example.org"), ("PORT", "70000")]).await;
    let problems = "HOST: \"example.org\" is not an IP address, localhost, or unix: and a path; PORT: \"70000\" is not a port from 0 to 65535";
    assert_eq!((code, said), (1, format!("synckairos: {problems}")));
    for url in ["localhost:3000", "https://localhost", "http://", "http://localhost?x", "http://a@localhost", "unix:x"]
    {
        let (code, said) = told(&["--url", url], &[]).await;
        assert_eq!((code, said), (1, format!("synckairos: {url:?} is not like http://127.0.0.1:3000")));
    }
}

#[tokio::test]
async fn an_answer_of_something_else_is_not_believed() {
    for (answer, expected) in [
        ("+PONG\r\n", "the answer is not HTTP"),
        ("HTTP/1.1 404 Not Found\r\n\r\n<html>\nno such page\n</html>", "404 <html>"),
        ("HTTP/1.1 2000 x\r\n\r\n", "2000"),
        ("HTTP/1.1 200 OK\r\n\r\n", ""),
        ("", "the answer is not HTTP"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it has an address"));
        let server = async {
            let (mut client, _) = listener.accept().await.expect("somebody connects");
            let mut request = [0; 1_024];
            let len = client.read(&mut request).await.expect("a request comes");
            let request = String::from_utf8_lossy(&request[..len]).into_owned();
            client.write_all(answer.as_bytes()).await.expect("it is read");
            request
        };
        let arguments = ["--url", &url];
        let ((code, said), request) = tokio::join!(told(&arguments, &[]), server);
        let authority = url.trim_start_matches("http://");
        assert_eq!(request, format!("GET /health HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n"));
        let is_well = answer.starts_with("HTTP/1.1 200 ");
        let expected =
            if is_well { format!("{url}/health: ") } else { format!("synckairos: {url}/health: {expected}") };
        assert_eq!((code, said), (i32::from(!is_well), expected.trim_end().to_owned()), "{answer:?}");
    }
}
