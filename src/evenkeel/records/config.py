"""TOML files as nested frozen dataclasses, with errors that name file, line, field and fix.

The schema is the dataclass itself: annotations give the types, `setting(...)` the default and the allowed
range. `tomllib` keeps no positions, so `line_table` finds the line of each key by reading the text once more.
A value inside an inline table is reported at the line of the key that holds it.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from evenkeel.records.errors import UserError, did_you_mean

T = TypeVar("T")
Where = tuple[str | int, ...]  # ("arms", 2, "share"): third table of [[arms]], key share

_HEADER = re.compile(r"^\s*(\[\[|\[)\s*([^\[\]#]+?)\s*\]{1,2}\s*(#.*)?$")
_WORD = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"^\s*({_WORD}(?:\s*\.\s*{_WORD})*)\s*=")
_NAMES = {str: "a text in quotes", int: "a whole number", float: "a number", bool: "true or false"}


def setting(
    default: Any = dataclasses.MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
) -> Any:
    """A dataclass field with a range (both ends allowed) or choices; for tuples they hold for each item."""
    rule = {"low": low, "high": high, "choices": choices}
    if isinstance(default, (dict, list)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=rule)
    return dataclasses.field(default=default, metadata=rule)


@dataclass(frozen=True)
class Source:
    """The values of a TOML text and where each of them stands."""

    file: str
    data: Mapping[str, Any]
    lines: Mapping[Where, int]

    def line(self, where: Where) -> int | None:
        """Line of a key, or of the nearest table or key around it."""
        for end in range(len(where), 0, -1):
            if where[:end] in self.lines:
                return self.lines[where[:end]]
        return None

    def error(self, problem: str, where: Where, fix: str = "") -> UserError:
        """A UserError at this place."""
        return UserError(problem, file=self.file, line=self.line(where), fix=fix)

    def overridden(self, table: str) -> Source:
        """Values of `[table]` laid over the rest: tables merge, everything else is replaced; lines follow.

        The table itself disappears. Without such a table, nothing changes.
        """
        rest = {name: value for name, value in self.data.items() if name != table}
        over = self.data.get(table, {})
        if not isinstance(over, Mapping):
            raise self.error(f"[{table}] must be a table", (table,))
        lines = {where: line for where, line in self.lines.items() if where[0] != table}
        for leaf in _leaves(over):
            lines = {where: line for where, line in lines.items() if where[: len(leaf)] != leaf}
            lines[leaf] = self.line((table, *leaf)) or 0
        inside = {
            where[1:]: line for where, line in self.lines.items() if where[0] == table and len(where) > 1
        }
        return Source(self.file, _merged(rest, over), lines | inside)


def _leaves(values: Mapping[str, Any], where: Where = ()) -> Iterator[Where]:
    """Places of everything that is no table."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*where, name))
        else:
            yield (*where, name)


def _merged(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(name), Mapping)
        out[name] = _merged(out[name], value) if both else value
    return out


def read_toml(text: str, file: Path | str) -> Source:
    """Parse a TOML text. Raises UserError with the line of a syntax error."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found.group(1)) if found else len(text.splitlines())
        raise UserError(f"not valid TOML ({error})", file=file, line=line) from None
    return Source(str(file), data, line_table(text))


def line_table(text: str) -> dict[Where, int]:
    """Line number (from 1) of every table header and every key that starts a line."""
    lines: dict[Where, int] = {}
    counts: dict[Where, int] = {}
    table: Where = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if depth == 0 and not quote:
            header, key = _HEADER.match(line), _KEY.match(line)
            if header:
                table = _resolve(_parts(header.group(2)), counts)
                if header.group(1) == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                lines.setdefault(table, number)
                continue
            if key:
                lines.setdefault((*table, *_parts(key.group(1))), number)
        depth, quote = _open(line, depth, quote)
    return lines


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"' ") for part in re.findall(r'"[^"]*"|\'[^\']*\'|[^.\s]+', dotted))


def _resolve(parts: tuple[str, ...], counts: Mapping[Where, int]) -> Where:
    """`[arms.extra]` after `[[arms]]` belongs to the last of them."""
    where: Where = ()
    for position, part in enumerate(parts):
        where = (*where, part)
        if where in counts and position < len(parts) - 1:
            where = (*where, counts[where])
    return where


def _open(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Brackets and triple quotes still open after this line."""
    at = 0
    while at < len(line):
        if quote:
            end = line.find(quote, at)
            if end < 0:
                return depth, quote if len(quote) == 3 else ""
            at, quote = end + len(quote), ""
        elif line[at : at + 3] in ('"""', "'''"):
            quote, at = line[at : at + 3], at + 3
        elif line[at] in "\"'":
            quote, at = line[at], at + 1
        elif line[at] == "#":
            break
        else:
            depth, at = depth + (line[at] in "[{") - (line[at] in "]}"), at + 1
    return max(depth, 0), quote if len(quote) == 3 else ""


