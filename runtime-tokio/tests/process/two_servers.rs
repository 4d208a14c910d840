//! Two servers on one home, and an authority that takes a refresh token once.

use std::thread;

use serde_json::json;
use understudy_tokio::demo::authority::{Ask, Authority};
use understudy_tokio::demo::host::Host;
use understudy_tokio::demo::seen::Trouble;

use crate::stage::{Outcome, Scene, text};

const REFRESHES: usize = 100;

/// Asks for new tokens so many times; every time the user is still signed in.
fn refresh_often(host: &mut Host) -> Outcome {
    for n in 0..REFRESHES {
        let read = host.ask("account/read", json!({"refreshToken": true}))?;
        if read["account"]["email"] != "ada@example.com" {
            return Err(Trouble(format!("signed out at refresh {n}: {read}")));
        }
    }
    Ok(())
}

#[test]
fn two_servers_refresh_a_hundred_times_each_and_lose_nothing() {
    let authority = Authority::default();
    let (scene, _) = Scene::signed_in(&authority, "2026-11-20T00:00:00Z");
    scene.play(|stage| {
        let mut second = stage.second_server()?;
        let other = thread::spawn(move || refresh_often(&mut second).map(|()| second));
        refresh_often(&mut stage.host)?;
        let mut second = other.join().map_err(|_| Trouble("the other host failed".into()))??;
        let record = stage.record()?;
        assert!(authority.is_good_refresh(&text(&record, "/tokens/refresh_token")?));
        let asked = authority.asked(Ask::Refresh);
        assert!((REFRESHES..=2 * REFRESHES).contains(&asked), "{asked} refreshes");

        authority.expire();
        let thread = stage.thread()?;
        assert_eq!(stage.turn(&thread, "hi")?["status"], "completed");
        second.ask("account/read", json!({"refreshToken": true}))?;
        Ok(())
    });
}
