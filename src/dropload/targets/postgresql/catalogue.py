"""What the catalogue is asked about a table, whose name is given as the dialect quotes it."""

import sqlalchemy as sa

NUMBER = sa.text("SELECT CAST(CAST(to_regclass(:name) AS oid) AS bigint)")
"""By what a table is known whatever it is called; null where there is none of that name."""
LIST_NAMED = sa.text("SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(:name)")
"""The constraints of a table that have a name."""
IS_KEPT = sa.text("SELECT relpersistence = 'p' FROM pg_class WHERE oid = to_regclass(:stage)")
"""Whether a crash leaves a table its rows."""
_NO_EVENT_TRIGGERS = "NOT EXISTS (SELECT 1 FROM pg_event_trigger WHERE evtenabled <> 'D')"
NO_EVENT_TRIGGERS = sa.text(f"SELECT {_NO_EVENT_TRIGGERS}")
"""Whether no event trigger may change tables that are made."""
IS_UNNOTICED = sa.text(
    "SELECT to_regclass(:between) IS NULL"  # noqa: S608 - our own words
    " AND current_setting('wal_level') <> 'logical'"
    " AND NOT EXISTS (SELECT 1 FROM pg_publication)"
    f" AND {_NO_EVENT_TRIGGERS}"
    " AND NOT EXISTS (SELECT 1 FROM pg_default_acl a JOIN pg_namespace n"
    "   ON n.oid = a.defaclnamespace"
    "   WHERE a.defaclobjtype = 'r' AND n.nspname IN (:stage, :schema))"
)
"""Whether nobody sees a difference between a table that is made and one that moves in: no
subscriber is sent rows of tables, no event trigger waits for new ones, neither schema gives its
tables rights of its own, and the name that it has in between is free."""
_GOES_ASIDE = "(relkind <> 'r' OR relhassubclass OR relhasrules)"
"""Whether rows that come may go elsewhere, or others with them: into partitions, which have
triggers of their own, or wherever a rule says."""
MAY_CHANGE_ROWS = sa.text(
    f"SELECT {_GOES_ASIDE} FROM pg_class WHERE oid = to_regclass(:name)"  # noqa: S608 - our own words
)
TAKES_COPIES = sa.text(
    f"SELECT NOT ({_GOES_ASIDE} OR relhastriggers OR relrowsecurity)"  # noqa: S608
    " AND NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(:name)"
    "   AND attname IN (:load_id, :source_row) AND atttypid <> 'int8'::regtype)"
    " FROM pg_class WHERE oid = to_regclass(:name)"
)
"""Whether nothing of the owner's has a say in rows that come: COPY knows no rules, and is refused
where rows are guarded (https://www.postgresql.org/docs/current/sql-copy.html); its binary format
brings the lineage as it was declared."""
HAS_KEYS = sa.text(
    "SELECT EXISTS (SELECT 1 FROM pg_index"
    " WHERE indrelid = to_regclass(:name) AND (indisunique OR indisexclusion))"
)
"""Whether a row that is not committed keeps others from writing one with the same key."""
