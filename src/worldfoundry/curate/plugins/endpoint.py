"""Any OpenAI-compatible vision-language endpoint: frames and a question in, a typed answer out.

Answers are ``success``, ``truncated`` (the length ran out), ``refused`` (the model or its filter declined) or ``error``. Only
what passes is tried again: no connection, time out, too many requests, a broken server. Waiting doubles each time, with
jitter that depends on the question alone, unless the server says how long to wait.

Source: the chat-completions interface of OpenAI, as vLLM, SGLang, NIM and llama.cpp serve it.
"""

import base64
import dataclasses
import hashlib
import json
import os
import random
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from worldfoundry.core.errors import ConfigError, DataError

Outcome = Literal["success", "truncated", "refused", "error"]
_PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504))
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one question."""

    outcome: Outcome
    """How it ended."""
    text: str = ""
    """What the model said."""
    detail: str = ""
    """Why it is no success, in one line."""
    attempts: int = 1
    """How often it was asked."""
    num_prompt_tokens: int = 0
    """Tokens of the question, by the server's count."""
    num_output_tokens: int = 0
    """Tokens of the answer, by the server's count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A model behind a URL. Holds no key: it is read from the environment when a question is asked."""

    url: str
    """Base URL, up to and with the version."""
    model: str
    """Name of the model there."""
    api_key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key, if one is needed."""
    max_tokens: int = 256
    """Length of an answer at most."""
    timeout_s: float = 60.0
    """Seconds until a request is given up."""
    retries: int = 4
    """Further tries."""
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    """Waits between tries."""

    def __post_init__(self):
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"url must begin with http:// or https://, got {self.url!r}; see --help")

    def ask(self, frames: np.ndarray, prompt: str) -> Answer:
        """Show frames, uint8 [t, h, w, 3], and ask; never raises for what a server does."""
        body = json.dumps(self._request(frames, prompt)).encode()
        jitter = random.Random(hashlib.blake2b(body, digest_size=8).digest())
        answer = Answer(outcome="error")
        for attempt in range(1, self.retries + 2):
            answer, wait_s = self._try(body)
            answer = dataclasses.replace(answer, attempts=attempt)
            if wait_s is None or attempt > self.retries:
                break
            backoff = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (attempt - 1))
            self.sleep(max(wait_s, backoff * jitter.uniform(0.5, 1.0)))
        return answer

    def _request(self, frames: np.ndarray, prompt: str) -> dict[str, Any]:
        pictures = [{"type": "image_url", "image_url": {"url": _data_url(frame)}} for frame in frames]
        content = [*pictures, {"type": "text", "text": prompt}]
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "seed": 0,
        }

    def _try(self, body: bytes) -> tuple[Answer, float | None]:
        """An answer, and the least seconds to wait before another try; None where another try is of no use."""
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.api_key_variable)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as response:
                return read_answer(json.loads(response.read())), None
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode(errors="replace")
            answer = Answer(outcome="error", detail=_line(f"HTTP {error.code}: {said or error.reason}"))
            return answer, _wait_of(error.headers.get("Retry-After")) if error.code in _PASSING else None
        except (OSError, ValueError) as error:  # no connection, time out, half an answer
            return Answer(outcome="error", detail=_line(f"{type(error).__name__}: {error}")), 0.0


def _wait_of(header: str | None) -> float:
    return min(float(header), _LONGEST_WAIT_S) if header and re.fullmatch(r"\d+(\.\d+)?", header) else 0.0


def _line(text: str) -> str:
    return " ".join(text.split())[:300]


def _data_url(frame: np.ndarray) -> str:
    is_made, jpeg = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert is_made, "OpenCV encodes every uint8 picture"
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()


def read_answer(document: Any) -> Answer:
    """The answer in a response of the interface."""
    try:
        choice = document["choices"][0]
        message = choice["message"]
        text, refusal = (message.get("content") or "").strip(), message.get("refusal")
        usage = document.get("usage") or {}
        reason = choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        return Answer(outcome="error", detail=_line(f"no chat completion: {type(error).__name__} {error}"))
    tokens: dict[str, Any] = {
        "num_prompt_tokens": int(usage.get("prompt_tokens") or 0),
        "num_output_tokens": int(usage.get("completion_tokens") or 0),
    }
    if refusal or reason == "content_filter":
        return Answer(outcome="refused", text=text, detail=_line(str(refusal or "content filter")), **tokens)
    if not text:
        return Answer(outcome="error", detail=f"an empty answer, finish_reason {reason!r}", **tokens)
    if reason == "length":
        return Answer(outcome="truncated", text=text, detail="max_tokens reached", **tokens)
    return Answer(outcome="success", text=text, **tokens)


# Video types by the same endpoint


def label_in(text: str, labels: Sequence[str]) -> str:
    """The label that an answer names; empty if it names none or several.

    >>> label_in("I would say: Driving.", ["driving", "cooking"])
    'driving'
    """
    named = {label for label in labels if re.search(rf"\b{re.escape(label)}\b", text, re.IGNORECASE)}
    # A label inside a longer one that was named too ("road" in "off road") was not meant.
    named = {a for a in named if not any(a != b and a.lower() in b.lower() for b in named)}
    return named.pop() if len(named) == 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeAsker:
    """An enricher that asks an endpoint for the type of a video."""

    endpoint: Endpoint
    """Who is asked."""
    labels: tuple[str, ...]
    """Types to choose from."""
    version: str
    """Digest of the settings."""
    name: str = "endpoint_type"
    """Stands in the name of its results."""
    num_frames: int = 8
    """Frames it looks at."""
    max_side_px: int = 512
    """Longer side of these frames at most."""

    def __call__(self, frames: np.ndarray, seconds: np.ndarray) -> dict[str, str]:
        """The type, or an error that leaves the span without an answer, so that it is asked again."""
        del seconds
        prompt = f"Which of these describes the video best? Answer with one of them only: {', '.join(self.labels)}."
        answer = self.endpoint.ask(frames, prompt)
        if answer.outcome == "error":
            raise DataError(f"{self.endpoint.url} must answer, got {answer.detail}; start it and run again")
        return {"type": label_in(answer.text, self.labels) or "unknown", "type_by": self.endpoint.model}


def load_types(weights: str) -> TypeAsker:
    """From a JSON file with ``url``, ``model``, ``labels`` and, if need be, other fields of ``Endpoint``."""
    try:
        text = Path(weights).read_text(encoding="utf-8")
        settings = json.loads(text)
        labels = tuple(settings.pop("labels"))
        endpoint = Endpoint(**settings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"weights {weights!r} must be JSON with url, model and labels, got {error}; mend it"
        ) from error
    return TypeAsker(endpoint=endpoint, labels=labels, version=hashlib.sha256(text.encode()).hexdigest()[:16])
