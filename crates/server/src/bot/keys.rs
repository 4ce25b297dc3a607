//! The bot's calls about keys.

use super::{
    door::{Body, unreadable},
    shapes::{UserData, key as key_of, user as user_of},
    texts::{Language, Text},
    users::{full_dashboard, outage},
};
use crate::{
    api::extract::TelegramId,
    app::App,
    intake::Obtained,
    ops::{
        keys::{Ask, IssueError, revoke},
        users::{Standing, follow_profile},
    },
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use fleet::{id::KeyId, place::Wants};
use serde::Deserialize;
use serde_json::{Value, json};
use store::StoreError;

#[derive(Deserialize)]
pub(super) struct FullCycle {
    telegram_id: TelegramId,
    #[serde(default)]
    user_data: Option<UserData>,
}

#[derive(Deserialize)]
pub(super) struct Update {
    telegram_id: TelegramId,
    /// The button is called "refresh my key": without a word, that is what is meant.
    #[serde(default = "yes")]
    force_new: bool,
}

fn yes() -> bool {
    true
}

/// Account, key and dashboard in one call. The steps end with the one that failed.
pub(super) async fn full_cycle(State(app): State<App>, Body(request): Body<FullCycle>) -> Response {
    let id = request.telegram_id.0;
    let profile = request.user_data.unwrap_or_default().into_profile();
    let told = Language::of(profile.language_code.as_deref());
    let ask = Ask { telegram_id: id, newcomer: Some(profile.clone()), renew: false, wants: Wants::default() };
    let Obtained { key, mut standing } = match app.intake.obtain(ask).await {
        Ok(obtained) => obtained,
        Err(error) => return outage(&error),
    };
    if let Some(standing) = &mut standing
        && let Err(error) = follow_profile(&app.store, &mut standing.user, &profile, (app.clock)()).await
    {
        return outage(&error);
    }
    match key {
        Err(error) => cycle_failed(id, standing.as_ref(), &error, told),
        Ok(key) => match cycle_done(&app, standing.as_ref(), key).await {
            Ok(Some(done)) => Json(done).into_response(),
            // Revoked by somebody else between its confirmation and this look.
            Ok(None) => cycle_failed(id, standing.as_ref(), &IssueError::NotConfirmed, told),
            Err(error) => outage(&error),
        },
    }
}

async fn cycle_done(app: &App, standing: Option<&Standing>, key: KeyId) -> Result<Option<Value>, StoreError> {
    let Some((standing, (key, node))) = standing.and_then(|s| Some((s, s.find_key(key)?))) else { return Ok(None) };
    let language = Language::of(standing.user.language_code.as_deref());
    let steps = [Text::UserReady, Text::KeyReady, Text::DashboardReady].map(|t| t.in_language(language));
    Ok(Some(json!({
        "telegram_id": standing.user.telegram_id,
        "steps": STEPS.iter().zip(steps).map(|(name, text)| step(name, true, text)).collect::<Vec<_>>(),
        "success": true,
        "final_data": {
            "user": user_of(&standing.user),
            "vpn_key": key_of(key, node),
            "dashboard": full_dashboard(app, standing).await?,
        },
        "message": Text::AllDone.in_language(language),
    })))
}

const STEPS: [&str; 3] = ["user_creation", "vpn_key_creation", "dashboard_generation"];

fn step(name: &str, success: bool, message: &str) -> Value {
    json!({"step": name, "success": success, "message": message})
}

fn cycle_failed(telegram_id: i64, standing: Option<&Standing>, error: &IssueError, told: Language) -> Response {
    let language = standing.map_or(told, |s| Language::of(s.user.language_code.as_deref()));
    let text = say(telegram_id, error, language);
    // Without an account not even the first step went well.
    let steps = match standing {
        Some(_) => vec![step(STEPS[0], true, Text::UserReady.in_language(language)), step(STEPS[1], false, text)],
        None => vec![step(STEPS[0], false, text)],
    };
    let user = standing.map(|s| user_of(&s.user));
    Json(json!({
        "telegram_id": telegram_id,
        "steps": steps,
        "success": false,
        "error": text,
        "final_data": {"user": user, "vpn_key": null, "dashboard": null},
        "message": text,
    }))
    .into_response()
}

/// A new key instead of the old one, or the one there is.
pub(super) async fn update(State(app): State<App>, Body(request): Body<Update>) -> Response {
    let id = request.telegram_id.0;
    let ask = Ask { telegram_id: id, newcomer: None, renew: request.force_new, wants: Wants::default() };
    let Obtained { key, standing } = match app.intake.obtain(ask).await {
        Ok(obtained) => obtained,
        Err(error) => return outage(&error),
    };
    let language = Language::of(standing.as_ref().and_then(|s| s.user.language_code.as_deref()));
    let found = key.and_then(|key| standing.as_ref().and_then(|s| s.find_key(key)).ok_or(IssueError::NotConfirmed));
    match found {
        Ok((key, node)) => {
            let text = if request.force_new { Text::KeyReplaced } else { Text::KeyReady };
            let mut answer = key_of(key, node);
            answer["success"] = json!(true);
            answer["message"] = json!(text.in_language(language));
            Json(answer).into_response()
        }
        Err(error) => refused(say(id, &error, language)),
    }
}

/// Revokes a key: it is shown no more, and its client goes as soon as its panel can be reached.
pub(super) async fn revoke_one(State(app): State<App>, path: Result<Path<i64>, PathRejection>) -> Response {
    let Path(id) = match path {
        Ok(path) => path,
        Err(why) => return unreadable(&why.body_text()),
    };
    match revoke(&app.store, KeyId(id), (app.clock)()).await {
        Ok(Some(_)) => {
            app.pokes.poke_unsettled();
            Json(json!({"success": true, "message": Text::KeyRevoked.in_language(Language::Ru)})).into_response()
        }
        Ok(None) => refused(Text::KeyUnknown.in_language(Language::Ru)),
        Err(error) => outage(&error),
    }
}

fn refused(text: &str) -> Response {
    Json(json!({"success": false, "error": text})).into_response()
}

/// What people read of an error; what operators need of it goes to the log.
fn say(telegram_id: i64, error: &IssueError, language: Language) -> &'static str {
    match error {
        IssueError::UnknownUser(_) | IssueError::Expired(_) | IssueError::Blocked => {}
        IssueError::NoRoom(_) | IssueError::Inbound(..) | IssueError::NotConfirmed => {
            tracing::warn!(telegram_id, error = error as &dyn std::error::Error, "a user was left without a key");
        }
        IssueError::Store(_) => {
            tracing::error!(telegram_id, error = error as &dyn std::error::Error, "a user was left without a key");
        }
    }
    Text::of(error).in_language(language)
}
