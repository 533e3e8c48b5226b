//! Chromium, driven over its DevTools port: pages, and what scripts in them come to. Knows the protocol as far as it is used here
//! (https://chromedevtools.github.io/devtools-protocol).

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::directory::Directory;
use crate::wait;

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// Without a screen, as any user, and asking nobody in the net for anything.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
];

/// A browser that ends with the test.
pub struct Chromium {
    process: Child,
    devtools: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The number of the last command.
    last: u64,
    _profile: Directory,
}

/// A page of a browser.
pub struct Page {
    session: String,
}

impl Chromium {
    /// A browser with a profile of its own.
    pub async fn start() -> Self {
        let profile = Directory::new();
        std::fs::create_dir_all(profile.path()).expect("it can be made");
        let mut command = Command::new("chromium");
        command.args(FLAGS).arg(format!("--user-data-dir={}", profile.text())).arg("about:blank");
        command.env("HOME", profile.path()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("Debian's package chromium is installed: tests/run does that");
        // Its port, and the path of the browser itself there.
        let file = profile.path().join("DevToolsActivePort");
        let mut port_and_path = None;
        wait::within(PATIENCE, "the browser has a port", async || {
            assert!(process.try_wait().expect("it was started").is_none(), "chromium has ended");
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            port_and_path = text.split_once('\n').map(|(port, path)| (port.to_owned(), path.trim().to_owned()));
            port_and_path.is_some()
        })
        .await;
        let (port, path) = port_and_path.expect("it was waited for");
        let (devtools, _) = connect_async(format!("ws://127.0.0.1:{port}{path}")).await.expect("it shakes hands");
        Self { process, devtools, last: 0, _profile: profile }
    }

    /// A page at a URL, when that has been loaded.
    pub async fn open(&mut self, url: &str) -> Page {
        let target = self.ask(None, "Target.createTarget", json!({"url": url})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.ask(None, "Target.attachToTarget", attach).await;
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        let page = Page { session };
        let expression = format!("location.href === {} && document.readyState", json!(url));
        while self.run(&page, &expression).await != "complete" {
            tokio::task::yield_now().await;
        }
        page
    }

    /// What a script in a page comes to; promises are waited for.
    pub async fn run(&mut self, page: &Page, script: &str) -> Value {
        let evaluate = json!({"expression": script, "awaitPromise": true, "returnByValue": true});
        let answer = self.ask(Some(page), "Runtime.evaluate", evaluate).await;
        assert!(answer.get("exceptionDetails").is_none(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    async fn ask(&mut self, page: Option<&Page>, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(page) = page {
            command["sessionId"] = json!(page.session);
        }
        self.devtools.send(Message::text(command.to_string())).await.expect("the browser reads");
        let answer = async {
            loop {
                let message = self.devtools.next().await.expect("the browser is there").expect("it is whole");
                let Message::Text(text) = message else { continue };
                let said: Value = serde_json::from_str(&text).expect("it is JSON");
                // What it tells by itself has no number.
                if said["id"] == self.last {
                    return said;
                }
            }
        };
        let answer = timeout(PATIENCE, answer).await.expect("the browser answers");
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // With all processes that it has started.
        if let Some(group) = Pid::from_raw(self.process.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}
