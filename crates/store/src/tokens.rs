//! Bearer tokens of `/api/v1`. The token itself is never kept, only its SHA-256.

use crate::{StoreError, View, Write, entity::token, only, text::fits};
use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Set,
    sea_query::Expr,
};
use sha2::{Digest, Sha256};

/// What a token may do. Each scope includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look.
    Read,
    /// Look, and act for users.
    Bot,
    /// Everything.
    Admin,
}

impl Scope {
    /// The word on the command line, in the database and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Bot => "bot",
            Self::Admin => "admin",
        }
    }

    /// Reads [`Scope::as_str`] back.
    pub fn find(word: &str) -> Option<Self> {
        [Self::Read, Self::Bot, Self::Admin].into_iter().find(|s| s.as_str() == word)
    }
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name; unique among the tokens in force.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Since when it is worthless, if it is.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl Write<'_> {
    /// Keeps a new token. Fails with [`StoreError::Exists`] when a token in force has the name.
    pub async fn add_token(&self, name: &str, scope: Scope, clear: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
        fits("the name", name, 100)?;
        let row = token::ActiveModel {
            name: Set(name.to_owned()),
            scope: Set(scope.as_str().to_owned()),
            hash: Set(hash(clear)),
            created_at: Set(now),
            revoked_at: Set(None),
            ..Default::default()
        };
        row.insert(&self.tx).await.map_err(|e| StoreError::exists(e, "token", name))?;
        Ok(())
    }

    /// Makes the token of this name worthless. False when no token in force has it.
    pub async fn revoke_token(&self, name: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        if name.contains('\0') {
            return Ok(false);
        }
        let done = token::Entity::update_many()
            .col_expr(token::Column::RevokedAt, Expr::value(now))
            .filter(token::Column::Name.eq(name))
            .filter(Expr::col(token::Column::RevokedAt).is_null())
            .exec(&self.tx)
            .await?;
        Ok(done.rows_affected > 0)
    }
}

impl<C: ConnectionTrait> View<'_, C> {
    /// What this token may do; `None` if it is unknown or revoked. Looked up by hash: how long it takes says
    /// nothing about a token that is almost right.
    pub async fn find_scope(&self, clear: &str) -> Result<Option<Scope>, StoreError> {
        let valid = token::Entity::find()
            .filter(token::Column::Hash.eq(hash(clear)))
            .filter(token::Column::RevokedAt.is_null());
        let found = only(valid, self.c).await?;
        Ok(found.and_then(|row| Scope::find(&row.scope)))
    }

    /// All tokens, oldest first, the revoked ones included.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = token::Entity::find().order_by_asc(token::Column::Id).all(self.c).await?;
        rows.into_iter()
            .map(|row| {
                let scope = Scope::find(&row.scope).ok_or(StoreError::Row {
                    table: "muster_tokens",
                    column: "scope",
                    row: row.id.into(),
                    value: row.scope,
                })?;
                Ok(TokenRecord { name: row.name, scope, created_at: row.created_at, revoked_at: row.revoked_at })
            })
            .collect()
    }
}

fn hash(clear: &str) -> String {
    hex::encode(Sha256::digest(clear.as_bytes()))
}
