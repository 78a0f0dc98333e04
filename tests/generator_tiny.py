"""A small run of the generator against a server that writes as told, for its tests."""

import json

import scripted_writer as writer
from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.scenarios.generator.run import generate
from evenkeel.scenarios.generator.settings import Settings
from loopback import Loopback, completion

SMALL = {"traits": ("truthfulness", "corrigibility"), "domains": ("health", "law"), "date": "2026-11-21"}


def endpoint(server, **changes):
    return EndpointConfig(
        server.url, "writer", **({"timeout_s": 5.0, "pause_s": 0.01, "in_flight": 4} | changes)
    )


def run(folder, behave=writer.answer, *, at=None, **changes):
    """(what came of a run, the server)."""
    with Loopback(behave) as server:
        return generate(
            Settings("writer", **(SMALL | changes)), endpoint(server, **(at or {})), folder
        ), server


def files(folder):
    return [(folder / name).read_bytes() for name in ("scenarios.jsonl", "report.json", "run.json")]


def spoilt(when, response):
    """The writer, but for requests of which `when` is true."""
    return lambda body, n: response(body) if when(body) else writer.answer(body)


def mended(body, **changes):
    return completion(json.dumps(writer.written(body) | changes))
