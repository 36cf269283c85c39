# redis-server of Debian with the module, out of the package that `make package` builds:
#
#   docker build -t redis-iot --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" .
#   docker run -p 127.0.0.1:6379:6379 -v redis-iot:/var/lib/redis -e REDISCLI_AUTH=secret redis-iot --requirepass secret
#
# Arguments are settings of the server. Without a password it answers only inside the container.

FROM rust:1.95-bookworm AS build
# The image has a C compiler and dpkg-dev; libclang with its headers is for the bindings.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends libclang1-14 libclang-common-14-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
# The time of what is in the package; there is no git history here that would tell it.
ARG SOURCE_DATE_EPOCH
RUN packaging/deb /build/target \
 && mv target/dist/redis-iot_*.deb /redis-iot.deb

FROM debian:bookworm-slim
COPY --from=build /redis-iot.deb /tmp/
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends redis-server /tmp/redis-iot.deb \
 && rm -rf /var/lib/apt/lists/* /tmp/redis-iot.deb
# Persistence and memory as the example advises; what it says of the module are the defaults.
COPY redis.conf.example /etc/redis/redis-iot-example.conf

USER redis
WORKDIR /var/lib/redis
VOLUME /var/lib/redis
EXPOSE 6379
# With a password, in REDISCLI_AUTH; a server that loads its data does not reply PONG yet.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD test "$(redis-cli PING)" = PONG
ENTRYPOINT ["redis-server", "/etc/redis/redis-iot-example.conf", \
  "--loadmodule", "/usr/lib/redis/modules/redis_iot.so", \
  "--dir", "/var/lib/redis", "--bind", "*", "-::*"]
