//! A server and its clients: transactions, WATCH, subscriptions, scripts. Commands are carried out one at a time, each at
//! a time that the caller gives. Does not know connections: a client is a number.

use std::collections::BTreeMap;

use super::args::{Args, Result, integer, is, syntax_error};
use super::commands::{self, Command, Run, ServerCommand};
use super::keyspace::{Key, Keyspace, Written};
use super::pubsub::{ChannelKind, Subscriptions};
use super::reply::Reply;
use super::scripts::{self, Published, Script, Scripts};

/// A client of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// A reply, or a message, and who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub client: ClientId,
    /// What.
    pub reply: Reply,
}

/// A server.
#[derive(Clone, Default)]
pub struct FakeRedis {
    keys: Keyspace,
    scripts: Scripts,
    clients: BTreeMap<ClientId, Client>,
    subscriptions: Subscriptions,
    run_id: String,
    is_full: bool,
}

#[derive(Clone, Debug, Default)]
struct Client {
    /// Keys, and their versions when they were looked at.
    watched: Vec<(Key, u64)>,
    transaction: Option<Transaction>,
}

#[derive(Clone, Debug, Default)]
struct Transaction {
    queued: Vec<Vec<Vec<u8>>>,
    has_error: bool,
}

impl FakeRedis {
    /// An empty server, by the name of its replication history.
    pub fn new(run_id: &str) -> Self {
        Self { run_id: run_id.to_owned(), ..Self::default() }
    }

    /// Says what a Lua script does.
    pub fn teach(&mut self, source: &str, script: Script) {
        self.scripts.teach(source, script);
    }

    /// A new client.
    pub fn connect(&mut self, client: ClientId) {
        self.clients.insert(client, Client::default());
    }

    /// A client whose connection is over: its transaction is not carried out, and nobody listens for it.
    pub fn disconnect(&mut self, client: ClientId) {
        self.clients.remove(&client);
        self.subscriptions.remove(client);
    }

    /// The string that a key has, if it has one.
    pub fn string(&self, key: &[u8]) -> Option<&[u8]> {
        self.keys.read::<Vec<u8>>(key).ok().flatten().map(Vec::as_slice)
    }

    /// Whether a client listens to any channel.
    pub fn listens(&self, client: ClientId) -> bool {
        self.subscriptions.has_any(client)
    }

    /// From now on it writes down which values keys with this beginning get.
    pub fn record_writes(&mut self, prefix: &[u8]) {
        self.keys.record_writes(prefix);
    }

    /// What was written down since it was asked last.
    pub fn take_writes(&mut self) -> Vec<Written> {
        self.keys.take_writes()
    }

