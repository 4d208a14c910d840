//! Names of plans, as tokens and hosts give them (auth.md §5, §14.1).

use crate::wire::v2::account::PlanType;

/// The plan as a token's claim gives it: exact names, anything else is unknown.
pub(crate) fn from_claim(name: &str) -> PlanType {
    match name {
        "free" => PlanType::Free,
        "go" => PlanType::Go,
        "plus" => PlanType::Plus,
        "pro" => PlanType::Pro,
        "team" => PlanType::Team,
        "business" => PlanType::Business,
        "enterprise" | "hc" => PlanType::Enterprise,
        "edu" => PlanType::Edu,
        _ => PlanType::Unknown,
    }
}

/// The plan as a host names it: in any case, with `education` for `edu`.
pub(crate) fn from_host(name: &str) -> PlanType {
    let name = name.to_ascii_lowercase();
    if name == "education" { PlanType::Edu } else { from_claim(&name) }
}
