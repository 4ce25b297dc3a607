//! The bot's calls about accounts.

use super::{
    door::{Body, unreadable},
    shapes::{UserData, dashboard as dashboard_of, user as user_of},
    texts::{Language, Text},
};
use crate::{
    api::extract::TelegramId,
    app::App,
    ops::users::{Standing, ensure_user, note_shown, update_user},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use store::{StoreError, users::User};

#[derive(Deserialize)]
pub(super) struct About {
    telegram_id: TelegramId,
    #[serde(flatten)]
    data: UserData,
}

/// What went wrong with us; the bot takes anything but 200 for an outage, which this is.
pub(super) fn outage(error: &StoreError) -> Response {
    tracing::error!(error = error as &dyn std::error::Error, "a request of the bot failed");
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"detail": Text::Internal.in_language(Language::En)})))
        .into_response()
}

pub(super) async fn dashboard(State(app): State<App>, path: Result<Path<TelegramId>, PathRejection>) -> Response {
    let Path(TelegramId(id)) = match path {
        Ok(path) => path,
        Err(why) => return unreadable(&why.body_text()),
    };
    let shown = async {
        match app.intake.find_standing(id).await? {
            Some(standing) => Ok::<_, Arc<StoreError>>(Some(full_dashboard(&app, &standing).await?)),
            None => Ok(None),
        }
    };
    match shown.await {
        Ok(Some(shown)) => Json(shown).into_response(),
        Ok(None) => unknown(id),
        Err(error) => outage(&error),
    }
}

/// An account with its payments.
pub(super) async fn full_dashboard(app: &App, standing: &Standing) -> Result<Value, StoreError> {
    note_shown(&app.store, standing, (app.clock)()).await?;
    Ok(dashboard_of(standing, (app.clock)()))
}

pub(super) async fn create(State(app): State<App>, Body(about): Body<About>) -> Response {
    let (id, profile) = (about.telegram_id.0, about.data.into_profile());
    match ensure_user(&app.store, id, &profile, app.config.trial(), (app.clock)()).await {
        Ok(user) => answer(&user, Text::UserReady),
        Err(error) => outage(&error),
    }
}

pub(super) async fn update(State(app): State<App>, Body(about): Body<About>) -> Response {
    let (id, profile) = (about.telegram_id.0, about.data.into_profile());
    match update_user(&app.store, id, &profile, (app.clock)()).await {
        Ok(Some(user)) => answer(&user, Text::UserUpdated),
        Ok(None) => unknown(id),
        Err(error) => outage(&error),
    }
}

fn answer(user: &User, text: Text) -> Response {
    let language = Language::of(user.language_code.as_deref());
    let message = text.in_language(language);
    Json(json!({"success": true, "user_id": user.id.0, "message": message, "user": user_of(user)})).into_response()
}

fn unknown(telegram_id: i64) -> Response {
    let detail = format!("there is no user with Telegram id {telegram_id}");
    (StatusCode::NOT_FOUND, Json(json!({"detail": detail}))).into_response()
}
