//! Bearer tokens of `/api/v1`.

use crate::chance;
use chrono::{DateTime, Utc};
use rand::RngCore;
use secrecy::SecretString;
use store::{
    Store, StoreError,
    tokens::{Scope, TokenRecord},
};

/// Makes a token. It is shown this once; the database keeps a hash. Fails when a token in force has the name.
pub async fn create(
    store: &Store,
    name: &str,
    scope: Scope,
    chance: &mut (dyn RngCore + Send),
    now: DateTime<Utc>,
) -> Result<SecretString, StoreError> {
    let clear = chance::token(chance);
    let tx = store.write().await?;
    tx.add_token(name, scope, &clear, now).await?;
    tx.commit().await?;
    Ok(clear.into())
}

/// Makes a token worthless at once. False when no token in force has the name.
pub async fn revoke(store: &Store, name: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let tx = store.write().await?;
    let revoked = tx.revoke_token(name, now).await?;
    tx.commit().await?;
    Ok(revoked)
}

/// All tokens, the revoked ones included, oldest first.
pub async fn list(store: &Store) -> Result<Vec<TokenRecord>, StoreError> {
    store.read().tokens().await
}
