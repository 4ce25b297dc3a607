//! A picture of a PostgreSQL database: everything that a program which leaves must leave as it was.

use crate::scene::ask;
use sea_orm::DatabaseConnection;
use std::collections::BTreeMap;

/// By section, one line per thing.
pub(crate) type Picture = BTreeMap<String, Vec<String>>;

/// Sections and the queries that fill them. Constraints' own triggers are told by their constraints: their names
/// are numbers that tell nothing.
const SCHEMA: [(&str, &str); 10] = [
    (
        "relations",
        "SELECT relkind::text || ' ' || relname || ' ' || relpersistence::text || ' ' || pg_get_userbyid(relowner) || \
     COALESCE(relacl::text, '') || COALESCE(obj_description(oid, 'pg_class'), '') || COALESCE(reloptions::text, '') \
     || CASE WHEN relkind = 'v' THEN pg_get_viewdef(oid) ELSE '' END \
     FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    ),
    (
        "columns",
        "SELECT concat_ws(' ', c.table_name, c.column_name, data_type, udt_name, character_maximum_length, \
     numeric_precision, datetime_precision, is_nullable, column_default, is_identity, is_generated, \
     col_description(c.table_name::regclass, ordinal_position)) FROM information_schema.columns c \
     WHERE table_schema = 'public'",
    ),
    (
        "attributes",
        "SELECT concat_ws(' ', attrelid::regclass, attname, attnum, format_type(atttypid, atttypmod), \
     attnotnull, attstorage, attstattarget, attcollation::regcollation) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid \
     WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped",
    ),
    (
        "constraints",
        "SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated) \
     FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    ),
    ("indexes", "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"),
    (
        "triggers",
        "SELECT CASE WHEN tgisinternal THEN tgrelid::regclass || ' ' || tgfoid::regproc || ' ' || tgtype \
     ELSE pg_get_triggerdef(t.oid) || tgenabled::text END FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid \
     WHERE relnamespace = 'public'::regnamespace",
    ),
    ("functions", "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"),
    (
        "types",
        "SELECT typname || ' ' || typtype::text || COALESCE((SELECT string_agg(enumlabel, ',' ORDER BY \
     enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), '') FROM pg_type t \
     WHERE typnamespace = 'public'::regnamespace",
    ),
    (
        "sequences",
        "SELECT concat_ws(' ', sequencename, data_type, start_value, min_value, max_value, increment_by, cycle, \
     cache_size, (SELECT d.refobjid::regclass || '.' || a.attname FROM pg_depend d \
     JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
     WHERE d.objid = format('%I', sequencename)::regclass AND d.deptype IN ('a', 'i'))) \
     FROM pg_sequences WHERE schemaname = 'public'",
    ),
    (
        "schemas",
        "SELECT nspname || COALESCE(nspacl::text, '') FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)' \
     UNION ALL SELECT extname || extversion FROM pg_extension",
    ),
];

pub(crate) async fn picture(raw: &DatabaseConnection) -> Picture {
    let mut picture = Picture::new();
    for (section, query) in SCHEMA {
        picture.insert(section.to_owned(), lines(raw, query).await);
    }
    let tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')";
    for table in lines(raw, tables).await {
        let rows = lines(raw, &format!("SELECT to_jsonb(t)::text FROM \"{table}\" t")).await;
        picture.insert(format!("rows of {table}"), rows);
    }
    for sequence in lines(raw, "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'").await {
        let at = lines(raw, &format!("SELECT last_value || ' ' || is_called FROM {sequence}")).await;
        picture.insert(format!("position of {sequence}"), at);
    }
    picture
}

/// What is in one picture and not in the other, `-` before and `+` after.
pub(crate) fn differences(before: &Picture, after: &Picture) -> Vec<String> {
    let none = Vec::new();
    let sections: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut differences = Vec::new();
    for section in sections {
        let (was, is) = (before.get(section).unwrap_or(&none), after.get(section).unwrap_or(&none));
        differences.extend(was.iter().filter(|l| !is.contains(l)).map(|l| format!("- {section}: {l}")));
        differences.extend(is.iter().filter(|l| !was.contains(l)).map(|l| format!("+ {section}: {l}")));
        let (mut was, mut is) = (was.clone(), is.clone());
        was.dedup();
        is.dedup();
        if was == is && before.get(section) != after.get(section) {
            differences.push(format!("{section}: another number of equal lines"));
        }
    }
    differences
}

async fn lines(raw: &DatabaseConnection, query: &str) -> Vec<String> {
    let mut lines: Vec<String> = ask(raw, &format!("SELECT q.line::text AS answer FROM ({query}) q (line)")).await;
    lines.sort();
    lines
}
