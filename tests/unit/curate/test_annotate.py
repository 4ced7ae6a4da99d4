"""Captions say who wrote them and how it went; a model is asked once about the same frames, and only passing faults retry."""

import base64
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from tests.unit.curate.sets import row_of
from tests.unit.curate.standins import Change, video

from worldfoundry.core.errors import ConfigError, DataError
from worldfoundry.curate.annotate import annotate
from worldfoundry.curate.config import (
    AnnotateConfig,
    CurateConfig,
    DedupConfig,
    MotionConfig,
    OverlayConfig,
    QualityConfig,
    ShotsConfig,
    TypeConfig,
)
from worldfoundry.curate.enrich import Enrich, models_of
from worldfoundry.curate.index import read_index
from worldfoundry.curate.local import LocalExecutor
from worldfoundry.curate.measured import describe_row
from worldfoundry.curate.pipeline import Request, run
from worldfoundry.curate.plugins import ENRICHERS
from worldfoundry.curate.plugins.endpoint import Endpoint, TypeAsker, label_in, load_types, read_answer
from worldfoundry.curate.store import open_store
from worldfoundry.protocols.curation import Span


def reply(text="A cat sits.", finish="stop", **message):
    usage = {"prompt_tokens": 11, "completion_tokens": 5}
    return 200, {
        "choices": [{"message": {"content": text, **message}, "finish_reason": finish}],
        "usage": usage,
    }


class Stub:
    """An endpoint that answers from a list, then with the last entry; remembers what it was asked."""

    def __init__(self):
        self.answers, self.asked, self.headers = [reply()], [], []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.together: threading.Barrier | None = None

    def next(self, body):
        with self.lock:
            self.asked.append(body)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def stub():
    state = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            with state.lock:
                state.at_once += 1
                state.most_at_once = max(state.most_at_once, state.at_once)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if state.together is not None:
                state.together.wait(5)
            state.headers.append(dict(self.headers))
            status, document = state.next(body)
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            with state.lock:
                state.at_once -= 1
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def config_for(stub, **changes):
    return AnnotateConfig(
        **{
            "captioner": "endpoint",
            "url": stub.url,
            "model": "vlm",
            "retries": 0,
            "concurrency": 3,
            **changes,
        }
    )


class Frames:
    """Frames of clips, by their number; counts how often each was decoded."""

    def __init__(self):
        self.decoded = Counter()

    def __call__(self, row, num_frames, max_side_px):
        self.decoded[row["clip_id"]] += 1
        value = int(row["clip_id"], 16) % 100
        return np.full((num_frames, 8, 12, 3), value, np.uint8), np.arange(num_frames) / 4


ROWS = [row_of(k) for k in range(6)]


def test_measured_captions_are_marked_and_ask_nobody(tmp_path):
    frames = Frames()
    written = annotate(ROWS, open_store(tmp_path), AnnotateConfig(), frames=frames)
    assert {w["caption_by"] for w in written} == {"measured"}
    assert {w["caption_state"] for w in written} == {"success"}
    assert not frames.decoded
    assert not list(tmp_path.iterdir())


def test_a_measured_caption_says_what_was_measured_and_nothing_else():
    bare = {"is_still": False, "start_s": 1.0, "end_s": 3.5}
    assert describe_row(bare) == "A video, 2.5 seconds long."
    full = {
        **bare,
        "camera_motion": "pan-left,shake",
        "object_motion": 0.2,
        "overlay_text": 0.9,
        "type": "hand_work",
    }
    said = describe_row(full)
    for words in ("of type hand work", "pans to the left and shakes", "move fast", "Text or a logo"):
        assert words in said
    assert describe_row({**full, "camera_motion": "static"}).count("The camera") == 1
    assert "hand work" in describe_row({**full, "type_confidence": 0.9})
    assert "hand work" not in describe_row({**full, "type_confidence": 0.4})
    assert describe_row({**bare, "is_still": True, "object_motion": float("nan")}) == "An image."


