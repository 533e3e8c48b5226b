//! The endpoint that revokes tokens. Does not know where revocations are kept.

use bytes::Bytes;
use hyper::StatusCode;
use tracing::info;

use crate::problem::Problem;
use crate::revocations::{AcceptedRevocation, Revocations};
use crate::wire::{self, FieldProblems};

use super::super::request_context::RequestContext;
use super::super::response::Response;

pub(in crate::http) async fn revoke(
    context: &RequestContext<'_>,
    revocations: &Revocations,
    body: &Bytes,
) -> Result<Response, Problem> {
    let mut problems = FieldProblems::new();
    let request = wire::revocation_request(body, &mut problems)?.ok_or_else(|| Problem::invalid(problems))?;
    let AcceptedRevocation { revocation, is_durable } = revocations.revoke(request).await?;
    info!(by = %context.caller, tokens = revocation.target.name(), "tokens are revoked");
    Ok(Response::fresh(StatusCode::CREATED, wire::revoked(&revocation, is_durable)))
}
