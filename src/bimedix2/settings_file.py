"""Settings on disk: YAML filled into frozen dataclasses, ``key.sub=value`` on top; an unknown key is an error.

Recipes of training runs and of data sets are read by this.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from .errors import ConfigError


def fault(source: str, key: str, english: str, arabic: str) -> ConfigError:
    """An error about one setting.

    Args:
        source: the file or the override.
        key: dotted path of the setting; may be empty.
        english, arabic: what is wrong and what would be right.
    """
    place = f"{source}: {key}: " if key else f"{source}: "
    return ConfigError(place + english, place + arabic)


def near(name: str, known: Collection[str]) -> tuple[str, str]:
    """What to offer for an unknown name, in English and Arabic."""
    found = difflib.get_close_matches(name, known, n=1)
    if found:
        return f"; did you mean {found[0]!r}?", f"؛ هل تقصد {found[0]!r}؟"
    return f"; known: {', '.join(known)}", f"؛ المعروف: {', '.join(known)}"


class _Loader(yaml.SafeLoader):
    """YAML without its silent trap: of a key given twice, the first value would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _parse(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        ConfigError: it cannot be read, or a key is given twice.
    """
    try:
        return _parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path}: cannot be read as YAML: {error}", f"{path}: تعذرت قراءته كملف YAML: {error}"
        ) from error


def override(kind: Any, raw: Any, text: str, example: str = "lora.r=16") -> Any:
    """The raw settings of a dataclass ``kind`` with one ``key.sub=value`` put in; values are YAML.

    Raises:
        ConfigError: the key is unknown, or the value not of its type.
    """
    source = f"override {text}"
    key, sign, written = text.partition("=")
    if not sign or not all(key.split(".")):
        raise fault(source, "", f"write key=value, such as {example}", f"اكتب key=value مثل {example}")
    try:
        value = _parse(written) if written.strip() else ""
    except yaml.YAMLError as error:
        raise fault(source, key, f"the value is not YAML: {error}", f"القيمة ليست YAML: {error}") from error
    return _put(kind, raw, key.split("."), value, (source, key))


def _put(kind: Any, raw: Any, parts: list[str], value: Any, place: tuple[str, str]) -> Any:
    """``raw`` with ``value`` at ``parts``, checked against the type ``kind`` on the way down."""
    if not parts:
        build(kind, value, *place)
        return value
    if get_origin(kind) in (Union, UnionType):
        kind = _wanted(kind)
    head, *rest = parts
    if is_dataclass(kind):
        _check_known(kind, [head], *place)
        inside = raw if isinstance(raw, dict) else {}
        return {**inside, head: _put(get_type_hints(kind)[head], inside.get(head), rest, value, place)}
    if get_origin(kind) is dict:
        # What follows is one key: names of sources and patterns may hold dots.
        build(get_args(kind)[1], value, *place)
        return {**(raw or {}), ".".join(parts): value}
    if get_origin(kind) is tuple and isinstance(raw, list):
        index = _position(raw, head, place)
        return [*raw[:index], _put(get_args(kind)[0], raw[index], rest, value, place), *raw[index + 1 :]]
    raise fault(*place, f"nothing lies below, so {head!r} has no place", f"لا مفاتيح تحته، فلا موضع لـ {head!r}")


def _position(items: list[Any], name: str, place: tuple[str, str]) -> int:
    """Index of a list's entry by its ``name``, or by its number from 0."""
    names = [str(item.get("name", "")) if isinstance(item, dict) else "" for item in items]
    if name in names:
        return names.index(name)
    if name.isdecimal() and int(name) < len(items):
        return int(name)
    hint, hint_ar = near(name, [*filter(None, names)])
    raise fault(
        *place,
        f"no entry {name!r} (a name, or a number from 0 to {len(items) - 1}){hint}",
        f"لا يوجد عنصر {name!r} (اسم، أو رقم من 0 إلى {len(items) - 1}){hint_ar}",
    )


def build(kind: Any, raw: Any, source: str, key: str = "") -> Any:
    """Turn plain YAML data into ``kind``, naming the place of any fault.

    Args:
        kind: a dataclass, or a type of one of its fields.
        raw: what YAML holds.
        source: what an error calls it: the file or the override.
        key: dotted path of ``raw`` in it.

    Raises:
        ConfigError: an unknown key, a missing one, or a value of another type.
    """
    if get_origin(kind) in (Union, UnionType):
        return None if raw is None else build(_wanted(kind), raw, source, key)
    if is_dataclass(kind):
        return _build_dataclass(kind, raw, source, key)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and isinstance(raw, list):
        return tuple(build(arguments[0], item, source, f"{key}[{index}]") for index, item in enumerate(raw))
    if origin is dict and isinstance(raw, dict):
        return {str(name): build(arguments[1], value, source, f"{key}.{name}") for name, value in raw.items()}
    if origin is Literal and raw in arguments:
        return raw
    if kind is float and isinstance(raw, (int, float, str)) and not isinstance(raw, bool):
        try:
            return float(raw)  # YAML 1.1 reads 1e-4 as a string
        except ValueError:
            pass
    if kind in (int, str, bool) and type(raw) is kind:
        return raw
    raise fault(source, key, f"{raw!r} is not {_named(kind)}", f"القيمة {raw!r} ليست من النوع {_named(kind)}")


def _wanted(kind: Any) -> Any:
    """``X`` of ``X | None``: a part that may be left out."""
    return next(part for part in get_args(kind) if part is not NoneType)


def _named(kind: Any) -> str:
    """A type as users write it: ``int``, ``'a' or 'b'``, ``a list [str, ...]``."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is tuple:
        return f"a list [{_named(arguments[0])}, ...]"
    if origin is dict:
        return f"a mapping {{{_named(arguments[0])}: {_named(arguments[1])}}}"
    return str(getattr(kind, "__name__", kind))


def _build_dataclass(kind: Any, raw: Any, source: str, key: str) -> Any:
    if not isinstance(raw, dict):
        found = type(raw).__name__
        raise fault(source, key, f"expected a mapping, found {found}", f"المتوقع mapping والموجود {found}")
    _check_known(kind, raw, source, key)
    hints = get_type_hints(kind)
    dot = f"{key}." if key else ""
    values = {name: build(hints[name], value, source, f"{dot}{name}") for name, value in raw.items()}
    try:
        return kind(**values)
    except TypeError as error:
        names = [item.name for item in fields(kind)]
        missing = ", ".join(name for name in names if f"'{name}'" in str(error))
        raise fault(source, key, f"required: {missing}", f"حقل مطلوب مفقود: {missing}") from error


def _check_known(kind: Any, keys: Iterable[Any], source: str, key: str) -> None:
    known = [item.name for item in fields(kind)]
    for name in keys:
        if name not in known:
            hint, hint_ar = near(str(name), known)
            raise fault(source, key, f"unknown key {name!r}{hint}", f"مفتاح غير معروف {name!r}{hint_ar}")


def _plain(value: Any) -> Any:
    """Tuples as lists, for YAML has no tuples."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def dump(settings: Any) -> str:
    """Complete settings as YAML, without parts that are left out."""
    return yaml.safe_dump(_plain(asdict(settings)), sort_keys=False, allow_unicode=True)
