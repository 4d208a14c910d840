//! Logins that end otherwise: refused, failed, cancelled, replaced (auth.md §6.8, §6.9, §12 G1,
//! G13, G15, §13.1 I8–I11, I44). Each has exactly one completion, and nothing of it is saved.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use understudy_tokio::demo::authority::{Ask, Authority, field};
use understudy_tokio::demo::reply::{Gate, Reply};
use understudy_tokio::demo::seen::{Request, Trouble};
use understudy_tokio::demo::tokens::api_key;

use crate::browser::{self, Loading, PORT, PortTurn};
use crate::signin::{begin, completions, failed, signed_in};
use crate::stage::{EXIT_LIMIT, LOGIN, Outcome, Scene, Stage, WAIT_LIMIT, text, tokens};

const NOT_COMPLETED: &str = "Login server error: Login was not completed";

fn asks_token(request: &Request) -> bool {
    request.bare_path().ends_with("/oauth/token")
}

/// Nothing was stored, nobody is signed in, and the port can be had at once.
fn assert_nothing_happened(stage: &mut Stage) -> Outcome {
    TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    assert_eq!(stage.account()?, Value::Null);
    assert!(!stage.scratch.has_auth_json());
    assert_eq!(stage.said("account/updated"), Vec::<Value>::new());
    Ok(())
}

#[test]
fn i44_without_the_state_nothing_happens_on_any_route() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    Scene::of(&authority).play(|stage| {
        let login = begin(stage)?;
        let at = |target: &str| format!("http://127.0.0.1:{PORT}{target}");
        for path in ["/auth/callback", "/cancel", "/success"] {
            for query in ["", "?", "?state=", "?state=wrong", "?error=x", "?code=c&state=wrong"] {
                for method in ["GET", "POST"] {
                    let page = Loading::begin(method, &at(&format!("{path}{query}")))?.page()?;
                    assert_eq!(page.status, 400, "{method} {path}{query}: {page:?}");
                }
            }
        }
        assert_eq!(browser::get(&at("/favicon.ico"))?.status, 404);
        assert_eq!(browser::get(&at("/"))?.status, 404);
        stage.host.listen(Duration::from_millis(50))?;
        assert_eq!(completions(stage, &login.id), []);
        assert_eq!((authority.asked(Ask::Code), authority.asked(Ask::Key)), (0, 0));
        browser::sign_in(&login.url)?;
        signed_in(stage, &login.id)
    });
    Ok(())
}

#[test]
fn a_refusal_of_the_authority_ends_the_login_with_its_reason() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    Scene::of(&authority).play(|stage| {
        for (error, why, want) in [
            ("access_denied", "The user said <no>", "Sign-in failed: The user said <no>"),
            ("server_error", "", "Sign-in failed: server_error"),
            (
                "access_denied",
                "missing_codex_entitlement",
                "Codex is not enabled for your workspace. Contact your workspace administrator \
                 to request access to Codex.",
            ),
        ] {
            authority.switch(|switches| switches.denied = Some((error.into(), why.into())));
            let login = begin(stage)?;
            let page = browser::sign_in(&login.url)?;
            let shown = want.replace('<', "&lt;").replace('>', "&gt;");
            assert!(page.body.contains(&shown), "{page:?}");
            assert_eq!(failed(stage, &login.id)?, format!("Login server error: {want}"));
        }
        assert_eq!(authority.asked(Ask::Code), 0);
        assert_nothing_happened(stage)
    });
    Ok(())
}

#[test]
fn a_failed_exchange_ends_the_login_at_once() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    let tokens_with = |id: &str| json!({"access_token": "a", "refresh_token": "r", "id_token": id});
    Scene::of(&authority).play(|stage| {
        for (reply, want) in [
            (Reply::error(500, "out of order"), "token endpoint returned status 500: out of order"),
            (
                Reply::json(200, json!({"access_token": 5})),
                "the answer of the token endpoint does not parse",
            ),
            (
                Reply::json(200, tokens_with("no-jwt")),
                "Unable to persist auth file: invalid ID token format",
            ),
        ] {
            authority.next(Ask::Code, reply);
            let login = begin(stage)?;
            let page = browser::sign_in(&login.url)?;
            assert!(page.body.contains(want), "{page:?}");
            assert_eq!(failed(stage, &login.id)?, format!("Login server error: {want}"));
        }
        assert_nothing_happened(stage)
    });
    Ok(())
}

