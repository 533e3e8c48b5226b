//! Who may ask at all: by which name the server is asked, from whose page, with which credential; and what a route needs. Does not
//! know what is done with a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::header::{AUTHORIZATION, FORWARDED, HeaderMap, HeaderName, ORIGIN, VIA};
use hyper::http::request::Parts;
use tracing::warn;

use crate::auth::{Action, AuthError, Authenticator, Denied, Identity, Permission, permit, permit_any};
use crate::caller::{Authentication, Caller};
use crate::client::ClientAddress;
use crate::engine::SessionId;
use crate::problem::Problem;
use crate::revocations::Revocations;
use crate::ws::{Entrance, InvitedClient, UpgradeRequest, WaitingRoom};

use super::hosts::AllowedHosts;
use super::origins::AllowedOrigins;
use super::response::Response;
use super::routes::Scope;
use super::surface::Surface;

/// Who may ask.
#[derive(Clone, Debug)]
pub struct AccessOptions {
    /// Who finds out who asks; `None` where nobody is asked.
    pub authenticator: Option<Arc<Authenticator>>,
    /// What was revoked of tokens; there where somebody is asked.
    pub revocations: Option<Arc<Revocations>>,
    /// Without it, requests that came through a proxy are refused: it may have let in anybody.
    pub may_be_proxied: bool,
    /// By which names.
    pub hosts: AllowedHosts,
    /// By which names where operators have a listener of their own.
    pub operator_hosts: AllowedHosts,
    /// From whose pages.
    pub origins: AllowedOrigins,
    /// Clients of WebSockets that must still say who they are.
    pub waiting: Arc<WaitingRoom>,
}

/// Judges who asks.
#[derive(Debug)]
pub(super) struct Access {
    options: AccessOptions,
    /// It was logged that requests are refused since they came through a proxy.
    is_proxy_told: AtomicBool,
}

/// A credential that was found to be right on a connection, so that it is not looked at again.
#[derive(Debug)]
pub(super) struct KnownCredential {
    /// A copy: a header's value would keep all that was read with it.
    header: Box<[u8]>,
    identity: Arc<Identity>,
}

impl Access {
    pub(super) fn new(options: AccessOptions) -> Self {
        Self { options, is_proxy_told: AtomicBool::new(false) }
    }

    /// Whether somebody must say who they are.
    pub(super) fn is_closed(&self) -> bool {
        self.options.authenticator.is_some()
    }

    /// What was revoked.
    pub(super) fn revocations(&self) -> Option<&Revocations> {
        self.options.revocations.as_deref()
    }

    /// The answer to a client that asks for a WebSocket. A client that can read statuses, since it set a header, is refused by one;
    /// a page, which cannot, is let in and then told why it must go.
    pub(super) async fn upgrade(&self, caller: &Caller, invited: InvitedClient) -> Result<Response, Problem> {
        let InvitedClient { response, session, tokens } = invited;
        let (caller, entrance) = match &self.options.authenticator {
            Some(authenticator) => self.entrance(authenticator, caller, session.ok(), &tokens).await?,
            None => (caller.clone(), Entrance::Admitted),
        };
        Ok(Response::switch_protocols(response, UpgradeRequest { session, caller, entrance }))
    }

    async fn entrance(
        &self,
        authenticator: &Authenticator,
        caller: &Caller,
        session: Option<SessionId>,
        tokens: &[String],
    ) -> Result<(Caller, Entrance), Problem> {
        let address = caller.address();
        let may_watch = |caller: &Caller| match session {
            Some(id) => caller.permit(id, Action::Use(Permission::Watch)),
            // It is closed at once.
            None => Ok(()),
        };
        match (caller.authentication(), tokens) {
            (Authentication::Open | Authentication::Identified(_), []) => {
                may_watch(caller).map_err(Problem::denied)?;
                Ok((caller.clone(), Entrance::Admitted))
            }
            (Authentication::Refused(AuthError::Missing), []) => {
                let place = self.options.waiting.enter(address).ok_or_else(Problem::too_many_unknown)?;
                Ok((caller.clone(), Entrance::Awaited(place)))
            }
            (Authentication::Refused(AuthError::Missing), [token]) => {
                match authenticator.identify_in_time(token, address).await {
                    Ok(identity) => {
                        let caller = Caller::new(address, Authentication::Identified(identity));
                        let entrance = match may_watch(&caller) {
                            Ok(()) => Entrance::Admitted,
                            Err(Denied::Revoked) => Entrance::Refused(AuthError::Revoked),
                            Err(Denied::Needs(_) | Denied::MustName | Denied::Nobody) => Entrance::Forbidden,
                        };
                        Ok((caller, entrance))
                    }
                    Err(error) => Ok((caller.clone(), Entrance::Refused(error))),
                }
            }
            (Authentication::Refused(error), []) => Err(Problem::unauthenticated(error)),
            (_, [_, ..]) => Err(Problem::bad_request("A handshake has one credential")),
        }
    }

