//! A sign-in with a code that the user types elsewhere (auth.md §15.3): what the authority answers to
//! whoever asks for a code, and to whoever asks whether it was typed.

use std::time::Duration;

use serde::Deserialize;

use super::{Ended, Stage, login_exchange, stop};
use crate::auth::Auth;
use crate::exchange::Reply;
use crate::limits;
use crate::outside::Outside;
use crate::owner::TimerOwner;
use crate::pending::Ticket;
use crate::secret::Secret;
use crate::wire::refusal::Refusal;
use crate::wire::v2::account::LoginAccountResponse;

/// A device login's code.
#[derive(Debug)]
#[cfg_attr(feature = "sim", derive(Clone))]
pub(super) struct Device {
    pub(super) id: Secret,
    pub(super) user_code: String,
    interval: Duration,
}

#[derive(Deserialize)]
struct UserCode {
    device_auth_id: Secret,
    #[serde(alias = "usercode")]
    user_code: String,
    /// Seconds, as a decimal string.
    #[serde(default)]
    interval: Option<String>,
}

#[derive(Deserialize)]
struct DeviceGrant {
    authorization_code: String,
    code_verifier: Secret,
}

impl Auth {
    pub(super) fn on_user_code(&mut self, out: &mut Outside, ticket: Ticket, reply: Reply) {
        let refuse = |auth: &mut Self, out: &mut Outside, ticket, refusal: &Refusal| {
            if let Some(mut login) = auth.login.take() {
                stop(out, &mut login);
            }
            out.refuse(ticket, refusal);
        };
        let fault =
            |text: String| Refusal::internal(format!("failed to request device code: {text}"));
        let response = match reply {
            Err(failure) => return refuse(self, out, ticket, &fault(failure.text)),
            Ok(response) => response,
        };
        if response.head.status == 404 {
            let text = "device code login is not enabled for this Codex server. Use the browser \
                        login or verify the server URL.";
            return refuse(self, out, ticket, &Refusal::invalid(text));
        }
        if !response.is_success() {
            let status = response.head.status;
            let text = format!("device code request failed with status {status}");
            return refuse(self, out, ticket, &fault(text));
        }
        let Ok(code) = serde_json::from_slice::<UserCode>(&response.body) else {
            return refuse(self, out, ticket, &fault("the answer does not parse".to_owned()));
        };
        let seconds = code.interval.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        // No clock can be asked to wait for ever, and the login does not either.
        let longest = limits::DEVICE_LOGIN_LIMIT;
        let interval = Duration::from_secs(seconds).clamp(limits::DEVICE_POLL_MIN, longest);
        let (id, user_code) = (code.device_auth_id, code.user_code);
        let Some(login) = &mut self.login else { return };
        login.limit = Some(out.start_timer(limits::DEVICE_LOGIN_LIMIT, TimerOwner::LoginLimit));
        login.retry = Some(out.start_timer(interval, TimerOwner::LoginRetry));
        let answer = LoginAccountResponse::ChatgptDeviceCode {
            login_id: login.id.to_string(),
            verification_url: self.authority.verification_url(),
            user_code: user_code.clone(),
        };
        login.stage = Stage::Polling(Device { id, user_code, interval }, None);
        out.reply(ticket, answer);
    }

    pub(super) fn on_polled(&mut self, out: &mut Outside, device: Device, reply: Reply) {
        let Some(login) = &mut self.login else { return };
        let again = match &reply {
            Ok(response) => matches!(response.head.status, 403 | 404 | 429 | 500..=599),
            Err(_) => true,
        };
        if again {
            login.retry = Some(out.start_timer(device.interval, TimerOwner::LoginRetry));
            login.stage = Stage::Polling(device, None);
            return;
        }
        let Ok(response) = reply else { return };
        if !response.is_success() {
            let text = format!("device auth failed with status {}", response.head.status);
            login.stage = Stage::Polling(device, None);
            return self.end_login(out, &Ended::Failed(text));
        }
        let Ok(grant) = serde_json::from_slice::<DeviceGrant>(&response.body) else {
            login.stage = Stage::Polling(device, None);
            let text = "device auth failed: the answer does not parse".to_owned();
            return self.end_login(out, &Ended::Failed(text));
        };
        let redirect = self.authority.device_redirect_uri();
        let (code, verifier) = (&grant.authorization_code, &grant.code_verifier);
        let request = self.authority.token_request(code, &redirect, verifier);
        login.stage = Stage::Exchanging(None, login_exchange(out, request));
    }
}
