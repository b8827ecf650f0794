# The sidecar, as nobody in particular: docker build -t driftline .
# compose.yaml's service, with what the demo needs: docker build --target demo .
FROM docker.io/library/python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY alert-rules alert-rules
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir '.[sidecar]'

FROM build AS build-demo
RUN /venv/bin/pip install --no-cache-dir '.[demo]'

FROM docker.io/library/python:3.13-slim AS base
# volumes made anew take their owner from these
RUN mkdir -p /etc/driftline/baselines /var/lib/driftline \
    && chown -R 65532:65532 /etc/driftline/baselines /var/lib/driftline
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /etc/driftline
USER 65532:65532

FROM base AS demo
COPY --from=build-demo /venv /venv

FROM base AS sidecar
COPY --from=build /venv /venv
EXPOSE 4327 4328 9477
VOLUME ["/etc/driftline/baselines", "/var/lib/driftline"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9477/-/ready', timeout=2)"]
ENTRYPOINT ["driftline"]
CMD ["sidecar", "--config", "/etc/driftline/driftline.yaml"]
