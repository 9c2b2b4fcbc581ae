"""Serves a model file with llama.cpp's own HTTP server, until SIGTERM. Runs in the engine's environment.

    .tools/engine/bin/python tests/engine/serve.py tiny.gguf

Says `ready at http://127.0.0.1:PORT` on standard output once the model is loaded; the engine's own words go to
standard error.
"""

from __future__ import annotations

import signal
import sys
from typing import Final

from xllamacpp import BUILD_INFO, CommonParams, Server, __version__

NAME: Final = "tiny"
SLOTS: Final = 2


def main() -> None:
    # Before the engine starts its threads, so that none of them takes the signal.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    parameters = CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.model_alias = {NAME}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel = SLOTS
    # A model this small is slower with more: threads wait for each other at every step.
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.endpoint_slots = True
    parameters.endpoint_metrics = True
    server = Server(parameters)
    print(f"engine {__version__} ({BUILD_INFO}) ready at {server.listening_address}", flush=True)
    signal.sigwait(ends)


if __name__ == "__main__":
    main()
