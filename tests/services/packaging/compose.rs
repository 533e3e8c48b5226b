//! `packaging/docker-compose.yml`: its services fit together, and the program and a real Redis accept its settings.

use synckairos::config::Config;
use synckairos::secret::SecretSource;
use yaml_rust2::Yaml;

use test_support::program::{Program, command, output};
use test_support::redis::Redis;
use test_support::wait;

use super::{default, entries, path, strings, text, yaml};

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
    assert_eq!(names, ["synckairos", "balancer", "redis", "postgres"]);
    for (name, service) in &services {
        assert!(!health_check(service).is_empty(), "{name}");
        assert_eq!(service["restart"].as_str(), Some("unless-stopped"), "{name}");
        for needed in strings(&service["depends_on"]) {
            assert!(names.contains(&needed), "{name} needs {needed}");
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

#[test]
fn instances_accept_their_settings() {
    let file = yaml(FILE);
    let services = &file["services"];
    let told: Vec<_> = entries(&services["synckairos"]["environment"])
        .into_iter()
        .map(|(name, value)| (name, resolved(value)))
        .collect();
    for (name, _) in &told {
        default(name);
    }
    let config = Config::read(|name| told.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()));
    let config = config.expect("the settings are valid");
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
