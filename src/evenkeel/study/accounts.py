"""What judges have cost a run: the stages' accounts (RUN/judges/STAGE.json) summed into judges.json, by role.

Like machine.json it tells of this run's history (what was asked, what the cache knew, what a kill lost) and is no result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenkeel.records.files import SCHEMA_VERSION, read_json, write_json

FOLDER, FILE = "judges", "judges.json"


def write_accounts(run: Path) -> dict[str, dict[str, Any]]:
    """judges.json of a run; {} and no file where no judge was asked."""
    total: dict[str, dict[str, Any]] = {}
    for path in sorted((run / FOLDER).glob("*.json")):
        for role, account in read_json(path).items():
            if isinstance(account, Mapping):
                _add(total.setdefault(role, {}), account)
    if total:
        write_json(run / FILE, {"schema_version": SCHEMA_VERSION, "roles": total})
    return total


def _add(total: dict[str, Any], account: Mapping[str, Any]) -> None:
    for name, value in account.items():
        if isinstance(value, Mapping):
            _add(total.setdefault(name, {}), value)
        elif isinstance(value, int):
            total[name] = total.get(name, 0) + value
        else:
            total[name] = value


def account_lines(total: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line a role, for people."""
    return [
        f"Judge ({role}) {account.get('judge', '')}: {account['calls']} calls, {account['hits']} answers from the cache, "
        f"{account['lost']} lost, {account['unscorable']} of {account['judged']} replies unscorable, "
        f"{account['prompt_tokens'] + account['completion_tokens']:,} tokens"
        for role, account in total.items()
    ]
