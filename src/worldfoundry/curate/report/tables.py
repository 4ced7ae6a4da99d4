"""What failed and how to repeat it, and what made the set."""

from collections.abc import Mapping, Sequence
from typing import Any

from worldfoundry.curate.report.facts import Row, SetFacts, is_failure, reason_of
from worldfoundry.curate.report.text import count, safe, words

_FAILURES = 12
_REFUSED = 40


def failures(facts: SetFacts) -> str:
    """What ended without a decision, by class, each with the command that repeats it."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in facts.rows:
        if is_failure(row):
            groups.setdefault((str(row["decision"]), reason_of(row)), []).append(row)
    if not groups:
        return '<p class="soft">Nothing failed.</p>'
    parts = []
    for (state, reason), rows in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        lines = "".join(_failure(row, facts) for row in rows[:_FAILURES])
        more = f", {len(rows) - _FAILURES:,} more in the index" if len(rows) > _FAILURES else ""
        title = words(reason) if reason != state else state
        parts.append(
            f'<div class="panel scroll"><table class="stack"><caption><b>{safe(title)}</b> '
            f'<span class="chip bad">{safe(state)}</span> '
            f'{count(len(rows), "input")}{more}</caption><thead><tr><th scope="col">Source</th><th scope="col">What happened'
            f"</th></tr></thead><tbody>{lines}</tbody></table></div>"
        )
    return "".join(parts)


def _failure(row: Row, facts: SetFacts) -> str:
    trace = str(row.get("traceback") or "")
    folded = f"<details><summary>Trace</summary><pre>{safe(trace)}</pre></details>" if trace else ""
    command = facts.reproduce(row)
    again = (
        f'<div class="run"><code>{safe(command)}</code><button class="copy" type="button" hidden>Copy</button></div>'
        if command
        else ""
    )
    detail = safe(row.get("detail") or "")
    return (
        f'<tr><th scope="row" class="wide"><span class="name">{safe(row.get("source", ""))}</span></th>'
        f'<td class="wide">{detail}{again}{folded}</td></tr>'
    )


def refused(rows: Sequence[Row]) -> str:
    """Sources that a decision, not an accident, left without clips."""
    if not rows:
        return ""
    lines = "".join(
        f'<tr><th scope="row" class="wide"><span class="name">{safe(row.get("source", ""))}</span></th>'
        f'<td><span class="chip bad">{safe(words(reason_of(row)))}</span></td>'
        f'<td class="wide">{safe(row.get("detail") or "")}</td></tr>'
        for row in rows[:_REFUSED]
    )
    more = f" ({len(rows) - _REFUSED:,} more in the index)" if len(rows) > _REFUSED else ""
    return (
        f'<div class="panel scroll"><table class="stack"><caption>{count(len(rows), "source")} '
        f"without clips by a decision{more}</caption>"
        f'<thead><tr><th scope="col">Source</th><th scope="col">Reason</th><th scope="col">Detail</th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def provenance(facts: SetFacts) -> str:
    """Settings, versions and fingerprints: what to write down to get the same set again."""
    parts = [
        _pairs("Settings", facts.settings),
        _pairs("Versions", facts.versions),
        _pairs("Fingerprints", facts.fingerprints),
    ]
    return "".join(parts)


def _pairs(title: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    lines = "".join(
        f'<tr><th scope="row"><code>{safe(name)}</code></th><td><code>{safe(value)}</code></td></tr>'
        for name, value in values.items()
    )
    return (
        f'<div class="panel scroll"><details{" open" if len(values) <= 12 else ""}><summary>{safe(title)} '
        f"({len(values):,})</summary><table><tbody>{lines}</tbody></table></details></div>"
    )
