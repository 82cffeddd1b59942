"""What a review is to show, and how many rows that takes: the YAML file of ``review start --plan``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from bimedix2.errors import ConfigError
from bimedix2.records import Record

from .acceptance import SamplingPlan, zero_acceptance_size, zero_acceptance_size_of_lot
from .aql import LEVELS, double_plan

Axis = Literal["source", "task", "modality", "split"]
OnFail = Literal["review_all", "retranslate"]


class Zero(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="zero"):
    """One defect fails the lot; without any, at most ``at_most`` of it is defective.

    Attributes:
        at_most: share of defective rows that must be ruled out, such as 0.01.
        finite: take the smaller sample that suffices when rows are drawn from a lot of known size.
    """

    at_most: float = 0.01
    finite: bool = False


class Double(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="double"):
    """Two samples: a clear first one decides, else the second does.

    Attributes:
        aql: acceptable quality level in per cent, to look the plan up by the lot's size.
        n1, accept1, reject1, n2, accept2: the plan itself, in the place of ``aql``.
    """

    aql: float | None = None
    n1: int = 0
    accept1: int = 0
    reject1: int = 0
    n2: int = 0
    accept2: int = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a set is reviewed.

    Attributes:
        by: what makes a stratum; each stratum is one lot.
        seed: of the random order of rows.
        double: share of rows that two reviewers read without knowing of each other.
        confidence: of the statements.
        critical: plan for faults that can change care, such as a number or a side.
        minor: plan for faults of language and style; none if not given.
        on_fail: what a failed lot triggers: review of all its rows, or a new translation.
        flagged: share of the rows with failed checks that is reviewed besides, apart from the sample.
    """

    by: tuple[Axis, ...] = ("source", "task", "modality")
    seed: int = 0
    double: float = 0.2
    confidence: float = 0.95
    critical: Zero | Double = Zero()
    minor: Zero | Double | None = None
    on_fail: OnFail = "review_all"
    flagged: float = 1.0

    def stratum(self, record: Record) -> str:
        """Name of a record's stratum, such as ``vqa_rad/vqa/xray``."""
        return "/".join(str(getattr(record, axis)) for axis in self.by) or "all"

    def draw(self, purpose: str, record_id: str) -> int:
        """A number of 62 bits that depends on the seed, the purpose and the id alone: rows are ordered by it."""
        digest = hashlib.sha256(f"review|{self.seed}|{purpose}|{record_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 2

    def chosen(self, purpose: str, record_id: str, share: float) -> bool:
        """Whether a row belongs to a random share."""
        return self.draw(purpose, record_id) < share * 2**62

    def samplings(self, lot: int) -> dict[str, SamplingPlan]:
        """The plan of each class of faults for a lot of ``lot`` rows."""
        found = {"critical": self._sampling(self.critical, lot)}
        if self.minor is not None:
            found["minor"] = self._sampling(self.minor, lot)
        return found

    def _sampling(self, rule: Zero | Double, lot: int) -> SamplingPlan:
        if isinstance(rule, Zero):
            if rule.finite:
                return SamplingPlan(zero_acceptance_size_of_lot(rule.at_most, lot, self.confidence), 0, 1)
            return SamplingPlan(zero_acceptance_size(rule.at_most, self.confidence), 0, 1)
        if rule.aql is not None:
            return double_plan(lot, rule.aql)
        return SamplingPlan(rule.n1, rule.accept1, rule.reject1, rule.n2, rule.accept2)


def load_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        ConfigError: the file cannot be read, or a field is unknown, missing or out of range.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig")) or {}
        plan = msgspec.convert(_tagged(content), Plan)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise _bad(path, "file", f"cannot be read ({reason})", f"تعذرت قراءته ({reason})") from error
    except yaml.YAMLError as error:
        raise _bad(path, "file", f"is not YAML ({error})", "ليس ملف YAML صالحا") from error
    except msgspec.ValidationError as error:
        problem, _, field = str(error).partition(" - at `$.")
        raise _bad(path, field.rstrip("`") or "plan", problem, "قيمة أو حقل غير صالح") from error
    return checked(plan, path)


def checked(plan: Plan, path: Path) -> Plan:
    """The plan, or ``ConfigError`` where a value is out of range."""
    ranges: list[tuple[str, float, float, float]] = [
        ("double", plan.double, 0, 1),
        ("flagged", plan.flagged, 0, 1),
        ("confidence", plan.confidence, 0.5, 0.9999),
    ]
    for name, rule in (("critical", plan.critical), ("minor", plan.minor)):
        if isinstance(rule, Zero):
            ranges.append((f"{name}.at_most", rule.at_most, 1e-5, 0.5))
        elif rule is not None and rule.aql is None:
            _check_double(path, name, rule)
        elif rule is not None and rule.aql not in LEVELS:
            known = ", ".join(f"{level:g}" for level in LEVELS)
            raise _bad(path, f"{name}.aql", f"must be one of {known}", f"يجب أن تكون إحدى: {known}")
    for field, value, low, high in ranges:
        if not low <= value <= high:
            raise _bad(path, field, f"must be from {low:g} to {high:g}", f"يجب أن يكون من {low:g} إلى {high:g}")
    return plan


def _check_double(path: Path, name: str, rule: Double) -> None:
    numbers = (rule.n1, rule.accept1, rule.reject1, rule.n2, rule.accept2)
    good = rule.n1 > 0 and rule.n2 >= 0 and 0 <= rule.accept1 < rule.reject1
    if rule.n2:
        good = good and rule.accept2 >= rule.accept1 and rule.reject1 <= rule.accept2 + 1
    else:
        good = good and rule.reject1 == rule.accept1 + 1
    if not good or min(numbers) < 0:
        raise _bad(
            path,
            name,
            "needs aql, or n1 > 0, accept1 < reject1 <= accept2 + 1 and n2 (a single plan has n2 = 0 and "
            "reject1 = accept1 + 1)",
            "يحتاج إلى aql، أو إلى n1 > 0 وaccept1 < reject1 <= accept2 + 1 وn2",
        )


def _tagged(content: object) -> object:
    """Name the kind of a rule where its fields tell it."""
    if not isinstance(content, Mapping):
        return content
    found = dict(content)
    for name in ("critical", "minor"):
        rule = found.get(name)
        if isinstance(rule, Mapping) and "kind" not in rule:
            found[name] = {"kind": "zero" if "at_most" in rule or not rule else "double", **rule}
    return found


def _bad(path: Path, field: str, problem: str, problem_ar: str) -> ConfigError:
    return ConfigError(f"{path}, field {field}: {problem}.", f"{path}، الحقل {field}: {problem_ar}.")
