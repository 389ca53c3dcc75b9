# The commands in a container, on processors:
#   docker build --tag bonectl . && docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" bonectl info bone.npy
# For NVIDIA devices take the usual build of PyTorch, which brings CUDA, and hand the devices in:
#   docker build --build-arg TORCH_INDEX=https://pypi.org/simple --tag bonectl-cuda .
#   docker run --rm --gpus all --volume "$PWD:/data" bonectl-cuda train --help
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
COPY constraints.txt ./
RUN python -m venv /opt/bonectl && \
    /opt/bonectl/bin/pip install --no-cache-dir --constraint constraints.txt --index-url "${TORCH_INDEX}" torch
COPY . .
RUN /opt/bonectl/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:${PYTHON}-slim
COPY --from=build /opt/bonectl /opt/bonectl
RUN useradd --create-home --uid 1000 bone
USER 1000
# Compiled kernels and weights are kept here; any user of the host may be given by --user.
ENV HOME=/tmp PATH=/opt/bonectl/bin:$PATH
WORKDIR /data
ENTRYPOINT ["bonectl"]
CMD ["--help"]