def test_an_endpoint_sees_the_frames_and_the_question_and_its_answer_is_stored(stub, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "secret")
    config = config_for(stub, num_frames=3, prompt="What?", api_key_variable="MY_KEY")
    (written,) = annotate(ROWS[:1], open_store(tmp_path), config, frames=Frames())
    assert written == {
        "caption": "A cat sits.",
        "caption_by": "vlm",
        "caption_state": "success",
        "caption_detail": "",
    }
    *pictures, question = stub.asked[0]["messages"][0]["content"]
    assert question == {"type": "text", "text": "What?"}
    assert len(pictures) == 3
    jpeg = base64.b64decode(pictures[0]["image_url"]["url"].partition(",")[2])
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (8, 12, 3)
    assert stub.headers[0]["Authorization"] == "Bearer secret"
    assert not any(b"secret" in p.read_bytes() for p in tmp_path.rglob("*.json"))


def test_answers_keep_the_order_of_the_rows_whoever_is_first(stub, tmp_path):
    stub.together = threading.Barrier(3)
    written = annotate(ROWS, open_store(tmp_path), config_for(stub), frames=Frames())
    assert len(written) == len(ROWS)
    assert stub.most_at_once == 3
    asked = {q["messages"][0]["content"][0]["image_url"]["url"] for q in stub.asked}
    assert len(asked) == len(ROWS)


def test_a_second_run_asks_nothing_and_decodes_nothing(stub, tmp_path):
    store, frames = open_store(tmp_path), Frames()
    first = annotate(ROWS, store, config_for(stub), frames=frames)
    again = Frames()
    assert annotate(ROWS[::-1], store, config_for(stub), frames=again)[::-1] == first
    assert len(stub.asked) == len(ROWS)
    assert not again.decoded
    annotate(ROWS, store, config_for(stub, prompt="Another question?"), frames=again)
    assert len(stub.asked) == 2 * len(ROWS)


def test_clips_with_equal_frames_are_asked_about_once(stub, tmp_path):
    twin = row_of(100)  # other id, the same frames as row 0
    store = open_store(tmp_path)
    annotate([ROWS[0]], store, config_for(stub), frames=Frames())
    annotate([twin], store, config_for(stub), frames=Frames())
    assert len(stub.asked) == 1


@pytest.mark.parametrize(
    ("answer", "state", "has_text"),
    [
        (reply(), "success", True),
        (reply(finish="length"), "truncated", True),
        (reply("", refusal="I cannot."), "refused", False),
        (reply("Half a", finish="content_filter"), "refused", False),
        (reply("   "), "error", False),
        ((200, {"choices": []}), "error", False),
        ((200, b"not json"), "error", False),
        ((400, {"error": "too many pictures"}), "error", False),
    ],
)
def test_every_answer_has_a_type(stub, tmp_path, answer, state, has_text):
    stub.answers = [answer]
    (written,) = annotate(ROWS[:1], open_store(tmp_path), config_for(stub), frames=Frames())
    assert written["caption_state"] == state
    assert bool(written["caption"]) == has_text
    assert (written["caption_detail"] == "") == (state == "success")
    kept = list(tmp_path.rglob("*.json"))
    assert bool(kept) == (state != "error")  # an error is asked again by the next run


def endpoint_for(stub, waits, retries=3):
    return Endpoint(url=stub.url, model="vlm", retries=retries, sleep=waits.append, timeout_s=5.0)


def test_a_fault_that_passes_is_tried_again_with_longer_waits(stub):
    stub.answers = [(503, {}), (429, {}), (500, {}), reply()]
    waits: list[float] = []
    answer = endpoint_for(stub, waits).ask(np.zeros((1, 4, 4, 3), np.uint8), "?")
    assert (answer.outcome, answer.attempts, len(stub.asked)) == ("success", 4, 4)
    assert all(low * 0.5 <= wait <= low for wait, low in zip(waits, (0.5, 1, 2), strict=True))
    assert len(set(map(str, waits))) == 3
    stub.answers = [(503, {}), (429, {}), (500, {}), reply()]
    repeated: list[float] = []
    endpoint_for(stub, repeated).ask(np.zeros((1, 4, 4, 3), np.uint8), "?")
    assert repeated == waits


