"""The work behind ``worldfoundry models``; kept apart from the parser because it imports torch."""

import json
from typing import TYPE_CHECKING, Any

import torch

from worldfoundry.core.config import to_json
from worldfoundry.models.pretrained.config import describe
from worldfoundry.models.pretrained.convert import convert, find_family
from worldfoundry.models.pretrained.source import OpenOptions, find_source

if TYPE_CHECKING:
    from worldfoundry.cli.models import ConvertArgs


def show(name: str, options: OpenOptions) -> dict[str, Any]:
    """What our configuration says, or of files of others what their weights say, with what was read."""
    source = find_source(name)
    if source.layout == "native":
        return describe(str(source.weights[0].parent))
    opened = find_family(source).open(source, options)
    return {**to_json(opened.release), "loaded": opened.facts()}


def convert_model(args: "ConvertArgs") -> str:
    """Convert; returns what to print."""
    dtype = None if args.dtype == "as-stored" else getattr(torch, args.dtype)
    opened = convert(args.name, args.out, to=args.to, dtype=dtype, options=args.opening)
    if args.json:
        return json.dumps({"out": str(args.out), "to": args.to, "loaded": opened.facts()})
    width = max(len(name) for name, _ in opened.table())
    lines = [f"{name:<{width}}  {value}" for name, value in opened.table()]
    return "\n".join([*lines, f"{'written':<{width}}  {args.out} ({args.to}, {args.dtype})"])
