//! Installing into a database, leaving it again, and telling whether it fits this program.

use crate::{
    OpenError, Store, StoreError,
    entity::meta,
    migration::Migrator,
    seal::{Place, Sealer},
};
use sea_orm::{
    ConnectionTrait, EntityTrait, Set,
    sea_query::{OnConflict, Table},
};
use sea_orm_migration::{MigratorTrait, SchemaManager};
use secrecy::{ExposeSecret, SecretString};

const KEY_CHECK: &str = "key_check";
const KEY_CHECK_TEXT: &str = "muster";

/// One migration and whether it is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Its name.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

impl Store {
    /// Applies what is missing; a second call changes nothing. Each migration is one transaction.
    pub async fn migrate_up(&self) -> Result<(), StoreError> {
        Ok(Migrator::up(&self.db, None).await?)
    }

    /// Removes everything that the migrations brought, our own record of them included; tables, rows and
    /// constraints that were there before stay as they are.
    pub async fn migrate_down(&self) -> Result<(), StoreError> {
        if !self.has_table("muster_migrations").await? {
            return Ok(());
        }
        Migrator::down(&self.db, None).await?;
        self.db.execute(&Table::drop().table("muster_migrations").take()).await?;
        Ok(())
    }

    /// Every migration of this program, oldest first. Writes nothing, not even on an empty database.
    pub async fn migrations(&self) -> Result<Vec<MigrationState>, StoreError> {
        let all = Migrator::migrations();
        if !self.has_table("muster_migrations").await? {
            return Ok(all.iter().map(|m| MigrationState { name: m.name().to_owned(), applied: false }).collect());
        }
        let pending = Migrator::get_pending_migrations(&self.db).await?;
        let pending: Vec<_> = pending.iter().map(|m| m.name().to_owned()).collect();
        Ok(all
            .iter()
            .map(|m| MigrationState { name: m.name().to_owned(), applied: !pending.iter().any(|p| p == m.name()) })
            .collect())
    }

    /// Compares the sealing key with the one that this database's secrets were sealed with; the first key that a
    /// database meets becomes its own. A rotated key is accepted when the old one is among the previous ones.
    pub async fn check_key(&self) -> Result<(), OpenError> {
        let check = |error: sea_orm::DbErr| OpenError::Check(error.into());
        let place = Place { table: "muster_meta", column: "value", row: KEY_CHECK };
        let sealed = |sealer: &Sealer| sealer.seal(place, &SecretString::from(KEY_CHECK_TEXT));
        let known = || meta::Entity::find_by_id(KEY_CHECK).one(&self.db);
        let mut row = known().await.map_err(check)?;
        if row.is_none() {
            let value = sealed(&self.sealer).ok_or(OpenError::WrongKey)?;
            let first = meta::ActiveModel { name: Set(KEY_CHECK.to_owned()), value: Set(value) };
            let unless_there = OnConflict::column(meta::Column::Name).do_nothing().to_owned();
            let insert = meta::Entity::insert(first).on_conflict(unless_there).try_insert();
            insert.exec_without_returning(&self.db).await.map_err(check)?;
            // Another process may have been first, with another key.
            row = known().await.map_err(check)?;
        }
        let opened = row.and_then(|row| self.sealer.open(place, &row.value));
        let is_ours = opened.is_some_and(|text| text.expose_secret() == KEY_CHECK_TEXT);
        if is_ours { Ok(()) } else { Err(OpenError::WrongKey) }
    }

    async fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        Ok(SchemaManager::new(&self.db).has_table(name).await?)
    }
}