#[test]
fn a_callback_without_a_code_ends_the_login() -> Outcome {
    let _turn = PortTurn::take()?;
    Scene::of(&Authority::default()).play(|stage| {
        let login = begin(stage)?;
        let (_, query) = login.url.split_once('?').unwrap_or_default();
        let state = field(query, "state").unwrap_or_default();
        let url = format!("http://localhost:{PORT}/auth/callback?state={state}&code=");
        assert_eq!(browser::get(&url)?.status, 200);
        let want =
            "Login server error: Missing authorization code. Sign-in could not be completed.";
        assert_eq!(failed(stage, &login.id)?, want);
        assert_nothing_happened(stage)
    });
    Ok(())
}

#[test]
fn i20_another_workspace_than_the_forced_one_is_refused() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    authority.switch(|switches| switches.account = "org-2".into());
    let scene = Scene::of(&authority).config(r#"forced_chatgpt_workspace_id = "org-1""#);
    scene.play(|stage| {
        let login = begin(stage)?;
        let page = browser::sign_in(&login.url)?;
        let want = "Login is restricted to workspace id org-1.";
        assert!(page.body.contains(want), "{page:?}");
        assert_eq!(failed(stage, &login.id)?, format!("Login server error: {want}"));
        assert_nothing_happened(stage)
    });
    Ok(())
}

#[test]
fn i9_a_login_cancelled_during_its_exchange_is_over() -> Outcome {
    let _turn = PortTurn::take()?;
    for ask in [Ask::Code, Ask::Key] {
        let (authority, gate) = (Authority::default(), Gate::new());
        authority.hold(ask, &gate);
        Scene::of(&authority).play(|stage| {
            let login = begin(stage)?;
            let loading = Loading::begin("GET", &browser::authorize(&login.url)?)?;
            let count = if ask == Ask::Code { 1 } else { 2 };
            stage.backend.wait_for(count, WAIT_LIMIT, asks_token)?;
            let cancel = json!({"loginId": login.id});
            let canceled = stage.host.ask("account/login/cancel", cancel.clone())?;
            assert_eq!(canceled, json!({"status": "canceled"}));
            TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
            assert_eq!(failed(stage, &login.id)?, NOT_COMPLETED);
            let page = loading.page()?;
            assert!(page.body.contains("Login was not completed"), "{page:?}");
            let again = stage.host.ask("account/login/cancel", cancel)?;
            assert_eq!(again, json!({"status": "notFound"}));
            gate.open();
            stage.host.listen(Duration::from_millis(100))?;
            assert_eq!(completions(stage, &login.id).len(), 1);
            assert_nothing_happened(stage)
        });
    }
    Ok(())
}

/// Begins a login, does something else, and gives the error that the login ended with.
fn replaced_by(
    stage: &mut Stage,
    other: impl FnOnce(&mut Stage) -> Outcome,
) -> Result<String, Trouble> {
    let login = begin(stage)?;
    other(stage)?;
    failed(stage, &login.id)
}

#[test]
fn i10_every_other_login_and_a_logout_take_a_logins_place() -> Outcome {
    let _turn = PortTurn::take()?;
    let authority = Authority::default();
    authority.switch(|switches| switches.device_typed = false);
    Scene::of(&authority).play(|stage| {
        let error = replaced_by(stage, |stage| {
            let key = json!({"type": "apiKey", "apiKey": api_key()});
            stage.host.ask(LOGIN, key).map(drop)
        })?;
        assert_eq!(error, NOT_COMPLETED);
        let error =
            replaced_by(stage, |stage| stage.host.ask("account/logout", Value::Null).map(drop))?;
        assert_eq!(error, NOT_COMPLETED);
        let error = replaced_by(stage, |stage| {
            let device = stage.host.ask(LOGIN, json!({"type": "chatgptDeviceCode"}))?;
            let id = text(&device, "/loginId")?;
            stage.host.ask("account/login/cancel", json!({"loginId": id})).map(drop)
        })?;
        assert_eq!(error, "Login server error: Login cancelled");
        let error = replaced_by(stage, |stage| {
            let refused = json!({"type": "chatgptAuthTokens", "accessToken": "a", "idToken": "x"});
            let reply = stage.host.call(LOGIN, refused)?;
            assert_eq!(reply["error"]["code"], -32600, "{reply}");
            Ok(())
        })?;
        assert_eq!(error, NOT_COMPLETED);
        let error = replaced_by(stage, |stage| stage.host.ask(LOGIN, tokens(1).login()).map(drop))?;
        assert_eq!(error, NOT_COMPLETED);
        TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
        Ok(())
    });
    Ok(())
}

