//! The table of settings: each has an environment variable, and all but secrets an option. Does not know what the values
//! do.

/// A setting that can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable; the flag is the same in lower case with dashes.
    pub name: &'static str,
    /// What the value looks like.
    pub value: &'static str,
    /// What is used when it is not given.
    pub default: &'static str,
    /// What it is for, in a line.
    pub help: &'static str,
    /// What may be done with the value.
    pub kind: SettingKind,
}

/// What may be done with a setting's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// It may be seen, and stand in the file that `NAME_FILE` names.
    Plain,
    /// It may be seen, and is the name of a file itself: there is no `NAME_FILE`.
    File,
    /// It may hold a password: shown nowhere, and better not given as an option.
    Url,
    /// It is shown nowhere, and there is no option for it, since everybody on a machine sees those.
    Secret,
}

const fn setting(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, value, default, help, kind: SettingKind::Plain }
}

impl Setting {
    const fn of(self, kind: SettingKind) -> Self {
        Self { kind, ..self }
    }

    /// What it belongs to: the last heading that begins before it or with it.
    pub fn heading(&self) -> &'static str {
        let place = |name: &str| SETTINGS.iter().position(|setting| setting.name == name);
        let own = place(self.name);
        let begins = HEADINGS.iter().rev().find(|(first, _)| place(first) <= own);
        begins.map_or("Settings", |(_, heading)| heading)
    }
}

/// Where a heading begins in the table below, and what it says.
pub const HEADINGS: &[(&str, &str)] = &[
    ("HOST", "Listening"),
    ("AUTH", "Access"),
    ("LOG_LEVEL", "Logging"),
    ("RATE_LIMIT_SWITCH", "Limits"),
    ("DATA_DIR", "Storage"),
    ("AUDIT", "Audit"),
    ("IDLE_TIMEOUT_MS", "Time"),
];

