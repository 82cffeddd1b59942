"""Conversations that people come back to, with their attachments; everybody finds their own alone."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

from bimedix2.serve.auth.clock import SYSTEM_CLOCK, Clock
from bimedix2.serve.auth.keys import Tables
from bimedix2.serve.errors import ServeError
from bimedix2.serve.store.failures import storage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    mode TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    used REAL NOT NULL,
    messages TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS conversations_of ON conversations (owner, updated);
CREATE INDEX IF NOT EXISTS conversations_by_age ON conversations (used);
"""
PER_OWNER = 1000
_COUNT_USE_EVERY = 600.0
_UPLOAD = re.compile(r"upload:([A-Za-z0-9_-]{1,128})")


class UnknownConversationError(ServeError):
    """No such conversation, or somebody else's: the answer does not tell which."""

    code = "conversation_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(
            "There is no such conversation. It may have been deleted, or its time to be kept is over.",
            "لا توجد محادثة كهذه. ربما حذفت أو انتهت مدة حفظها.",
        )


class NotKeptError(ServeError):
    """The server keeps nothing."""

    code = "keeps_nothing"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "This server keeps no conversations. Export the conversation to save it.",
            "لا يحفظ هذا الخادم المحادثات. صدر المحادثة لحفظها.",
        )


class TooManyConversationsError(ServeError):
    """One owner's share of the table is full."""

    code = "too_many_conversations"
    status = 409

    def __init__(self) -> None:
        super().__init__(
            f"You already have {PER_OWNER} conversations. Delete some first.",
            f"لديك {PER_OWNER} محادثة. احذف بعضها أولا.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One conversation.

    Attributes:
        created, updated: seconds since 1970.
        messages: as the routes take them, JSON values; ``None`` in lists, where they are not read.
    """

    id: str
    title: str
    mode: str
    created: float
    updated: float
    messages: list[dict[str, Any]] | None = None


class Conversations:
    """The table of conversations.

    Args:
        database: the server's.
        keep: ``False`` writes nothing and finds nothing.
        clock: for the times.
    """

    def __init__(self, database: Tables, *, keep: bool = True, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database, self._keep, self._clock = database, keep, clock
        database.create(_SCHEMA)

    def create(self, owner: str, title: str, mode: str, messages: list[dict[str, Any]]) -> Conversation:
        """Keep a new one.

        Raises:
            NotKeptError, TooManyConversationsError, StorageError.
        """
        self._require_keep()
        made, now = secrets.token_hex(16), self._clock.wall()
        with storage(), self._database.write() as connection:
            count = connection.execute("SELECT count(*) FROM conversations WHERE owner = ?", (owner,)).fetchone()[0]
            if count >= PER_OWNER:
                raise TooManyConversationsError
            connection.execute(
                "INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (made, owner, title, mode, now, now, now, _text(messages)),
            )
        return Conversation(id=made, title=title, mode=mode, created=now, updated=now, messages=messages)

    def get(self, owner: str, conversation: str) -> Conversation:
        """One of ``owner``'s; counts as use.

        Raises:
            UnknownConversationError, StorageError.
        """
        with storage():
            row = self._row(self._database.read(), owner, conversation)
        if self._clock.wall() - row["used"] > _COUNT_USE_EVERY:
            with storage(), self._database.write() as connection:
                connection.execute("UPDATE conversations SET used = ? WHERE id = ?", (self._clock.wall(), conversation))
        return _conversation(row, json.loads(row["messages"]))

    def replace(
        self, owner: str, conversation: str, title: str, mode: str, messages: list[dict[str, Any]]
    ) -> Conversation:
        """Put a newer state in the place of one of ``owner``'s.

        Raises:
            NotKeptError, UnknownConversationError, StorageError.
        """
        self._require_keep()
        now = self._clock.wall()
        with storage(), self._database.write() as connection:
            row = self._row(connection, owner, conversation)
            connection.execute(
                "UPDATE conversations SET title = ?, mode = ?, updated = ?, used = ?, messages = ? WHERE id = ?",
                (title, mode, now, now, _text(messages), conversation),
            )
        return Conversation(
            id=conversation, title=title, mode=mode, created=row["created"], updated=now, messages=messages
        )

    def list(self, owner: str) -> list[Conversation]:
        """All of ``owner``'s without their messages, the newest first."""
        with storage():
            rows = self._database.read().execute(
                "SELECT id, title, mode, created, updated FROM conversations WHERE owner = ? ORDER BY updated DESC, id",
                (owner,),
            )
            return [_conversation(row, None) for row in rows]

    def delete(self, owner: str, conversation: str) -> None:
        """Delete one of ``owner``'s for good.

        Raises:
            UnknownConversationError, StorageError.
        """
        with storage(), self._database.write() as connection:
            self._row(connection, owner, conversation)
            connection.execute("DELETE FROM conversations WHERE id = ?", (conversation,))
        wipe_log(self._database)

    def forget(self, owner: str) -> int:
        """Delete all of ``owner``'s; how many they were."""
        return self._delete("owner = ?", owner)

    def purge(self, before: float) -> int:
        """Delete everybody's that was last used before ``before`` (seconds since 1970); how many they were."""
        return self._delete("used < ?", before)

    def _delete(self, where: str, value: float | str) -> int:
        with storage(), self._database.write() as connection:
            deleted = connection.execute(f"DELETE FROM conversations WHERE {where}", (value,)).rowcount  # noqa: S608
        if deleted:
            wipe_log(self._database)
        return deleted

    def _require_keep(self) -> None:
        if not self._keep:
            raise NotKeptError

    @staticmethod
    def _row(connection: sqlite3.Connection, owner: str, conversation: str) -> sqlite3.Row:
        found: sqlite3.Row | None = connection.execute(
            "SELECT * FROM conversations WHERE id = ? AND owner = ?", (conversation, owner)
        ).fetchone()
        if found is None:
            raise UnknownConversationError
        return found


def upload_ids(messages: list[dict[str, Any]]) -> set[str]:
    """Ids of the uploads that messages show."""
    urls = [part["image_url"]["url"] for message in messages for part in message["content"] if "image_url" in part]
    return {found[1] for url in urls if (found := _UPLOAD.match(url)) is not None}


def wipe_log(database: Tables) -> None:
    """Empty the write-ahead log: it still holds what was deleted, and ``secure_delete`` only clears the file itself."""
    with storage():
        database.read().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _conversation(row: sqlite3.Row, messages: list[dict[str, Any]] | None) -> Conversation:
    names = ("id", "title", "mode", "created", "updated")
    return Conversation(**{name: row[name] for name in names}, messages=messages)


def _text(messages: list[dict[str, Any]]) -> str:
    return json.dumps(messages, ensure_ascii=False, separators=(",", ":"))
