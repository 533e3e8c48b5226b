//! `packaging/docker-compose.yml`: its services fit together, and the program and a real Redis accept its settings.

use std::path::Path;
use std::process::Command;

use synckairos::config::{AccessMode, Config};
use synckairos::secret::SecretSource;
use yaml_rust2::Yaml;

use test_support::directory::Directory;
use test_support::program::{Program, command, output};
use test_support::redis::Redis;
use test_support::wait;

use super::{default, entries, path, strings, text, yaml};

/// The service that makes a key and ends.
const MAKER: &str = "key";
const FILE: &str = "packaging/docker-compose.yml";

/// A value as it is when nothing is set outside: `${NAME:-value}` becomes `value`.
fn resolved(value: &Yaml) -> String {
    let mut left = value.as_str().expect("a string");
    let mut resolved = String::new();
    while let Some((before, rest)) = left.split_once("${") {
        let (variable, after) = rest.split_once('}').expect("it is closed");
        let (_, default) = variable.split_once(":-").expect("it has a default");
        resolved.extend([before, default]);
        left = after;
    }
    resolved + left
}

/// Program and arguments of a health check.
fn health_check(service: &Yaml) -> Vec<&str> {
    match strings(&service["healthcheck"]["test"]).split_first() {
        Some((&"CMD", command)) => command.to_vec(),
        other => panic!("there is a shell in few images: {other:?}"),
    }
}

#[test]
fn services_fit_together() {
    let file = yaml(FILE);
    let services = entries(&file["services"]);
    let names: Vec<_> = services.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, [MAKER, "synckairos", "balancer", "redis", "postgres"]);
    for (name, service) in &services {
        let goes_on = *name != MAKER;
        assert_eq!(!service["healthcheck"].is_badvalue() && !health_check(service).is_empty(), goes_on, "{name}");
        assert_eq!(service["restart"].as_str(), Some(if goes_on { "unless-stopped" } else { "no" }), "{name}");
        let conditions = entries(&service["depends_on"]).into_iter();
        let conditions = conditions.map(|(needed, how)| (needed, how["condition"].as_str().expect("a condition")));
        let needed = strings(&service["depends_on"]).into_iter().map(|needed| (needed, "service_started"));
        for (needed, condition) in needed.chain(conditions) {
            assert!(names.contains(&needed), "{name} needs {needed}");
            // Whoever waits for all services waits for this one's end only where another does.
            let ends = condition == "service_completed_successfully";
            assert_eq!(ends, needed == MAKER, "{name} needs {needed}: {condition}");
        }
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name} has no image"));
        let is_ours =
            path("packaging").join(service["build"].as_str().unwrap_or("nowhere")).join("Dockerfile").exists();
        assert_eq!(is_ours, *name == "synckairos");
        let has_version =
            image.split_once(':').is_some_and(|(_, tag)| tag.starts_with(|first: char| first.is_ascii_digit()));
        assert!(is_ours || has_version, "{name}: {image}");
        for volume in strings(&service["volumes"]) {
            let source = volume.split(':').next().expect("it has a source");
            let is_there = match source.strip_prefix("./") {
                Some(file) => path("packaging").join(file).is_file(),
                None => entries(&file["volumes"]).iter().any(|(name, _)| *name == source),
            };
            assert!(is_there, "{name}: {volume}");
        }
    }
    assert_eq!(file["services"]["synckairos"]["deploy"]["replicas"].as_i64(), Some(2));
    let ports = strings(&file["services"]["balancer"]["ports"]);
    assert_eq!(ports, ["127.0.0.1:3000:3000"], "what is served here is served to this machine only");
    let balanced = format!("server-template instance 10 synckairos:{}\n", default("PORT"));
    assert!(text("packaging/haproxy.cfg").contains(&balanced), "the balancer finds the instances");
}

/// Where the volume of the key is here: what is mounted into the services stands there.
fn with_key(directory: &Path, value: &str) -> String {
    value.replace("/key/", &format!("{}/", directory.display()))
}

