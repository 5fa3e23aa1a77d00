#!/bin/bash
# Trains one network on all GPUs of some nodes, one process for each, and outlives its time limit:
#
#   sbatch --nodes=2 scripts/slurm_train.sh s4c train pdac-64 --data CACHE --out RUN
#
# Five minutes before the end, or when the job is preempted, Slurm sends SIGTERM; the training saves
# and ends with 143, and the job is queued again. CACHE and RUN lie on a disk that all nodes share.
#SBATCH --job-name=panjax-train
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
srun "$@" --resume --distributed
status=$?
if [ "$status" -eq 143 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
