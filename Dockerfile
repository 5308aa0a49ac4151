# multiface in a container. CPU:  docker build -t multiface .
# With NVIDIA GPUs:  docker build --build-arg BASE=pytorch/pytorch:2.11.0-cuda13.0-cudnn9-runtime -t multiface .
#                    docker run --gpus all -v /data:/data multiface train /data/CAPTURE --result_path /data/run
ARG BASE=python:3.12-slim
FROM ${BASE}
WORKDIR /opt/multiface
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
# A PyTorch that the base image brings is kept; otherwise pip takes the registry's.
RUN python3 -m pip install --no-cache-dir .
# Compiled CPU kernels are kept between runs when this folder is a volume.
ENV NUMBA_CACHE_DIR=/var/cache/multiface
RUN mkdir -p /var/cache/multiface && chmod 777 /var/cache/multiface
WORKDIR /data
ENTRYPOINT ["multiface"]
CMD ["--help"]