def test_a_fault_that_stays_is_not_tried_again_and_tries_end(stub):
    waits: list[float] = []
    stub.answers = [(401, {"error": "no key"})]
    answer = endpoint_for(stub, waits).ask(np.zeros((1, 4, 4, 3), np.uint8), "?")
    assert (answer.outcome, answer.attempts, waits) == ("error", 1, [])
    assert "401" in answer.detail
    stub.answers = [(503, {})]
    assert endpoint_for(stub, waits, retries=2).ask(np.zeros((1, 4, 4, 3), np.uint8), "?").attempts == 3


def test_nobody_there_is_an_outcome():
    waits: list[float] = []
    endpoint = Endpoint(
        url="http://127.0.0.1:9/v1", model="vlm", retries=1, sleep=waits.append, timeout_s=2.0
    )
    answer = endpoint.ask(np.zeros((1, 4, 4, 3), np.uint8), "?")
    assert (answer.outcome, answer.attempts) == ("error", 2)


def test_a_type_is_taken_only_if_one_is_named():
    labels = ["driving", "cooking", "off road driving"]
    assert label_in("Cooking", labels) == "cooking"
    assert label_in("It is off road driving!", labels) == "off road driving"
    assert label_in("driving or cooking", labels) == ""
    assert label_in("overcooking", labels) == ""


def test_types_are_asked_of_an_endpoint(stub, tmp_path):
    settings = tmp_path / "types.json"
    settings.write_text(json.dumps({"url": stub.url, "model": "vlm", "labels": ["cat", "dog"], "retries": 0}))
    asker = load_types(str(settings))
    assert isinstance(asker, TypeAsker)
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    assert asker(frames, np.zeros(2)) == {"type": "cat", "type_by": "vlm"}
    stub.answers = [(400, {})]
    with pytest.raises(DataError, match="must answer"):
        asker(frames, np.zeros(2))
    settings.write_text("{}")
    with pytest.raises(ConfigError, match="labels"):
        load_types(str(settings))


def test_a_run_asks_for_types_where_its_settings_say_so(tmp_path):
    settings = tmp_path / "types.json"
    settings.write_text('{"labels": ["cat"]}')
    config = CurateConfig(type=TypeConfig(model="endpoint", weights=str(settings)))
    assert models_of(config) == [("endpoint_type", str(settings))]
    assert ENRICHERS.get("endpoint_type") is load_types
    step, span = Enrich(open_store(tmp_path), "endpoint_type", str(settings)), Span(start_s=0.0, end_s=2.0)
    before = step.name_of("0" * 40, span)
    settings.write_text('{"labels": ["dog"]}')  # of the same size
    assert step.name_of("0" * 40, span) != before
    with pytest.raises(ConfigError, match="with model endpoint and only then"):
        TypeConfig(weights="types.json")


def test_a_response_of_another_kind_is_an_error():
    assert read_answer([]).outcome == read_answer({"choices": [None]}).outcome == "error"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_asks_about_every_kept_clip_once_and_no_more_at_once_than_allowed(stub, tmp_path, workers):
    for k in range(3):
        video(tmp_path / "in" / f"{k}.mp4", (1 + 3 * k, 14, 2))
    config = CurateConfig(
        shots=ShotsConfig(min_s=0.5),
        motion=MotionConfig(min=0.0, max_shake=1.0),
        quality=QualityConfig(min=0.0),
        overlay=OverlayConfig(max=1.0),
        dedup=DedupConfig(perceptual=False),
        annotate=config_for(stub, concurrency=2),
    )
    request = Request(
        inputs=(str(tmp_path / "in"),), out=tmp_path / "out", config=config, detectors=(Change(),)
    )
    result = run(request, executor=LocalExecutor(num_workers=workers))
    rows = read_index(open_store(tmp_path / "out"))
    captions = {row["caption"] for row in rows if row["decision"] == "kept"}
    assert (result.kept, captions) == (3, {"A cat sits."})
    assert len(stub.asked) == 1 + 3  # once to see whether it is there
    assert stub.most_at_once <= 2
    run(request, executor=LocalExecutor(num_workers=workers))
    assert len(stub.asked) == 1 + 3
