# lipwright serve in a container. Needs a package index and a distribution mirror at build time, and
# nothing at run time.
#
#   docker build -t lipwright .
#   docker run -p 127.0.0.1:7860:7860 -e LIPWRIGHT_TOKEN=... -v lipwright:/data lipwright
#
# With a GPU: docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 ...
# and run with --gpus all; see compose.yaml.
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

RUN useradd --create-home --uid 10001 lipwright \
 && install -d -o lipwright -g lipwright /data

WORKDIR /opt/lipwright
RUN if [ -n "$TORCH_INDEX" ]; then pip install 'torch>=2.6,<2.14' --index-url "$TORCH_INDEX"; fi
COPY pyproject.toml README.md LICENSE LICENSE_weights ./
COPY configs configs
COPY src src
RUN pip install '.[serve]'

USER lipwright
# The signing key and the registry of watermarks are kept with the jobs.
ENV LIPWRIGHT_HOME=/data/home LIPWRIGHT_CACHE=/data/cache
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD \
    python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=5)"
ENTRYPOINT ["lipwright", "serve", "--host", "0.0.0.0", "--data", "/data"]
