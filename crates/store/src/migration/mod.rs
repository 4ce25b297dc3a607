//! The schema's history: one file per migration. They install into a database that other programs use, and take
//! away exactly what they brought.

mod m0001_core;
mod m0002_moves;

use sea_orm_migration::prelude::*;

/// All migrations in order, recorded in `muster_migrations` (the database may have other programs' migrations).
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_core::Migration), Box::new(m0002_moves::Migration)]
    }

    fn migration_table_name() -> DynIden {
        "muster_migrations".into_iden()
    }
}
