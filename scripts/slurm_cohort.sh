#!/bin/bash
# Works on a cohort in shards, one for each GPU, and then writes results.json and report.html:
#
#   sbatch --ntasks=16 scripts/slurm_cohort.sh s4c screen COHORT --run RUN --out OUT
#
# Called again, by the user or by Slurm, it goes on with the cases that are missing.
#SBATCH --job-name=panjax-cohort
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# A shard with a case that failed ends with 1; the last call tries that case again, and tells.
srun bash -c '"$@" --shard "$SLURM_PROCID/$SLURM_NTASKS"' shard "$@"
exec "$@"
