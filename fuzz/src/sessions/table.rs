//! What may run, written out once more and independently of the machine (engine.md §4.1, §4.7).

/// When the user wants to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// `untrusted`
    Untrusted,
    /// `on-request`
    OnRequest,
    /// `on-failure`
    OnFailure,
    /// `never`
    Never,
}

/// What holds commands back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// `read-only`
    ReadOnly,
    /// `workspace-write`
    Workspace,
    /// `danger-full-access`
    Full,
}

/// What the rules and the words say of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A rule allows it.
    Allowed,
    /// It only reads.
    Safe,
    /// Nothing is known of it.
    Unknown,
    /// It is known to be dangerous.
    Dangerous,
    /// A rule says to ask.
    Prompted,
    /// A rule forbids it.
    Forbidden,
}

/// Where a patch writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nowhere.
    Nothing,
    /// In the working folder.
    Inside,
    /// Elsewhere.
    Outside,
}

/// What may become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It may begin, with or without a sandbox.
    Free {
        /// In the sandbox.
        confined: bool,
    },
    /// It may begin once the user has said yes.
    IfAsked {
        /// In the sandbox.
        confined: bool,
    },
    /// It may not.
    No,
}

impl Policy {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Untrusted => "untrusted",
            Policy::OnRequest => "on-request",
            Policy::OnFailure => "on-failure",
            Policy::Never => "never",
        }
    }
}

impl Sandbox {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Sandbox::ReadOnly => "read-only",
            Sandbox::Workspace => "workspace-write",
            Sandbox::Full => "danger-full-access",
        }
    }
}

/// What may become of a command.
pub fn command(policy: Policy, sandbox: Sandbox, finding: Finding, escalated: bool) -> Leave {
    let confined = sandbox != Sandbox::Full;
    if escalated && policy != Policy::OnRequest {
        return Leave::No;
    }
    let wanted = confined && !escalated;
    match finding {
        Finding::Forbidden => Leave::No,
        Finding::Dangerous | Finding::Prompted if policy == Policy::Never => Leave::No,
        Finding::Dangerous | Finding::Prompted => Leave::IfAsked { confined: wanted },
        Finding::Allowed => Leave::Free { confined: false },
        Finding::Safe => Leave::Free { confined },
        Finding::Unknown if policy == Policy::Untrusted => Leave::IfAsked { confined },
        Finding::Unknown if escalated && confined => Leave::IfAsked { confined: false },
        Finding::Unknown => Leave::Free { confined },
    }
}

/// What may become of a patch.
pub fn patch(policy: Policy, sandbox: Sandbox, reach: Reach) -> Leave {
    let is_within = match (reach, sandbox) {
        (Reach::Nothing, _) => return Leave::No,
        (_, Sandbox::Full) => true,
        (Reach::Inside, Sandbox::Workspace) => true,
        (Reach::Inside | Reach::Outside, Sandbox::ReadOnly | Sandbox::Workspace) => false,
    };
    match (is_within, policy) {
        (true, Policy::Untrusted) => Leave::IfAsked { confined: true },
        (true, _) => Leave::Free { confined: true },
        (false, Policy::Never) => Leave::No,
        (false, _) => Leave::IfAsked { confined: false },
    }
}