/// Makes the key as the service does, there; returns it.
fn made_key(file: &Yaml, directory: &Path) -> String {
    let command = strings(&file["services"][MAKER]["command"]);
    let [shell, options, script] = command[..] else { panic!("it is a script: {command:?}") };
    let script = with_key(directory, &script.replace("$$", "$"));
    let made = output(Command::new(shell).arg(options).arg(script));
    assert!(made.status.success(), "{made:?}");
    std::fs::read_to_string(directory.join("api_key")).expect("it was made")
}

#[test]
fn a_key_is_made_once() {
    let file = yaml(FILE);
    let (directory, other) = (Directory::new(), Directory::new());
    for directory in [&directory, &other] {
        std::fs::create_dir_all(directory.path()).expect("it can be made");
    }
    let key = made_key(&file, directory.path());
    assert_eq!(made_key(&file, directory.path()), key, "another start leaves it as it is");
    assert_ne!(made_key(&file, other.path()), key);
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("it is there").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    for (service, mounted) in [(MAKER, "key:/key"), ("synckairos", "key:/key:ro")] {
        assert_eq!(strings(&file["services"][service]["volumes"]), [mounted]);
    }
}

#[test]
fn instances_accept_their_settings() {
    let file = yaml(FILE);
    let services = &file["services"];
    let directory = Directory::new();
    std::fs::create_dir_all(directory.path()).expect("it can be made");
    made_key(&file, directory.path());
    let told: Vec<_> = entries(&services["synckairos"]["environment"])
        .into_iter()
        .map(|(name, value)| (name, with_key(directory.path(), &resolved(value))))
        .collect();
    for (name, _) in &told {
        default(name.strip_suffix("_FILE").unwrap_or(name));
    }
    let config = Config::read(|name| told.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()));
    let config = config.expect("the settings are valid");
    // As in the image.
    let everywhere = |name: &str| (name == "HOST").then(|| "0.0.0.0".to_owned());
    let told = |name: &str| told.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    Config::read(|name| told(name).or_else(|| everywhere(name))).expect("they are asked for a key");
    assert!(matches!(config.access.mode, AccessMode::Closed(_)), "who asks must have it");
    let operators = config.admin_address.expect("they are served apart").to_string();
    let (_, port) = operators.rsplit_once(':').expect("it has a port");
    assert!(!text("packaging/haproxy.cfg").contains(port), "nobody else is");
    assert_eq!(config.redis.expect("it is shared").access.url, SecretSource::given("redis://redis"));
    let postgres = &services["postgres"]["environment"];
    let (user, password) = (resolved(&postgres["POSTGRES_USER"]), resolved(&postgres["POSTGRES_PASSWORD"]));
    // PostgreSQL's image makes a database of its user's name.
    let database = SecretSource::given(&format!("postgres://{user}:{password}@postgres/{user}"));
    assert_eq!(config.audit.expect("it is audited").access.url, database);
}

/// The options and the health check are as they stand there; both programs are real.
#[tokio::test]
async fn its_redis_is_fit_and_its_health_check_works() {
    let file = yaml(FILE);
    let services = &file["services"];
    let options = services["redis"]["command"].as_str().and_then(|command| command.strip_prefix("redis-server "));
    let options = options.expect("it is Redis").split(' ').map(|option| if option == "\"\"" { "" } else { option });
    let redis = Redis::start_with(&options.collect::<Vec<_>>());
    for (name, value) in
        [("appendonly", "yes"), ("appendfsync", "always"), ("save", ""), ("maxmemory-policy", "noeviction")]
    {
        let mut question = redis::cmd("CONFIG");
        let kept: (String, String) = question.arg("GET").arg(name).query(&mut redis.connect()).expect("it answers");
        assert_eq!(kept, (name.to_owned(), value.to_owned()));
    }
    let program = Program::start(&[("REDIS_URL", &redis.url()), ("AUDIT", "off")]);
    let check = health_check(&services["synckairos"]);
    assert_eq!(check[0], "synckairos");
    wait::until("its health check succeeds", async || {
        let mut check = command();
        check.args(&health_check(&services["synckairos"])[1..]).env("PORT", program.address.port().to_string());
        tokio::task::spawn_blocking(move || output(&mut check).status.success()).await.expect("it does not panic")
    })
    .await;
}
