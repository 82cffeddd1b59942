"""Tables of a review workspace. What was asked and what was said is only ever added to."""

from __future__ import annotations

FORMAT = 1
TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (
  position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, parent TEXT, pair_id TEXT, language TEXT NOT NULL,
  body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS records_pair ON records (pair_id);
CREATE TABLE IF NOT EXISTS found (id TEXT PRIMARY KEY, failed TEXT NOT NULL, findings TEXT NOT NULL,
  notes TEXT NOT NULL, score REAL);
CREATE TABLE IF NOT EXISTS items (
  number INTEGER PRIMARY KEY, record TEXT NOT NULL UNIQUE, original TEXT, stratum TEXT NOT NULL,
  draw INTEGER NOT NULL, readers INTEGER NOT NULL, extra INTEGER NOT NULL, flagged INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS items_order ON items (stratum, draw, number);
CREATE TABLE IF NOT EXISTS log (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, reviewer TEXT NOT NULL, role TEXT NOT NULL,
  action TEXT NOT NULL, item INTEGER, reason TEXT NOT NULL, note TEXT NOT NULL, turns TEXT, seconds REAL,
  undoes INTEGER, origin TEXT NOT NULL, key TEXT NOT NULL UNIQUE, previous TEXT NOT NULL, hash TEXT NOT NULL);
"""


def _guard(table: str, key: str) -> str:
    """Triggers that refuse to change or remove rows; the third stops ``INSERT OR REPLACE``, which deletes unseen."""
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;"
    return f"""
CREATE TRIGGER IF NOT EXISTS {table}_update BEFORE UPDATE ON {table} {refuse}
CREATE TRIGGER IF NOT EXISTS {table}_delete BEFORE DELETE ON {table} {refuse}
CREATE TRIGGER IF NOT EXISTS {table}_replace BEFORE INSERT ON {table}
WHEN EXISTS (SELECT 1 FROM {table} WHERE {key}) {refuse}
"""  # noqa: S608 -- constants


GUARDS = (
    _guard("log", "seq = NEW.seq OR key = NEW.key")
    + _guard("records", "position = NEW.position OR id = NEW.id")
    + _guard("items", "number = NEW.number OR record = NEW.record")
)
