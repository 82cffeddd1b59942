"""Tables of the ledger."""

from __future__ import annotations

FORMAT = 1

TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One answered request. Its key is made of its content alone: whoever asks the same again finds it here.
CREATE TABLE IF NOT EXISTS replies (
    request_key TEXT PRIMARY KEY,
    model TEXT NOT NULL,              -- as asked for
    served TEXT NOT NULL,             -- as the server named it
    body BLOB NOT NULL,               -- the reply as it came, before anything was read from it
    prompt_bytes INTEGER NOT NULL,
    prompt_tokens INTEGER,            -- NULL: the server did not count
    completion_tokens INTEGER,
    cost REAL NOT NULL,
    tries INTEGER NOT NULL,
    seconds REAL NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;

-- One question of one row: planned, sent, answered, then accepted or rejected.
CREATE TABLE IF NOT EXISTS calls (
    call_key TEXT PRIMARY KEY,
    row_key TEXT NOT NULL,
    stage TEXT NOT NULL,
    kind TEXT NOT NULL,               -- first, repair1, repair2, longer
    prompt TEXT NOT NULL,
    model TEXT NOT NULL,
    request_key TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    worst REAL NOT NULL DEFAULT 0,    -- set aside while it is sent
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_sent ON calls (state) WHERE state = 'sent';

-- Requests that failed or were lost; cost is what the server may have charged all the same.
CREATE TABLE IF NOT EXISTS failures (
    request_key TEXT NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL, cost REAL NOT NULL, at REAL NOT NULL
);

-- One row of the input and what became of it: open, accepted, passed_over or tombstone.
CREATE TABLE IF NOT EXISTS rows (
    row_key TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    job_key TEXT NOT NULL,            -- changes with the record, the step, its settings, prompts and models
    run INTEGER NOT NULL,             -- the last run that had it in its input
    position INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    detail_ar TEXT NOT NULL DEFAULT '',
    stage TEXT NOT NULL DEFAULT '',
    reply TEXT NOT NULL DEFAULT '',
    record BLOB,                      -- the input, where it went into quarantine
    outputs BLOB,                     -- new records, one JSON line each
    review BLOB                       -- review items, one JSON line each
);
CREATE INDEX IF NOT EXISTS rows_run ON rows (run, position);

-- Rows of the input that are no records.
CREATE TABLE IF NOT EXISTS faults (
    run INTEGER NOT NULL, file TEXT NOT NULL, row INTEGER NOT NULL, field TEXT NOT NULL,
    problem TEXT NOT NULL, problem_ar TEXT NOT NULL
);
"""