/// Every setting, in the order of `--help` and of the page of settings.
pub const SETTINGS: &[Setting] = &[
    setting(
        "HOST",
        "ADDRESS",
        "127.0.0.1",
        "IP address to listen on, 0.0.0.0 or :: for every interface; or unix:/path for a socket there, with mode 0660",
    ),
    setting("PORT", "PORT", "3000", "TCP port to listen on; 0 for one that is free"),
    setting(
        "ADMIN_ADDRESS",
        "ADDRESS:PORT",
        "",
        "Where operators are served: /metrics and /ready with its reasons, without a key; or unix:/path; then /metrics is not where clients are",
    ),
    setting(
        "BASE_PATH",
        "PATH",
        "",
        "What all paths begin with, such as /sync, when a proxy leaves that to the server",
    ),
    setting(
        "AUTH",
        "auto|on|off",
        "auto",
        "Whether who asks must have a key or a token: auto is on when keys are given; off must be said where others can reach the server",
    ),
    setting("KEYS_FILE", "FILE", "", "Keys, which may come in and which sign tokens (JSON); read again each 5 s and at SIGHUP")
        .of(SettingKind::File),
    setting("API_KEY", "TEXT", "", "One key that may do everything").of(SettingKind::Secret),
    setting("TOKEN_SECRET", "TEXT", "", "Secret that signs tokens (HS256): 32 bytes or more in base64url")
        .of(SettingKind::Secret),
    setting("TOKEN_JWKS", "FILE|URL", "", "Public keys that sign tokens (a JWK set), those of TOKEN_ISSUER; or their https URL"),
    setting(
        "TOKEN_ALLOW",
        "LIST",
        "read,watch,switch:own",
        "What tokens of TOKEN_SECRET and TOKEN_JWKS may allow at most",
    ),
    setting("TOKEN_ISSUER", "TEXT", "", "Who signs with TOKEN_SECRET and TOKEN_JWKS: the claim iss"),
    setting("TOKEN_AUDIENCE", "TEXT", "", "Whom tokens are for: the claim aud; synckairos when not given"),
    setting(
        "OUTBOUND_CA_CERT",
        "FILE",
        "",
        "Whose certificates servers of key sets may show (PEM); those that the system believes when not given",
    )
    .of(SettingKind::File),
    setting(
        "ALLOWED_HOSTS",
        "LIST",
        "",
        "Names that the server may be asked by, or *; without keys on loopback those of this machine when not given, else all",
    ),
    setting(
        "CORS_ORIGIN",
        "LIST",
        "auto",
        "Origins whose pages may read answers and open WebSockets, such as https://example.org or https://*.example.org; * for every one; auto is that with keys, and pages of this machine without",
    ),
    setting("LOG_LEVEL", "LEVEL", "info", "How much to log: off, error, warn, info, debug or trace"),
    setting("LOG_FORMAT", "FORMAT", "auto", "text, json, or auto: text on a terminal, JSON otherwise"),
    setting("RATE_LIMIT_SWITCH", "COUNT", "10", "Switches of one session per second, by tokens with switch:own of each participant; 0 for no limit"),
    setting("RATE_LIMIT_GENERAL", "COUNT", "0", "Requests of one client address per minute; 0 for no limit"),
    setting(
        "DEFAULT_ON_TIMEOUT",
        "CHOICE",
        "expire",
        "What a clock that runs out does in sessions created without on_timeout: expire, advance or notify",
    ),
    setting(
        "RATE_LIMIT_ANSWER_BYTES",
        "BYTES",
        "2097152",
        "Bytes of answers that one WebSocket client may ask for in a second, at least 1024 for each message; who asks for more is heard later; 0 for no limit",
    ),
    setting("MAX_CONNECTIONS", "COUNT", "20000", "Open connections at most, WebSockets included"),
    setting("MAX_CONNECTIONS_PER_ADDRESS", "COUNT", "0", "Of them of one client address; 0 for no limit"),
    setting(
        "TRUSTED_PROXIES",
        "NETWORKS",
        "",
        "Proxies whose X-Forwarded-For and Forwarded say who asks: addresses and networks such as 10.0.0.0/8, between commas",
    ),
    setting(
        "MAX_SESSIONS",
        "COUNT",
        "1000000",
        "Sessions in this process at most, 2 KB each for two participants; more are refused with 503",
    ),
    setting(
        "MAX_SESSIONS_BYTES",
        "BYTES",
        "auto",
        "Memory that sessions in this process may take; auto is a quarter of what there is; from 80 % on large ones are refused",
    ),
    setting(
        "MAX_BODIES_BYTES",
        "BYTES",
        "67108864",
        "Memory that request bodies on their way may take, over all connections",
    ),
    setting("LIFETIME_PENDING_S", "SECONDS", "86400", "How long a session is kept that was not started"),
    setting(
        "LIFETIME_IDLE_S",
        "SECONDS",
        "86400",
        "How long a session is kept that is paused, or runs without a deadline",
    ),
    setting("LIFETIME_ENDED_S", "SECONDS", "3600", "How long a session is kept that has ended"),
    setting(
        "MAX_OUTBOX_BYTES",
        "BYTES",
        "268435456",
        "Bytes that may wait for all WebSocket clients together; then clients that do not read at once are closed",
    ),
    setting(
        "DATA_DIR",
        "DIR",
        "",
        "Directory in which sessions and their history are kept over a restart; in memory only when not given",
    )
    .of(SettingKind::File),
    setting(
        "REDIS_URL",
        "URL",
        "",
        "Redis that keeps the sessions of all instances: redis://, redis+sentinel:// or redis+cluster://; in this process when not given",
    )
    .of(SettingKind::Url),
    setting("REDIS_PASSWORD", "TEXT", "", "Password of REDIS_URL, when that has none; not for Sentinels").of(SettingKind::Secret),
    setting(
        "REDIS_CA_CERT",
        "FILE",
        "",
        "Whose certificates Redis may show (PEM); those that the system believes when not given",
    )
    .of(SettingKind::File),
    setting("REDIS_CLIENT_CERT", "FILE", "", "Certificate that Redis is shown (PEM)").of(SettingKind::File),
    setting("REDIS_CLIENT_KEY", "FILE", "", "Its key (PEM)").of(SettingKind::File),
    setting("REDIS_PREFIX", "TEXT", "", "What every key and channel in Redis begins with"),
    setting(
        "REDIS_REPLICAS_MIN",
        "COUNT",
        "0",
        "Replicas of Redis that must have a change before it is acknowledged; without them its outcome is unknown",
    ),
    setting("RECORD_FORMAT", "NUMBER", "1", "Format of states in Redis: 2 once no instance of 2.0.0 runs any more"),
    setting(
        "PARTITIONS",
        "COUNT",
        "1",
        "Parts that the keys in Redis are divided into; the same for every instance, for ever; 32 for a Cluster",
    ),
    setting(
        "TOMBSTONE_TTL_S",
        "SECONDS",
        "3600",
        "How long a deleted session is remembered, so that nothing brings it back",
    ),
    setting(
        "AUDIT",
        "on|off",
        "on",
        "Whether every change with REDIS_URL is written into DATABASE_URL; off must be said",
    ),
    setting(
        "DATABASE_URL",
        "URL",
        "",
        "PostgreSQL that the audit is written into, and that lost sessions come back from",
    )
    .of(SettingKind::Url),
    setting("DATABASE_PASSWORD", "TEXT", "", "Password of DATABASE_URL, when that has none").of(SettingKind::Secret),
    setting(
        "DATABASE_SSL",
        "true|false",
        "",
        "sslmode=require or disable, where DATABASE_URL says nothing of sslmode, which can say more",
    ),
    setting("DATABASE_POOL_MAX", "COUNT", "10", "Threads that write the audit, each with a connection of its own"),
    setting(
        "AUDIT_QUEUE_MAX_BYTES",
        "BYTES",
        "1073741824",
        "Changes that may wait in Redis to be written: at 80 % no new sessions, at 95 % no changes",
    ),
    setting("HISTORY_DAYS", "DAYS", "0", "How long history is kept that nothing needs any more; 0 for ever"),
    setting("RECOVERY_MAX_AGE_S", "SECONDS", "2592000", "How old a session's last change may be for it to come back"),
    setting(
        "IDLE_TIMEOUT_MS",
        "MS",
        "75000",
        "How long a connection may wait for its next request, or for its client to read an answer",
    ),
    setting("HEADER_TIMEOUT_MS", "MS", "5000", "How long the head of a request may take to arrive"),
    setting("BODY_TIMEOUT_MS", "MS", "10000", "How long the body of a request may take to arrive"),
    setting(
        "HEARTBEAT_MS",
        "MS",
        "5000",
        "How often a WebSocket client is pinged; who did not answer the last ping is dropped",
    ),
    setting("REQUEST_TIMEOUT_MS", "MS", "2000", "How long an answer may take; then 503"),
    setting(
        "DRAIN_S",
        "SECONDS",
        "0",
        "How long to go on serving after SIGTERM, while /ready says 503 so that clients are sent elsewhere",
    ),
];