    /// Waits a little until keys have been read again that somebody was refused by.
    pub(super) async fn refresh(&self, error: &AuthError) {
        if let Some(authenticator) = &self.options.authenticator {
            authenticator.refresh(error).await;
        }
    }

    /// Refuses a request by another name than ours, and one that came through a proxy where that may have let in anybody.
    pub(super) fn check_way(&self, request: &Parts, surface: Surface) -> Result<(), Problem> {
        let hosts = match surface.is_of_operators() {
            true => &self.options.operator_hosts,
            false => &self.options.hosts,
        };
        if !hosts.allows(request) {
            return Err(Problem::host_not_allowed());
        }
        if self.options.may_be_proxied || !request.headers.keys().any(is_of_proxies) {
            return Ok(());
        }
        if !self.is_proxy_told.swap(true, Ordering::Relaxed) {
            warn!(
                "a proxy passes requests on to a server that asks nobody who they are: refused; give keys, or say AUTH=off"
            );
        }
        Err(Problem::proxied())
    }

    /// Refuses a page that is none of those allowed; to operators, one of another machine. Requests that come from no page do not
    /// say so.
    pub(super) fn check_origin(&self, headers: &HeaderMap, surface: Surface) -> Result<(), Problem> {
        let origins = match surface.is_of_operators() {
            true => &AllowedOrigins::Local,
            false => &self.options.origins,
        };
        if *origins == AllowedOrigins::Any {
            return Ok(());
        }
        match headers.get_all(ORIGIN).iter().all(|origin| origins.allows(origin.as_bytes())) {
            true => Ok(()),
            false => Err(Problem::origin_not_allowed()),
        }
    }

    /// Who asks with such headers; `known` is what the connection remembers.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        known: &mut Option<KnownCredential>,
        address: ClientAddress,
    ) -> Authentication {
        let Some(authenticator) = &self.options.authenticator else { return Authentication::Open };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Authentication::Refused(AuthError::Missing) };
        if values.next().is_some() {
            return Authentication::Refused(AuthError::Invalid("two credentials".to_owned()));
        }
        if let Some(known) = known
            && *known.header == *value.as_bytes()
            && authenticator.is_current(&known.identity)
        {
            return Authentication::Identified(Arc::clone(&known.identity));
        }
        let identified = match value.to_str().ok().map(bearer) {
            Some(Some(credential)) => authenticator.identify(credential, address),
            Some(None) => Err(AuthError::Missing),
            None => Err(AuthError::Invalid("it is no text".to_owned())),
        };
        match identified {
            Ok(identity) => {
                let header = value.as_bytes().into();
                *known = Some(KnownCredential { header, identity: Arc::clone(&identity) });
                Authentication::Identified(identity)
            }
            Err(error) => Authentication::Refused(error),
        }
    }
}

/// Whether proxies add a header to requests.
fn is_of_proxies(name: &HeaderName) -> bool {
    let text = name.as_str();
    *name == FORWARDED || *name == VIA || text == "x-real-ip" || text.starts_with("x-forwarded-")
}

/// The credential in a header (RFC 6750, section 2.1); `None` when it is of another scheme.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, credential) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(credential)
}

/// Whether a caller may do what a route of such a scope is for, as far as its path says. Nothing is said of whether there is such a session. A path
/// without an id that makes sense is judged by who reads it.
pub(super) fn permit_route(caller: &Authentication, scope: Scope, id: Option<SessionId>) -> Result<(), Problem> {
    let identity = match caller {
        Authentication::Open => {
            return match scope {
                Scope::Operator(permission) => Err(Problem::denied(Denied::Needs(permission))),
                Scope::Public | Scope::Identified | Scope::Session(_) | Scope::Server(_) => Ok(()),
            };
        }
        Authentication::Identified(identity) => identity,
        Authentication::Refused(_) if scope == Scope::Public => return Ok(()),
        Authentication::Refused(error) => return Err(Problem::unauthenticated(error)),
    };
    let action = match scope {
        Scope::Public | Scope::Identified => return Ok(()),
        Scope::Server(permission) | Scope::Operator(permission) => {
            return permit_any(identity, permission).map_err(Problem::denied);
        }
        Scope::Session(Permission::Switch) => Action::SomeSwitch,
        Scope::Session(Permission::Patch) => Action::SomePatch,
        Scope::Session(permission) => Action::Use(permission),
    };
    match id {
        Some(id) => permit(identity, id, action).map_err(Problem::denied),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn a_credential_stands_behind_its_scheme() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("Bearer  abc", Some(" abc")),
            ("Bearer", Some("")),
            ("Bearerabc", None),
            ("Basic abc", None),
            ("", None),
        ] {
            assert_eq!(bearer(value), expected, "{value}");
        }
    }
}
