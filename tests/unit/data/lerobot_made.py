"""Tiny LeRobot data sets made by hand from the published layout: pyarrow, PyAV and json alone, nothing of ours."""

import json
from fractions import Fraction

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FPS = 10
CAMERAS = ("observation.images.front", "observation.images.wrist")
SIZE = 64


def grey(episode, row, camera):
    """The grey of every pixel of a frame: tells episode, row and camera apart."""
    return 30 + 60 * episode + 12 * row + 5 * CAMERAS.index(camera)


def video(path, greys, codec, fps=FPS):
    more = {"svtav1-params": "lp=1"} if codec == "libsvtav1" else {}  # else one thread a core of the host
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=Fraction(fps), options={"crf": "20", "g": "2"} | more)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        for value in greys:
            picture = np.full((SIZE, SIZE, 3), value, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())


def features():
    clock = {n: {"dtype": "int64", "shape": [1], "names": None} for n in ("frame_index", "episode_index")}
    picture = {"dtype": "video", "shape": [SIZE, SIZE, 3], "names": ["height", "width", "channels"]}
    return {
        "action": {"dtype": "float32", "shape": [2], "names": ["dx", "gripper"]},
        "observation.state": {"dtype": "float32", "shape": [3], "names": {"motors": ["x", "y", "z"]}},
        "next.done": {"dtype": "bool", "shape": [1], "names": None},
        **dict.fromkeys(CAMERAS, picture),
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        **clock,
        "index": {"dtype": "int64", "shape": [1], "names": None},
        "task_index": {"dtype": "int64", "shape": [1], "names": None},
    }


def columns(lengths, first=0):
    """Rows of episodes ``first, first + 1, ...``; any value tells where it belongs."""
    episode = np.repeat(np.arange(len(lengths)) + first, lengths)
    row = np.concatenate([np.arange(n) for n in lengths])
    return {
        "action": np.stack([episode + row / 100, row % 2], 1).astype(np.float32),
        "observation.state": np.stack([episode, row, -row], 1).astype(np.float32),
        "next.done": row == 0,
        "timestamp": (row / FPS).astype(np.float32),
        "frame_index": row,
        "episode_index": episode,
        "index": np.arange(len(row)),
        "task_index": episode % 2,
    }


def table(values, fixed=True):
    def array(x):
        if x.ndim == 1:
            return pa.array(x)
        flat = pa.array(x.reshape(-1))
        if fixed:
            return pa.FixedSizeListArray.from_arrays(flat, x.shape[1])
        return pa.ListArray.from_arrays(np.arange(0, x.size + 1, x.shape[1], dtype=np.int32), flat)

    return pa.table({name: array(x) for name, x in values.items()})


def write(path, written):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(written, path)


def info(root, lengths, **more):
    (root / "meta").mkdir(parents=True, exist_ok=True)
    document = {
        "robot_type": "arm",
        "fps": FPS,
        "chunks_size": 1000,
        "splits": {"train": f"0:{len(lengths)}"},
    }
    counts = {"total_episodes": len(lengths), "total_frames": sum(lengths), "total_tasks": 2}
    (root / "meta/info.json").write_text(json.dumps(document | counts | {"features": features()} | more))


def make_v3(root, lengths=(4, 3, 5), codec="libx264", index_column="__index_level_0__"):
    """Episodes 0 and 1 share files, episode 2 has its own."""
    info(
        root,
        lengths,
        codebase_version="v3.0",
        data_path="data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        video_path="videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    )
    write(root / "meta/tasks.parquet", pa.table({"task_index": [0, 1], index_column: ["push", "pull"]}))
    rows = []
    for file, (first, some) in enumerate(((0, lengths[:2]), (2, lengths[2:]))):
        write(root / f"data/chunk-000/file-{file:03d}.parquet", table(columns(some, first)))
        for camera in CAMERAS:
            greys = [grey(first + e, r, camera) for e, n in enumerate(some) for r in range(n)]
            video(root / f"videos/{camera}/chunk-000/file-{file:03d}.mp4", greys, codec)
        for e, n in enumerate(some):
            start = sum(some[:e])
            row = {"episode_index": first + e, "tasks": [["push", "pull"][(first + e) % 2]], "length": n}
            row |= {"data/chunk_index": 0, "data/file_index": file, "stats/action/mean": [0.0, 0.0]}
            row |= {"dataset_from_index": sum(lengths[: first + e])}
            for camera in CAMERAS:
                row |= {f"videos/{camera}/chunk_index": 0, f"videos/{camera}/file_index": file}
                row |= {f"videos/{camera}/from_timestamp": start / FPS}
                row |= {f"videos/{camera}/to_timestamp": (start + n) / FPS}
            rows.append(row)
    write(root / "meta/episodes/chunk-000/file-000.parquet", pa.Table.from_pylist(rows))
    return root


def make_v21(root, lengths=(4, 3, 5), codec="libx264"):
    info(
        root,
        lengths,
        codebase_version="v2.1",
        data_path="data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        video_path="videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    )
    tasks = [{"task_index": k, "task": t} for k, t in enumerate(("push", "pull"))]
    episodes = [
        {"episode_index": e, "tasks": [tasks[e % 2]["task"]], "length": n} for e, n in enumerate(lengths)
    ]
    for name, lines in (("tasks", tasks), ("episodes", episodes)):
        (root / f"meta/{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for e, n in enumerate(lengths):
        write(
            root / f"data/chunk-000/episode_{e:06d}.parquet",
            table({k: x[:n] for k, x in columns((n,), e).items()}, False),
        )
        for camera in CAMERAS:
            video(
                root / f"videos/chunk-000/{camera}/episode_{e:06d}.mp4",
                [grey(e, r, camera) for r in range(n)],
                codec,
            )
    return root
