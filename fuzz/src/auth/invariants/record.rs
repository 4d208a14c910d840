//! Where credentials are: in stores, logs and requests, and what reads of them show.

use super::server::is_about_account;
use super::{ensure, mismatch, replies};
use crate::auth::model::store::Record;
use crate::auth::said::Line;
use crate::auth::scene::Scene;
use crate::auth::seen::Seen;
use crate::auth::setting::{AUTH_FILE, Keeping, PROVIDER_KEY};
use crate::auth::tokens::{EXTERNAL_MARK, Kind, MARKS};
use crate::world::fact::Purpose;
use understudy_core::files::Access;

/// I1: external tokens are in no file.
pub(super) fn i01_external_tokens_are_never_stored(scene: &Scene) -> Result<(), String> {
    if !scene.has_touched_files {
        return Ok(());
    }
    for secret in scene.world.keyring.secrets() {
        ensure(!secret.contains(EXTERNAL_MARK), || "the keyring holds a token".to_owned())?;
    }
    if !scene.has_written {
        return Ok(());
    }
    for path in scene.world.files.paths() {
        let bytes = scene.world.files.content(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let is_store = path.as_os_str() == AUTH_FILE || path.ends_with("config.toml");
        let marks = if is_store { &MARKS[..1] } else { &MARKS[..] };
        let mark = marks.iter().find(|mark| text.contains(**mark));
        ensure(mark.is_none(), || format!("{} holds a token: {mark:?}", path.display()))?;
    }
    Ok(())
}

/// I2: a request carries the account of the very token it carries.
pub(super) fn i02_account_is_the_tokens_own(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Sent { sent, expected: (bearer, account), .. } = seen
            && sent.bearer == *bearer
        {
            ensure(sent.account == *account, || {
                format!("{bearer:?} went with account {:?}, not {account:?}", sent.account)
            })?;
        }
    }
    Ok(())
}

/// I3: nobody is signed in after a logout: no request has a bearer, no read shows an account.
pub(super) fn i03_after_logout_nothing_is_usable(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        if let Seen::Sent { sent, login, .. } = seen
            && login.kind == Kind::None
        {
            let bearer = sent.bearer.as_deref().filter(|bearer| *bearer != PROVIDER_KEY);
            ensure(bearer.is_none(), || format!("nobody is signed in, and {bearer:?} is sent"))?;
        }
    }
    for (expected, got) in replies(scene) {
        let is_nobody = expected.login.kind == Kind::None && expected.line.is_read();
        ensure(!is_nobody || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    Ok(())
}

/// I4: a logout whose deletion fails is refused and says that nobody is signed in.
pub(super) fn i04_a_failed_logout_clears_memory(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        if matches!(expected.line, Line::Logout { .. }) && got.is_err() {
            ensure(expected.login.kind == Kind::None || !expected.verdict.is_ok(), || {
                mismatch(expected, got)
            })?;
        }
    }
    Ok(())
}

/// I16: what is read is the login in force, whatever logins were refused before.
pub(super) fn i16_reads_show_the_login_in_force(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        let is_read = expected.line.is_read();
        ensure(!is_read || expected.verdict.fits(got), || mismatch(expected, got))?;
    }
    Ok(())
}

/// I16: the store is written for logins with a key that are allowed, and for logouts; not for those
/// that are refused, and never for the host's tokens.
pub(super) fn i16_the_store_is_written_when_asked(scene: &Scene) -> Result<(), String> {
    let was_stored = scene.seen.iter().any(|seen| matches!(seen, Seen::Stored));
    ensure(!was_stored, || "the store was written without a request for it".to_owned())?;
    scene.model.store_trouble.clone().map_or(Ok(()), Err)?;
    if !scene.has_touched_files || scene.world.exit().is_some() {
        return Ok(());
    }
    let places = [
        ("auth.json", &scene.model.stores.file, scene.auth_file()),
        ("the keyring", &scene.model.stores.keyring, scene.keyring_entry()),
    ];
    for (place, wanted, got) in places {
        let (wanted, got) = (wanted.shape(), Record::shape_of(got.as_deref()));
        ensure(wanted == got, || format!("{place} holds `{got}`, not `{wanted}`"))?;
    }
    Ok(())
}

