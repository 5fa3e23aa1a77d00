#!/bin/bash
# Trains one network on all hosts of a TPU slice that has panjax on it:
#
#   TPU=my-slice ZONE=us-east5-b scripts/tpu_train.sh s4c train pdac-64 --data CACHE --out RUN
#
# CACHE and RUN lie on a disk that all hosts mount. A spot slice is told by SIGTERM that it goes; when
# there is one again, the same call goes on from what was saved.
set -euo pipefail
gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all \
  --command="$(printf '%q ' "$@" --resume --distributed)"
