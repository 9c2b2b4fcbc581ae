"""llama.cpp's own server with a tiny model in it, and a real `fairlead serve` that was told its address."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

import openai
import pytest

from fairlead.testing.serving import Program, RunningFairlead, running_program

HERE: Final = Path(__file__).parent
ENGINE_PYTHON: Final = HERE.parents[1] / ".tools" / "engine" / "bin" / "python"
MODEL: Final = "llama.cpp/tiny"
WAIT_MAX_S: Final = 20.0  # for what takes milliseconds on an idle machine
ANSWER_MAX_S: Final = 60.0
ENGINE_ADDRESS: Final = re.compile(r"ready at (http://\S+)")
FAIRLEAD_ADDRESS: Final = re.compile(r"ready at (http://\S+)")
KEY: Final = re.compile(r"shown this once: (\S+)")


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """url: `http://127.0.0.1:port`, without a version segment."""

    url: str
    program: Program

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    def is_busy(self) -> bool:
        """Whether any of its slots computes an answer."""
        return any(slot["is_processing"] for slot in fetched(f"{self.url}/slots"))

    def tokens_said(self) -> int:
        """How many tokens of answers it has computed since it started, those of ended calls."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=WAIT_MAX_S) as response:
            counts = dict(
                line.split() for line in response.read().decode().splitlines() if line[0] != "#"
            )
        return int(counts["llamacpp:tokens_predicted_total"])


def fetched(url: str, key: str | None = None) -> Any:
    """The JSON at an address."""
    request = urllib.request.Request(url)
    if key is not None:
        request.add_header("authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=WAIT_MAX_S) as response:
        return json.load(response)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Asks again and again, each time over the network; what: said if it does not come true."""
    expire_at_s = monotonic() + WAIT_MAX_S
    while not holds():
        assert monotonic() < expire_at_s, f"not within {WAIT_MAX_S} s: {what}"


@contextmanager
def running_engine(model: Path, log: Path) -> Iterator[RunningEngine]:
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [ENGINE_PYTHON, HERE / "serve.py", model],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    program = Program(process, log)
    try:
        yield RunningEngine(program.wait_for(ENGINE_ADDRESS), program)
    finally:
        program.end()


@contextmanager
def fairlead_for(engine: RunningEngine, directory: Path) -> Iterator[RunningFairlead]:
    """A server that knows one provider, the engine, and has found out what it serves."""
    data = directory / "data"
    arguments = ["serve", "--port", "0", "--data", str(data)]
    environment = {"LLAMA_CPP_BASE_URL": engine.openai_url}
    with running_program(arguments, directory / "serve.log", environment) as program:
        url = program.wait_for(FAIRLEAD_ADDRESS)
        fairlead = RunningFairlead(url, program.wait_for(KEY), data)
        wait_until(lambda: MODEL in listed(fairlead), "the engine's model is listed")
        yield fairlead


def listed(fairlead: RunningFairlead) -> dict[str, dict[str, Any]]:
    """The models of the public list, by id."""
    answer = fetched(f"{fairlead.openrouter_url}/models", fairlead.key)
    return {model["id"]: model for model in answer["data"]}


def make_model(path: Path) -> Path:
    assert ENGINE_PYTHON.exists(), "the engine is not set up; run `make engine-test`"
    subprocess.run([ENGINE_PYTHON, HERE / "tiny_model.py", path], check=True, timeout=WAIT_MAX_S)
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="session")
def engine(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine(model, tmp_path_factory.mktemp("engine") / "engine.log") as running:
        yield running


@pytest.fixture(scope="session")
def fairlead(
    engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFairlead]:
    with fairlead_for(engine, tmp_path_factory.mktemp("fairlead")) as running:
        yield running


@pytest.fixture(scope="session")
def client(fairlead: RunningFairlead) -> Iterator[openai.OpenAI]:
    """The official client, at Fairlead."""
    with openai.OpenAI(
        base_url=fairlead.openai_url, api_key=fairlead.key, max_retries=0, timeout=ANSWER_MAX_S
    ) as made:
        yield made


@pytest.fixture(scope="session")
def direct(engine: RunningEngine) -> Iterator[openai.OpenAI]:
    """The official client, at the engine itself: what it says there, Fairlead's callers must get."""
    with openai.OpenAI(
        base_url=engine.openai_url, api_key="none", max_retries=0, timeout=ANSWER_MAX_S
    ) as made:
        yield made
