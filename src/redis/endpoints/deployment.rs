//! The servers that a URL names, and how to connect to each and to the nodes that they know of. Does not know which of
//! several servers answers for which keys.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::tls;

use super::access::{Certificates, RedisAccess};
use super::credentials::{CredentialFiles, Credentials, LoginRole};
use super::endpoint::RedisEndpoint;
use super::node::Node;
use super::url::{DeploymentKind, EndpointAddress, Login};

/// One server, or servers that know of others.
#[derive(Clone, Debug)]
pub(in crate::redis) struct Deployment {
    pub(in crate::redis) kind: DeploymentKind,
    /// The endpoints that the URL names: the server, the Sentinels, or some nodes of a Cluster.
    pub(in crate::redis) seeds: Vec<RedisEndpoint>,
    /// How to connect to any server that keeps data.
    template: RedisEndpoint,
}

impl Deployment {
    /// Reads a URL and all that belongs to it; `Err` says what is wrong, and never a password.
    pub(in crate::redis) fn open(access: &RedisAccess) -> Result<Self, String> {
        let url = access.parse_url()?;
        let certificates = &access.certificates;
        let tls = match url.is_encrypted {
            true => Some(Arc::new(tls_config(certificates)?)),
            false if *certificates == Certificates::default() => None,
            false => return Err("certificates are given, and its scheme is without TLS: rediss://".to_owned()),
        };
        let files = access.may_change().then(|| Arc::new(CredentialFiles::new(access.clone(), url.clone())));
        let credentials = |login: &Login, role| Credentials::new(login.clone(), role, files.clone());
        let of_data = credentials(&url.login, LoginRole::Data);
        let of_seeds = match url.kind {
            DeploymentKind::Sentinel { .. } => credentials(&url.sentinel_login, LoginRole::Sentinel),
            DeploymentKind::Single | DeploymentKind::Cluster => of_data.clone(),
        };
        let endpoint = |address: &EndpointAddress, credentials: &Credentials| RedisEndpoint {
            address: address.clone(),
            credentials: credentials.clone(),
            tls: tls.clone(),
            has_replied: Arc::default(),
        };
        let seeds: Vec<_> = url.seeds.iter().map(|address| endpoint(address, &of_seeds)).collect();
        let first = url.seeds.first().ok_or("it names no host")?;
        Ok(Self { kind: url.kind.clone(), seeds, template: endpoint(first, &of_data) })
    }

    /// The endpoint of a node that keeps data, logged in to as the URL says.
    pub(in crate::redis) fn endpoint(&self, node: &Node) -> RedisEndpoint {
        let address = EndpointAddress::Tcp { host: node.host.clone(), port: node.port };
        RedisEndpoint { address, ..self.template.clone() }
    }
}

/// The certificates that are trusted and presented, as rustls wants them.
fn tls_config(certificates: &Certificates) -> Result<ClientConfig, String> {
    let authorities = tls::authorities(certificates.authority.as_deref())?;
    let config = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(authorities);
    let Some((certificate, key)) = &certificates.client else { return Ok(config.with_no_client_auth()) };
    let wrong = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let chain = tls::certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
    config.with_client_auth_cert(chain, private).map_err(|error| wrong(key, &error))
}

#[cfg(test)]
mod tests {
    use super::Certificates;
    use super::Deployment;
    use super::DeploymentKind;
    use super::EndpointAddress;
    use super::RedisAccess;

    use crate::secret::SecretSource;

    fn parse(url: &str) -> Result<Deployment, String> {
        with(url, Certificates::default())
    }

    fn with(url: &str, certificates: Certificates) -> Result<Deployment, String> {
        Deployment::open(&RedisAccess { url: SecretSource::given(url), password: None, certificates })
    }

    fn hosts(deployment: &Deployment) -> Vec<(String, u16)> {
        let host = |endpoint: &super::RedisEndpoint| match &endpoint.address {
            EndpointAddress::Tcp { host, port } => (host.clone(), *port),
            other @ EndpointAddress::Socket(_) => panic!("{other:?}"),
        };
        deployment.seeds.iter().map(host).collect()
    }

    #[test]
    fn one_server() {
        for (url, at, user, password, database) in [
            ("redis://h", "h:6379", None, None, 0),
            ("rediss://u:p%23%40@h:7000/3", "h:7000", Some("u"), Some("p#@"), 3),
            ("redis://:p@[::1]:7000", "[::1]:7000", None, Some("p"), 0),
            ("unix:///run/redis.sock", "/run/redis.sock", None, None, 0),
            ("unix:///run/redis.sock?db=2&user=u&pass=p", "/run/redis.sock", Some("u"), Some("p"), 2),
        ] {
            let deployment = parse(url).expect(url);
            let [endpoint] = &deployment.seeds[..] else { panic!("{deployment:?}") };
            assert_eq!((deployment.kind, endpoint.to_string().as_str()), (DeploymentKind::Single, at), "{url}");
            assert_eq!(endpoint.credentials.at_start(), (user, password, database), "{url}");
            assert_eq!(endpoint.tls.is_some(), url.starts_with("rediss"), "{url}");
        }
    }

    #[test]
    fn a_master_that_sentinels_know() {
        let url = "rediss+sentinel://u:p@a,[::1]:7000,c:26380/the-master/2?sentinel_password=q";
        let deployment = parse(url).expect(url);
        assert_eq!(deployment.kind, DeploymentKind::Sentinel { master: "the-master".to_owned() });
        let expected = [("a".to_owned(), 26_379), ("::1".to_owned(), 7_000), ("c".to_owned(), 26_380)];
        assert_eq!(hosts(&deployment), expected);
        assert_eq!(deployment.seeds[0].credentials.at_start(), (None, Some("q"), 0));
        let node = super::Node { host: "m".to_owned(), port: 7_001 };
        let master = deployment.endpoint(&node);
        assert_eq!(master.credentials.at_start(), (Some("u"), Some("p"), 2));
        assert_eq!(master.address, EndpointAddress::Tcp { host: "m".to_owned(), port: 7_001 });
        assert!(master.tls.is_some() && deployment.seeds.iter().all(|sentinel| sentinel.tls.is_some()));
    }

    #[test]
    fn a_cluster() {
        let deployment = parse("redis+cluster://a:7000,b,c:7002").expect("a URL");
        assert_eq!(deployment.kind, DeploymentKind::Cluster);
        assert_eq!(hosts(&deployment), [("a".to_owned(), 7_000), ("b".to_owned(), 6_379), ("c".to_owned(), 7_002)]);
    }

    #[test]
    fn certificates_must_be_there_and_of_use() {
        let certificates = Certificates { authority: Some("/nowhere/ca.pem".into()), client: None };
        let error = with("rediss://h", certificates.clone()).expect_err("there is no such file");
        assert!(error.contains("/nowhere/ca.pem"), "{error}");
        let error = with("redis://h", certificates).expect_err("they are of no use");
        assert!(error.contains("rediss://"), "{error}");
    }
}
