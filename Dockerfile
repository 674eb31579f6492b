# An emulator in a container: docker build -t xai-emulator . && docker run --rm -p 7878:7878 xai-emulator
# Flags of `serve` go behind the image's name. State is in memory; with `--data-dir /data` it is in the volume.

FROM python:3.12-slim AS wheels
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels ".[tls]"

FROM python:3.12-slim
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels "xai-emulator[tls]" \
    && useradd --system --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin emulator
USER emulator
WORKDIR /data
VOLUME /data
# A container is reached from outside of it, so it listens on every address. Its control API and console then ask for a
# token: give it with -e XAI_EMULATOR_CONTROL_TOKEN=…, or read the one that is printed at the start in the logs.
ENV XAI_EMULATOR_HOST=0.0.0.0
# The second is for `--tls self-signed`; nothing listens there without it.
EXPOSE 7878 7879
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["xai-emulator", "wait", "--timeout", "2"]
ENTRYPOINT ["xai-emulator", "serve"]