/// I38: no part of a credential is logged.
pub(super) fn i38_no_secret_is_logged(scene: &Scene) -> Result<(), String> {
    let Some(mark) = MARKS.iter().find(|mark| scene.log.contains(**mark)) else { return Ok(()) };
    let line = scene.log.lines().find(|line| line.contains(mark)).unwrap_or_default();
    Err(format!("the log holds a token: {line}"))
}

/// I39: the account's tokens go only to the first party and to providers that ask for them.
pub(super) fn i39_tokens_go_where_they_belong(scene: &Scene) -> Result<(), String> {
    for seen in &scene.seen {
        match seen {
            Seen::Sent { sent, login, expected: (bearer, _), .. } => {
                ensure(sent.bearer.is_none() || bearer.is_some(), || {
                    format!("{:?} went to {}", sent.bearer, sent.url)
                })?;
                let (base, path) = match sent.purpose {
                    Purpose::Turn => (scene.setting.base_url(login), "/responses"),
                    Purpose::Usage => ("https://chatgpt.com/backend-api", "/wham/usage"),
                    _ => (scene.setting.base_url(login), "/models?"),
                };
                let rest = sent.url.strip_prefix(base);
                ensure(rest.is_some_and(|rest| rest.starts_with(path)), || {
                    format!("to {}, not {base}{path}", sent.url)
                })?;
            }
            Seen::Authority { sent, is_due, .. } => {
                let own = match sent.purpose {
                    Purpose::Oust => "http://127.0.0.1:1455/cancel",
                    _ => "https://auth.openai.com/",
                };
                ensure(sent.url.starts_with(own), || format!("tokens went to {}", sent.url))?;
                ensure(sent.bearer.is_none() && sent.account.is_none(), || {
                    format!("{} has a bearer", sent.url)
                })?;
                let text = || format!("a request that nothing called for: {:?}", sent.purpose);
                ensure(*is_due || is_about_account(scene), text)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// I41: a stored record that cannot be used is reported, once, after `initialize`.
pub(super) fn i41_a_bad_record_is_reported(scene: &Scene) -> Result<(), String> {
    let is_ours = |seen: &&Seen| matches!(seen, Seen::Warned(summary) if summary.starts_with("Stored credentials"));
    let warned = scene.seen.iter().filter(is_ours).count();
    let begun = replies(scene)
        .filter(|(expected, got)| matches!(expected.line, Line::Initialize { .. }) && got.is_ok());
    let wanted = if scene.model.warns { begun.count() } else { 0 };
    ensure(warned == wanted, || format!("warned {warned} times, not {wanted}"))
}

/// I42: after a logout that worked the record is gone.
pub(super) fn i42_logout_deletes_the_record(scene: &Scene) -> Result<(), String> {
    for (expected, got) in replies(scene) {
        let is_kept = scene.setting.keeping != Keeping::Memory;
        if matches!(expected.line, Line::Logout { .. }) && got.is_ok() && is_kept {
            ensure(scene.auth_file().is_none(), || "auth.json is still there".to_owned())?;
            let entry = scene.keyring_entry().filter(|_| scene.model.stores.is_in_keyring());
            ensure(entry.is_none(), || "the keyring's entry is still there".to_owned())?;
        }
    }
    Ok(())
}

/// I43: a record that was written may be read by its owner only.
pub(super) fn i43_the_record_is_private(scene: &Scene) -> Result<(), String> {
    let stores = &scene.model.stores;
    let is_written = stores.file_is_ours && stores.file != Record::Nothing;
    if is_written && scene.has_touched_files {
        let access = scene.world.files.access(AUTH_FILE);
        ensure(access == Some(Access::Private), || format!("auth.json is {access:?}"))?;
    }
    Ok(())
}
