# docker build --target cpu -t panjax .            docker build --target cuda -t panjax:cuda .
# docker run --rm -v "$PWD:/work" panjax s4c screen /work/SCANS --run /work/RUN --out /work/OUT
# The CUDA image brings its own libraries; the host needs a driver for CUDA 12 and, to start the
# container, `--gpus all` of the NVIDIA Container Toolkit.
FROM python:3.12-slim AS wheel
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.12-slim AS base
# Whoever calls decides which user owns the files in /work: --user "$(id -u):$(id -g)".
ENV HOME=/tmp XDG_CACHE_HOME=/cache GLIBC_TUNABLES=glibc.malloc.hugetlb=1
RUN mkdir -m 1777 /cache
# OpenMP, for oneDNN's convolutions on CPU.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=wheel /wheel /wheel
WORKDIR /work

FROM base AS cuda
RUN pip install --no-cache-dir "$(ls /wheel/*.whl)[cuda12,dicom,video,excel]"
CMD ["s4c", "--help"]

FROM base AS cpu
RUN pip install --no-cache-dir "$(ls /wheel/*.whl)[dicom,video,excel]"
CMD ["s4c", "--help"]