def build(cls: type[T], source: Source, where: Where = (), data: Any = None) -> T:
    """An instance of a frozen dataclass from the values at `where`; UserError at the line of a mistake."""
    values = source.data if data is None else data
    place = _spell(where)
    if not isinstance(values, Mapping):
        raise source.error(f"{place or 'the file'} must be a table, not {_show(values)}", where)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    for name in values:
        if name not in fields:
            inside = f"{place} has" if place else "there is"
            raise source.error(f'{inside} no setting "{name}".', (*where, name), did_you_mean(name, fields))
    arguments: dict[str, Any] = {}
    for name, field in fields.items():
        if name in values:
            arguments[name] = _value(hints[name], values[name], source, (*where, name), field.metadata)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise source.error(f'{place or "the file"} needs the setting "{name}".', where)
    return cls(**arguments)


def _value(hint: Any, value: Any, source: Source, where: Where, rule: Mapping[str, Any]) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = next(part for part in typing.get_args(hint) if part is not type(None))
        return _value(inner, value, source, where, rule)
    if origin is tuple:
        if not isinstance(value, list):
            raise source.error(f"{_spell(where)} must be a list in [ ], not {_show(value)}", where)
        item = typing.get_args(hint)[0]
        return tuple(_value(item, each, source, (*where, i), rule) for i, each in enumerate(value))
    if dataclasses.is_dataclass(hint):
        return build(hint, source, where, value)  # type: ignore[arg-type]
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise source.error(f"{_spell(where)} must be a table, not {_show(value)}", where)
        return dict(value)
    return _scalar(hint, value, source, where, rule)


def _scalar(kind: type, value: Any, source: Source, where: Where, rule: Mapping[str, Any]) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise source.error(f"{_spell(where)} must be {_NAMES[kind]}, not {_show(value)}", where)
    if rule.get("choices") and value not in rule["choices"]:
        known = [str(choice) for choice in rule["choices"]]
        raise source.error(f"{_spell(where)} is {_show(value)}.", where, did_you_mean(str(value), known))
    low, high = rule.get("low"), rule.get("high")
    if isinstance(value, float) and value != value:
        raise source.error(f"{_spell(where)} is not a number", where)
    if (low is not None and value < low) or (high is not None and value > high):
        below = "" if high is None else f"{high:g}"
        bounds = (
            f"at least {low:g}"
            if not below
            else f"at most {below}"
            if low is None
            else f"between {low:g} and {below}"
        )
        raise source.error(f"{_spell(where)} is {value:g}; it must be {bounds}", where)
    return value


def _spell(where: Where) -> str:
    """("arms", 2, "share") -> arms[3].share, counting as people do."""
    out = ""
    for part in where:
        out += f"[{part + 1}]" if isinstance(part, int) else (f".{part}" if out else part)
    return out


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def write_toml(value: Any) -> str:
    """A dataclass (or mapping) as TOML: scalars, then tables, then arrays of tables; None is left out."""
    out: list[str] = []
    _write_table(value, "", out)
    return "\n".join(out).strip() + "\n"


def _write_table(value: Any, name: str, out: list[str]) -> None:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    tables: list[tuple[str, Any]] = []
    arrays: list[tuple[str, Any]] = []
    for key, item in value.items():
        if item is None:
            continue
        if _is_table(item):
            tables.append((key, item))
        elif isinstance(item, (list, tuple)) and item and all(_is_table(each) for each in item):
            arrays.append((key, item))
        else:
            out.append(f"{key} = {_toml(item)}")
    for key, item in tables:
        path = f"{name}.{key}" if name else key
        out.extend(["", f"[{path}]"])
        _write_table(item, path, out)
    for key, items in arrays:
        path = f"{name}.{key}" if name else key
        for item in items:
            out.extend(["", f"[[{path}]]"])
            _write_table(item, path, out)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return repr(value)
