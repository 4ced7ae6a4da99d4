"""The report of ``data inspect`` on a robot data set, as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from worldfoundry.cli.text import counted

_BARS = " ▁▂▃▄▅▆▇█"
_MOST_TASKS = 5


def robot_report(report: Mapping[str, Any]) -> str:
    """A page that says what is in the set, what its actions look like, what stands out and what to do next."""
    idle = report["idle_share"]
    lines = [
        f"{report['path']}  {report['format']}  {report['robot_type'] or 'robot not named'}",
        f"  {counted(report['episodes'], 'episode')}, {report['rows']} rows, {report['seconds']:.1f} s at {report['fps']:g} fps, "
        f"jitter {report['jitter_ms']:.3g} ms, idle {'unknown' if idle is None else f'{idle:.1%}'}",
        f"  {counted(len(report['tasks']), 'task')}: {_tasks(report['tasks'])}",
        "  features",
    ]
    for feature in report["features"]:
        names = f"  ({', '.join(feature['names'])})" if feature["names"] else ""
        lines.append(f"    {feature['name']:<32} {feature['dtype']:<8} {feature['shape']}{names}")
    if report["actions"]:
        lines.append(
            f"  actions{'':<9} {'min':>10} {'max':>10} {'mean':>10} {'std':>10}  histogram, min to max"
        )
    for action in report["actions"]:
        numbers = " ".join(f"{action[key]:>10.4g}" for key in ("min", "max", "mean", "std"))
        unit = f"  {action['unit']}, {action['mode']}" if action["unit"] else ""
        lines.append(f"    {action['name']:<12} {numbers}  |{_bars(action['histogram'])}|{unit}")
    if report["problems"]:
        lines.append(f"  problems: {counted(len(report['problems']), 'episode')} cannot be used")
    lines += [f"  warning: {warning}" for warning in report["warnings"]]
    return "\n".join([*lines, f"  next: {report['next']}"]) + "\n"


def _tasks(tasks: Sequence[str]) -> str:
    more = f", and {len(tasks) - _MOST_TASKS} more" if len(tasks) > _MOST_TASKS else ""
    return ", ".join(map(repr, tasks[:_MOST_TASKS])) + more


def _bars(counts: Sequence[int]) -> str:
    """A bar a bin; a bin with anything in it is never blank."""
    highest = max(counts, default=0) or 1
    return "".join(_BARS[-(-count * (len(_BARS) - 1) // highest)] for count in counts)