#[test]
fn a_second_browser_login_takes_over_also_during_an_exchange() -> Outcome {
    let _turn = PortTurn::take()?;
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Code, &gate);
    Scene::of(&authority).play(|stage| {
        let first = begin(stage)?;
        let loading = Loading::begin("GET", &browser::authorize(&first.url)?)?;
        stage.backend.wait_for(1, WAIT_LIMIT, asks_token)?;
        let second = begin(stage)?;
        assert_eq!(failed(stage, &first.id)?, "Login server error: Login cancelled");
        assert!(loading.page()?.body.contains("not signed in"));
        gate.open();
        assert_eq!(browser::authorize(&first.url).and_then(|url| browser::get(&url))?.status, 400);
        browser::sign_in(&second.url)?;
        signed_in(stage, &second.id)?;
        assert_eq!(completions(stage, &first.id).len(), 1);
        Ok(())
    });
    Ok(())
}

#[test]
fn a_logout_during_an_exchange_is_a_logout() -> Outcome {
    let _turn = PortTurn::take()?;
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Key, &gate);
    Scene::of(&authority).play(|stage| {
        let login = begin(stage)?;
        let loading = Loading::begin("GET", &browser::authorize(&login.url)?)?;
        stage.backend.wait_for(2, WAIT_LIMIT, asks_token)?;
        assert_eq!(stage.host.ask("account/logout", Value::Null)?, json!({}));
        gate.open();
        assert_eq!(failed(stage, &login.id)?, NOT_COMPLETED);
        assert!(loading.page()?.body.contains("not signed in"));
        assert_eq!(stage.account()?, Value::Null);
        assert!(!stage.scratch.has_auth_json());
        Ok(())
    });
    Ok(())
}

#[test]
fn the_end_of_the_server_is_the_end_of_its_login() -> Outcome {
    let _turn = PortTurn::take()?;
    Scene::of(&Authority::default()).play(|stage| {
        let login = begin(stage)?;
        stage.host.close_input();
        assert_eq!(failed(stage, &login.id)?, NOT_COMPLETED);
        stage.host.wait_exit(EXIT_LIMIT)?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
        Ok(())
    });
    Ok(())
}

#[test]
fn a_browser_gets_its_page_although_the_server_ends() -> Outcome {
    let _turn = PortTurn::take()?;
    let (authority, gate) = (Authority::default(), Gate::new());
    authority.hold(Ask::Code, &gate);
    Scene::of(&authority).play(|stage| {
        let login = begin(stage)?;
        let loading = Loading::begin("GET", &browser::authorize(&login.url)?)?;
        stage.backend.wait_for(1, WAIT_LIMIT, asks_token)?;
        stage.host.close_input();
        assert_eq!(failed(stage, &login.id)?, NOT_COMPLETED);
        assert!(loading.page()?.body.contains("not signed in"));
        stage.host.wait_exit(EXIT_LIMIT)?;
        gate.open();
        Ok(())
    });
    Ok(())
}

// --- the port ---

/// A program that has the port and does not know what it is asked; gives back what it was asked.
fn foreign(hears: usize) -> Result<thread::JoinHandle<Vec<String>>, Trouble> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    Ok(thread::spawn(move || {
        let heard = listener.incoming().take(hears).filter_map(Result::ok).map(|mut stream| {
            let mut bytes = [0; 4 << 10];
            let n = stream.read(&mut bytes).unwrap_or(0);
            let _gone = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
            let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
            text.lines().next().unwrap_or_default().to_owned()
        });
        heard.collect()
    }))
}

#[test]
fn a_foreign_program_on_the_port_is_asked_to_go_then_named() -> Outcome {
    let _turn = PortTurn::take()?;
    Scene::of(&Authority::default()).play(|stage| {
        let foreign = foreign(2)?;
        let started = Instant::now();
        let refused = stage.host.call(LOGIN, json!({"type": "chatgpt"}))?;
        let message = "failed to start login server: Port 127.0.0.1:1455 is already in use";
        assert_eq!(refused["error"], json!({"code": -32603, "message": message}));
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        drop(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?);
        let heard = foreign.join().map_err(|_| Trouble("the foreign program failed".into()))?;
        assert_eq!(heard, ["GET /cancel HTTP/1.1", ""]);
        assert_nothing_happened(stage)
    });
    Ok(())
}

#[test]
fn a_program_that_goes_when_asked_makes_room() -> Outcome {
    let _turn = PortTurn::take()?;
    Scene::of(&Authority::default()).play(|stage| {
        let foreign = foreign(1)?;
        let login = begin(stage)?;
        foreign.join().map_err(|_| Trouble("the foreign program failed".into()))?;
        browser::sign_in(&login.url)?;
        signed_in(stage, &login.id)
    });
    Ok(())
}
