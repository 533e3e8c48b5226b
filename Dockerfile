# The server alone, on nothing but the C library and root certificates; not as root.
#
#     docker build -t synckairos .
#     docker run --rm -p 127.0.0.1:3000:3000 -v synckairos:/data -e DATA_DIR=/data -e AUTH=off synckairos

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --locked --release --bin synckairos \
    && install -D target/release/synckairos /image/usr/local/bin/synckairos \
    && install -d /image/data

# Of the same Debian as above: the C library must not be older.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image/usr/local/bin/synckairos /usr/local/bin/synckairos
# A volume that is mounted there belongs to whom it must.
COPY --from=build --chown=nonroot:nonroot /image/data /data
# It starts with keys only, or with AUTH=off: docs/run/security.md.
ENV HOST=0.0.0.0
EXPOSE 3000
# Whether it lives, not whether it serves: an unhealthy container may be restarted, which would not bring Redis back.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["synckairos", "health"]
ENTRYPOINT ["synckairos"]
