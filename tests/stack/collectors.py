"""A real Collector on the shipped configuration, and what stands behind it: for the stack tests."""

import gzip
from concurrent import futures
from pathlib import Path

import grpc

import built
from stack.processes import free_ports
from standin import Answer, Standin

CONFIG = Path(__file__).parents[2] / "collector-config"
EXPORT = "opentelemetry.proto.collector.logs.v1.LogsService"


class Collector:
    """A Collector on ``gateway.yaml`` and the *overlays*, its environment variables as given; ready once made."""

    def __init__(self, children, *overlays, **environment):
        self.grpc, self.http, health = (f"127.0.0.1:{port}" for port in free_ports(3))
        self.url = f"http://{self.http}"
        self._children = children
        child = children.launch(
            "collector",
            Path(built.need(built.COLLECTOR)) / built.COLLECTOR,
            *(f"--config={CONFIG / name}" for name in ("gateway.yaml", *overlays)),
            "--set=service.telemetry.metrics.level=none",
            environment={
                "COLLECTOR_GRPC": self.grpc,
                "COLLECTOR_HTTP": self.http,
                "COLLECTOR_HEALTH": health,
                **environment,
            },
        )
        children.await_ready(child, f"http://{health}")
        self.process = child.process


class GrpcSink:
    """Keeps the bytes of every request that a Collector exports over gRPC; answers with what ``answers`` holds first."""

    def __init__(self):
        self.requests = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        method = grpc.unary_unary_rpc_method_handler(self._export)
        handler = grpc.method_handlers_generic_handler(EXPORT, {"Export": method})
        self._server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def _export(self, request, _):
        self.requests.append(request)
        return b""

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(0)


class HttpSink(Standin):
    """Keeps the path and body of every request that a Collector exports over HTTP."""

    def __init__(self):
        self.requests = []
        super().__init__(_Keeps)


class _Keeps(Answer):
    def answer(self):
        body = self.body()
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.requests.append((self.path, body))
        self.say(200, headers={"Content-Type": "application/x-protobuf"})
