//! What fuzz targets see of tokens: their claims.

use super::id_token::Claims;
use crate::wire::v2::account::PlanType;

/// What a token says of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsOf {
    /// The user's address.
    pub email: Option<String>,
    /// The user's plan.
    pub plan: Option<PlanType>,
    /// The account that the token is for.
    pub account_id: Option<String>,
}

/// Reads the claims of a JWT. The error is the text that a host is shown.
pub fn claims_of(jwt: &str) -> Result<ClaimsOf, String> {
    let Claims { email, plan, account_id } = Claims::parse(jwt)?;
    Ok(ClaimsOf { email, plan, account_id })
}