    /// From now on it has no memory left, or some again.
    pub fn fill(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    /// A restart: clients are gone, and scripts forgotten; what it kept is what `saved` had then.
    pub fn restart(&mut self, saved: &Self, run_id: &str) {
        self.keys.restore(&saved.keys);
        self.run_id = run_id.to_owned();
        self.clients.clear();
        self.subscriptions = Subscriptions::default();
        self.scripts.forget();
    }

    /// Carries out one command of a client at a time in microseconds; returns its reply and all messages that it makes,
    /// in order.
    pub fn ask(&mut self, now_us: u64, client: ClientId, words: &[Vec<u8>]) -> Vec<Delivery> {
        self.keys.go_to(now_us);
        let mut deliveries = Vec::new();
        match self.dispatch(client, words, &mut deliveries) {
            Ok(Some(reply)) | Err(reply) => deliveries.push(Delivery { client, reply }),
            Ok(None) => {}
        }
        deliveries
    }

    /// The reply; `None` when all of it is in the deliveries.
    fn dispatch(
        &mut self,
        client: ClientId,
        words: &[Vec<u8>],
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Option<Reply>> {
        let found = commands::find(words).and_then(|(command, args)| {
            if self.is_full && command.needs_memory {
                let why = "OOM command not allowed when used memory > 'maxmemory'.";
                return Err(Reply::Error(why.to_owned()));
            }
            Ok((command, args))
        });
        let is_subscribed = self.subscriptions.has_any(client);
        let state = self.clients.entry(client).or_default();
        let (command, args) = found.inspect_err(|_| {
            if let Some(transaction) = &mut state.transaction {
                transaction.has_error = true;
            }
        })?;
        if is_subscribed && !is_allowed_to_subscribers(command) {
            let name = String::from_utf8_lossy(&words[0]).to_ascii_lowercase();
            let why = "(P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";
            return Err(Reply::err(format!("Can't execute '{name}': only {why}")));
        }
        if let Some(transaction) = &mut state.transaction
            && !ends_or_refuses_a_transaction(command)
        {
            transaction.queued.push(words.to_vec());
            return Ok(Some(Reply::Status("QUEUED")));
        }
        self.run(client, command, &words[0], args, deliveries)
    }

    fn run(
        &mut self,
        client: ClientId,
        command: &Command,
        name: &[u8],
        args: Args<'_>,
        deliveries: &mut Vec<Delivery>,
    ) -> Result<Option<Reply>> {
        let command = match command.run {
            Run::Keys(run) => return run(&mut self.keys, args).map(Some),
            Run::Server(command) => command,
        };
        let kind = ChannelKind::of_command(name);
        let reply = match command {
            ServerCommand::Ping => return self.ping(client, args).map(Some),
            ServerCommand::Echo => Reply::Bulk(args[0].clone()),
            ServerCommand::Time => scripts::time(self.keys.now_us()),
            ServerCommand::Info => Reply::Bulk(self.info().into_bytes()),
            ServerCommand::Select => integer(&args[0]).map(|_| Reply::OK)?,
            ServerCommand::Wait => Reply::Int(0),
            ServerCommand::Multi => return self.multi(client).map(Some),
            ServerCommand::Exec => return self.exec(client, deliveries).map(Some),
            ServerCommand::Discard => return self.discard(client).map(Some),
            ServerCommand::Watch => return self.watch(client, args).map(Some),
            ServerCommand::Unwatch => {
                self.client(client).watched.clear();
                Reply::OK
            }
            ServerCommand::Script if is(&args[0], "LOAD") && args.len() == 2 => self.scripts.load(&args[1])?,
            ServerCommand::Script => return Err(syntax_error()),
            ServerCommand::EvalSha => return self.evalsha(args, deliveries).map(Some),
            ServerCommand::Publish => {
                let messages = self.subscriptions.publish(kind, &args[0], &args[1]);
                let count = Reply::count(messages.len());
                deliveries.extend(messages);
                count
            }
            ServerCommand::Subscribe => {
                deliveries.extend(self.subscriptions.subscribe(client, kind, args));
                return Ok(None);
            }
            ServerCommand::Unsubscribe => {
                deliveries.extend(self.subscriptions.unsubscribe(client, kind, args));
                return Ok(None);
            }
        };
        Ok(Some(reply))
    }

    fn client(&mut self, client: ClientId) -> &mut Client {
        self.clients.entry(client).or_default()
    }

    fn ping(&mut self, client: ClientId, args: Args<'_>) -> Result {
        let message = match args {
            [] => None,
            [message] => Some(message.clone()),
            _ => return Err(Reply::err("wrong number of arguments for 'ping' command")),
        };
        if self.subscriptions.has_any(client) {
            let words = [b"pong".to_vec(), message.unwrap_or_default()];
            return Ok(Reply::Array(words.map(Reply::Bulk).to_vec()));
        }
        Ok(message.map_or(Reply::Status("PONG"), Reply::Bulk))
    }

    fn info(&self) -> String {
        format!(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:{id}\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\n# Replication\r\nrole:master\r\nmaster_replid:{id}\r\n",
            id = self.run_id
        )
    }

    fn watch(&mut self, client: ClientId, args: Args<'_>) -> Result {
        let versions: Vec<_> = args.iter().map(|key| (key.clone(), self.keys.version(key))).collect();
        let client = self.client(client);
        if client.transaction.is_some() {
            return Err(Reply::err("WATCH inside MULTI is not allowed"));
        }
        client.watched.extend(versions);
        Ok(Reply::OK)
    }

    fn multi(&mut self, client: ClientId) -> Result {
        let client = self.client(client);
        if client.transaction.is_some() {
            return Err(Reply::err("MULTI calls can not be nested"));
        }
        client.transaction = Some(Transaction::default());
        Ok(Reply::OK)
    }

    fn discard(&mut self, client: ClientId) -> Result {
        let client = self.client(client);
        if client.transaction.take().is_none() {
            return Err(Reply::err("DISCARD without MULTI"));
        }
        client.watched.clear();
        Ok(Reply::OK)
    }

    fn exec(&mut self, client: ClientId, deliveries: &mut Vec<Delivery>) -> Result {
        let state = self.client(client);
        let Some(transaction) = state.transaction.take() else { return Err(Reply::err("EXEC without MULTI")) };
        let watched = std::mem::take(&mut state.watched);
        if transaction.has_error {
            return Err(Reply::Error("EXECABORT Transaction discarded because of previous errors.".to_owned()));
        }
        if watched.iter().any(|(key, version)| self.keys.version(key) != *version) {
            return Ok(Reply::NilArray);
        }
        let mut replies = Vec::with_capacity(transaction.queued.len());
        for words in &transaction.queued {
            let reply = commands::find(words)
                .and_then(|(command, args)| self.run(client, command, &words[0], args, deliveries));
            match reply {
                Ok(Some(reply)) | Err(reply) => replies.push(reply),
                Ok(None) => {}
            }
        }
        Ok(Reply::Array(replies))
    }

    fn evalsha(&mut self, args: Args<'_>, deliveries: &mut Vec<Delivery>) -> Result {
        let count = integer(&args[1])?;
        let count = usize::try_from(count).map_err(|_| Reply::err("Number of keys can't be negative"))?;
        let words = args[2..].split_at_checked(count);
        let words = words.ok_or_else(|| Reply::err("Number of keys can't be greater than number of args"))?;
        let (reply, published) = self.scripts.run(&mut self.keys, &args[0], words)?;
        for Published { kind, channel, message } in published {
            deliveries.extend(self.subscriptions.publish(kind, &channel, &message));
        }
        Ok(reply)
    }
}

fn is_allowed_to_subscribers(command: &Command) -> bool {
    match command.run {
        Run::Keys(_) => false,
        Run::Server(command) => {
            matches!(command, ServerCommand::Subscribe | ServerCommand::Unsubscribe | ServerCommand::Ping)
        }
    }
}

fn ends_or_refuses_a_transaction(command: &Command) -> bool {
    match command.run {
        Run::Keys(_) => false,
        Run::Server(command) => matches!(
            command,
            ServerCommand::Exec | ServerCommand::Discard | ServerCommand::Multi | ServerCommand::Watch
        ),
    }
}
